"""A workbench for stages: a log, a store and a keyring in one file, and a stage run over one partition by hand."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final, Self, TypeVar

from contracts.codec import CaseKey, decode, encode, glance, prepared
from contracts.events.event import Data, Event
from contracts.events.publications import FactUnreadable
from contracts.topics import DEAD_LETTERS, Topic, partition_of
from services.runtime.database import Database
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.port import Keyring
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.port import Journal, Log, Record, StoredRecord
from services.runtime.log.sqlite import SqliteLog
from services.runtime.runner import BATCH, Runner
from services.runtime.stage import Stage
from services.runtime.store.port import AgendaStore, Halted, Position, Store, StoredState
from services.runtime.store.sqlite import SqliteStore
from tests.support.faults import Trouble, TroubledKeyring, TroubledLog, TroubledStore

StateT = TypeVar("StateT")

LOG_ID: Final = "00000000-0000-4000-8000-000000000001"
PARTITION: Final = 0


def key_of(case_id: str) -> CaseKey:
    """The key of a case: the same in every run, so that runs can be compared to the byte."""
    return CaseKey(hashlib.sha512(case_id.encode()).digest())


def cases_of(partition: int, number: int) -> list[str]:
    """So many cases that share a partition."""
    names = (f"case-{number}" for number in count(1))
    return list(islice((name for name in names if partition_of(name) == partition), number))


@dataclass(frozen=True)
class Outcome:
    """What a stage has made of a partition, with everything that was published twice taken once.

    output: key and bytes of what it published, in order
    states: what it knows of each case
    letters: the facts that it could not read
    """

    output: list[tuple[str, bytes]]
    states: Mapping[str, StoredState]
    letters: list[FactUnreadable]
    halted: Sequence[Halted]
    position: Position | None

    def of(self, case_id: str) -> list[bytes]:
        """What was published of one case."""
        return [value for key, value in self.output if key == case_id]

    def by_case(self) -> dict[str, list[bytes]]:
        """What was published, case by case: the order between cases is of no account."""
        return {case_id: self.of(case_id) for case_id, _ in self.output}


class Workbench:
    """An open file. What the tests do to it has no trouble; what stages do to it has."""

    def __init__(self, database: Database, trouble: Trouble) -> None:
        self._database = database
        connection = database.connection
        connection.execute("PRAGMA synchronous = OFF")  # processes end in these stories, machines do not
        self.log: Journal = SqliteLog(connection)
        self.store: AgendaStore = SqliteStore(connection)
        self.keyring: Keyring = SqliteKeyring(connection, MasterKey(bytes(32)))
        self.trouble = trouble

    @classmethod
    @contextmanager
    def on(cls, file: Path, trouble: Trouble | None = None) -> Iterator[Self]:
        """Open a file, new or used, as a process does that has just started."""
        database = Database.create(file)
        try:
            yield cls(database, trouble or Trouble())
        finally:
            database.close()

    async def know(self, *case_ids: str) -> None:
        """Give cases their keys."""
        await self.keyring.adopt({case_id: key_of(case_id) for case_id in case_ids})

    async def put(self, topic: Topic, events: Iterable[Event[Data]], *, partition: int = PARTITION) -> None:
        """Append events to a topic, each sealed under its case's key."""
        sealed = [prepared(event, key_of(event.subject), event.sequence) for event in events]
        records = [Record(event.subject, encode(event)) for event in sealed]
        await self.log.append(topic, partition, records)

    def runner(
        self, stage: Stage[StateT], *, log: Log | None = None, store: Store | None = None, log_id: str = LOG_ID
    ) -> Runner[StateT]:
        """A runner of a stage, which has trouble with everything that is not given."""
        log = log or TroubledLog(self.log, self.trouble)
        store = store or TroubledStore(self.store, self.trouble)
        return Runner(stage, log, store, TroubledKeyring(self.keyring, self.trouble), log_id)

    async def run(self, stage: Stage[StateT], *, at_once: int = BATCH, partition: int = PARTITION) -> Runner[StateT]:
        """Run a stage from where it was left to the end of a partition."""
        runner = self.runner(stage)
        await runner.open(partition)
        await go_on(runner, at_once=at_once, partition=partition)
        return runner

    async def records(self, topic: Topic, partition: int = PARTITION) -> list[StoredRecord]:
        """Everything that stands in a partition."""
        return list(await self.log.read(topic, partition, 0, 1_000_000))

    async def read(self, topic: Topic, partition: int = PARTITION) -> list[tuple[Event[Data], bytes]]:
        """Everything that stands in a partition: each event, and the bytes that it was read from."""
        found = []
        for record in await self.records(topic, partition):
            event = decode(record.value, topic, key_of(record.key))
            assert isinstance(event, Event)
            found.append((event, record.value))
        return found

    async def outcome(self, stage: Stage[StateT], partition: int = PARTITION) -> Outcome:
        """What a stage has made of a partition."""
        output = [] if stage.writes is None else once(await self.records(stage.writes, partition))
        case_ids = [case_id async for case_id in self.store.cases(stage.name)]
        return Outcome(
            output=output,
            states=await self.store.load(stage.name, case_ids),
            letters=letters(await self.records(DEAD_LETTERS, partition)),
            halted=await self.store.halted(stage.name, partition),
            position=await self.store.position(stage.name, partition),
        )


async def go_on(runner: Runner[StateT], *, at_once: int = BATCH, partition: int = PARTITION) -> None:
    """Let a runner that has its partition run to the end."""
    await runner.resume_halted(partition)
    while await runner.advance(partition, at_once):
        pass


def once(records: Iterable[StoredRecord]) -> list[tuple[str, bytes]]:
    """Every number of every case once; where it was published twice, both are the same to the byte."""
    first: dict[tuple[str, int], bytes] = {}
    for record in records:
        seen = glance(record.value)
        assert seen is not None
        place = record.key, seen.sequence
        assert first.setdefault(place, record.value) == record.value, f"{place} was published twice, and otherwise"
    return [(case_id, value) for (case_id, _), value in first.items()]


def numbers(records: Iterable[tuple[str, bytes]], case_id: str) -> list[int]:
    """The numbers that a case's records bear, in order."""
    seen = [glance(value) for key, value in records if key == case_id]
    return [each.sequence for each in seen if each is not None]


def letters(records: Iterable[StoredRecord]) -> list[FactUnreadable]:
    """What the dead letters say, each once; a letter that was written twice is the same to the byte."""
    first: dict[str, bytes] = {}
    said = []
    for record in records:
        event = decode(record.value, DEAD_LETTERS, None)
        assert isinstance(event, Event)
        assert isinstance(event.data, FactUnreadable)
        assert first.setdefault(event.id, record.value) == record.value
        said.append((event.id, event.data))
    return list(dict(said).values())
