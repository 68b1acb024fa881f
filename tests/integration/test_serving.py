"""A member of a group, in this process: what it begins, ends and tells while partitions come and go."""

import asyncio
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.files import library
from contracts.topics import CASES, Topic
from services.runtime import serving, subscription
from services.runtime.documents import Documents
from services.runtime.founding import Founding
from services.runtime.health import Health
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Journal, Record
from services.runtime.looking import Looker, Watched
from services.runtime.metrics import Metrics
from services.runtime.runner import Runner
from services.runtime.serving import RETRY_AWAY, Serving, Standing
from services.runtime.store.mongo import MongoStore
from services.runtime.store.port import AgendaStore, Halted, Position, StoreUnavailable
from services.scoring.domain.stage import Scoring
from tests.support.command import PATIENCE, StillWaiting, succeeded
from tests.support.faults import Trouble, TroubledLog, TroubledStore
from tests.support.region import Region, region_of_its_own

pytestmark = pytest.mark.xdist_group("serving")

ALL: Final = range(CASES.partitions)
ONE, OTHER, *_ = ALL


@dataclass
class Gate:
    """What is asked of the partitions passes, waits or fails.

    shut: where it waits; broken: where it fails; asked: where it was asked; waiting: how many wait
    """

    shut: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)
    waiting: int = 0
    _opened: dict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    async def passed(self, partition: int) -> None:
        self.asked.append(partition)
        if partition in self.broken:
            raise StoreUnavailable("the database is away")
        if partition in self.shut:
            self.waiting += 1
            try:
                await self._opened[partition].wait()
            finally:
                self.waiting -= 1

    def open(self, but: Collection[int] = ()) -> None:
        self.broken.clear()
        for partition in self.shut.difference(but):
            self.shut.remove(partition)
            self._opened[partition].set()


class GatedLog(TroubledLog):
    """A `Log` that is asked for ends through a gate, as a partition is when it is taken up."""

    def __init__(self, log: Journal, gate: Gate) -> None:
        super().__init__(log, Trouble())
        self._gate = gate

    async def end(self, topic: Topic, partition: int) -> int:
        await self._gate.passed(partition)
        return await super().end(topic, partition)


class GatedStore(TroubledStore):
    """A `Store` that is asked for halted cases through a gate, as it is by every batch and whenever they are tried."""

    def __init__(self, store: AgendaStore, gate: Gate) -> None:
        super().__init__(store, Trouble())
        self._gate = gate

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        if partition is not None:
            await self._gate.passed(partition)
        return await super().halted(stage, partition)


@dataclass
class Member:
    """A member whose way to what it asks is in our hands. opening: for what it takes up; working: for all else."""

    serving: Serving[Any]
    looker: Looker[Any]
    founding: Founding
    health: Health
    metrics: Metrics
    log: KafkaLog
    store: AgendaStore
    opening: Gate
    working: Gate

    def runs(self) -> bool:
        shares = self.serving.shares
        return len(shares) == len(ALL) and all(share.has_caught_up for share in shares.values())

    async def given_something_to_do(self, partition: int) -> None:
        """Repeat the first fact of a partition."""
        first = await self.log.read(CASES, partition, 0, 1)
        assert first, f"partition {partition} has a fact"
        await self.log.append(CASES, partition, [Record(record.key, record.value) for record in first])


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region with a small clinic's facts."""
    folder = tmp_path_factory.mktemp("region")
    succeeded("simulate", "--groups", "2", "--seed", "5", "--output", folder / "cohort.csv")
    with region_of_its_own(folder) as region:
        # By this key ONE and OTHER have cases.
        region.master_key.touch(mode=0o600)
        region.master_key.write_bytes(b64encode(bytes(32)))
        region.provision()
        region.succeeded("import", folder / "cohort.csv", "--enrol")
        yield region


