"""How fast an import runs through all stages, where the time goes, and how much memory it takes.

Run by `make benchmark`. Figures are ratios to a reference of the same run; what is printed is what is quoted.
"""

import asyncio
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.topics import CASES, NOTICES, SCORES, TRACKS
from services.embedded import EmbeddedHome
from services.ingest.importer import Importer
from services.ingest.intake import Intake
from services.ingest.spool import Spool
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.runtime import runner
from services.runtime.collector import spare_the_collector
from services.runtime.database import Database
from services.runtime.directory.sqlite import SqliteDirectory
from services.runtime.log.port import Record
from services.runtime.log.sqlite import SqliteLog
from services.runtime.store.sqlite import SqliteStore
from services.scoring.domain.stage import Scoring
from tests.benchmarks import cohorts
from tests.benchmarks.cohorts import imported, write_cohort

pytestmark = pytest.mark.benchmark

ONTRACK: Final = Path(sys.executable).parent / "ontrack"
ROUNDS: Final = 3
RESPONSES: Final = 100_000
CASES_DRAWN: Final = 5_000
MILLION: Final = 1_000_000
MEMORY_AT_MOST_MB: Final = 400
HELP_AT_MOST_S: Final = 0.3


@pytest.fixture(scope="module", autouse=True)
def _as_the_command_runs() -> None:
    spare_the_collector()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cohort") / "cohort.csv"
    write_cohort(file, cases=CASES_DRAWN, responses=RESPONSES, sessions=5)
    return file


def _seconds_of_children() -> float:
    """Give the CPU seconds of every process that was started here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _bare_log(imported: Path, directory: Path) -> float:
    """Append every record of a home to a bare log, in batches as large as the runner's, durably; give the seconds."""
    home = await EmbeddedHome.open(imported)
    log = SqliteLog(Database.create(directory / "bare.db").connection)
    seconds = 0.0
    for topic in (CASES, SCORES, TRACKS, NOTICES):
        for partition in range(topic.partitions):
            offset = 0
            while stored := await home.log.read(topic, partition, offset, runner.BATCH):
                offset = stored[-1].offset + 1
                records = [Record(record.key, record.value) for record in stored]
                began = time.process_time()
                await log.append(topic, partition, records)
                seconds += time.process_time() - began
    await home.close()
    return seconds


# Runs first: the peak of a process is at least what the process that started it held by then.
def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    file = tmp_path / "million.csv"
    subprocess.run([ONTRACK, "simulate", "--groups", "2450", "--output", file], check=True)
    began, on_the_wall = _seconds_of_children(), time.perf_counter()
    command: list[str | Path] = [ONTRACK, "import", file, "--enrol", "--data", tmp_path / "home"]
    process = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    seconds, wall = _seconds_of_children() - began, time.perf_counter() - on_the_wall
    taken = re.search(r"([\d,]+) responses", process.stderr)
    assert taken is not None
    responses = int(taken[1].replace(",", ""))
    assert responses >= MILLION
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\n{process.stderr.strip()} Whole courses, 14 sessions:")
    print(f"  {seconds:,.0f} s of one core, {responses / seconds:,.0f} responses/s; {wall:,.0f} s by the clock")
    print(f"  peak memory {peak:,.0f} MB")
    assert peak < MEMORY_AT_MOST_MB


