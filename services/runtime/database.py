"""The one SQLite file of an embedded home: its tables, and who may write it."""

import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Any

from contracts.topics import TOPICS, Topic
from services.runtime.permission import require_reading, require_writing
from services.runtime.refusals import NotAHome
from services.runtime.unavailable import Unavailable

_TABLES = """
CREATE TABLE states (
    stage TEXT NOT NULL, case_id TEXT NOT NULL, "offset" INTEGER NOT NULL, read INTEGER NOT NULL,
    written INTEGER NOT NULL, schema INTEGER NOT NULL, body BLOB NOT NULL, due TEXT,
    PRIMARY KEY (stage, case_id)
);
CREATE INDEX appointments ON states (stage, due) WHERE due IS NOT NULL;
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
CREATE TABLE roster (
    kind TEXT NOT NULL, clinic TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, clinic, id)
) WITHOUT ROWID;
CREATE TABLE outbox (
    notice TEXT NOT NULL, recipient TEXT NOT NULL, case_id TEXT NOT NULL, begun TEXT NOT NULL,
    revision INTEGER NOT NULL, is_over INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (notice, recipient)
) WITHOUT ROWID;
CREATE INDEX outbox_begun ON outbox (begun);
CREATE INDEX outbox_waiting ON outbox (notice) WHERE NOT is_over;
CREATE INDEX outbox_cases ON outbox (case_id);
CREATE TABLE master (fingerprint BLOB NOT NULL);
"""
_PARTITION = 'CREATE TABLE {table} ("offset" INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB NOT NULL);\n'
"""Every partition of the log is a table of its own, so that appending only ever writes at the end of one."""

_PAGE_SIZE = 16_384
"""Records are about 1 KB and states some: fewer calls write them than with smaller pages."""

APPLICATION_ID = 0x4F6E5472
_MAGIC = b"SQLite format 3\0"
_HEADER = 100
"""Bytes at the beginning of a database. SQLite takes a file that has fewer for an empty one."""
SCHEMA = 3
_AT_ONCE = 500
"""Names in one statement, fewer than it can have parameters; and rows that are read at a time."""

_ROOM = 1_000_000
"""Bytes: on a disk that has fewer left, SQLite may not be able to open a database."""


def table_of(topic: Topic, partition: int) -> str:
    """Name the table of a partition, as it stands in a statement."""
    return f'"{topic.name}/{partition}"'


def partitions() -> Iterator[str]:
    """Name the tables of all partitions of the log."""
    for topic in TOPICS.values():
        for partition in range(topic.partitions):
            yield table_of(topic, partition)


def _tables() -> set[str]:
    """Name all tables that there have to be."""
    return {*re.findall(r"CREATE TABLE (\w+)", _TABLES), *(table.strip('"') for table in partitions())}


class AnotherWriter(Exception):
    """Another process writes this home just now."""


class DatabaseUnavailable(Unavailable):
    """The file cannot be opened just now, though it may be in order. Says why."""


