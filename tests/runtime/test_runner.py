"""The runner: nothing is lost, nothing is said twice, and nothing goes on where it must not.

Most stories are told with a toy stage over real events; those about facts with the real scoring.
"""

import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.events.event import Data, Derivation, Event
from contracts.events.facts import NeedsStated, ResponseSubmitted, SessionAbsent, SessionAttended
from contracts.events.publications import FactUnreadable
from contracts.events.scores import FactSetAside
from contracts.topics import CASES, DEAD_LETTERS, SCORES, TRACKS, Topic
from services.ingest.domain.register import Register
from services.runtime.log.port import Log, LogUnavailable, Record
from services.runtime.runner import BATCH, DEAD_LETTERS_AT_MOST, PartitionLost, Runner, StageStopped
from services.runtime.stage import Stage
from services.runtime.store.port import Position, Store, StoreUnavailable, Write
from services.scoring.domain import Scoring
from tests.support.faults import Away, Crash, CrashAt, OvertakenStore, Trouble, When
from tests.support.histories import HOMEWORK, ODSIS, History, in_turn, numbered
from tests.support.workbench import (
    LOG_ID,
    PARTITION,
    Outcome,
    Workbench,
    cases_of,
    go_on,
    key_of,
    letters,
    numbers,
    once,
)

ANNA, BO, CARL = cases_of(PARTITION, 3)
COMMENT: Final = "I cannot sleep since Karen left"
WAY_OUT: Final = "export the log (ontrack export --output DIR) and import it into an empty home (ontrack import DIR)"


@dataclass(frozen=True, slots=True)
class Counted:
    """How many sessions a patient attended, and what was said last."""

    attended: int = 0
    said: str = ""


@dataclass
class Tally:
    """A toy: counts the sessions that a patient attended, adds a remark to every second one, and drops absences.

    trips_over: its step fails where this case states a need; raises: with what, made of the patient's words
    """

    trips_over: str | None = None
    raises: Callable[[str], Exception] = ValueError
    schema: int = 1
    name: str = "tally"
    reads: Topic = SCORES
    writes: Topic | None = TRACKS
    acts_on: frozenset[type[Data]] = frozenset({SessionAttended, SessionAbsent, NeedsStated})
    state: type[Counted] = Counted
    steps: list[str] | None = None

    def initial(self, case_id: str) -> Counted:
        assert case_id
        return Counted()

    def step(self, state: Counted, event: Event[Data]) -> tuple[Counted, Sequence[Event[Data]]]:
        if self.steps is not None:
            self.steps.append("step")
        match event.data:
            case NeedsStated(text=text):
                if event.subject == self.trips_over:
                    raise self.raises(text or "")
                return replace(state, said=text or ""), [event]
            case SessionAttended():
                state = replace(state, attended=state.attended + 1)
                remark = FactSetAside(fact=event.id, reason="after_the_end")
                more = [Derivation(self.name, event).event(remark)] if state.attended % 2 == 0 else []
                return state, [event, *more]
            case _:
                return state, ()


def scoring(*, without: str | None = None) -> Scoring:
    """The scoring by the library, or by a library that lacks a definition."""
    return Scoring(Catalogue(entry for entry in library() if entry.ref != without))


def attendance(case_id: str) -> History:
    """Enough to see numbers move: some passed on, some dropped, some added."""
    story = History(case_id).enrolled().scheduled(1).attended(1).scheduled(2).absent(2).scheduled(3).attended(3)
    return story.in_need(COMMENT).attended(4).attended(5).closed()


def course(case_id: str) -> History:
    """What scoring has to do with: answers, comments, corrections early and late, repetitions, nonsense."""
    story = History(case_id).enrolled().named_a_problem("sleep").asked(1).corrected(2, 0, 0, 0, 0, 1)
    story.answered(1, 4, 4, 3, 2, 1, comment=COMMENT).no_longer_asked(1).again(1).answered(2, 1, 2, 3, 4, 4)
    story.asked(3).no_longer_asked(3).named_a_problem("work").answered(2, 0, 0, 0, 0, 0).corrected(1, 1, 1, 1, 1, 1)
    return story.answered(4, 9, 9, 9, 9, 9).withdrawn(1).answered(5).again().attended(5).closed().answered(6)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ontrack.db"


# A scenario is a stage with a log to read. It is prepared once and run many times, each time on a copy.


@dataclass(frozen=True)
class Scenario:
    """A stage, and how its home came about."""

    stage: Callable[[], Stage[Any]]
    prepare: Callable[[Workbench], Awaitable[None]]

    async def run(self, bench: Workbench, *, at_once: int) -> None:
        await bench.run(self.stage(), at_once=at_once)


async def _three_on_scores(bench: Workbench) -> None:
    await bench.know(ANNA, BO, CARL)
    await bench.put(SCORES, numbered(in_turn(attendance(ANNA), attendance(BO), attendance(CARL))))


async def _three_on_cases(bench: Workbench) -> None:
    await bench.know(ANNA, BO, CARL)
    await bench.put(CASES, in_turn(course(ANNA), course(BO), course(CARL)))


