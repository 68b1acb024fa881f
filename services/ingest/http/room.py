"""The room for requests that are not answered yet: so much for all, and half of it for the clients of one clinic."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

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

    @contextmanager
    def lent(self, clinic: str) -> Iterator["Loan"]:
        """Lend room to a request of a clinic until it is answered. Raises Problem where there is too little."""
        loan = Loan(self, clinic)
        try:
            loan.take(BYTES_OF_A_REQUEST)
            yield loan
        finally:
            self._taken[clinic] -= loan.size
            if not self._taken[clinic]:
                del self._taken[clinic]

    def take(self, clinic: str, size: int) -> None:
        """Take some of it. Raises Problem where there is too little."""
        if self._taken[clinic] + size > self._size // _SHARES or self._taken.total() + size > self._size:
            raise Problem(BUSY)
        self._taken[clinic] += size


@dataclass(slots=True)
class Loan:
    """The room that a request has taken."""

    room: Room
    clinic: str
    size: int = 0

    def take(self, size: int) -> None:
        """Take more. Raises Problem."""
        self.room.take(self.clinic, size)
        self.size += size
