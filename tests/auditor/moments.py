"""A log as it was told a moment ago, while facts come and stages conclude."""

from collections.abc import Mapping
from typing import Any

from contracts.codec import id_of
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic
from services.runtime.log.port import Log


class AMomentAgo:
    """A log of which the ends of a partition are told at first as they were, once or more often."""

    def __init__(self, log: Log, partition: int, ends: Mapping[str, int], often: int = 1) -> None:
        self._log = log
        self._partition = partition
        self._ends = {topic: [end] * often for topic, end in ends.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def end(self, topic: Topic, partition: int) -> int:
        before = self._ends.get(topic.name) if partition == self._partition else None
        return before.pop() if before else await self._log.end(topic, partition)


async def ends_before_the_last_fact(log: Log, partition: int) -> dict[str, int]:
    """Where each topic ended before the last fact of a partition came."""
    last = await log.end(CASES, partition) - 1
    [fact] = await log.read(CASES, partition, last, 1)
    ends = {CASES.name: last}
    for topic in (SCORES, TRACKS, NOTICES):
        records = await log.read(topic, partition, 0, await log.end(topic, partition))
        said = f'"correlationid":"{id_of(fact.value)}"'.encode()
        ends[topic.name] = next((record.offset for record in records if said in record.value), len(records))
    return ends
