"""A log of which only a part is read."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from contracts.codec import CaseKey, ending
from contracts.events.event import Event
from contracts.events.facts import CaseEnrolled, CaseTransferred
from contracts.topics import CASES, DEFINITIONS, NOTICES, PARTITIONS, SCORES, TRACKS, Topic
from services.auditor.domain.narrowing import Outside, Part, Then, group_of
from services.auditor.fold import Keys
from services.runtime.log.port import Log, Record, StoredRecord, next_offset
from services.runtime.reading import chunks, event_of

DERIVED: Final = (SCORES, TRACKS, NOTICES)
"""The topics of what was concluded, as they follow from one another."""

_GROUPED: Final = (ending(CaseEnrolled), ending(CaseTransferred))


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A log as if nothing but a part of it stood there, at the offsets where it stands.

    Fewer records than were asked for can be read before the end too. What is not about cases is there whichever cases
    are in it: definitions as far as they were recorded by then, and all dead letters, since these bear no such moment.
    """

    log: Log
    part: Part

    @property
    def is_read_here(self) -> bool:
        """Whether the event of a record is worth keeping."""
        return self.log.is_read_here

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:  # noqa: ARG002 - the port's
        """Refuse: a part of a history is only read."""
        raise TypeError("a part of a history is only read")

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Read at most `limit` records from `offset` on; none only at the end."""
        while records := await self.log.read(topic, partition, offset, limit):
            if found := [record for record in records if self._has(topic, record)]:
                return found
            offset = next_offset(records)
        return ()

    async def end(self, topic: Topic, partition: int) -> int:
        """Give the offset that the next record will have."""
        return await self.log.end(topic, partition)

    def _has(self, topic: Topic, record: StoredRecord) -> bool:
        """Tell whether a record is in the part; what says nothing of when it was recorded has always been there."""
        part = self.part if topic.of_cases else Part(until=self.part.until if topic is DEFINITIONS else None)
        if part.until is None or not part.has_case(record.key):
            return part.has_case(record.key)
        outside = _outside(topic, record)
        return outside is None or part.has(topic, outside)


@dataclass(frozen=True, slots=True)
class Known:
    """What the facts of all cases say of a history.

    part: what was known at the moment that was asked about
    groups: enrolled case -> the groups that it had been in by then, in order
    sealed: the cases of which nobody knows that here: their key is destroyed, or elsewhere
    """

    part: Part
    groups: Mapping[str, Sequence[str]]
    sealed: frozenset[str]

    def of_group(self, group: str) -> frozenset[str]:
        """Give the cases that had been in a group."""
        return frozenset(case_id for case_id, groups in self.groups.items() if group in groups)


async def known(log: Log, keys: Keys, until: datetime | None, progress: Callable[[int], None]) -> Known:
    """Read the facts of all cases, for what was known at a moment, and what was concluded from them by then.

    progress: is told how many records were read
    """
    groups = defaultdict[str, list[str]](list)
    overtaken, ends, sealed = set[str](), dict[tuple[str, str], int](), set[str]()
    for number in range(PARTITIONS):
        then = None if until is None else Then(until)
        async for records in chunks(log, CASES, number):
            in_time = [record for record in records if then is None or _knew(then, CASES, record)]
            some = [record for record in in_time if record.value.endswith(_GROUPED)]
            at_hand = await keys.of(dict.fromkeys(record.key for record in some))
            for record in some:
                key = at_hand.get(record.key)
                event = event_of(record, CASES, key) if isinstance(key, CaseKey) else None
                group = group_of(event) if isinstance(event, Event) else None
                if isinstance(event, Event):
                    groups[record.key] += [] if group is None else [group]
                elif not isinstance(key, CaseKey):
                    sealed.add(record.key)
            progress(len(records))
        if then is not None:
            await _see_conclusions(log, number, then, progress)
            overtaken |= then.overtaken
            ends |= then.ends
    return Known(Part(None, until, frozenset(overtaken), ends), groups, frozenset(sealed))


async def _see_conclusions(log: Log, number: int, then: Then, progress: Callable[[int], None]) -> None:
    """See which conclusions of a partition had been drawn by a moment."""
    for topic in DERIVED:
        async for records in chunks(log, topic, number):
            for record in records:
                _knew(then, topic, record)
            progress(len(records))


def _knew(then: Then, topic: Topic, record: StoredRecord) -> bool:
    outside = _outside(topic, record)
    return outside is None or then.knew(topic, outside)


def _outside(topic: Topic, record: StoredRecord) -> Outside | None:
    """Look at the outside of a record; None if it does not say what it is."""
    try:
        wire = orjson.loads(record.value)
        place = int(wire["sequence"]) if topic in DERIVED else record.offset
        event_id, fact, recorded, cause = (
            wire["id"],
            wire["correlationid"],
            wire["recordedtime"],
            wire.get("causationid"),
        )
    except (ValueError, TypeError, KeyError):
        return None
    if all(isinstance(text, str) for text in (event_id, fact, recorded, cause or "")):
        return Outside(record.key, place, event_id, fact, cause, recorded)
    return None
