"""What came of reports: from when one was issued until its loop was closed, and how the patient did then.

Gryesten et al. (2023) found that reports alone are not enough: they must lead to a conversation and an action. So this
is what a clinic is told of itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from contracts.events.event import Data, Event
from contracts.events.facts import ActionChosen, ReportClosed, ReportDiscussed, ReportSeen
from contracts.events.notices import ReportIssued, ReportKind, ReportOverdue, ReportRevised
from contracts.events.tracks import Decision, Status

SESSIONS_AFTER: Final = 3
"""Sessions after the report over which is looked how the patient did."""

FEWEST: Final = 5
"""Patients whom a group must have had to be told of by itself: of fewer, one could be recognised."""


@dataclass(frozen=True, slots=True)
class After:
    """How a later session was judged. score: of the primary scale; None if it has no valid one."""

    session: int
    status: Status
    score: Decimal | None


@dataclass(slots=True)
class Loop:
    """A report, and what came of it; each moment is that of the first time.

    group: that the case belonged to when it was issued
    session: that it was issued for; score: of that session; both None for what is about none
    actions: what was chosen, each once; agreed: whether the patient agreed to all of them
    overdue: nobody had looked when the next session came
    """

    report: str
    case: str
    kind: ReportKind
    group: str | None
    issued: datetime
    session: int | None
    score: Decimal | None
    seen: datetime | None = None
    discussed: datetime | None = None
    actions: tuple[str, ...] = ()
    agreed: bool = True
    acted: datetime | None = None
    closed: datetime | None = None
    overdue: bool = False
    retracted: bool = False
    after: tuple[After, ...] = ()

    def until(self, at: datetime | None) -> timedelta | None:
        """How long after the report was issued something happened; None if it did not, or bears an earlier time."""
        return None if at is None or at < self.issued else at - self.issued

    @property
    def before_issued(self) -> tuple[str, ...]:
        """What bears an earlier time than the report itself: by one clock or another that was wrong."""
        moments = {"seen": self.seen, "discussed": self.discussed, "acted": self.acted, "closed": self.closed}
        return tuple(what for what, at in moments.items() if at is not None and at < self.issued)

    @property
    def is_back_on_track(self) -> bool | None:
        """Whether a session after it was on track; None as long as so many sessions were not judged."""
        if any(each.status == "on_track" for each in self.after):
            return True
        return False if len(self.after) == SESSIONS_AFTER else None


def loops(case_id: str, course: Iterable[Event[Data]], told: Iterable[Event[Data]]) -> list[Loop]:
    """Give the reports of a case with what came of them.

    course: the facts and decisions of the case, in order; told: what was said of its reports, in order
    """
    found: dict[str, Loop] = {}
    for event in told:
        match event.data:
            case ReportIssued(report=report, content=content):
                found[report] = Loop(
                    report=report,
                    case=case_id,
                    kind=content.kind,
                    group=content.group,
                    issued=event.time,
                    session=content.session if isinstance(content.session, int) else None,
                    score=None if content.decision is None else content.decision.score,
                )
            case ReportRevised(report=report, state=state) if report in found:
                found[report].retracted = state == "retracted"
            case ReportOverdue(report=report) if report in found:
                found[report].overdue = True
    decisions: dict[int, Decision] = {}
    for event in course:
        match event.data:
            case Decision() as decision:
                decisions[decision.session] = decision
            case ReportSeen(report=report) if report in found:
                found[report].seen = found[report].seen or event.time
            case ReportDiscussed(report=report) if report in found:
                found[report].discussed = found[report].discussed or event.time
            case ActionChosen(report=report) as chosen if report in found:
                _act(found[report], chosen, event.time)
            case ReportClosed(report=report) if report in found:
                found[report].closed = found[report].closed or event.time
    for loop in found.values():
        loop.after = tuple(_after(loop, decisions))
    return list(found.values())


def _act(loop: Loop, chosen: ActionChosen, at: datetime) -> None:
    loop.actions = tuple(dict.fromkeys((*loop.actions, chosen.action)))
    loop.agreed = loop.agreed and chosen.patient_agreed
    loop.acted = loop.acted or at


def _after(loop: Loop, decisions: Mapping[int, Decision]) -> list[After]:
    if loop.session is None:
        return []
    later = [decisions[session] for session in sorted(decisions) if session > loop.session]
    return [After(each.session, each.status, each.score) for each in later[:SESSIONS_AFTER]]


@dataclass(slots=True)
class Summary:
    """What came of the reports of some cases. Times are medians, of those to which it happened.

    before_issued: reports of which something bears an earlier time than they do; that is in no median
    """

    of: str
    cases: int = 0
    reports: int = 0
    seen: int = 0
    until_seen: timedelta | None = None
    discussed: int = 0
    until_discussed: timedelta | None = None
    with_action: int = 0
    closed: int = 0
    overdue: int = 0
    before_issued: int = 0
    back_on_track: int = 0
    judged_after: int = 0
    actions: Mapping[str, int] = field(default_factory=dict)


def summary(of: str, some: Sequence[Loop]) -> Summary:
    """Sum up what came of some reports. Those that were retracted are left out: nothing had to come of them."""
    held = [loop for loop in some if not loop.retracted]
    actions: dict[str, int] = defaultdict(int)
    for loop in held:
        for action in loop.actions:
            actions[action] += 1
    judged = [loop.is_back_on_track for loop in held if loop.is_back_on_track is not None]
    return Summary(
        of=of,
        cases=len({loop.case for loop in held}),
        reports=len(held),
        seen=sum(loop.seen is not None for loop in held),
        until_seen=_median([loop.until(loop.seen) for loop in held]),
        discussed=sum(loop.discussed is not None for loop in held),
        until_discussed=_median([loop.until(loop.discussed) for loop in held]),
        with_action=sum(bool(loop.actions) for loop in held),
        closed=sum(loop.closed is not None for loop in held),
        overdue=sum(loop.overdue for loop in held),
        before_issued=sum(bool(loop.before_issued) for loop in held),
        back_on_track=sum(judged),
        judged_after=len(judged),
        actions=dict(sorted(actions.items())),
    )


def by_group(some: Sequence[Loop], patients: Mapping[str | None, int]) -> list[Summary]:
    """Sum up by group. patients: how many each had; those with fewer than five are told of together, or not at all."""
    groups: dict[str, list[Loop]] = defaultdict(list)
    small: list[Loop] = []
    for loop in some:
        if loop.group is not None and patients.get(loop.group, 0) >= FEWEST:
            groups[loop.group].append(loop)
        else:
            small.append(loop)
    number = sum(count for group, count in patients.items() if group is None or count < FEWEST)
    found = [summary(group, loops_of) for group, loops_of in sorted(groups.items())]
    if number >= FEWEST and small:
        found.append(summary("smaller groups together", small))
    return found


def _median(times: Iterable[timedelta | None]) -> timedelta | None:
    known = [time.total_seconds() for time in times if time is not None]
    return timedelta(seconds=median(known)) if known else None