@asynccontextmanager
async def joining(region: Region, *, shut: bool = False) -> AsyncIterator[Member]:
    """Let a member join a group of its own. shut: it takes no partition up before its gate is opened."""
    settings, opening, working = region.settings(), Gate(), Gate()
    opening.shut |= set(ALL if shut else ())
    brokers = settings.brokers()
    async with Documents(settings.server()) as documents, KafkaLog(brokers) as log:
        founding = Founding(log)
        await founding.learn()
        stage, store = Scoring(founding.definitions), GatedStore(MongoStore(documents), working)
        keyring = MongoKeyring(documents, MasterKey.read(region.master_key))
        runner = Runner(stage, GatedLog(log, opening), store, keyring, founding.log_id)
        runner.learn = founding.learn
        group = brokers.named(uuid4().hex)
        member = Serving(brokers, group, brokers.topic(CASES), runner, lambda *_: None)
        health, metrics = Health(), Metrics(stage.name)
        watched = Watched(stage, member, brokers, documents, log, store, founding)
        looker = Looker(watched, health, metrics, founding.learned)
        await member.start()
        try:
            yield Member(member, looker, founding, health, metrics, log, store, opening, working)
        finally:
            opening.open()
            working.open()
            await looker.stop()
            await member.stop()


@asynccontextmanager
async def running(region: Region) -> AsyncIterator[Member]:
    """Let a member join a group of its own, and have read everything."""
    async with joining(region) as member:
        await until(member.runs, "it runs")
        yield member


async def away(member: Member, partition: int) -> None:
    """Let a partition be away until its gates are opened."""
    member.opening.broken.add(partition)
    member.working.broken.add(partition)
    await member.given_something_to_do(partition)
    await until(lambda: member.serving.shares[partition].standing is Standing.AWAY, "it is away")


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, and let everything else go on meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise StillWaiting(f"{what} was not so within {PATIENCE:.0f} s")
        await asyncio.sleep(0.01)


async def until_later(seconds: float) -> None:
    later = time.monotonic() + seconds
    await until(lambda: time.monotonic() > later, "it is later")


async def test_nothing_is_begun_on_partitions_that_are_being_given_up(region: Region) -> None:
    async with running(region) as member:
        # given a partition that is away, and another one with a batch in hand
        await away(member, OTHER)
        member.working.shut.add(ONE)
        await member.given_something_to_do(ONE)
        await until(lambda: member.working.waiting == 1, "a batch is in hand")

        # when all are given up, and the one that was away could be taken up again
        giving_up = asyncio.create_task(member.serving.give_up(ALL))
        await until(lambda: not member.serving.has_joined, "it gives them up")
        member.opening.broken.clear()
        member.opening.asked.clear()
        await until_later(2 * RETRY_AWAY)

        # then it is not, as it may be somebody else's by now
        assert member.opening.asked == []

        # and what was in hand is finished
        member.working.open()
        await giving_up
        assert member.serving.shares == {}


async def test_a_partition_whose_taking_up_takes_long_keeps_no_other_from_being_taken_up(region: Region) -> None:
    async with joining(region, shut=True) as member:
        # given a partition whose taking up does not end, and another one that is away
        await until(lambda: member.opening.waiting == len(ALL), "it takes them up")
        member.opening.open(but=[ONE])
        await until(lambda: member.serving.runs(OTHER), "it runs")
        await away(member, OTHER)

        # when that is there again
        member.opening.broken.clear()
        member.working.broken.clear()

        # then it is taken up
        await until(lambda: member.serving.runs(OTHER), "it runs")
        assert member.serving.shares[ONE].standing is Standing.OPENING


async def test_cases_are_not_tried_again_where_a_partition_was_given_up_meanwhile(region: Region) -> None:
    async with running(region) as member:
        # given cases that are tried again, of which the first takes long
        member.working.shut.add(ONE)
        trying = asyncio.create_task(member.serving.try_again())
        await until(lambda: member.working.waiting == 1, "they are tried again")

        # when all partitions are given up before it has ended
        giving_up = asyncio.create_task(member.serving.give_up(ALL))
        await until(lambda: not member.serving.has_joined, "it gives them up")
        member.working.asked.clear()
        member.working.open()
        await asyncio.gather(trying, giving_up)

        # then nothing else is tried, and none of them was lost to another process
        assert member.working.asked == []
        assert member.serving.lost == 0


