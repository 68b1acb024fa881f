"""The log in one SQLite file."""

import sqlite3
from collections.abc import Sequence

from contracts.topics import Topic
from services.runtime.database import transaction
from services.runtime.log.port import LogUnavailable, Record, StoredRecord


class SqliteLog:
    """A `Log` in the table `records`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        """Append records in order; they are durable when this returns. Raises LogUnavailable."""
        if not records:
            return
        try:
            with transaction(self._connection):
                end = await self.end(topic, partition)
                self._connection.executemany(
                    "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
                    [(topic.name, partition, end + n, record.key, record.value) for n, record in enumerate(records)],
                )
        except sqlite3.OperationalError as error:
            raise LogUnavailable(str(error)) from None

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read at most `limit` records from `offset` on; fewer only at the end."""
        rows = self._connection.execute(
            'SELECT "offset", key, value FROM records WHERE topic = ? AND partition = ? AND "offset" >= ?'
            ' ORDER BY "offset" LIMIT ?',
            (topic.name, partition, offset, limit),
        )
        return [StoredRecord(*row) for row in rows]

    async def end(self, topic: Topic, partition: int) -> int:
        """Give the offset that the next record will have."""
        last = self._connection.execute(
            'SELECT max("offset") FROM records WHERE topic = ? AND partition = ?', (topic.name, partition)
        ).fetchone()[0]
        return 0 if last is None else int(last) + 1
