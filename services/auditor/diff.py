"""Two histories laid side by side: which events they do not share, and which sessions they judge otherwise.

An event is known by its id, which follows from its cause: so what was concluded from the same facts is the same event
in both. One that only has another number, because something was said before it, is counted and not listed. What is
sealed under another key and says the same is the same. What else stands under the id of an event, said otherwise, is a
repetition: the first one counts, and another that only one of the two has is listed as such.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from services.runtime.log.port import Log, StoredRecord
from services.runtime.reading import chunks

How = Literal["only-first", "only-second", "differs", "repeated-first", "repeated-second"]
Progress = Callable[[int], None]

COMPARED: Final = (DEFINITIONS, CASES, SCORES, TRACKS, NOTICES)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    log: Log
    keyring: Keyring


@dataclass(frozen=True, slots=True)
class Unshared:
    """An event that is not the same on both sides, or a repetition of one that only one side has.

    kind: its type; fields: those that say something else, on the other side or before the repetition
    """

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
    broken: or since a conclusion of them cannot be read, though their keys are here
    """

    shared: dict[str, int] = field(default_factory=lambda: dict.fromkeys((topic.name for topic in COMPARED), 0))
    renumbered: int = 0
    unshared: list[Unshared] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    sealed: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of an event. says: the digests of its bytes, but for its number: of the first, then of others."""

    case: str
    says: tuple[bytes, ...]
    number: int


@dataclass(frozen=True, slots=True)
class _Said:
    """What one record under the id of an event says. event: as far as it can be read; digest: as in `_Seen`."""

    digest: bytes
    event: Event[Data] | None

    def fields_unlike(self, other: "_Said") -> tuple[str, ...] | None:
        """Name the fields that say something else in another record, none if they cannot be read; None if none does."""
        if self.digest == other.digest:
            return None
        if self.event is None or other.event is None:
            return ()
        return tuple(each.path for each in differences(_plain(self.event), _plain(other.event))) or None


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
        case = (one.get(name) or other[name]).case
        found = list(_unshared(topic, case, name, *(events.get(name, []) for events in told)))
        compared.unshared += found
        compared.shared[topic.name] += not found
    if topic is TRACKS:
        cases = {each.case for each in compared.unshared}
        first, second = [await _judged(side, number, cases, compared) for side in sides]
        for place in sorted(first.keys() | second.keys()):
            if place[0] not in compared.sealed | compared.broken and first.get(place) != second.get(place):
                compared.judged.append(Judged(*place, first.get(place), second.get(place)))


async def _seen(side: Side, topic: Topic, number: int, progress: Progress) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    async for records in chunks(side.log, topic, number):
        progress(len(records))
        for record in records:
            name, (digest, number_of_case) = _name(record), _digest(record)
            before = found.get(name)
            if before is None:
                found[name] = _Seen(record.key, (digest,), number_of_case)
            elif digest not in before.says:
                found[name] = replace(before, says=(*before.says, digest))
    return found


def _digest(record: StoredRecord) -> tuple[bytes, int]:
    """Give the digest of a record but for its number, and that number; 0 if it has none."""
    end = tail(record.value)
    plain = record.value if end is None else renumbered(record.value, end, 0)
    return blake2b(plain, digest_size=16).digest(), 0 if end is None else end.sequence


async def _events(side: Side, topic: Topic, number: int, names: Collection[str]) -> Mapping[str, Sequence[_Said]]:
    """Give what the records of some names say, each that says something else once."""
    found: dict[str, dict[bytes, _Said]] = defaultdict(dict)
    async for record, event in _opened(side, topic, number, lambda record: _name(record) in names):
        digest, _ = _digest(record)
        found[_name(record)].setdefault(digest, _Said(digest, event if isinstance(event, Event) else None))
    return {name: list(said.values()) for name, said in found.items()}


def _unshared(topic: Topic, case: str, name: str, one: Sequence[_Said], other: Sequence[_Said]) -> Iterator[Unshared]:
    """Tell how an event is not the same on both sides; nothing if it is, but for its number and its seal."""
    kind = next((said.event.type for said in (*one, *other) if said.event is not None), "sealed")
    if not one or not other:
        yield Unshared("only-first" if one else "only-second", topic.name, case, name, kind)
    elif (fields := one[0].fields_unlike(other[0])) is not None:
        yield Unshared("differs", topic.name, case, name, kind, fields)
    sides: Sequence[tuple[How, Sequence[_Said], Sequence[_Said]]] = (
        ("repeated-first", one, other),
        ("repeated-second", other, one),
    )
    for how, here, there in sides:
        for said in here[1:]:
            if all(said.fields_unlike(each) is not None for each in there):
                fields = here[0].fields_unlike(said) or ()
                yield Unshared(how, topic.name, case, name, kind, fields)


def _plain(event: Event[Data]) -> object:
    return orjson.loads(encode(event._replace(sealed=None, sequence=None)))


async def _judged(
    side: Side, number: int, cases: Collection[str], compared: Compared
) -> Mapping[tuple[str, int], Status]:
    """Give how each session of some cases is judged in the end. compared: learns of which that cannot be read."""
    found: dict[tuple[str, int], Status] = {}
    met: set[str] = set()
    async for record, event in _opened(side, TRACKS, number, lambda record: record.key in cases):
        if (name := _name(record)) in met:
            continue
        met.add(name)
        if event is None:
            compared.sealed.add(record.key)
        elif isinstance(event, Unreadable):
            compared.broken.add(record.key)
        elif isinstance(event.data, Decision):
            found[record.key, event.data.session] = event.data.status
    return found


async def _opened(
    side: Side, topic: Topic, number: int, wanted: Callable[[StoredRecord], bool]
) -> AsyncIterator[tuple[StoredRecord, Event[Data] | Unreadable | None]]:
    """Give the wanted records of a partition, with what they say, as far as that can be read; None without a key."""
    keys = Keys(side.keyring)
    async for records in chunks(side.log, topic, number):
        some = [record for record in records if wanted(record)]
        known = await keys.of({record.key for record in some})
        for record in some:
            key = known.get(record.key)
            event = decode(record.value, topic, key if isinstance(key, CaseKey) else None)
            is_sealed = topic.of_cases and not isinstance(key, CaseKey) and isinstance(event, Unreadable)
            yield record, None if is_sealed else event


def _name(record: StoredRecord) -> str:
    return id_of(record.value) or f"offset {record.offset}"