async def _mishaps_on_cases(bench: Workbench) -> None:
    """A home in which one case halts, one never had a key, and some records cannot be read."""
    await bench.know(ANNA, BO)
    events = in_turn(course(ANNA), course(BO), course(CARL))
    for number, event in enumerate(events):
        await bench.put(CASES, [event])
        if number % 9 == 4:
            await bench.log.append(CASES, PARTITION, [Record(ANNA, b"not a fact %d" % number)])


async def _halted_on_cases(bench: Workbench) -> None:
    """A home in which two cases have halted, with later facts behind them; now the causes are gone."""
    await _mishaps_on_cases(bench)
    await bench.run(scoring(without=ODSIS), at_once=5)
    assert [halted.case_id for halted in await bench.store.halted("scoring")] == sorted([ANNA, BO, CARL])
    await bench.know(CARL)
    await bench.put(CASES, in_turn(course(ANNA), course(CARL)))


SCENARIOS: Final = {
    "a toy": Scenario(Tally, _three_on_scores),
    "scoring": Scenario(scoring, _three_on_cases),
    "scoring with mishaps": Scenario(scoring, _mishaps_on_cases),
    "scoring that goes on after mishaps": Scenario(scoring, _halted_on_cases),
}
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


async def prepared(scenario: Scenario, file: Path) -> Path:
    with Workbench.on(file) as bench:
        await scenario.prepare(bench)
    return file


def copied(source: Path, target: Path) -> Path:
    shutil.copy(source, target)
    return target


# The order of the steps


async def test_the_steps_of_a_batch_have_one_order(file: Path) -> None:
    # given a stage that has taken up its partition
    trouble = Trouble()
    with Workbench.on(file, trouble) as bench:
        await _three_on_scores(bench)
        stage = Tally(steps=trouble.calls)
        runner = bench.runner(stage)
        await runner.open(PARTITION)
        trouble.calls.clear()

        # when it works on a batch
        await runner.process(PARTITION, await bench.log.read(SCORES, PARTITION, 0, 100))

    # then it loads, steps, publishes, saves, moves on, each once for the whole batch
    kept = ("store.load", "step", "log.append", "store.save", "store.set_position")
    order = [call for call in trouble.calls if call in kept]
    assert list(dict.fromkeys(order)) == list(kept)
    assert [call for call in order if call != "step"] == [
        "store.load",
        "log.append",
        "store.save",
        "store.set_position",
    ]


async def test_keys_are_there_before_the_first_step(file: Path) -> None:
    # given a stage that works on a batch
    trouble = Trouble()
    with Workbench.on(file, trouble) as bench:
        await _three_on_scores(bench)
        await bench.run(Tally(steps=trouble.calls))

    # then the keys were asked for before, and not again
    assert trouble.calls.index("keyring.keys") < trouble.calls.index("step")
    assert trouble.calls.count("keyring.keys") == 1


@each_scenario
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_moment_changes_nothing(scenario: Scenario, when: When, tmp_path: Path) -> None:
    # given a run that was left alone
    source = await prepared(scenario, tmp_path / "source.db")
    alone = copied(source, tmp_path / "alone.db")
    with Workbench.on(alone) as bench:
        await scenario.run(bench, at_once=13)
        expected, calls = await bench.outcome(scenario.stage()), len(bench.trouble.calls)
    assert calls > 20

    for nth in range(1, calls + 1):
        # when another one ends before, or right after, some call of a port
        file = copied(source, tmp_path / "crashed.db")
        with Workbench.on(file, CrashAt(nth=nth, when=when)) as bench, pytest.raises(Crash):
            await scenario.run(bench, at_once=13)

        # and a new process goes on, with batches of another size
        with Workbench.on(file) as bench:
            await scenario.run(bench, at_once=7)

            # then what came of it is the same, to the byte
            assert await bench.outcome(scenario.stage()) == expected, f"{when} call {nth}"


@each_scenario
@pytest.mark.parametrize("at_once", [1, 2, 3, 8, BATCH])
async def test_the_size_of_a_batch_changes_nothing(scenario: Scenario, at_once: int, tmp_path: Path) -> None:
    # given a run in batches of some size
    source = await prepared(scenario, tmp_path / "source.db")
    file = copied(source, tmp_path / "other.db")
    with Workbench.on(source) as bench:
        await scenario.run(bench, at_once=13)
        expected = await bench.outcome(scenario.stage())

    # when it is run in batches of another size
    with Workbench.on(file) as bench:
        await scenario.run(bench, at_once=at_once)

        # then what came of it is the same, to the byte, but for the order between cases that had halted
        found = await bench.outcome(scenario.stage())
    assert replace(found, output=[]) == replace(expected, output=[])
    assert found.by_case() == expected.by_case()


