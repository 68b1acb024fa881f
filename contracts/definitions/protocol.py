"""A course of treatment as data: its sessions, and what is asked when."""

from decimal import Decimal
from math import inf
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.definitions.definition import Definition, DefinitionId, Part, Reference, Text, id_of
from contracts.events.fields import CountedSession, IndividualSession, Session


class PlannedSession(Part):
    """A session of the course. topic: what it is about; minutes: how long it takes."""

    id: CountedSession | IndividualSession
    topic: Text
    minutes: int = Field(ge=1)


class Edge(Part):
    """A moment around a session, by the clock of the clinic or by that of the session.

    at: a time of day, `days` after the day on which the session begins
    after: so many `minutes` after its start or its end
    """

    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    days: int = Field(default=0, ge=-7, le=7)
    after: Literal["start", "end"] | None = None
    minutes: int = Field(default=0, ge=-10_080, le=10_080)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.at is None) == (self.after is None) or (self.days and self.after) or (self.minutes and self.at):
            raise ValueError("a time of day with days, or a start or end with minutes, was expected")
        return self


class Window(Part):
    """When a questionnaire can be answered."""

    opens: Edge
    closes: Edge


class Ask(Part):
    """An instrument that is asked: at every session, or at those that are named.

    window: when it is asked for; without one it is for the clinic to hand it out
    """

    instrument: Reference
    sessions: Literal["every"] | tuple[Session, ...] = "every"
    window: Window | None = None

    def is_at(self, session: int | str) -> bool:
        """Tell whether it is asked at a session."""
        return self.sessions == "every" or session in self.sessions


class OfferedAction(Part):
    """An action of the guidance that this clinic really offers, and what it costs in clinician hours."""

    action: DefinitionId
    hours: Annotated[Decimal, Field(ge=0)]


class Protocol(Definition):
    """A course of treatment.

    sessions: in their order; `any` where the course is open: sessions 0, 1, 2 … without end
    report: kind and version of the composition of a report
    clinician_hours_at_most: for one patient, everything included
    offers: the actions that are proposed; none named: all of the guidance
    """

    kind: Literal["protocol"]
    report: Literal["not_report/1"]
    guidance: Reference
    sessions: Literal["any"] | tuple[PlannedSession, ...]
    asks: tuple[Ask, ...] = ()
    clinician_hours_at_most: Decimal | None = None
    offers: tuple[OfferedAction, ...] = ()

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        sessions = [planned.id for planned in self.planned]
        asks = [ask.instrument for ask in self.asks]
        offers = [offer.action for offer in self.offers]
        for named in (sessions, asks, offers):
            if len(set(named)) < len(named):
                raise ValueError("each session, each instrument and each action was expected once")
        return self

    @property
    def planned(self) -> tuple[PlannedSession, ...]:
        """The sessions that it names, in their order; none where the course is open."""
        return self.sessions if self.sessions != "any" else ()

    def has_session(self, session: int | str) -> bool:
        """Tell whether a session belongs to the course. Session 0, before it, belongs to every course."""
        if session == 0 or self.sessions == "any":
            return True
        return any(planned.id == session for planned in self.planned)

    def place(self, session: int | str) -> float:
        """Give where a session stands in the course: those before session 1 are below 1.

        A counted session stands at its number, an individual one between the counted ones that it lies between, and
        one that the course does not have at its very end.
        """
        if isinstance(session, int):
            return session
        before, between = 0.0, 0
        for planned in self.planned:
            if isinstance(planned.id, int):
                before, between = planned.id, 0
                continue
            between += 1
            if planned.id == session:
                return before + between / 100
        return inf

    def minutes(self, session: int | str) -> int:
        """Give how long a session takes; nothing is said of one that the course does not name."""
        return next((planned.minutes for planned in self.planned if planned.id == session), 0)

    def precedes_first(self, session: int | str) -> bool:
        """Tell whether a session comes before session 1."""
        return self.place(session) < 1

    def asks_at(self, instrument_id: str, session: int) -> bool:
        """Tell whether an instrument is asked at a counted session; an open course asks everything always."""
        if self.sessions == "any" and not self.asks:
            return True
        if not self.has_session(session):
            return False
        return any(id_of(ask.instrument) == instrument_id and ask.is_at(session) for ask in self.asks)
