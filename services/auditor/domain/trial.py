"""A policy that is tried: how its judgements differ from those that hold, what would be told, and how early.

What is compared stands on what is known in the end: of each session the decision that holds after every late answer
and every correction. What therapists would be told is counted in the week of the answer, whenever that was entered.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final, Literal, NamedTuple

from contracts.definitions.instrument import Scale
from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, CaseTransferred, PolicyChanged, SessionDue
from contracts.events.fields import Session
from contracts.events.notices import NoticeRequested, ReportIssued, ReportKind
from contracts.events.scores import OccasionMissed, ScoreComputed, ScoreRevised
from contracts.events.tracks import Decision, Status, TrackEvaluated, TrackRevised

COUNTED: Final[tuple[ReportKind, ...]] = ("not", "silent")
"""Kinds of reports that follow from a policy; one about safety is issued whatever the policy."""

TENTH: Final = Decimal("0.1")
Clock = Callable[[datetime], datetime]
Change = Literal["newly", "no_longer", "otherwise"]


def under(policy: str, events: Iterable[Event[Data]]) -> Iterator[Event[Data]]:
    """Give the events of a case as if it had had one policy from its beginning on."""
    for event in events:
        match event.data:
            case CaseEnrolled() as enrolment:
                yield event._replace(data=enrolment.model_copy(update={"policy": policy}))
            case PolicyChanged():
                pass
            case _:
                yield event


class Place(NamedTuple):
    """Where therapists are told together: a group of a clinic; None for patients without one."""

    clinic: str
    group: str | None


class InWeek(NamedTuple):
    """A week, by its Monday, at a place."""

    place: Place
    monday: date


@dataclass(frozen=True, slots=True)
class Concluded:
    """What follows from the facts of a case under a policy.

    decisions: session -> the decision that holds in the end
    reports: how many were issued of each kind; told: how often the therapists were told, and when
    """

    decisions: Mapping[int, Decision]
    reports: Mapping[ReportKind, int]
    told: Mapping[InWeek, int]

    def status(self, session: int) -> Status | None:
        """Give the status of a session; None if it was not judged."""
        decision = self.decisions.get(session)
        return None if decision is None else decision.status

    @property
    def not_on_track(self) -> list[int]:
        """The sessions that are not on track, in order."""
        return [session for session in sorted(self.decisions) if self.status(session) == "not_on_track"]


def gathered(said: Iterable[Event[Data]], clock: Clock) -> Concluded:
    """Gather what was concluded. said: what the stages said, in order; clock: gives a moment by the clinic's clock."""
    decisions: dict[int, Decision] = {}
    reports: Counter[ReportKind] = Counter()
    told: Counter[InWeek] = Counter()
    for event in said:
        match event.data:
            case TrackEvaluated() | TrackRevised() as decision:
                decisions[decision.session] = decision
            case ReportIssued(content=content) if content.kind in COUNTED:
                reports[content.kind] += 1
            case NoticeRequested(kind=kind, to="therapists", clinic=clinic, group=group) if kind in COUNTED:
                told[InWeek(Place(clinic, group), _monday(event.time, clock))] += 1
    return Concluded(decisions, reports, told)


def weeks_in_treatment(events: Iterable[Event[Data]], clock: Clock) -> set[InWeek]:
    """Give the weeks in which a case had a session that was answered, missed or due, each where it was then."""
    found: set[InWeek] = set()
    place = Place("", None)
    for event in events:
        match event.data:
            case CaseEnrolled(clinic=clinic, group=group):
                place = Place(clinic, group)
            case CaseTransferred(clinic=clinic, group=group):
                place = Place(clinic or place.clinic, group)
            case ScoreComputed(session=session, answered_at=at) | ScoreRevised(session=session, answered_at=at):
                found |= _week(place, session, at, clock)
            case OccasionMissed(session=session):
                found |= _week(place, session, event.time, clock)
            case SessionDue(session=session, scheduled=at):
                found |= _week(place, session, at, clock)
    return found


def _week(place: Place, session: Session, at: datetime, clock: Clock) -> set[InWeek]:
    return {InWeek(place, _monday(at, clock))} if isinstance(session, int) and session > 0 else set()


def _monday(moment: datetime, clock: Clock) -> date:
    day = clock(moment).date()
    return day - timedelta(days=day.weekday())


