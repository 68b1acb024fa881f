"""What a stage publishes: every event once, numbered without a gap, and as it came."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.codec import decode
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.events.event import Data, Event
from contracts.events.facts import NeedsStated, SessionAttended
from contracts.events.scores import FactSetAside
from contracts.topics import CASES, NOTICES, SCORES, TRACKS
from services.ingest.domain.register import Register
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.runtime.log.port import Record
from services.runtime.runner import BATCH
from services.runtime.stage import Stage
from services.runtime.store.port import Position
from services.scoring.domain.stage import Scoring
from tests.runtime.stories import (
    ANNA,
    BO,
    CARL,
    SCENARIOS,
    Counted,
    Scenario,
    Tally,
    attendance,
    copied,
    course,
    each_scenario,
    prepared,
    scoring,
    three_on_cases,
    three_on_scores,
)
from tests.support.histories import in_turn, numbered
from tests.support.workbench import LOG_ID, PARTITION, Workbench, key_of, numbers, once

# Numbers


@each_scenario
async def test_every_case_is_numbered_from_one_without_a_gap(scenario: Scenario, file: Path) -> None:
    # given a stage that has read everything
    with Workbench.on(file) as bench:
        await scenario.prepare(bench)
        await scenario.run(bench, at_once=7)
        stage = scenario.stage()
        outcome = await bench.outcome(stage)

    # when the numbers of each case are looked at
    # then they are 1, 2, 3 …, and the state knows the last
    assert outcome.by_case()
    for case_id, values in outcome.by_case().items():
        assert numbers(outcome.output, case_id) == list(range(1, len(values) + 1))
        assert outcome.states[case_id].written == len(values)


async def test_a_record_that_is_repeated_changes_nothing(file: Path) -> None:
    # given a stage that has read its topic
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        await bench.run(Tally())
        before = await bench.outcome(Tally())

        # when records come again: some, then all, then some more than once
        repeated = [Record(each.key, each.value) for each in await bench.records(SCORES)]
        for some in (repeated[3:9], repeated, [repeated[0]] * 3):
            await bench.log.append(SCORES, PARTITION, some)
        await bench.run(Tally(), at_once=10)
        after = await bench.outcome(Tally())

        # then nothing was published for them, and nothing is known that was not known
        assert len(await bench.records(TRACKS)) == len(before.output)
    assert after == replace(before, position=after.position)
    assert after.position == Position(LOG_ID, 2 * len(repeated) + 9)


async def test_a_repeated_record_between_new_ones_is_passed_over(file: Path) -> None:
    # given a topic on which the stage before has said everything twice, in one batch
    events = list(numbered(in_turn(attendance(ANNA), attendance(BO))))
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        await bench.put(SCORES, events[:8])
        await bench.put(SCORES, events[:8])
        await bench.put(SCORES, events[3:])

        # when it is read
        await bench.run(Tally())

        # then each event was taken once
        found = once(await bench.records(TRACKS))
        assert len(await bench.records(TRACKS)) == len(found)
    assert numbers(found, ANNA) == numbers(found, BO) == list(range(1, 13))


async def test_a_fact_that_is_repeated_changes_nothing(file: Path) -> None:
    # given facts that have been scored
    facts = in_turn(course(ANNA), course(BO))
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        await bench.put(CASES, facts)
        await bench.run(scoring())
        before = await bench.records(SCORES)

        # when they come again
        await bench.put(CASES, facts)
        await bench.run(scoring())

        # then nothing is said about them
        assert await bench.records(SCORES) == before


# Events that a stage does not act on


async def test_an_event_that_a_stage_does_not_act_on_is_passed_on_as_it_came(file: Path) -> None:
    # given a stage that acts on few events
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        came = {event.id: value for event, value in await bench.read(SCORES)}

        # when it has read its topic
        await bench.run(Tally())
        went = {event.id: (event, value) for event, value in await bench.read(TRACKS)}

    # then all others are there as they came, and only their number is another
    others = {place: value for place, value in came.items() if place in went and not _acted_on(went[place][0])}
    assert len(others) == 3 * 5
    for event_id, value in others.items():
        event, passed_on = went[event_id]
        assert passed_on == _with_number(value, event.sequence)
    assert any(value != came[event_id] for event_id, (_, value) in went.items() if event_id in others)


async def test_an_event_that_a_stage_acted_on_keeps_its_sealed_bytes(file: Path) -> None:
    # given a stage that says again what it acted on
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        came = {event.id: value for event, value in await bench.read(SCORES)}

        # when it has read its topic
        await bench.run(Tally())
        went = [(event, value) for event, value in await bench.read(TRACKS) if event.id in came]

    # then those events are there as they came, and only their number is another
    assert {type(event.data) for event, _ in went} >= {SessionAttended, NeedsStated}
    for event, value in went:
        assert value == _with_number(came[event.id], event.sequence)


async def test_a_stage_that_says_nothing_remembers_how_far_it_has_come(file: Path) -> None:
    # given a stage without a topic of its own
    silent = Tally(writes=None)
    with Workbench.on(file) as bench:
        await three_on_scores(bench)

        # when it reads
        await bench.run(silent)
        outcome = await bench.outcome(silent)

        # then it says nothing, and knows what it has read
        assert await bench.log.end(TRACKS, PARTITION) == 0
    assert {state.read for state in outcome.states.values()} == {11}
    assert {state.written for state in outcome.states.values()} == {0}


class Bell(Tally):
    """A toy at the end of the way: says nothing of what it acts on."""

    def step(self, state: Counted, event: Event[Data]) -> tuple[Counted, Sequence[Event[Data]]]:
        return super().step(state, event)[0], ()


async def test_an_event_is_passed_on_only_to_a_topic_that_carries_its_like(file: Path) -> None:
    # given a stage whose own topic carries few events, and a topic with many, remarks of the stage before among them
    bell = Bell(name="bell", reads=TRACKS, writes=NOTICES)
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        await bench.run(Tally())
        remarks = [event for event, _ in await bench.read(TRACKS) if isinstance(event.data, FactSetAside)]

        # when it has read them
        await bench.run(bell)
        went = [event for event, _ in await bench.read(NOTICES)]
        outcome = await bench.outcome(bell)

    # then the others end here, and those that are carried go on, with numbers of this topic
    assert [event.id for event in went] == [remark.id for remark in remarks]
    assert numbers(outcome.output, ANNA) == [1, 2]


async def test_a_state_knows_the_last_record_that_went_into_it(file: Path) -> None:
    # given histories that end with events that are passed on, dropped, or acted on
    stories = [attendance(ANNA), attendance(BO).absent(6), attendance(CARL).attended(6)]
    events = list(numbered(in_turn(*stories)))
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO, CARL)
        await bench.put(SCORES, events)

        # when they are read one by one
        await bench.run(Tally(), at_once=1)
        outcome = await bench.outcome(Tally())

    # then each state bears the place and the number of the last
    last = {event.subject: (offset, event.sequence) for offset, event in enumerate(events)}
    assert {case_id: (state.offset, state.read) for case_id, state in outcome.states.items()} == last


async def test_what_is_handed_on_in_memory_is_what_stands_on_the_log(tmp_path: Path) -> None:
    # given a chain of stages in one process, and the same stages each in a process of its own
    source = await prepared(SCENARIOS["scoring"], tmp_path / "source.db")
    together, apart = (copied(source, tmp_path / name) for name in ("together.db", "apart.db"))
    catalogue = Catalogue(library())
    chain: list[Stage[Any]] = [Register(), Scoring(catalogue), NotDetector(catalogue), Notifier(catalogue)]

    # when all have read everything
    with Workbench.on(together) as bench:
        for stage in chain:
            await bench.run(stage)
    for stage in chain:
        with Workbench.on(apart) as bench:
            await bench.run(stage, at_once=11)

    # then they have said and know the same, to the byte
    with Workbench.on(together) as one, Workbench.on(apart) as other:
        for stage in chain:
            assert await one.outcome(stage) == await other.outcome(stage), stage.name
        assert (await one.outcome(chain[-1])).output


async def test_an_event_at_hand_is_the_one_that_would_be_read(file: Path) -> None:
    # given a stage that has just published
    with Workbench.on(file) as bench:
        await three_on_cases(bench)
        await bench.run(scoring())

        # when the next stage of this process reads that
        records = await bench.log.read(SCORES, PARTITION, 0, BATCH)

    # then each event that comes with its record is the one that its bytes say
    for record in records:
        assert record.event is None or record.event == decode(record.value, SCORES, key_of(record.key))
    assert any(record.event is not None for record in records)


def _with_number(value: bytes, sequence: int | None) -> bytes:
    before = json.loads(value)["sequence"]
    changed = value.replace(b'"sequence":"%s"' % before.encode(), b'"sequence":"%d"' % (sequence or 0))
    assert json.loads(changed) == {**json.loads(value), "sequence": str(sequence)}
    return changed


def _acted_on(event: Event[Data]) -> bool:
    return type(event.data) in Tally().acts_on
