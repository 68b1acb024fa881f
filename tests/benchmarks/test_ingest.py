"""How many responses ingest takes over HTTP, each answered when it is safely on the log.

In a region against endpoints that record a body on Kafka and do nothing else; in a clinic in one process against its
bare log. Run by `make benchmark`: figures are ratios to a reference of the same run, what is printed is what is quoted.
FerretDB is a stand-in for MongoDB: its rate is no statement about MongoDB.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Final

import orjson
import pytest

from contracts.topics import CASES, partition_of
from services.embedded import EmbeddedHome
from services.ingest.access import TOKENS, Client, Tokens
from services.runtime.brokers import Brokers
from services.runtime.database import Database
from services.runtime.log.port import Record
from services.runtime.log.sqlite import SqliteLog
from services.runtime.log.topics import Cluster
from tests.benchmarks.endpoints import ENDPOINTS
from tests.benchmarks.load import Sent, posted, send
from tests.support.region import SERVE, Process, Region, region_of_its_own
from tests.support.removed import remove_topics
from tests.support.requests import Requests
from tests.support.running import running
from tests.support.servers import ONE_BROKER

pytestmark = pytest.mark.benchmark

ROUNDS: Final = 5
CONNECTIONS: Final = 64
RESPONSES: Final = 6_000
PATIENTS: Final = 500
NOW: Final = datetime.now(UTC)
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
COMMENT: Final = "It went a little better this week, apart from Thursday."
INGEST, STORED = "ingest, states in memory", "ingest, FerretDB"
OF_BARE_AT_LEAST: Final = 0.4
OF_TYPED_AT_LEAST: Final = 0.7
P99_AT_MOST: Final = 4.0
"""What it must not fall below: what is aimed at, and what is reached, stands in docs/capacity.md."""

FERRETDB: Final = "FerretDB is a stand-in: its rate is no statement about MongoDB."


@dataclass
class Target:
    """What is asked: at a port, about cases, by a token.

    register: the process that reads what was recorded, if there is one
    numbers: which responses it had already
    """

    port: int
    cases: Sequence[str]
    token: str
    register: Process | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def sent(self, folder: Path) -> Sent:
        """Send the responses of a round, each another one: all of them have to be taken.

        What the register has to do with them is done before anybody else is asked, so that nobody pays for it.
        """
        register = self.register
        before = 0 if register is None else register.events_read()
        sent = send(self.port, self._requests(), folder, CONNECTIONS)
        assert sent.statuses == {"201": RESPONSES}
        if register is not None:
            register.wait_until(lambda: register.events_read() >= before + RESPONSES, "everything read")
        return sent

    def _requests(self) -> Iterator[bytes]:
        credential = f"Bearer {self.token}"
        for number in islice(self.numbers, RESPONSES):
            session, place = divmod(number, len(self.cases))
            path, body = response(self.cases[place], session)
            yield posted(self.port, path, body, Authorization=credential, Idempotency_Key=f"{place}-{session}")


def clinic(port: int, token: str) -> Target:
    """Enrol the cases of a clinic."""
    requests = Requests(port)
    with ThreadPoolExecutor(8) as together:
        enrolled = together.map(lambda number: requests.enrolled(token, f"patient-{number}"), range(PATIENTS))
        return Target(port, [each["case"] for each in enrolled], token)


def response(case_id: str, session: int) -> tuple[str, bytes]:
    """Give where a response goes, and what it says."""
    said = {
        "session": session,
        "instrument": "odsis",
        "answers": {item: (session + place) % 5 for place, item in enumerate(ODSIS)},
        "comment": COMMENT,
        "answered_at": (NOW - timedelta(minutes=1_000 - session)).isoformat(),
    }
    return f"/v1/cases/{case_id}/response-submitted", orjson.dumps(said)


@contextmanager
def endpoint(name: str, brokers: Brokers) -> Iterator[Target]:
    """Start what ingest is compared with."""
    command = [sys.executable, "-m", "tests.benchmarks.endpoints", name, brokers.servers, brokers.prefix + CASES.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Target(int(process.stdout.readline()), [f"{place:032x}" for place in range(PATIENTS)], "x" * 51)
        finally:
            process.terminate()


@contextmanager
def topic_of_its_own(brokers: Brokers) -> Iterator[Brokers]:
    """Make a topic for what is compared."""
    own = replace(brokers, prefix=f"{brokers.prefix}compared.")
    asyncio.run(Cluster(own).make_topics(ONE_BROKER, [CASES]))
    try:
        yield own
    finally:
        asyncio.run(remove_topics(own, [CASES]))


def rates(rounds: Sequence[Sent]) -> list[float]:
    """Give how many a second were answered in each round."""
    return [RESPONSES / each.wall for each in rounds]


def times(rounds: Sequence[float], reference: Sequence[float]) -> float:
    """Give how many times as fast as a reference, in the middle of the rounds."""
    return statistics.median(a / b for a, b in zip(rounds, reference, strict=True))


def latency(rounds: Sequence[Sent], at: int) -> float:
    """Give the seconds within which so many hundredths were answered."""
    return statistics.median(statistics.quantiles(each.latencies, n=100, method="inclusive")[at - 1] for each in rounds)


def shown(rounds: Mapping[str, Sequence[Sent]], references: Mapping[str, Sequence[float]]) -> None:
    print(f"\n{RESPONSES:,} responses by {CONNECTIONS} connections, medians of {ROUNDS} rounds in turn")
    heads = "".join(f"{f'of {name}':>24}" for name in references)
    print(f"  {'':28}{'a second':>10}{'p50 ms':>8}{'p99 ms':>8}{'p99/p50':>9}{heads}")
    for name, sent in rounds.items():
        p50, p99 = latency(sent, 50), latency(sent, 99)
        of = "".join(f"{times(rates(sent), reference):24.2f}" for reference in references.values())
        print(f"  {name:28}{statistics.median(rates(sent)):10,.0f}{p50 * 1e3:8.1f}{p99 * 1e3:8.1f}{p99 / p50:9.2f}{of}")


def test_ingest_against_endpoints_that_only_record(tmp_path: Path) -> None:
    rounds: dict[str, list[Sent]] = defaultdict(list)
    programs = {INGEST: (sys.executable, "-m", "tests.benchmarks.ingest_in_memory"), STORED: SERVE}
    with ExitStack() as stack:
        # Two in one region would share its partitions, and each know the keys of its own cases only.
        regions: dict[str, Region] = {}
        for name in programs:
            (tmp_path / name).mkdir()
            regions[name] = stack.enter_context(region_of_its_own(tmp_path / name))
        own = stack.enter_context(topic_of_its_own(regions[INGEST].brokers))
        targets = {name: stack.enter_context(endpoint(name, own)) for name in ENDPOINTS}
        for name, region in regions.items():
            token = Tokens(region.provision().tokens).make(Client("caller", "admin", "north"), NOW)
            process = region.serve_by(programs[name], "ingest").wait_until_ready()
            targets[name] = replace(clinic(process.api_port, token), register=process)
            process.wait_until(lambda: process.events_read() >= PATIENTS, "the enrolments read")  # noqa: B023 - not later
        for _ in range(ROUNDS):
            for name, target in targets.items():
                rounds[name].append(target.sent(tmp_path))
    bare, typed = (rates(rounds[name]) for name in ENDPOINTS)
    shown(rounds, {"bare": bare, "typed": typed})
    print(FERRETDB)
    for name in (INGEST, STORED):
        assert times(rates(rounds[name]), bare) >= OF_BARE_AT_LEAST
        assert times(rates(rounds[name]), typed) >= OF_TYPED_AT_LEAST
        assert latency(rounds[name], 99) <= P99_AT_MOST * latency(rounds[name], 50)


def test_up_against_its_bare_log(tmp_path: Path) -> None:
    rounds: dict[str, list[Sent]] = defaultdict(list)
    references: dict[str, list[float]] = defaultdict(list)
    with running(tmp_path / "live") as up:
        target = clinic(up.port, Tokens(tmp_path / "live" / TOKENS).make(Client("caller", "admin", "north"), NOW))
        for number in range(ROUNDS):
            rounds["ontrack up"].append(target.sent(tmp_path))
            records = asyncio.run(last_of(tmp_path / "live"))
            for together in (1, CONNECTIONS):
                took = asyncio.run(appended(tmp_path / f"bare-{together}-{number}.db", records, together))
                references[f"bare, {together} together"].append(1 / took)
    shown(rounds, references)
    for name, rate in references.items():
        print(f"  {name:28}{statistics.median(rate):10,.0f}")


async def last_of(data: Path) -> list[Record]:
    """Give what was recorded in the last round."""
    async with await EmbeddedHome.open(data) as home:
        ends = await home.log.ends(CASES, range(CASES.partitions))
        of_each = RESPONSES // CASES.partitions
        return [
            Record(record.key, record.value)
            for partition, end in ends.items()
            for record in await home.log.read(CASES, partition, max(0, end - of_each), of_each)
        ]


async def appended(file: Path, records: Sequence[Record], together: int) -> float:
    """Append records to a log that nobody reads, so many at a time; give the seconds that one of them took."""
    database = Database.create(file)
    log = SqliteLog(database.connection)
    began = time.perf_counter()
    for start in range(0, len(records), together):
        batch: dict[int, list[list[Record]]] = defaultdict(list)
        for record in records[start : start + together]:
            batch[partition_of(record.key)].append([record])
        await log.append_each(CASES, batch)
    took = time.perf_counter() - began
    database.close()
    return took / len(records)
