"""The directory in one SQLite file."""

import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from contracts.codec import CaseKey
from services.runtime.database import told_as, transaction
from services.runtime.directory.port import DirectoryUnavailable, Person, SealedPerson
from services.runtime.keyring.port import Keyring

_CONTEXT = b"directory"
_AT_ONCE = 500


class SqliteDirectory:
    """A `Directory` in the table `directory`, sealed under the keys of the cases.

    A person is found by a keyed hash of clinic and number.
    """

    def __init__(self, connection: sqlite3.Connection, keyring: Keyring) -> None:
        """Use an open database, and the keys of `keyring`."""
        self._connection = connection
        self._keyring = keyring

    async def enter(self, persons: Mapping[str, Person]) -> None:
        """Note who cases are: case id -> person. A case whose key was destroyed stays unknown."""
        keys = await self._keyring.create(persons)
        rows = [
            (
                case_id,
                self._keyring.case_id(persons[case_id].clinic, persons[case_id].number),
                key.seal(orjson.dumps(asdict(persons[case_id])), _CONTEXT, case_id.encode()),
            )
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        ]
        with told_as(DirectoryUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO directory VALUES (?, ?, ?)", rows)

    async def case_ids(self, clinic: str, numbers: Collection[str]) -> Mapping[str, str]:
        """Give the case id of each number of a clinic, known or not."""
        names = {self._keyring.case_id(clinic, number): number for number in numbers}
        found = {number: name for name, number in names.items()}
        wanted = list(names)
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            places = ",".join("?" * len(some))
            statement = f"SELECT name, case_id FROM directory WHERE name IN ({places})"  # noqa: S608 - placeholders
            found.update((names[name], case_id) for name, case_id in self._rows(statement, some))
        return found

    async def persons(self) -> Mapping[str, Person]:
        """Give who every case is, as far as that is known and its key is there."""
        entries: dict[str, bytes] = {row[0]: row[1] for row in self._rows("SELECT case_id, entry FROM directory")}
        keys = await self._keyring.keys(entries)
        return {
            case_id: Person(**orjson.loads(key.unseal(entries[case_id], _CONTEXT, case_id.encode())))
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        }

    async def forget(self, case_id: str) -> None:
        """Forget who a case is."""
        with told_as(DirectoryUnavailable), transaction(self._connection):
            self._connection.execute("DELETE FROM directory WHERE case_id = ?", (case_id,))

    async def sealed(self) -> AsyncIterator[SealedPerson]:
        """Give everybody as they are kept, by case."""
        last = ""
        statement = "SELECT case_id, name, entry FROM directory WHERE case_id > ? ORDER BY case_id LIMIT ?"
        while rows := self._rows(statement, (last, _AT_ONCE)):
            for row in rows:
                yield SealedPerson(*row)
            last = rows[-1][0]

    async def put_back(self, persons: Sequence[SealedPerson]) -> None:
        """Put persons back as they were kept. A case, or a person, that is here already stays as it is."""
        with told_as(DirectoryUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO directory VALUES (?, ?, ?)", persons)

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with told_as(DirectoryUnavailable):
            return self._connection.execute(statement, values).fetchall()