async def test_nothing_goes_on_after_the_end(region: Region) -> None:
    # given a member that takes its partitions up, which takes long
    async with joining(region, shut=True) as member:
        member.serving.drains_within = 1.0
        await until(lambda: member.opening.waiting == len(ALL), "it takes them up")

        # when it is told to end
        await member.serving.stop()

        # then nothing is in hand any more
        assert member.opening.waiting == 0


async def test_states_that_were_replaced_by_some_that_had_read_less_are_gone_on_with_where_nothing_comes(
    region: Region,
) -> None:
    async with running(region) as member:
        # given a member that has read everything, and states in the place of its own that have read nothing
        fresh = f"fresh.{uuid4().hex}"
        await member.store.begin(fresh)
        beginning = Position(member.founding.log_id, 0)
        await member.store.take_place("scoring", fresh, dict.fromkeys(ALL, beginning))

        # when somebody looks, and nothing comes
        await member.looker.look()

        # then everything is read again
        ends = await member.log.ends(CASES, list(ALL))
        async with asyncio.timeout(PATIENCE):
            for partition, end in ends.items():
                read = Position(member.founding.log_id, end)
                while await member.store.position("scoring", partition) != read:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
        await until(member.runs, "it runs, and says so")


async def test_how_much_there_is_to_do_is_not_told_before_it_is_known(region: Region) -> None:
    async with joining(region, shut=True) as member:
        # given partitions of which the store has not said yet how far they were read
        await until(lambda: member.opening.waiting == len(ALL), "it takes them up")

        # when somebody looks
        await member.looker.look()

        # then nothing is told of them
        assert b"ontrack_lag_events{" not in member.metrics.page()

        # and it is when they are known
        member.opening.open()
        await until(member.runs, "it runs")
        await member.looker.look()
        assert b'ontrack_lag_events{partition="0",stage="scoring"} 0.0' in member.metrics.page()


async def test_that_servers_answer_too_late_is_told_for_as_long_as_they_do(region: Region) -> None:
    async with running(region) as member:
        # given brokers and a database that never answer in time
        in_time, member.looker.answers_within = member.looker.answers_within, 0.0

        # when somebody looks again and again, then that is told each time, also when they have answered meanwhile
        for _ in range(20):
            await member.looker.look()
            assert {"brokers", "database"} <= member.health.troubles.keys()

        # and no longer when they answer in time
        member.looker.answers_within = in_time
        async with asyncio.timeout(PATIENCE):
            while {"brokers", "database"} & member.health.troubles.keys():
                await member.looker.look()


async def test_halted_cases_are_tried_again_whoever_learned_of_a_definition(region: Region) -> None:
    async with running(region) as member:
        # given a case that is halted
        first, *_ = await member.log.read(CASES, ONE, 0, 1)
        await member.store.halt("scoring", [Halted(first.key, ONE, 0, "definition-missing somewhat@1")])
        await member.looker.look()
        assert await member.store.halted("scoring")

        # when a definition is published, and learned by a batch that names it before anybody looks
        others = Founding(member.log)
        await others.learn()
        await others.publish([entry_of({**library()[0].body, "id": uuid4().hex})], datetime.now(UTC))
        await member.founding.learn()
        await member.looker.look()

        # then the case goes on
        async with asyncio.timeout(PATIENCE):
            while await member.store.halted("scoring"):  # noqa: ASYNC110 - nobody is told of it
                await asyncio.sleep(0.01)


async def test_a_look_that_is_broken_off_does_not_go_on_after_the_end(region: Region) -> None:
    async with running(region) as member:
        # given a look at brokers and database that is broken off
        looking_on = asyncio.create_task(member.looker.look())
        async with asyncio.timeout(PATIENCE):
            while len(looks()) < 2:  # noqa: ASYNC110 - tasks of what is tested
                await asyncio.sleep(0)
        looking_on.cancel()
        await asyncio.wait({looking_on})

        # when it is to end, then nothing looks any more
        await member.looker.stop()
        assert looks() == []


