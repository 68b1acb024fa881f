"""What the services need of a directory. It is not history: what it holds of a case is gone with the case's key."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from unicodedata import normalize

from services.runtime.unavailable import Unavailable

_UNSEEN: Final = r"\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
"""What steers a screen instead of being seen on it: such a number could look like another one."""

NUMBER_FORM: Final = rf"^[^\s{_UNSEEN}]([^{_UNSEEN}]{{0,98}}[^\s{_UNSEEN}])?$"
"""The form of a clinic's own number of a patient."""


class DirectoryUnavailable(Unavailable):
    """The directory cannot be reached, read or written just now; the same call can be tried again."""


def composed(name: str) -> str:
    """Give the one spelling of a number, or of a `number@clinic`, by which it is compared (see `Keyring.case_id`)."""
    return normalize("NFC", name)


@dataclass(frozen=True, slots=True)
class Person:
    """Who a case is to the clinic: the clinic, and its external number there."""

    clinic: str
    number: str


class SealedPerson(NamedTuple):
    """Who a case is, as a directory keeps it: found by a keyed hash of clinic and number, sealed under its key."""

    case_id: str
    name: str
    sealed: bytes


class Directory(Protocol):
    """Persons by case id. Every call can raise DirectoryUnavailable, or what the keyring raises.

    The case id of a case that began here is the one that the keyring makes of clinic and number; a case that came with
    an exported log keeps the id that it had there.
    """

    async def enter(self, persons: Mapping[str, Person]) -> None:
        """Note who cases are: case id -> person. A case whose key was destroyed stays unknown.

        A case has one person and a person one case: what is entered last holds.
        """

    async def case_ids(self, clinic: str, numbers: Collection[str]) -> Mapping[str, str]:
        """Give the case id of each number of a clinic, known or not."""

    async def persons(self) -> Mapping[str, Person]:
        """Give who every case is, as far as that is known, and can be read, and its key is there."""

    async def forget(self, case_id: str) -> None:
        """Forget who a case is."""

    def sealed(self) -> AsyncIterator[SealedPerson]:
        """Give everybody as they are kept, by case: also those of whom nobody can tell any more who they are."""

    async def put_back(self, persons: Sequence[SealedPerson]) -> None:
        """Put persons back as they were kept. A case, or a person, that is here already stays as it is."""
