"""Importing an exported log: facts and definitions go in, the rest is derived again and compared."""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import orjson

from contracts.codec import Unreadable, decode, encode, id_of, subject_of
from contracts.events.event import Data, Event
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TRACKS, Topic
from services.cli.case_keys import Keys, but_erased, keys_in, lines_of, persons_in, take_keys
from services.cli.export import DIRECTORY
from services.cli.home import FINDING, Failure
from services.cli.interruption import heed
from services.cli.output import counted
from services.cli.place import Region, opened, settled
from services.cli.workplace import moved, require_empty, workplace
from services.cli.zone import clinic_zone
from services.embedded import EmbeddedHome
from services.home import Home
from services.runtime.erasures import is_erasure
from services.runtime.export import Exported, exported, is_sealed
from services.runtime.founding import log_id_of
from services.runtime.keyring.port import Destroyed
from services.runtime.log.port import Record
from services.runtime.reading import chunks

_DERIVED: Final = (SCORES, TRACKS, NOTICES)
_AT_ONCE: Final = 5_000
_EXAMPLES: Final = 10


class Given(NamedTuple):
    """What there is to open an export. keys: of its cases; has_file: whether a file of keys was named."""

    keys: Keys
    has_file: bool


@dataclass(slots=True)
class Compared:
    """How a derived topic of an export compares with what was derived again.

    erased: events of erased cases, which nobody can derive again
    examples: some of the events that are not the same, in words
    """

    topic: str
    equal: int = 0
    erased: int = 0
    other: int = 0
    only_exported: int = 0
    only_derived: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything is not the same."""
        return bool(self.other or self.only_exported or self.only_derived)

    def name(self, how: str, event_id: str, kind: str, case_id: str) -> None:
        """Keep an event that is not the same as an example, if there are few yet."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{how}: event {event_id}, {kind} of case {case_id}")


@dataclass(slots=True)
class Imported:
    """What an import of a log found.

    erased: cases that were erased; erased_facts: how many of the facts are theirs
    there: how many of the facts were there already
    """

    facts: int = 0
    there: int = 0
    erased: int = 0
    erased_facts: int = 0
    compared: list[Compared] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    dry_run: bool = False

    @property
    def differs(self) -> bool:
        """Whether anything that was derived again is not what was exported, or part of that is not there."""
        return any(topic.differs for topic in self.compared) or bool(self.compared and self.absent)

    def told(self) -> Iterator[str]:
        """Tell it in lines."""
        if self.differs:
            yield f"{self.facts:,} facts were read."
        else:
            yield f"{self.facts:,} facts {'would be' if self.dry_run else 'were'} taken."
        if self.there:
            yield f"{self.there:,} of them were there already."
        if self.erased:
            not_compared = counted(sum(topic.erased for topic in self.compared), "derived event")
            yield (
                f"{counted(self.erased, 'case')} erased: {counted(self.erased_facts, 'fact')} taken over sealed, "
                f"{not_compared} not compared"
            )
        for name in self.absent:
            yield f"{name}: not in the export, so it was derived and not compared"
        for topic in self.compared:
            if topic.differs:
                yield (
                    f"{topic.topic}: {topic.equal:,} events are equal, {topic.other:,} differ, "
                    f"{topic.only_exported:,} are only in the export, {topic.only_derived:,} only derived here"
                )
                yield from (f"  {example}" for example in topic.examples)
            else:
                yield f"{topic.topic}: {topic.equal:,} events derived again, all equal"


