"""Which cases the log says were erased. It says so in the open: all else of them is sealed for ever."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.codec import CaseKey, decode, ending
from contracts.events.event import Event
from contracts.events.facts import CaseErased
from contracts.topics import CASES
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, Record, StoredRecord
from services.runtime.reading import chunks

_ENDING: Final = ending(CaseErased)


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a case was erased: when, on what ground, and by whom."""

    at: datetime
    ground: str
    by: str


def is_erasure(value: bytes) -> bool:
    """Tell whether a record seems to say that its case was erased."""
    return value.endswith(_ENDING)


def erasures_in(facts: Iterable[Record | StoredRecord], keys: Mapping[str, CaseKey | Destroyed]) -> dict[str, Erasure]:
    """Give the cases of which facts say that they were erased. What was said by nobody who had the key does not count.

    keys: of the cases. Without one what stands open is believed: nobody can look at the seal any more
    """
    found: dict[str, Erasure] = {}
    for fact in facts:
        key = keys.get(fact.key)
        event = decode(fact.value, CASES, key if isinstance(key, CaseKey) else None)
        if isinstance(event, Event) and event.subject == fact.key and isinstance(event.data, CaseErased):
            found.setdefault(fact.key, Erasure(event.time, event.data.ground, event.data.by))
    return found


async def said_on(log: Log, partitions: Iterable[int] = range(CASES.partitions)) -> list[StoredRecord]:
    """Give the facts of a log that seem to say that their case was erased. Raises Unavailable."""
    found: list[StoredRecord] = []
    for partition in partitions:
        async for records in chunks(log, CASES, partition):
            found += [record for record in records if is_erasure(record.value)]
    return found


async def erasures(
    log: Log, keyring: Keyring, partitions: Iterable[int] = range(CASES.partitions)
) -> dict[str, Erasure]:
    """Give the cases of which a log says that they were erased. Raises Unavailable."""
    said = await said_on(log, partitions)
    return erasures_in(said, await keyring.keys({record.key for record in said}))
