"""How depression develops over a course: five kinds of course, in points of the ODSIS (0 to 20, higher is worse)."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final, Literal

CourseKind = Literal["responder", "slow", "non_responder", "deteriorating", "sudden_gain"]

BEST_TOTAL: Final = 0
WORST_TOTAL: Final = 20
BASELINE_MEAN: Final = 11.5
BASELINE_SD: Final = 4.0
"""Before the limits, and the room that each course needs; they leave a mean of 12 and an SD of 3.4."""
BASELINE_LOWEST: Final = 5
BASELINE_HIGHEST: Final = 19
WEEKLY_SD: Final = 1.2
"""Spread of a week's total around the patient's course."""
WEEKLY_MOST: Final = 3.0
"""No week lies further from the course than this."""
SUDDEN_GAIN: Final = 5
"""Least points that a sudden gain is worth between two neighbouring sessions."""
WORSENS_OVER: Final = 4
"""Sessions that a deterioration takes from its beginning to its full size."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is typical of the patients of one kind of course.

    share: of all patients
    baseline: least and most points before the course, so that the course has room to happen
    change: least and most points by which the total changes in the end; negative is better
    drops_out: chance to leave before the last session
    life_event: chance of each life event in a week
    homework_undone: how much of the homework stays undone, from 0 to 1
    group_strain: how badly the group is experienced, from 0 to 1
    """

    share: float
    baseline: tuple[int, int]
    change: tuple[float, float]
    drops_out: float
    life_event: float
    homework_undone: float
    group_strain: float


PROFILES: Final[Mapping[CourseKind, Profile]] = MappingProxyType(
    {
        "responder": Profile(0.35, (8, 19), (-9.0, -6.0), 0.18, 0.035, 0.30, 0.20),
        "slow": Profile(0.20, (5, 19), (-4.0, -2.0), 0.25, 0.035, 0.35, 0.22),
        "non_responder": Profile(0.20, (5, 19), (-0.5, 0.5), 0.34, 0.035, 0.55, 0.32),
        "deteriorating": Profile(0.10, (5, 16), (3.0, 6.0), 0.40, 0.09, 0.60, 0.36),
        "sudden_gain": Profile(0.15, (9, 19), (-8.0, -6.0), 0.17, 0.035, 0.30, 0.20),
    }
)


def draw_course(rng: Random) -> CourseKind:
    """Draw the course of one patient."""
    return rng.choices(list(PROFILES), [profile.share for profile in PROFILES.values()])[0]


def draw_baseline(course: CourseKind, rng: Random) -> int:
    """Draw the total before the course, in points."""
    least, most = PROFILES[course].baseline
    while True:
        total = round(within(BASELINE_LOWEST, rng.gauss(BASELINE_MEAN, BASELINE_SD), BASELINE_HIGHEST))
        if least <= total <= most:
            return total


def draw_totals(course: CourseKind, sessions: int, rng: Random) -> tuple[int, ...]:
    """Draw the totals of sessions 0, 1, 2 … in points, as they are if the patient answers every time."""
    baseline = draw_baseline(course, rng)
    change = rng.uniform(*PROFILES[course].change)
    happened = _happened(course, sessions, rng)
    totals = [baseline, *(_measured(baseline + change * share, rng) for share in happened)]
    if course == "sudden_gain" and 1.0 in happened:
        gained = 1 + happened.index(1.0)
        totals[gained] = min(totals[gained], totals[gained - 1] - SUDDEN_GAIN)
    return tuple(totals)


def within(least: float, value: float, most: float) -> float:
    """Give the value, or the limit that it lies beyond."""
    return max(least, min(value, most))


def _happened(course: CourseKind, sessions: int, rng: Random) -> list[float]:
    """Give which share of the change has happened at sessions 1, 2, 3 …."""
    numbers = range(1, sessions + 1)
    match course:
        case "responder" | "slow" | "non_responder":
            return [number / sessions for number in numbers]
        case "deteriorating":
            before = rng.randint(1, max(1, sessions // 2))
            return [within(0.0, (number - before) / WORSENS_OVER, 1.0) for number in numbers]
        case "sudden_gain":
            first = min(3, sessions)
            gained = rng.randint(first, max(first, sessions * 2 // 3))
            return [float(number >= gained) for number in numbers]


def _measured(level: float, rng: Random) -> int:
    noise = within(-WEEKLY_MOST, rng.gauss(0.0, WEEKLY_SD), WEEKLY_MOST)
    return round(within(BEST_TOTAL, level + noise, WORST_TOTAL))
