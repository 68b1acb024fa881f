"""A home whose ports have trouble, and that notes how long it would have waited."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.codec import CaseKey
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.home import Home, Ports
from services.mailer.outbox.sqlite import SqliteOutbox
from services.runtime.copies.file import CopiesInFile
from services.runtime.database import Database
from services.runtime.directory.sqlite import SqliteDirectory
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.port import Destroyed
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.sqlite import SqliteLog
from services.runtime.roster.sqlite import SqliteRoster
from services.runtime.store.port import AgendaStore
from services.runtime.store.sqlite import SqliteStore
from tests.support.faults import Trouble, TroubledLog, TroubledStore

NO_TROUBLE: Final = Trouble()


class TroubledSqliteKeyring(SqliteKeyring):
    """A keyring with trouble around each look at it."""

    def __init__(self, connection: sqlite3.Connection, master: MasterKey, trouble: Trouble) -> None:
        super().__init__(connection, master)
        self._trouble = trouble

    async def keys(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        with self._trouble.around("keyring.keys"):
            return await super().keys(case_ids)


@dataclass(frozen=True)
class Patient:
    """A home, and the pauses that it made, in seconds, without waiting."""

    home: Home
    paused: list[float]


@asynccontextmanager
async def patient(
    directory: Path, trouble: Trouble = NO_TROUBLE, *, store: Callable[[AgendaStore], AgendaStore] = lambda store: store
) -> AsyncIterator[Patient]:
    """Open a home for writing. store: what it has in place of the store of its file."""
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    database, master = Database.open(directory / DATABASE, write=True), MasterKey.read(directory / MASTER_KEY)
    connection = database.connection
    keyring = TroubledSqliteKeyring(connection, master, trouble)
    ports = Ports(
        log=TroubledLog(SqliteLog(connection), trouble),
        store=TroubledStore(store(SqliteStore(connection)), trouble),
        keyring=keyring,
        people=SqliteDirectory(connection, keyring),
        roster=SqliteRoster(connection),
        outbox=SqliteOutbox(connection),
        copies=CopiesInFile(directory),
    )
    async with EmbeddedHome(directory, database, ports) as home:
        home.pause = pause
        await home.take_up()
        yield Patient(home, paused)
