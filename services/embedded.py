"""The embedded home: every service in one process, over one SQLite file in a data directory."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter

from contracts.codec import CaseKey, decode, encode
from contracts.definitions.catalogue import Catalogue, Entry, entry_of
from contracts.definitions.files import library
from contracts.events.event import FACT_ID, Data, Event, name_based_id
from contracts.events.publications import DefinitionPublished, LogFounded
from contracts.topics import DEFINITIONS, partition_of
from services.ingest.domain.register import Register
from services.ingest.intake import Intake
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.runtime.database import Database, NotAHome
from services.runtime.directory.port import Directory
from services.runtime.directory.sqlite import SqliteDirectory
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.port import Log, Record
from services.runtime.log.sqlite import SqliteLog
from services.runtime.runner import PartitionLost, Runner, StageStopped
from services.runtime.stage import Stage
from services.runtime.store.port import Halted, Store
from services.runtime.store.sealed import open_state
from services.runtime.store.sqlite import SqliteStore
from services.runtime.unavailable import Unavailable
from services.scoring.domain.stage import Scoring

StateT = TypeVar("StateT")

DATABASE: Final = "ontrack.db"
MASTER_KEY: Final = "master.key"
TRIES: Final = 5


def spare_the_collector() -> None:
    """Let Python's garbage collector rest: nearly everything here is freed by counting, and looking costs a tenth."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


