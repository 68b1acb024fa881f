"""What a simulated case consists of. All moments are in UTC, in whole seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.simulation.courses import CourseKind

ClosedBecause = Literal["completed", "dropped_out"]


@dataclass(frozen=True, slots=True)
class SimulatedResponse:
    """One instrument, answered for one session; session 0 is before the course.

    answers: item id -> value, every item of the instrument, each within its range
    """

    session: int | str
    instrument: str
    answers: Mapping[str, int]
    comment: str | None
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class SimulatedSession:
    """A session of the course, and whether the patient was there."""

    session: int
    scheduled: datetime
    attended: bool


@dataclass(frozen=True, slots=True)
class SimulatedProblem:
    """A PSYCHLOPS problem in the patient's own words."""

    problem: Literal[1, 2]
    text: str
    named_at: datetime


@dataclass(frozen=True, slots=True)
class SimulatedCase:
    """One patient's course of treatment.

    number: pseudonym, P0001 and so on
    group: G01 and so on
    course: how the depression was drawn to develop; nothing outside the simulation knows it
    sessions: from session 1 to the one after which the case closed
    responses: in the order in which they were answered
    """

    number: str
    group: str
    course: CourseKind
    enrolled_at: datetime
    problems: tuple[SimulatedProblem, ...]
    sessions: tuple[SimulatedSession, ...]
    responses: tuple[SimulatedResponse, ...]
    closed_at: datetime
    closed_because: ClosedBecause
