"""The directory in one SQLite file."""

import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from contracts.codec import CaseKey
from services.runtime.database import rows_by_case, rows_of, told_as, transaction
from services.runtime.directory.port import DirectoryUnavailable, Person, SealedPerson
from services.runtime.directory.sealed import open_person, seal_person
from services.runtime.keyring.port import Keyring

_ENTRY = "CAST(entry AS BLOB)"
"""What is kept of a person, as bytes all the same: an editor of databases leaves text."""


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
                seal_person(persons[case_id], key, case_id),
            )
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        ]
        with told_as(DirectoryUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO directory VALUES (?, ?, ?)", rows)

    async def case_ids(self, clinic: str, numbers: Collection[str]) -> Mapping[str, str]:
        """Give the case id of each number of a clinic, known or not."""
        names = {number: self._keyring.case_id(clinic, number) for number in numbers}
        statement = "SELECT name, case_id FROM directory WHERE name IN"
        with told_as(DirectoryUnavailable):
            found: dict[str, str] = dict(rows_of(self._connection, statement, names.values()))
        return {number: found.get(name, name) for number, name in names.items()}

    async def persons(self) -> Mapping[str, Person]:
        """Give who every case is, as far as that is known, and can be read, and its key is there."""
        with told_as(DirectoryUnavailable):
            rows = self._connection.execute(f"SELECT case_id, {_ENTRY} FROM directory")  # noqa: S608 - a name of ours
            entries: dict[str, bytes] = dict(rows)
        keys = await self._keyring.keys(entries)
        persons = {
            case_id: open_person(entries[case_id], key, case_id)
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        }
        return {case_id: person for case_id, person in persons.items() if person is not None}

    async def forget(self, case_id: str) -> None:
        """Forget who a case is."""
        with told_as(DirectoryUnavailable), transaction(self._connection):
            self._connection.execute("DELETE FROM directory WHERE case_id = ?", (case_id,))

    async def sealed(self) -> AsyncIterator[SealedPerson]:
        """Give everybody as they are kept, by case."""
        with told_as(DirectoryUnavailable):
            for row in rows_by_case(self._connection, "directory", f"CAST(name AS TEXT), {_ENTRY}"):
                yield SealedPerson(*row)

    async def put_back(self, persons: Sequence[SealedPerson]) -> None:
        """Put persons back as they were kept. A case, or a person, that is here already stays as it is."""
        with told_as(DirectoryUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO directory VALUES (?, ?, ?)", persons)
