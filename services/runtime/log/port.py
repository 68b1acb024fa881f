"""What the services need of a log."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contracts.events.event import Data, Event
from contracts.topics import Topic
from services.runtime.unavailable import Unavailable


class LogUnavailable(Unavailable):
    """The log cannot be reached, read or written just now; the same call can be tried again."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the key that chose its partition, and its bytes.

    event: what the bytes say, if it is at hand; a log may pass it to readers in the same process
    """

    key: str
    value: bytes
    event: Event[Data] | None = None


@dataclass(slots=True)
class StoredRecord:
    """A record where it stands; the first offset of a partition is 0.

    event: what the bytes say, once it has been read in this process; a reader may leave it here for the next one
    """

    offset: int
    key: str
    value: bytes
    event: Event[Data] | None = field(default=None, compare=False)


class Log(Protocol):
    """An append-only log. Records of a partition keep their order for ever. Every call can raise LogUnavailable."""

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        """Append records in order; they are durable when this returns."""

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read at most `limit` records from `offset` on; fewer only at the end."""

    async def end(self, topic: Topic, partition: int) -> int:
        """Give the offset that the next record will have."""
