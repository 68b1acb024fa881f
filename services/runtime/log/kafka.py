"""The log on Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from contracts.topics import Topic
from services.runtime.brokers import REQUEST_TIMEOUT, Brokers, why_away
from services.runtime.log.port import GROUP_BYTES, LogUnavailable, Record, StoredRecord

PATIENCE: Final = 20.0
"""Seconds that a call waits for the brokers before it says that they are away."""

BATCH_BYTES: Final = 1 << 18
_FETCH_BYTES: Final = 1 << 22
_GLANCE_BYTES: Final = 1 << 10
"""A broker gives at least one batch, however large."""

Place = tuple[str, int]
Pack = list[tuple[str, bytes]]
"""Records of which a batch can hold all, unless they are a single group, or nobody groups them."""


@dataclass(frozen=True, slots=True, eq=False)
class _UnderWay:
    """Records that are not acknowledged yet. begun: whether they have been sent, or wait behind others."""

    packs: list[Pack]
    begun: asyncio.Event
    done: asyncio.Task[int | None]


class KafkaLog:
    """A `Log` in topics that exist already; `provision` makes them.

    A batch whose acknowledgement does not come in time stays under way, and the producer goes on sending it, unless it
    has lost its brokers. The same call tried again waits for that batch and sends no other. One with other records
    sends them behind it, so that a record can stand on the log twice, equal to the byte; if their turn does not come in
    time, they are not sent at all.
    """

    is_read_here = False

    def __init__(self, brokers: Brokers, *, patience: float = PATIENCE) -> None:
        """Use some brokers. patience: seconds that a call waits for them."""
        self._brokers = brokers
        self._patience = patience
        self._producer: AIOKafkaProducer | None = None
        self._consumers: dict[str, AIOKafkaConsumer] = {}
        """One for each topic that is read: given another place, a consumer forgets what it has fetched ahead."""
        self._stopping: set[asyncio.Task[None]] = set()
        """The ends of clients that were given up."""
        self._under_way: dict[Place, list[_UnderWay]] = defaultdict(list)
        self._sending: set[asyncio.Task[int | None]] = set()
        self._writing: dict[Place, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reading = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._starting_producer = asyncio.Lock()
        """Who reads does not wait for it: brokers that do not let anybody write can be read all the same."""
        self._ends: dict[Place, int] = {}
        """Where each partition ended when that was last asked."""

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        """Append records in order; they are durable when this returns."""
        if records:
            outcome = (await self._appended(topic, {partition: [_plain(records)]}))[partition]
            if isinstance(outcome, LogUnavailable):
                raise outcome

    async def append_each(
        self, topic: Topic, groups: Mapping[int, Sequence[Sequence[Record]]]
    ) -> Mapping[int, int | LogUnavailable | None]:
        """Append groups of records to several partitions at once."""
        return await self._appended(
            topic, {partition: list(packed(some)) for partition, some in groups.items() if some}
        )

    async def _appended(
        self, topic: Topic, packs: Mapping[int, list[Pack]]
    ) -> Mapping[int, int | LogUnavailable | None]:
        """Append records to partitions; give where they begin in each, if that can be told."""
        sent = {partition: self._sent(topic, partition, some) for partition, some in packs.items()}
        if sent:
            await asyncio.wait({under_way.done for under_way in sent.values()}, timeout=self._patience)
        return {partition: self._outcome((topic.name, partition), under_way) for partition, under_way in sent.items()}

    def _sent(self, topic: Topic, partition: int, packs: list[Pack]) -> _UnderWay:
        """Send records, unless the same are under way."""
        at_place = self._under_way[topic.name, partition]
        under_way = next((each for each in at_place if each.packs == packs), None)
        if under_way is None:
            begun = asyncio.Event()
            under_way = _UnderWay(packs, begun, asyncio.create_task(self._written(topic, partition, packs, begun)))
            under_way.done.add_done_callback(self._is_through)
            self._sending.add(under_way.done)
            # What is through, and nobody has come for again, is forgotten.
            at_place[:] = [*(each for each in at_place if not each.done.done()), under_way]
        return under_way

    def _outcome(self, place: Place, under_way: _UnderWay) -> int | LogUnavailable | None:
        """Tell what has become of records that were waited for."""
        at_place = self._under_way[place]
        is_through, has_begun = under_way.done.done(), under_way.begun.is_set()
        if under_way in at_place and (is_through or not has_begun):
            at_place.remove(under_way)
        if not is_through and not has_begun:
            under_way.done.cancel()
        if not is_through or under_way.done.cancelled():
            return LogUnavailable(f"no acknowledgement from {self._brokers.servers} in {self._patience:.0f} s")
        try:
            return under_way.done.result()
        except LogUnavailable as unavailable:
            return unavailable

    def _is_through(self, sent: asyncio.Task[int | None]) -> None:
        """Forget a batch; whoever waits for it is told how it ended, and one that nobody waits for ends unheard."""
        self._sending.discard(sent)
        if not sent.cancelled():
            sent.exception()

    async def _written(self, topic: Topic, partition: int, packs: list[Pack], begun: asyncio.Event) -> int | None:
        """Send records, one batch after the other, and wait until each is acknowledged; give where they begin.

        None if they do not stand behind one another, because somebody else wrote between two batches, or if the broker
        has forgotten where it wrote a batch that was sent again.
        """
        async with self._writing[topic.name, partition]:
            begun.set()
            producer = await self._started_producer()
            name = self._brokers.topic(topic)
            starts: list[int] = []
            counts: list[int] = []
            try:
                for batch in chain.from_iterable(_batches(producer, pack) for pack in packs):
                    # One that another partition gave up meanwhile never learns of a topic that it does not know yet.
                    async with asyncio.timeout(self._patience):
                        sent = await producer.send_batch(batch, name, partition=partition)
                    acknowledged = await self._acknowledged(producer, sent)
                    starts.append(acknowledged.offset)
                    counts.append(batch.record_count())
            except (KafkaError, AssertionError, TimeoutError) as failed:
                # After a failure the numbers of an idempotent producer have a hole: only a new one can go on.
                self._give_up(producer)
                raise LogUnavailable(_told(failed)) from None
        first = starts[0]
        stands_together = first >= 0 and starts == list(accumulate(counts[:-1], initial=first))
        return first if stands_together else None

    async def _acknowledged(self, producer: AIOKafkaProducer, sent: "asyncio.Future[RecordMetadata]") -> RecordMetadata:
        """Wait for an acknowledgement, however long that takes. Raises TimeoutError if it never comes."""
        while not (await asyncio.wait({sent}, timeout=self._patience))[0]:
            if await self._is_lost(producer) and not sent.done():
                # Else it would go on trying for as long as this log is used.
                self._let_go(producer.client.close())
                raise TimeoutError
        return await sent

    async def _is_lost(self, producer: AIOKafkaProducer) -> bool:
        """Tell whether a producer reaches no broker although there is one.

        It asks none but those that it knows where the others are: if all of them have gone elsewhere, it never learns.
        """
        if await why_away(self._brokers) is not None:
            return False
        # What it asks at this moment it may have begun to ask when there was none.
        for _ in range(2):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    if await producer.client.force_metadata_update():
                        return False
        return True

    async def _started_producer(self) -> AIOKafkaProducer:
        """Give the producer. Raises LogUnavailable."""
        async with self._starting_producer:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._brokers.arguments(),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=0,
                    max_batch_size=BATCH_BYTES,
                )
                try:
                    # One whose brokers have gone elsewhere meanwhile would ask for its number for ever.
                    async with asyncio.timeout(self._patience):
                        await _start(producer)
                except TimeoutError as late:
                    raise LogUnavailable(_told(late)) from None
                self._producer = producer
            return self._producer

    def _give_up(self, producer: AIOKafkaProducer) -> None:
        """Let the next who writes have another producer; what others have sent with this one stays under way."""
        if self._producer is producer:
            self._producer = None
            self._let_go(_stopped(producer, within=None))

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read at most `limit` records from `offset` on; fewer only at the end."""
        place = topic.name, partition
        end = self._ends.get(place, 0)
        if offset + limit > end:
            end = await self.end(topic, partition)
        span = range(offset, min(offset + limit, end))
        return (await self.read_each(topic, {partition: span}))[partition] if span else []

    async def read_each(self, topic: Topic, spans: Mapping[int, range]) -> Mapping[int, Sequence[StoredRecord]]:
        """Read what stands at some offsets of each partition, all of them before its end."""
        async with self._reading:
            consumer: AIOKafkaConsumer | None = None
            try:
                async with asyncio.timeout(self._patience):
                    consumer = await self._started_consumer(topic)
                    return await self._fetched(consumer, topic, spans)
            except (KafkaError, ConsumerStoppedError, TimeoutError) as failed:
                self._give_up_consumer(topic, consumer)
                raise LogUnavailable(_told(failed)) from None

    async def _fetched(
        self, consumer: AIOKafkaConsumer, topic: Topic, spans: Mapping[int, range]
    ) -> Mapping[int, Sequence[StoredRecord]]:
        places = {TopicPartition(self._brokers.topic(topic), partition): span for partition, span in spans.items()}
        is_new = consumer.assignment() != places.keys()
        if is_new:
            consumer.assign(list(places))
        for place, span in places.items():
            if is_new or await consumer.position(place) != span.start:
                consumer.seek(place, span.start)
            consumer.resume(place)
        fetched: dict[int, Sequence[StoredRecord]] = {}
        for place, span in places.items():
            found: list[ConsumerRecord] = []
            while len(found) < len(span):
                some = await consumer.getmany(place, timeout_ms=1_000, max_records=len(span) - len(found))
                found.extend(some.get(place, ()))
            # At the end of a partition a consumer asks for more, and a broker that has none lets everything that comes
            # after that on the same connection wait for half a second.
            if span.stop >= self._ends.get((topic.name, place.partition), 0):
                consumer.pause(place)
            fetched[place.partition] = [stored(record) for record in found]
        return fetched

    async def end(self, topic: Topic, partition: int) -> int:
        """Give the offset that the next record will have."""
        return (await self.ends(topic, [partition]))[partition]

    async def ends(self, topic: Topic, partitions: Collection[int]) -> Mapping[int, int]:
        """Give the offsets that the next records of some partitions will have."""
        places = [TopicPartition(self._brokers.topic(topic), partition) for partition in partitions]
        consumer: AIOKafkaConsumer | None = None
        try:
            async with asyncio.timeout(self._patience):
                consumer = await self._started_consumer(topic)
                ends = {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}
        except (KafkaError, ConsumerStoppedError, TimeoutError) as failed:
            # One whose own tasks have died never answers again.
            self._give_up_consumer(topic, consumer)
            raise LogUnavailable(_told(failed)) from None
        self._ends.update(((topic.name, partition), end) for partition, end in ends.items())
        return ends

    async def appended_at(self, topic: Topic, offsets: Mapping[int, int]) -> Mapping[int, float]:
        """Give when some records were appended, in seconds since 1970; partition -> offset, and partition -> time.

        Raises LogUnavailable unless all of them come.
        """
        wanted = {TopicPartition(self._brokers.topic(topic), partition): at for partition, at in offsets.items()}
        found: dict[int, float] = {}
        consumer = self._new_consumer(_GLANCE_BYTES)
        try:
            async with asyncio.timeout(self._patience):
                await consumer.start()
                consumer.assign(list(wanted))
                for place, offset in wanted.items():
                    consumer.seek(place, offset)
                while len(found) < len(wanted):
                    for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
                        found.setdefault(place.partition, records[0].timestamp / 1_000)
                        consumer.pause(place)
        except (KafkaError, TimeoutError, OSError) as failed:
            raise LogUnavailable(_told(failed)) from None
        finally:
            await _stopped(consumer)
        return found

    async def _started_consumer(self, topic: Topic) -> AIOKafkaConsumer:
        async with self._starting:
            consumer = self._consumers.get(topic.name)
            if consumer is None:
                consumer = self._new_consumer(_FETCH_BYTES)
                await _start(consumer)
                self._consumers[topic.name] = consumer
            return consumer

    def _new_consumer(self, fetch_bytes: int) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._brokers.arguments(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=fetch_bytes,
        )

    def _give_up_consumer(self, topic: Topic, consumer: AIOKafkaConsumer | None) -> None:
        """Let the next who asks have another consumer, unless somebody else has seen to that."""
        if consumer is not None and self._consumers.get(topic.name) is consumer:
            del self._consumers[topic.name]
            self._ends = {place: end for place, end in self._ends.items() if place[0] != topic.name}
            self._let_go(_stopped(consumer))

    def _let_go(self, end: Coroutine[Any, Any, None]) -> None:
        """Let a client end, and wait for that no sooner than this log is closed."""
        stopping = asyncio.create_task(end)
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def close(self) -> None:
        """Let go of everything; what is still under way is no longer waited for."""
        sending = list(self._sending)
        for each in sending:
            each.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        self._under_way.clear()
        while self._consumers:
            _, consumer = self._consumers.popitem()
            self._let_go(_stopped(consumer))
        if self._producer is not None:
            self._give_up(self._producer)
        if self._stopping:
            _, late = await asyncio.wait(self._stopping, timeout=REQUEST_TIMEOUT)
            for each in late:
                each.cancel()

    async def __aenter__(self) -> Self:
        """Use the log."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()


def stored(record: ConsumerRecord) -> StoredRecord:
    """Give a record of Kafka as a log gives it; a foreign one without a key or a value has empty ones."""
    key, value = record.key, record.value
    return StoredRecord(record.offset, str(key, "utf-8", "replace") if key else "", value or b"")


def packed(groups: Sequence[Sequence[Record]]) -> Iterator[Pack]:
    """Pack groups of records so that none is parted, unless it is too large for a batch."""
    pack: Pack = []
    size = 0
    for group in groups:
        needed = sum(record.size for record in group)
        if pack and size + needed > GROUP_BYTES:
            yield pack
            pack, size = [], 0
        pack += _plain(group)
        size += needed
    yield pack


def _plain(records: Sequence[Record]) -> Pack:
    return [(record.key, record.value) for record in records]


def _batches(producer: AIOKafkaProducer, records: Pack) -> Iterator[BatchBuilder]:
    """Pack records into batches, each no larger than a producer sends at once."""
    batch = producer.create_batch()
    for key, value in records:
        if batch.append(key=key.encode(), value=value, timestamp=None) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(key=key.encode(), value=value, timestamp=None)
    batch.close()
    yield batch


async def _start(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Start a client; one that cannot be started is let go of. Raises LogUnavailable."""
    try:
        await client.start()
    except BaseException as failed:
        await _stopped(client)
        if isinstance(failed, KafkaError | OSError):
            raise LogUnavailable(_told(failed)) from None
        raise


async def _stopped(client: AIOKafkaProducer | AIOKafkaConsumer, within: float | None = REQUEST_TIMEOUT) -> None:
    """Stop a client, within so many seconds: one that lost its brokers may never end by itself.

    within: None for a producer that others still wait for; it ends when what they sent is acknowledged
    """
    task = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait({task}, timeout=within)
    finally:
        task.cancel()


def _told(failed: BaseException) -> str:
    """Say what failed, and nothing of what was sent."""
    return f"the brokers do not do what they are asked ({type(failed).__name__})"
