"""The embedded home: patient with what is away for a moment, and always knows what the log defines."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import glance
from contracts.definitions.catalogue import Entry, entry_of
from contracts.definitions.files import library
from contracts.events.facts import CaseEnrolled
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TRACKS, partition_of
from services.embedded import EmbeddedHome
from services.home import TRIES, Home
from services.runtime.faults import PartitionLost
from services.runtime.founding import founding_records
from services.runtime.log.port import Record
from services.runtime.runner import Runner
from services.runtime.store.port import AgendaStore, Outcome, Write
from services.runtime.store.sealed import StateUnreadable
from services.runtime.unavailable import Unavailable
from services.scoring.domain.stage import Scoring
from tests.runtime.stories import course
from tests.support.faults import Away, OvertakenStore, Trouble, TroubledStore
from tests.support.histories import GRYESTEN, OPEN_ENDED, START, History, in_turn
from tests.support.patient import patient
from tests.support.workbench import cases_of

CASE = "case-1"
PARTITION = partition_of(CASE)


def story(policy: str = GRYESTEN) -> History:
    enrolled = CaseEnrolled(clinic="clinic", group="g1", protocol=OPEN_ENDED, policy=policy)
    return History(CASE).say(enrolled).answered(0, 1, 1, 1, 1, 1).answered(1, 4, 4, 4, 4, 4).attended(1).closed()


async def with_facts(directory: Path) -> Path:
    """Make a home with facts that no stage has read."""
    async with await EmbeddedHome.found(directory) as home:
        await home.intake.take_over(story().events)
    return directory


async def concluded(home: Home) -> list[Any]:
    """What every stage knows of the case."""
    stages: list[Any] = [home.register, home.scoring, home.not_detector, home.notifier]
    known = [await home.state(stage, CASE) for stage in stages]
    assert None not in known
    return known


async def concluded_in_peace(directory: Path) -> list[Any]:
    """What every stage knows of the case where nothing goes wrong."""
    async with await EmbeddedHome.open(await with_facts(directory), write=True) as home:
        await home.catch_up()
        return await concluded(home)


async def test_a_state_that_another_version_wrote_is_told_to_nobody(tmp_path: Path) -> None:
    # given what a stage knows of a case, written by a version that keeps it in another shape, which looks like this one
    async with await EmbeddedHome.open(await with_facts(tmp_path / "home"), write=True) as home:
        await home.catch_up()
        stored = (await home.store.load(Scoring.name, [CASE]))[CASE]
        await home.store.remove(Scoring.name, [CASE])
        await home.store.save(Scoring.name, [Write(CASE, None, replace(stored, schema=Scoring.schema - 1))])

        # when somebody asks what is known of the case
        # then it is not read as if it said the same
        with pytest.raises(StateUnreadable, match=f"shape {Scoring.schema - 1}, this version knows {Scoring.schema}"):
            await home.state(home.scoring, CASE)


# What is away for a moment

CALLS = ["log.append", "log.read", "store.load", "store.save", "store.set_position", "store.halted", "keyring.keys"]


@pytest.mark.parametrize("call", CALLS)
async def test_what_is_away_for_a_moment_is_tried_again(call: str, tmp_path: Path) -> None:
    # given a home with facts that no stage has read
    trouble = Away()
    async with patient(await with_facts(tmp_path / "home"), trouble) as opened:
        # when something is away for a while just when it reads them
        trouble.call, trouble.times = call, TRIES - 1
        await opened.home.catch_up()

        # then it is tried again, each time after a longer pause, and everything is as it would have been
        assert len(opened.paused) == TRIES - 1
        assert opened.paused == sorted(set(opened.paused))
        trouble.times = 0
        assert await concluded(opened.home) == await concluded_in_peace(tmp_path / "other")


@pytest.mark.parametrize("call", CALLS)
async def test_what_stays_away_is_told_and_nothing_is_lost(call: str, tmp_path: Path) -> None:
    # given a home with facts that no stage has read
    trouble = Away()
    async with patient(await with_facts(tmp_path / "home"), trouble) as opened:
        # when something is away for good
        trouble.call, trouble.times = call, 1_000_000
        with pytest.raises(Unavailable, match=call):
            await opened.home.catch_up()

        # then it was tried a few times
        assert len(opened.paused) == TRIES - 1

        # and when it is back, the same home goes on
        trouble.times = 0
        await opened.home.catch_up()
        assert await concluded(opened.home) == await concluded_in_peace(tmp_path / "other")


# Partitions that another runner has written


class TakenStore(TroubledStore):
    """A `Store` on which somebody else was faster, so many times."""

    def __init__(self, store: AgendaStore, times: int) -> None:
        super().__init__(store, Trouble())
        self._times = times

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        self._times -= 1
        return [Outcome.LOST for _ in writes] if self._times >= 0 else await super().save(stage, writes)


async def test_a_partition_that_another_runner_has_written_is_taken_up_again(tmp_path: Path) -> None:
    # given a home with facts that no stage has read
    async def another_reads_some() -> None:
        other = Runner(home.register, home.log, home.store, home.keyring, home.log_id)
        await other.open(PARTITION)
        await other.advance(PARTITION, 2)

    directory = await with_facts(tmp_path / "home")
    async with patient(directory, store=lambda store: OvertakenStore(store, another_reads_some)) as opened:
        home = opened.home

        # when another runner of a stage reads some of them right before the home saves what it has read
        await home.catch_up()

        # then the home takes the partition up where the other has left it, and everything is as it would have been
        assert len(opened.paused) == 1
        assert await concluded(home) == await concluded_in_peace(tmp_path / "other")


async def test_a_partition_that_is_lost_again_and_again_is_given_up_until_the_next_time(tmp_path: Path) -> None:
    # given a home with facts, and another runner that is faster a few times
    directory = await with_facts(tmp_path / "home")
    async with patient(directory, store=lambda store: TakenStore(store, TRIES)) as opened:
        # when the home reads them
        with pytest.raises(PartitionLost, match="another process runs register on partition"):
            await opened.home.catch_up()

        # then it has tried so often
        assert len(opened.paused) == TRIES - 1

        # and when there is no other any more, it goes on
        await opened.home.catch_up()
        assert await concluded(opened.home) == await concluded_in_peace(tmp_path / "other")


# Numbers


async def test_every_topic_numbers_every_case_without_a_gap(tmp_path: Path) -> None:
    # given the histories of many cases, in every partition, told in turn
    case_ids = [case_id for partition in range(CASES.partitions) for case_id in cases_of(partition, 2)]
    facts = in_turn(*(course(case_id) for case_id in case_ids))
    async with await EmbeddedHome.found(tmp_path / "home") as home:
        # when they come in several parts, and every stage reads each
        for start in range(0, len(facts), 100):
            await home.intake.take_over(facts[start : start + 100])
            await home.catch_up()

        # then on each topic each case is numbered 1, 2, 3 …
        for topic in (SCORES, TRACKS, NOTICES):
            seen: dict[str, list[int]] = {case_id: [] for case_id in case_ids}
            for partition in range(topic.partitions):
                for record in await home.log.read(topic, partition, 0, 1_000_000):
                    event = glance(record.value)
                    assert event is not None
                    assert partition_of(event.subject) == partition
                    seen[event.subject].append(event.sequence)
            assert all(given == list(range(1, len(given) + 1)) for given in seen.values())
            assert all(seen.values()), topic.name


# Definitions


async def test_a_case_goes_on_when_the_definition_that_it_waits_for_has_been_published(tmp_path: Path) -> None:
    # given a home in which a case waits for a policy that is not on the log
    policy = a_policy()
    async with await EmbeddedHome.found(tmp_path / "home") as home:
        await home.intake.take_over(story(policy.ref).events)
        await home.catch_up()
        assert {halted.reason for halted in await home.halted()} == {f"definition-missing {policy.ref}"}

        # when somebody else puts it on the log, and the same home reads on
        _, published = founding_records(home.log_id, [policy], START)
        await home.log.append(DEFINITIONS, 0, [Record("log", published)])
        await home.catch_up()

        # then nobody waits any more, and everything is as if it had been there from the start
        assert await home.halted() == []
        found = await concluded(home)
    async with await EmbeddedHome.found(tmp_path / "other") as other:
        await other.publish([policy])
        await other.intake.take_over(story(policy.ref).events)
        await other.catch_up()
        assert found == await concluded(other)


def a_policy() -> Entry:
    """A policy that does not ship."""
    body = next(entry.body for entry in library() if entry.ref == GRYESTEN)
    return entry_of({**body, "id": "of-the-clinic"})
