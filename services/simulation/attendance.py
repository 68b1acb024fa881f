"""Which sessions a patient comes to, and whether the patient stays to the end."""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from services.simulation.case import ClosedBecause, SimulatedSession

MISSED: Final = 0.032
"""Chance to miss a session and come back; with those that end in a drop-out, 7 % of all sessions are missed."""
MISSED_BEFORE_CLOSING: Final = 2
"""So many missed sessions in a row close the case of a patient who leaves."""
LEAVES_AT_RANDOM: Final = 0.15
"""Share of those who leave that may do so at any time, not between the usual sessions."""
USUAL_LAST_SESSION: Final = (3, 10)


def draw_sessions(
    first: datetime, sessions: int, drops_out: float, rng: Random
) -> tuple[tuple[SimulatedSession, ...], ClosedBecause]:
    """Draw who comes to weekly sessions: up to the last one, or to the two missed ones that close the case.

    first: the time of session 1
    drops_out: chance to leave before the end
    """
    last = _last_attended(sessions, drops_out, rng)
    held = sessions if last is None else last + MISSED_BEFORE_CLOSING
    drawn = tuple(
        SimulatedSession(number, first + timedelta(weeks=number - 1), attended=_attends(number, last, rng))
        for number in range(1, held + 1)
    )
    return drawn, "completed" if last is None else "dropped_out"


def _last_attended(sessions: int, drops_out: float, rng: Random) -> int | None:
    """Draw the last session that a patient who leaves comes to; None for a patient who stays."""
    latest = sessions - MISSED_BEFORE_CLOSING
    leaves = rng.random() < drops_out
    if not leaves or latest < 1:
        return None
    least, most = (1, latest) if rng.random() < LEAVES_AT_RANDOM else USUAL_LAST_SESSION
    return min(rng.randint(least, most), latest)


def _attends(number: int, last: int | None, rng: Random) -> bool:
    misses = rng.random() < MISSED
    if last is None or number < last:
        return not misses
    return number == last
