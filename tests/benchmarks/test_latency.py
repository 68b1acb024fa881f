"""How long it takes from a fact's publication until its report stands on the log, against three bare hops.

Run by `make benchmark`. Figures are ratios to a reference of the same run; what is printed is what is quoted.
FerretDB is a stand-in for MongoDB: its rate is no statement about MongoDB.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.codec import CaseKey, encode, prepared
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.events.notices import ReportIssued, ReportRevised
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic, partition_of
from services.distributed import DistributedHome
from services.home import Stages
from services.ingest.zones import Zones
from services.runtime.brokers import Brokers
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.runner import Runner
from services.runtime.serving import Serving
from services.runtime.stage import Stage
from tests.benchmarks.loops import LOG_ID
from tests.benchmarks.memory import MemoryKeyring, MemoryStore
from tests.support.histories import History, in_turn
from tests.support.region import Region, region_of_its_own
from tests.support.servers import topics_of_its_own

pytestmark = pytest.mark.benchmark

ROUNDS: Final = 5
CASES_OF_A_ROUND: Final = 36
SESSIONS: Final = 14
RATE: Final = 50
QUIET: Final = 5
"""Responses a second."""

TIMES_AT_MOST: Final = 50
CHAIN: Final = (CASES, SCORES, TRACKS, NOTICES)
REPORTS: Final = (ReportIssued.type(), ReportRevised.type())
REPORT: Final = "services, FerretDB"
MEMORY: Final = "states in memory"
HOPS: Final = "three bare hops"
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
    took: dict[tuple[int, str], list[list[float]]] = defaultdict(list)
    async with (
        await DistributedHome.open(region.settings()) as home,
        topics_of_its_own(region.brokers, CHAIN) as bare,
        topics_of_its_own(region.brokers, CHAIN) as light,
        KafkaLog(bare) as bare_log,
        KafkaLog(light) as light_log,
        KafkaLog(region.brokers) as log,
        AsyncExitStack() as stack,
    ):
        keyring = MemoryKeyring({})
        with _three_hops(bare):
            await _warmed_up(bare_log)
            await stack.enter_async_context(_in_memory(light, light_log, keyring))
            for number in range(ROUNDS):
                keys, before, answers = await _round(home, number)
                await keyring.adopt(keys)
                for fact in before:
                    await log.append(CASES, partition_of(fact.record.key), [fact.record])
                    await light_log.append(CASES, partition_of(fact.record.key), [fact.record])
                for rate, some in ((QUIET, answers[:CASES_OF_A_ROUND]), (RATE, answers[CASES_OF_A_ROUND:])):
                    assert (await home.settle(lambda _: None)).events == 0
                    took[rate, REPORT].append(await _latencies(region.brokers, log, some, rate, _report_of))
                    took[rate, MEMORY].append(await _latencies(light, light_log, some, rate, _report_of))
                    took[rate, HOPS].append(await _latencies(bare, bare_log, some, rate, _same))
    print(f"\nEvery response changes a report; {CASES_OF_A_ROUND} cases in turn; medians of {ROUNDS} rounds;")
    print("milliseconds from publication until it can be read on the last topic:")
    for rate in (QUIET, RATE):
        print(f"  {f'{rate} responses/s':24}{'p50':>10}{'p99':>10}")
        for name in (REPORT, MEMORY, HOPS):
            print(f"  {name:24}" + "".join(f"{_median(took[rate, name], at) * 1e3:10.1f}" for at in (50, 99)))
        for name in (REPORT, MEMORY):
            times = "".join(f"{_times(took[rate, name], took[rate, HOPS], at):10.1f}" for at in (50, 99))
            print(f"  {f'{name}: times':24}{times}")
    print(FERRETDB)
    assert _times(took[QUIET, MEMORY], took[QUIET, HOPS], 50) <= TIMES_AT_MOST


def _times(took: Sequence[Sequence[float]], reference: Sequence[Sequence[float]], at: int) -> float:
    return statistics.median(_percentile(a, at) / _percentile(b, at) for a, b in zip(took, reference, strict=True))


@asynccontextmanager
async def _in_memory(brokers: Brokers, log: KafkaLog, keyring: MemoryKeyring) -> AsyncIterator[None]:
    """Serve the three stages in this process, with states and keys in memory: what is left without a database."""
    stages: Sequence[Stage[Any]] = Stages.by(Catalogue(library()), Zones())[1:]
    servings = [
        Serving(
            brokers,
            brokers.named(stage.name),
            brokers.topic(stage.reads),
            Runner[Any](stage, log, MemoryStore(), keyring, LOG_ID),
            lambda *_: None,
        )
        for stage in stages
    ]
    try:
        for serving in servings:
            await serving.start()
        while not all(_has_all(serving) for serving in servings):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
        yield
    finally:
        for serving in servings:
            await serving.stop()


def _has_all(serving: Serving[Any]) -> bool:
    return len(serving.shares) == CASES.partitions and all(each.has_caught_up for each in serving.shares.values())


def _median(rounds: Sequence[Sequence[float]], at: int) -> float:
    return statistics.median(_percentile(each, at) for each in rounds)


def _percentile(values: Sequence[float], at: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[at - 1]


async def _round(home: DistributedHome, number: int) -> tuple[dict[str, CaseKey], list[Fact], list[Fact]]:
    """Tell of cases that get worse at once and stay so.

    Their keys, what is known before, and answers that each change a report.
    """
    histories = [History(f"round-{number}-{case}") for case in range(CASES_OF_A_ROUND)]
    created = await home.keyring.create([history.case_id for history in histories])
    keys = {case_id: key for case_id, key in created.items() if isinstance(key, CaseKey)}
    for history in histories:
        history.enrolled().answered(0, 0, 1, 0, 1, 0)
    before = _sealed(histories, keys, 0)
    for session in range(1, SESSIONS + 1):
        for history in histories:
            history.answered(session, 4, 4, 3 + session % 2, 4, 4)
    return keys, before, _sealed(histories, keys, 2)


def _sealed(histories: Sequence[History], keys: Mapping[str, CaseKey], first: int) -> list[Fact]:
    """Seal the facts from the first one of each history on, one of each in turn."""
    known = {event.id for history in histories for event in history.events[:first]}
    facts = []
    for event in in_turn(*histories):
        if event.id not in known:
            sealed = prepared(event, keys[event.subject])
            facts.append(Fact(event.id, Record(event.subject, encode(sealed))))
    return facts


async def _latencies(
    brokers: Brokers, log: KafkaLog, facts: Sequence[Fact], rate: int, seen: Callable[[bytes], str | None]
) -> list[float]:
    """Publish facts at a rate; give how long each took to the last topic.

    seen: tells which fact a record there comes from; None if it is none that is waited for
    """
    began: dict[str, float] = {}
    took: dict[str, float] = {}
    async with _at_the_end(brokers, NOTICES) as consumer:
        publishing = asyncio.create_task(_published(log, facts, rate, began))
        while len(took) < len(facts):
            fetched = await consumer.getmany(timeout_ms=1_000)
            now = time.perf_counter()
            for record in chain.from_iterable(fetched.values()):
                fact = seen(record.value)
                if fact in began:
                    took.setdefault(fact, now - began[fact])
        await publishing
    return list(took.values())


async def _published(log: KafkaLog, facts: Sequence[Fact], rate: int, began: dict[str, float]) -> None:
    """Publish facts at a rate, however long each takes; those of one partition in order."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for place, fact in enumerate(facts):
            await asyncio.sleep(max(0.0, start + place / rate - time.perf_counter()))
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
