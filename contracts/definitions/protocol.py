"""A course of treatment as data: its sessions, and what is asked when."""

from decimal import Decimal
from math import inf
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.definitions.definition import Definition, DefinitionId, Part, Reference, Text
from contracts.events.fields import CountedSession, IndividualSession, Session


class PlannedSession(Part):
    """A session of the course. topic: what it is about; minutes: how long it takes."""

    id: CountedSession | IndividualSession
    topic: Text
    minutes: int = Field(ge=1)


class Ask(Part):
    """An instrument that is asked: at every session, or at those that are named."""

    instrument: Reference
    sessions: Literal["every"] | tuple[Session, ...] = "every"


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
        sessions = [planned.id for planned in self.sessions] if self.sessions != "any" else []
        asks = [ask.instrument for ask in self.asks]
        offers = [offer.action for offer in self.offers]
        for named in (sessions, asks, offers):
            if len(set(named)) < len(named):
                raise ValueError("each session, each instrument and each action was expected once")
        return self

    def has_session(self, session: int | str) -> bool:
        """Tell whether a session belongs to the course. Session 0, before it, belongs to every course."""
        if session == 0 or self.sessions == "any":
            return True
        return any(planned.id == session for planned in self.sessions)

    def place(self, session: int | str) -> float:
        """Give where a session stands in the course: those before session 1 are below 1.

        A counted session stands at its number, an individual one between the counted ones that it lies between, and
        one that the course does not have at its very end.
        """
        if isinstance(session, int):
            return session
        before, between = 0.0, 0
        for planned in self.sessions if self.sessions != "any" else ():
            if isinstance(planned.id, int):
                before, between = planned.id, 0
                continue
            between += 1
            if planned.id == session:
                return before + between / 100
        return inf

    def precedes_first(self, session: int | str) -> bool:
        """Tell whether a session comes before session 1."""
        return self.place(session) < 1

    def asks_at(self, instrument_id: str, session: int) -> bool:
        """Tell whether an instrument is asked at a counted session; an open course asks everything always."""
        if self.sessions == "any" and not self.asks:
            return True
        return any(
            ask.instrument.partition("@")[0] == instrument_id and (ask.sessions == "every" or session in ask.sessions)
            for ask in self.asks
        )
