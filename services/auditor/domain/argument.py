"""Why a session was judged as it was, on that day: what the decision stood on, and what was not known then.

The events of a case are given in the order in which they stand on its topic: what stands before a decision was known
when it was made, and what stands behind it was not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard, TypeVar

from contracts.definitions.definition import id_of
from contracts.events.event import Data, Event
from contracts.events.facts import (
    NoticeFailed,
    NoticeSent,
    OccasionOpened,
    PolicyChanged,
    ReportSeen,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
)
from contracts.events.fields import Session
from contracts.events.notices import NoticeRequested, ReportContent, ReportIssued, ReportRevised
from contracts.events.scores import Score
from contracts.events.tracks import Decision, TrackRevised
from services.auditor.domain.narrowing import known_at

Decided = Event[Decision]
Scored = Event[Score]
DataT = TypeVar("DataT", bound=Data)


def says(event: Event[Data], kind: type[DataT]) -> TypeGuard[Event[DataT]]:
    """Tell whether an event says something of a kind."""
    return isinstance(event.data, kind)


class NothingDecided(Exception):
    """Nothing was decided about a session, by then."""


@dataclass(frozen=True, slots=True)
class Stood:
    """A score that a decision stood on. answers: the answers behind it, and those that were put in their place since.

    is_first: whether these are the answers that came first
    """

    score: Scored
    answers: Event[ResponseSubmitted] | Event[ResponseCorrected] | None
    is_first: bool


@dataclass(frozen=True, slots=True)
class Argument:
    """Why a session was judged so.

    decision: the one that held; before: those that it took the place of, the first one first
    scores: what it stood on, by session; baseline: the score that it was compared with, or the fact that set it
    measured: the baseline with the answers behind it, if it is a score
    policy_by: the fact by which the policy came to hold, if it was not that of the enrolment
    missing: what was asked for by then and had not been answered; late: what was answered by then and had not arrived
    later: decisions that took its place since, and the facts that led to them; and what else was said since of what it
        stood on: corrections and withdrawals, of its baseline too, and a changed policy
    told: what was requested and sent because of the reports that speak of its session, and who had seen it
    """

    decision: Decided
    before: tuple[Decided, ...]
    scores: tuple[Stood, ...]
    baseline: Event[Data] | None
    measured: Stood | None
    policy_by: Event[PolicyChanged] | None
    missing: tuple[Event[OccasionOpened], ...]
    late: tuple[Event[ResponseSubmitted], ...]
    later: tuple[Event[Data], ...]
    told: tuple[Event[Data], ...]


def argument(
    events: Sequence[Event[Data]],
    session: int,
    until: datetime | None,
    stood_on: Callable[[Decided], Sequence[str]],
) -> Argument:
    """Give why a session was judged as it was, as far as was recorded by a moment. Raises NothingDecided.

    stood_on: names the scores that the rules looked at for a decision, by their events, in order
    """
    decisions = [
        (place, event) for place, event in enumerate(events) if says(event, Decision) and event.data.session == session
    ]
    at_hand = {event.id for event in known_at(until, events)}
    held = [each for each in decisions if each[1].id in at_hand]
    if not held:
        raise NothingDecided(f"session {session}")
    place, decision = held[-1]
    known, since = events[:place], events[place + 1 :]
    names = {event.id: event for event in known}
    stood = [event for name in stood_on(decision) if name in names and says(event := names[name], Score)]
    baseline = None if decision.data.baseline is None else names.get(decision.data.baseline.origin)
    responses = {event.data.response for event in (*stood, baseline) if event is not None and says(event, Score)}
    return Argument(
        decision=decision,
        before=tuple(event for _, event in held[:-1]),
        scores=tuple(_stood(score, known) for score in stood),
        baseline=baseline,
        measured=_stood(baseline, known) if baseline is not None and says(baseline, Score) else None,
        policy_by=_policy_by(events[: decisions[0][0]], session),
        missing=tuple(_missing(known, session)),
        late=tuple(_late(since, decision)),
        later=tuple(_later(since, session, responses)),
        told=tuple(_told([event for event in events if event.id in at_hand], session)),
    )


def _stood(score: Scored, known: Sequence[Event[Data]]) -> Stood:
    answers: Event[ResponseSubmitted] | Event[ResponseCorrected] | None = None
    is_first = True
    for event in known:
        if says(event, ResponseSubmitted) and event.id == score.data.response:
            answers = event
        elif says(event, ResponseCorrected) and event.data.response == score.data.response:
            answers, is_first = event, False
    return Stood(score, answers, is_first)


def _policy_by(before: Sequence[Event[Data]], session: int) -> Event[PolicyChanged] | None:
    """Give the last change of the policy that concerned a session. before: what stands before it was judged first."""
    found: Event[PolicyChanged] | None = None
    for event in before:
        if says(event, PolicyChanged) and event.data.from_session <= session:
            found = event
    return found


def _missing(known: Sequence[Event[Data]], session: int) -> Iterator[Event[OccasionOpened]]:
    """Give what was asked for at a session and had not been answered, or whose answers had been withdrawn."""
    withdrawn = {event.data.response for event in known if says(event, ResponseWithdrawn)}
    answers = (event for event in known if says(event, ResponseSubmitted) and event.id not in withdrawn)
    answered = {_occasion(event.data) for event in answers}
    for event in known:
        if says(event, OccasionOpened) and event.data.session == session and _occasion(event.data) not in answered:
            yield event


def _occasion(data: OccasionOpened | ResponseSubmitted) -> tuple[Session, str]:
    return data.session, id_of(data.instrument)


def _late(since: Sequence[Event[Data]], decision: Decided) -> Iterator[Event[ResponseSubmitted]]:
    """Give what had been answered, up to its session, when that happened which it was decided upon, and came later."""
    for event in since:
        if says(event, ResponseSubmitted) and event.data.answered_at <= decision.time:
            session = event.data.session
            if not isinstance(session, int) or session <= decision.data.session:
                yield event


def _later(since: Sequence[Event[Data]], session: int, responses: set[str]) -> Iterator[Event[Data]]:
    revisions = [event for event in since if says(event, TrackRevised) and event.data.session == session]
    told = {name for event in revisions for name in (event.id, event.correlationid)}
    for event in since:
        match event.data:
            case ResponseCorrected(response=response) | ResponseWithdrawn(response=response) if response in responses:
                yield event
            case PolicyChanged(from_session=first) if first <= session:
                yield event
            case _ if event.id in told:
                yield event


def _told(events: Sequence[Event[Data]], session: int) -> Iterator[Event[Data]]:
    """Give what was told of the reports that speak of a session, since they do, and who has seen them."""
    reports: set[str] = set()
    notices: set[str] = set()
    for event in events:
        match event.data:
            case ReportIssued(report=report, content=content) | ReportRevised(report=report, content=content):
                if report in reports or session in _sessions(content):
                    reports.add(report)
                    yield event
            case NoticeRequested(report=report) if report in reports:
                notices.add(event.id)
                yield event
            case NoticeSent(notice=notice) | NoticeFailed(notice=notice) if notice in notices:
                yield event
            case ReportSeen(report=report) if report in reports:
                yield event


def _sessions(content: ReportContent) -> Sequence[int]:
    """Give the sessions for which a report was written; none for what is no decision."""
    decision = content.decision
    if decision is None:
        return ()
    if content.kind == "silent":
        return decision.silent_sessions
    return () if decision.episode is None else decision.episode.sessions
