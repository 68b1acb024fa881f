"""The embedded home: every service in one process, over one SQLite file in a data directory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4
from zoneinfo import ZoneInfo

from contracts.definitions.files import library
from contracts.topics import DEFINITIONS
from services.home import Home, Ports, now
from services.ingest.zones import DENMARK
from services.mailer.outbox.sqlite import SqliteOutbox
from services.runtime.database import Database
from services.runtime.directory.sqlite import SqliteDirectory
from services.runtime.founding import founding_records
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.port import Record
from services.runtime.log.sqlite import SqliteLog
from services.runtime.refusals import NotAHome
from services.runtime.roster.sqlite import SqliteRoster
from services.runtime.stage import Stage
from services.runtime.store.sqlite import SqliteStore

DATABASE: Final = "ontrack.db"
MASTER_KEY: Final = "master.key"


class EmbeddedHome(Home):
    """One data directory, open. Use `found` for a new one, `open` for one that exists."""

    def __init__(
        self,
        directory: Path,
        database: Database,
        ports: Ports,
        *,
        mails: bool = False,
        zone: ZoneInfo = DENMARK,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Use the open database of a directory. mails: whether it is kept what is to be sent by mail."""
        super().__init__(str(directory), ports, zone=zone, clock=clock)
        self._mails = mails
        self._database = database

    @property
    def stages_here(self) -> Sequence[Stage[Any]]:
        """All of them; that of the mailer only where mail is sent."""
        return self.every_stage if self._mails else self.stages

    @classmethod
    async def found(
        cls,
        directory: Path,
        *,
        founding: Iterable[bytes] = (),
        mails: bool = False,
        zone: ZoneInfo = DENMARK,
        clock: Callable[[], datetime] = now,
    ) -> Self:
        """Open a home for writing; make it first, or finish making it, where that has not been done.

        founding: the records of `rom.definitions.v1` of another log, for a new home to go on under its identity
        mails: whether it is kept what is to be sent by mail
        zone: by whose clock clinics go that say no other
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        database, file = Database.create(directory / DATABASE), directory / MASTER_KEY
        try:
            is_new = await SqliteLog(database.connection).end(DEFINITIONS, 0) == 0
            master = MasterKey.create(file) if is_new and not file.exists() else MasterKey.read(file)
            keyring = SqliteKeyring(database.connection, master)
            home = cls(directory, database, _ports(database, keyring), mails=mails, zone=zone, clock=clock)
            if is_new:
                keyring.remember_master()
                await home._found(list(founding))
            keyring.require_own_master()
            await home.take_up()
            await home.publish(library())
        except BaseException:
            database.close()
            raise
        return home

    async def _found(self, records: list[bytes]) -> None:
        records = records or founding_records(str(uuid4()), library(), self.clock())
        await self.log.append(DEFINITIONS, 0, [Record("log", record) for record in records])

    async def close(self) -> None:
        """Close the file and let others write."""
        self._database.close()

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        write: bool = False,
        zone: ZoneInfo = DENMARK,
        clock: Callable[[], datetime] = now,
    ) -> Self:
        """Open a home. Raises NotAHome, AnotherWriter, MasterKeyUnusable, StageStopped, Unavailable."""
        file = directory / DATABASE
        if not file.exists():
            raise NotAHome(f"{directory} holds no OnTrack data; `ontrack import FILE --enrol` starts there")
        master = MasterKey.read(directory / MASTER_KEY)
        database = Database.open(file, write=write)
        try:
            keyring = SqliteKeyring(database.connection, master)
            home = cls(directory, database, _ports(database, keyring), zone=zone, clock=clock)
            keyring.require_own_master()
            await home.take_up(write=write)
        except BaseException:
            database.close()
            raise
        return home


@contextmanager
def empty_home(directory: Path, master: MasterKey) -> Iterator[Ports]:
    """Give what a home stands on that is yet to be founded, to put one back; it needs its master key only then.

    Raises AnotherWriter, NotAHome, Unavailable.
    """
    database = Database.create(directory / DATABASE)
    try:
        keyring = SqliteKeyring(database.connection, master)
        keyring.remember_master()
        yield _ports(database, keyring)
    finally:
        database.close()


def _ports(database: Database, keyring: SqliteKeyring) -> Ports:
    """Give the ports over one file."""
    connection = database.connection
    return Ports(
        log=SqliteLog(connection),
        store=SqliteStore(connection),
        keyring=keyring,
        people=SqliteDirectory(connection, keyring),
        roster=SqliteRoster(connection),
        outbox=SqliteOutbox(connection),
    )
