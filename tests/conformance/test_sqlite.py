"""The adapters over one SQLite file keep what the ports promise."""

import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from contracts.codec import CaseKey
from contracts.topics import SCORES
from services.mailer.domain.delivery import Delivery
from services.mailer.outbox.port import Outbox
from services.mailer.outbox.sqlite import SqliteOutbox
from services.runtime.database import Database, table_of
from services.runtime.directory.port import Directory, Person
from services.runtime.directory.sqlite import SqliteDirectory
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.keyring.port import Destroyed, KeyringUnavailable, Vault
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.port import Journal, Log, LogUnavailable, Record
from services.runtime.log.sqlite import SqliteLog
from services.runtime.roster.port import Roster
from services.runtime.roster.sqlite import SqliteRoster
from services.runtime.store.port import (
    UNREADABLE,
    Agenda,
    Appointment,
    Halted,
    Position,
    Store,
    StoredState,
    StoreUnavailable,
    Write,
)
from services.runtime.store.sqlite import SqliteStore
from tests.conformance.away import TakenAway
from tests.conformance.directory import DirectorySuite
from tests.conformance.keyring import KeyringSuite, a_key
from tests.conformance.log import LogAwaySuite, LogSuite
from tests.conformance.outbox import OutboxSuite
from tests.conformance.roster import RosterSuite
from tests.conformance.store import MOMENT, StoreSuite, begun, state

