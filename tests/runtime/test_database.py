"""The file of an embedded home and its master key: who may write, whose it is, and what an accident leaves behind."""

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from contracts.codec import CaseKey
from contracts.topics import SCORES
from services.runtime.database import (
    APPLICATION_ID,
    SCHEMA,
    AnotherWriter,
    Database,
    DatabaseUnavailable,
    transaction,
)
from services.runtime.keyring.master import MASTER_LENGTH, MasterKey, MasterKeyUnusable
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.port import Record, StoredRecord
from services.runtime.log.sqlite import SqliteLog
from services.runtime.refusals import NotAHome
from services.runtime.store.port import Position
from services.runtime.store.sqlite import SqliteStore
from tests.failures.disks import small_disk

ROOT = Path(__file__).resolve().parents[2]

Opening = Callable[[Path], Database]

WAYS_TO_WRITE = [Database.create, lambda file: Database.open(file, write=True)]
EVERY_WAY = [*WAYS_TO_WRITE, lambda file: Database.open(file, write=False)]

to_write = pytest.mark.parametrize("opening", WAYS_TO_WRITE, ids=["create", "open to write"])
every_way = pytest.mark.parametrize("opening", EVERY_WAY, ids=["create", "open to write", "open to read"])

DURABLE = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
"""How a home is written; 2 is FULL."""

HOLD = """
import sys
from pathlib import Path
from services.runtime.database import Database
database = Database.open(Path(sys.argv[1]), write=True)
print("writing", flush=True)
sys.stdin.read()
"""
"""A program that writes a home until its input ends."""