@dataclass(frozen=True, slots=True)
class Changed:
    """A session that would be judged otherwise. before, after: None where it is not judged."""

    session: int
    before: Decision | None
    after: Decision | None
    how: Change


def changes(before: Concluded, after: Concluded) -> list[Changed]:
    """Give the sessions whose status is another one, in order."""
    return [
        Changed(session, before.decisions.get(session), after.decisions.get(session), _how(was, then))
        for session in sorted(before.decisions.keys() | after.decisions.keys())
        if (was := before.status(session)) != (then := after.status(session))
    ]


def _how(was: Status | None, then: Status | None) -> Change:
    if then == "not_on_track":
        return "newly"
    return "no_longer" if was == "not_on_track" else "otherwise"


def deterioration(concluded: Concluded, scale: Scale, points: Decimal) -> int | None:
    """Give the first session at which the score is worse than the baseline by so many points; None if there is none.

    It is the same measure for every policy that is compared: the reliable change (Jacobson and Truax 1991) or, without
    figures for that, the points that the policies themselves ask for (Gryesten et al. 2023: 3).
    """
    for session in sorted(concluded.decisions):
        decision = concluded.decisions[session]
        if decision.score is None or decision.baseline is None:
            continue
        if scale.worsening(decision.baseline.value, decision.score) >= points:
            return session
    return None


class Seen(NamedTuple):
    """How a deterioration was seen.

    session: at which the case had deteriorated
    first: the first session that was not on track by then; None if there is none
    just_before: the measured session before it was not on track
    """

    session: int
    first: int | None
    just_before: bool

    @property
    def sessions_before(self) -> int:
        """How many sessions before it the case was first not on track; 0 if at it, or not by then."""
        return 0 if self.first is None else self.session - self.first


def seen(concluded: Concluded, session: int) -> Seen:
    """Tell how a deterioration at a session was seen."""
    found = concluded.not_on_track
    measured = [
        each for each in sorted(concluded.decisions) if each < session and concluded.decisions[each].score is not None
    ]
    return Seen(
        session,
        next((each for each in found if each <= session), None),
        bool(measured) and measured[-1] in found,
    )


class Figure(NamedTuple):
    """One number. of: out of how many, where it is a share, or of how many it is a mean or a median."""

    name: str
    value: int | Decimal | None
    of: int | None = None


@dataclass(slots=True)
class Summary:
    """What a policy says of a whole history, case by case. Of a case no more is kept than that it deteriorated.

    is_compared: with another policy, which the first one is not
    measured: session -> how many have a valid score there; not_on_track: session -> how many of these are that
    seen: of each case that deteriorated, how; comparable: cases with a baseline and a score, which could
    """

    is_compared: bool = True
    cases: int = 0
    statuses: Counter[Status] = field(default_factory=Counter)
    measured: Counter[int] = field(default_factory=Counter)
    not_on_track: Counter[int] = field(default_factory=Counter)
    changed: Counter[Change] = field(default_factory=Counter)
    cases_changed: int = 0
    ever_not: int = 0
    newly_ever: int = 0
    no_longer_ever: int = 0
    reports: Counter[ReportKind] = field(default_factory=Counter)
    told: Counter[InWeek] = field(default_factory=Counter)
    comparable: int = 0
    seen: list[Seen] = field(default_factory=list)

    def add(self, concluded: Concluded, than: Concluded, deteriorated: int | None) -> list[Changed]:
        """Take a case; give the sessions that it judges otherwise.

        than: what it is compared with; deteriorated: the session at which the case had, if it did
        """
        self.cases += 1
        for session, decision in concluded.decisions.items():
            self.statuses[decision.status] += 1
            if decision.score is not None:
                self.measured[session] += 1
                self.not_on_track[session] += decision.status == "not_on_track"
        found = changes(than, concluded)
        self.changed.update(each.how for each in found)
        self.cases_changed += bool(found)
        was, now = bool(than.not_on_track), bool(concluded.not_on_track)
        self.ever_not += now
        self.newly_ever += now and not was
        self.no_longer_ever += was and not now
        self.reports.update(concluded.reports)
        self.told.update(concluded.told)
        self.comparable += any(
            each.score is not None and each.baseline is not None for each in concluded.decisions.values()
        )
        if deteriorated is not None:
            self.seen.append(seen(concluded, deteriorated))
        return found


