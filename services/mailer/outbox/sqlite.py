"""The outbox in one SQLite file."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime

from contracts.events.fields import instant
from services.mailer.domain.delivery import Delivery
from services.mailer.outbox.port import OutboxUnavailable, is_damaged, read, written
from services.runtime.database import told_as, transaction


class SqliteOutbox:
    """An `Outbox` in the table `outbox`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection

    async def of(self, notices: Collection[str]) -> Sequence[Delivery]:
        """Give the deliveries of some notices, by notice and recipient."""
        with told_as(OutboxUnavailable):
            return [read(body) for _, _, body in self._rows(notices)]

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, but those that are there already."""
        rows = [(*_place(each), each.case_id, instant(each.begun), *_changing(each)) for each in deliveries]
        with told_as(OutboxUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Put a delivery in the place of one, unless that has another revision by now; tell whether it was done."""
        statement = (
            "UPDATE outbox SET revision = ?, is_over = ?, body = ? WHERE notice = ? AND recipient = ? AND revision = ?"
        )
        with told_as(OutboxUnavailable):
            done = self._connection.execute(statement, (*_changing(after), *_place(before), before.revision))
        return done.rowcount == 1

    async def waiting(self) -> int:
        """Count the deliveries without an outcome."""
        with told_as(OutboxUnavailable):
            return int(self._connection.execute("SELECT count(*) FROM outbox WHERE NOT is_over").fetchone()[0])

    async def forget(self, until: datetime) -> int:
        """Forget the deliveries that were begun by then; tell how many there were."""
        with told_as(OutboxUnavailable):
            return self._connection.execute("DELETE FROM outbox WHERE begun <= ?", (instant(until),)).rowcount

    async def forget_case(self, case_id: str) -> None:
        """Forget the deliveries of a case."""
        with told_as(OutboxUnavailable):
            self._connection.execute("DELETE FROM outbox WHERE case_id = ?", (case_id,))

    async def forget_damaged(self, notices: Collection[str]) -> None:
        """Forget those deliveries of some notices that cannot be read."""
        with told_as(OutboxUnavailable), transaction(self._connection):
            damaged = [(notice, recipient) for notice, recipient, body in self._rows(notices) if is_damaged(body)]
            self._connection.executemany("DELETE FROM outbox WHERE notice = ? AND recipient = ?", damaged)

    def _rows(self, notices: Collection[str]) -> list[tuple[str, str, str]]:
        """Give what is kept of some notices: notice, recipient and body, in that order."""
        # One list for however many there are: a statement has no place for a number of them that is not known.
        statement = (
            "SELECT notice, recipient, body FROM outbox WHERE notice IN (SELECT value FROM json_each(?)) "
            "ORDER BY notice, recipient"
        )
        return self._connection.execute(statement, (json.dumps(list(notices)),)).fetchall()


def _place(delivery: Delivery) -> tuple[str, str]:
    return delivery.notice, delivery.recipient or ""


def _changing(delivery: Delivery) -> tuple[int, bool, str]:
    return delivery.revision, delivery.outcome is not None, written(delivery)
