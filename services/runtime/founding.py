"""What a log says of itself on `rom.definitions.v1`: who it is, and the definitions that its facts may name."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from contracts.codec import decode, encode, id_of
from contracts.definitions.catalogue import Catalogue, Entry, entry_of
from contracts.events.event import FACT_ID, Data, Event, name_based_id
from contracts.events.publications import DefinitionPublished, LogFounded
from contracts.topics import DEFINITIONS
from services.runtime.log.port import Log, Record, next_offset
from services.runtime.refusals import DefinitionUnfit, NotAHome

_AT_ONCE: Final = 1_000


class Founding:
    """What is known of a log so far; `learn` makes it all that the log says.

    learned: how many records that is
    """

    def __init__(self, log: Log) -> None:
        """Ask `log`."""
        self._log = log
        self.learned = 0
        self._on_log: set[str] = set()
        self.log_id = ""
        self.definitions = Catalogue()

    async def learn(self) -> None:
        """Learn what the log says and has not said before. Raises DefinitionUnfit."""
        while records := await self._log.read(DEFINITIONS, 0, self.learned, _AT_ONCE):
            for record in records:
                event = decode(record.value, DEFINITIONS, None)
                if not isinstance(event, Event):
                    says = f"{DEFINITIONS.name} cannot be read at offset {record.offset} ({event.reason})"
                    raise DefinitionUnfit(says, record.offset, id_of(record.value))
                self._heard(event, record.offset)
            # Others may learn meanwhile.
            self.learned = max(self.learned, next_offset(records))

    async def require(self) -> None:
        """Learn what the log says, and make sure that it says which one it is. Raises NotAHome."""
        await self.learn()
        if not self.log_id:
            raise NotAHome("the log was never founded; `ontrack provision` does that")

    def _heard(self, event: Event[Data], offset: int) -> None:
        match event.data:
            case LogFounded(log=log_id):
                # Two that found a log at the same moment both say so; what was said first holds.
                self.log_id = self.log_id or log_id
            case DefinitionPublished(ref=ref, body=body):
                try:
                    entry = entry_of(body)
                except (ValidationError, KeyError):
                    says = f"the definition {ref} on the log is none: its content does not fit its kind"
                    raise DefinitionUnfit(says, offset, event.id, found=ref) from None
                if entry.ref != ref:
                    says = f"the definition {ref} on the log does not have the content that it names"
                    raise DefinitionUnfit(says, offset, event.id, entry.ref, ref)
                self.definitions.add(entry)
                self._on_log.add(ref)

    async def publish(self, entries: Iterable[Entry], at: datetime) -> int:
        """Put definitions on the log that are not there yet, so that facts can name them; give how many these were."""
        new = [entry for entry in entries if entry.ref not in self._on_log]
        await self._log.append(DEFINITIONS, 0, [_record(_published(entry), self.log_id, at) for entry in new])
        for entry in new:
            self.definitions.add(entry)
            self._on_log.add(entry.ref)
        return len(new)


def founding_records(log_id: str, entries: Iterable[Entry], at: datetime) -> list[bytes]:
    """Give the records with which a log begins: its identity, and the definitions that its facts may name."""
    said: list[Data] = [LogFounded(log=log_id), *map(_published, entries)]
    return [_record(data, log_id, at).value for data in said]


def log_id_of(records: Iterable[bytes]) -> str:
    """Give the identity of a log from the records of its `rom.definitions.v1`; empty if none says it."""
    events = (decode(record, DEFINITIONS, None) for record in records)
    said = (event.data for event in events if isinstance(event, Event))
    return next((data.log for data in said if isinstance(data, LogFounded)), "")


def _published(entry: Entry) -> DefinitionPublished:
    return DefinitionPublished(ref=entry.ref, body=dict(entry.body))


def _record(data: Data, log_id: str, at: datetime) -> Record:
    """State something about the log itself; the same statement has the same id."""
    name = data.ref if isinstance(data, DefinitionPublished) else data.type()
    event = Event(
        id=name_based_id(FACT_ID, log_id, name),
        source="urn:ontrack:ingest",
        subject="log",
        time=at,
        recordedtime=at,
        correlationid=log_id,
        causationid=None,
        data=data,
    )
    return Record("log", encode(event))