async def import_log(
    source: Path, directory: Path, keys: Path | None, advance: Callable[[int], None], *, dry_run: bool
) -> Imported:
    """Import the exported log in `source` into an empty home, unless what is derived differs. Raises Failure."""
    founding, facts = founding_of(source), source / f"{CASES.name}.ndjson"
    if not facts.exists():
        raise Failure(f"{facts}: this file was expected in an exported log")
    require_empty(directory)
    given = _given(facts, keys)
    persons = persons_in(source / DIRECTORY) | persons_in(keys)
    erased = sum(1 for key in given.keys.values() if key is Destroyed.DESTROYED)
    imported = Imported(erased=erased, dry_run=dry_run)
    for fact in _facts(facts, given):
        imported.facts += 1
        imported.erased_facts += isinstance(fact, Record)
    with workplace(directory, dry_run=dry_run) as work:
        async with await EmbeddedHome.found(work, founding=founding, zone=clinic_zone()) as home:
            await take_keys(home.keyring, given.keys)
            await _take(home, facts, given, advance)
            await home.people.enter(persons)
            for topic in _DERIVED:
                file = source / f"{topic.name}.ndjson"
                if file.exists():
                    imported.compared.append(await _compare(home, topic, file, given))
                else:
                    imported.absent.append(topic.name)
        if not imported.differs and not dry_run:
            moved(work, directory)
    return imported


async def import_log_into(
    region: Region,
    source: Path,
    keys: Path | None,
    advance: Callable[[int], None],
    *,
    dry_run: bool,
    named: Path | None = None,
) -> Imported:
    """Import an exported log into a region that was provisioned for it, unless what is derived differs.

    It is derived and compared in a directory first; then the facts go to the region, whose services derive the rest.
    Those that are there already, because an import was broken off, are not taken again. Raises Failure.

    named: what the log was named by, if that is a file that it was taken from
    """
    founding = founding_of(source)
    async with await opened(region, write=True) as home:
        if home.log_id != log_id_of(founding):
            raise Failure(
                "the region goes on under another log's identity; provision an empty one with ontrack provision --log "
                f"{named or source}"
            )
        facts = source / f"{CASES.name}.ndjson"
        given = _given(facts, keys)
        there = await _ids_of_facts(home)
        if not there <= {_id(fact) for fact in _facts(facts, given)}:
            raise Failure("the region holds other facts already; an exported log goes into an empty one")
        with TemporaryDirectory(prefix="ontrack-import-") as temporary:
            imported = await import_log(source, Path(temporary), keys, advance, dry_run=True)
        imported.dry_run, imported.there = dry_run, len(there)
        if imported.differs or dry_run:
            return imported
        await take_keys(home.keyring, given.keys)
        await _take(home, facts, given, lambda _: None, there)
        await home.people.enter(persons_in(source / DIRECTORY) | persons_in(keys))
        await settled(home)
    return imported


def _given(facts: Path, keys: Path | None) -> Given:
    """Read the keys of an export; of a case that its facts say was erased, there is none, whoever has kept it."""
    said = (line for _, line in lines_of(facts) if is_erasure(line))
    known = but_erased(keys_in(keys), (Record(subject_of(line) or "", line) for line in said))
    return Given(known, has_file=keys is not None)


async def _ids_of_facts(home: Home) -> set[str]:
    """Give the ids of the facts that a home holds."""
    found = set()
    for partition in range(CASES.partitions):
        async for chunk in chunks(home.log, CASES, partition):
            found |= {_id(Record(record.key, record.value)) for record in chunk}
    return found


def _id(fact: Event[Data] | Record) -> str:
    """Give the id of a fact, opened or sealed; empty if it has none."""
    return fact.id if isinstance(fact, Event) else id_of(fact.value) or ""


def founding_of(source: Path) -> list[bytes]:
    """Read what an exported log says of itself. Raises Failure."""
    file = source / f"{DEFINITIONS.name}.ndjson"
    if not file.exists():
        raise Failure(f"{file}: this file was expected in an exported log")
    founding = [_checked(file, number, line) for number, line in lines_of(file)]
    if not founding:
        raise Failure(f"{file}: line 1: an event was expected", FINDING)
    return founding


