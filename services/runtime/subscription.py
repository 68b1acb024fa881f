"""Reading a topic as a member of a consumer group: the only subscriber, with every setting that it depends on."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.message import StreamMessage
from faststream.security import BaseSecurity, SASLScram512

from services.runtime.brokers import REQUEST_TIMEOUT, Brokers
from services.runtime.log.kafka import stored
from services.runtime.log.port import LogUnavailable, StoredRecord

MAX_RECORDS: Final = 5_000
"""Records that are taken from the brokers at a time, over all partitions."""

SESSION_TIMEOUT: Final = 10.0
"""Seconds without a sign of life after which the group gives a member's partitions to others."""

DRAIN: Final = 15.0
"""Seconds that a batch in hand has to be finished when its partitions go elsewhere, or when the service ends."""

REBALANCE: Final = DRAIN + SESSION_TIMEOUT
"""Seconds within which every member has joined again when partitions are divided anew."""

IN_HAND: Final = 1_200.0
"""Seconds that what was read may be in hand before its partitions go elsewhere, and it is broken off: longer than a
store that is slow makes it last."""

JOINS_WITHIN: Final = REQUEST_TIMEOUT + 2 * REBALANCE
"""Seconds within which a member finds the brokers and is let into its group, also if others join meanwhile."""

COMMIT_TIMEOUT: Final = 5.0

Message = StreamMessage[tuple[ConsumerRecord, ...]]
Batches = Mapping[int, Sequence[StoredRecord]]


class Member(Protocol):
    """Who reads."""

    def take(self, partitions: Iterable[int]) -> None:
        """Have partitions from now on."""

    async def give_up(self, partitions: Iterable[int]) -> None:
        """Have partitions no longer; the group waits until this is over."""

    async def handle(self, batches: Batches) -> None:
        """Process what was read, by partition. Must not raise: the loop that reads would end."""


class Subscription:
    """A member's place in its group. joins_within: seconds within which it is let in."""

    def __init__(self, brokers: Brokers, group: str, topic: str, member: Member) -> None:
        """Read `topic` for `member`, as one of `group`."""
        self.joins_within = JOINS_WITHIN
        self._topic = topic
        self._member = member
        self._broker = KafkaBroker(
            brokers.servers.split(","),
            security=_security(brokers),
            request_timeout_ms=round(REQUEST_TIMEOUT * 1_000),
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=DRAIN,
            logger=None,
        )
        self._subscriber = self._broker.subscriber(
            topic,
            group_id=group,
            batch=True,
            max_records=MAX_RECORDS,
            batch_timeout_ms=5,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            session_timeout_ms=round(SESSION_TIMEOUT * 1_000),
            heartbeat_interval_ms=round(SESSION_TIMEOUT * 300),
            rebalance_timeout_ms=round(REBALANCE * 1_000),
            max_poll_interval_ms=round(IN_HAND * 1_000),
            max_partition_fetch_bytes=1 << 21,
            listener=_Listener(member),
            parser=_unopened,
            decoder=_unopened_body,
        )
        self._subscriber(self._handle)

    @property
    def is_reading(self) -> bool:
        """Whether the loop that reads is there."""
        return any(not task.done() for task in self._subscriber.tasks)

    async def start(self) -> None:
        """Join the group. Raises LogUnavailable if that takes too long, and what the libraries raise if it fails."""
        try:
            # Where nobody keeps groups, or the brokers are elsewhere by now, the library would ask for ever.
            async with asyncio.timeout(self.joins_within):
                await self._broker.start()
        except TimeoutError:
            raise LogUnavailable(f"its group has not let it join within {self.joins_within:.0f} s") from None

    async def leave(self) -> None:
        """Let the subscriber go, within bounds: one that lost its brokers may never end by itself."""
        stopping = asyncio.ensure_future(self._subscriber.stop())
        await asyncio.wait({stopping}, timeout=REQUEST_TIMEOUT)
        stopping.cancel()

    async def stop(self) -> None:
        """Let go of the brokers."""
        await self._broker.stop()

    def pause(self, partition: int) -> None:
        """Read no more of a partition, for now."""
        consumer = self._consumer
        if consumer is not None:
            with suppress(IllegalStateError):
                consumer.pause(TopicPartition(self._topic, partition))

    def read_on(self, partition: int, position: int) -> bool:
        """Read a partition, from an offset on; tell whether that is possible: the group may have taken it away."""
        consumer, place = self._consumer, TopicPartition(self._topic, partition)
        if consumer is None:
            return False
        try:
            consumer.seek(place, position)
            consumer.resume(place)
        except IllegalStateError:
            return False
        return True

    async def tell_group(self, positions: Mapping[int, int]) -> None:
        """Tell the group how far partitions have been read; only for others to see, so it may fail."""
        consumer = self._consumer
        if consumer is None or not positions:
            return
        offsets = {TopicPartition(self._topic, partition): position for partition, position in positions.items()}
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await consumer.commit(offsets)

    @property
    def _consumer(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer

    async def _handle(self, message: Message) -> None:
        await self._member.handle(by_partition(message.raw_message))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """What the group does with partitions, told to a member."""

    def __init__(self, member: Member) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._member.give_up(place.partition for place in revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._member.take(place.partition for place in assigned)


async def _unopened(message: tuple[ConsumerRecord, ...]) -> Message:
    """Give records as they are. FastStream would read their headers first, and pass over a record whose it cannot."""
    return StreamMessage(raw_message=message, body=b"")


async def _unopened_body(message: Message) -> Message:
    return message


def by_partition(records: Iterable[ConsumerRecord]) -> dict[int, list[StoredRecord]]:
    """Sort records by their partitions."""
    found: dict[int, list[StoredRecord]] = defaultdict(list)
    for record in records:
        found[record.partition].append(stored(record))
    return found


def _security(brokers: Brokers) -> BaseSecurity | None:
    """Give how one proves who one is, in FastStream's words."""
    if brokers.username is not None and brokers.password is not None:
        return SASLScram512(brokers.username, brokers.password, ssl_context=brokers.tls)
    return BaseSecurity(ssl_context=brokers.tls) if brokers.tls is not None else None
