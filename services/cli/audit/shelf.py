"""A place for what is needed only while something is audited."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from services.runtime.database import Database
from services.runtime.store.sqlite import SqliteStore


@asynccontextmanager
async def shelf() -> AsyncIterator[SqliteStore]:
    """Give an empty place for states, on disk: however many cases there are, they fit."""
    with TemporaryDirectory(prefix="ontrack-audit-") as folder:
        database = Database.create(Path(folder) / "shelf.db")
        try:
            yield SqliteStore(database.connection)
        finally:
            database.close()
