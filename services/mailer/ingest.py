"""What the courier needs of ingest: outcomes are facts, and only ingest writes facts and knows all of them."""

from dataclasses import dataclass
from typing import Protocol

from services.mailer.domain.delivery import Fact
from services.runtime.unavailable import Unavailable


class IngestUnavailable(Unavailable):
    """Ingest cannot be reached, or does not let us in: nothing can be recorded. Says what to check."""


class NotRecorded(Exception):
    """Ingest does not do what it was asked for this case. Says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is on the log of a notice, and of its case.

    clinic, group: where the case is now; it can be in no group
    recipients: everybody to whom it goes; empty if nothing is recorded of any of them
    settled: those of whom was recorded that it was sent to them, or failed; is_over: nothing is left to be sent
    """

    clinic: str
    group: str | None
    recipients: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    is_over: bool = False


class Ingest(Protocol):
    """Knows and records what came of notices. Every call can raise IngestUnavailable or NotRecorded."""

    async def told(self, case_id: str, notice: str) -> Told:
        """Tell what is on the log of a notice and its case, up to its last record."""

    async def record(self, fact: Fact) -> None:
        """Record a fact. It is no error if one of that id is there."""
