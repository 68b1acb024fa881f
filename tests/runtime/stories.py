"""What the stories of the runner are told with: three patients, a toy stage, and homes in which things went wrong."""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.events.event import Data, Derivation, Event
from contracts.events.facts import NeedsStated, SessionAbsent, SessionAttended
from contracts.events.scores import FactSetAside
from contracts.topics import CASES, SCORES, TRACKS, Topic
from services.runtime.log.port import Record
from services.runtime.stage import Stage
from services.scoring.domain.stage import Scoring
from tests.support.histories import ODSIS, History, in_turn, numbered
from tests.support.workbench import PARTITION, Workbench, cases_of

ANNA, BO, CARL = cases_of(PARTITION, 3)
COMMENT: Final = "I cannot sleep since Karen left"
WAY_OUT: Final = (
    "export the log (ontrack export --output DIR --keys FILE) and import it into an empty home "
    "(ontrack import DIR --keys FILE)"
)
RECORDS_BACK: Final = f"restore the last backup into an empty place (ontrack restore); without one, {WAY_OUT}"
REBUILD: Final = "ontrack rebuild tally makes them anew from the log"


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


# A scenario is a stage with a log to read. It is prepared once and run many times, each time on a copy.


@dataclass(frozen=True)
class Scenario:
    """A stage, and how its home came about."""

    stage: Callable[[], Stage[Any]]
    prepare: Callable[[Workbench], Awaitable[None]]

    async def run(self, bench: Workbench, *, at_once: int) -> None:
        await bench.run(self.stage(), at_once=at_once)


async def three_on_scores(bench: Workbench) -> None:
    await bench.know(ANNA, BO, CARL)
    await bench.put(SCORES, numbered(in_turn(attendance(ANNA), attendance(BO), attendance(CARL))))


async def three_on_cases(bench: Workbench) -> None:
    await bench.know(ANNA, BO, CARL)
    await bench.put(CASES, in_turn(course(ANNA), course(BO), course(CARL)))


async def mishaps_on_cases(bench: Workbench) -> None:
    """A home in which one case halts, one never had a key, and some records cannot be read."""
    await bench.know(ANNA, BO)
    events = in_turn(course(ANNA), course(BO), course(CARL))
    for number, event in enumerate(events):
        await bench.put(CASES, [event])
        if number % 9 == 4:
            await bench.log.append(CASES, PARTITION, [Record(ANNA, b"not a fact %d" % number)])


async def halted_on_cases(bench: Workbench) -> None:
    """A home in which two cases have halted, with later facts behind them; now the causes are gone."""
    await mishaps_on_cases(bench)
    await bench.run(scoring(without=ODSIS), at_once=5)
    assert [halted.case_id for halted in await bench.store.halted("scoring")] == sorted([ANNA, BO, CARL])
    await bench.know(CARL)
    await bench.put(CASES, in_turn(course(ANNA), course(CARL)))


SCENARIOS: Final = {
    "a toy": Scenario(Tally, three_on_scores),
    "a toy that reads facts": Scenario(lambda: Tally(reads=CASES, writes=SCORES), three_on_cases),
    "scoring": Scenario(scoring, three_on_cases),
    "scoring with mishaps": Scenario(scoring, mishaps_on_cases),
    "scoring that goes on after mishaps": Scenario(scoring, halted_on_cases),
}
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


async def prepared(scenario: Scenario, file: Path) -> Path:
    with Workbench.on(file) as bench:
        await scenario.prepare(bench)
    return file


def copied(source: Path, target: Path) -> Path:
    shutil.copy(source, target)
    return target