DIE = """
import os, sqlite3, sys
from pathlib import Path
from services.runtime.database import Database

class Dying(sqlite3.Connection):
    left = int(sys.argv[2])
    def execute(self, *arguments):
        if Dying.left == 0:
            os._exit(9)
        Dying.left -= 1
        return super().execute(*arguments)

connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **named: connect(*arguments, factory=Dying, **named)
Database.create(Path(sys.argv[1])).close()
"""
"""A program that makes a home and dies after so many statements."""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "master.key"


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@contextmanager
def writing(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the file."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process


async def is_in_order(file: Path) -> bool:
    """Whether a file can be written and read, in every table that the ports use."""
    database = Database.open(file, write=True)
    log, store = SqliteLog(database.connection), SqliteStore(database.connection)
    await log.append(SCORES, 0, [Record("a", b"words")])
    await store.set_position("scoring", 0, Position("log-1", 1))
    await SqliteKeyring(database.connection, MasterKey(bytes(MASTER_LENGTH))).create(["a"])
    database.close()
    database = Database.open(file, write=False)
    read = await SqliteLog(database.connection).read(SCORES, 0, 0, 10)
    database.close()
    return list(read) == [StoredRecord(0, "a", b"words")]


def mark(file: Path, *, application_id: int, version: int) -> None:
    """Make a file say whose it is, and in which format."""
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE IF NOT EXISTS anything (thing)")
    connection.execute(f"PRAGMA application_id = {application_id}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


# Who writes


@to_write
def test_a_second_writer_is_refused_with_words(file: Path, opening: Opening) -> None:
    # given a home that is being written
    first = Database.create(file)

    # when it is opened for writing again
    with pytest.raises(AnotherWriter) as refused:
        opening(file)

    # then it says where, and what to do
    assert str(refused.value) == (
        f"another process is writing {file.parent} (pid {os.getpid()}). If it is a running ontrack up, end it, unless "
        "it can be asked over HTTP for what is wanted; if it is another command, wait until it is done"
    )

    # and the first goes on, and leaves it to the next
    first.connection.execute("INSERT INTO keys VALUES ('a', NULL)")
    first.close()
    opening(file).close()


@to_write
def test_a_writer_in_another_process_is_respected(file: Path, opening: Opening) -> None:
    # given a home that another process is writing
    Database.create(file).close()
    with writing(file) as other:
        # when it is opened for writing
        # then that is refused
        with pytest.raises(AnotherWriter, match=rf"another process is writing .* \(pid {other.pid}\)"):
            opening(file)
        other.communicate("")

    # until the other is done
    opening(file).close()


def test_a_writer_in_this_process_is_respected_by_others(file: Path) -> None:
    # given a home that this process is writing
    database = Database.create(file)

    # when another process opens it for writing
    other = run(HOLD, file)
    database.close()

    # then that is refused
    assert other.returncode != 0
    assert "AnotherWriter: another process is writing" in other.stderr


async def test_a_writer_that_was_killed_is_no_longer_in_the_way(file: Path) -> None:
    # given a home that another process is writing
    Database.create(file).close()
    with writing(file) as other:
        # when that process is killed
        other.send_signal(signal.SIGKILL)
        other.wait()

    # then the next one can write
    assert await is_in_order(file)


def test_opening_to_read_leaves_the_writer_in_peace(file: Path) -> None:
    # given a home that is being written
    writer = Database.create(file)

    # when it is opened to read, twice
    readers = [Database.open(file, write=False) for _ in range(2)]

    # then what is committed can be read at once, and nothing else
    writer.connection.execute("INSERT INTO keys VALUES ('a', NULL)")
    with transaction(writer.connection):
        writer.connection.execute("INSERT INTO keys VALUES ('b', NULL)")
        for reader in readers:
            assert reader.connection.execute("SELECT case_id FROM keys").fetchall() == [("a",)]
    for reader in readers:
        assert reader.connection.execute("SELECT count(*) FROM keys").fetchone() == (2,)
        reader.close()
    writer.close()


def test_a_reader_cannot_write(file: Path) -> None:
    # given a home that was opened to read
    Database.create(file).close()
    reader = Database.open(file, write=False)

    # when something is written
    # then that is refused
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.connection.execute("INSERT INTO keys VALUES ('a', NULL)")
    reader.close()


def test_a_home_that_nobody_writes_can_be_read(file: Path) -> None:
    # given a home that was closed
    writer = Database.create(file)
    writer.connection.execute("INSERT INTO keys VALUES ('a', NULL)")
    writer.close()

    # when it is opened to read
    reader = Database.open(file, write=False)

    # then everything is there
    assert reader.connection.execute("SELECT case_id FROM keys").fetchall() == [("a",)]
    reader.close()


def test_closing_twice_is_closing_once(file: Path) -> None:
    # given a home that was closed, and opened by the next
    first = Database.create(file)
    first.close()
    second = Database.open(file, write=True)

    # when the first is closed again
    first.close()

    # then the second still holds it
    with pytest.raises(AnotherWriter):
        Database.open(file, write=True)
    second.close()


def test_a_transaction_is_written_whole_or_not_at_all(file: Path) -> None:
    # given a home
    database = Database.create(file)

    # when something goes wrong in the middle of a transaction
    with pytest.raises(sqlite3.IntegrityError), transaction(database.connection):
        database.connection.executemany("INSERT INTO keys VALUES (?, NULL)", [("a",), ("a",)])

    # then nothing of it is there, and the next one can be made
    assert database.connection.execute("SELECT count(*) FROM keys").fetchone() == (0,)
    with transaction(database.connection):
        database.connection.execute("INSERT INTO keys VALUES ('b', NULL)")
    assert database.connection.execute("SELECT count(*) FROM keys").fetchone() == (1,)
    database.close()


@to_write
def test_whoever_writes_waits_until_it_is_on_disk(file: Path, opening: Opening) -> None:
    # given a home
    Database.create(file).close()

    # when it is opened for writing
    database = opening(file)
    asked = {name: database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in DURABLE}
    database.close()

    # then every commit goes to the write-ahead log and is on disk when it returns, and what is deleted is overwritten
    assert asked == DURABLE


# Whose file it is


@every_way
@pytest.mark.parametrize(
    "content",
    [b"a letter to a friend", b"a letter to a friend" * 1_000, bytes(range(256)) * 64],
    ids=["short text", "long text", "bytes"],
)
def test_a_file_that_is_no_database_is_refused_with_words(file: Path, opening: Opening, content: bytes) -> None:
    # given some other file
    file.write_bytes(content)

    # when it is opened as a home
    # then it is called what it is not, and left alone
    with pytest.raises(NotAHome, match=re.escape(f"{file} is not an OnTrack database")):
        opening(file)
    assert file.read_bytes() == content


@every_way
@pytest.mark.parametrize("application_id", [0, 1, APPLICATION_ID - 1])
def test_the_database_of_another_program_is_refused_with_words(
    file: Path, opening: Opening, application_id: int
) -> None:
    # given the database of another program
    mark(file, application_id=application_id, version=SCHEMA)
    content = file.read_bytes()

    # when it is opened as a home
    # then it is called what it is not, and left alone
    with pytest.raises(NotAHome, match=re.escape(f"{file} is not an OnTrack database")):
        opening(file)
    assert file.read_bytes() == content


@every_way
@pytest.mark.parametrize("version", [0, SCHEMA + 1, 99])
def test_a_home_of_another_format_is_refused_with_the_way_out(file: Path, opening: Opening, version: int) -> None:
    # given a home of another version of OnTrack
    mark(file, application_id=APPLICATION_ID, version=version)
    content = file.read_bytes()

    # when it is opened
    with pytest.raises(NotAHome) as refused:
        opening(file)

    # then both formats are named, and what to do, and it is left alone
    words = str(refused.value)
    assert str(file) in words
    assert f"format {version}, here {SCHEMA}" in words
    assert (
        "make a backup with that version (ontrack backup FILE), and restore it with this one into a directory" in words
    )
    assert file.read_bytes() == content


@every_way
def test_a_refused_file_is_not_held(file: Path, opening: Opening) -> None:
    # given a file that was refused
    file.write_bytes(b"a letter to a friend")
    with pytest.raises(NotAHome):
        opening(file)

    # when a home takes its place
    file.unlink()

    # then nobody is in the way
    Database.create(file).close()


@every_way
def test_a_home_that_cannot_be_opened_just_now_is_not_called_another_program_s(file: Path, opening: Opening) -> None:
    # given a home in whose way something stands
    Database.create(file).close()
    obstacle = file.with_name(f"{file.name}-wal")
    obstacle.mkdir()

    # when it is opened
    # then it is said what the system says
    with pytest.raises(DatabaseUnavailable, match=re.escape(f"{file}: unable to open database file")):
        opening(file)

    # and when nothing is in its way any more, it can be opened
    obstacle.rmdir()
    opening(file).close()


@pytest.mark.parametrize("write", [False, True])
def test_an_empty_file_is_no_home_yet(file: Path, *, write: bool) -> None:
    # given a file with nothing in it
    file.touch()

    # when it is opened as a home
    # then it is none
    with pytest.raises(NotAHome, match="is not an OnTrack database"):
        Database.open(file, write=write)


# Making one


async def test_a_home_that_is_there_is_opened_by_making_it(file: Path) -> None:
    # given a home with a record
    database = Database.create(file)
    await SqliteLog(database.connection).append(SCORES, 0, [Record("a", b"words")])
    database.close()

    # when it is made again
    database = Database.create(file)

    # then it is as it was
    assert await SqliteLog(database.connection).end(SCORES, 0) == 1
    database.close()


async def test_a_home_whose_making_was_interrupted_is_finished_by_making_it_again(tmp_path: Path) -> None:
    finished = tmp_path / "finished.db"
    Database.create(finished).close()
    for statements in count():
        # given a process that dies while it makes a home, after so many statements
        file = tmp_path / f"after-{statements}.db"
        made = run(DIE, file, statements)
        assert made.returncode in {0, 9}, made.stderr

        # when it is made again
        Database.create(file).close()

        # then it is like one that was made at once
        assert described(file) == described(finished)
        assert await is_in_order(file)
        if made.returncode == 0:
            break
    assert statements > 10


def described(file: Path) -> tuple[object, ...]:
    """What a file says of itself: whose it is, its format, its page size, its tables."""
    connection = sqlite3.connect(file)
    about = [
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version", "page_size")
    ]
    tables = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    return (*about, tables)


# The master key


def test_a_master_key_is_for_its_owner_alone(key_file: Path) -> None:
    # given a generous setting of who may read new files
    before = os.umask(0)
    try:
        # when a master key is made
        MasterKey.create(key_file)
    finally:
        os.umask(before)

    # then nobody else can read it, and nothing lies beside it
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert list(key_file.parent.iterdir()) == [key_file]


def test_a_master_key_that_is_read_is_the_one_that_was_made(key_file: Path) -> None:
    # given a master key that was made
    made = MasterKey.create(key_file)
    wrapped = made.wrap(CaseKey(bytes(range(64))))

    # when it is read
    read = MasterKey.read(key_file)

    # then it opens what the other has wrapped, and gives the same case ids
    assert read.unwrap(wrapped).secret == bytes(range(64))
    assert read.case_id("north", "17") == made.case_id("north", "17")


def test_two_master_keys_are_never_the_same(tmp_path: Path) -> None:
    # given two master keys
    first, second = (MasterKey.create(tmp_path / f"{n}.key") for n in range(2))

    # when they give a case id
    # then it is not the same
    assert first.case_id("north", "17") != second.case_id("north", "17")


def test_a_master_key_is_never_overwritten(key_file: Path) -> None:
    # given a master key
    MasterKey.create(key_file)
    content = key_file.read_bytes()

    # when another one is made in its place
    with pytest.raises(FileExistsError):
        MasterKey.create(key_file)

    # then it is as it was, and nothing lies beside it
    assert key_file.read_bytes() == content
    assert list(key_file.parent.iterdir()) == [key_file]


def test_a_master_key_whose_making_was_interrupted_is_made_by_trying_again(key_file: Path) -> None:
    # given what is left when a process with this very number, as the first in a container, dies while it makes a key
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from services.runtime.keyring.master import MasterKey\n"
        "os.getpid = lambda: int(sys.argv[2])\n"
        "os.fsync = lambda *_: os._exit(9)\n"
        "MasterKey.create(Path(sys.argv[1]))\n"
    )
    assert run(program, key_file, os.getpid()).returncode == 9
    assert not key_file.exists()

    # when it is made again
    MasterKey.create(key_file)

    # then it is there
    MasterKey.read(key_file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777])
