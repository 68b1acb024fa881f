"""The copies of a region, on MongoDB."""

from collections.abc import Sequence
from typing import Final

from services.runtime.copies.port import CopiesUnavailable, Copy
from services.runtime.documents import Document, Documents, told_as

COPIES: Final = "copies"


class MongoCopies:
    """`Copies` in the collection `copies`."""

    def __init__(self, documents: Documents) -> None:
        """Use a database."""
        self._documents = documents

    @property
    def home(self) -> str:
        """How the home is known among others: where its database is."""
        return self._documents.name

    async def note(self, copy: Copy) -> None:
        """Note a copy; what was noted before in its place is replaced."""
        await self.forget((), instead=[copy])

    async def all(self) -> Sequence[Copy]:
        """Give what was noted, by kind, machine and path."""
        with told_as(CopiesUnavailable):
            return [_copy(each) async for each in self._documents.each(COPIES)]

    async def forget(self, copies: Sequence[Copy], instead: Sequence[Copy] = ()) -> None:
        """Forget copies, and note others in their place. If this is broken off, rather one too many is known."""
        gone, noted = set(copies), {copy.name: {"copy": copy.model_dump_json()} for copy in instead}
        with told_as(CopiesUnavailable):
            if noted:
                await self._documents.put(COPIES, noted)
            known = [each async for each in self._documents.each(COPIES)] if gone else []
            left = [each for each in known if each["_id"] not in noted and _copy(each) in gone]
            await self._documents.remove_each(COPIES, [{"_id": each["_id"], "copy": each["copy"]} for each in left])


def _copy(document: Document) -> Copy:
    return Copy.model_validate_json(document["copy"])