def now() -> datetime:
    """Read the clock: the only place of the embedded home that does."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ports:
    """What a home stands on."""

    log: Log
    store: Store
    keyring: SqliteKeyring
    people: Directory

    @classmethod
    def over(cls, database: Database, master: MasterKey) -> Self:
        """Give the ports over one file."""
        connection = database.connection
        keyring = SqliteKeyring(connection, master)
        return cls(SqliteLog(connection), SqliteStore(connection), keyring, SqliteDirectory(connection, keyring))


class Home:
    """One data directory, open. Use `Home.found` for a new one, `Home.open` for one that exists."""

    def __init__(
        self,
        directory: Path,
        database: Database,
        ports: Ports,
        *,
        clock: Callable[[], datetime] = now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Wire everything.

        pause: waits so many seconds before something that failed for a moment is tried again
        """
        self.directory = directory
        self._database = database
        self.clock = clock
        self._pause = pause
        self.log = ports.log
        self.store = ports.store
        self.keyring = ports.keyring
        self.people = ports.people
        self.definitions = Catalogue()
        self._on_log: set[str] = set()
        self._learned = 0
        self.intake = Intake(self.log, self.store, self.keyring, self.definitions, clock)
        self.register = Register()
        self.scoring = Scoring(self.definitions)
        self.not_detector = NotDetector(self.definitions)
        self.notifier = Notifier(self.definitions)
        self.log_id = ""
        self._work: list[tuple[Runner[Any], int]] = []
        self._stopped: list[StageStopped] = []

    @classmethod
    async def found(
        cls, directory: Path, *, founding: Iterable[bytes] = (), clock: Callable[[], datetime] = now
    ) -> Self:
        """Open a home for writing; make it first, or finish making it, where that has not been done.

        founding: the records of `rom.definitions.v1` of another log, for a new home to go on under its identity
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        database, key = Database.create(directory / DATABASE), directory / MASTER_KEY
        try:
            is_new = await SqliteLog(database.connection).end(DEFINITIONS, 0) == 0
            master = MasterKey.create(key) if is_new and not key.exists() else MasterKey.read(key)
        except BaseException:
            database.close()
            raise
        home = cls(directory, database, Ports.over(database, master), clock=clock)
        try:
            if is_new:
                home.keyring.remember_master()
                await home._found(list(founding))
            await home.take_up()
            await home.publish(library())
        except BaseException:
            home.close()
            raise
        return home

    async def _found(self, records: list[bytes]) -> None:
        records = records or founding_records(str(uuid4()), library(), self.clock())
        await self.log.append(DEFINITIONS, 0, [Record("log", record) for record in records])

    @classmethod
    async def open(cls, directory: Path, *, write: bool = False, clock: Callable[[], datetime] = now) -> Self:
        """Open a home. Raises NotAHome, AnotherWriter, MasterKeyUnusable, StageStopped, Unavailable."""
        file = directory / DATABASE
        if not file.exists():
            raise NotAHome(f"{directory} holds no OnTrack data; `ontrack import FILE --enrol` starts there")
        master = MasterKey.read(directory / MASTER_KEY)
        database = Database.open(file, write=write)
        home = cls(directory, database, Ports.over(database, master), clock=clock)
        try:
            await home.take_up(write=write)
        except BaseException:
            home.close()
            raise
        return home

    async def take_up(self, *, write: bool = True) -> None:
        """Learn the log's identity and definitions, and where each stage was left."""
        self.keyring.require_own_master()
        await self._learn_definitions()
        if not write:
            return
        stages: list[Stage[Any]] = [self.register, self.scoring, self.not_detector, self.notifier]
        for stage in stages:
            runner = Runner(stage, self.log, self.store, self.keyring, self.log_id)
            for partition in range(stage.reads.partitions):
                if await self._goes_on(runner.open(partition)):
                    self._work.append((runner, partition))

    async def _goes_on(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do some work on a partition; if it stops there, remember why, so that the others can go on."""
        try:
            await work
        except StageStopped as stopped:
            self._stopped.append(stopped)
            return False
        return True

    async def _learn_definitions(self) -> None:
        """Learn what the log says of itself and has not said before."""
        while records := await self.log.read(DEFINITIONS, 0, self._learned, 1_000):
            for record in records:
                event = decode(record.value, DEFINITIONS, None)
                if not isinstance(event, Event):
                    raise NotAHome(f"{DEFINITIONS.name} cannot be read at offset {record.offset} ({event.reason})")
                match event.data:
                    case LogFounded(log=log_id):
                        self.log_id = log_id
                    case DefinitionPublished(ref=ref, body=body):
                        entry = entry_of(body)
                        if entry.ref != ref:
                            raise NotAHome(f"the definition {ref} on the log does not have the content that it names")
                        self.definitions.add(entry)
                        self._on_log.add(ref)
            self._learned = records[-1].offset + 1
        if not self.log_id:
            raise NotAHome(f"{self.directory} was never founded; import into an empty directory")

    async def publish(self, entries: Iterable[Entry]) -> None:
        """Put definitions on the log that are not there yet, so that facts can name them."""
        new = [entry for entry in entries if entry.ref not in self._on_log]
        said = [DefinitionPublished(ref=entry.ref, body=dict(entry.body)) for entry in new]
        events = [_of_the_log(data, self.log_id, self.clock()) for data in said]
        await self.log.append(DEFINITIONS, 0, [Record("log", encode(event)) for event in events])
        for entry in new:
            self.definitions.add(entry)
            self._on_log.add(entry.ref)

    async def catch_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Run every stage until none has anything left to read. progress: is told how many records were read.

        A partition that stops is left out from then on, and the others go on; in the end StageStopped says so.
        Raises Unavailable, or PartitionLost, if trying again a few times did not help.
        """
        for place in list(self._work):
            if not await self._goes_on(self._patiently(*place, progress)):
                self._work.remove(place)
        if self._stopped:
            raise self._stopped[0]

    async def halted(self) -> list[Halted]:
        """Give the cases that a stage could not go on with."""
        stages: list[Stage[Any]] = [self.register, self.scoring, self.not_detector, self.notifier]
        return [halted for stage in stages for halted in await self.store.halted(stage.name)]

    async def _patiently(self, runner: Runner[Any], partition: int, progress: Callable[[int], None] | None) -> None:
        """Run one partition to its end.

        What is away for a moment is tried again, and a partition that another runner has written is taken up again.
        """
        tries, is_lost = 0, False
        while True:
            try:
                if is_lost:
                    await runner.open(partition)
                    is_lost = False
                # A halted case may have waited for a definition that has been published since.
                await self._learn_definitions()
                await runner.resume_halted(partition)
                while read := await runner.advance(partition):
                    tries = 0
                    if progress is not None:
                        progress(read)
                return
            except (Unavailable, PartitionLost) as failed:
                is_lost = is_lost or isinstance(failed, PartitionLost)
                tries += 1
                if tries == TRIES:
                    raise
                await self._pause(0.05 * 2**tries)

    async def state(self, stage: Stage[StateT], case_id: str) -> StateT | None:
        """Give what a stage knows of a case; None if nothing, or if the case was erased."""
        async for _, state in self.states(stage, [case_id]):
            return state
        return None

    async def states(
        self, stage: Stage[StateT], case_ids: Iterable[str] | None = None
    ) -> AsyncIterator[tuple[str, StateT]]:
        """Give what a stage knows of every case, or of some, in the order of their ids or as asked."""
        adapter: TypeAdapter[StateT] = TypeAdapter(stage.state)
        wanted = [case_id async for case_id in self.store.cases(stage.name)] if case_ids is None else list(case_ids)
        for start in range(0, len(wanted), 200):
            some = wanted[start : start + 200]
            stored = await self.store.load(stage.name, some)
            keys = await self.keyring.keys(stored)
            for case_id in some:
                key = keys.get(case_id)
                if isinstance(key, CaseKey):
                    yield case_id, open_state(adapter, stage.name, case_id, key, stored[case_id])

    async def cases_named(self, name: str) -> list[str]:
        """Find the cases with an id, an external number, or a `number@clinic`; two clinics may use the same number."""
        if name in await self.store.load(self.register.name, [name]):
            return [name]
        persons = await self.people.persons()
        return [
            case_id
            for case_id, person in persons.items()
            if name in (person.number, f"{person.number}@{person.clinic}")
        ]

    async def names(self) -> Mapping[str, str]:
        """Give how each case is called on a screen: its number, with the clinic where another has the same."""
        persons = await self.people.persons()
        often = Counter(person.number for person in persons.values())
        return {
            case_id: person.number if often[person.number] == 1 else f"{person.number}@{person.clinic}"
            for case_id, person in persons.items()
        }

    def partition(self, case_id: str) -> int:
        """Give the partition of a case."""
        return partition_of(case_id)

    def close(self) -> None:
        """Close the file and let others write."""
        self._database.close()

    async def __aenter__(self) -> Self:
        """Use the home."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def founding_records(log_id: str, entries: Iterable[Entry], at: datetime) -> list[bytes]:
    """Give the records with which a log begins: its identity, and the definitions that its facts may name."""
    said: list[Data] = [LogFounded(log=log_id)]
    said += [DefinitionPublished(ref=entry.ref, body=dict(entry.body)) for entry in entries]
    return [encode(_of_the_log(data, log_id, at)) for data in said]


def _of_the_log(data: Data, log_id: str, at: datetime) -> Event[Data]:
    """State something about the log itself; the same statement has the same id."""
    name = data.ref if isinstance(data, DefinitionPublished) else data.type()
    return Event(
        id=name_based_id(FACT_ID, log_id, name),
        source="urn:ontrack:ingest",
        subject="log",
        time=at,
        recordedtime=at,
        correlationid=log_id,
        causationid=None,
        data=data,
    )
