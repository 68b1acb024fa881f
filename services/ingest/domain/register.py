"""The register of cases: a projection of the facts, by which ingest knows what is known, closed and whose."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from contracts.codec import content_digest
from contracts.definitions.definition import id_of
from contracts.events.event import Data, Event
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    CaseErased,
    CaseTransferred,
    NoticeFailed,
    NoticeSent,
    OccasionClosed,
    OccasionOpened,
    PolicyChanged,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionCancelled,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.evolution import evolved
from contracts.topics import CASES

ValueT = TypeVar("ValueT")

OF_GROUP: Final = ":group"
"""Ends the source of what is said of a case because it is said of its group."""


@dataclass(frozen=True)
class Opened:
    """An occasion that was opened and has not been closed: what is asked for, and until when.

    since: when that was recorded; by: the fact that said so
    """

    instrument: str
    closes: datetime
    since: datetime
    by: str


@dataclass(frozen=True)
class Told:
    """What came of a notice.

    recipients: everybody to whom it goes; settled: those of whom was recorded that it was sent to them, or failed
    is_over: nothing is left to be sent
    """

    recipients: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    is_over: bool = False


@dataclass(frozen=True)
class Registered:
    """What ingest knows of a case. Occasions are named `session/instrument id`, and sessions as text.

    facts: fact id -> digest of its content
    answered: occasion -> the response that answered it
    responses: response -> the instrument that it answers
    scheduled: session -> when it will be or was, unless it was cancelled
    planned_by: session -> the fact that gave it its time last
    came: session -> the time at which the clock said that it had come
    open: occasion -> how it was opened, unless it was closed
    spoken: the latest time that the clock has spoken of: nothing that was over by then is asked for any more
    of_group: session -> session of the group, as the last transfer said; if it said nothing, all are the group's
    follows: session -> the time of its group to which it was brought last; None if that was of a group that it has left
    instead_of: session -> the time that it had, of no group as far as is known, when it was moved or cancelled by hand
    notices: notice -> what came of it
    """

    clinic: str | None = None
    group: str | None = None
    protocol: str | None = None
    policy: str | None = None
    closed_at: datetime | None = None
    erased: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    answered: Mapping[str, str] = field(default_factory=dict)
    responses: Mapping[str, str] = field(default_factory=dict)
    scheduled: Mapping[str, datetime] = field(default_factory=dict)
    planned_by: Mapping[str, str] = field(default_factory=dict)
    came: Mapping[str, datetime] = field(default_factory=dict)
    open: Mapping[str, Opened] = field(default_factory=dict)
    spoken: datetime | None = None
    of_group: Mapping[str, int] = field(default_factory=dict)
    follows: Mapping[str, datetime | None] = field(default_factory=dict)
    instead_of: Mapping[str, datetime] = field(default_factory=dict)
    notices: Mapping[str, Told] = field(default_factory=dict)

    @property
    def enrolled(self) -> bool:
        """Whether the case is known."""
        return self.protocol is not None


@dataclass(frozen=True)
class Unclear(Registered):
    """What the register has of a case that it could not go on with, or has lost: not all that is on the log.

    why: in words, for whoever runs it
    """

    why: str = ""

    @classmethod
    def of(cls, case: Registered, why: str) -> "Unclear":
        """Say of a case that it is so."""
        return cls(**vars(case), why=why)


def _never(_: Registered) -> None:
    return None


class Register:
    """A stage that says nothing: it only knows."""

    name = "register"
    reads = CASES
    writes = None
    acts_on = frozenset(CASES.events)
    state = Registered
    schema = 4

    def __init__(self, first_moment: Callable[[Registered], datetime | None] = _never) -> None:
        """Know cases. first_moment: tells when the clock is to look at a case."""
        self._first_moment = first_moment

    def due(self, state: Registered) -> datetime | None:
        """Give the first moment at which the clock is to look at a case."""
        return self._first_moment(state)

    def initial(self, case_id: str) -> Registered:  # noqa: ARG002 - every case begins with nothing known
        """Begin a case."""
        return Registered()

    def step(self, state: Registered, event: Event[Data]) -> tuple[Registered, Sequence[Event[Data]]]:
        """Take one fact; one that is known already changes nothing."""
        if event.id in state.facts:
            return state, ()
        facts = {**state.facts, event.id: content_digest(event)}
        if isinstance(event.data, ResponseSubmitted):
            answered = {occasion_of(event.data): event.id, **state.answered}
            responses = {**state.responses, event.id: event.data.instrument}
            return evolved(state, facts=facts, answered=answered, responses=responses), ()
        if isinstance(event.data, NoticeSent | NoticeFailed):
            notice = event.data.notice
            told = _told(state.notices.get(notice, Told()), event.data)
            return evolved(state, facts=facts, notices={**state.notices, notice: told}), ()
        return _planned(_treated(evolved(state, facts=facts), event), event), ()


def after(state: Registered, fact: Event[Data]) -> Registered:
    """Give what will be known of a case when a fact is recorded."""
    state, _ = Register().step(state, fact)
    return state


class Foreseen:
    """What will be known of cases when some facts are recorded.

    After answers it is worked out when the case is asked for again, which most are not: of most one answer is recorded
    at a time. After any other fact at once, so that one whose step fails is not recorded: it would fail ever after.
    """

    def __init__(self, known: Callable[[str], Registered]) -> None:
        """Begin without facts. known: gives what is known of a case before them."""
        self._known = known
        self._cases: dict[str, Registered] = {}
        self._since: dict[str, list[Event[Data]]] = defaultdict(list)

    def of(self, case_id: str) -> Registered:
        """Give what will be known of a case."""
        case = self._cases.get(case_id) or self._known(case_id)
        for fact in self._since.pop(case_id, ()):
            case = self._cases[case_id] = after(case, fact)
        return case

    def add(self, facts: Iterable[Event[Data]]) -> None:
        """Take facts that are to be recorded, behind those before."""
        for fact in facts:
            self._since[fact.subject].append(fact)
            if not isinstance(fact.data, ResponseSubmitted):
                self.of(fact.subject)


def _told(before: Told, outcome: NoticeSent | NoticeFailed) -> Told:
    recipients = before.recipients or outcome.recipients
    settled = {*before.settled, *([] if outcome.recipient is None else [outcome.recipient])}
    is_over = outcome.recipient is None or settled.issuperset(recipients)
    return Told(recipients, tuple(sorted(settled)), before.is_over or is_over)


def _treated(state: Registered, event: Event[Data]) -> Registered:
    """Take what a fact says of the course, if it is one of those."""
    match event.data:
        case CaseEnrolled(clinic=clinic, group=group, protocol=protocol, policy=policy) if not state.enrolled:
            return evolved(state, clinic=clinic, group=group, protocol=protocol, policy=policy)
        case CaseTransferred(group=group, clinic=clinic, sessions=sessions):
            left = evolved(state, follows=dict.fromkeys(state.follows), instead_of={})
            return evolved(left, group=group, clinic=clinic or state.clinic, of_group=sessions)
        case PolicyChanged(policy=policy):
            return evolved(state, policy=policy)
        case CaseClosed() if state.closed_at is None:
            return evolved(state, closed_at=event.time)
        case CaseErased():
            return evolved(state, erased=True)
        case ResponseWithdrawn(response=response_id):
            answered = {occasion: by for occasion, by in state.answered.items() if by != response_id}
            return evolved(state, answered=answered)
        case _:
            return state


def _planned(state: Registered, event: Event[Data]) -> Registered:
    """Take what a fact says of when sessions are and what is asked around them, if it is one of those."""
    match event.data:
        case (
            SessionScheduled(session=session, scheduled=scheduled) | SessionMoved(session=session, scheduled=scheduled)
        ):
            name = str(session)
            planned_by = {**state.planned_by, name: event.id}
            state = _following(state, event, name, scheduled)
            return evolved(state, scheduled={**state.scheduled, name: scheduled}, planned_by=planned_by)
        case SessionCancelled(session=session):
            name = str(session)
            state = _following(state, event, name, None)
            return evolved(state, scheduled=_without(state.scheduled, name))
        case SessionDue(session=session, scheduled=scheduled):
            return _spoken(evolved(state, came={**state.came, str(session): scheduled}), event)
        case OccasionOpened(session=session, instrument=instrument, closes=closes):
            opened = Opened(instrument, closes, event.recordedtime, event.id)
            key = occasion_key(session, id_of(instrument))
            return _spoken(evolved(state, open={**state.open, key: opened}), event)
        case OccasionClosed(session=session, instrument=instrument):
            return _spoken(evolved(state, open=_without(state.open, occasion_key(session, id_of(instrument)))), event)
        case _:
            return state


def _following(state: Registered, event: Event[Data], name: str, at: datetime | None) -> Registered:
    """Know how a session stands to its group when it gets another time, or none."""
    if is_of_group(event):
        follows = _without(state.follows, name) if at is None else {**state.follows, name: at}
        return evolved(state, follows=follows, instead_of=_without(state.instead_of, name))
    before = state.scheduled.get(name)
    if before is None or state.follows.get(name) is not None:
        return state
    return evolved(state, instead_of={name: before, **state.instead_of})


def is_of_group(event: Event[Data]) -> bool:
    """Tell whether a session has a time because its group has: the group has another one, or the case joined it."""
    return event.source.endswith(OF_GROUP) or event.causationid is not None


def _spoken(state: Registered, event: Event[Data]) -> Registered:
    return evolved(state, spoken=event.time if state.spoken is None else max(state.spoken, event.time))


def occasion_of(response: ResponseSubmitted) -> str:
    """Name the occasion that a response answers."""
    return occasion_key(response.session, id_of(response.instrument))


def occasion_key(session: int | str, instrument_id: str) -> str:
    """Name an occasion."""
    return f"{session}/{instrument_id}"


def _without(found: Mapping[str, ValueT], name: str) -> Mapping[str, ValueT]:
    return {each: value for each, value in found.items() if each != name}
