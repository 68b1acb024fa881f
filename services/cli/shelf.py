"""A place for what is needed only while something is audited."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from services.cli.scratch import scratch
from services.runtime.database import Database
from services.runtime.store.sqlite import SqliteStore


@asynccontextmanager
async def shelf() -> AsyncIterator[SqliteStore]:
    """Give an empty place for states, on disk: however many cases there are, they fit."""
    with scratch("ontrack-audit-") as folder, shelf_in(folder / "shelf") as store:
        yield store


@contextmanager
def shelf_in(place: Path) -> Iterator[SqliteStore]:
    """Give the place for states in a folder of its own; it is made if it is not there."""
    place.mkdir(exist_ok=True)
    database = Database.create(place / "shelf.db")
    try:
        yield SqliteStore(database.connection)
    finally:
        database.close()