@each_scenario
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["log.append", "log.read", "store.load", "store.save", "store.set_position"])
async def test_a_port_that_is_away_for_a_while_changes_nothing(
    scenario: Scenario, call: str, when: When, tmp_path: Path
) -> None:
    # given a run that was left alone
    source = await prepared(scenario, tmp_path / "source.db")
    file = copied(source, tmp_path / "other.db")
    with Workbench.on(source) as bench:
        await scenario.run(bench, at_once=13)
        expected = await bench.outcome(scenario.stage())

    # when in another one a port cannot be reached, or its answer is lost, three times
    trouble = Away()
    with Workbench.on(file, trouble) as bench:
        runner = bench.runner(scenario.stage())
        await runner.open(PARTITION)
        trouble.call, trouble.times, trouble.when = call, 3, when
        for _ in range(3):
            with pytest.raises((LogUnavailable, StoreUnavailable)):
                await go_on(runner, at_once=13)

        # and the same runner tries again
        await go_on(runner, at_once=13)

        # then what came of it is the same, to the byte
        assert await bench.outcome(scenario.stage()) == expected


async def test_two_stages_in_a_row_say_the_same_whatever_the_first_repeats(tmp_path: Path) -> None:
    # given two stages in a row that were left alone
    source = await prepared(SCENARIOS["scoring"], tmp_path / "source.db")
    alone = copied(source, tmp_path / "alone.db")
    with Workbench.on(alone) as bench:
        await bench.run(scoring(), at_once=13)
        await bench.run(Tally(), at_once=13)
        expected = await bench.outcome(Tally())

    # when the first is ended again and again between publishing and saving, and the second reads along
    file = copied(source, tmp_path / "crashed.db")
    for nth in (1, 1, 2, 3, 1):
        with Workbench.on(file, CrashAt(nth=nth, call="store.save")) as bench, pytest.raises(Crash):
            await bench.run(scoring(), at_once=9)
        with Workbench.on(file) as bench:
            await bench.run(Tally(), at_once=4)
    with Workbench.on(file) as bench:
        await bench.run(scoring())
        await bench.run(Tally())
        found, repeated = await bench.outcome(Tally()), await bench.records(SCORES)

    # then the first has said much twice
    assert len(repeated) > len(once(repeated))

    # and the second has said the same, and knows the same, to the byte
    assert found.output == expected.output
    assert {case_id: replace(state, offset=0) for case_id, state in found.states.items()} == {
        case_id: replace(state, offset=0) for case_id, state in expected.states.items()
    }


ACTIONS: Final[Sequence[Callable[[History], History]]] = (
    lambda story: story.enrolled(),
    lambda story: story.answered(1, 4, 4, 4, 4, 4, comment=COMMENT),
    lambda story: story.answered(1, 3, 3, 3, 3, 3),
    lambda story: story.answered(2),
    lambda story: story.corrected(1, 0, 0, 0, 0, 0),
    lambda story: story.withdrawn(1),
    lambda story: story.asked(2),
    lambda story: story.no_longer_asked(2),
    lambda story: story.attended(2),
    lambda story: story.named_a_problem("sleep"),
    lambda story: story.again(0),
    lambda story: story.closed(),
)


@settings(deadline=None, max_examples=25)
@given(
    told=st.lists(st.tuples(st.sampled_from([ANNA, BO]), st.sampled_from(ACTIONS)), min_size=1, max_size=25),
    crashes=st.lists(
        st.tuples(st.integers(1, 12), st.sampled_from(["before", "after"]), st.integers(1, 6)), max_size=4
    ),
)
async def test_whatever_happens_to_a_case_and_to_the_process_the_outcome_is_one(
    told: list[tuple[str, Callable[[History], History]]], crashes: list[tuple[int, When, int]]
) -> None:
    # given any history of two cases
    stories = {case_id: History(case_id).enrolled() for case_id in (ANNA, BO)}
    for case_id, action in told:
        action(stories[case_id])
    with TemporaryDirectory() as directory:
        alone, crashed = Path(directory, "alone.db"), Path(directory, "crashed.db")
        for file in (alone, crashed):
            with Workbench.on(file) as bench:
                await bench.know(ANNA, BO)
                await bench.put(CASES, in_turn(*stories.values()))

        # when one process runs it through, and several others run into any crashes
        with Workbench.on(alone) as bench:
            await bench.run(scoring())
            expected = await bench.outcome(scoring())
        for nth, when, at_once in crashes:
            with Workbench.on(crashed, CrashAt(nth=nth, when=when)) as bench:
                try:
                    await bench.run(scoring(), at_once=at_once)
                except Crash:
                    continue
        with Workbench.on(crashed) as bench:
            await bench.run(scoring())

            # then what came of it is the same, to the byte
            assert await bench.outcome(scoring()) == expected


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
        await _three_on_scores(bench)
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
        await _three_on_scores(bench)
        came = {event.id: each.value for event, each in await _read(bench, SCORES)}

        # when it has read its topic
        await bench.run(Tally())
        went = {event.id: (event, each.value) for event, each in await _read(bench, TRACKS)}

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
        await _three_on_scores(bench)
        came = {event.id: each.value for event, each in await _read(bench, SCORES)}

        # when it has read its topic
        await bench.run(Tally())
        went = [(event, each.value) for event, each in await _read(bench, TRACKS) if event.id in came]

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
        await _three_on_scores(bench)

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


