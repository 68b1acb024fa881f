"""What stops a stage: whatever contradicts itself, before anything is written, with the way out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import encode, prepared
from contracts.events.event import Data
from contracts.events.facts import SessionAttended, SessionScheduled
from contracts.topics import DEAD_LETTERS, SCORES, TRACKS
from services.ingest.domain.register import Register
from services.runtime.faults import StageStopped
from services.runtime.log.port import Log, Record
from services.runtime.runner import Runner
from services.runtime.stage import Stage
from services.runtime.store.port import Position, Store, Write
from tests.runtime.damages import INSIDE, OF_NUMBERS, OUTSIDE
from tests.runtime.stories import (
    ANNA,
    BO,
    CARL,
    COMMENT,
    REBUILD,
    RECORDS_BACK,
    WAY_OUT,
    Tally,
    attendance,
    three_on_cases,
    three_on_scores,
)
from tests.support.histories import in_turn, numbered
from tests.support.workbench import LOG_ID, PARTITION, Workbench, cases_of, go_on, key_of


async def everything(bench: Workbench, stage: Stage[Any]) -> tuple[object, ...]:
    """Whatever a stage can have written. A position at the start is none."""
    ends = [await bench.log.end(topic, PARTITION) for topic in (SCORES, TRACKS, DEAD_LETTERS)]
    outcome = await bench.outcome(stage)
    return replace(outcome, position=outcome.position or Position(LOG_ID, 0)), ends


async def stopped(
    bench: Workbench, stage: Stage[Any], *, log: Log | None = None, store: Store | None = None, log_id: str = LOG_ID
) -> str:
    """Run a stage that must stop, in words, before it has written anything; give the words."""
    before = await everything(bench, stage)
    runner = bench.runner(stage, log=log, store=store, log_id=log_id)
    with pytest.raises(StageStopped) as stop:
        await _taken_up_and_run(runner)
    assert await everything(bench, stage) == before
    assert (stop.value.stage, stop.value.partition) == (stage.name, PARTITION)
    words = str(stop.value)
    assert words.startswith(f"{stage.name} stops at partition {PARTITION}: ")
    assert COMMENT not in words
    return words


async def _taken_up_and_run(runner: Runner[Any]) -> None:
    await runner.open(PARTITION)
    await go_on(runner)


async def test_a_gap_stops_the_stage_before_it_writes_anything(file: Path) -> None:
    # given a topic on which one record of a case is missing
    events = list(numbered(in_turn(attendance(ANNA), attendance(BO))))
    lost = next(place for place, event in enumerate(events) if (event.subject, event.sequence) == (ANNA, 4))
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        await bench.put(SCORES, events[:lost] + events[lost + 1 :])

        # when it is read
        words = await stopped(bench, Tally())

    # then the words say where, what, and the way out
    assert f"rom.scores.v1 has a gap at offset {lost + 1}: sequence 5 of case {ANNA} follows 3" in words
    assert words.endswith(f"To mend it: {WAY_OUT}.")


async def test_a_history_that_does_not_begin_at_one_is_a_gap(file: Path) -> None:
    # given a topic on which the first record of a case is missing
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.put(SCORES, list(numbered(attendance(ANNA).events))[1:])

        # when it is read
        # then the stage stops
        assert f"sequence 2 of case {ANNA} follows 0" in await stopped(bench, Tally())


async def test_a_gap_stops_every_attempt_and_no_other_partition(file: Path) -> None:
    # given a gap in one partition, and a whole history in another
    other = 5
    (dora,) = cases_of(other, 1)
    with Workbench.on(file) as bench:
        await bench.know(ANNA, dora)
        await bench.put(SCORES, list(numbered(attendance(ANNA).events))[1:])
        await bench.put(SCORES, numbered(attendance(dora).events), partition=other)
        runner = bench.runner(Tally())
        for partition in (PARTITION, other):
            await runner.open(partition)

        # when both are read, the first one twice
        for _ in range(2):
            with pytest.raises(StageStopped):
                await runner.advance(PARTITION)
        await go_on(runner, partition=other)

        # then the other was read, and the first stays where it was
        assert len(await bench.records(TRACKS, other)) > 0
        assert await bench.store.position("tally", other) == Position(LOG_ID, len(attendance(dora).events))
        assert await bench.store.position("tally", PARTITION) == Position(LOG_ID, 0)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        *((damage, SessionAttended) for damage in OUTSIDE | INSIDE | OF_NUMBERS),
        *((damage, SessionScheduled) for damage in OUTSIDE | OF_NUMBERS),
    ],
)
async def test_an_unreadable_record_on_a_derived_topic_stops_the_stage(
    file: Path, damage: str, kind: type[Data]
) -> None:
    # given a topic with a record that cannot be read, among those that a stage acts on or those that it passes on
    damaged = (OUTSIDE | INSIDE | OF_NUMBERS)[damage]
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        events = list(numbered(attendance(ANNA).events))
        place = next(n for n, event in enumerate(events) if isinstance(event.data, kind))
        await bench.put(SCORES, events[:place])
        record = damaged(encode(prepared(events[place], key_of(ANNA), events[place].sequence)))
        await bench.log.append(SCORES, PARTITION, [Record(ANNA, record)])
        await bench.put(SCORES, events[place + 1 :])

        # when it is read
        words = await stopped(bench, Tally())

    # then the words say where, and the way out, and nothing of what it holds
    assert f"rom.scores.v1 cannot be read at offset {place} (" in words
    assert words.endswith(f"To mend it: {WAY_OUT}.")


async def test_a_stage_does_not_go_on_with_another_log(file: Path) -> None:
    # given a stage that has read a log
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        await bench.run(Tally())

        # when it is started on another one
        words = await stopped(bench, Tally(), log_id="00000000-0000-4000-8000-000000000002")

    # then it says so, and the way out
    assert "its states come from another log" in words
    assert words.endswith(f"To mend it: {REBUILD}.")


async def test_a_stage_does_not_go_on_with_a_log_that_is_shorter_than_what_it_has_read(tmp_path: Path) -> None:
    # given a stage that has read a log, and a copy of that log without its end
    with Workbench.on(tmp_path / "whole.db") as bench, Workbench.on(tmp_path / "copy.db") as copy:
        await three_on_scores(bench)
        await bench.run(Tally())
        records = [Record(each.key, each.value) for each in await bench.records(SCORES)]
        await copy.log.append(SCORES, PARTITION, records[:-1])

        # when it is started on the copy
        words = await stopped(bench, Tally(), log=copy.log)

    # then it says so, and the way out
    assert "rom.scores.v1 is shorter than what has been read of it" in words
    assert words.endswith(f"To mend it: {RECORDS_BACK}.")


async def test_a_stage_whose_topic_has_events_does_not_start_from_nothing(tmp_path: Path) -> None:
    # given a stage that has published, and a store that knows nothing of it
    with Workbench.on(tmp_path / "ontrack.db") as bench, Workbench.on(tmp_path / "empty.db") as empty:
        await three_on_scores(bench)
        await bench.run(Tally())

        # when it is started with that store
        words = await stopped(bench, Tally(), store=empty.store)

        # then it says so, and the way out, and leaves no position that would hide it the next time
        assert await empty.store.position("tally", PARTITION) is None
    assert "rom.tracks.v1 has events, but where it was is not known" in words
    assert words.endswith(f"To mend it: {REBUILD}.")


async def test_a_projection_starts_from_nothing_at_any_time(tmp_path: Path) -> None:
    # given a stage that says nothing, and a store that knows nothing of it
    with Workbench.on(tmp_path / "ontrack.db") as bench, Workbench.on(tmp_path / "empty.db") as empty:
        await three_on_cases(bench)
        await bench.run(Register())
        expected = await bench.outcome(Register())

        # when it is started with that store
        runner = bench.runner(Register(), store=empty.store)
        await runner.open(PARTITION)
        await go_on(runner)

        # then it knows all again
        assert await empty.store.load("register", [ANNA, BO, CARL]) == expected.states


async def test_a_state_of_another_shape_stops_the_stage(file: Path) -> None:
    # given states that another version has written, and a new record
    events = list(numbered(attendance(ANNA).events))
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.put(SCORES, events[:6])
        await bench.run(Tally(schema=1))
        await bench.put(SCORES, events[6:])

        # when this version reads on
        words = await stopped(bench, Tally(schema=2))

    # then it says so, and the way out
    assert "has shape 1, this version knows 2" in words
    assert words.endswith(f"To mend it: {REBUILD}.")


@pytest.mark.parametrize("damage", ["a changed seal", "the state of another case", "another shape"])
async def test_a_state_that_cannot_be_read_stops_the_stage_without_a_word_of_it(file: Path, damage: str) -> None:
    # given a state that is not what the stage has written
    events = list(numbered(attendance(ANNA).events))
    key = key_of(ANNA)
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        await bench.put(SCORES, [*events[:8], *list(numbered(attendance(BO).events))[:8]])
        await bench.run(Tally())
        states = await bench.store.load("tally", [ANNA, BO])
        written = states[ANNA]
        body = {
            "a changed seal": written.body[:-1] + bytes([written.body[-1] ^ 1]),
            "the state of another case": states[BO].body,
            "another shape": key.seal(json.dumps({"attended": COMMENT}).encode(), b"tally", ANNA.encode()),
        }[damage]
        spoilt = replace(written, offset=written.offset - 1, body=body)
        await bench.store.save("tally", [Write(ANNA, written.offset, spoilt)])
        await bench.put(SCORES, events[8:])

        # when the stage reads on
        # then it stops in words, and they hold nothing of the state
        await stopped(bench, Tally())
