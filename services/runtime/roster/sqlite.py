"""The roster in one SQLite file."""

import sqlite3
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from services.runtime.database import told_as
from services.runtime.roster.port import Entry, EntryT, RosterUnavailable, kind_of, read_each


class SqliteRoster:
    """A `Roster` in the table `roster`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection

    async def put(self, entry: Entry) -> None:
        """Write an entry, in the place of the one that is there."""
        values = kind_of(type(entry)), entry.clinic, entry.id, entry.model_dump_json()
        self._execute("INSERT OR REPLACE INTO roster VALUES (?, ?, ?, ?)", values)

    async def find(self, kind: type[EntryT], clinic: str, entry_id: str) -> EntryT | None:
        """Give an entry; None if it is not there."""
        statement = "SELECT body FROM roster WHERE kind = ? AND clinic = ? AND id = ?"
        row = self._execute(statement, (kind_of(kind), clinic, entry_id)).fetchone()
        return None if row is None else kind.model_validate_json(row[0])

    async def all(self, kind: type[EntryT], clinic: str | None = None) -> Sequence[EntryT]:
        """Give the entries of a kind, of every clinic or of one, by clinic and id."""
        statement = "SELECT body FROM roster WHERE kind = ? AND (? IS NULL OR clinic = ?) ORDER BY clinic, id"
        rows = self._execute(statement, (kind_of(kind), clinic, clinic)).fetchall()
        return [kind.model_validate_json(body) for (body,) in rows]

    async def readable(self, kind: type[EntryT]) -> tuple[Sequence[EntryT], AbstractSet[str]]:
        """Give the entries of a kind that can be read, by clinic and id, and the clinics that have others."""
        rows = self._execute("SELECT clinic, body FROM roster WHERE kind = ?", (kind_of(kind),)).fetchall()
        return read_each(kind, rows)

    async def remove(self, kind: type[Entry], clinic: str, entry_id: str) -> bool:
        """Remove an entry; tell whether it was there."""
        statement = "DELETE FROM roster WHERE kind = ? AND clinic = ? AND id = ?"
        return self._execute(statement, (kind_of(kind), clinic, entry_id)).rowcount == 1

    def _execute(self, statement: str, values: tuple[str | None, ...]) -> sqlite3.Cursor:
        with told_as(RosterUnavailable):
            return self._connection.execute(statement, values)
