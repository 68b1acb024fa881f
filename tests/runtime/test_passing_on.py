"""What a stage publishes: every event once, numbered without a gap, and as it came."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.events.event import Data, Event
from contracts.events.facts import NeedsStated, SessionAttended
from contracts.topics import CASES, SCORES, TRACKS, Topic
from services.runtime.log.port import Record
from services.runtime.store.port import Position
from tests.runtime.stories import ANNA, BO, Scenario, Tally, attendance, course, each_scenario, scoring, three_on_scores
from tests.support.histories import in_turn, numbered
from tests.support.workbench import LOG_ID, PARTITION, Workbench, numbers, once

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


async def test_an_event_that_nobody_down_the_way_reads_is_not_passed_on(file: Path) -> None:
    # given a stage whose own topic has no place for the events that it does not act on
    @dataclass
    class Silent(Tally):
        writes: Topic | None = None

    with Workbench.on(file) as bench:
        await three_on_scores(bench)

        # when it reads them
        await bench.run(Silent())
        outcome = await bench.outcome(Silent())

        # then it says nothing, and remembers how far it has come
        assert await bench.log.end(TRACKS, PARTITION) == 0
    assert {state.read for state in outcome.states.values()} == {11}
    assert {state.written for state in outcome.states.values()} == {0}


def _with_number(value: bytes, sequence: int | None) -> bytes:
    before = json.loads(value)["sequence"]
    changed = value.replace(b'"sequence":"%s"' % before.encode(), b'"sequence":"%d"' % (sequence or 0))
    assert json.loads(changed) == {**json.loads(value), "sequence": str(sequence)}
    return changed


def _acted_on(event: Event[Data]) -> bool:
    return type(event.data) in Tally().acts_on
