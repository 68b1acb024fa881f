"""One stage as a member of its consumer group: it runs the partitions that the group gives it, and gives them up."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final, Generic, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.message import StreamMessage
from faststream.security import BaseSecurity, SASLScram512

from services.runtime.brokers import REQUEST_TIMEOUT, Brokers
from services.runtime.log.kafka import stored
from services.runtime.log.port import StoredRecord, next_offset
from services.runtime.runner import Done, PartitionLost, Runner, StageStopped, place_of
from services.runtime.store.port import Halted
from services.runtime.unavailable import Unavailable

StateT = TypeVar("StateT")

MAX_RECORDS: Final = 2_000
"""Records that are taken from the brokers at a time, over all partitions."""

SESSION_TIMEOUT: Final = 10.0
"""Seconds without a sign of life after which the group gives a member's partitions to others."""

DRAIN: Final = 15.0
"""Seconds that a batch in hand has to be finished when its partitions go elsewhere, or when the service ends."""

REBALANCE: Final = DRAIN + SESSION_TIMEOUT
"""Seconds within which every member has joined again when partitions are divided anew."""

BATCH_WITHIN: Final = 30.0
RECORD_WITHIN: Final = 0.2
"""Seconds that a batch is given, and more for each of its records: a store that is slow, by two seconds for each of a
dozen operations and for each write of ten states, is no fault."""

COMMIT_TIMEOUT: Final = 5.0
RETRY_AWAY: Final = 1.0
RETRY_STOPPED: Final = 5.0

_LOG = structlog.get_logger()

Message = StreamMessage[tuple[ConsumerRecord, ...]]
Work = Callable[[], Coroutine[Any, Any, None]]


class Standing(Enum):
    """How it stands with a partition that this process has."""

    OPENING = "opening"
    RUNNING = "running"
    AWAY = "away"
    STOPPED = "stopped"


@dataclass(slots=True)
class Share:
    """A partition that this process has.

    position: the next offset, None until the store has said it; goal: the end of the partition when it was taken up
    why: what keeps it from going on; it stays until something was processed, or until there is nothing to process
    try_at: on the monotonic clock, when it is taken up (again)
    """

    standing: Standing = Standing.OPENING
    position: int | None = None
    goal: int = 0
    why: str = ""
    try_at: float = 0.0

    @property
    def has_caught_up(self) -> bool:
        """Whether everything has been read that was there when it was taken up."""
        return self.standing is Standing.RUNNING and self.position is not None and self.position >= self.goal


@dataclass(slots=True)
class _InHand:
    """Something that is done on a partition. within: the seconds that it is given; since: when it began, if it has."""

    partition: int
    share: Share | None
    within: float | None = None
    since: float | None = None

    def is_late(self, now: float) -> bool:
        return self.since is not None and self.within is not None and now - self.since > self.within


