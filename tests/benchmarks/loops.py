"""The loop of a stage as its service runs it, and the bare consumer that it is compared with."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.events.event import Data, Event
from contracts.topics import SCORES, TRACKS, Topic
from services.runtime.brokers import Brokers
from services.runtime.keyring.port import Keyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.runner import Done, Runner
from services.runtime.serving import Serving
from services.runtime.stage import Stage
from services.runtime.store.port import Store
from services.runtime.subscription import MAX_RECORDS

LOG_ID: Final = "00000000-0000-4000-8000-000000000001"
_LOOK_AGAIN: Final = 0.002
_UNWATCHED: Final = nullcontext()


@dataclass(slots=True)
class Took:
    """How long something took: by the clock, and of a core for this process."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def taking() -> Iterator[Took]:
    """Measure how long something takes."""
    took = Took()
    began, used = time.perf_counter(), time.process_time()
    try:
        yield took
    finally:
        took.wall, took.cpu = time.perf_counter() - began, time.process_time() - used


class Counted(Data):
    """A state that knows how often its case was heard of."""

    times: int = 0


class Counting:
    """The trivial stage: it opens every event, counts it, and says it again."""

    name = "counting"
    reads = SCORES
    writes = TRACKS
    acts_on: frozenset[type[Data]] = frozenset(SCORES.events)
    state = Counted
    schema = 1

    def initial(self, case_id: str) -> Counted:  # noqa: ARG002 - every case begins at nought
        return Counted()

    def step(self, state: Counted, event: Event[Data]) -> tuple[Counted, tuple[Event[Data]]]:
        return Counted(times=state.times + 1), (event,)


class Passing(Counting):
    """The stage that acts on nothing: it says every event again, unopened."""

    name = "passing"
    acts_on = frozenset()


@dataclass(frozen=True, slots=True)
class Redirected(Brokers):
    """Brokers on which TRACKS stands under another prefix, so that every run can write a topic of its own."""

    tracks: str = ""

    def topic(self, topic: Topic) -> str:
        return f"{self.tracks}{topic.name}" if topic is TRACKS else f"{self.prefix}{topic.name}"


async def bare(brokers: Brokers, events: int) -> Took:
    """Read SCORES with nothing but aiokafka's getmany."""
    consumer = AIOKafkaConsumer(**brokers.arguments(), enable_auto_commit=False, max_partition_fetch_bytes=1 << 21)
    places = [TopicPartition(brokers.topic(SCORES), partition) for partition in range(SCORES.partitions)]
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        with taking() as took:
            read = 0
            while read < events:
                fetched = await consumer.getmany(timeout_ms=1_000, max_records=MAX_RECORDS)
                read += sum(map(len, fetched.values()))
    finally:
        await consumer.stop()
    return took


async def served(
    brokers: Brokers,
    tracks: str,
    stage: Stage[Any],
    store: Store,
    keyring: Keyring,
    watch: AbstractContextManager[object] = _UNWATCHED,
) -> Took:
    """Serve a stage from the beginning of SCORES to its end; measured from when it has got its partitions.

    tracks: the prefix of the empty topic that it writes
    watch: entered for as long as it is measured
    """
    redirected = Redirected(brokers.servers, brokers.prefix, tracks=tracks)
    heard: list[Done] = []
    async with KafkaLog(redirected) as log:
        events = sum((await log.ends(SCORES, range(SCORES.partitions))).values())
        runner = Runner(stage, log, store, keyring, LOG_ID)
        serving = Serving(
            redirected,
            f"{tracks}{uuid4().hex}",
            redirected.topic(SCORES),
            runner,
            lambda _, done, __: heard.append(done),
        )
        await serving.start()
        try:
            while not serving.has_joined:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(_LOOK_AGAIN)
            with taking() as took, watch:
                while sum(share.position or 0 for share in serving.shares.values()) < events:
                    await asyncio.sleep(_LOOK_AGAIN)
                    assert serving.is_reading
        finally:
            await serving.stop()
    assert sum(done.read for done in heard) == events
    assert not any(done.halted or done.repeated for done in heard)
    return took
