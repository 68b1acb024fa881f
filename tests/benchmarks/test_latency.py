"""How long it takes from a fact's publication until its report stands on the log, against three bare hops.

Run by `make benchmark`. Figures are ratios to a reference of the same run; what is printed is what is quoted.
FerretDB is a stand-in for MongoDB: its rate is no statement about MongoDB.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.codec import CaseKey, encode, prepared
from contracts.events.notices import ReportIssued, ReportRevised
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic, partition_of
from services.distributed import DistributedHome
from services.runtime.brokers import Brokers
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from tests.support.histories import History, in_turn
from tests.support.region import Region, region_of_its_own
from tests.support.servers import topics_of_its_own

pytestmark = pytest.mark.benchmark

ROUNDS: Final = 5
CASES_OF_A_ROUND: Final = 36
SESSIONS: Final = 14
RATE: Final = 50
TIMES_AT_MOST: Final = 500
CHAIN: Final = (CASES, SCORES, TRACKS, NOTICES)
REPORTS: Final = (ReportIssued.type(), ReportRevised.type())
FERRETDB: Final = "FerretDB is a stand-in: its rate is no statement about MongoDB."


class Fact(NamedTuple):
    """A fact as it will be published."""

    id: str
    record: Record


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_of_its_own(tmp_path) as region:
        yield region.provision()


def test_a_report_follows_its_answers(region: Region) -> None:
    for process in region.serve():
        process.wait_until_ready()
    asyncio.run(_compared(region))


async def _compared(region: Region) -> None:
    reports: list[list[float]] = []
    hops: list[list[float]] = []
    async with (
        await DistributedHome.open(region.settings()) as home,
        topics_of_its_own(region.brokers, CHAIN) as bare,
        KafkaLog(bare) as bare_log,
        KafkaLog(region.brokers) as log,
    ):
        with _three_hops(bare):
            await _warmed_up(bare_log)
            for number in range(ROUNDS):
                before, answers = await _round(home, number)
                for fact in before:
                    await log.append(CASES, partition_of(fact.record.key), [fact.record])
                assert await home.settle(lambda _: None) == 0
                reports.append(await _latencies(region.brokers, log, answers, _report_of))
                hops.append(await _latencies(bare, bare_log, answers, _same))
    print(f"\n{RATE} responses a second of {CASES_OF_A_ROUND} cases, {len(reports[0])} responses a round, each of")
    print(f"which changes a report; medians of {ROUNDS} rounds, milliseconds from publication until it can be read:")
    print(f"  {'':24}{'p50':>10}{'p99':>10}")
    for name, rounds in (("the report", reports), ("three bare hops", hops)):
        print(f"  {name:24}" + "".join(f"{_median(rounds, at) * 1e3:10.1f}" for at in (50, 99)))
    times = [
        statistics.median(_percentile(a, at) / _percentile(b, at) for a, b in zip(reports, hops, strict=True))
        for at in (50, 99)
    ]
    print(f"  {'times as long':24}" + "".join(f"{each:10.1f}" for each in times))
    print(FERRETDB)
    assert times[0] <= TIMES_AT_MOST


def _median(rounds: Sequence[Sequence[float]], at: int) -> float:
    return statistics.median(_percentile(each, at) for each in rounds)


def _percentile(values: Sequence[float], at: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[at - 1]


async def _round(home: DistributedHome, number: int) -> tuple[list[Fact], list[Fact]]:
    """Tell of cases that get worse at once and stay so: what is known before, and answers that each change a report."""
    histories = [History(f"round-{number}-{case}") for case in range(CASES_OF_A_ROUND)]
    keys = await home.keyring.create([history.case_id for history in histories])
    for history in histories:
        history.enrolled().answered(0, 0, 1, 0, 1, 0)
    before = _sealed(histories, keys, 0)
    for session in range(1, SESSIONS + 1):
        for history in histories:
            history.answered(session, 4, 4, 3 + session % 2, 4, 4)
    return before, _sealed(histories, keys, 2)


def _sealed(histories: Sequence[History], keys: Mapping[str, object], first: int) -> list[Fact]:
    """Seal the facts from the first one of each history on, one of each in turn."""
    facts = []
    for event in in_turn(*histories):
        key = keys[event.subject]
        assert isinstance(key, CaseKey)
        if event.id in {each.id for history in histories for each in history.events[:first]}:
            continue
        facts.append(Fact(event.id, Record(event.subject, encode(prepared(event, key)))))
    return facts


async def _latencies(
    brokers: Brokers, log: KafkaLog, facts: Sequence[Fact], seen: Callable[[bytes], str | None]
) -> list[float]:
    """Publish facts at the rate; give how long each took to the last topic.

    seen: tells which fact a record there comes from; None if it is none that is waited for
    """
    began: dict[str, float] = {}
    took: dict[str, float] = {}
    async with _at_the_end(brokers, NOTICES) as consumer:
        publishing = asyncio.create_task(_published(log, facts, began))
        while len(took) < len(facts):
            fetched = await consumer.getmany(timeout_ms=1_000)
            now = time.perf_counter()
            for record in chain.from_iterable(fetched.values()):
                fact = seen(record.value)
                if fact in began:
                    took.setdefault(fact, now - began[fact])
        await publishing
    return list(took.values())


async def _published(log: KafkaLog, facts: Sequence[Fact], began: dict[str, float]) -> None:
    """Publish facts at the rate, however long each takes; those of one partition in order."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for place, fact in enumerate(facts):
            await asyncio.sleep(max(0.0, start + place / RATE - time.perf_counter()))
            began[fact.id] = time.perf_counter()
            tasks.create_task(log.append(CASES, partition_of(fact.record.key), [fact.record]))


def _report_of(record: bytes) -> str | None:
    wire = orjson.loads(record)
    return str(wire["correlationid"]) if wire["type"] in REPORTS else None


def _same(record: bytes) -> str | None:
    return str(orjson.loads(record)["id"])


@asynccontextmanager
async def _at_the_end(brokers: Brokers, topic: Topic) -> AsyncIterator[AIOKafkaConsumer]:
    """Read a topic from where it ends now."""
    consumer = AIOKafkaConsumer(**brokers.arguments(), enable_auto_commit=False)
    places = [TopicPartition(brokers.topic(topic), partition) for partition in range(topic.partitions)]
    await consumer.start()
    try:
        consumer.assign(places)
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, end)
        yield consumer
    finally:
        await consumer.stop()


@contextmanager
def _three_hops(brokers: Brokers) -> Iterator[None]:
    """Run three bare hops, each as a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.hop", brokers.servers]
    processes = [
        subprocess.Popen([*command, brokers.topic(source), brokers.topic(target)], stdout=subprocess.PIPE)
        for source, target in pairwise(CHAIN)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


async def _warmed_up(log: KafkaLog) -> None:
    """Send one record through every partition of the hops."""
    ends = dict.fromkeys(range(CASES.partitions), 1)
    for partition in ends:
        await log.append(CASES, partition, [Record("warm", b'{"id":"warm"}')])
    while await log.ends(NOTICES, list(ends)) != ends:  # noqa: ASYNC110 - Kafka tells nobody when a record comes
        await asyncio.sleep(0.05)
