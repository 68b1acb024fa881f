"""What goes into a backup, and in which order it is read, so that it is whole although facts keep coming in.

First it is asked where the log ends, and what is recorded later is left out. What speaks of something else is asked for
before that, so that nothing is spoken of that is not there. Keys and directory are read afterwards: whoever records a
fact has written before which key it is sealed under, and who the case is.
"""

from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from contracts.codec import subject_of
from contracts.topics import ACCESS, CASES, DEAD_LETTERS, DEFINITIONS, SEALS, Topic
from services.runtime.backup.archive import AT_ONCE, Item, Progress, Writer
from services.runtime.backup.copies import COPIES
from services.runtime.directory.port import Directory, SealedPerson
from services.runtime.erasures import erasures_in, is_erasure
from services.runtime.keyring.port import Vault
from services.runtime.log.port import Journal, LogUnavailable, StoredRecord, next_offset
from services.runtime.roster.port import KINDS, Entry, Roster, kind_of

KEPT: Final = (SEALS, DEAD_LETTERS, ACCESS, CASES, DEFINITIONS)
"""The topics that do not follow from others: what speaks of facts before the facts, these before what they name.

A dead letter follows from its fact, unless that can be read by now, or its case was erased.
"""

KEYS: Final = "keys"
DIRECTORY: Final = "directory"
ROSTER: Final = "roster"
TOKENS: Final = "tokens"


class Holding(Protocol):
    """What of a home cannot be rebuilt."""

    @property
    def log(self) -> Journal:
        """The log."""

    @property
    def keyring(self) -> Vault:
        """The keys of its cases."""

    @property
    def people(self) -> Directory:
        """Who the cases are."""

    @property
    def roster(self) -> Roster:
        """Clinics, groups and therapists."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a backup begins. at: when that was; ends: where each partition of the log ended then."""

    at: datetime
    ends: Mapping[Topic, Mapping[int, int]]

    @property
    def records(self) -> int:
        """How many records go into it."""
        return sum(sum(ends.values()) for ends in self.ends.values())


class Written(NamedTuple):
    """What came out while a backup was written.

    keyless: the cases with facts and no key, so nobody will read these; destroyed: those whose key was destroyed
    """

    keyless: Sequence[str]
    destroyed: Sequence[str]


async def begin(home: Holding, at: datetime) -> Beginning:
    """Ask where the log ends. Whatever was recorded before this is called goes into the backup."""
    return Beginning(at, {topic: await home.log.ends(topic, range(topic.partitions)) for topic in KEPT})


async def write(
    home: Holding,
    beginning: Beginning,
    tokens: bytes | None,
    into: Writer,
    progress: Progress,
    copies: Sequence[Item] | None = None,
) -> Written:
    """Write every part of a backup.

    Raises MasterKeyUnusable if a key was wrapped by another master key, or what the ports raise.

    tokens: the file of tokens, if there is one
    progress: is told how many records were written
    copies: which copies the home knows, sealed; None if that cannot be told
    """
    keyless: set[str] = set()
    said: list[StoredRecord] = []
    destroyed: list[str] = []
    for topic, ends in beginning.ends.items():
        for partition, end in ends.items():
            if end:
                records = _records(home.log, topic, partition, end)
                seen = _seen(records, said) if topic is CASES else records
                checked = _checked(home.keyring, seen, keyless) if topic.of_cases else seen
                await into.add(part_of(topic, partition), _items(checked, progress))
    erased = erasures_in(said, await home.keyring.keys({record.key for record in said}))
    await into.add(KEYS, _chunks(_noting(_without_keys(wrapped_keys(home), erased), destroyed)))
    await into.add(DIRECTORY, _chunks(_without(sealed_persons(home), erased)))
    await into.add(ROSTER, _chunks(roster_entries(home)))
    if tokens is not None:
        await into.add(TOKENS, _chunks(_each([Item(TOKENS, tokens)])))
    if copies is not None:
        await into.add(COPIES, _chunks(_each(copies)))
    return Written(sorted(keyless), destroyed)


