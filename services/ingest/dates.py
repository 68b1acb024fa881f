"""Moments as people and spreadsheet programs write them."""

import re
from datetime import UTC, datetime, tzinfo

NOON = 12
YEARS = range(1900, 2200)
"""Anything else is a slip of the pen."""
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_DANISH = re.compile(r"^(\d{1,2})[-./](\d{1,2})[-./](\d{4})(?:[ T]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?)?$")


def moment(text: str, zone: tzinfo) -> datetime | None:
    """Read ISO 8601 (`2026-01-05`, `2026-01-05T08:30:00Z`) or day-month-year (`05-01-2026 08.30`); None if neither.

    A time without an offset is one in `zone`. A day without a time is its noon there, so that it stays the same day
    wherever it is read.
    """
    text = text.strip()
    try:
        if danish := _DANISH.match(text):
            day, month, year, *time = (int(part) if part else 0 for part in danish.groups())
            hour, minute, second = time if any(part is not None for part in danish.groups()[3:]) else (NOON, 0, 0)
            found = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        else:
            found = datetime.fromisoformat(text)
            if _DAY.match(text):
                found = found.replace(hour=NOON)
        if found.year not in YEARS:
            return None
        return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