def test_import_through_all_stages_against_the_bare_log(cohort: Path, tmp_path: Path) -> None:
    imports, walls, appends = [], [], []
    for number in range(ROUNDS):
        directory, bare = tmp_path / f"home{number}", tmp_path / f"bare{number}"
        began, on_the_wall = _seconds_of_children(), time.perf_counter()
        subprocess.run([ONTRACK, "import", cohort, "--enrol", "--data", directory], check=True, capture_output=True)
        imports.append(_seconds_of_children() - began)
        walls.append(time.perf_counter() - on_the_wall)
        bare.mkdir()
        appends.append(asyncio.run(_bare_log(directory, bare)))
    rate = RESPONSES / statistics.median(imports)
    ratio = statistics.median(a / b for a, b in zip(imports, appends, strict=True))
    print(f"\n{RESPONSES:,} responses of {CASES_DRAWN:,} cases, medians of {ROUNDS} rounds, CPU seconds of one core:")
    print(f"  import through all stages  {statistics.median(imports):6.2f} s  {rate:8,.0f} responses/s")
    print(f"  the same by the clock      {statistics.median(walls):6.2f} s")
    print(f"  the same records, bare log {statistics.median(appends):6.2f} s")
    print(f"  ratio                      {ratio:6.1f}")


LAYERS: Final[list[tuple[Any, str, str]]] = [
    (cohorts, "read_responses", "file: read and check"),
    (Spool, "of_case", "file: rows of a case"),
    (Importer, "check", "file: check against the register"),
    (Intake, "record", "ingest: facts to records"),
    (Scoring, "step", "scoring: step"),
    (NotDetector, "step", "not_detector: step"),
    (Notifier, "step", "notifier: step"),
    (runner, "decode", "codec: decode"),
    (runner, "prepared", "codec: seal"),
    (runner, "encode", "codec: encode"),
    (runner, "open_state", "states: open"),
    (runner.Runner, "_write", "states: seal"),
    (SqliteLog, "append", "log: append"),
    (SqliteLog, "read", "log: read"),
    (SqliteStore, "load", "store: load"),
    (SqliteStore, "save", "store: save"),
    (SqliteStore, "set_position", "store: positions"),
    (SqliteDirectory, "enter", "directory: enter"),
    (runner.Runner, "_worked", "runner: loop"),
]


@contextmanager
def _timed(spent: Counter[str]) -> Iterator[None]:
    """Time the layers; what a layer spends in another is counted for the other only."""
    with pytest.MonkeyPatch.context() as patch:
        stack = [0.0]
        for place, name, label in LAYERS:
            patch.setattr(place, name, _counting(getattr(place, name), label, spent, stack))
        yield


def _counting(function: Any, label: str, spent: Counter[str], stack: list[float]) -> Any:
    def enter() -> float:
        stack.append(0.0)
        return time.perf_counter()

    def leave(began: float) -> None:
        total = time.perf_counter() - began
        spent[label] += total - stack.pop()  # type: ignore[assignment]
        stack[-1] += total

    if asyncio.iscoroutinefunction(function):

        async def waited(*args: Any, **named: Any) -> Any:
            began = enter()
            try:
                return await function(*args, **named)
            finally:
                leave(began)

        return waited

    def called(*args: Any, **named: Any) -> Any:
        began = enter()
        try:
            return function(*args, **named)
        finally:
            leave(began)

    return called


def test_where_the_time_goes(cohort: Path, tmp_path: Path) -> None:
    spent: Counter[str] = Counter()
    with _timed(spent):
        began = time.perf_counter()
        asyncio.run(imported(cohort, tmp_path / "home"))
        total = time.perf_counter() - began
    print(f"\nWhere the time goes, {RESPONSES:,} responses (timers included, so shares rather than seconds):")
    for label, seconds in spent.most_common():
        print(f"  {label:32} {100 * seconds / total:5.1f} %")
    print(f"  {'everything else':32} {100 * (1 - sum(spent.values()) / total):5.1f} %")


def test_help_answers_at_once() -> None:
    def seconds(*command: str | Path) -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began

    asked, bare = zip(
        *((seconds(ONTRACK, "--help"), seconds(sys.executable, "-c", "pass")) for _ in range(7)), strict=True
    )
    print(f"\nontrack --help {statistics.median(asked):.3f} s; a bare interpreter {statistics.median(bare):.3f} s")
    assert statistics.median(asked) < HELP_AT_MOST_S
