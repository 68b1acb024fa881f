"""The facts that could not be read: where each stands, and whether it can be read by now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contracts.codec import CaseKey, Unreadable, content_digest, decode
from contracts.events.event import Data, Event
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES, DEAD_LETTERS
from services.home import Home
from services.runtime.log.port import StoredRecord
from services.runtime.reading import chunks

Content = tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A fact that could not be read.

    record: as it stands on rom.cases.v1
    now: what it says now, or why it cannot be read
    is_taken: whether it stands on rom.cases.v1 at another place too, where it could be read
    """

    id: str
    at: FactUnreadable
    record: StoredRecord
    now: Event[Data] | Unreadable
    is_taken: bool = False

    @property
    def status(self) -> str:
        """How it stands with it, in a word."""
        if self.is_taken:
            return "redriven"
        return "readable" if isinstance(self.now, Event) else "unreadable"


async def letters_of(home: Home) -> list[Letter]:
    """Read the letters, each once, with the records that they are about."""
    found: dict[str, Letter] = {}
    for partition in range(DEAD_LETTERS.partitions):
        async for chunk in chunks(home.log, DEAD_LETTERS, partition):
            for event in (decode(record.value, DEAD_LETTERS, None) for record in chunk):
                if isinstance(event, Event) and isinstance(event.data, FactUnreadable) and event.id not in found:
                    found[event.id] = await _letter(home, event.id, event.data)
    every = list(found.values())
    taken = {each for partition in range(CASES.partitions) for each in await _taken_in(home, partition, every)}
    return [replace(letter, is_taken=_content(letter.now) in taken) for letter in every]


async def _letter(home: Home, identity: str, at: FactUnreadable) -> Letter:
    (record,) = await home.log.read(CASES, at.partition, at.offset, 1)
    key = (await home.keyring.keys([record.key])).get(record.key)
    now = decode(record.value, CASES, key) if isinstance(key, CaseKey) else Unreadable("not-an-event")
    if isinstance(now, Event) and now.subject != record.key:
        now = Unreadable("not-an-event")
    return Letter(identity, at, record, now)


async def _taken_in(home: Home, partition: int, letters: Sequence[Letter]) -> set[Content]:
    """Give what could be read in a partition of the cases of some letters, as far as it stands after the first."""
    aside = {letter.at.offset for letter in letters if letter.at.partition == partition}
    readable = [each for each in letters if each.at.partition == partition and isinstance(each.now, Event)]
    keys = await home.keyring.keys({letter.record.key for letter in readable})
    found: set[Content] = set()
    first = min((letter.at.offset for letter in readable), default=None)
    if first is not None:
        async for chunk in chunks(home.log, CASES, partition, first):
            for record in chunk:
                key = keys.get(record.key)
                if record.offset not in aside and isinstance(key, CaseKey):
                    found.add(_content(decode(record.value, CASES, key)))
    return found - {None}


def _content(read: Event[Data] | Unreadable) -> Content:
    """Name a fact with its content; None for what cannot be read."""
    return (read.id, content_digest(read)) if isinstance(read, Event) else None
