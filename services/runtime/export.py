"""The log as NDJSON: an export is the log, one event a line, sealed as it stands or opened to be read."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson

from contracts.codec import CaseKey, Unreadable, decode, encode
from contracts.topics import CASES, Topic, partition_of
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, StoredRecord, next_offset

_AT_ONCE = 2_000


@dataclass(slots=True)
class Exported:
    """What an export holds and leaves out.

    erased: erased case -> how many of its records were left out, because nobody can open them any more
    unreadable: places of other records that could not be opened, or are not lines of text at all
    """

    count: int = 0
    erased: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


async def exported(
    log: Log, keyring: Keyring, topic: Topic, told: Exported, *, case_id: str | None = None, reveal: bool = False
) -> AsyncIterator[bytes]:
    """Give the records of a topic, partition by partition; `told` learns what became of them.

    reveal: with the data opened; a record whose key was destroyed cannot be
    """
    partitions = range(topic.partitions) if case_id is None else (partition_of(case_id),)
    for partition in partitions:
        offset = 0
        while records := await log.read(topic, partition, offset, _AT_ONCE):
            offset = next_offset(records)
            wanted = [record for record in records if case_id is None or record.key == case_id]
            keys = await keyring.keys({record.key for record in wanted}) if topic.of_cases and reveal else {}
            for record in wanted:
                key = keys.get(record.key)
                line = _line(record, topic, key if isinstance(key, CaseKey) else None, reveal=reveal)
                if line is not None:
                    told.count += 1
                    yield line
                elif isinstance(key, Destroyed):
                    told.erased[record.key] += 1
                else:
                    told.unreadable.append(f"{topic.name}, partition {partition}, offset {record.offset}")


async def cases_on(log: Log) -> set[str]:
    """Give every case that there are facts of, erased ones too: of those no state has to be left."""
    found: set[str] = set()
    for partition in range(CASES.partitions):
        offset = 0
        while records := await log.read(CASES, partition, offset, _AT_ONCE):
            offset = next_offset(records)
            found.update(record.key for record in records)
    return found


def _line(record: StoredRecord, topic: Topic, key: CaseKey | None, *, reveal: bool) -> bytes | None:
    if not reveal or not topic.of_cases:
        return record.value if _is_a_line(record.value) else None
    if key is None:
        return None
    event = decode(record.value, topic, key)
    return None if isinstance(event, Unreadable) else encode(event._replace(sealed=None))


def _is_a_line(value: bytes) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return b"\n" not in value
