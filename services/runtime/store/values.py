"""Values that stand in a store, where damage or an editor of databases may have left others."""

from datetime import datetime

from contracts.events.fields import instant
from services.runtime.store.port import UNREADABLE, Position


def moment_of(value: object) -> datetime | None:
    """Give the moment that stands somewhere as `instant` writes it; None if it is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        # Written otherwise it would be out of order, and nobody could say that it is this one which is postponed.
        return moment if moment is not None and instant(moment) == value else None
    except (ValueError, OverflowError):
        return None


def due_of(value: object) -> datetime | None:
    """Give when a case is to be looked at, if ever; UNREADABLE if that is no moment."""
    return None if value is None else moment_of(value) or UNREADABLE


def position_of(log: str, offset: object) -> Position | None:
    """Give how far a stage has come; None if that is no offset: then it reads all of it again."""
    return Position(log, offset) if isinstance(offset, int) and offset >= 0 else None
