"""The clinic's time zone: moments stand in UTC on the log, and are told by the clock on the clinic's wall."""

import os
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.cli.home import Failure
from services.pages.clock import by_clock

VARIABLE: Final = "ONTRACK_TIME_ZONE"
_FORMERLY: Final = "ONTRACK_TIMEZONE"
USUAL: Final = "Europe/Copenhagen"


def zone_named(name: str) -> ZoneInfo:
    """Find a time zone. Raises Failure."""
    if _FORMERLY in os.environ:
        # Passed over, it would have times read by another clock, for ever.
        raise Failure(f"{_FORMERLY} is called {VARIABLE} now; set that in its place")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Failure(f"{name}: a time zone such as {USUAL} was expected") from None


def clinic_zone() -> ZoneInfo:
    """Give the clinic's time zone, as the environment has it. Raises Failure."""
    return zone_named(os.environ.get(VARIABLE) or USUAL)


def local(moment: datetime) -> datetime:
    """Give a moment by the clinic's clock."""
    return by_clock(moment, clinic_zone())