class Database:
    """A connection to the file. Only the process that holds the lock may write; any number may read."""

    def __init__(self, connection: sqlite3.Connection, lock: int | None) -> None:
        """Use an open connection; `lock` is the descriptor of the writer's lock."""
        self.connection = connection
        self._lock = lock

    @classmethod
    def create(cls, file: Path) -> "Database":
        """Open a file for writing; make it, or finish making it, first.

        Raises AnotherWriter, NotAHome, NotPermitted, DatabaseUnavailable.
        """
        lock = _locked(file)
        try:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with _telling_why(file):
                return cls(_opened(file, "mode=rw", _made), lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def open(cls, file: Path, *, write: bool) -> "Database":
        """Open an existing file. Raises AnotherWriter, NotAHome, NotPermitted, DatabaseUnavailable."""
        if not write:
            return cls(_opened_to_read(file), None)
        lock = _locked(file)
        try:
            with _telling_why(file):
                return cls(_opened(file, "mode=rw", _prepared), lock)
        except BaseException:
            os.close(lock)
            raise

    def close(self) -> None:
        """Close the file and let others write."""
        self.connection.close()
        if self._lock is not None:
            with suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None


_text = partial(str, encoding="utf-8", errors="replace")

Preparation = Callable[[Path, sqlite3.Connection], None]


def _opened(file: Path, how: str, prepare: Preparation) -> sqlite3.Connection:
    """Open a file and prepare the connection; one that cannot be prepared is closed."""
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?{how}", uri=True, isolation_level=None)
    # Text that is none would else end whatever reads it, with an error that repeats what stands there.
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA busy_timeout = 5000")
        prepare(file, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _opened_to_read(file: Path) -> sqlite3.Connection:
    """Open a file to read, also where nothing can be written beside it."""
    require_reading(file)
    with _telling_why(file):
        try:
            return _opened(file, "mode=ro", _require_ours)
        except sqlite3.OperationalError:
            if os.access(file.parent, os.W_OK):
                raise
        # SQLite keeps an index of the write-ahead log beside the file, and here it cannot; without a log it need not.
        log = file.with_name(f"{file.name}-wal")
        if log.exists() and log.stat().st_size > 0:
            raise DatabaseUnavailable(
                f"{log} holds what was written last, and that can only be read where OnTrack may write: "
                f"copy the whole of {file.parent} to such a place"
            )
        return _opened(file, "mode=ro&immutable=1", _require_ours)


@contextmanager
def _telling_why(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as refused:
        raise DatabaseUnavailable(f"the data directory cannot be used: {file}: {_why(file, refused)}") from None


def _why(file: Path, refused: sqlite3.OperationalError) -> str:
    # Also to read, SQLite writes an index beside the file; of a full disk it says "disk I/O error" then.
    with suppress(OSError):
        if disk_usage(file.parent).free < _ROOM:
            return f"the disk is full ({refused}): make room"
    return str(refused)


def _made(file: Path, connection: sqlite3.Connection) -> None:
    """Make everything in a file that is still empty, and make sure that another one is ours."""
    if not _is_empty(file, connection):
        _prepared(file, connection)
        return
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    _for_writing(connection)
    with transaction(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        for table in partitions():
            connection.execute(_PARTITION.format(table=table))
        for statement in _TABLES.split(";"):
            if statement.strip():
                connection.execute(statement)


def _prepared(file: Path, connection: sqlite3.Connection) -> None:
    _require_ours(file, connection)
    _for_writing(connection)


def _is_empty(file: Path, connection: sqlite3.Connection) -> bool:
    """Tell whether nothing has been made in the file yet."""
    if _application(file, connection) != 0:
        return False
    return connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None


def _application(file: Path, connection: sqlite3.Connection) -> int | None:
    """Tell which program a file is of; None if it is no database at all."""
    if 0 < file.stat().st_size < _HEADER:
        return None
    try:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return None


def _begins_as_a_database(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def _require_ours(file: Path, connection: sqlite3.Connection) -> None:
    application = _application(file, connection)
    if application is None and _begins_as_a_database(file):
        raise sqlite3.DatabaseError("its end is missing")
    if application != APPLICATION_ID:
        raise NotAHome(f"{file} is not an OnTrack database")
    schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if schema != SCHEMA:
        raise NotAHome(
            f"{file} was made by another version of OnTrack (format {schema}, here {SCHEMA}): "
            "make a backup with that version (ontrack backup FILE), and restore it with this one into a directory that "
            "holds nothing but master.key (ontrack restore FILE)"
        )
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if lacking := sorted(_tables() - names):
        raise sqlite3.DatabaseError(f"it has no table {', '.join(lacking)}")


def _for_writing(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    # A process that was killed, or kept from it by a reader, may have left there what was deleted.
    emptied(connection)


def _locked(file: Path) -> int:
    lock = file.with_suffix(".lock")
    for each in (file, lock):
        require_writing(each)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        who = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise AnotherWriter(
            f"another process is writing {file.parent}{f' (pid {who})' if who.isdecimal() else ''}. If it is a running "
            "ontrack up, end it, unless it can be asked over HTTP for what is wanted; if it is another command, wait "
            "until it is done"
        ) from None
    # It only helps whom this process is in the way of: on a full disk it stays unsaid.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def writer_of(file: Path) -> int | None:
    """Give the process that has a database to itself; None if none has, as far as this user may look.

    It is asked of the system, and not by trying to lock: whoever begins at that moment would be refused.
    """
    lock = file.with_suffix(".lock")
    with suppress(OSError, ValueError):
        process = int(lock.read_text("utf-8"))
        # Another process can have the number of one that has ended.
        if any(lock.samefile(opened) for opened in Path(f"/proc/{process}/fd").iterdir() if opened.exists()):
            return process
    return None


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell damage from the other errors of a database, each of which has a class of its own."""
    return type(error) is sqlite3.DatabaseError


def emptied(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log into the file; tell whether no reader was in the way."""
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rows_of(
    connection: sqlite3.Connection, statement: str, names: Iterable[str], *values: object
) -> list[tuple[Any, ...]]:
    """Give what a statement that ends with IN finds for some names, however many. values: those that it has before."""
    wanted, found = list(names), list[tuple[Any, ...]]()
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        found += connection.execute(f"{statement} ({','.join('?' * len(some))})", (*values, *some))
    return found


def rows_by_case(connection: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Give the rows of a table in the order of their cases: each case, and some columns.

    By the bytes of the cases' names: read as text, one that is none would be found for ever. And some at a time: who
    reads for long would keep the bytes of a destroyed key in the write-ahead log.
    """
    last = b""
    statement = (
        f"SELECT CAST(case_id AS BLOB), {columns} FROM {table}"  # noqa: S608 - names of ours
        " WHERE typeof(case_id) = 'text' AND case_id > CAST(? AS TEXT) ORDER BY case_id LIMIT ?"
    )
    while rows := connection.execute(statement, (last, _AT_ONCE)).fetchall():
        for case_id, *others in rows:
            yield case_id.decode(errors="replace"), *others
        last = rows[-1][0]


@contextmanager
def told_as(unavailable: type[Unavailable]) -> Iterator[None]:
    """Tell what SQLite refuses for a moment (locked, full, unreadable) as a port tells it."""
    try:
        yield
    except sqlite3.OperationalError as refused:
        raise unavailable(f"the data directory cannot be used: {refused}") from None


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