async def _take(
    home: Home, file: Path, given: Given, advance: Callable[[int], None], there: Collection[str] = ()
) -> None:
    """Record the facts of a file, but those that are there already."""
    waiting: list[Event[Data] | Record] = []
    for event in _facts(file, given):
        if _id(event) in there:
            continue
        waiting.append(event)
        if len(waiting) >= _AT_ONCE:
            await home.intake.take_over(waiting)
            await home.catch_up(lambda _: heed())
            advance(len(waiting))
            waiting.clear()
    await home.intake.take_over(waiting)
    await home.catch_up()
    advance(len(waiting))


def _checked(file: Path, number: int, line: bytes) -> bytes:
    event = decode(line, DEFINITIONS, None)
    if isinstance(event, Unreadable):
        raise Failure(f"{file}: line {number}: an event of {DEFINITIONS.name} was expected ({event.reason})", FINDING)
    return line


def _facts(file: Path, given: Given) -> Iterator[Event[Data] | Record]:
    for number, line in lines_of(file):
        yield _event(file, number, line, CASES, given)


def _event(file: Path, number: int, line: bytes, topic: Topic, given: Given) -> Event[Data] | Record:
    """Read a line of an export, sealed or opened; one of an erased case stays a record."""
    where = f"{file}: line {number}"
    try:
        wire = orjson.loads(line)
        sealed, subject = "data_base64" in wire, wire["subject"]
        key = given.keys.get(subject)
    except (ValueError, TypeError, KeyError):
        raise Failure(f"{where}: an event was expected", FINDING) from None
    if isinstance(key, Destroyed):
        record = Record(subject, line)
        if sealed and is_sealed(record, topic):
            return record
        raise Failure(f"{where}: a sealed event of {topic.name} was expected, because its case was erased", FINDING)
    if sealed and key is None and given.has_file:
        raise Failure(f"{where}: the data is sealed, and the file of keys has no key of case {subject}", FINDING)
    if sealed and key is None:
        raise Failure(f"{where}: the data is sealed; name the file with the keys: --keys FILE")
    event = decode(line, topic, key if sealed else None)
    if isinstance(event, Unreadable):
        raise Failure(f"{where}: an event of {topic.name} was expected ({event.reason})", FINDING)
    return event


async def _compare(home: Home, topic: Topic, file: Path, given: Given) -> Compared:
    """Compare a derived topic event by event; what is repeated counts once."""
    seen = sqlite3.connect("")
    seen.execute(
        "CREATE TABLE events (subject TEXT, sequence INTEGER, digest BLOB, id TEXT, kind TEXT,"
        " PRIMARY KEY (subject, sequence))"
    )
    compared = Compared(topic.name)
    for number, line in lines_of(file):
        event = _event(file, number, line, topic, given)
        if isinstance(event, Record):
            compared.erased += 1
            continue
        row = (event.subject, event.sequence, _digest(encode(event._replace(sealed=None))), event.id, event.type)
        held = seen.execute("SELECT digest FROM events WHERE subject = ? AND sequence = ?", row[:2]).fetchone()
        if held is None:
            seen.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", row)
        elif held[0] != row[2]:
            compared.other += 1
            compared.name("differs", event.id, event.type, event.subject)
    async for line in exported(home.log, home.keyring, topic, Exported(), reveal=True):
        heed()
        wire = orjson.loads(line)
        place = (wire["subject"], int(wire["sequence"]))
        found = seen.execute("SELECT digest FROM events WHERE subject = ? AND sequence = ?", place).fetchone()
        if found is None:
            compared.only_derived += 1
            compared.name("only derived here", wire["id"], wire["type"], wire["subject"])
        elif found[0] == _digest(line):
            compared.equal += 1
        else:
            compared.other += 1
            compared.name("differs", wire["id"], wire["type"], wire["subject"])
        seen.execute("DELETE FROM events WHERE subject = ? AND sequence = ?", place)
    compared.only_exported = seen.execute("SELECT count(*) FROM events").fetchone()[0]
    for named in seen.execute("SELECT id, kind, subject FROM events LIMIT ?", (_EXAMPLES,)):
        compared.name("only in the export", *named)
    seen.close()
    return compared


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()
