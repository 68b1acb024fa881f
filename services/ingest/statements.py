"""What a client may state about a case: which facts, who may, and what of a fact is not for the client to say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Definition
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.events.event import FACT_ID, Data, Event, fact_id, name_based_id, new_fact
from contracts.events.facts import (
    ActionChosen,
    BaselineSet,
    CaseClosed,
    CaseTransferred,
    NeedsStated,
    NoticeFailed,
    NoticeSent,
    PolicyChanged,
    ProblemNamed,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionAbsent,
    SessionAttended,
    SessionCancelled,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.fields import EnteredBy, EventId, Instant
from services.ingest.access import EVERY, Client, Role
from services.ingest.domain.register import OF_GROUP, Registered

STAFF: Final[Sequence[Role]] = ("ehr", "admin")
CLIENTS: Final[Sequence[Role]] = ("patient-app", *STAFF)
"""The roles of a clinic's own clients."""

MAILER: Final[Sequence[Role]] = ("mailer",)

AHEAD_AT_MOST: Final = timedelta(days=1)
"""So far a moment may lie ahead: clocks differ."""

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Nothing that is told now happened before: a moment that lies so far back was written wrong."""

LAST_YEAR: Final = 2199
"""No session is later: a moment that lies so far ahead was written wrong."""

PLANNED: Final = f"a moment from {EARLIEST.year} to {LAST_YEAR}"
"""What is expected of the moment of a session."""

_ENTERED_BY: Final = "entered_by"
BY_THE_CREDENTIAL: Final = (_ENTERED_BY, "clinic")
"""What the credential says, so that the body cannot: who enters it, and whose it is."""

_BY_ROLE: Final[Mapping[Role, EnteredBy]] = {"patient-app": "patient", "ehr": "ehr", "admin": "clinic"}
_AT: Final = TypeAdapter[datetime](Instant)
_ID: Final = TypeAdapter[str](EventId)


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact that can be stated over the API.

    does: what stating it does, for the documentation
    refers: the fields that name a definition, which may be named by its id or `id@version` too
    at: the field that says when it happened; None if the request says that beside the fact
    plans: the field that says when a session is
    of_patients: what the patients' app has to say in some fields, since nobody else speaks through it
    """

    fact: type[Data]
    does: str
    roles: Sequence[Role] = STAFF
    refers: Mapping[str, type[Definition]] = field(default_factory=dict)
    at: str | None = None
    plans: str | None = None
    of_patients: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name the fact as the API does: its type without project and version."""
        return self.fact.wire_name.split(".")[1]

    @property
    def fields(self) -> frozenset[str]:
        """Name everything that a request can hold."""
        return frozenset({self.at or "at", "id", *self.fact.model_fields}.difference(BY_THE_CREDENTIAL))


STATEMENTS: Final = {
    statement.name: statement
    for statement in (
        Statement(
            ResponseSubmitted,
            "Answer one instrument on one occasion.",
            CLIENTS,
            {"instrument": Instrument},
            at="answered_at",
        ),
        Statement(ResponseCorrected, "Put other answers in the place of those of a response."),
        Statement(ResponseWithdrawn, "Let a response no longer count; its occasion is unanswered again."),
        Statement(ProblemNamed, "Say a problem in the patient's own words.", CLIENTS),
        Statement(
            NeedsStated,
            "Say what the patient needs, as the patient or the therapist sees it.",
            CLIENTS,
            of_patients={"seen_by": "patient", "by": "patient"},
        ),
        Statement(SessionScheduled, "Give a session its time.", plans="scheduled"),
        Statement(SessionMoved, "Give a session another time.", plans="scheduled"),
        Statement(SessionCancelled, "Say that a session does not take place."),
        Statement(SessionAttended, "Say that the patient came."),
        Statement(SessionAbsent, "Say that the patient did not come."),
        Statement(BaselineSet, "Set the score that later ones are compared with, by hand."),
        Statement(PolicyChanged, "Let another policy hold from a session on.", refers={"policy": Policy}),
        Statement(CaseTransferred, "Move the case to another group."),
        Statement(CaseClosed, "End the course."),
        Statement(ReportSeen, "Say that a report was read."),
        Statement(ReportDiscussed, "Say that patient and therapist talked about a report."),
        Statement(ActionChosen, "Say what is to be done."),
        Statement(ReportClosed, "End the loop of a report."),
        Statement(NoticeSent, "Say that a notice was handed to the mail server.", MAILER),
        Statement(NoticeFailed, "Say that a notice could not be sent.", MAILER),
    )
}


class Misstated(Exception):
    """Something in a request cannot be. Says where, and what was expected."""

    def __init__(self, place: str, expected: str) -> None:
        """Name the field, and what was expected there."""
        super().__init__(place)
        self.place = place
        self.expected = expected


class Unpublished(Exception):
    """A definition is named that nobody has published. Names the field."""

    def __init__(self, place: str) -> None:
        """Name the field."""
        super().__init__(place)
        self.place = place


class Unnamed(Exception):
    """A request without anything that tells its repetition from another request."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the facts of a request come from. key: what stands for the client's idempotency key; now: when it came."""

    client: Client
    key: str | None
    now: datetime

    def fact_id(self, case_id: str, part: int = 0) -> str:
        """Give the id that the key gives to a fact about a case, of several to each in turn. Raises Unnamed."""
        if self.key is None:
            raise Unnamed
        name = "\x1f".join([case_id, *([str(part)] if part else []), self.key])
        return fact_id(self.client.clinic, self.client.name, name)

    def keyed(self, facts: Collection[Event[Data]]) -> Mapping[str, Sequence[str]]:
        """Give the ids that the key gives to the facts about each case, in their order, and to one more."""
        if self.key is None:
            return {}
        ids = {fact.id for fact in facts}
        found: dict[str, Sequence[str]] = {}
        for case_id in {fact.subject for fact in facts}:
            stated: list[str] = []
            while (its := self.fact_id(case_id, len(stated))) in ids:
                stated.append(its)
            if stated:
                found[case_id] = [*stated, its]
        return found

    def event(self, case_id: str, data: Data, happened: datetime, given_id: str | None, part: int = 0) -> Event[Data]:
        """State a fact of this request. given_id: the event's id, if the client gave it. Raises Unnamed."""
        client = self.client
        return new_fact(
            data,
            case_id=case_id,
            fact_id=given_id or self.fact_id(case_id, part),
            source=f"urn:ontrack:{client.name}"
            if client.clinic == EVERY
            else f"urn:ontrack:{client.clinic}:{client.name}",
            happened=happened,
        )

    def follows(self, fact: Event[Data], data: Data) -> Event[Data]:
        """State what follows from a fact of this request; the same follows from the same fact for ever."""
        fact_id = name_based_id(FACT_ID, fact.subject, fact.id, data.wire_name, data.model_dump_json())
        return new_fact(
            data, case_id=fact.subject, fact_id=fact_id, source=fact.source, happened=fact.time, causation=fact.id
        )

    def moment(self, at: object, place: str) -> datetime:
        """Read when something happened; now, if that is not said. Raises Misstated."""
        try:
            happened = self.now if at is None else _AT.validate_json(orjson.dumps(at))
        except ValidationError:
            raise Misstated(place, "a moment such as 2026-01-05T08:30:00Z") from None
        return self.has_come(happened, place)

    def has_come(self, happened: datetime, place: str) -> datetime:
        """Give a moment that has come, and that somebody can still tell of. Raises Misstated."""
        if happened > self.now + AHEAD_AT_MOST:
            raise Misstated(place, "a moment that has come")
        if happened < EARLIEST:
            raise Misstated(place, f"a moment since {EARLIEST.year}")
        return happened


