"""The outbox on MongoDB."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from contracts.events.fields import instant
from services.mailer.domain.delivery import Delivery
from services.mailer.outbox.port import OutboxUnavailable, read, written
from services.runtime.documents import Document, Documents, told_as

OUTBOX: Final = "outbox"
NOTICE: Final = "notice"
BEGUN: Final = "begun"
_AT_ONCE: Final = 500


class MongoOutbox:
    """An `Outbox` in the collection `outbox`."""

    def __init__(self, documents: Documents) -> None:
        """Use a database."""
        self._documents = documents

    async def of(self, notices: Collection[str]) -> Sequence[Delivery]:
        """Give the deliveries of some notices, by notice and recipient."""
        with told_as(OutboxUnavailable):
            return _read(await self._documents.find_by(OUTBOX, NOTICE, notices))

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, but those that are there already."""
        documents = {
            _name(each): {NOTICE: each.notice, BEGUN: instant(each.begun), **_changing(each)} for each in deliveries
        }
        with told_as(OutboxUnavailable):
            await self._documents.put_new(OUTBOX, documents)

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Put a delivery in the place of one, unless that was changed since; tell whether it was done."""
        wanted = {"_id": _name(before), "body": written(before)}
        with told_as(OutboxUnavailable):
            return await self._documents.set_where(OUTBOX, wanted, _changing(after))

    async def waiting(self) -> Sequence[Delivery]:
        """Give the deliveries without an outcome, by notice and recipient."""
        with told_as(OutboxUnavailable):
            return _read(await self._documents.find_where(OUTBOX, {"is_over": False}))

    async def forget(self, until: datetime) -> int:
        """Forget the deliveries that were begun by then; tell how many there were."""
        forgotten = 0
        with told_as(OutboxUnavailable):
            while old := await self._documents.find_up_to(OUTBOX, BEGUN, instant(until), _AT_ONCE):
                await self._documents.remove_each(OUTBOX, [{"_id": each["_id"]} for each in old])
                forgotten += len(old)
        return forgotten


def _name(delivery: Delivery) -> str:
    return f"{delivery.notice}/{delivery.recipient or ''}"


def _changing(delivery: Delivery) -> Document:
    return {"is_over": delivery.outcome is not None, "body": written(delivery)}


def _read(documents: Sequence[Document]) -> list[Delivery]:
    return [read(each["body"]) for each in sorted(documents, key=lambda each: str(each["_id"]))]