async def _read(bench: Workbench, topic: Topic) -> list[tuple[Event[Data], Record]]:
    records = await bench.records(topic)
    return [
        (event, Record(each.key, each.value)) for event, each in zip(await bench.events(topic), records, strict=True)
    ]


# What stops a stage


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


def _flipped(value: bytes) -> bytes:
    """A record whose sealed text was changed in one place."""
    text = json.loads(value)["data_base64"]
    return value.replace(text.encode(), (text[:20] + ("A" if text[20] != "A" else "B") + text[21:]).encode())


def _changed(value: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(value), **fields}, sort_keys=True, separators=(",", ":")).encode()


DAMAGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "nothing left": lambda _: b"",
    "no JSON": lambda _: b"no record " + COMMENT.encode(),
    "cut off": lambda value: value[:-40],
    "other JSON": lambda _: json.dumps([COMMENT]).encode(),
    "a changed seal": _flipped,
    "another id": lambda value: _changed(value, id="11111111-2222-3333-4444-555555555555"),
    "another key": lambda value: _changed(value, keyid=key_of(BO).keyid),
    "another case": lambda value: _changed(value, subject=BO),
    "no case": lambda value: _changed(value, subject=None),
    "not sealed": lambda value: _changed(value, data_base64=None, data={"session": 1, "reason": COMMENT}),
    "an unknown type": lambda value: _changed(value, type="ontrack.unheard-of.v1"),
    "a type that is no text": lambda value: _changed(value, type=[COMMENT]),
}
OF_DERIVED_TOPICS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "no number": lambda value: _changed(value, sequence=None),
    "a number that is none": lambda value: _changed(value, sequence=COMMENT),
    "number zero": lambda value: _changed(value, sequence="0"),
    "a negative number": lambda value: _changed(value, sequence="-1"),
}


@pytest.mark.parametrize("damage", [*DAMAGES, *OF_DERIVED_TOPICS])
async def test_an_unreadable_record_on_a_derived_topic_stops_the_stage(file: Path, damage: str) -> None:
    # given a topic with a record that cannot be read
    damaged = (DAMAGES | OF_DERIVED_TOPICS)[damage]
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        events = list(numbered(attendance(ANNA).events))
        place = next(n for n, event in enumerate(events) if isinstance(event.data, SessionAttended))
        await bench.put(SCORES, events[:place])
        record = damaged(encode(events[place], key_of(ANNA)))
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
        await _three_on_scores(bench)
        await bench.run(Tally())

        # when it is started on another one
        words = await stopped(bench, Tally(), log_id="00000000-0000-4000-8000-000000000002")

    # then it says so, and the way out
    assert "its states come from another log" in words
    assert words.endswith(f"To mend it: {WAY_OUT}.")


async def test_a_stage_does_not_go_on_with_a_log_that_is_shorter_than_what_it_has_read(tmp_path: Path) -> None:
    # given a stage that has read a log, and a copy of that log without its end
    with Workbench.on(tmp_path / "whole.db") as bench, Workbench.on(tmp_path / "copy.db") as copy:
        await _three_on_scores(bench)
        await bench.run(Tally())
        records = [Record(each.key, each.value) for each in await bench.records(SCORES)]
        await copy.log.append(SCORES, PARTITION, records[:-1])

        # when it is started on the copy
        words = await stopped(bench, Tally(), log=copy.log)

    # then it says so, and the way out
    assert "rom.scores.v1 is shorter than what has been read of it" in words
    assert words.endswith(f"To mend it: {WAY_OUT}.")


async def test_a_stage_whose_topic_has_events_does_not_start_from_nothing(tmp_path: Path) -> None:
    # given a stage that has published, and a store that knows nothing of it
    with Workbench.on(tmp_path / "ontrack.db") as bench, Workbench.on(tmp_path / "empty.db") as empty:
        await _three_on_scores(bench)
        await bench.run(Tally())

        # when it is started with that store
        words = await stopped(bench, Tally(), store=empty.store)

        # then it says so, and the way out, and leaves no position that would hide it the next time
        assert await empty.store.position("tally", PARTITION) is None
    assert "rom.tracks.v1 has events, but where it was is not known" in words
    assert words.endswith(f"To mend it: {WAY_OUT}.")


async def test_a_projection_starts_from_nothing_at_any_time(tmp_path: Path) -> None:
    # given a stage that says nothing, and a store that knows nothing of it
    with Workbench.on(tmp_path / "ontrack.db") as bench, Workbench.on(tmp_path / "empty.db") as empty:
        await _three_on_cases(bench)
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
    assert "its states have shape 1, this version knows 2" in words
    assert words.endswith(f"To mend it: {WAY_OUT}.")


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


# Facts that cannot be read


