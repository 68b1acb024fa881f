"""The one SQLite file of an embedded home: its tables, and who may write it."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runtime.unavailable import Unavailable

_TABLES = """
CREATE TABLE records (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL
);
CREATE UNIQUE INDEX places ON records (topic, partition, "offset");
CREATE TABLE states (
    stage TEXT NOT NULL, case_id TEXT NOT NULL, "offset" INTEGER NOT NULL, read INTEGER NOT NULL,
    written INTEGER NOT NULL, schema INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (stage, case_id)
);
CREATE TABLE positions (
    stage TEXT NOT NULL, partition INTEGER NOT NULL, log TEXT NOT NULL, "offset" INTEGER NOT NULL,
    PRIMARY KEY (stage, partition)
);
CREATE TABLE halted (
    stage TEXT NOT NULL, case_id TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (stage, case_id)
);
CREATE TABLE keys (case_id TEXT PRIMARY KEY, wrapped BLOB) WITHOUT ROWID;
CREATE TABLE directory (case_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, entry BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE master (fingerprint BLOB NOT NULL);
"""
_PAGE_SIZE = 8_192
"""Records of about 1 KB and states of some: twice as fast to write as pages of 4 KB, less waste than 16."""

APPLICATION_ID = 0x4F6E5472
SCHEMA = 1


class NotAHome(Exception):
    """The file is no OnTrack database, or one of another version. Says what to do."""


class AnotherWriter(Exception):
    """Another process writes this home just now."""


class Database:
    """A connection to the file. Only the process that holds the lock may write; any number may read."""

    def __init__(self, connection: sqlite3.Connection, lock: int | None) -> None:
        """Use an open connection; `lock` is the descriptor of the writer's lock."""
        self.connection = connection
        self._lock = lock

    @classmethod
    def create(cls, file: Path) -> "Database":
        """Open a file for writing; make it, or finish making it, first. Raises AnotherWriter, NotAHome."""
        lock = _locked(file)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connected(f"{file.resolve().as_uri()}?mode=rw")
        try:
            if not _is_empty(connection):
                _require_ours(file, connection)
                _for_writing(connection)
                return cls(connection, lock)
            connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
            _for_writing(connection)
            cls._make(connection)
        except BaseException:
            connection.close()
            os.close(lock)
            raise
        return cls(connection, lock)

    @staticmethod
    def _make(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            for statement in _TABLES.split(";"):
                if statement.strip():
                    connection.execute(statement)

    @classmethod
    def open(cls, file: Path, *, write: bool) -> "Database":
        """Open an existing file. Raises AnotherWriter, NotAHome."""
        lock = _locked(file) if write else None
        connection = _connected(f"{file.resolve().as_uri()}?mode={'rw' if write else 'ro'}")
        try:
            _require_ours(file, connection)
            if write:
                _for_writing(connection)
        except BaseException:
            connection.close()
            if lock is not None:
                os.close(lock)
            raise
        return cls(connection, lock)

    def close(self) -> None:
        """Close the file and let others write."""
        self.connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Tell whether nothing has been made in the file yet."""
    try:
        return _application(connection) == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
    except sqlite3.DatabaseError:
        return False


def _application(connection: sqlite3.Connection) -> int:
    try:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.DatabaseError:
        return -1


def _require_ours(file: Path, connection: sqlite3.Connection) -> None:
    if _application(connection) != APPLICATION_ID:
        raise NotAHome(f"{file} is not an OnTrack database")
    schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if schema != SCHEMA:
        raise NotAHome(
            f"{file} was made by another version of OnTrack (format {schema}, here {SCHEMA}): "
            "export its log with that version and import it into an empty home"
        )


def _for_writing(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    # A process that was killed, or kept from it by a reader, may have left there what was deleted.
    emptied(connection)


def _locked(file: Path) -> int:
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AnotherWriter(f"another process is writing {file.parent}; wait until it is done") from None
    return descriptor


def emptied(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log into the file; tell whether no reader was in the way."""
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


@contextmanager
def told_as(unavailable: type[Unavailable]) -> Iterator[None]:
    """Tell what SQLite refuses for a moment (locked, full, unreadable) as a port tells it."""
    try:
        yield
    except sqlite3.OperationalError as refused:
        raise unavailable(str(refused)) from None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit everything that is done inside, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # When the disk is full SQLite may have rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
