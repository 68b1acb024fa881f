"""Putting a backup back into an empty home, and going on with that where it was broken off.

What makes a home of it, the founding of the log, is put back last: until then nobody can work there. What is there
already has to be part of the very same backup: a try was broken off, or the log is still there and its keys are lost.
"""

from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from contracts.topics import CASES, DEFINITIONS, PARTITIONS, Topic
from services.runtime.backup.archive import AT_ONCE, Backup, Item, Progress, chunked
from services.runtime.backup.copies import COPIES
from services.runtime.backup.making import (
    DIRECTORY,
    KEPT,
    KEYS,
    ROSTER,
    TOKENS,
    Holding,
    entry_in,
    part_of,
    person_in,
    roster_entries,
    sealed_persons,
    wrapped_keys,
)
from services.runtime.erasures import erasures_in, is_erasure, said_on
from services.runtime.keyring.master import MasterKey
from services.runtime.log.port import Journal, Record, StoredRecord, next_offset
from services.runtime.refusals import BackupUnusable, PlaceInUse
from services.runtime.roster.port import Entry
from services.runtime.store.port import Store

EMPTY: Final = (
    "a backup goes into an empty region: name other topics and another database by ONTRACK_KAFKA_PREFIX and "
    "ONTRACK_MONGODB_DATABASE, or empty this one by deleting its topics and its database"
)


def require_known(backup: Backup) -> None:
    """Make sure that this version knows everything that a backup holds. Raises BackupUnusable."""
    topics = {part_of(topic, partition) for topic in KEPT for partition in range(topic.partitions)}
    strange = sorted(backup.manifest.by_name.keys() - topics - {KEYS, DIRECTORY, ROSTER, TOKENS, COPIES})
    if strange:
        raise BackupUnusable(f"the backup holds {', '.join(strange)}, which this version does not know")
    _entries(backup)


def tokens_in(backup: Backup) -> bytes | None:
    """Give the file of tokens, if the backup has one."""
    return next((item.value for item in list(backup.items(TOKENS))), None)


async def require_idle(store: Store, stages: Iterable[str]) -> None:
    """Make sure that no stage has worked in a place. Raises PlaceInUse."""
    for stage in stages:
        if (
            await store.positions(stage, range(PARTITIONS))
            or await _is_any(store.cases(stage))
            or await store.halted(stage)
        ):
            raise PlaceInUse(f"{stage} has worked here already, and {EMPTY}")


async def require_part_of_it(backup: Backup, home: Holding) -> None:
    """Make sure that keys, directory and roster of a place are empty, or part of a backup. Raises PlaceInUse."""
    kept = {KEYS: wrapped_keys(home), DIRECTORY: sealed_persons(home), ROSTER: roster_entries(home)}
    for name, there in kept.items():
        # A key that is destroyed here and not there is that of a case that was erased since.
        if not await _is_within(there, backup.items(name), spares_empty=name == KEYS):
            raise PlaceInUse(f"the database has other {name} entries, and {EMPTY}")


async def require_same_log(backup: Backup, log: Journal, topics: Iterable[Topic]) -> None:
    """Make sure that some topics are empty, or the beginning of those of a backup, or that these are their beginning.

    Then only the database was lost, and the log needs nothing. Raises PlaceInUse.
    """
    ends = {topic: await log.ends(topic, range(topic.partitions)) for topic in topics}
    for topic in KEPT:
        for partition, end in ends.get(topic, {}).items():
            if end and not await _begin_alike(backup.items(part_of(topic, partition)), log, topic, partition):
                was = "it was founded already" if topic is DEFINITIONS else f"{topic.name} is not empty"
                raise PlaceInUse(f"{was}, and {EMPTY}")
    is_whole = all(ends.get(topic, {}).get(at, 0) >= _count(backup, topic, at) for topic, at in _places())
    for topic, partitions in ends.items():
        if not is_whole and any(end > _count(backup, topic, at) for at, end in partitions.items()):
            raise PlaceInUse(f"{topic.name} is not empty, and {EMPTY}")


