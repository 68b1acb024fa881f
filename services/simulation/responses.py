"""What a patient answers and when: some forms on the morning of a session, one right after it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Final

from contracts.definitions.definition import Language
from services.simulation import phrases
from services.simulation.answers import Form, happened, rated, with_total
from services.simulation.case import SimulatedResponse, SimulatedSession
from services.simulation.courses import WORST_TOTAL, Profile

INSTRUMENTS: Final = ("odsis", "life-events", "psychlops-2", "homework", "gq-12")
"""What the clinic asks, in the order in which a patient answers it."""
FIRST_ASKED: Final[Mapping[str, int]] = MappingProxyType({"homework": 2})
"""The first session for which an instrument is asked, where it is not session 0."""
COMMENTED: Final[Mapping[str, float]] = MappingProxyType({"odsis": 0.15, "gq-12": 0.10})
"""Share of the responses that carry a comment."""
LEFT_OUT: Final = 0.05
"""Chance that one form stays unanswered though the others are answered."""
ANSWERED_THOUGH_ABSENT: Final = 0.15
"""Chance that the morning's forms of a missed session are answered nonetheless."""

MORNING_BEGINS: Final = timedelta(hours=6)
MORNING_LASTS_AT_MOST: Final = timedelta(hours=2, minutes=15)
FORM_TAKES_SECONDS: Final = (40, 200)
AFTER_SESSION: Final = timedelta(hours=11, minutes=5)
AFTER_SESSION_LASTS: Final = timedelta(minutes=35)

PATIENT_SD: Final = 0.06
"""Spread between patients in what the course alone does not say, as a share of an item's range."""
SESSION_SD: Final = 0.08
"""Spread between one patient's sessions in the same."""
MOVED: Final = 2
"""Points of the ODSIS from which a week is called better or worse than the one before."""
GROUP_WENT_WELL: Final = 0.18
GROUP_WENT_BADLY: Final = 0.36


@dataclass(frozen=True, slots=True)
class Patient:
    """How one patient is.

    totals: points of the ODSIS at sessions 0, 1, 2 …
    problems, homework, group: how much worse than the course says, as a share of an item's range
    """

    profile: Profile
    totals: Sequence[int]
    problems: float
    homework: float
    group: float


def draw_patient(profile: Profile, totals: Sequence[int], rng: Random) -> Patient:
    """Draw what the course does not say about a patient."""
    problems, homework, group = (rng.gauss(0.0, PATIENT_SD) for _ in range(3))
    return Patient(profile, totals, problems, homework, group)


def draw_responses(
    patient: Patient, sessions: Sequence[SimulatedSession], forms: Sequence[Form], language: Language, rng: Random
) -> Iterator[SimulatedResponse]:
    """Draw the responses of a course in the order of time; those of session 0 a week before session 1."""
    before_course = SimulatedSession(0, sessions[0].scheduled - timedelta(weeks=1), attended=True)
    for session in (before_course, *sessions):
        for form, answered_at in _occasions(session, forms, rng):
            if rng.random() >= LEFT_OUT:
                answers, tone = _answers(patient, form, session.session, rng)
                comment = _comment(form, tone, language, rng)
                yield SimulatedResponse(session.session, form.instrument, answers, comment, answered_at)


def _occasions(session: SimulatedSession, forms: Sequence[Form], rng: Random) -> Iterator[tuple[Form, datetime]]:
    """Give the forms that the patient sits down to, each with the moment at which it is answered."""
    midnight = session.scheduled.replace(hour=0, minute=0, second=0)
    asked = [form for form in forms if session.session >= FIRST_ASKED.get(form.instrument, 0)]
    if session.attended or rng.random() < ANSWERED_THOUGH_ABSENT:
        moment = midnight + MORNING_BEGINS + _part_of(MORNING_LASTS_AT_MOST, rng)
        for form in asked:
            if form.asked == "before_session":
                yield form, moment
                moment += timedelta(seconds=rng.randint(*FORM_TAKES_SECONDS))
    if session.attended and session.session > 0:
        for form in asked:
            if form.asked == "after_session":
                yield form, midnight + AFTER_SESSION + _part_of(AFTER_SESSION_LASTS, rng)


def _part_of(span: timedelta, rng: Random) -> timedelta:
    return timedelta(seconds=rng.randint(0, int(span.total_seconds())))


def _answers(patient: Patient, form: Form, session: int, rng: Random) -> tuple[dict[str, int], phrases.Tone]:
    """Draw the answers, and the tone in which a comment would be written."""
    week = rng.gauss(0.0, SESSION_SD)
    match form.instrument:
        case "odsis":
            return with_total(form, patient.totals[session], rng), _tone_of_week(patient, session)
        case "life-events":
            return happened(form, patient.profile.life_event, rng), "same"
        case "psychlops-2":
            return rated(form, patient.totals[session] / WORST_TOTAL + patient.problems + week, rng), "same"
        case "homework":
            return rated(form, patient.profile.homework_undone + patient.homework + week, rng), "same"
        case _:
            strain = patient.profile.group_strain + patient.group + week
            return rated(form, strain, rng), _tone_of_session(strain)


def _tone_of_week(patient: Patient, session: int) -> phrases.Tone:
    if session == 0:
        return "same"
    change = patient.totals[session] - patient.totals[session - 1]
    if abs(change) < MOVED:
        return "same"
    return "better" if change < 0 else "worse"


def _tone_of_session(strain: float) -> phrases.Tone:
    if strain < GROUP_WENT_WELL:
        return "better"
    return "worse" if strain > GROUP_WENT_BADLY else "same"


def _comment(form: Form, tone: phrases.Tone, language: Language, rng: Random) -> str | None:
    if rng.random() >= COMMENTED.get(form.instrument, 0.0):
        return None
    about = phrases.WEEK if form.asked == "before_session" else phrases.GROUP
    return rng.choice(about[tone]).in_language(language)
