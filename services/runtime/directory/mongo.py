"""The directory on MongoDB, sealed under the keys of its cases."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final

from contracts.codec import CaseKey
from services.runtime.directory.port import DirectoryUnavailable, Person, SealedPerson
from services.runtime.directory.sealed import open_person, seal_person
from services.runtime.documents import Documents, told_as
from services.runtime.keyring.port import Destroyed, Keyring

DIRECTORY: Final = "directory"
NAME: Final = "name"


class MongoDirectory:
    """A `Directory` in the collection `directory`, found by the id that the keyring makes of clinic and number."""

    def __init__(self, documents: Documents, keyring: Keyring) -> None:
        """Use a database."""
        self._documents = documents
        self._keyring = keyring

    async def enter(self, persons: Mapping[str, Person]) -> None:
        """Note who cases are: case id -> person. A case whose key was destroyed stays unknown."""
        keys = await self._keyring.create(persons)
        entries = {
            case_id: {
                NAME: self._keyring.case_id(persons[case_id].clinic, persons[case_id].number),
                "entry": seal_person(persons[case_id], key, case_id),
            }
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        }
        cases = {str(entry[NAME]): case_id for case_id, entry in entries.items()}
        with told_as(DirectoryUnavailable):
            for held in await self._documents.find_by(DIRECTORY, NAME, cases):
                if held["_id"] != cases[held[NAME]]:
                    await self._documents.remove_where(DIRECTORY, {"_id": held["_id"]})
            await self._documents.put(DIRECTORY, entries)
        # One may have been erased in between: its key is destroyed before its entry is removed.
        for case_id, key in (await self._keyring.keys(entries)).items():
            if isinstance(key, Destroyed):
                await self.forget(case_id)

    async def case_ids(self, clinic: str, numbers: Collection[str]) -> Mapping[str, str]:
        """Give the case id of each number of a clinic, known or not."""
        names = {number: self._keyring.case_id(clinic, number) for number in numbers}
        with told_as(DirectoryUnavailable):
            held = await self._documents.find_by(DIRECTORY, NAME, set(names.values()))
        found = {each[NAME]: each["_id"] for each in held}
        return {number: found.get(name, name) for number, name in names.items()}

    async def persons(self) -> Mapping[str, Person]:
        """Give who every case is, as far as that is known, and can be read, and its key is there."""
        with told_as(DirectoryUnavailable):
            entries = {each["_id"]: each["entry"] for each in await self._documents.find_where(DIRECTORY, {})}
        keys = await self._keyring.keys(entries)
        persons = {
            case_id: open_person(entries[case_id], key, case_id)
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        }
        return {case_id: person for case_id, person in persons.items() if person is not None}

    async def forget(self, case_id: str) -> None:
        """Forget who a case is."""
        with told_as(DirectoryUnavailable):
            await self._documents.remove_where(DIRECTORY, {"_id": case_id})

    async def sealed(self) -> AsyncIterator[SealedPerson]:
        """Give everybody as they are kept, by case."""
        with told_as(DirectoryUnavailable):
            async for each in self._documents.each(DIRECTORY):
                yield SealedPerson(each["_id"], each[NAME], each["entry"])

    async def put_back(self, persons: Sequence[SealedPerson]) -> None:
        """Put persons back as they were kept. A case, or a person, that is here already stays as it is."""
        entries = {each.case_id: {NAME: each.name, "entry": each.sealed} for each in persons}
        with told_as(DirectoryUnavailable):
            await self._documents.put_new(DIRECTORY, entries)
