"""What the courier needs of an outbox.

It can be lost: what is to be sent stands on the log. It keeps what must not stand there for every try: how often
something was tried, and when it is to be tried again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from pydantic import TypeAdapter, ValidationError

from services.mailer.domain.delivery import Delivery
from services.runtime.unavailable import Unavailable

DELIVERIES: Final = TypeAdapter(Delivery)


class OutboxUnavailable(Unavailable):
    """The outbox cannot be reached, read or written just now; the same call can be tried again."""


class OutboxDamaged(OutboxUnavailable):
    """Something that the outbox keeps cannot be read, until the mailer makes it anew. Says nothing of what it holds."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("what is kept of a mail that waits cannot be read: the mailer makes it anew at its next look")


class Outbox(Protocol):
    """Deliveries by notice and recipient.

    Every write is durable when it returns, and every call can raise OutboxUnavailable. Of several that are begun
    together some may be there and others not, if that fails.
    """

    async def of(self, notices: Collection[str]) -> Sequence[Delivery]:
        """Give the deliveries of some notices, by notice and recipient. Raises OutboxDamaged."""

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, but those that are there already."""

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Put a delivery in the place of one, unless that has another revision by now; tell whether it was done."""

    async def waiting(self) -> int:
        """Count the deliveries without an outcome."""

    async def forget(self, until: datetime) -> int:
        """Forget the deliveries that were begun by then; tell how many there were."""

    async def forget_case(self, case_id: str) -> None:
        """Forget the deliveries of a case."""

    async def forget_damaged(self, notices: Collection[str]) -> None:
        """Forget those deliveries of some notices that cannot be read."""


def written(delivery: Delivery) -> str:
    """Write a delivery as it is stored."""
    return DELIVERIES.dump_json(delivery).decode()


def read(text: str) -> Delivery:
    """Read a delivery that was stored. Raises OutboxDamaged."""
    try:
        return DELIVERIES.validate_json(text)
    except ValidationError:
        raise OutboxDamaged from None


def is_damaged(text: str) -> bool:
    """Tell whether a delivery that was stored cannot be read."""
    try:
        read(text)
    except OutboxDamaged:
        return True
    return False
