"""The room for requests that are not answered yet: so much for all, and half of it for the clients of one clinic."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, Self

from services.ingest.http.problems import BUSY, Problem

BYTES_TOGETHER: Final = 32 << 20
"""Bytes of all requests: what is read from a body takes ten times as much."""

BYTES_OF_A_REQUEST: Final = 16 << 10
"""Bytes that a request counts for before its body."""

_SHARES: Final = 2


class Room:
    """The room that there is."""

    def __init__(self, size: int = BYTES_TOGETHER) -> None:
        """Have room for so many bytes."""
        self._size = size
        self._taken: Counter[str] = Counter()
        self._taken_by_all = 0

    def lent(self, clinic: str) -> "Loan":
        """Lend room to a request of a clinic, as long as this is entered."""
        return Loan(self, clinic)

    def take(self, clinic: str, size: int) -> None:
        """Take some of it. Raises Problem where there is too little."""
        if self._taken[clinic] + size > self._size // _SHARES or self._taken_by_all + size > self._size:
            raise Problem(BUSY)
        self._taken[clinic] += size
        self._taken_by_all += size

    def give_back(self, clinic: str, size: int) -> None:
        """Give back what was taken."""
        self._taken_by_all -= size
        self._taken[clinic] -= size
        if not self._taken[clinic]:
            del self._taken[clinic]


@dataclass(slots=True)
class Loan:
    """The room that a request has taken. body: what it has brought, once that was taken in."""

    room: Room
    clinic: str
    size: int = 0
    body: bytes | None = None

    def __enter__(self) -> Self:
        """Take what every request takes. Raises Problem."""
        self.take(BYTES_OF_A_REQUEST)
        return self

    def __exit__(self, *_: object) -> None:
        """Give all of it back."""
        self.room.give_back(self.clinic, self.size)

    def take(self, size: int) -> None:
        """Take more. Raises Problem."""
        self.room.take(self.clinic, size)
        self.size += size