@pytest.mark.parametrize("damage", DAMAGES)
async def test_an_unreadable_fact_becomes_a_dead_letter_and_the_others_go_on(tmp_path: Path, damage: str) -> None:
    # given facts that are scored, and the same facts with one among them that cannot be read
    facts = in_turn(course(ANNA), course(BO))
    with Workbench.on(tmp_path / "alone.db") as bench:
        await bench.know(ANNA, BO)
        await bench.put(CASES, facts)
        await bench.run(scoring())
        expected = await bench.outcome(scoring())
    record = DAMAGES[damage](encode(History(ANNA).absent(7).events[0], key_of(ANNA)))
    with Workbench.on(tmp_path / "damaged.db") as bench:
        await bench.know(ANNA, BO)
        await bench.put(CASES, facts[:5])
        await bench.log.append(CASES, PARTITION, [Record(ANNA, record)])
        await bench.put(CASES, facts[5:])

        # when they are read
        await bench.run(scoring(), at_once=4)
        found, dead = await bench.outcome(scoring()), await bench.records(DEAD_LETTERS)

    # then there is one letter, which says where and why, and nothing of what the fact holds
    (letter,) = found.letters
    assert (letter.partition, letter.offset) == (PARTITION, 5)
    assert letter.reason in {"not-an-event", "unknown-type", "not-sealed", "seal-broken", "other-key"}
    for word in (COMMENT, "Karen", "session", "data_base64"):
        assert word.encode() not in dead[0].value

    # and everything else is as if it had never been there
    assert found.output == expected.output
    assert not found.halted


async def test_a_fact_is_reported_once_though_two_stages_read_it(file: Path) -> None:
    # given a fact that cannot be read
    with Workbench.on(file) as bench:
        await _mishaps_on_cases(bench)

        # when the register and the scoring read it
        await bench.run(Register())
        await bench.run(scoring())

        # then each unreadable fact has one letter
        dead = await bench.records(DEAD_LETTERS)
    assert len(dead) == len(letters(dead)) > 1


async def test_as_many_unreadable_facts_as_the_limit_allows_do_not_stop_a_stage(file: Path) -> None:
    # given just as many unreadable facts, and one that can be read
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * DEAD_LETTERS_AT_MOST)
        await bench.put(CASES, History(ANNA).enrolled().events)

        # when they are read
        await bench.run(scoring(), at_once=30)

        # then there is a letter for each, and the other one was taken
        outcome = await bench.outcome(scoring())
    assert outcome.letters == [
        FactUnreadable(partition=PARTITION, offset=offset, reason="not-an-event")
        for offset in range(DEAD_LETTERS_AT_MOST)
    ]
    assert len(outcome.output) == 1


@pytest.mark.parametrize("at_once", [BATCH, DEAD_LETTERS_AT_MOST])
async def test_one_unreadable_fact_more_than_the_limit_stops_a_stage(file: Path, at_once: int) -> None:
    # given one unreadable fact too many, in one batch or in two
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * (DEAD_LETTERS_AT_MOST + 1))
        runner = bench.runner(scoring())
        await runner.open(PARTITION)

        # when they are read
        with pytest.raises(StageStopped) as stop:
            await go_on(runner, at_once=at_once)

        # then the stage stops, says what to do, and has written nothing of that batch
        whole_batches = DEAD_LETTERS_AT_MOST if at_once == DEAD_LETTERS_AT_MOST else 0
        assert await bench.log.end(DEAD_LETTERS, PARTITION) == whole_batches
        assert await bench.store.position("scoring", PARTITION) == Position(LOG_ID, whole_batches)
    words = str(stop.value)
    assert f"{DEAD_LETTERS_AT_MOST + 1} records of rom.cases.v1" in words
    assert "To mend it: find out who writes them, then start again." in words


