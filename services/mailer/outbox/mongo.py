"""The outbox on MongoDB."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from contracts.events.fields import instant
from services.mailer.domain.delivery import Delivery
from services.mailer.outbox.port import OutboxUnavailable, is_damaged, read, written
from services.runtime.documents import Document, Documents, Replacement, told_as

OUTBOX: Final = "outbox"
INDEXED: Final = ("notice", "case", "begun", "is_over")
_AT_ONCE: Final = 500


class MongoOutbox:
    """An `Outbox` in the collection `outbox`."""

    def __init__(self, documents: Documents) -> None:
        """Use a database."""
        self._documents = documents

    async def of(self, notices: Collection[str]) -> Sequence[Delivery]:
        """Give the deliveries of some notices, by notice and recipient."""
        with told_as(OutboxUnavailable):
            found = await self._documents.find_by(OUTBOX, "notice", notices)
        return [read(each["body"]) for each in sorted(found, key=lambda each: str(each["_id"]))]

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, but those that are there already."""
        documents = {
            _name(each): {
                "number": each.revision,
                "notice": each.notice,
                "case": each.case_id,
                "begun": instant(each.begun),
                **_changing(each),
            }
            for each in deliveries
        }
        with told_as(OutboxUnavailable):
            await self._documents.put_new(OUTBOX, documents)

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Put a delivery in the place of one, unless that has another revision by now; tell whether it was done."""
        replacement = Replacement(_name(before), before.revision, after.revision, _changing(after))
        with told_as(OutboxUnavailable):
            (standing,) = await self._documents.replace(OUTBOX, [replacement])
        return standing.is_ours

    async def waiting(self) -> int:
        """Count the deliveries without an outcome."""
        with told_as(OutboxUnavailable):
            return await self._documents.count_where(OUTBOX, {"is_over": False})

    async def forget(self, until: datetime) -> int:
        """Forget the deliveries that were begun by then; tell how many there were."""
        forgotten = 0
        with told_as(OutboxUnavailable):
            while old := await self._documents.find_up_to(OUTBOX, "begun", instant(until), _AT_ONCE):
                await self._documents.remove_each(OUTBOX, [{"_id": each["_id"]} for each in old])
                forgotten += len(old)
        return forgotten

    async def forget_case(self, case_id: str) -> None:
        """Forget the deliveries of a case."""
        with told_as(OutboxUnavailable):
            await self._documents.remove_where(OUTBOX, {"case": case_id})

    async def forget_damaged(self, notices: Collection[str]) -> None:
        """Forget those deliveries of some notices that cannot be read."""
        with told_as(OutboxUnavailable):
            found = await self._documents.find_by(OUTBOX, "notice", notices, ("body",))
            # Another mailer can have made one anew by now.
            damaged = [{"_id": each["_id"], "body": each["body"]} for each in found if is_damaged(each["body"])]
            await self._documents.remove_each(OUTBOX, damaged)


def _name(delivery: Delivery) -> str:
    return f"{delivery.notice}/{delivery.recipient or ''}"


def _changing(delivery: Delivery) -> Document:
    return {"is_over": delivery.outcome is not None, "body": written(delivery)}