def part_of(topic: Topic, partition: int) -> str:
    """Name the part that holds a partition."""
    return f"{topic.name}/{partition}"


async def wrapped_keys(home: Holding) -> AsyncIterator[Item]:
    """Give the key of every case, by case, as it stands in a backup: one that was destroyed is empty."""
    async for case_id, wrapped in home.keyring.wrapped():
        yield Item(case_id, wrapped or b"")


async def _noting(keys: AsyncIterable[Item], destroyed: list[str]) -> AsyncIterator[Item]:
    """Note the cases whose key was destroyed."""
    async for item in keys:
        if not item.value:
            destroyed.append(item.key)
        yield item


async def _without_keys(keys: AsyncIterable[Item], erased: Collection[str]) -> AsyncIterator[Item]:
    """Give keys; those of erased cases as destroyed, also where erasing them was broken off before that was done."""
    async for item in keys:
        yield item._replace(value=b"") if item.key in erased else item


async def _without(items: AsyncIterable[Item], erased: Collection[str]) -> AsyncIterator[Item]:
    """Give the items but for those of erased cases."""
    async for item in items:
        if item.key not in erased:
            yield item


async def sealed_persons(home: Holding) -> AsyncIterator[Item]:
    """Give everybody in the directory, by case, as they stand in a backup."""
    async for person in home.people.sealed():
        yield Item(person.case_id, person.name.encode() + b"\n" + person.sealed)


def person_in(item: Item) -> SealedPerson:
    """Give whom an item of the directory is about."""
    name, _, sealed = item.value.partition(b"\n")
    return SealedPerson(item.key, name.decode(), sealed)


async def roster_entries(home: Holding) -> AsyncIterator[Item]:
    """Give every entry of the roster, as it stands in a backup."""
    for kind in KINDS:
        for entry in await home.roster.all(kind):
            yield Item(kind_of(kind), entry.model_dump_json().encode())


def entry_in(item: Item) -> Entry:
    """Give the entry of the roster that an item is. Raises ValueError."""
    kinds = {kind_of(kind): kind for kind in KINDS}
    if item.key not in kinds:
        raise ValueError
    return kinds[item.key].model_validate_json(item.value)


async def _records(log: Journal, topic: Topic, partition: int, end: int) -> AsyncIterator[Sequence[StoredRecord]]:
    """Read a partition as far as it reached when the backup began."""
    offset = 0
    while offset < end:
        records = await log.read(topic, partition, offset, min(AT_ONCE, end - offset))
        if not records:
            raise LogUnavailable(f"{topic.name} ends before its end in partition {partition}")
        yield records
        offset = next_offset(records)


async def _seen(
    chunks: AsyncIterable[Sequence[StoredRecord]], said: list[StoredRecord]
) -> AsyncIterator[Sequence[StoredRecord]]:
    """Note the facts that seem to say that their case was erased."""
    async for records in chunks:
        said += [record for record in records if is_erasure(record.value)]
        yield records


async def _checked(
    keyring: Vault, chunks: AsyncIterable[Sequence[StoredRecord]], keyless: set[str]
) -> AsyncIterator[Sequence[StoredRecord]]:
    """Note the cases that have no key; a record that is of no case needs none."""
    async for records in chunks:
        keys = await keyring.keys({record.key for record in records})
        without = (record for record in records if record.key not in keys)
        keyless |= {record.key for record in without if subject_of(record.value) == record.key}
        yield records


async def _items(chunks: AsyncIterable[Sequence[StoredRecord]], progress: Progress) -> AsyncIterator[Iterable[Item]]:
    async for records in chunks:
        yield [Item(record.key, record.value) for record in records]
        progress(len(records))


async def _chunks(items: AsyncIterable[Item]) -> AsyncIterator[Sequence[Item]]:
    """Give items some at a time."""
    chunk: list[Item] = []
    async for item in items:
        chunk.append(item)
        if len(chunk) == AT_ONCE:
            yield chunk
            chunk = []
    yield chunk


async def _each(items: Iterable[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item
