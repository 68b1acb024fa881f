"""The embedded home: every service in one process, over one SQLite file in a data directory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4
from zoneinfo import ZoneInfo

from contracts.definitions.files import library
from contracts.topics import DEFINITIONS
from services.home import Home, Ports, now
from services.ingest.access import TOKENS
from services.ingest.zones import DENMARK
from services.mailer.outbox.sqlite import SqliteOutbox
from services.runtime.copies.file import COPIES, CopiesInFile
from services.runtime.database import Database, DatabaseUnavailable, emptied, told_as
from services.runtime.directory.sqlite import SqliteDirectory
from services.runtime.faults import RESTORE
from services.runtime.founding import founding_records
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.port import Record
from services.runtime.log.sqlite import SqliteLog
from services.runtime.permission import require_reading
from services.runtime.refusals import NotAHome
from services.runtime.roster.sqlite import SqliteRoster
from services.runtime.stage import Stage
from services.runtime.store.sqlite import SqliteStore

DATABASE: Final = "ontrack.db"
LOCK: Final = Path(DATABASE).with_suffix(".lock").name
MASTER_KEY: Final = "master.key"
UNFINISHED: Final = ".importing-"
"""Begins the name of a place in a directory where a home is made for it, until that is whole."""


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

        Raises NotAHome where a clinic was, and its database or its log is missing: another one would take its place.
        """
        require_none_lost(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        database, file = Database.create(directory / DATABASE), directory / MASTER_KEY
        try:
            is_new = await SqliteLog(database.connection).end(DEFINITIONS, 0) == 0
            master = MasterKey.create(file) if is_new and not file.exists() else MasterKey.read(file)
            keyring = SqliteKeyring(database.connection, master)
            home = cls(directory, database, _ports(directory, database, keyring), mails=mails, zone=zone, clock=clock)
            if is_new:
                await home.require_nothing_lost()
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

    async def sweep(self) -> None:
        """Empty the write-ahead log, where what was removed still stands. Raises DatabaseUnavailable."""
        with told_as(DatabaseUnavailable):
            is_empty = emptied(self._database.connection)
        if not is_empty:
            raise DatabaseUnavailable(
                f"what was removed is still in the -wal file of {self.name} until whoever reads that has closed it"
            )

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
        """Open a home. Raises NotAHome, NotPermitted, AnotherWriter, MasterKeyUnusable, StageStopped, Unavailable."""
        require_home(directory)
        file = directory / DATABASE
        master = MasterKey.read(directory / MASTER_KEY)
        database = Database.open(file, write=write)
        try:
            keyring = SqliteKeyring(database.connection, master)
            home = cls(directory, database, _ports(directory, database, keyring), zone=zone, clock=clock)
            keyring.require_own_master()
            await home.take_up(write=write)
        except BaseException:
            database.close()
            raise
        return home


class Lacking(NamedTuple):
    """Why a directory holds no home, and what to do."""

    says: str
    do: str


def holds_database(directory: Path) -> bool:
    """Tell whether a home was made in a directory. Raises NotPermitted.

    An empty file is what a first start leaves that was broken off.
    """
    file = directory / DATABASE
    require_reading(file)
    return file.exists() and file.stat().st_size > 0


def lost_from(directory: Path) -> Lacking | None:
    """Tell what a directory lacks where a clinic was, or was to be put back; None if it is whole, or none ever was."""
    if holds_database(directory) or not directory.is_dir():
        return None
    require_reading(directory)
    # A database that was begun has its tables before there is a key.
    left = [name for name in (MASTER_KEY, TOKENS, f"{DATABASE}-wal") if (directory / name).exists()]
    unfinished = sorted(file.name for file in directory.iterdir() if file.name.startswith(UNFINISHED))
    if unfinished:
        return Lacking(
            f"{directory} has no {DATABASE}, but holds {' and '.join([*left, *unfinished])}: "
            "a restore or an import was broken off there, or still runs",
            f"give the restore again: ontrack restore FILE --data {directory}; an import of a log goes into another, "
            "empty directory",
        )
    if left:
        is_empty = (directory / DATABASE).exists()
        takes_backup = {MASTER_KEY, TOKENS, COPIES}.issuperset(file.name for file in directory.iterdir())
        here = f"restore the last backup here (ontrack restore FILE --data {directory})"
        return Lacking(
            f"{directory} holds {' and '.join(left)}, but its {DATABASE} is {'empty' if is_empty else 'missing'}",
            f"put the file back if it was moved, else {here if takes_backup else RESTORE}. "
            "A new clinic goes into another directory",
        )
    return None


def require_none_lost(directory: Path) -> None:
    """Make sure that no clinic was in a directory which has lost its database. Raises NotAHome, NotPermitted."""
    lost = lost_from(directory)
    if lost is not None:
        raise NotAHome(f"{lost.says}. To mend it: {lost.do}")


def lacking_in(directory: Path) -> Lacking | None:
    """Tell why a directory holds no home; None if it holds one."""
    if holds_database(directory):
        return None
    says = f"{directory} holds no OnTrack data" if directory.exists() else f"{directory} is not there"
    do = "name the data directory: --data DIR. A new one is begun by ontrack up or ontrack import FILE --enrol"
    return lost_from(directory) or Lacking(says, do)


def require_home(directory: Path) -> None:
    """Make sure that a directory holds a home. Raises NotAHome."""
    lacking = lacking_in(directory)
    if lacking is not None:
        raise NotAHome(f"{lacking.says}. To mend it: {lacking.do}")


@contextmanager
def empty_home(directory: Path, master: MasterKey) -> Iterator[Ports]:
    """Give what a home stands on that is yet to be founded, to put one back; it needs its master key only then.

    Raises AnotherWriter, NotAHome, NotPermitted, Unavailable.
    """
    database = Database.create(directory / DATABASE)
    try:
        keyring = SqliteKeyring(database.connection, master)
        keyring.remember_master()
        yield _ports(directory, database, keyring)
    finally:
        database.close()


def _ports(directory: Path, database: Database, keyring: SqliteKeyring) -> Ports:
    """Give the ports over the file of a directory."""
    connection = database.connection
    return Ports(
        log=SqliteLog(connection),
        store=SqliteStore(connection),
        keyring=keyring,
        people=SqliteDirectory(connection, keyring),
        roster=SqliteRoster(connection),
        outbox=SqliteOutbox(connection),
        copies=CopiesInFile(directory),
    )