def looks() -> list[str]:
    """What looks at servers just now."""
    names = [getattr(task.get_coro(), "__name__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name in ("_look_at_log", "_look_at_store")]


async def test_a_case_to_be_tried_again_where_nobody_can_run_it_lets_all_others_be(region: Region) -> None:
    async with running(region) as member:
        # given a halted case that is to be tried again, in a partition that is away
        await away(member, ONE)
        first, *_ = await member.log.read(CASES, ONE, 0, 1)
        await member.store.halt("scoring", [Halted(first.key, ONE, 0, "key-missing")])
        await member.store.retry("scoring", first.key)

        # when somebody looks, again and again
        member.working.asked.clear()
        for _ in range(3):
            await member.looker.look()

        # then nothing is tried in the partitions that run
        assert member.working.asked == []

        # and it is tried when its partition can be run
        member.opening.open()
        member.working.open()
        await until(member.runs, "it runs")
        assert await member.store.halted("scoring") == []


async def test_a_member_that_does_not_join_again_says_so_and_tries_anew(region: Region) -> None:
    async with running(region) as member:
        # given a member whose partitions are divided anew
        await member.serving.give_up(ALL)

        # when the group does not say for too long what it gets
        await member.looker.look()
        member.looker.joins_within = 0.0
        await member.looker.look()

        # then it says so
        assert member.health.alive() == ["reading: its group has not let it join within 0 s"]

        # and joins anew by itself
        await member.looker.look()
        await until(member.runs, "it runs")
        await member.looker.look()
        assert member.health.ready() == []


async def test_a_batch_that_does_not_end_is_told_of(region: Region) -> None:
    async with running(region) as member:
        # given a batch that hangs
        member.serving.batch_within = 0.1
        member.working.shut.add(ONE)
        await member.given_something_to_do(ONE)
        await until(lambda: member.working.waiting == 1, "a batch is in hand")

        # when it does so for longer than it may take
        await until(lambda: bool(member.serving.late), "it is late")
        await member.looker.look()

        # then that is told of its partition alone
        assert member.health.alive() == [f"partition {ONE}: a batch does not come to its end"]

        # and no more when it has ended
        member.working.open()
        await until(lambda: not member.serving.late, "it has ended")
        await member.looker.look()
        assert member.health.alive() == []


async def test_a_batch_is_broken_off_and_taken_up_anew_only_when_it_takes_longer_than_any_is_given(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given that a store that is slow has time enough for the largest batch, and a member that has less
    assert subscription.IN_HAND > serving.BATCH_WITHIN + serving.RECORD_WITHIN * subscription.MAX_RECORDS
    monkeypatch.setattr(subscription, "IN_HAND", 3.0)
    async with running(region) as member:
        member.serving.drains_within = 0.5

        # when a batch hangs
        member.working.shut.add(ONE)
        await member.given_something_to_do(ONE)
        await until(lambda: member.working.waiting == 1, "a batch is in hand")

        # then it is broken off
        await until(lambda: member.working.waiting == 0, "it is broken off")

        # and taken up anew when the partitions have come back
        member.working.open()
        await until(member.runs, "it runs")


async def test_partitions_that_stand_still_are_told_of_whatever_keeps_them_from_going_on(region: Region) -> None:
    async with running(region) as member:
        member.looker.still_after = 1.0

        # given cases that are tried again, which does not end, and something that waits behind them
        await member.looker.look()
        assert member.health.ready() == []
        member.working.shut.add(ONE)
        trying = asyncio.create_task(member.serving.try_again())
        await until(lambda: member.working.waiting == 1, "they are tried again")
        await member.given_something_to_do(ONE)

        # when somebody looks for a while
        async with asyncio.timeout(PATIENCE):
            while not member.health.ready():
                await member.looker.look()

        # then the service says that it is not ready, and need not be started again for that
        told = f"progress: nothing was done with the events of partitions {ONE} for 1 s"
        assert (member.health.ready(), member.health.alive()) == ([told], [])

        # and is when it has gone on
        member.working.open()
        await trying
        async with asyncio.timeout(PATIENCE):
            while member.health.ready():
                await member.looker.look()
