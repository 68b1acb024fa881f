"""The roster on MongoDB."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from services.runtime.documents import Documents, told_as
from services.runtime.roster.port import Entry, EntryT, RosterUnavailable, kind_of, read_each

ROSTER: Final = "roster"


class MongoRoster:
    """A `Roster` in the collection `roster`."""

    def __init__(self, documents: Documents) -> None:
        """Use a database."""
        self._documents = documents

    async def put(self, entry: Entry) -> None:
        """Write an entry, in the place of the one that is there."""
        kind = kind_of(type(entry))
        document = {"kind": kind, "clinic": entry.clinic, "body": entry.model_dump_json()}
        with told_as(RosterUnavailable):
            await self._documents.put(ROSTER, {_name(kind, entry.clinic, entry.id): document})

    async def find(self, kind: type[EntryT], clinic: str, entry_id: str) -> EntryT | None:
        """Give an entry; None if it is not there."""
        with told_as(RosterUnavailable):
            found = await self._documents.find(ROSTER, [_name(kind_of(kind), clinic, entry_id)])
        return kind.model_validate_json(found[0]["body"]) if found else None

    async def all(self, kind: type[EntryT], clinic: str | None = None) -> Sequence[EntryT]:
        """Give the entries of a kind, of every clinic or of one, by clinic and id."""
        wanted = {"kind": kind_of(kind)} if clinic is None else {"kind": kind_of(kind), "clinic": clinic}
        with told_as(RosterUnavailable):
            found = await self._documents.find_where(ROSTER, wanted)
        entries = [kind.model_validate_json(each["body"]) for each in found]
        return sorted(entries, key=lambda entry: (entry.clinic, entry.id))

    async def readable(self, kind: type[EntryT]) -> tuple[Sequence[EntryT], AbstractSet[str]]:
        """Give the entries of a kind that can be read, by clinic and id, and the clinics that have others."""
        with told_as(RosterUnavailable):
            found = await self._documents.find_where(ROSTER, {"kind": kind_of(kind)})
        return read_each(kind, ((each["clinic"], each["body"]) for each in found))

    async def remove(self, kind: type[Entry], clinic: str, entry_id: str) -> bool:
        """Remove an entry; tell whether it was there."""
        with told_as(RosterUnavailable):
            return await self._documents.remove_where(ROSTER, {"_id": _name(kind_of(kind), clinic, entry_id)}) > 0


def _name(kind: str, clinic: str, entry_id: str) -> str:
    return f"{kind}/{clinic}/{entry_id}"