async def test_a_fact_that_is_read_again_after_a_failure_counts_once(file: Path) -> None:
    # given more than half as many unreadable facts as the limit allows, and a log that cannot be written for a while
    trouble = Away()
    with Workbench.on(file, trouble) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * (DEAD_LETTERS_AT_MOST // 2 + 1))
        runner = bench.runner(scoring())
        await runner.open(PARTITION)
        trouble.call, trouble.times = "log.append", 3
        for _ in range(3):
            with pytest.raises(LogUnavailable):
                await go_on(runner)

        # when the log is back and the same facts are read again
        await go_on(runner)

        # then each has its letter, and the stage goes on
        assert len((await bench.outcome(scoring())).letters) == DEAD_LETTERS_AT_MOST // 2 + 1


# Cases that halt alone


@dataclass(frozen=True)
class Mishap:
    """Something that one case stumbles over, in one stage.

    told: everything that comes; the last four records come only when the case has halted
    stumbles_at: the records at which it cannot go on
    knows: the cases that have a key from the start
    """

    stage: Stage[Any]
    mended: Stage[Any]
    told: Sequence[Event[Data]]
    stumbles_at: Callable[[Event[Data]], bool]
    reason: str
    knows: Sequence[str] = (ANNA, BO, CARL)

    @property
    def case_id(self) -> str:
        return self.told[self.offset].subject

    @property
    def offset(self) -> int:
        return next(offset for offset, event in enumerate(self.told) if self.stumbles_at(event))

    async def happens(self, bench: Workbench, *, at_once: int = 5) -> None:
        await bench.know(*self.knows)
        await bench.put(self.stage.reads, self.told[:-4])
        await bench.run(self.stage, at_once=at_once)

    async def is_mended(self, bench: Workbench, *, at_once: int = 5) -> None:
        await bench.know(ANNA, BO, CARL)
        await bench.run(self.mended, at_once=at_once)

    async def spared(self, file: Path) -> Outcome:
        """What comes of the same records where it never happens."""
        with Workbench.on(file) as bench:
            await bench.know(ANNA, BO, CARL)
            await bench.put(self.mended.reads, self.told)
            await bench.run(self.mended)
            return await bench.outcome(self.mended)


MISHAPS: Final = {
    "its step fails": Mishap(
        stage=Tally(trips_over=ANNA),
        mended=Tally(),
        told=list(numbered(in_turn(attendance(ANNA).attended(6), attendance(BO).attended(6), attendance(CARL)))),
        stumbles_at=lambda event: event.subject == ANNA and isinstance(event.data, NeedsStated),
        reason="step-failed ValueError in step, line ",
    ),
    "a definition is missing": Mishap(
        stage=scoring(without=HOMEWORK),
        mended=scoring(),
        told=in_turn(course(ANNA), course(BO), History(CARL).enrolled().did_homework(1).answered(1).attended(1)),
        stumbles_at=lambda event: isinstance(event.data, ResponseSubmitted) and event.data.instrument == HOMEWORK,
        reason=f"definition-missing {HOMEWORK}",
    ),
    "its key is missing": Mishap(
        stage=scoring(),
        mended=scoring(),
        told=in_turn(course(ANNA), course(BO), course(CARL)),
        stumbles_at=lambda event: event.subject == BO,
        reason="key-missing",
        knows=(ANNA, CARL),
    ),
    "its key is missing further down": Mishap(
        stage=Tally(),
        mended=Tally(),
        told=list(numbered(in_turn(attendance(ANNA), attendance(BO), attendance(CARL)))),
        stumbles_at=lambda event: event.subject == BO,
        reason="key-missing",
        knows=(ANNA, CARL),
    ),
}
each_mishap = pytest.mark.parametrize("mishap", MISHAPS.values(), ids=MISHAPS.keys())


@each_mishap
async def test_a_case_that_cannot_go_on_halts_alone(mishap: Mishap, tmp_path: Path) -> None:
    # given the histories of three cases, and what comes of them
    spared = await mishap.spared(tmp_path / "spared.db")

    # when one of them cannot go on
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await mishap.happens(bench)
        found = await bench.outcome(mishap.stage)

    # then it is halted where it stands, with the reason
    (halted,) = found.halted
    assert (halted.case_id, halted.partition, halted.offset) == (mishap.case_id, PARTITION, mishap.offset)
    assert halted.reason.startswith(mishap.reason)
    before = [event for event in mishap.told[: mishap.offset] if event.subject == mishap.case_id]
    state = found.states.get(mishap.case_id)
    assert (state is None) is (not before)
    assert state is None or state.offset < mishap.offset

    # and the others have gone on
    for case_id in {ANNA, BO, CARL} - {mishap.case_id}:
        assert found.of(case_id) == spared.of(case_id)[: len(found.of(case_id))] != []
    assert found.position == Position(LOG_ID, len(mishap.told) - 4)


@each_mishap
async def test_a_halted_case_goes_on_by_itself_as_if_nothing_had_happened(mishap: Mishap, tmp_path: Path) -> None:
    # given a case that has halted, and records that have come since, some of them its own
    spared = await mishap.spared(tmp_path / "spared.db")
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await mishap.happens(bench)
        await bench.put(mishap.stage.reads, mishap.told[-4:])
        await bench.run(mishap.stage)
        assert [halted.case_id for halted in await bench.store.halted(mishap.stage.name)] == [mishap.case_id]

        # when the cause is gone and the stage runs
        await mishap.is_mended(bench)
        found = await bench.outcome(mishap.mended)

    # then nothing is halted, and everything is as it would have been, to the byte
    assert not found.halted
    assert found.by_case() == spared.by_case()
    assert found.states == spared.states
    assert found.position == spared.position


@each_mishap
async def test_a_case_can_go_on_at_once_with_what_comes_next(mishap: Mishap, tmp_path: Path) -> None:
    # given a case that has halted
    spared = await mishap.spared(tmp_path / "spared.db")
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await mishap.happens(bench, at_once=BATCH)

        # when the cause is gone, and the first time that the stage runs more has come
        await bench.put(mishap.stage.reads, mishap.told[-4:])
        await mishap.is_mended(bench, at_once=1)
        found = await bench.outcome(mishap.mended)

    # then everything is as it would have been, to the byte
    assert not found.halted
    assert found.by_case() == spared.by_case()
    assert found.states == spared.states


@each_mishap
async def test_trying_in_vain_changes_nothing(mishap: Mishap, file: Path) -> None:
    # given a case that has halted
    with Workbench.on(file) as bench:
        await mishap.happens(bench)
        topic = mishap.stage.writes
        assert topic is not None
        before, records = await bench.outcome(mishap.stage), await bench.records(topic)

        # when the stage is started again while the cause is still there
        for _ in range(3):
            await bench.run(mishap.stage)

        # then the case stands where it stood, and nothing was published
        assert await bench.outcome(mishap.stage) == before
        assert await bench.records(topic) == records


async def test_a_case_that_halts_again_further_on_still_loses_nothing(tmp_path: Path) -> None:
    # given a case that stumbles over two different things
    story = History(ANNA).enrolled().answered(1).attended(1).did_homework(2).attended(2).answered(3).closed()
    with Workbench.on(tmp_path / "spared.db") as bench:
        await bench.know(ANNA)
        await bench.put(CASES, story.events)
        await bench.run(scoring())
        spared = await bench.outcome(scoring())
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await bench.know(ANNA)
        await bench.put(CASES, story.events)
        await bench.run(scoring(without=ODSIS))
        (first,) = await bench.store.halted("scoring")

        # when the first cause is gone and the second shows itself
        await bench.run(scoring(without=HOMEWORK))
        (second,) = await bench.store.halted("scoring")

        # then it is halted for the new reason
        assert (first.reason, second.reason) == (f"definition-missing {ODSIS}", f"definition-missing {HOMEWORK}")

        # and when that is gone too, everything is as it would have been
        await bench.run(scoring())
        assert await bench.outcome(scoring()) == spared


async def test_a_halted_case_goes_on_over_more_records_than_one_batch_has(tmp_path: Path) -> None:
    # given a case that has halted, and behind it more records of others than one batch has, and one of its own
    many = BATCH + 100
    anna, bo = History(ANNA).enrolled().in_need(COMMENT).attended(1), History(BO)
    for session in range(many):
        bo.scheduled(session % 20)
    told = [
        *numbered(anna.events),
        *numbered(bo.events),
        *list(numbered([*anna.events, *anna.attended(2).events]))[-1:],
    ]
    told[-1] = replace(told[-1], sequence=4)
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await bench.know(ANNA, BO)
        await bench.put(SCORES, told)
        await bench.run(Tally(trips_over=ANNA))

        # when the cause is gone
        await bench.run(Tally())
        found = await bench.outcome(Tally())

    # then it has gone on to its end
    assert not found.halted
    assert found.states[ANNA].offset == len(told) - 1
    assert numbers(found.output, ANNA) == [1, 2, 3, 4, 5]
    assert numbers(found.output, BO) == list(range(1, many + 1))


async def test_a_case_is_known_to_be_halted_before_the_stage_moves_on(file: Path) -> None:
    # given a case that cannot go on
    trouble = Trouble()
    with Workbench.on(file, trouble) as bench:
        # when the stage comes to it
        await MISHAPS["its step fails"].happens(bench, at_once=BATCH)

    # then that is on record first
    calls = [call for call in trouble.calls if call in {"store.save", "store.halt", "store.set_position"}]
    assert calls[-3:] == ["store.save", "store.halt", "store.set_position"]


class Talkative(Exception):
    """An exception that repeats what it stumbled over, in every way there is."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.add_note(text)
        self.__cause__ = ValueError(text)

    def __repr__(self) -> str:
        return f"Talkative({self.text})"


@pytest.mark.parametrize("raises", [ValueError, KeyError, Talkative, AssertionError, OSError])
async def test_what_a_step_stumbled_over_is_told_to_nobody(
    file: Path,
    raises: Callable[[str], Exception],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given a step that raises an exception with the patient's words in it
    caplog.set_level(0)
    with Workbench.on(file) as bench:
        await _three_on_scores(bench)

        # when the stage comes to it, and tries again
        for _ in range(2):
            await bench.run(Tally(trips_over=ANNA, raises=raises))
        (halted,) = await bench.store.halted("tally")

    # then the reason names the kind of exception and the place, and the words are nowhere
    assert halted.reason.startswith("step-failed ")
    assert " in step, line " in halted.reason
    said = (halted.reason, *capsys.readouterr(), caplog.text)
    assert not [text for text in said if "Karen" in text]


async def test_a_step_that_is_interrupted_halts_nobody(file: Path) -> None:
    # given a process that is told to end in the middle of a step
    def end(_: str) -> Exception:
        raise KeyboardInterrupt

    with Workbench.on(file) as bench:
        await _three_on_scores(bench)
        runner = bench.runner(Tally(trips_over=ANNA, raises=end))
        await runner.open(PARTITION)

        # when it ends
        with pytest.raises(KeyboardInterrupt):
            await runner.advance(PARTITION)

        # then nothing was written
        assert await bench.outcome(Tally()) == Outcome([], {}, [], [], Position(LOG_ID, 0))


# Others at work


async def test_a_runner_that_was_overtaken_gives_the_partition_up(tmp_path: Path) -> None:
    # given two runners of one stage on the same partition, of which one is slow
    source = await prepared(SCENARIOS["a toy"], tmp_path / "source.db")
    file = copied(source, tmp_path / "other.db")
    with Workbench.on(source) as bench:
        await bench.run(Tally())
        expected = await bench.outcome(Tally())
    with Workbench.on(file) as bench:

        async def the_other_reads_everything() -> None:
            await bench.run(Tally())

        store = OvertakenStore(bench.store, the_other_reads_everything)
        slow = bench.runner(Tally(), store=store)
        await slow.open(PARTITION)

        # when the other has read everything before the slow one saves its batch
        with pytest.raises(PartitionLost, match="another process runs tally on partition 0"):
            await slow.advance(PARTITION, 10)

        # then states and position are those of the other, and what was published twice is the same
        assert await bench.outcome(Tally()) == expected

        # and the slow one can take the partition up again
        await slow.open(PARTITION)
        await go_on(slow)
        assert await bench.outcome(Tally()) == expected


async def test_a_runner_that_comes_to_the_same_result_as_another_goes_on(file: Path) -> None:
    # given two runners of one stage that read the same batch
    with Workbench.on(file) as bench:
        await _three_on_scores(bench)

        async def the_other_reads_the_same() -> None:
            other = bench.runner(Tally())
            await other.open(PARTITION)
            await other.advance(PARTITION, 10)

        runner = bench.runner(Tally(), store=OvertakenStore(bench.store, the_other_reads_the_same))
        await runner.open(PARTITION)

        # when both have published and saved it
        await go_on(runner, at_once=10)

        # then nothing is lost, and what was published twice is the same
        outcome = await bench.outcome(Tally())
    assert numbers(outcome.output, ANNA) == list(range(1, 13))
    assert outcome.position == Position(LOG_ID, 33)


async def test_a_partition_is_left_where_it_was_and_taken_up_there(file: Path) -> None:
    # given a stage that has read a part of a partition
    with Workbench.on(file) as bench:
        await _three_on_scores(bench)
        runner = bench.runner(Tally())
        await runner.open(PARTITION)

        # when it is asked to read some, more, and the rest
        read = [await runner.advance(PARTITION, limit) for limit in (4, 10, 100, 100)]

        # then it says how many there were, and knows how far it has come
        assert read == [4, 10, 19, 0]
        assert await bench.store.position("tally", PARTITION) == Position(LOG_ID, 33)


async def test_partitions_do_not_wait_for_each_other(file: Path) -> None:
    # given the histories of two cases in two partitions
    other = 5
    (dora,) = cases_of(other, 1)
    with Workbench.on(file) as bench:
        await bench.know(ANNA, dora)
        await bench.put(SCORES, numbered(attendance(ANNA).events))
        await bench.put(SCORES, numbered(attendance(dora).events), partition=other)

        # when one is read
        await bench.run(Tally(), partition=other)

        # then the output is in the partition of the input, and nothing is in the other
        assert {each.key for each in await bench.records(TRACKS, other)} == {dora}
        assert await bench.log.end(TRACKS, PARTITION) == 0
        assert await bench.store.position("tally", PARTITION) is None


# Erased cases


@pytest.mark.parametrize("read_before", [0, 12, 33])
async def test_the_records_of_an_erased_case_are_passed_over_and_the_others_go_on(
    file: Path, tmp_path: Path, read_before: int
) -> None:
    # given the histories of three cases, of which some was read
    source = await prepared(SCENARIOS["a toy"], tmp_path / "source.db")
    copied(source, file)
    with Workbench.on(source) as bench:
        await bench.run(Tally())
        spared = await bench.outcome(Tally())
    with Workbench.on(file) as bench:
        runner = bench.runner(Tally())
        await runner.open(PARTITION)
        if read_before:
            await runner.advance(PARTITION, read_before)
        before = await bench.outcome(Tally())

        # when the key of one of them is destroyed
        await bench.keyring.destroy(BO)
        await bench.run(Tally(), at_once=5)
        found = await bench.outcome(Tally())

    # then nothing more is said of it, and it is not halted
    assert found.of(BO) == before.of(BO)
    assert found.states.get(BO) == before.states.get(BO)
    assert not found.halted

    # and the others are as they would have been
    for case_id in (ANNA, CARL):
        assert found.of(case_id) == spared.of(case_id)
        assert found.states[case_id] == spared.states[case_id]
    assert found.position == spared.position


async def test_facts_of_an_erased_case_are_no_dead_letters(file: Path) -> None:
    # given facts of a case that was erased, and some bytes under its name
    with Workbench.on(file) as bench:
        await _three_on_cases(bench)
        await bench.log.append(CASES, PARTITION, [Record(BO, b"no fact")])
        await bench.keyring.destroy(BO)

        # when they are read
        await bench.run(scoring())
        outcome = await bench.outcome(scoring())

    # then there is no letter, and nothing is said
    assert outcome.letters == []
    assert outcome.of(BO) == []
    assert outcome.of(ANNA) != []


@each_mishap
async def test_a_halted_case_that_is_erased_is_no_longer_halted(mishap: Mishap, file: Path) -> None:
    # given a case that has halted
    with Workbench.on(file) as bench:
        await mishap.happens(bench)

        # when its key is destroyed, though the cause is still there
        await bench.keyring.destroy(mishap.case_id)
        await bench.run(mishap.stage)

        # then nobody waits for it any more
        assert list(await bench.store.halted(mishap.stage.name)) == []
