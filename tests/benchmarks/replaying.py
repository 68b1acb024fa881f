"""A history that is read, replayed or verified by a process of its own, which says how long that took.

    python -m tests.benchmarks.replaying bare|replay|verify HOME [--partitions N,N,…] [--kafka SERVERS,PREFIX]

The keys of the cases are in the home; with --kafka the log is read there.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import CASES, NOTICES, PARTITIONS, SCORES, TRACKS
from services.auditor.rebuilding import rebuilt
from services.auditor.replay import History
from services.auditor.verify import verified
from services.cli.shelf import shelf
from services.embedded import EmbeddedHome
from services.runtime.brokers import Brokers
from services.runtime.collector import spare_the_collector
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Log, next_offset

READ: Final = (CASES, SCORES, TRACKS, NOTICES)
_AT_ONCE: Final = 2_000


def _unseen(_: int) -> None:
    """Show nobody how far it is."""


async def bare_of_file(home: EmbeddedHome, partitions: Sequence[int]) -> int:
    """Read all records, and do nothing else; give how many there were."""
    found = 0
    for topic in READ:
        for partition in partitions:
            offset = 0
            while records := await home.log.read(topic, partition, offset, _AT_ONCE):
                found += len(records)
                offset = next_offset(records)
    return found


async def bare_of_kafka(brokers: Brokers, partitions: Sequence[int]) -> int:
    """Read all records by `getmany`, and do nothing else; give how many there were."""
    # Not by seeking: where a partition begins is looked up beside that, and may be said to be its end afterwards.
    consumer = AIOKafkaConsumer(**brokers.arguments(), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(brokers.topic(topic), number) for topic in READ for number in partitions]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        left, found = {place for place in places if ends[place]}, 0
        while left:
            for place, records in (await consumer.getmany(timeout_ms=1_000, max_records=_AT_ONCE)).items():
                found += len(records)
                if records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
        return found
    finally:
        await consumer.stop()


async def replayed(home: EmbeddedHome, log: Log, partitions: Sequence[int]) -> int:
    """Make what every stage knows anew; the states are written in the end."""
    history = History(log, home.keyring, home.log_id, home.stages)
    async with shelf() as fresh, shelf() as empty:
        told = await rebuilt(history, fresh, empty, _unseen, partitions=partitions)
    return sum(of.events for of in told.counted.values())


async def looked_through(home: EmbeddedHome, log: Log) -> int:
    """Verify the history; what the stages know too, where it is a home's."""
    history = History(log, home.keyring, home.log_id, home.stages, home.store if log is home.log else None)
    async with shelf() as empty:
        found = await verified(history, empty, _unseen)
    assert found.findings.counts.total() == 0
    return sum(of.events for of in found.counted.values())


@asynccontextmanager
async def _log(home: EmbeddedHome, brokers: Brokers | None) -> AsyncIterator[Log]:
    if brokers is None:
        yield home.log
        return
    async with KafkaLog(brokers) as log:
        yield log


async def _done(what: str, directory: Path, partitions: Sequence[int], brokers: Brokers | None) -> None:
    async with await EmbeddedHome.open(directory) as home, _log(home, brokers) as log:
        began = time.time()
        match what:
            case "bare":
                some = bare_of_file(home, partitions) if brokers is None else bare_of_kafka(brokers, partitions)
                events = await some
            case "replay":
                events = await replayed(home, log, partitions)
            case _:
                events = await looked_through(home, log)
        ended = time.time()
    print(orjson.dumps({"events": events, "began": began, "ended": ended, "memory": _memory_at_most()}).decode())


def _memory_at_most() -> int:
    """Give the most memory that this process has used, in bytes; getrusage tells that of its parent if it is more."""
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1_024


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    _parser.add_argument("what", choices=("bare", "replay", "verify"))
    _parser.add_argument("home", type=Path)
    _parser.add_argument("--partitions", default=",".join(map(str, range(PARTITIONS))))
    _parser.add_argument("--kafka")
    _options = _parser.parse_args()
    _brokers = Brokers(*_options.kafka.rsplit(",", 1)) if _options.kafka else None
    spare_the_collector()
    asyncio.run(_done(_options.what, _options.home, [int(each) for each in _options.partitions.split(",")], _brokers))