class Serving(Generic[StateT]):
    """A stage, served.

    shares: the partitions that this process has; lost: how often one was given up because another had written there
    has_joined: whether the group has said which partitions it gets, and has not begun to divide them anew
    turns: how often records were read; is_free: whether they are processed, so that the next can be read

    A partition that is given to this process is paused, taken up where the store says that it was left, and let run.
    Whatever goes wrong with it, it is paused again and taken up anew after a while; nothing is skipped meanwhile.
    """

    def __init__(
        self,
        brokers: Brokers,
        group: str,
        topic: str,
        runner: Runner[StateT],
        heard: Callable[[int, Done, float], None],
        halts_again: Callable[[Halted], None] = lambda _: None,
    ) -> None:
        """Run `runner` on `topic` as a member of `group`.

        heard: is told of every batch: its partition, what became of it, and the seconds that it took
        halts_again: is told of every case that was tried again in vain
        """
        self.shares: dict[int, Share] = {}
        self.lost = 0
        self.has_joined = False
        self.turns = 0
        self.is_free = True
        self._topic = topic
        self._runner = runner
        self._heard = heard
        self._halts_again = halts_again
        self._in_hand: dict[asyncio.Task[None], _InHand] = {}
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None
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
            max_partition_fetch_bytes=1 << 21,
            listener=_Listener(self),
            parser=_unopened,
            decoder=_unopened_body,
        )
        self._subscriber(self._handle)

    # Life

    async def start(self) -> None:
        """Join the group. What the libraries raise if that fails, they raise here; it can be tried again."""
        try:
            await self._broker.start()
        except BaseException:
            await self._leave_group()
            raise
        self._keeper = self._keeper or asyncio.create_task(self._keep())

    def start_again(self) -> None:
        """Let the subscriber leave the group and join it anew; nothing happens if that is under way."""
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._started_again())

    async def _started_again(self) -> None:
        await self._leave_group()
        # Whatever is in the way, the loop that reads is not there then, so this is asked for again.
        with suppress(Exception):
            await self.start()

    async def _leave_group(self) -> None:
        """Let the subscriber go, within bounds: one that lost its brokers may never end by itself."""
        await self.give_up(list(self.shares))
        stopping = asyncio.ensure_future(self._subscriber.stop())
        await asyncio.wait({stopping}, timeout=REQUEST_TIMEOUT)
        stopping.cancel()
        # The group may have given it some until the very end.
        await self.give_up(list(self.shares))

    async def stop(self) -> None:
        """Take nothing up any more, finish what is in hand, within bounds, and leave the group; in this order."""
        ending = [task for task in (self._starting, self._keeper) if task is not None]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        await self._leave_group()
        await self._broker.stop()

    @property
    def is_reading(self) -> bool:
        """Whether the loop that reads is there."""
        return any(not task.done() for task in self._subscriber.tasks)

    @property
    def waiting(self) -> Mapping[int, int]:
        """The positions of the partitions that run: what comes there next is taken when the loop that reads is free."""
        return {
            each: share.position
            for each, share in self.shares.items()
            if share.standing is Standing.RUNNING and share.position is not None
        }

    @property
    def late(self) -> Collection[int]:
        """The partitions with a batch in hand for longer than one takes."""
        now = time.monotonic()
        return {each.partition for each in self._in_hand.values() if each.is_late(now)}

    # Partitions come and go

    def take(self, partitions: Iterable[int]) -> None:
        """Have partitions from now on; nothing is read of them before they are taken up."""
        for partition in partitions:
            self._pause(partition)
            self.shares[partition] = Share()
        self.has_joined = True
        self._wanted.set()

    async def give_up(self, partitions: Iterable[int]) -> None:
        """Have partitions no longer, and be no member until some are taken, even none.

        Nothing is begun there any more. The batches in hand are finished; one that takes too long is broken off.
        """
        self.has_joined = False
        gone = list(partitions)
        for partition in gone:
            self._pause(partition)
            self.shares.pop(partition, None)
        if self._in_hand:
            _, late = await asyncio.wait(self._in_hand, timeout=DRAIN)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        for partition in gone:
            self._runner.leave(partition)

    async def _keep(self) -> None:
        """Take up, for ever, the partitions whose time it is."""
        while True:
            due = [each for each in self.shares.values() if each.standing is not Standing.RUNNING]
            wait = min((each.try_at for each in due), default=time.monotonic() + RETRY_STOPPED) - time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), max(wait, 0))
            self._wanted.clear()
            now = time.monotonic()
            due_now = [
                partition
                for partition, share in self.shares.items()
                if share.standing is not Standing.RUNNING and share.try_at <= now
            ]
            await asyncio.gather(*(self._in_order(each, partial(self._take_up, each)) for each in due_now))

    async def _take_up(self, partition: int) -> None:
        """Go to where the store says that a partition was left, and let it run, unless it is given up meanwhile."""
        share = self.shares.get(partition)
        if share is None:
            return
        goal = await self._runner.open(partition)
        if not self._has(partition, share):
            return
        await self._resume(partition)
        consumer = self._subscriber.consumer
        if not self._has(partition, share) or consumer is None:
            return
        place, position = TopicPartition(self._topic, partition), self._runner.position(partition)
        with suppress(IllegalStateError):
            consumer.seek(place, position)
            consumer.resume(place)
            share.standing, share.position, share.goal = Standing.RUNNING, position, goal
            if share.has_caught_up:
                share.why = ""

    async def resume_halted(self) -> None:
        """Try halted cases again, in every partition that runs."""
        for partition in list(self.shares):
            await self._in_order(partition, partial(self._resume_running, partition))

    async def _resume_running(self, partition: int) -> None:
        if self.runs(partition):
            await self._resume(partition)

    async def _resume(self, partition: int) -> None:
        for halted in await self._runner.resume_halted(partition):
            self._halts_again(halted)

    # Batches

    async def _handle(self, message: Message) -> None:
        """Process what was read. Nothing is raised: the records of a partition that failed come again."""
        self.turns += 1
        self.is_free = False
        batches: Mapping[int, list[StoredRecord]] = _by_partition(message.raw_message)
        try:
            await asyncio.gather(*(self._processed(each, records) for each, records in batches.items()))
        finally:
            self.is_free = True
        await self._commit(batches)

    def runs(self, partition: int) -> bool:
        """Tell whether a partition runs here."""
        share = self.shares.get(partition)
        return share is not None and share.standing is Standing.RUNNING

    def _has(self, partition: int, share: Share | None) -> bool:
        """Tell whether a share is still had: a partition that was given up may have come back as another one."""
        return share is not None and self.shares.get(partition) is share

    async def _processed(self, partition: int, records: Sequence[StoredRecord]) -> None:
        within = BATCH_WITHIN + RECORD_WITHIN * len(records)
        await self._in_order(partition, partial(self._process, partition, records), within)

    async def _process(self, partition: int, records: Sequence[StoredRecord]) -> None:
        if not self.runs(partition):
            return
        began = time.perf_counter()
        done = await self._runner.process(partition, records)
        share = self.shares.get(partition)
        if share is not None:
            share.position, share.why = next_offset(records), ""
        self._heard(partition, done, time.perf_counter() - began)

    async def _commit(self, batches: Mapping[int, Sequence[StoredRecord]]) -> None:
        """Tell the group how far it has come; only for others to see, so it may fail."""
        consumer = self._subscriber.consumer
        offsets = {
            TopicPartition(self._topic, partition): next_offset(records)
            for partition, records in batches.items()
            if self.runs(partition) and self.shares[partition].position == next_offset(records)
        }
        if consumer is None or not offsets:
            return
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await consumer.commit(offsets)

    async def _in_order(self, partition: int, work: Work, within: float | None = None) -> None:
        """Do one thing after the other on a partition. It goes on if whoever waits for it no longer does."""
        in_hand = _InHand(partition, self.shares.get(partition), within)
        task = asyncio.create_task(self._alone(in_hand, work))
        self._in_hand[task] = in_hand
        task.add_done_callback(self._over)
        await asyncio.wait({task})

    async def _alone(self, in_hand: _InHand, work: Work) -> None:
        async with self._locks[in_hand.partition]:
            in_hand.since = time.monotonic()
            await work()

    def _over(self, task: asyncio.Task[None]) -> None:
        """If something has failed, pause its partition and say when it is taken up again."""
        in_hand = self._in_hand.pop(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if not self._has(in_hand.partition, in_hand.share):
            return
        partition = in_hand.partition
        match error:
            case None:
                pass
            case PartitionLost():
                self.lost += 1
                self._set_aside(partition, Standing.OPENING, str(error), 0)
            case Unavailable():
                self._set_aside(partition, Standing.AWAY, str(error), RETRY_AWAY)
            case StageStopped():
                self._set_aside(partition, Standing.STOPPED, str(error), RETRY_STOPPED)
            case asyncio.CancelledError():
                self._set_aside(partition, Standing.OPENING, "it was broken off", RETRY_AWAY)
            case _:
                # A fault of ours. Its message could hold what a patient wrote, so only its kind is told.
                self._set_aside(partition, Standing.STOPPED, f"unexpected {place_of(error)}", RETRY_STOPPED)

    def _set_aside(self, partition: int, standing: Standing, why: str, after: float) -> None:
        self._pause(partition)
        self._runner.leave(partition)
        share = self.shares.get(partition)
        if share is None:
            return
        if share.why != why:
            _LOG.warning("partition-set-aside", partition=partition, standing=standing.value, why=why)
        share.why = "" if standing is Standing.OPENING else why
        share.standing, share.try_at = standing, time.monotonic() + after
        self._wanted.set()

    def _pause(self, partition: int) -> None:
        consumer: AIOKafkaConsumer | None = self._subscriber.consumer
        if consumer is not None:
            with suppress(IllegalStateError):
                consumer.pause(TopicPartition(self._topic, partition))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """What the group does with partitions, told to a serving."""

    def __init__(self, serving: Serving[Any]) -> None:
        self._serving = serving

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._serving.give_up(place.partition for place in revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._serving.take(place.partition for place in assigned)


async def _unopened(message: tuple[ConsumerRecord, ...]) -> Message:
    """Give records as they are. FastStream would read their headers first, and pass over a record whose it cannot."""
    return StreamMessage(raw_message=message, body=b"")


async def _unopened_body(message: Message) -> Message:
    return message


def _by_partition(records: Iterable[ConsumerRecord]) -> dict[int, list[StoredRecord]]:
    found: dict[int, list[StoredRecord]] = defaultdict(list)
    for record in records:
        found[record.partition].append(stored(record))
    return found


def _security(brokers: Brokers) -> BaseSecurity | None:
    """Give how one proves who one is, in FastStream's words."""
    if brokers.username is not None and brokers.password is not None:
        return SASLScram512(brokers.username, brokers.password, ssl_context=brokers.tls)
    return BaseSecurity(ssl_context=brokers.tls) if brokers.tls is not None else None
