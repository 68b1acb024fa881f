"""What the courier needs of an outbox.

It can be lost: what is to be sent stands on the log. It keeps what must not stand there for every try: how often
something was tried, and when it is to be tried again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from pydantic import TypeAdapter

from services.mailer.domain.delivery import Delivery
from services.runtime.unavailable import Unavailable

DELIVERIES: Final = TypeAdapter(Delivery)


class OutboxUnavailable(Unavailable):
    """The outbox cannot be reached, read or written just now; the same call can be tried again."""


class Outbox(Protocol):
    """Deliveries by notice and recipient.

    Every write is durable when it returns, and every call can raise OutboxUnavailable.
    """

    async def of(self, notices: Collection[str]) -> Sequence[Delivery]:
        """Give the deliveries of some notices, by notice and recipient."""

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, but those that are there already."""

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Put a delivery in the place of one, unless that was changed since; tell whether it was done."""

    async def waiting(self) -> Sequence[Delivery]:
        """Give the deliveries without an outcome, by notice and recipient."""

    async def forget(self, until: datetime) -> int:
        """Forget the deliveries that were begun by then; tell how many there were."""


def written(delivery: Delivery) -> str:
    """Write a delivery as it is stored."""
    return DELIVERIES.dump_json(delivery).decode()


def read(text: str) -> Delivery:
    """Read a delivery that was stored."""
    return DELIVERIES.validate_json(text)
