"""Reading a log: a partition to its end, and which records count as events of their case."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from contracts.codec import CaseKey, Unreadable, decode
from contracts.events.event import Data, Event
from contracts.topics import CASES, Topic
from services.runtime.log.port import Log, StoredRecord, next_offset

_AT_ONCE: Final = 2_000


async def chunks(
    log: Log, topic: Topic, partition: int, offset: int = 0, at_once: int = _AT_ONCE
) -> AsyncIterator[Sequence[StoredRecord]]:
    """Give the records of a partition from an offset to its end, so many at a time. Raises LogUnavailable."""
    while records := await log.read(topic, partition, offset, at_once):
        yield records
        offset = next_offset(records)


def event_of(record: StoredRecord, topic: Topic, key: CaseKey) -> Event[Data] | Unreadable:
    """Read a record of a case: it has to say that it is about that case, and to be numbered where records are."""
    event = decode(record.value, topic, key)
    if isinstance(event, Unreadable):
        return event
    belongs = event.subject == record.key and (event.sequence is None) == (topic is CASES)
    return event if belongs else Unreadable("not-an-event")
