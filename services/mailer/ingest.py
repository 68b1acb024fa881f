"""What the courier needs of ingest: outcomes are facts, and only ingest writes facts."""

from typing import Protocol

from services.mailer.domain.delivery import Fact
from services.runtime.unavailable import Unavailable


class IngestUnavailable(Unavailable):
    """Ingest cannot be reached, or records nothing just now; the same call can be tried again."""


class Ingest(Protocol):
    """Records what came of deliveries. Every call can raise IngestUnavailable."""

    async def has(self, case_id: str, fact_id: str) -> bool:
        """Tell whether a fact of a case is on the log."""

    async def record(self, fact: Fact) -> None:
        """Record a fact. It is no error if one of that id is there, or if its case can have no facts any more."""
