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
from contracts.events.facts import ActionChosen, NeedsStated, ReportClosed, ReportDiscussed, ReportSeen
from contracts.events.notices import ReportIssued, ReportKind, ReportOverdue, ReportRevised
from contracts.events.tracks import Decision, Status

SESSIONS_AFTER: Final = 3
"""Sessions after the report over which is looked how the patient did."""

FEWEST: Final = 5
"""Patients whom a group must have had to be told of by itself: of fewer, one could be recognised."""

_SAID: Final[Mapping[type[Data], str]] = {
    ReportSeen: "seen",
    NeedsStated: "seen",
    ReportDiscussed: "discussed",
    ActionChosen: "acted",
    ReportClosed: "closed",
}


@dataclass(frozen=True, slots=True)
class After:
    """How a later session was judged. score: of the primary scale; None if it has no valid one."""

    session: int
    status: Status
    score: Decimal | None


@dataclass(slots=True)
class Loop:
    """A report, and what came of it; each moment is the earliest that somebody has said, of those since it was issued.

    Where all that was said is earlier than that, it is the earliest.

    group: that the case belonged to when it was issued
    seen: also by whoever has done anything else about it, as the clinical rules have it
    session: that it was issued for; score: of that session; both None for what is about none
    actions: what was chosen, each once; agreed: whether the patient agreed to all of them
    overdue: nobody had looked when the next session came
    before_issued: what was said to have been before the report itself: by one clock or another that was wrong
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
    before_issued: tuple[str, ...] = ()
    after: tuple[After, ...] = ()

    def first(self, one: datetime | None, other: datetime) -> datetime:
        """Give the first of two moments: one that is earlier than the report itself only if both are."""
        return min((at for at in (one, other) if at is not None), key=lambda at: (at < self.issued, at))

    def until(self, at: datetime | None) -> timedelta | None:
        """How long after the report was issued something happened; None if it did not, or bears an earlier time."""
        return None if at is None or at < self.issued else at - self.issued

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
            case NeedsStated(seen_by="patient"):
                continue
            case ReportSeen() | ReportDiscussed() | NeedsStated() | ActionChosen() | ReportClosed() as said:
                if said.report is not None and said.report in found:
                    _dealt_with(found[said.report], event)
    for loop in found.values():
        loop.after = tuple(_after(loop, decisions))
    return list(found.values())


def _dealt_with(loop: Loop, fact: Event[Data]) -> None:
    at = fact.time
    if at < loop.issued:
        loop.before_issued = tuple(dict.fromkeys((*loop.before_issued, _SAID[type(fact.data)])))
    loop.seen = loop.first(loop.seen, at)
    match fact.data:
        case ReportDiscussed():
            loop.discussed = loop.first(loop.discussed, at)
        case ActionChosen() as chosen:
            loop.acted = loop.first(loop.acted, at)
            loop.actions = tuple(dict.fromkeys((*loop.actions, chosen.action)))
            loop.agreed = loop.agreed and chosen.patient_agreed
        case ReportClosed():
            loop.closed = loop.first(loop.closed, at)


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
    """Sum up by group. patients: how many each had; those with fewer than five are told of together, or not at all.

    Where these have fewer than five together, the smallest other group is told of with them: else what the groups that
    are told of lack of all would be theirs.
    """
    groups: dict[str | None, list[Loop]] = defaultdict(list)
    for loop in some:
        groups[loop.group].append(loop)
    large = sorted(
        (patients[group], group) for group in groups if group is not None and patients.get(group, 0) >= FEWEST
    )
    number = sum(count for group, count in patients.items() if group is None or count < FEWEST)
    if len(large) < len(groups) and number < FEWEST and large:
        number += large.pop(0)[0]
    found = [summary(group, groups.pop(group)) for group in sorted(group for _, group in large)]
    if number >= FEWEST and groups:
        found.append(summary("smaller groups together", [loop for loops_of in groups.values() for loop in loops_of]))
    return found


def _median(times: Iterable[timedelta | None]) -> timedelta | None:
    known = [time.total_seconds() for time in times if time is not None]
    return timedelta(seconds=median(known)) if known else None