MASTER = MasterKey(bytes(range(32)))
OTHER_MASTER = MasterKey(bytes(range(32, 64)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ontrack.db"


@pytest.fixture
def connection(file: Path) -> Iterator[sqlite3.Connection]:
    database = Database.create(file)
    yield database.connection
    database.close()


@pytest.fixture
def another(file: Path, connection: sqlite3.Connection) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Opens further connections to the file. They can write, as if the lock of the first had come to them."""
    assert connection.total_changes == 0
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        opened.append(sqlite3.connect(file, isolation_level=None))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


@pytest.fixture
def away(connection: sqlite3.Connection) -> TakenAway:
    """Lets SQLite break off whatever it begins."""

    @contextmanager
    def taken_away() -> Iterator[None]:
        connection.set_progress_handler(lambda: 1, 1)
        yield
        connection.set_progress_handler(None, 1)

    return taken_away


class TestLog(LogSuite, LogAwaySuite):
    @pytest.fixture
    def log(self, connection: sqlite3.Connection) -> Journal:
        return SqliteLog(connection)

    @pytest.fixture
    def connected(self, another: Callable[[], sqlite3.Connection]) -> Callable[[], Awaitable[Log]]:
        async def connect() -> Log:
            return SqliteLog(another())

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    async def test_a_log_that_another_holds_is_unavailable_for_a_while(
        self, log: Log, connection: sqlite3.Connection, another: Callable[[], sqlite3.Connection]
    ) -> None:
        # given somebody in the middle of writing the file
        connection.execute("PRAGMA busy_timeout = 0")
        other = another()
        other.execute("BEGIN IMMEDIATE")

        # when a record is appended
        with pytest.raises(LogUnavailable):
            await log.append(SCORES, 3, [Record("a", b"words")])

        # then nothing was written, and the same call can be made when the file is free
        assert await log.end(SCORES, 3) == 0
        other.execute("COMMIT")
        await log.append(SCORES, 3, [Record("a", b"words")])
        assert await log.end(SCORES, 3) == 1

    async def test_a_disk_that_is_full_is_told_as_such_and_changes_nothing(
        self, log: Log, connection: sqlite3.Connection
    ) -> None:
        # given a file that cannot grow any more
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

        # when more is appended than it takes
        large = [Record("a", bytes(100_000))]
        with pytest.raises(LogUnavailable, match="full"):
            await log.append(SCORES, 3, large)

        # then nothing was written, and the same call can be made when there is room
        assert await log.end(SCORES, 3) == 0
        connection.execute("PRAGMA max_page_count = 1000000")
        await log.append(SCORES, 3, large)
        assert await log.end(SCORES, 3) == 1

    async def test_a_record_at_an_offset_that_has_no_next_one_is_not_there(
        self, log: Log, connection: sqlite3.Connection
    ) -> None:
        # given records, of which one was moved as far as can be
        await log.append(SCORES, 3, [Record("a", b"one"), Record("a", b"two"), Record("a", b"three")])
        moved = f'UPDATE {table_of(SCORES, 3)} SET "offset" = ? WHERE "offset" = 1'  # noqa: S608 - ours
        connection.execute(moved, (2**63 - 1,))

        # when the log is read, then there is a hole where it was, and the log goes on behind the last one
        again = SqliteLog(connection)
        assert [record.offset for record in await again.read(SCORES, 3, 0, 10)] == [0, 2]
        assert await again.end(SCORES, 3) == 3
        await again.append(SCORES, 3, [Record("a", b"four")])
        assert [record.value for record in await again.read(SCORES, 3, 2, 10)] == [b"three", b"four"]

    async def test_what_would_stand_where_nobody_reads_it_is_not_appended(
        self, log: Log, connection: sqlite3.Connection
    ) -> None:
        # given a record that was moved to where one more can follow
        await log.append(SCORES, 3, [Record("a", b"one")])
        connection.execute(f'UPDATE {table_of(SCORES, 3)} SET "offset" = ?', (2**63 - 3,))  # noqa: S608 - ours

        # when two are appended, then that is refused, and neither is there; and one that has room is taken
        again = SqliteLog(connection)
        with pytest.raises(LogUnavailable, match="stands where none can follow"):
            await again.append(SCORES, 3, [Record("a", b"two"), Record("a", b"three")])
        await again.append(SCORES, 3, [Record("a", b"two")])
        assert [record.value for record in await SqliteLog(connection).read(SCORES, 3, 0, 10)] == [b"one", b"two"]


class TestStore(StoreSuite):
    @pytest.fixture
    async def store(self, connection: sqlite3.Connection) -> Store:
        return await begun(SqliteStore(connection))

    @pytest.fixture
    def connected(self, another: Callable[[], sqlite3.Connection]) -> Callable[[], Awaitable[Store]]:
        async def connect() -> Store:
            return SqliteStore(another())

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    async def test_a_store_that_another_holds_is_unavailable_for_a_while(
        self, store: Store, connection: sqlite3.Connection, another: Callable[[], sqlite3.Connection]
    ) -> None:
        # given somebody in the middle of writing the file
        connection.execute("PRAGMA busy_timeout = 0")
        other = another()
        other.execute("BEGIN IMMEDIATE")
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: store.save("scoring", [Write("a", None, StoredState(0, 1, 1, 1, b""))]),
            lambda: store.set_position("scoring", 0, Position("log-1", 1)),
            lambda: store.halt("scoring", [Halted("a", 0, 0, "key-missing")]),
            lambda: store.resume("scoring", [Halted("a", 0, 0, "key-missing")]),
        ]

        # when anything is written
        for attempt in attempts:
            with pytest.raises(StoreUnavailable):
                await attempt()

        # then nothing was, and the same calls can be made when the file is free
        assert await store.position("scoring", 0) is None
        other.execute("COMMIT")
        for attempt in attempts:
            await attempt()
        assert await store.position("scoring", 0) == Position("log-1", 1)

    @pytest.mark.parametrize("damaged", ["1999-bad", "2026-01-05"])
    async def test_a_moment_that_was_damaged_keeps_no_other_case_from_its_time(
        self, store: Store, agenda: Agenda, connection: sqlite3.Connection, damaged: str
    ) -> None:
        # given cases that are due, and the moments of the first were damaged
        await store.save("register", [Write(case_id, None, state(0, due=MOMENT)) for case_id in "abcd"])
        connection.execute("UPDATE states SET due = ? WHERE case_id IN ('a', 'b')", (damaged,))

        # when as many are asked for, then the others come
        wanted = [Appointment(MOMENT, "c", 0), Appointment(MOMENT, "d", 0)]
        assert list(await agenda.appointments("register", MOMENT, 2)) == wanted
        assert list(await agenda.appointments("register", MOMENT, 1)) == wanted[:1]

        # and what was damaged is told as such
        assert {each.due for each in (await store.load("register", ["a", "b"])).values()} == {UNREADABLE}

    @pytest.mark.parametrize("damaged", ["hello", 1.5, -1])
    async def test_a_position_that_was_damaged_is_none(
        self, store: Store, connection: sqlite3.Connection, damaged: object
    ) -> None:
        await store.set_position("scoring", 0, Position("log-1", 7))
        connection.execute('UPDATE positions SET "offset" = ?', (damaged,))
        assert await store.position("scoring", 0) is None
        assert (await store.hold("scoring", 0, "somebody")).position is None


class TestKeyring(KeyringSuite):
    @pytest.fixture
    def keyring(self, connection: sqlite3.Connection) -> Vault:
        return SqliteKeyring(connection, MASTER)

    @pytest.fixture
    def connected(self, another: Callable[[], sqlite3.Connection]) -> Callable[[], Awaitable[Vault]]:
        async def connect() -> Vault:
            return SqliteKeyring(another(), MASTER)

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    @pytest.fixture
    def elsewhere(self, connection: sqlite3.Connection) -> Vault:
        return SqliteKeyring(connection, OTHER_MASTER)

    @pytest.mark.parametrize("value", ["'text'", "wrapped || 'x'", "zeroblob(72)", "5"])
    async def test_a_key_that_was_damaged_is_absent_and_no_other_takes_its_place(
        self, connection: sqlite3.Connection, value: str
    ) -> None:
        # given a key that was made and one that was damaged, in a file that knows its master key
        keyring = SqliteKeyring(connection, MASTER)
        keyring.remember_master()
        await keyring.create(["a", "b"])
        connection.execute(f"UPDATE keys SET wrapped = {value} WHERE case_id = 'a'")  # noqa: S608 - ours

        # when both are asked for, then the other one is given
        again = SqliteKeyring(connection, MASTER)
        assert list(await again.keys(["a", "b"])) == ["b"]

        # and what stands there is kept as it is
        (kept,) = connection.execute("SELECT wrapped FROM keys WHERE case_id = 'a'").fetchone()
        with pytest.raises(KeyringUnavailable, match="the key of a case is damaged"):
            await again.create(["a"])
        assert connection.execute("SELECT wrapped FROM keys WHERE case_id = 'a'").fetchone() == (kept,)

    async def test_keys_of_cases_that_are_no_text_are_listed_once(self, connection: sqlite3.Connection) -> None:
        await SqliteKeyring(connection, MASTER).create(["a", "b"])
        connection.execute("UPDATE keys SET case_id = CAST(x'ff' AS TEXT) WHERE case_id = 'b'")
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        assert [case_id async for case_id, _ in SqliteKeyring(connection, MASTER).wrapped()] == ["a", "\ufffd"]

    async def test_keys_made_from_the_same_random_bytes_are_the_same(self, connection: sqlite3.Connection) -> None:
        # given a source of bytes
        keyring = SqliteKeyring(connection, MASTER, random=lambda length: b"r" * length)

        # when a key is made
        created = await keyring.create(["a"])

        # then it is made of them
        key = created["a"]
        assert isinstance(key, CaseKey)
        assert key.secret == b"r" * CaseKey.LENGTH

    async def test_another_master_key_opens_no_keys_and_says_so(self, keyring: Vault, elsewhere: Vault) -> None:
        # given a key that was wrapped by one master key
        await keyring.create(["a"])

        # when it is asked for with another one
        # then that is said in words
        with pytest.raises(MasterKeyUnusable, match="the master key is not the one"):
            await elsewhere.keys(["a"])

    async def test_no_key_stands_in_the_file_in_plain(self, keyring: Vault, file: Path) -> None:
        # given a key in the keyring
        await keyring.adopt({"a": a_key(7)})

        # when everything that was written is searched
        # then the key is not there
        assert not [path for path in _files(file) if a_key(7).secret[:16] in path.read_bytes()]

    async def test_a_destroyed_key_is_nowhere_in_the_files_once_they_are_closed(self, file: Path) -> None:
        # given a key that was written to a file
        wrapped = MASTER.wrap(a_key(7))
        database = Database.create(file)
        await SqliteKeyring(database.connection, MASTER).adopt({"a": a_key(7)})
        database.close()
        assert [path for path in _files(file) if wrapped in path.read_bytes()]

        # when it is destroyed, and the file closed
        database = Database.open(file, write=True)
        await SqliteKeyring(database.connection, MASTER).destroy("a")
        database.close()

        # then not even its wrapped form is left
        assert not [path for path in _files(file) if wrapped in path.read_bytes()]

    async def test_a_destroyed_key_is_nowhere_in_the_files_while_they_are_open(
        self, keyring: Vault, file: Path
    ) -> None:
        # given a key in a file that stays open, as that of a home that serves
        await keyring.adopt({"a": a_key(7)})

        # when it is destroyed
        await keyring.destroy("a")
        assert dict(await keyring.keys(["a"])) == {"a": Destroyed.DESTROYED}

        # then not even its wrapped form is left
        wrapped = MASTER.wrap(a_key(7))
        assert not [path.name for path in _files(file) if wrapped in path.read_bytes()]

    async def test_a_key_that_is_destroyed_while_somebody_reads_has_to_be_destroyed_again(
        self,
        keyring: Vault,
        connection: sqlite3.Connection,
        another: Callable[[], sqlite3.Connection],
        file: Path,
    ) -> None:
        # given a key in a file that somebody is in the middle of reading
        wrapped = MASTER.wrap(a_key(7))
        await keyring.adopt({"a": a_key(7)})
        reader = another()
        reader.execute("BEGIN")
        assert reader.execute("SELECT wrapped FROM keys").fetchall() == [(wrapped,)]
        connection.execute("PRAGMA busy_timeout = 0")

        # when it is destroyed, twice
        for _ in range(2):
            with pytest.raises(KeyringUnavailable) as unfinished:
                await keyring.destroy("a")

        # then it says that the key is gone and where its bytes remain, and so it is
        assert "is deleted, but its old bytes remain in the -wal file" in str(unfinished.value)
        assert dict(await keyring.keys(["a"])) == {"a": Destroyed.DESTROYED}
        assert [path.name for path in _files(file) if wrapped in path.read_bytes()]

        # and when nobody reads any more, destroying it again leaves nothing
        reader.execute("COMMIT")
        await keyring.destroy("a")
        assert not [path.name for path in file.parent.iterdir() if wrapped in path.read_bytes()]

    async def test_what_was_left_of_a_destroyed_key_goes_when_the_file_is_opened_for_writing(
        self, file: Path, tmp_path: Path
    ) -> None:
        # given a file as a process left it that was killed right after it destroyed a key that somebody was reading
        wrapped = MASTER.wrap(a_key(7))
        database = Database.create(file)
        await SqliteKeyring(database.connection, MASTER).adopt({"a": a_key(7)})
        database.connection.execute("UPDATE keys SET wrapped = NULL")
        left = tmp_path / "left"
        left.mkdir()
        for path in _files(file):
            shutil.copy(path, left)
        database.close()
        left_file = left / file.name
        assert [path.name for path in _files(left_file) if wrapped in path.read_bytes()]

        # when it is opened for writing
        database = Database.open(left_file, write=True)

        # then nothing is left of the key, though the file is still open
        assert not [path.name for path in left.iterdir() if wrapped in path.read_bytes()]
        database.close()


class TestDirectory(DirectorySuite):
    @pytest.fixture
    def keys(self, connection: sqlite3.Connection) -> Vault:
        return SqliteKeyring(connection, MASTER)

    @pytest.fixture
    def directory(self, connection: sqlite3.Connection, keys: Vault) -> Directory:
        return SqliteDirectory(connection, keys)

    @pytest.fixture
    def connected(self, another: Callable[[], sqlite3.Connection]) -> Callable[[], Awaitable[Directory]]:
        async def connect() -> Directory:
            connection = another()
            return SqliteDirectory(connection, SqliteKeyring(connection, MASTER))

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    async def test_nobody_stands_in_the_file_in_plain(self, directory: Directory, file: Path) -> None:
        # given a person who was entered
        await directory.enter({"a": Person("north-clinic", "0101801234")})

        # when everything that was written is searched
        # then neither clinic nor number is there
        written = b"".join(path.read_bytes() for path in _files(file))
        assert b"north-clinic" not in written
        assert b"0101801234" not in written


class TestRoster(RosterSuite):
    @pytest.fixture
    def roster(self, connection: sqlite3.Connection) -> Roster:
        return SqliteRoster(connection)

    @pytest.fixture
    def connected(self, another: Callable[[], sqlite3.Connection]) -> Callable[[], Awaitable[Roster]]:
        async def connect() -> Roster:
            return SqliteRoster(another())

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away


class TestOutbox(OutboxSuite):
    @pytest.fixture
    def outbox(self, connection: sqlite3.Connection) -> Outbox:
        return SqliteOutbox(connection)

    @pytest.fixture
    def connected(self, another: Callable[[], sqlite3.Connection]) -> Callable[[], Awaitable[Outbox]]:
        async def connect() -> Outbox:
            return SqliteOutbox(another())

        return connect

    @pytest.fixture
    def damage(self, connection: sqlite3.Connection) -> Callable[[Delivery], Awaitable[None]]:
        async def change(delivery: Delivery) -> None:
            place = delivery.notice, delivery.recipient
            connection.execute("UPDATE outbox SET body = '{' WHERE notice = ? AND recipient = ?", place)

        return change

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away


def _files(file: Path) -> list[Path]:
    """The file, and what SQLite keeps beside it."""
    return sorted(file.parent.glob(f"{file.name}*"))
