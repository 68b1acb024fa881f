"""What a home holds, opened: so that two homes can be compared whatever their case keys and clocks."""

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.topics import TOPICS, Topic
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.home import Home
from services.runtime.database import Database, partitions, table_of
from services.runtime.log.port import after
from tests.support.opened import OF_CASES, cases_of, digest_of, kept, records_of


@dataclass(frozen=True, slots=True)
class Contents:
    """What a home holds, without when it was recorded and under which keys.

    histories: topic -> case -> its events in the order of its history, each once
    states: stage -> case -> its state
    reports: case -> report -> how it stands
    numbers: case -> its external number
    digests: case -> the digest of its events and states
    repeats: how many records stand on a topic more than once
    """

    histories: Mapping[str, Mapping[str, list[Any]]]
    states: Mapping[str, Mapping[str, Any]]
    reports: Mapping[str, Any]
    numbers: Mapping[str, str]
    digests: Mapping[str, str]
    repeats: int

    @property
    def digest(self) -> str:
        """One number for all of it, but for who the cases are."""
        return digest_of(self.digests)


def contents(directory: Path) -> Contents:
    """Open everything that a home holds."""
    return asyncio.run(_contents(directory))


def same(one: Contents, other: Contents) -> bool:
    """Tell whether two homes hold the same; fails by naming the first place where they do not."""
    assert one.numbers == other.numbers, "the external numbers differ"
    for topic in OF_CASES:
        here, there = one.histories[topic.name], other.histories[topic.name]
        assert here.keys() == there.keys(), f"{topic.name}: the cases differ"
        for case_id in here:
            assert here[case_id] == there[case_id], f"{topic.name}: case {case_id} differs"
    for stage in one.states:
        assert one.states[stage] == other.states[stage], f"the states of {stage} differ"
    assert one.reports == other.reports, "the reports differ"
    assert one.digest == other.digest, "the digests differ"
    return True


def holds_all_of(found: Contents, whole: Contents) -> bool:
    """Tell whether a home holds whatever another one does, and perhaps more; fails by naming what it does not."""
    assert whole.numbers.items() <= found.numbers.items(), "somebody is missing"
    for topic, histories in whole.histories.items():
        for case_id, history in histories.items():
            there = found.histories[topic].get(case_id, [])
            assert there[: len(history)] == history, f"{topic}: case {case_id} went another way"
    return True


def raw_histories(directory: Path, topic: Topic) -> dict[str, list[bytes]]:
    """Give the records of a topic as they stand, case by case, each once; repeats must be byte-equal."""
    return asyncio.run(_raw_histories(directory, topic))


def sealed_states(directory: Path) -> dict[tuple[str, str], bytes]:
    """Give the states as they stand: (stage, case) -> the sealed bytes."""
    with _database(directory) as connection:
        rows = connection.execute("SELECT stage, case_id, read, written, schema, body FROM states").fetchall()
    return {(stage, case_id): repr(rest).encode() for stage, case_id, *rest in rows}


def counts(directory: Path) -> dict[str, int]:
    """Count the records of each topic; an empty or unfinished directory has none."""
    found = dict.fromkeys(TOPICS, 0)
    if (directory / DATABASE).exists():
        with _database(directory) as connection:
            if connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
                for topic in TOPICS.values():
                    found[topic.name] = _ends(connection, [table_of(topic, p) for p in range(topic.partitions)])
    return found


def _ends(connection: sqlite3.Connection, tables: Iterable[str]) -> int:
    """Add up how many records some partitions have."""
    lasts = (connection.execute(f'SELECT max("offset") FROM {table}').fetchone()[0] for table in tables)  # noqa: S608 - ours
    return sum(after(last) for last in lasts if last is not None)


def progress(directory: Path) -> int:
    """Count all records of a home that a process may be writing just now; 0 if there is nothing to read yet."""
    if not (directory / DATABASE).exists():
        return 0
    try:
        with _database(directory) as connection:
            return _ends(connection, partitions())
    except sqlite3.OperationalError:
        return 0


def master_key_in(directory: Path, key: bytes) -> Path:
    """Make a directory that holds nothing but this master key."""
    directory.mkdir(mode=0o700)
    file = directory / MASTER_KEY
    file.touch(mode=0o600)
    file.write_bytes(key)
    return directory


def begun_under(directory: Path, key: bytes) -> Path:
    """Make a directory as a first start leaves it that is broken off when it has its master key: this one."""
    Database.create(master_key_in(directory, key) / DATABASE).close()
    return directory


@contextmanager
def _database(directory: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{(directory / DATABASE).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


async def _contents(directory: Path) -> Contents:
    async with await EmbeddedHome.open(directory) as home:
        return await contents_of(home)


async def contents_of(home: Home) -> Contents:
    """Open everything that a home holds."""
    histories: dict[str, dict[str, list[Any]]] = {topic.name: {} for topic in OF_CASES}
    states: dict[str, dict[str, Any]] = {stage.name: {} for stage in home.stages}
    digests: dict[str, str] = {}
    repeats = 0
    async for case_id, case in cases_of(home):
        for topic, history in case.histories.items():
            histories[topic][case_id] = history
        for stage, state in case.states.items():
            states[stage][case_id] = state
        digests[case_id] = case.digest
        repeats += case.repeats
    reports = {case_id: dossier["reports"] for case_id, dossier in states[home.notifier.name].items()}
    return Contents(histories, states, reports, dict(await home.names()), digests, repeats)


async def _raw_histories(directory: Path, topic: Topic) -> dict[str, list[bytes]]:
    histories: dict[str, list[bytes]] = {}
    async with await EmbeddedHome.open(directory) as home:
        for partition in range(topic.partitions):
            histories |= kept(topic, await records_of(home, topic, partition)).histories
    return histories
