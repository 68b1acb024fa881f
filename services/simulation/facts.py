"""A simulated case as facts: what its clinic, its patient and the clock would have said, in the order of time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from contracts.definitions.instrument import Instrument
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    OccasionClosed,
    OccasionOpened,
    ProblemNamed,
    ResponseSubmitted,
    SessionAbsent,
    SessionAttended,
    SessionDue,
    SessionScheduled,
)
from services.simulation.case import SimulatedCase, SimulatedSession

CLIENT: Final = "simulation"
_OPENS_BEFORE: Final = timedelta(hours=4)
_SESSION: Final = timedelta(hours=2)
_CLOSES_AFTER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the facts of every simulated case name: the clinic, its definitions by reference, instruments by id."""

    clinic: str
    protocol: str
    policy: str
    instruments: Mapping[str, tuple[str, Instrument]]


def facts_of(case: SimulatedCase, case_id: str, setting: Setting) -> list[Event[Data]]:
    """State everything that happened to a simulated case, oldest first."""
    facts = [
        _fact(data, happened, f"{case.number}\x1f{key}", case_id, setting)
        for key, happened, data in _stated(case, setting)
    ]
    return sorted(facts, key=lambda fact: fact.time)


def _stated(case: SimulatedCase, setting: Setting) -> Iterator[tuple[str, datetime, Data]]:
    enrolment = CaseEnrolled(clinic=setting.clinic, group=case.group, protocol=setting.protocol, policy=setting.policy)
    yield "enrolled", case.enrolled_at, enrolment
    for problem in case.problems:
        named = ProblemNamed(problem=problem.problem, text=problem.text)
        yield f"problem/{problem.problem}", problem.named_at, named
    for session in case.sessions:
        yield from _session(session, case.enrolled_at)
        yield from _asked(session, setting)
    for response in case.responses:
        ref, _ = setting.instruments[response.instrument]
        submitted = ResponseSubmitted(
            session=response.session,
            instrument=ref,
            answers=dict(response.answers),
            comment=response.comment,
            answered_at=response.answered_at,
            entered_by="patient",
        )
        yield f"response/{response.session}/{response.instrument}", response.answered_at, submitted
    yield "closed", case.closed_at, CaseClosed(reason=case.closed_because)


def _session(session: SimulatedSession, enrolled_at: datetime) -> Iterator[tuple[str, datetime, Data]]:
    number, at = session.session, session.scheduled
    yield f"scheduled/{number}", enrolled_at, SessionScheduled(session=number, scheduled=at)
    yield f"due/{number}", at, SessionDue(session=number, scheduled=at)
    attendance = SessionAttended(session=number) if session.attended else SessionAbsent(session=number)
    yield f"attended/{number}", at + _SESSION, attendance


def _asked(session: SimulatedSession, setting: Setting) -> Iterator[tuple[str, datetime, Data]]:
    """Open the morning's forms before the session and close them when it begins; the others after it, for a day."""
    number, at = session.session, session.scheduled
    for name, (ref, instrument) in setting.instruments.items():
        if instrument.asked == "before_session":
            opens, closes = at - _OPENS_BEFORE, at
        elif session.attended:
            opens, closes = at + _SESSION, at + _SESSION + _CLOSES_AFTER
        else:
            continue
        yield f"opened/{number}/{name}", opens, OccasionOpened(session=number, instrument=ref, closes=closes)
        yield f"closed/{number}/{name}", closes, OccasionClosed(session=number, instrument=ref)


def _fact(data: Data, happened: datetime, key: str, case_id: str, setting: Setting) -> Event[Data]:
    return new_fact(
        data,
        case_id=case_id,
        fact_id=fact_id(setting.clinic, CLIENT, key),
        source=f"urn:ontrack:{setting.clinic}:{CLIENT}",
        happened=happened,
    )
