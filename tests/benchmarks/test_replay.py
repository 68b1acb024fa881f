"""How fast a history is replayed and verified, against a bare read of the same log in the same run.

Run by `make benchmark`. Figures are ratios; rates are of the machine. Histories of simulated courses of 8 to 60 facts.
"""

import asyncio
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.topics import DEAD_LETTERS, PARTITIONS
from services.embedded import EmbeddedHome
from services.runtime.brokers import Brokers
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record, next_offset
from services.runtime.log.topics import Cluster
from tests.benchmarks.cohorts import imported, write_courses
from tests.benchmarks.replaying import READ
from tests.support.command import ran_apart
from tests.support.region import region_of_its_own
from tests.support.servers import ONE_BROKER

pytestmark = pytest.mark.benchmark

ROUNDS: Final = 3
CASES_OF: Final = {"200,000 events": 1_200, "2,000,000 events": 12_000}
RESPONSES: Final = range(7, 60)
"""Of a case, which is enrolled besides."""

SESSIONS: Final = 15
BY: Final = {"the command": 1, "the command, by two processes": 2}
HALVES: Final = (range(0, PARTITIONS, 2), range(1, PARTITIONS, 2))
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Took:
    """What one process did, or several did together. rate: events a second; memory: bytes, of the largest."""

    rate: float
    memory: int


def history(folder: Path, cases: int) -> Path:
    """Give a home with the history of so many cases."""
    file, directory = folder / f"{cases}.csv", folder / f"home-{cases}"
    write_courses(file, cases=cases, responses=RESPONSES, sessions=SESSIONS)
    asyncio.run(imported(file, directory))
    return directory


def done(*each: Sequence[str | Path]) -> Took:
    """Let processes do something at the same time."""
    running = [
        subprocess.Popen([sys.executable, "-m", "tests.benchmarks.replaying", *options], stdout=subprocess.PIPE)
        for options in each
    ]
    said: list[Mapping[str, Any]] = [orjson.loads(process.communicate()[0]) for process in running]
    took = max(one["ended"] for one in said) - min(one["began"] for one in said)
    return Took(sum(one["events"] for one in said) / took, max(one["memory"] for one in said))


def commanded(home: Path, processes: int) -> Took:
    """Let the command replay a home, with all that it needs to begin and to compare; of memory nothing is told."""
    began = time.monotonic()
    told = ran_apart("audit", "replay", "--data", home, "--processes", str(processes)).told
    took = time.monotonic() - began
    (events,) = re.findall(r"^([\d,]+) events in", told, re.MULTILINE)
    return Took(int(events.replace(",", "")) / took, 0)


def numbers(partitions: range) -> str:
    return ",".join(map(str, partitions))


@contextmanager
def on_kafka(home: Path, folder: Path) -> Iterator[str]:
    """Put the log of a home on Kafka; name it."""
    with region_of_its_own(folder) as region:
        asyncio.run(_put(home, region.brokers))
        yield f"{region.brokers.servers},{region.brokers.prefix}"


async def _put(directory: Path, brokers: Brokers) -> None:
    await Cluster(brokers).make_topics(ONE_BROKER, (*READ, DEAD_LETTERS))
    async with await EmbeddedHome.open(directory) as home, KafkaLog(brokers) as log:
        for topic in READ:
            for partition in range(topic.partitions):
                offset = 0
                while records := await home.log.read(topic, partition, offset, _AT_ONCE):
                    await log.append(topic, partition, [Record(each.key, each.value) for each in records])
                    offset = next_offset(records)


def middle(rounds: Sequence[Took]) -> float:
    return statistics.median(took.rate for took in rounds)


def shown(rounds: Mapping[str, Sequence[Took]], references: Mapping[str, str]) -> None:
    """Print what each did, beside what it is compared with: the median of the ratios of each round."""
    for name, taken in rounds.items():
        line = f"  {name:36}{middle(taken):10,.0f} a second{max(took.memory for took in taken) / 1e6:8,.0f} MB"
        if name in references:
            against = rounds[references[name]]
            ratio = statistics.median(a.rate / b.rate for a, b in zip(taken, against, strict=True))
            line += f"{ratio:8.2f} of {references[name]}"
        print(line)


def test_replay_and_verify_against_a_bare_read(tmp_path: Path) -> None:
    home = history(tmp_path, CASES_OF["200,000 events"])
    rounds: dict[str, list[Took]] = defaultdict(list)
    with on_kafka(home, tmp_path) as kafka:
        for _ in range(ROUNDS):
            for by, processes in BY.items():
                rounds[by].append(commanded(home, processes))
            for where, options in {"file": (), "Kafka": ("--kafka", kafka)}.items():
                for what in ("bare", "replay", "verify"):
                    rounds[f"{what}, {where}"].append(done((what, home, *options)))
                halves: list[list[str | Path]] = [
                    ["replay", home, "--partitions", numbers(half), *options] for half in HALVES
                ]
                rounds[f"replay by two processes, {where}"].append(done(*halves))
    print(f"\n200,000 events, medians of {ROUNDS} rounds in turn")
    references = {
        f"{name}, {where}": f"{of}, {where}"
        for where in ("file", "Kafka")
        for name, of in (("replay", "bare"), ("verify", "replay"), ("replay by two processes", "replay"))
    }
    alone, shared = BY
    shown(rounds, references | {shared: alone})


def test_ten_times_as_many_events_take_ten_times_as_long_and_no_more_memory(tmp_path: Path) -> None:
    homes = {name: history(tmp_path, cases) for name, cases in CASES_OF.items()}
    rounds: dict[str, list[Took]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, home in homes.items():
            rounds[f"replay, {name}"].append(done(("replay", home)))
        *_, longest = homes.values()
        for by, processes in BY.items():
            rounds[by].append(commanded(longest, processes))
    small, large = (f"replay, {name}" for name in CASES_OF)
    alone, shared = BY
    print(f"\nReplay from the file, medians of {ROUNDS} rounds in turn; the command of the larger history")
    shown(rounds, {large: small, shared: alone})
