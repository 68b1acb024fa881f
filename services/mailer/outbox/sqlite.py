"""The outbox in one SQLite file."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime

from contracts.events.fields import instant
from services.mailer.domain.delivery import Delivery
from services.mailer.outbox.port import OutboxUnavailable, read, written
from services.runtime.database import told_as, transaction


class SqliteOutbox:
    """An `Outbox` in the table `outbox`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection

    async def of(self, notices: Collection[str]) -> Sequence[Delivery]:
        """Give the deliveries of some notices, by notice and recipient."""
        # One list for however many there are: a statement has no place for a number of them that is not known.
        statement = (
            "SELECT body FROM outbox WHERE notice IN (SELECT value FROM json_each(?)) ORDER BY notice, recipient"
        )
        return self._found(statement, json.dumps(list(notices)))

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, but those that are there already."""
        rows = [
            (each.notice, each.recipient or "", instant(each.begun), each.outcome is not None, written(each))
            for each in deliveries
        ]
        with told_as(OutboxUnavailable), transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?)", rows)

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Put a delivery in the place of one, unless that was changed since; tell whether it was done."""
        statement = "UPDATE outbox SET body = ?, is_over = ? WHERE notice = ? AND recipient = ? AND body = ?"
        place = before.notice, before.recipient or "", written(before)
        with told_as(OutboxUnavailable):
            done = self._connection.execute(statement, (written(after), after.outcome is not None, *place))
        return done.rowcount == 1

    async def waiting(self) -> Sequence[Delivery]:
        """Give the deliveries without an outcome, by notice and recipient."""
        return self._found("SELECT body FROM outbox WHERE NOT is_over ORDER BY notice, recipient")

    async def forget(self, until: datetime) -> int:
        """Forget the deliveries that were begun by then; tell how many there were."""
        with told_as(OutboxUnavailable):
            return self._connection.execute("DELETE FROM outbox WHERE begun <= ?", (instant(until),)).rowcount

    def _found(self, statement: str, *values: str) -> list[Delivery]:
        with told_as(OutboxUnavailable):
            return [read(body) for (body,) in self._connection.execute(statement, values)]
