"""Moments as people and spreadsheet programs write them."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

NOON: Final = 12
YEARS: Final = range(1900, 2200)
"""Anything else is a slip of the pen."""
_AHEAD: Final = timedelta(days=1)
"""So far a moment may lie ahead: clocks differ, and a day without a time is its noon."""
_ISO: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?", re.ASCII
)
_DANISH: Final = re.compile(
    r"(\d{1,2})[-./](\d{1,2})[-./](\d{4})(?:[ T]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?)?", re.ASCII
)


class NoMoment(Exception):
    """No moment at which something can have been answered. Says what was expected."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """By what moments are read: the zone of those that do not say theirs, and what time it is now."""

    zone: tzinfo
    now: datetime


def moment(text: str, calendar: Calendar) -> datetime:
    """Read ISO 8601 (`2026-01-05`, `2026-01-05T08:30:00Z`) or day-month-year (`05-01-2026 08.30`). Raises NoMoment.

    A time without an offset is one in the calendar's zone. A day without a time is its noon there, so that it stays the
    same day wherever it is read.
    """
    try:
        found = _written(text.strip(), calendar.zone)
        if found.year not in YEARS:
            raise NoMoment(f"a year from {YEARS[0]} to {YEARS[-1]} was expected")
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NoMoment("a date or time was expected, such as 2026-01-05T08:30:00Z or 05-01-2026 08:30") from None
    if found > calendar.now + _AHEAD:
        raise NoMoment("a moment that has come was expected")
    return found


def day(text: str) -> date:
    """Read a day in ISO 8601 (`2026-01-05`). Raises ValueError."""
    if "T" in text or " " in text or not _ISO.fullmatch(text):
        raise ValueError("a day was expected")
    found = date.fromisoformat(text)
    if found.year not in YEARS:
        raise ValueError("a year was expected")
    return found


def _written(text: str, zone: tzinfo) -> datetime:
    if _ISO.fullmatch(text):
        found = datetime.fromisoformat(text)
        if len(text) == len("2026-01-05"):
            found = found.replace(hour=NOON)
        return found if found.tzinfo is not None else found.replace(tzinfo=zone)
    danish = _DANISH.fullmatch(text)
    if danish is None:
        raise ValueError("no known form")
    day_of_month, month, year = (int(part) for part in danish.group(1, 2, 3))
    hour, minute, second = (int(part or 0) for part in danish.group(4, 5, 6)) if danish[4] else (NOON, 0, 0)
    return datetime(year, month, day_of_month, hour, minute, second, tzinfo=zone)
