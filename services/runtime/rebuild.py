"""What a stage knows, made anew from its topic: its states, its positions, and of its events those that are missing."""

from collections.abc import Callable, Sequence
from sys import maxsize
from typing import Any

from contracts.codec import glance
from contracts.topics import DEAD_LETTERS, Topic
from services.runtime.keyring.port import Keyring
from services.runtime.log.port import Log, Record, StoredRecord
from services.runtime.reading import chunks
from services.runtime.runner import Runner
from services.runtime.stage import Stage
from services.runtime.store.port import Position, Store


async def rebuild(
    stage: Stage[Any], log: Log, store: Store, keyring: Keyring, log_id: str, progress: Callable[[int], None]
) -> None:
    """Forget what a stage knows, and let it read its topic from the start. Nobody else may run it meanwhile.

    What it concludes is on the log already, but for what it had not come to: only that is published.

    progress: is told how many records were read
    """
    await store.clear(stage.name)
    await store.begin(stage.name)
    for partition in range(stage.reads.partitions):
        published = _Published(log)
        await published.look(stage.writes, partition)
        runner = Runner(stage, published, store, keyring, log_id, dead_letters_at_most=maxsize)
        # A position says that this is meant: without one a stage does not start where its topic has events.
        await store.set_position(stage.name, partition, Position(log_id, 0))
        await runner.open(partition)
        while count := await runner.advance(partition):
            progress(count)


class _Published:
    """A log on which only that is published which is not there yet."""

    is_read_here = False

    def __init__(self, log: Log) -> None:
        self._log = log
        self._last: dict[str, int] = {}
        self._letters: set[bytes] = set()

    async def look(self, topic: Topic | None, partition: int) -> None:
        """Look at what is there."""
        if topic is None:
            return
        async for records in chunks(self._log, topic, partition):
            for record in records:
                seen = glance(record.value)
                if seen is not None:
                    self._last[record.key] = max(seen.sequence, self._last.get(record.key, 0))
        letters = chunks(self._log, DEAD_LETTERS, partition)
        self._letters = {record.value async for records in letters for record in records}

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        """Append what is missing."""
        missing = [record for record in records if self._is_missing(topic, record)]
        await self._log.append(topic, partition, missing)

    def _is_missing(self, topic: Topic, record: Record) -> bool:
        if topic is DEAD_LETTERS:
            return record.value not in self._letters
        seen = glance(record.value)
        return seen is None or seen.sequence > self._last.get(record.key, 0)

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read the log."""
        return await self._log.read(topic, partition, offset, limit)

    async def end(self, topic: Topic, partition: int) -> int:
        """Give where the log ends."""
        return await self._log.end(topic, partition)
