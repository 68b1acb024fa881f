"""What the services need of a log."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from contracts.events.event import Data, Event
from contracts.topics import Topic
from services.runtime.unavailable import Unavailable

GROUP_BYTES: Final = 240_000
"""Bytes of records, `Record.size` of each, that every log can append together or not at all."""

_BESIDE: Final = 32


class LogUnavailable(Unavailable):
    """The log cannot be reached, read or written just now; the same call can be tried again."""


class Record(NamedTuple):
    """One record: the key that chose its partition, and its bytes.

    event: what the bytes say, if it is at hand; a log may hand it to readers in the same process
    """

    key: str
    value: bytes
    event: Event[Data] | None = None

    @property
    def size(self) -> int:
        """Give how many bytes it takes, at most."""
        return len(self.key.encode()) + len(self.value) + _BESIDE


class StoredRecord(NamedTuple):
    """A record where it stands; the first offset of a partition is 0.

    event: what the bytes say, if the log handed it on in the process that appended it
    """

    offset: int
    key: str
    value: bytes
    event: Event[Data] | None = None


class Log(Protocol):
    """An append-only log. Records of a partition keep their order for ever. Every call can raise LogUnavailable.

    is_read_here: whether who appends is followed by readers in the same process, to whom a record's event is handed on
    """

    @property
    def is_read_here(self) -> bool:
        """Whether the event of a record is worth keeping."""

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        """Append records in order; they are durable when this returns."""

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read at most `limit` records from `offset` on; fewer only at the end."""

    async def end(self, topic: Topic, partition: int) -> int:
        """Give the offset that the next record will have."""


class Journal(Log, Protocol):
    """What whoever writes facts needs of a log besides: several partitions at once."""

    async def read_each(self, topic: Topic, spans: Mapping[int, range]) -> Mapping[int, Sequence[StoredRecord]]:
        """Read what stands at some offsets of each partition, all of them before its end."""

    async def ends(self, topic: Topic, partitions: Collection[int]) -> Mapping[int, int]:
        """Give the offset that the next record of each partition will have."""

    async def append_each(
        self, topic: Topic, groups: Mapping[int, Sequence[Sequence[Record]]]
    ) -> Mapping[int, int | LogUnavailable | None]:
        """Append groups of records to several partitions, each in order; tell for each partition how that went.

        What was appended is durable when this returns, and stands from the offset that is given on, one record behind
        the other; None if they are there and nobody can tell where. What was not is unavailable: then some of it may be
        there, but of a group of at most `GROUP_BYTES` all or nothing. Raises nothing.
        """


def next_offset(records: Sequence[StoredRecord]) -> int:
    """Give the offset after some records: where reading goes on, and what a group commits."""
    return after(records[-1].offset)


def after(offset: int) -> int:
    """Give the offset after one."""
    return offset + 1
