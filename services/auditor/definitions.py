"""What can be seen of the definitions on a log beside what each of them says."""

from collections.abc import AsyncIterator
from typing import Final

from contracts.codec import decode, id_of
from contracts.events.event import Event
from contracts.events.publications import DefinitionPublished
from contracts.topics import DEFINITIONS
from services.auditor.domain.findings import Finding, Place
from services.runtime.log.port import Log, after

_AT_ONCE: Final = 1_000


async def of_definitions(log: Log) -> AsyncIterator[Finding]:
    """Find holes among the definitions of a log, and two that bear one name and version. Raises Unavailable."""
    refs: dict[str, str] = {}
    expected = 0
    while records := await log.read(DEFINITIONS, 0, expected, _AT_ONCE):
        for record in records:
            place = Place(DEFINITIONS.name, 0, record.offset, id_of(record.value))
            if record.offset > expected:
                yield Finding("gap", place, f"offset {expected} was expected before offset {record.offset}")
            expected = after(record.offset)
            event = decode(record.value, DEFINITIONS, None)
            if isinstance(event, Event) and isinstance(event.data, DefinitionPublished):
                ref = event.data.ref
                short = ref.partition("#")[0]
                if (first := refs.setdefault(short, ref)) != ref:
                    yield Finding("definition-ambiguous", place, f"one {short} was expected; {first} stands before it")
