"""Two histories laid side by side: which events they do not share, and which sessions they judge otherwise.

An event is known by its id, which follows from its cause: so what was concluded from the same facts is the same event
in both. One that only has another number, because something was said before it, is counted and not listed. What is
sealed under another key and says the same is the same.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal

import orjson

from contracts.codec import CaseKey, Unreadable, decode, encode, id_of, renumbered, tail
from contracts.events.event import Data, Event
from contracts.events.tracks import Decision, Status
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TRACKS, Topic
from services.auditor.domain.findings import differences
from services.auditor.fold import Keys
from services.runtime.keyring.port import Keyring
from services.runtime.log.port import Log, StoredRecord, next_offset

How = Literal["only-first", "only-second", "differs"]
Progress = Callable[[int], None]

COMPARED: Final = (DEFINITIONS, CASES, SCORES, TRACKS, NOTICES)
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    log: Log
    keyring: Keyring


@dataclass(frozen=True, slots=True)
class Unshared:
    """An event that is not the same on both sides. kind: its type; fields: those that say something else."""

    how: How
    topic: str
    case: str
    event: str
    kind: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A session that is judged otherwise; None: not judged there."""

    case: str
    session: int
    first: Status | None
    second: Status | None


@dataclass(slots=True)
class Compared:
    """How two histories compare.

    shared: topic -> how many events are the same; renumbered: how many of them have another number
    sealed: cases whose events differ and whose sessions cannot be compared, since a key of them is not here
    """

    shared: dict[str, int] = field(default_factory=lambda: dict.fromkeys((topic.name for topic in COMPARED), 0))
    renumbered: int = 0
    unshared: list[Unshared] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    sealed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of an event. says: the digest of its bytes, but for its number."""

    case: str
    says: bytes
    number: int


async def compare(first: Side, second: Side, progress: Progress, *, of_cases_alone: bool = False) -> Compared:
    """Compare two histories. Raises Unavailable.

    progress: is told how many records were read; of_cases_alone: whether definitions are left out
    """
    compared = Compared()
    for topic in [topic for topic in COMPARED if topic.of_cases or not of_cases_alone]:
        for number in range(topic.partitions):
            await _compare_partition(topic, number, (first, second), compared, progress)
    return compared


async def _compare_partition(
    topic: Topic, number: int, sides: tuple[Side, Side], compared: Compared, progress: Progress
) -> None:
    one, other = [await _seen(side, topic, number, progress) for side in sides]
    both = one.keys() & other.keys()
    unlike = {name for name in both if one[name].says != other[name].says} | (one.keys() ^ other.keys())
    compared.shared[topic.name] += len(both - unlike)
    compared.renumbered += sum(one[name].number != other[name].number for name in both - unlike)
    if not unlike:
        return
    told = [await _events(side, topic, number, unlike) for side in sides]
    for name in sorted(unlike):
        seen = one.get(name), other.get(name)
        found = _unshared(topic, name, seen, [events.get(name) for events in told])
        if found is None:
            compared.shared[topic.name] += 1
        else:
            compared.unshared.append(found)
    if topic is TRACKS:
        cases = {each.case for each in compared.unshared}
        first, second = [await _judged(side, number, cases, compared.sealed) for side in sides]
        for place in sorted(first.keys() | second.keys()):
            if place[0] not in compared.sealed and first.get(place) != second.get(place):
                compared.judged.append(Judged(*place, first.get(place), second.get(place)))


async def _seen(side: Side, topic: Topic, number: int, progress: Progress) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    async for records in _some(side, topic, number):
        progress(len(records))
        for record in records:
            end = tail(record.value)
            plain = record.value if end is None else renumbered(record.value, end, 0)
            seen = _Seen(record.key, blake2b(plain, digest_size=16).digest(), 0 if end is None else end.sequence)
            found.setdefault(_name(record), seen)
    return found


async def _events(side: Side, topic: Topic, number: int, names: Collection[str]) -> Mapping[str, Event[Data] | None]:
    """Give what the first records of some names say, as far as that can be read."""
    found: dict[str, Event[Data] | None] = {}
    async for record, event in _opened(side, topic, number, lambda record: _name(record) in names):
        found.setdefault(_name(record), event)
    return found


def _unshared(
    topic: Topic, name: str, seen: Sequence[_Seen | None], events: Sequence[Event[Data] | None]
) -> Unshared | None:
    """Tell how an event is not the same; None if it is, but for its number and its seal."""
    kind = next((event.type for event in events if event is not None), "sealed")
    case = next(each.case for each in seen if each is not None)
    if None in seen:
        return Unshared("only-second" if seen[0] is None else "only-first", topic.name, case, name, kind)
    plain = [_plain(event) for event in events if event is not None]
    if len(plain) < len(events):
        return Unshared("differs", topic.name, case, name, kind)
    fields = tuple(each.path for each in differences(plain[0], plain[1]))
    return Unshared("differs", topic.name, case, name, kind, fields) if fields else None


def _plain(event: Event[Data]) -> object:
    return orjson.loads(encode(event._replace(sealed=None, sequence=None)))


async def _judged(
    side: Side, number: int, cases: Collection[str], sealed: set[str]
) -> Mapping[tuple[str, int], Status]:
    """Give how each session of some cases is judged in the end. sealed: learns of which cases that cannot be read."""
    found: dict[tuple[str, int], Status] = {}
    async for record, event in _opened(side, TRACKS, number, lambda record: record.key in cases):
        if event is None:
            sealed.add(record.key)
        elif isinstance(event.data, Decision):
            found[record.key, event.data.session] = event.data.status
    return found


async def _opened(
    side: Side, topic: Topic, number: int, wanted: Callable[[StoredRecord], bool]
) -> AsyncIterator[tuple[StoredRecord, Event[Data] | None]]:
    """Give the wanted records of a partition, with what they say, as far as that can be read."""
    keys = Keys(side.keyring)
    async for records in _some(side, topic, number):
        some = [record for record in records if wanted(record)]
        known = await keys.of({record.key for record in some})
        for record in some:
            key = known.get(record.key)
            event = decode(record.value, topic, key if isinstance(key, CaseKey) else None)
            yield record, None if isinstance(event, Unreadable) else event


async def _some(side: Side, topic: Topic, number: int) -> AsyncIterator[Sequence[StoredRecord]]:
    offset = 0
    while records := await side.log.read(topic, number, offset, _AT_ONCE):
        offset = next_offset(records)
        yield records


def _name(record: StoredRecord) -> str:
    return id_of(record.value) or f"offset {record.offset}"