def test_a_master_key_that_is_open_to_others_is_refused_with_what_to_do(key_file: Path, mode: int) -> None:
    # given a master key that others can get at
    MasterKey.create(key_file)
    key_file.chmod(mode)

    # when it is read
    # then it is refused, and the command that mends it is named
    with pytest.raises(MasterKeyUnusable) as refused:
        MasterKey.read(key_file)
    assert str(refused.value) == f"{key_file} is open to others: run chmod 600 {key_file}"

    # and the command does mend it
    key_file.chmod(0o600)
    MasterKey.read(key_file)


def test_a_master_key_may_be_for_reading_only(key_file: Path) -> None:
    # given a master key that its owner can only read
    MasterKey.create(key_file)
    key_file.chmod(0o400)

    # when it is read
    # then it is taken
    MasterKey.read(key_file)


@every_way
def test_a_full_disk_is_told_as_what_it_is(tmp_path: Path, opening: Opening) -> None:
    # given a home that was closed in order, and a disk that is full since
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        Database.create(disk.folder / "ontrack.db").close()
        disk.fill()

        # when it is opened, also to read
        # then it is said what to do
        with pytest.raises(DatabaseUnavailable, match=r"ontrack.db: the disk is full \(.+\): make room$"):
            opening(disk.folder / "ontrack.db")


