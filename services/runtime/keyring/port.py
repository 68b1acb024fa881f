"""What the services need of a keyring."""

from collections.abc import AsyncIterator, Collection, Mapping
from enum import Enum
from typing import Protocol

from contracts.codec import CaseKey
from services.runtime.unavailable import Unavailable


class KeyringUnavailable(Unavailable):
    """The keyring cannot be reached, read or written just now; the same call can be tried again."""


class Destroyed(Enum):
    """The key of a case that was erased: nothing sealed under it can ever be read again."""

    DESTROYED = "destroyed"


class Keyring(Protocol):
    """Keys by case. Every call but `case_id` can raise KeyringUnavailable."""

    async def keys(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; a case that never had one, or whose key was damaged, is absent."""

    async def create(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; one that never had a key gets one now, and none whose key was damaged."""

    async def adopt(self, keys: Mapping[str, CaseKey]) -> None:
        """Take keys that come with an exported log; raises ValueError if a case has another one already."""

    async def destroy(self, case_id: str) -> None:
        """Destroy the key of a case for ever.

        If that raises, the key can be gone while its bytes are still somewhere: only destroying it again makes sure.
        """

    def case_id(self, clinic: str, number: str) -> str:
        """Give the case id of a clinic's external number: the same each time, and to be guessed by nobody.

        Two spellings that Unicode takes for the same text, as of Å in one character and in two, are one number.
        """

    def disguised(self, text: str) -> str:
        """Give what stands for a text: the same each time, and by it nobody finds the text, even by trying all."""


class Vault(Keyring, Protocol):
    """What backups need of a keyring besides: the keys as they are kept. Every call can raise KeyringUnavailable."""

    def wrapped(self) -> AsyncIterator[tuple[str, bytes | None]]:
        """Give the key of every case as it is kept, wrapped by the master key, by case; None: it was destroyed."""

    async def put_back(self, wrapped: Mapping[str, bytes | None]) -> None:
        """Put keys back as they were kept, destroyed ones as destroyed. A case that has one here already keeps it."""


def require_same(keys: Mapping[str, CaseKey], known: Mapping[str, CaseKey | Destroyed]) -> None:
    """Make sure that no case gets another key than the one that is known of it. Raises ValueError."""
    for case_id, key in keys.items():
        held = known.get(case_id)
        if held is not None and (not isinstance(held, CaseKey) or held.keyid != key.keyid):
            raise ValueError(f"the case {case_id} has another key here")
