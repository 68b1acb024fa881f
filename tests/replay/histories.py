"""Generated histories: everything that can happen to a case, in an order that a clinic could bring it about."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from hypothesis import strategies as st

from contracts.events.facts import (
    BaselineSet,
    CaseClosed,
    CaseTransferred,
    ProblemNamed,
    ReportSeen,
    SessionAttended,
    SessionCancelled,
    SessionDue,
    SessionScheduled,
)
from tests.support.clinic import FIRST_DAY, Case, a_case, instrument, policy_like, rule

TOTALS: Final = st.integers(min_value=0, max_value=20)
PROTOCOLS: Final = ("open-ended", "group-cbt-depression-14")


@cache
def policies() -> tuple[str, ...]:
    """Give policies of every reading and with every option."""
    breaking = [rule("deterioration/1"), rule("no_change/1", missing="break")]
    stepwise = [rule("deterioration/1", compared_with="previous"), rule("no_change/1", unless_healthy=True)]
    return (
        "gryesten-2023",
        "gryesten-2023-baseline",
        "gryesten-2023-window",
        policy_like(id="breaking", rules=breaking),
        policy_like(id="stepwise", rules=stepwise),
        policy_like(id="sticky", once_not="stays", persistent_after=2, silent_after=1),
        policy_like(id="first-valid", baseline="first_valid", notify="first_of_episode"),
        policy_like(id="by-hand", baseline="explicit"),
    )


class _Drawn:
    """A case while its history is drawn."""

    def __init__(self, draw: st.DrawFn, *, commuting: bool) -> None:
        self.draw = draw
        protocol = draw(st.sampled_from(PROTOCOLS))
        self.case = a_case(draw(st.none() | TOTALS), draw(st.sampled_from(policies())), protocol)
        self.changed: set[tuple[int | str, str]] = set()
        self.alone: set[str] = set()
        self.commuting = commuting

    def answer(self, session: int) -> None:
        comment = self.draw(st.none() | st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1, max_size=9))
        self.case.answered(session, self.draw(TOTALS), comment=comment)

    def other_forms(self, session: int) -> None:
        items = [item.id for item in instrument("phq-9")[1].items]
        self.case.answered(session, {item: self.draw(st.integers(0, 1)) for item in items}, name="phq-9")
        self.case.answered(session, {"problem_1": self.draw(st.integers(0, 5)), "problem_2": 1}, name="psychlops-2")

    def group_questionnaire(self, session: int) -> None:
        value = self.draw(st.integers(1, 7))
        at = day(session) + timedelta(hours=3)
        self.case.answered(session, {item.id: value for item in instrument("gq-12")[1].items}, name="gq-12", at=at)

    def individual_session(self, session: int) -> None:
        name = self.draw(st.sampled_from(["individual-1", "individual-2", "individual-3"]))
        if name not in self.alone:
            self.alone.add(name)
            self.case.answered(name, self.draw(TOTALS), at=day(session) + timedelta(days=1), comment="alone")

    def miss(self, session: int) -> None:
        self.case.missed(session)

    def cancel(self, session: int) -> None:
        self.case.says(SessionCancelled(session=session), at=day(session) - timedelta(hours=5))

    def plan(self, session: int) -> None:
        at = day(session)
        self.case.says(
            SessionScheduled(session=session, scheduled=at), at=at - timedelta(days=2), key=f"plan/{session}"
        )
        self.case.says(SessionDue(session=session, scheduled=at), at=at, key=f"due/{session}")
        self.case.says(SessionAttended(session=session), at=at, key=f"attended/{session}")

    def name_problem(self, session: int) -> None:
        text = self.draw(st.sampled_from(["sleep", "my brother", "money"]))
        self.case.says(ProblemNamed(problem=1, text=text), at=day(session) - timedelta(hours=1), key=f"named/{session}")

    def correct(self, _session: int) -> None:
        if (place := self._an_answer()) is not None:
            self.case.corrected(place[0], self.draw(TOTALS))

    def withdraw(self, _session: int) -> None:
        if (place := self._an_answer()) is not None:
            self.case.withdrawn(place[0])

    def set_baseline(self, _session: int) -> None:
        if not (self.commuting and any(isinstance(fact.data, BaselineSet) for fact in self.case.facts)):
            self.case.baseline_set(self.draw(TOTALS))

    def change_policy(self, session: int) -> None:
        self.case.policy_changed(self.draw(st.sampled_from(policies()[:3])), from_session=session)

    def transfer(self, _session: int) -> None:
        self.case.says(CaseTransferred(group=self.draw(st.sampled_from(["g2", "g3"]))))

    def see(self, _session: int) -> None:
        reports = list(self.case.dossier.reports)
        if reports:
            self.case.says(ReportSeen(report=self.draw(st.sampled_from(reports)), by="therapist:1"))

    def _an_answer(self) -> tuple[int | str, str] | None:
        """Choose an answer to change; where facts must commute, none is changed twice."""
        known = [place for place in sorted(self.case.responses, key=str) if place[1] == "odsis"]
        free = [place for place in known if not (self.commuting and place in self.changed)]
        place = self.draw(st.sampled_from(free)) if free else None
        if place is not None:
            self.changed.add(place)
        return place


Happening = Callable[[_Drawn, int], None]
COMMUTING: Final[tuple[Happening, ...]] = (
    _Drawn.answer,
    _Drawn.answer,
    _Drawn.other_forms,
    _Drawn.group_questionnaire,
    _Drawn.individual_session,
    _Drawn.miss,
    _Drawn.cancel,
    _Drawn.plan,
    _Drawn.name_problem,
    _Drawn.correct,
    _Drawn.withdraw,
    _Drawn.set_baseline,
)
ORDERED: Final[tuple[Happening, ...]] = (_Drawn.change_policy, _Drawn.transfer, _Drawn.see)


@st.composite
def histories(draw: st.DrawFn, *, commuting: bool = False) -> Case:
    """Draw a course. commuting: nothing in it depends by its nature on what came before."""
    drawn = _Drawn(draw, commuting=commuting)
    possible = COMMUTING if commuting else (*COMMUTING, *ORDERED)
    for session in range(1, draw(st.integers(min_value=1, max_value=8)) + 1):
        for happening in draw(st.lists(st.sampled_from(possible), max_size=4, unique=True)):
            happening(drawn, session)
    if draw(st.booleans()):
        drawn.case.says(CaseClosed(reason="completed"), at=day(20), key="closed")
    return drawn.case


def day(session: int) -> datetime:
    """Give the morning of a session."""
    return FIRST_DAY + timedelta(weeks=session)