def stated(
    statement: Statement, said: Mapping[str, Any], case_id: str, origin: Origin, known: Catalogue, part: int = 0
) -> Event[Data]:
    """Make the fact that a client states. known: the definitions; part: counts the facts of its key about the case.

    Raises ValidationError, Misstated, Unpublished, Unnamed.
    """
    body = dict(said)
    given_id = body.pop("id", None)
    at = body.pop("at", None) if statement.at is None else None
    for name, kind in statement.refers.items():
        named = body.get(name)
        if isinstance(named, str):
            entry = known.named(kind, named)
            if entry is None:
                raise Unpublished(name)
            body[name] = entry.ref
    for name in BY_THE_CREDENTIAL:
        if name in body:
            raise Misstated(name, "nothing: the credential says it")
    for name, expected in statement.of_patients.items() if origin.client.role == "patient-app" else ():
        if body.get(name, expected) != expected:
            raise Misstated(name, f"{expected}, for whom the client speaks, and for nobody else")
    if _ENTERED_BY in statement.fact.model_fields:
        body[_ENTERED_BY] = _BY_ROLE[origin.client.role]
    data = statement.fact.model_validate_json(orjson.dumps(body))
    if statement.plans is not None and not can_be_planned(getattr(data, statement.plans)):
        raise Misstated(statement.plans, PLANNED)
    if statement.at is not None:
        happened = origin.has_come(getattr(data, statement.at), statement.at)
    else:
        happened = origin.moment(at, "at")
    return origin.event(case_id, data, happened, None if given_id is None else _read_id(given_id), part)


def can_be_planned(moment: datetime) -> bool:
    """Tell whether a session can be at a moment."""
    return EARLIEST.year <= moment.year <= LAST_YEAR


def _read_id(said: object) -> str:
    try:
        return _ID.validate_python(said)
    except ValidationError:
        raise Misstated("id", "a UUID in small letters") from None


def group_fact(case_id: str, case: Registered, data: Data, now: datetime) -> Event[Data]:
    """State what follows for a case from new times of its group; the same of the same case is the same fact."""
    name = name_based_id(FACT_ID, case_id, "group", str(len(case.facts)), data.wire_name, data.model_dump_json())
    return new_fact(data, case_id=case_id, fact_id=name, source=f"urn:ontrack:{case.clinic}{OF_GROUP}", happened=now)