def test_a_missing_master_key_is_refused_with_what_to_do(key_file: Path) -> None:
    # given no master key
    # when it is read
    # then that is said, and where to look
    with pytest.raises(MasterKeyUnusable) as refused:
        MasterKey.read(key_file)
    assert str(refused.value) == f"{key_file} is missing: put the master key back from where you keep its copy"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not a key",
        b64encode(bytes(MASTER_LENGTH - 1)),
        b64encode(bytes(MASTER_LENGTH + 1)),
        b64encode(bytes(MASTER_LENGTH))[:-2],
        b"!" + b64encode(bytes(MASTER_LENGTH)),
        bytes(range(128, 160)),
        bytes(MASTER_LENGTH),
    ],
    ids=["empty", "blank", "words", "too short", "too long", "cut off", "a sign too many", "no text", "raw bytes"],
)
def test_a_garbled_master_key_is_refused_with_what_to_do(key_file: Path, content: bytes) -> None:
    # given a file that holds no master key
    key_file.write_bytes(content)
    key_file.chmod(0o600)

    # when it is read
    with pytest.raises(MasterKeyUnusable) as refused:
        MasterKey.read(key_file)

    # then that is said, and where to look, and nothing of what it holds
    assert str(refused.value) == f"{key_file} is not a master key: put it back from where you keep its copy"


def test_a_master_key_that_cannot_be_read_is_refused_with_words(key_file: Path) -> None:
    # given a folder in the place of the master key
    key_file.mkdir()

    # when it is read
    # then that is said
    with pytest.raises(MasterKeyUnusable, match=f"{re.escape(str(key_file))} cannot be read"):
        MasterKey.read(key_file)


async def test_another_master_key_does_not_open_the_keys_of_a_home(file: Path, key_file: Path) -> None:
    # given a home with a key
    database = Database.create(file)
    await SqliteKeyring(database.connection, MasterKey.create(key_file)).create(["a"])

    # when it is opened with another master key
    other = SqliteKeyring(database.connection, MasterKey.create(key_file.with_name("other.key")))

    # then that is said in words
    with pytest.raises(MasterKeyUnusable, match="the master key is not the one that the case keys were wrapped with"):
        await other.keys(["a"])
    database.close()
