"""What can be seen of the definitions on a log beside what each of them says, and what stands where nothing is said."""

from collections.abc import AsyncIterator
from typing import Final

from contracts.codec import decode, id_of, is_canonical
from contracts.definitions.definition import without_hash
from contracts.events.event import Event
from contracts.events.publications import DefinitionPublished
from contracts.topics import DEFINITIONS, SEALS, TOPICS
from services.auditor.domain.facts import not_canonical
from services.auditor.domain.findings import Finding, Place
from services.runtime.log.port import Log, after
from services.runtime.reading import chunks

_AT_ONCE: Final = 1_000
_IN_ONE_PARTITION: Final = (DEFINITIONS, SEALS)
"""The topics of which all stands in the first partition, since it is said of the log, in one order."""


async def of_definitions(log: Log) -> AsyncIterator[Finding]:
    """Find holes among the definitions of a log, two that bear one name and version, and what is none of them.

    Raises Unavailable.
    """
    refs: dict[str, str] = {}
    expected = 0
    while records := await log.read(DEFINITIONS, 0, expected, _AT_ONCE):
        for record in records:
            place = Place(DEFINITIONS.name, 0, record.offset, id_of(record.value))
            if record.offset > expected:
                yield Finding("gap", place, f"offset {expected} was expected before offset {record.offset}")
            expected = after(record.offset)
            event = decode(record.value, DEFINITIONS, None)
            if isinstance(event, Event) and not is_canonical(record.value):
                yield not_canonical(place)
            if isinstance(event, Event) and isinstance(event.data, DefinitionPublished):
                ref = event.data.ref
                short = without_hash(ref)
                if (first := refs.setdefault(short, ref)) != ref:
                    yield Finding("definition-ambiguous", place, f"one {short} was expected; {first} stands before it")


async def where_nothing_is_said(log: Log) -> AsyncIterator[Finding]:
    """Find records where nobody writes and nobody reads: whoever puts one there could say anything in it.

    Raises Unavailable.
    """
    for topic in TOPICS.values():
        first = 0 if not topic.events else 1 if topic in _IN_ONE_PARTITION else topic.partitions
        for number in range(first, topic.partitions):
            async for records in chunks(log, topic, number):
                for record in records:
                    place = Place(topic.name, number, record.offset, id_of(record.value))
                    yield Finding("unreadable", place, "nothing was expected here, since nobody reads it")
