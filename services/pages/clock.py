"""The clock on a wall: by it people are told moments, which stand in UTC on the log."""

from datetime import datetime, tzinfo


def by_clock(moment: datetime, zone: tzinfo) -> datetime:
    """Give a moment by the clock of a zone; as it comes where that would lie beyond the years 1 to 9999."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment
