"""How many records and bytes a response becomes on each topic, so that a region's disks can be planned.

Run by `make benchmark`. Nothing here depends on the machine.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from contracts.codec import CaseKey, decode
from contracts.events.event import Event
from contracts.events.facts import ResponseSubmitted
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic
from services.embedded import EmbeddedHome
from services.home import Home
from services.runtime.log.port import StoredRecord
from tests.support.command import succeeded

pytestmark = pytest.mark.benchmark

GROUPS: Final = 25
BATCH_BYTES: Final = 1 << 18
NO_COMPRESSION: Final = 0
_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class Volume:
    """What stands on a topic.

    payload: bytes of keys and values; alone, packed: bytes on Kafka, with each record in a batch of its own, and in
    batches as large as a producer sends
    """

    records: int = 0
    payload: int = 0
    alone: int = 0
    packed: int = 0

    def add(self, records: Iterable[StoredRecord]) -> None:
        """Add the records of a partition."""
        batch = _batch()
        for record in records:
            self.records += 1
            self.payload += len(record.key.encode()) + len(record.value)
            single = _batch()
            _put(single, record)
            self.alone += single.size()
            if not _put(batch, record):
                self.packed += batch.size()
                batch = _batch()
                _put(batch, record)
        self.packed += batch.size()


def _batch() -> BatchBuilder:
    return BatchBuilder(BATCH_BYTES, NO_COMPRESSION)


def _put(batch: BatchBuilder, record: StoredRecord) -> bool:
    return batch.append(timestamp=None, key=record.key.encode(), value=record.value) is not None


def test_what_a_response_becomes_on_the_log(tmp_path: Path) -> None:
    whole, answers = tmp_path / "whole", tmp_path / "answers.csv"
    succeeded("simulate", "--groups", str(GROUPS), "--as", "facts", "--output", whole)
    succeeded("simulate", "--groups", str(GROUPS), "--output", answers)
    succeeded("import", whole, "--data", tmp_path / "home-of-whole")
    succeeded("import", answers, "--enrol", "--data", tmp_path / "home-of-answers")
    asyncio.run(_printed(tmp_path / "home-of-whole", "whole courses: sessions, attendance, forms asked for, answers"))
    asyncio.run(_printed(tmp_path / "home-of-answers", "answers alone, as from a file"))


async def _printed(directory: Path, says: str) -> None:
    async with await EmbeddedHome.open(directory) as home:
        responses = await _responses(home)
        volumes = {topic: await _volume(home, topic) for topic in (CASES, SCORES, TRACKS, NOTICES)}
        cases = len([case_id async for case_id in home.store.cases(home.register.name)])
        states = {stage.name: await _state_bytes(home, stage.name) for stage in home.stages}
    assert responses
    print(f"\n{responses:,} responses of {cases} cases, {says}. For each response:")
    print(f"  {'':20}{'records':>9}{'bytes':>9}{'of a record':>13}{'on Kafka, alone':>17}{'in full batches':>17}")
    total = Volume()
    for topic, volume in volumes.items():
        total.records += volume.records
        total.payload += volume.payload
        total.alone += volume.alone
        total.packed += volume.packed
        _print_row(topic.name, volume, responses)
    _print_row("together", total, responses)
    print("Bytes of a state at the end of a course, on average, and of the largest one:")
    for name, sizes in states.items():
        print(f"  {name:20}{sum(sizes) / len(sizes):9,.0f}{max(sizes):9,}")


def _print_row(name: str, volume: Volume, responses: int) -> None:
    print(
        f"  {name:20}{volume.records / responses:9.2f}{volume.payload / responses:9,.0f}"
        f"{volume.payload / volume.records:13,.0f}{volume.alone / responses:17,.0f}{volume.packed / responses:17,.0f}"
    )


async def _records(home: Home, topic: Topic, partition: int) -> AsyncIterator[StoredRecord]:
    offset = 0
    while records := await home.log.read(topic, partition, offset, _AT_ONCE):
        offset = records[-1].offset + 1
        for record in records:
            yield record


async def _volume(home: Home, topic: Topic) -> Volume:
    volume = Volume()
    for partition in range(topic.partitions):
        volume.add([record async for record in _records(home, topic, partition)])
    return volume


async def _responses(home: Home) -> int:
    responses = 0
    for partition in range(CASES.partitions):
        records = [record async for record in _records(home, CASES, partition)]
        keys = await home.keyring.keys({record.key for record in records})
        for record in records:
            key = keys[record.key]
            assert isinstance(key, CaseKey)
            event = decode(record.value, CASES, key)
            assert isinstance(event, Event)
            responses += isinstance(event.data, ResponseSubmitted)
    return responses


async def _state_bytes(home: Home, stage: str) -> list[int]:
    case_ids = [case_id async for case_id in home.store.cases(stage)]
    return [len(state.body) for state in (await home.store.load(stage, case_ids)).values()]
