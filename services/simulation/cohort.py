"""A cohort of simulated patients, group by group, case by case; the same seed draws the same ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from contracts.definitions.definition import Language
from contracts.definitions.instrument import Instrument
from services.simulation import phrases
from services.simulation.answers import Form
from services.simulation.attendance import draw_sessions
from services.simulation.case import (
    ClosedBecause,
    SimulatedCase,
    SimulatedProblem,
    SimulatedResponse,
    SimulatedSession,
)
from services.simulation.courses import PROFILES, CourseKind, draw_course, draw_totals
from services.simulation.responses import INSTRUMENTS, draw_patient, draw_responses

__all__ = [
    "INSTRUMENTS",
    "ClosedBecause",
    "CourseKind",
    "SimulatedCase",
    "SimulatedProblem",
    "SimulatedResponse",
    "SimulatedSession",
    "draw",
]

SESSION_BEGINS: Final = time(9, tzinfo=UTC)
WORKING_DAYS: Final = 5
ENROLLED_DAYS_BEFORE: Final = (9, 21)
"""Days from enrolment to session 1."""
ENROLLED_BETWEEN: Final = (10 * 60, 15 * 60)
"""Minutes of the day."""
PROBLEM_NAMED_AFTER: Final = (10, 20)
"""Minutes of the first talk that a patient takes to name a problem."""
CLOSED_AFTER: Final = timedelta(hours=6)
"""From the beginning of the last session to the closing of the case."""


@dataclass(frozen=True, slots=True)
class _Clinic:
    """What is the same for every patient: the forms that are asked, the sessions of a course, the language."""

    forms: Sequence[Form]
    sessions: int
    language: Language


@dataclass(frozen=True, slots=True)
class _Place:
    """A patient's place in a group. first: the time of the group's session 1."""

    number: str
    group: str
    first: datetime


def draw(  # noqa: PLR0913 - each is a choice of whoever asks for a cohort
    instruments: Mapping[str, Instrument],
    *,
    seed: int,
    groups: int = 3,
    patients: int = 8,
    sessions: int = 14,
    start: date = date(2026, 1, 5),
    language: Language = "en",
) -> Iterator[SimulatedCase]:
    """Draw the cases of a cohort one by one; more groups follow after the same first ones.

    instruments: by id; of those in INSTRUMENTS, the ones given are asked
    patients: in each group
    sessions: of a course, one a week; at least 1
    start: day of session 1 of the first group; the others begin on the working days from there, five groups a week,
        and after the fifth on the same days again, as in a region of many clinics
    language: in which problems and comments are written
    """
    forms = [Form.of(instruments[name]) for name in INSTRUMENTS if name in instruments]
    clinic = _Clinic(forms, sessions, language)
    for group in range(groups):
        first = datetime.combine(_working_day(start, group % WORKING_DAYS), SESSION_BEGINS)
        for patient in range(patients):
            place = _Place(f"P{group * patients + patient + 1:04d}", f"G{group + 1:02d}", first)
            yield _case(clinic, place, Random(f"{seed}/{place.group}/{place.number}"))


def _case(clinic: _Clinic, place: _Place, rng: Random) -> SimulatedCase:
    course = draw_course(rng)
    profile = PROFILES[course]
    patient = draw_patient(profile, draw_totals(course, clinic.sessions, rng), rng)
    enrolled_at = _enrolment(place.first, rng)
    problems = tuple(_problems(enrolled_at, clinic.language, rng))
    sessions, closed_because = draw_sessions(place.first, clinic.sessions, profile.drops_out, rng)
    return SimulatedCase(
        number=place.number,
        group=place.group,
        course=course,
        enrolled_at=enrolled_at,
        problems=problems,
        sessions=sessions,
        responses=tuple(draw_responses(patient, sessions, clinic.forms, clinic.language, rng)),
        closed_at=sessions[-1].scheduled + CLOSED_AFTER,
        closed_because=closed_because,
    )


def _problems(enrolled_at: datetime, language: Language, rng: Random) -> Iterator[SimulatedProblem]:
    first, second = rng.sample(phrases.PROBLEMS, 2)
    named_at = enrolled_at + timedelta(minutes=rng.randint(*PROBLEM_NAMED_AFTER))
    yield SimulatedProblem(1, first.in_language(language), named_at)
    named_at += timedelta(minutes=rng.randint(*PROBLEM_NAMED_AFTER))
    yield SimulatedProblem(2, second.in_language(language), named_at)


def _enrolment(first: datetime, rng: Random) -> datetime:
    """Draw a moment in the working hours of the weeks before session 1, before the forms of session 0."""
    day = _working_day_until(first.date() - timedelta(days=rng.randint(*ENROLLED_DAYS_BEFORE)))
    return datetime.combine(day, time(tzinfo=UTC)) + timedelta(minutes=rng.randint(*ENROLLED_BETWEEN))


def _working_day(start: date, number: int) -> date:
    """Give the working day that lies `number` working days after the first one from `start` on."""
    days = (start + timedelta(days=each) for each in range(2 * 7))
    return [day for day in days if day.weekday() < WORKING_DAYS][number]


def _working_day_until(day: date) -> date:
    """Give the day itself, or the Friday before a weekend."""
    return day - timedelta(days=max(0, day.weekday() - WORKING_DAYS + 1))
