"""The keyring in one SQLite file: wrapped keys only; the master key is elsewhere."""

import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from secrets import token_bytes

from contracts.codec import CaseKey
from services.runtime.database import emptied, rows_by_case, rows_of, told_as, transaction
from services.runtime.faults import MEND_DAMAGE
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.keyring.port import Destroyed, KeyringUnavailable, require_same

_WRAPPED = "CAST(wrapped AS BLOB)"
"""A key, as bytes all the same: an editor of databases leaves text."""

_REMEMBERED = 10_000


class SqliteKeyring:
    """A `Keyring` in the table `keys`; a destroyed key leaves a row without one."""

    def __init__(
        self, connection: sqlite3.Connection, master: MasterKey, random: Callable[[int], bytes] = token_bytes
    ) -> None:
        """Use an open database. random: where the bytes of new keys come from."""
        self._connection = connection
        self._master = master
        self._random = random
        self._unwrapped: OrderedDict[str, CaseKey | Destroyed] = OrderedDict()
        self._version = 0

    def require_own_master(self) -> None:
        """Make sure that the master key is the one that this file was founded with.

        Raises MasterKeyUnusable: another key would wrap new keys that the right one could never open.
        """
        if self._founded_with() not in (None, self._master.fingerprint):
            raise MasterKeyUnusable("the master key is not the one of this data: put the right one back")

    def remember_master(self) -> None:
        """Remember which master key a new file is founded with."""
        with told_as(KeyringUnavailable), transaction(self._connection):
            self._connection.execute("DELETE FROM master")
            self._connection.execute("INSERT INTO master VALUES (?)", (self._master.fingerprint,))

    async def keys(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; a case that never had one, or whose key was damaged, is absent."""
        self._forget_what_others_changed()
        found: dict[str, CaseKey | Destroyed] = {}
        unknown = []
        for case_id in case_ids:
            key = self._unwrapped.get(case_id)
            if key is None:
                unknown.append(case_id)
            else:
                found[case_id] = key
        statement = f"SELECT case_id, {_WRAPPED} FROM keys WHERE case_id IN"  # noqa: S608 - a name of ours
        with told_as(KeyringUnavailable):
            rows = rows_of(self._connection, statement, unknown)
        for case_id, wrapped in rows:
            key = Destroyed.DESTROYED if wrapped is None else self._unwrapped_by_own(wrapped)
            if key is not None:
                found[case_id] = key
                self._remember(case_id, key)
        return found

    def _unwrapped_by_own(self, wrapped: bytes) -> CaseKey | None:
        """Unwrap a key; None if it was damaged. Raises MasterKeyUnusable if it can be that it is the master key's."""
        try:
            return self._master.unwrap(wrapped)
        except MasterKeyUnusable:
            if self._founded_with() != self._master.fingerprint:
                raise
            return None

    def _founded_with(self) -> bytes | None:
        """Give the fingerprint of the master key that this file was founded with, if it is known."""
        with told_as(KeyringUnavailable):
            held = self._connection.execute("SELECT fingerprint FROM master").fetchone()
        return None if held is None else held[0]

    async def create(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; one that never had a key gets one now."""
        found = dict(await self.keys(case_ids))
        new = {case_id: CaseKey(self._random(CaseKey.LENGTH)) for case_id in case_ids if case_id not in found}
        await self.adopt(new)
        return {**found, **new}

    async def adopt(self, keys: Mapping[str, CaseKey]) -> None:
        """Take keys that come with an exported log; raises ValueError if a case has another one already."""
        known = await self.keys(keys)
        require_same(keys, known)
        new = [(case_id, self._master.wrap(key)) for case_id, key in keys.items() if case_id not in known]
        if new:
            try:
                with told_as(KeyringUnavailable), transaction(self._connection):
                    self._connection.executemany("INSERT INTO keys VALUES (?, ?)", new)
            except sqlite3.IntegrityError:
                # What was sealed under a damaged key can be read again once that is put back, and under no other.
                raise KeyringUnavailable(f"the key of a case is damaged. To mend it: {MEND_DAMAGE}") from None

    async def wrapped(self) -> AsyncIterator[tuple[str, bytes | None]]:
        """Give the key of every case as it is kept, by case; None: it was destroyed."""
        with told_as(KeyringUnavailable):
            for case_id, wrapped in rows_by_case(self._connection, "keys", _WRAPPED):
                yield case_id, wrapped

    async def put_back(self, wrapped: Mapping[str, bytes | None]) -> None:
        """Put keys back as they were kept. A case that has one here already keeps it."""
        with told_as(KeyringUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", wrapped.items())

    async def destroy(self, case_id: str) -> None:
        """Destroy the key of a case for ever."""
        with told_as(KeyringUnavailable), transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO keys VALUES (?, NULL)", (case_id,))
        self._unwrapped.pop(case_id, None)
        # The old page still stands in the write-ahead log until that is emptied.
        with told_as(KeyringUnavailable):
            is_empty = emptied(self._connection)
        if not is_empty:
            raise KeyringUnavailable(
                f"the key of the case {case_id} is deleted, but its old bytes remain in the -wal file of the database "
                "until whoever is reading that has closed it; then destroy the key again"
            )

    def case_id(self, clinic: str, number: str) -> str:
        """Give the case id of a clinic's external number."""
        return self._master.case_id(clinic, number)

    def disguised(self, text: str) -> str:
        """Give what stands for a text that somebody could guess."""
        return self._master.disguised(text)

    def _forget_what_others_changed(self) -> None:
        """Forget remembered keys once another process has written the file: it may have destroyed one."""
        with told_as(KeyringUnavailable):
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._unwrapped.clear()

    def _remember(self, case_id: str, key: CaseKey | Destroyed) -> None:
        self._unwrapped[case_id] = key
        if len(self._unwrapped) > _REMEMBERED:
            self._unwrapped.popitem(last=False)
