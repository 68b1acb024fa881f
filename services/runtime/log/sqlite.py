"""The log in one SQLite file."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from contracts.topics import Topic
from services.runtime.database import table_of, told_as, transaction
from services.runtime.faults import MEND_DAMAGE
from services.runtime.log.port import LogUnavailable, Record, StoredRecord, after, next_offset

AT_HAND: Final = 2_000
"""Records that are kept in memory for the next stage, besides those appended last: more only takes its place."""

_BEYOND: Final = 2**63 - 1
"""The last number of SQLite. No record follows one that stands there, so it is none: a hole is where it was."""

_RECORD: Final = """"offset", ifnull(CAST(key AS TEXT), ''), ifnull(CAST(value AS BLOB), x'')"""
"""A record, its key as text and its value as bytes all the same: an editor leaves either, and damage leaves nothing."""


class SqliteLog:
    """A `Log` in one table for each partition.

    What was appended last to a partition is kept at hand: in one process the next stage reads it at once.
    """

    is_read_here = True

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection
        self._fresh: dict[tuple[str, int], list[StoredRecord]] = {}

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        """Append records in order; they are durable when this returns."""
        if records:
            self._appended(topic, {partition: records})

    async def append_each(
        self, topic: Topic, groups: Mapping[int, Sequence[Sequence[Record]]]
    ) -> Mapping[int, int | LogUnavailable | None]:
        """Append groups of records to several partitions, all or none of them: one wait for the disk."""
        try:
            return self._appended(topic, {place: list(chain.from_iterable(some)) for place, some in groups.items()})
        except LogUnavailable as unavailable:
            return dict.fromkeys(groups, unavailable)

    def _appended(self, topic: Topic, records: Mapping[int, Sequence[Record]]) -> Mapping[int, int]:
        """Append records; give where those of each partition begin. Raises LogUnavailable, and nothing is appended."""
        stored: dict[int, list[StoredRecord]] = {}
        starts: dict[int, int] = {}
        with told_as(LogUnavailable), transaction(self._connection):
            for partition, some in records.items():
                starts[partition] = self._end(topic, partition)
                if starts[partition] + len(some) > _BEYOND:
                    raise LogUnavailable(f"a record of {topic.name} stands where none can follow: {MEND_DAMAGE}")
                stored[partition] = [StoredRecord(at, *record) for at, record in enumerate(some, starts[partition])]
                self._connection.executemany(
                    f"INSERT INTO {table_of(topic, partition)} VALUES (?, ?, ?)",  # noqa: S608 - a name of ours
                    [record[:3] for record in stored[partition]],
                )
        for partition, appended in stored.items():
            if appended:
                self._keep_at_hand(topic, partition, appended)
        return starts

    def put_back(self, topic: Topic, partition: int, records: Iterable[StoredRecord]) -> None:
        """Put records where they stood on another log, gaps among them: nothing else may be there."""
        with told_as(LogUnavailable), transaction(self._connection):
            self._connection.executemany(
                f"INSERT INTO {table_of(topic, partition)} VALUES (?, ?, ?)",  # noqa: S608 - a name of ours
                (record[:3] for record in records),
            )

    def _keep_at_hand(self, topic: Topic, partition: int, records: list[StoredRecord]) -> None:
        """Keep what was just appended, and let go of what was appended longest ago."""
        self._fresh.pop((topic.name, partition), None)
        self._fresh[topic.name, partition] = records
        count = sum(map(len, self._fresh.values()))
        for place in list(self._fresh)[:-1]:
            if count <= AT_HAND:
                break
            count -= len(self._fresh.pop(place))

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read at most `limit` records from `offset` on; fewer only at the end."""
        fresh = self._fresh.get((topic.name, partition))
        if not fresh or not fresh[0].offset <= offset <= fresh[-1].offset:
            return self._stored(topic, partition, offset, limit)
        start = offset - fresh[0].offset
        at_hand = fresh[start : start + limit]
        return [*at_hand, *self._stored(topic, partition, next_offset(at_hand), limit - len(at_hand))]

    async def read_each(self, topic: Topic, spans: Mapping[int, range]) -> Mapping[int, Sequence[StoredRecord]]:
        """Read what stands at some offsets of each partition, all of them before its end."""
        return {
            partition: await self.read(topic, partition, span.start, len(span)) for partition, span in spans.items()
        }

    def _stored(self, topic: Topic, partition: int, offset: int, limit: int) -> list[StoredRecord]:
        with told_as(LogUnavailable):
            rows = self._connection.execute(
                f"SELECT {_RECORD} FROM {table_of(topic, partition)}"  # noqa: S608 - names of ours
                ' WHERE "offset" >= ? AND "offset" < ? ORDER BY "offset" LIMIT ?',
                (offset, _BEYOND, limit),
            )
            return [StoredRecord(*row) for row in rows]

    async def end(self, topic: Topic, partition: int) -> int:
        """Give the offset that the next record will have."""
        return self._end(topic, partition)

    async def ends(self, topic: Topic, partitions: Collection[int]) -> Mapping[int, int]:
        """Give the offset that the next record of each partition will have."""
        return {partition: self._end(topic, partition) for partition in partitions}

    def _end(self, topic: Topic, partition: int) -> int:
        with told_as(LogUnavailable):
            table = table_of(topic, partition)
            asked = f'SELECT max("offset") FROM {table} WHERE "offset" < ?'  # noqa: S608 - a name of ours
            last = self._connection.execute(asked, (_BEYOND,)).fetchone()[0]
        return 0 if last is None else after(last)
