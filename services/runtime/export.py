"""The log as NDJSON: an export is the log, one event a line, sealed as it stands or opened to be read."""

import re
from binascii import a2b_base64, b2a_base64
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson

from contracts.codec import CaseKey, Unreadable, decode, encode, subject_of
from contracts.events.event import Data, Event
from contracts.topics import CASES, Topic, partition_of
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, Record, StoredRecord
from services.runtime.reading import chunks, event_of

_KEY = re.compile(r"[0-9a-f]{16}")
_SEAL = 16
"""Bytes by which what is sealed is longer than what it says (RFC 5297)."""


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
        async for records in chunks(log, topic, partition):
            wanted = [record for record in records if case_id is None or record.key == case_id]
            keys = await keyring.keys({record.key for record in wanted}) if topic.of_cases else {}
            for record in wanted:
                key = keys.get(record.key)
                line = _opened(record, topic, key) if reveal else _as_it_stands(record, topic, key)
                if line is not None:
                    told.count += 1
                    yield line
                elif isinstance(key, Destroyed) and is_sealed(record, topic):
                    told.erased[record.key] += 1
                else:
                    told.unreadable.append(f"{topic.name}, partition {partition}, offset {record.offset}")


async def cases_on(log: Log) -> set[str]:
    """Give every case that there are facts of, erased ones too: of those no state has to be left."""
    found: set[str] = set()
    for partition in range(CASES.partitions):
        async for records in chunks(log, CASES, partition):
            found.update(record.key for record in records)
    return found


def _opened(record: StoredRecord, topic: Topic, key: CaseKey | Destroyed | None) -> bytes | None:
    """Give a record with its data open; None if it cannot be read."""
    if not topic.of_cases:
        return record.value if _is_a_line(record.value) else None
    event = _event(record, topic, key)
    return None if event is None else encode(event._replace(sealed=None))


def _as_it_stands(record: StoredRecord, topic: Topic, key: CaseKey | Destroyed | None) -> bytes | None:
    """Give a record sealed; None if that is no event of its case, and so perhaps readable by anybody.

    Of a case whose key is not here only the outside of the records can be looked at.
    """
    if not topic.of_cases:
        is_one = _is_a_line(record.value)
    elif isinstance(key, CaseKey):
        is_one = _event(record, topic, key) is not None
    else:
        is_one = is_sealed(record, topic)
    return record.value if is_one else None


def _event(record: StoredRecord, topic: Topic, key: CaseKey | Destroyed | None) -> Event[Data] | None:
    """Read a record as the stages do."""
    if not isinstance(key, CaseKey) or b"\n" in record.value:
        return None
    event = event_of(record, topic, key)
    return None if isinstance(event, Unreadable) else event


def is_sealed(record: Record | StoredRecord, topic: Topic) -> bool:
    """Tell whether everything about an event is right around its sealed data, as far as can be told without a key."""
    if subject_of(record.value) != record.key or b"\n" in record.value:
        return False
    seen = decode(record.value, topic, None)
    return (isinstance(seen, Event) or seen == Unreadable("not-sealed")) and _has_a_seal(record.value)


def _has_a_seal(event: bytes) -> bool:
    """Tell whether an event names a key and holds what can have been sealed under it: else words could stand there."""
    wire = orjson.loads(event)
    try:
        key, text = wire["keyid"], wire["data_base64"]
        sealed = a2b_base64(text, strict_mode=True)
    except (KeyError, ValueError):
        return False
    is_sealed_text = len(sealed) >= _SEAL and b2a_base64(sealed, newline=False).decode() == text
    return is_sealed_text and _KEY.fullmatch(key) is not None


def _is_a_line(value: bytes) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return b"\n" not in value
