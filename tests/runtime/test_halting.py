"""A case that cannot go on halts alone, tells nobody what it stumbled over, and goes on as if nothing had happened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.events.event import Data, Event
from contracts.events.facts import NeedsStated, ResponseSubmitted
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, SCORES
from services.ingest.domain.register import Register
from services.runtime.founding import Founding
from services.runtime.log.port import Record
from services.runtime.rebuild import rebuild
from services.runtime.runner import BATCH
from services.runtime.stage import Stage
from services.runtime.store.port import Position
from services.scoring.domain.stage import Scoring
from tests.runtime.stories import ANNA, BO, CARL, COMMENT, Counted, Tally, attendance, course, scoring, three_on_scores
from tests.support.faults import Trouble
from tests.support.histories import HOMEWORK, ODSIS, History, in_turn, numbered
from tests.support.workbench import LOG_ID, PARTITION, Outcome, Workbench, go_on, numbers


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
    "its step fails at its first event": Mishap(
        stage=Tally(trips_over=ANNA),
        mended=Tally(),
        told=list(
            numbered(in_turn(History(ANNA).in_need(COMMENT).attended(1).attended(2), attendance(BO), attendance(CARL)))
        ),
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


STATES_LOST: Final = {
    "of facts": (scoring(), in_turn(course(ANNA), course(BO), course(CARL))),
    "of conclusions": (Tally(), list(numbered(in_turn(attendance(ANNA), attendance(BO), attendance(CARL))))),
    "of one that says nothing": (Register(), in_turn(course(ANNA), course(BO), course(CARL))),
}


@pytest.mark.parametrize(("stage", "told"), STATES_LOST.values(), ids=STATES_LOST.keys())
async def test_a_case_whose_state_was_lost_halts_until_it_is_made_anew(
    stage: Stage[Any], told: Sequence[Event[Data]], tmp_path: Path
) -> None:
    # given the histories of three cases, and what comes of them
    with Workbench.on(tmp_path / "spared.db") as bench:
        await bench.know(ANNA, BO, CARL)
        await bench.put(stage.reads, told)
        await bench.run(stage)
        spared = await bench.outcome(stage)

    # when the state of one is lost, before more is told
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await bench.know(ANNA, BO, CARL)
        await bench.put(stage.reads, told[:-6])
        await bench.run(stage)
        before = await bench.outcome(stage)
        await bench.store.remove(stage.name, [BO])
        await bench.put(stage.reads, told[-6:])
        await bench.run(stage)
        await bench.run(stage)
        found = await bench.outcome(stage)

        # then it halts where it would go on, nothing is said of it, and the others have gone on
        next_of_bo = next(place for place, event in enumerate(told[-6:], len(told) - 6) if event.subject == BO)
        assert [(each.case_id, each.offset, each.reason) for each in found.halted] == [
            (BO, next_of_bo, "state-missing")
        ]
        assert found.of(BO) == before.of(BO)
        assert [found.of(case_id) for case_id in (ANNA, CARL)] == [spared.of(case_id) for case_id in (ANNA, CARL)]

        # and when what is known is made anew, then everything is as it would have been, to the byte
        await rebuild(stage, bench.log, bench.store, bench.keyring, LOG_ID, lambda _: None)
        found = await bench.outcome(stage)
    assert not found.halted
    assert found.by_case() == spared.by_case()
    assert found.states == spared.states


async def test_a_case_of_which_nothing_could_be_read_before_begins_where_something_can(tmp_path: Path) -> None:
    # given a case with a record that cannot be read, which nobody else has begun
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"{}")])
        await bench.run(scoring())

        # when more comes of it, and not its enrolment first
        await bench.put(CASES, History(ANNA).answered(1).events)
        await bench.run(scoring())

        # then it is not halted
        found = await bench.outcome(scoring())
    assert not found.halted
    assert found.states[ANNA].offset == 1


@pytest.mark.parametrize("at_once", [1, 5, BATCH])
async def test_no_case_halts_for_a_definition_that_was_published_since_any_was_asked_for(
    at_once: int, tmp_path: Path
) -> None:
    # given the histories of three cases, and what comes of them
    mishap = MISHAPS["a definition is missing"]
    spared = await mishap.spared(tmp_path / "spared.db")
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await bench.know(ANNA, BO, CARL)
        await bench.put(CASES, mishap.told)
        await bench.log.append(CASES, PARTITION, [Record(BO, b"not a fact")])

        # when a stage comes to them that knew a definition too little when it began
        known = Catalogue(entry for entry in library() if entry.ref != HOMEWORK)

        async def learn() -> None:
            for entry in library():
                known.add(entry)

        runner = bench.runner(Scoring(known))
        runner.learn = learn
        await runner.open(PARTITION)
        await go_on(runner, at_once=at_once)
        found = await bench.outcome(mishap.mended)

        letters = await bench.records(DEAD_LETTERS)

    # then everything is as if it had known it from the start, and nothing was done twice
    assert not found.halted
    assert found.by_case() == spared.by_case()
    assert found.states == spared.states
    assert len(letters) == 1


async def test_where_the_definitions_on_the_log_cannot_be_read_a_case_halts_alone(tmp_path: Path) -> None:
    # given the histories of three cases, of one of which a definition is missing, and a log that says unfit ones
    mishap = MISHAPS["a definition is missing"]
    spared = await mishap.spared(tmp_path / "spared.db")
    with Workbench.on(tmp_path / "ontrack.db") as bench:
        await bench.know(ANNA, BO, CARL)
        await bench.put(CASES, mishap.told)
        await bench.log.append(DEFINITIONS, 0, [Record("log", b"not a definition")])

        # when a stage comes to them
        runner = bench.runner(mishap.stage)
        runner.learn = Founding(bench.log).learn
        await runner.open(PARTITION)
        await go_on(runner)
        found = await bench.outcome(mishap.stage)

    # then that case is halted, and the others go on
    assert [(each.case_id, each.reason) for each in found.halted] == [(mishap.case_id, mishap.reason)]
    assert [found.of(case_id) for case_id in (ANNA, BO)] == [spared.of(case_id) for case_id in (ANNA, BO)]


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
    anna = list(numbered(History(ANNA).enrolled().in_need(COMMENT).attended(1).attended(2).events))
    bo = History(BO)
    for session in range(many):
        bo.scheduled(session % 20)
    told = [*anna[:3], *numbered(bo.events), anna[3]]
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
        await three_on_scores(bench)

        # when the stage comes to it, and tries again
        for _ in range(2):
            await bench.run(Tally(trips_over=ANNA, raises=raises))
        (halted,) = await bench.store.halted("tally")

    # then the reason names the kind of exception and the place, and the words are nowhere
    assert halted.reason.startswith("step-failed ")
    assert " in step, line " in halted.reason
    said = (halted.reason, *capsys.readouterr(), caplog.text)
    assert not [text for text in said if "Karen" in text]


class Gossip(Tally):
    """A toy that speaks of another case where Anna states a need."""

    def step(self, state: Counted, event: Event[Data]) -> tuple[Counted, Sequence[Event[Data]]]:
        state, following = super().step(state, event)
        if event.subject == ANNA and isinstance(event.data, NeedsStated):
            following = [*following, event._replace(subject=BO)]
        return state, following


async def test_a_step_that_speaks_of_another_case_halts_its_own_and_no_other(tmp_path: Path) -> None:
    # given the histories of three cases, and what comes of them
    async def ran(name: str, stage: Tally) -> Outcome:
        with Workbench.on(tmp_path / name) as bench:
            await three_on_scores(bench)
            await bench.run(stage, at_once=7)
            return await bench.outcome(stage)

    spared = await ran("spared.db", Tally())

    # when the step of one of them speaks of another
    found = await ran("ontrack.db", Gossip())

    # then the one that spoke is halted there, and nothing of what it said is on the log
    (halted,) = found.halted
    assert halted.case_id == ANNA
    assert halted.reason.startswith("step-failed ValueError")
    said = found.of(ANNA)
    assert said == spared.of(ANNA)[: len(said)]
    assert found.states[ANNA].offset < halted.offset

    # and the others have come to their ends, as they would have
    for case_id in (BO, CARL):
        assert found.of(case_id) == spared.of(case_id)
        assert found.states[case_id] == spared.states[case_id]
    assert found.position == spared.position


async def test_a_step_that_is_interrupted_halts_nobody(file: Path) -> None:
    # given a process that is told to end in the middle of a step
    def end(_: str) -> Exception:
        raise KeyboardInterrupt

    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        runner = bench.runner(Tally(trips_over=ANNA, raises=end))
        await runner.open(PARTITION)

        # when it ends
        with pytest.raises(KeyboardInterrupt):
            await runner.advance(PARTITION)

        # then nothing was written
        assert await bench.outcome(Tally()) == Outcome([], {}, [], [], Position(LOG_ID, 0))


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