async def is_as_in(backup: Backup, home: Holding) -> bool:
    """Tell whether a home holds what a backup does, and nothing more, but for cases that are erased in it."""
    for topic, partition in _places():
        if await home.log.end(topic, partition) != _count(backup, topic, partition):
            return False
        if not await _begin_alike(backup.items(part_of(topic, partition)), home.log, topic, partition):
            return False
    gone = {item.key async for item in wrapped_keys(home) if not item.value}
    kept = {KEYS: wrapped_keys(home), DIRECTORY: sealed_persons(home), ROSTER: roster_entries(home)}
    for name, there in kept.items():
        items = [item for item in backup.items(name) if item.key not in gone]
        if [item async for item in there if item.key not in gone] != items:
            return False
    return True


async def put_back(backup: Backup, home: Holding, master: MasterKey, progress: Progress) -> None:
    """Put everything back that is not there yet. Raises PlaceInUse if somebody else writes there.

    Of a case that was erased, as the log that is there says or that of the backup, neither key nor person comes back.

    progress: is told how many records were put back
    """
    erased = await _erased(backup, home, master)
    for chunk in chunked(backup.items(KEYS), AT_ONCE):
        keys = {item.key: None if item.key in erased else item.value or None for item in chunk}
        await home.keyring.put_back(keys)
    for chunk in chunked(backup.items(DIRECTORY), AT_ONCE):
        await home.people.put_back([person_in(item) for item in chunk if item.key not in erased])
    for entry in _entries(backup):
        await home.roster.put(entry)
    for topic, partition in _places():
        await _append_rest(backup, home.log, topic, partition, progress)


async def _erased(backup: Backup, home: Holding, master: MasterKey) -> Collection[str]:
    """Give the cases that were erased: as is said by whoever has their keys, if these are still there."""
    kept = (item for number in range(CASES.partitions) for item in backup.items(part_of(CASES, number)))
    said = [Record(item.key, item.value) for item in kept if is_erasure(item.value)]
    facts: list[Record | StoredRecord] = [*said, *await said_on(home.log)]
    cases = {fact.key for fact in facts}
    keys = {item.key: master.unwrap(item.value) for item in backup.items(KEYS) if item.key in cases and item.value}
    return erasures_in(facts, keys).keys()


async def _append_rest(backup: Backup, log: Journal, topic: Topic, partition: int, progress: Progress) -> None:
    """Append what a partition lacks, and make sure that nobody else has appended something."""
    there = await log.end(topic, partition)
    for chunk in chunked(islice(backup.items(part_of(topic, partition)), there, None), AT_ONCE):
        await log.append(topic, partition, [Record(item.key, item.value) for item in chunk])
        progress(len(chunk))
    if await log.end(topic, partition) != max(there, _count(backup, topic, partition)):
        raise PlaceInUse(f"somebody else writes to {topic.name}: find out who. Then {EMPTY}")


def _places() -> Iterator[tuple[Topic, int]]:
    return ((topic, partition) for topic in KEPT for partition in range(topic.partitions))


def _count(backup: Backup, topic: Topic, partition: int) -> int:
    """Count the records that a backup has of a partition."""
    part = backup.manifest.by_name.get(part_of(topic, partition))
    return 0 if part is None else part.items


def _entries(backup: Backup) -> list[Entry]:
    """Give the entries of the roster. Raises BackupUnusable."""
    try:
        return [entry_in(item) for item in backup.items(ROSTER)]
    except ValueError:
        raise BackupUnusable("the roster of the backup holds what this version does not know") from None


async def _is_within(there: AsyncIterable[Item], kept: Iterator[Item], *, spares_empty: bool) -> bool:
    """Tell whether some items are among others; both are in the same order.

    spares_empty: whether one that is empty need only have its key there
    """
    async for item in there:
        if spares_empty and not item.value:
            if all(each.key != item.key for each in kept):
                return False
        elif item not in kept:
            return False
    return True


async def _begin_alike(items: Iterator[Item], log: Journal, topic: Topic, partition: int) -> bool:
    """Tell whether what stands in a partition is the beginning of some items, or they are that of the partition."""
    offset = 0
    while records := await log.read(topic, partition, offset, AT_ONCE):
        kept = list(islice(items, len(records)))
        if [Item(record.key, record.value) for record in records[: len(kept)]] != kept:
            return False
        if len(kept) < len(records):
            return True
        offset = next_offset(records)
    return True


async def _is_any(items: AsyncIterator[str]) -> bool:
    async for _ in items:
        return True
    return False
