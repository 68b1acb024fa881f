"""What a home holds, opened: so that two homes can be compared whatever their case keys and clocks."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from contracts.codec import CaseKey, Unreadable, decode, encode, subject_of
from contracts.topics import CASES, NOTICES, SCORES, TOPICS, TRACKS, Topic
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.home import Home
from services.runtime.database import partitions, table_of
from services.runtime.log.port import StoredRecord, after, next_offset
from services.runtime.stage import Stage

OF_CASES: Final = (CASES, SCORES, TRACKS, NOTICES)
DERIVED: Final = (SCORES, TRACKS, NOTICES)
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What a home holds, without when it was recorded and under which keys.

    histories: topic -> case -> its events in the order of its history, each once
    states: stage -> case -> its state
    reports: case -> report -> how it stands
    numbers: case -> its external number
    repeats: how many records stand on a topic more than once
    """

    histories: Mapping[str, Mapping[str, list[Any]]]
    states: Mapping[str, Mapping[str, Any]]
    reports: Mapping[str, Any]
    numbers: Mapping[str, str]
    repeats: int


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
    histories, repeats = {}, 0
    for topic in OF_CASES:
        histories[topic.name], repeated = await _history(home, topic)
        repeats += repeated
    states = {stage.name: await _states(home, stage) for stage in home.stages}
    reports = {case_id: dossier["reports"] for case_id, dossier in states[home.notifier.name].items()}
    return Contents(histories, states, reports, dict(await home.names()), repeats)


async def _states(home: Home, stage: Stage[Any]) -> dict[str, Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(stage.state)
    found = home.states(stage)
    return {case_id: _timeless(orjson.loads(adapter.dump_json(state))) async for case_id, state in found}


async def _history(home: Home, topic: Topic) -> tuple[dict[str, list[Any]], int]:
    """Give the opened events of each case without what differs between runs, and how many records were repeats."""
    kept, repeats = await _kept(home, topic)
    keys = await home.keyring.keys(kept)
    opened = {}
    for case_id, records in kept.items():
        key = keys[case_id]
        assert isinstance(key, CaseKey)
        events = [decode(record, topic, key) for record in records]
        opened[case_id] = [
            _timeless(orjson.loads(encode(event._replace(sealed=None))))
            for event in events
            if not isinstance(event, Unreadable)
        ]
        assert len(opened[case_id]) == len(events), f"{topic.name}: case {case_id} has events that cannot be read"
    return opened, repeats


async def _raw_histories(directory: Path, topic: Topic) -> dict[str, list[bytes]]:
    async with await EmbeddedHome.open(directory) as home:
        return (await _kept(home, topic))[0]


async def _kept(home: Home, topic: Topic) -> tuple[dict[str, list[bytes]], int]:
    """Give the records of each case in order, each once; how many were repeated. A repeat must be byte-equal."""
    kept: dict[str, list[bytes]] = defaultdict(list)
    facts: set[str] = set()
    repeats = 0
    async for record in _records(home, topic):
        if topic is CASES and subject_of(record.value) != record.key:
            continue
        wire = orjson.loads(record.value)
        if topic is CASES and wire["id"] in facts:
            assert record.value in kept[record.key], f"{topic.name}: a repeated fact {wire['id']} has other bytes"
            repeats += 1
            continue
        history = kept[record.key]
        place = int(wire["sequence"]) if topic in DERIVED else len(history) + 1
        if place <= len(history):
            assert history[place - 1] == record.value, f"{topic.name}: a repeated event {wire['id']} has other bytes"
            repeats += 1
            continue
        assert place == len(history) + 1, f"{topic.name}: case {record.key} has a gap before sequence {place}"
        if topic is CASES:
            facts.add(wire["id"])
        history.append(record.value)
    return dict(kept), repeats


async def _records(home: Home, topic: Topic) -> AsyncIterator[StoredRecord]:
    for partition in range(topic.partitions):
        offset = 0
        while records := await home.log.read(topic, partition, offset, _AT_ONCE):
            for record in records:
                yield record
            offset = next_offset(records)


def _timeless(value: Any) -> Any:
    """Give plain values without the times at which events were recorded, wherever they stand."""
    match value:
        case dict():
            return {name: _timeless(each) for name, each in value.items() if name not in ("recordedtime", "keyid")}
        case list():
            return [_timeless(each) for each in value]
        case _:
            return value