@dataclass(frozen=True, slots=True)
class Calendar:
    """When there was treatment, and who leads which groups now, as far as anybody has said."""

    weeks: Collection[InWeek]
    therapists: Mapping[str, frozenset[Place]]

    @property
    def of_groups(self) -> Sequence[InWeek]:
        """The weeks of groups, without those of patients who are in none."""
        return [week for week in self.weeks if week.place.group is not None]


def figures(of: Summary, calendar: Calendar) -> Iterator[Figure]:
    """Give the numbers of a policy, in the order in which they are read."""
    yield from _of_sessions(of)
    yield from _of_cases(of)
    yield from _of_reports(of, calendar)
    yield from _of_deteriorations(of)


def _of_sessions(of: Summary) -> Iterator[Figure]:
    judged, measured = of.statuses.total(), of.measured.total()
    yield Figure("sessions", judged)
    yield Figure("sessions_not", of.statuses["not_on_track"], measured)
    yield Figure("sessions_unknown", of.statuses["unknown"], judged)
    for how in ("newly", "no_longer", "otherwise"):
        yield Figure(f"sessions_{how}", of.changed[how] if of.is_compared else None)


def _of_cases(of: Summary) -> Iterator[Figure]:
    yield Figure("cases", of.cases)
    yield Figure("cases_not", of.ever_not, of.cases)
    yield Figure("cases_newly", of.newly_ever if of.is_compared else None)
    yield Figure("cases_no_longer", of.no_longer_ever if of.is_compared else None)
    yield Figure("cases_changed", of.cases_changed if of.is_compared else None, of.cases)


def _of_reports(of: Summary, calendar: Calendar) -> Iterator[Figure]:
    yield Figure("reports_not", of.reports["not"])
    yield Figure("reports_silent", of.reports["silent"])
    yield Figure("told", of.told.total())
    yield from _a_week("all", in_all(of.told).values(), len({week.monday for week in calendar.weeks}))
    if calendar.of_groups:
        told = [number for week, number in of.told.items() if week.place.group is not None]
        yield from _a_week("pair", told, len(calendar.of_groups))
    if calendar.therapists:
        by_therapist, weeks = _of_therapists(of, calendar)
        yield from _a_week("therapist", by_therapist.values(), len(weeks))


def in_all(told: Mapping[InWeek, int]) -> Mapping[date, int]:
    """Add up what was told in a week, wherever."""
    found: Counter[date] = Counter()
    for week, number in told.items():
        found[week.monday] += number
    return found


def _of_therapists(of: Summary, calendar: Calendar) -> tuple[Mapping[tuple[str, date], int], set[tuple[str, date]]]:
    told: Counter[tuple[str, date]] = Counter()
    weeks: set[tuple[str, date]] = set()
    for therapist, places in calendar.therapists.items():
        weeks |= {(therapist, week.monday) for week in calendar.weeks if week.place in places}
        for week, number in of.told.items():
            if week.place in places:
                told[therapist, week.monday] += number
    return told, weeks


def _a_week(who: str, told: Collection[int], weeks: int) -> Iterator[Figure]:
    """Give the mean of a week and the most in one. told: in the weeks in which anything was."""
    mean = (Decimal(sum(told)) / weeks).quantize(TENTH) if weeks else None
    yield Figure(f"{who}_a_week", mean, weeks)
    yield Figure(f"{who}_busiest", max(told, default=0) if weeks else None)


def _of_deteriorations(of: Summary) -> Iterator[Figure]:
    number = len(of.seen)
    before = [each.sessions_before for each in of.seen if each.sessions_before]
    by_then = sum(each.first is not None for each in of.seen)
    yield Figure("deteriorated", number, of.comparable)
    yield Figure("seen_before", len(before), number)
    yield Figure("seen_at", by_then - len(before), number)
    yield Figure("not_seen", number - by_then, number)
    yield Figure("sessions_before", Decimal(median(before)).quantize(TENTH) if before else None, len(before))
    yield Figure("seen_just_before", sum(each.just_before for each in of.seen), number)
    yield Figure("not_then_worse", by_then, of.ever_not)
