"""The directory: who is who. Not history, and sealed under the case's key: what is erased is gone here too."""

import sqlite3
from collections.abc import Collection, Mapping

from contracts.codec import CaseKey
from services.runtime.database import transaction
from services.runtime.keyring.port import Keyring

_CONTEXT = b"directory"


class Directory:
    """External numbers by case id, in the table `directory`."""

    def __init__(self, connection: sqlite3.Connection, keyring: Keyring) -> None:
        """Use an open database."""
        self._connection = connection
        self._keyring = keyring

    async def enter(self, numbers: Mapping[str, str]) -> None:
        """Note the external numbers of cases: case id -> number."""
        keys = await self._keyring.create(numbers)
        rows = [
            (case_id, key.seal(numbers[case_id].encode(), _CONTEXT, case_id.encode()))
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        ]
        with transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO directory VALUES (?, ?)", rows)

    async def numbers(self, case_ids: Collection[str] | None = None) -> Mapping[str, str]:
        """Give the external numbers of cases (None: of all), as far as they are known."""
        rows: list[tuple[str, bytes]] = self._connection.execute("SELECT case_id, entry FROM directory").fetchall()
        wanted = {case_id: entry for case_id, entry in rows if case_ids is None or case_id in case_ids}
        keys = await self._keyring.keys(wanted)
        return {
            case_id: key.unseal(wanted[case_id], _CONTEXT, case_id.encode()).decode()
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        }
