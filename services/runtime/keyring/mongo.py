"""The keyring on MongoDB: wrapped keys only; the master key is elsewhere."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from functools import lru_cache
from secrets import token_bytes
from typing import Final

from contracts.codec import CaseKey
from services.runtime.documents import Document, Documents, told_as
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.keyring.port import Destroyed, KeyringUnavailable, require_same

KEYS: Final = "keys"
MASTER: Final = "master"

_REMEMBERED: Final = 10_000


class MongoKeyring:
    """A `Keyring` in the collection `keys`; a destroyed key leaves a document without one.

    Every call asks the database, because another process may have destroyed a key; only unwrapping is remembered.
    """

    def __init__(self, documents: Documents, master: MasterKey, random: Callable[[int], bytes] = token_bytes) -> None:
        """Use a database. random: where the bytes of new keys come from."""
        self._documents = documents
        self._master = master
        self._random = random
        self._unwrap = lru_cache(maxsize=_REMEMBERED)(master.unwrap)

    async def require_own_master(self) -> None:
        """Make sure that the master key is the one that this database was founded with.

        Raises MasterKeyUnusable: another key would wrap new keys that the right one could never open, and a database
        that has lost its keys would give old cases new ones.
        """
        with told_as(KeyringUnavailable):
            held = await self._documents.find(MASTER, [MASTER])
        if not held:
            raise MasterKeyUnusable(
                "the database has lost its keys, or is not the one of this log: check ONTRACK_MONGODB_DATABASE, or put "
                "its collections keys, directory and master back"
            )
        if held[0]["fingerprint"] != self._master.fingerprint:
            raise MasterKeyUnusable("the master key is not the one of this data: put the right one back")

    async def remember_master(self) -> None:
        """Remember which master key a new database is founded with; the first one stays."""
        with told_as(KeyringUnavailable):
            await self._documents.put_new(MASTER, {MASTER: {"fingerprint": self._master.fingerprint}})

    async def keys(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; a case that never had one, or whose key was damaged, is absent."""
        with told_as(KeyringUnavailable):
            found = await self._documents.find(KEYS, case_ids)
        kept = {each["_id"]: _wrapped(each) for each in found}
        keys: dict[str, CaseKey | Destroyed] = {}
        for case_id, wrapped in kept.items():
            try:
                keys[case_id] = Destroyed.DESTROYED if wrapped is None else self._unwrap(wrapped)
            except MasterKeyUnusable:
                # If it is the right one, it is the key that was damaged.
                await self.require_own_master()
        return keys

    async def create(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; one that never had a key gets one now. Raises MasterKeyUnusable."""
        found = await self.keys(case_ids)
        new = {case_id: CaseKey(self._random(CaseKey.LENGTH)) for case_id in case_ids if case_id not in found}
        if not new:
            return found
        await self.require_own_master()
        await self._add(new)
        # Somebody else may have made a key of the same case just now: the first one holds.
        return {**found, **await self.keys(new)}

    async def adopt(self, keys: Mapping[str, CaseKey]) -> None:
        """Take keys that come with an exported log; raises ValueError if a case has another one already."""
        known = await self.keys(keys)
        require_same(keys, known)
        await self._add({case_id: key for case_id, key in keys.items() if case_id not in known})
        require_same(keys, await self.keys(keys))

    async def _add(self, keys: Mapping[str, CaseKey]) -> None:
        await self.put_back({case_id: self._master.wrap(key) for case_id, key in keys.items()})

    async def wrapped(self) -> AsyncIterator[tuple[str, bytes | None]]:
        """Give the key of every case as it is kept, by case; None: it was destroyed."""
        with told_as(KeyringUnavailable):
            async for each in self._documents.each(KEYS):
                yield each["_id"], _wrapped(each)

    async def put_back(self, wrapped: Mapping[str, bytes | None]) -> None:
        """Put keys back as they were kept. A case that has one here already keeps it."""
        with told_as(KeyringUnavailable):
            await self._documents.put_new(KEYS, {case_id: {"wrapped": key} for case_id, key in wrapped.items()})

    async def destroy(self, case_id: str) -> None:
        """Destroy the key of a case for ever."""
        self._unwrap.cache_clear()
        with told_as(KeyringUnavailable):
            await self._documents.put(KEYS, {case_id: {"wrapped": None}})

    def case_id(self, clinic: str, number: str) -> str:
        """Give the case id of a clinic's external number."""
        return self._master.case_id(clinic, number)

    def disguised(self, text: str) -> str:
        """Give what stands for a text that somebody could guess."""
        return self._master.disguised(text)


def _wrapped(document: Document) -> bytes | None:
    """Give a key as it is kept; None if it was destroyed. FerretDB leaves a field without a value out of a new one."""
    wrapped: bytes | None = document.get("wrapped")
    return wrapped
