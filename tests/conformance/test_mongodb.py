"""The adapters over MongoDB keep what the ports promise."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from typing import cast
from urllib.parse import urlsplit

import pytest

from contracts.codec import CaseKey
from services.mailer.domain.delivery import Delivery
from services.mailer.outbox.mongo import OUTBOX, MongoOutbox
from services.mailer.outbox.port import Outbox
from services.runtime.copies.mongo import MongoCopies
from services.runtime.copies.port import Copies
from services.runtime.directory.mongo import DIRECTORY, NAME, MongoDirectory
from services.runtime.directory.port import Directory, Person
from services.runtime.documents import Documents, Server
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.keyring.port import Destroyed, Vault
from services.runtime.roster.mongo import MongoRoster
from services.runtime.roster.port import Roster
from services.runtime.store.mongo import DUE, POSITIONS, MongoStore, states_of
from services.runtime.store.port import (
    UNREADABLE,
    Agenda,
    Appointment,
    Held,
    Position,
    StatesLost,
    StatesReplaced,
    Store,
    StoreUnavailable,
    Write,
)
from tests.conformance.away import TakenAway
from tests.conformance.copies import CopiesSuite
from tests.conformance.directory import DirectorySuite
from tests.conformance.keyring import KeyringSuite
from tests.conformance.outbox import OutboxSuite
from tests.conformance.roster import RosterSuite
from tests.conformance.store import APPLIED, MOMENT, StoreSuite, begun, saved, state
from tests.support.proxy import Line, Proxy
from tests.support.removed import remove_database
from tests.support.servers import database_of_its_own, mongodb

MASTER = MasterKey(bytes(range(32)))
OTHER_MASTER = MasterKey(bytes(range(32, 64)))


@pytest.fixture
async def behind() -> AsyncIterator[Server]:
    """The server, without the line in between."""
    async with database_of_its_own(mongodb()) as server:
        yield server


@pytest.fixture
def line(behind: Server) -> Iterator[Proxy]:
    """The only way to the server."""
    where = urlsplit(behind.url)
    assert where.hostname is not None
    assert where.port is not None
    with Proxy(where.hostname, where.port) as proxy:
        yield proxy


@pytest.fixture
def server(behind: Server, line: Proxy) -> Server:
    return replace(behind, url=f"mongodb://127.0.0.1:{line.port}/", timeout=2.0)


@pytest.fixture
async def documents(server: Server) -> AsyncIterator[Documents]:
    async with Documents(server) as documents:
        yield documents


@pytest.fixture
def another(server: Server) -> Iterator[Callable[[], Documents]]:
    """Opens further connections to the database."""
    opened: list[Documents] = []

    def connect() -> Documents:
        opened.append(Documents(server))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


@pytest.fixture
def away(line: Proxy) -> TakenAway:
    """Breaks the line off."""

    @contextmanager
    def taken_away() -> Iterator[None]:
        line.set(Line.CUT)
        yield
        line.set(Line.OPEN)

    return taken_away


class TestStore(StoreSuite):
    @pytest.fixture
    async def store(self, documents: Documents) -> Store:
        return await begun(MongoStore(documents))

    @pytest.fixture
    def connected(self, another: Callable[[], Documents]) -> Callable[[], Awaitable[Store]]:
        async def connect() -> Store:
            return MongoStore(another())

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    async def test_a_write_whose_answer_is_lost_is_settled_by_reading_back(
        self, store: Store, line: Proxy, behind: Server
    ) -> None:
        # given a state, and a line on which answers are held up
        await saved(store, [("a", None, 3)])
        line.set(Line.MUTE)

        # when another is written, and the connection breaks off before the server can say so
        saving = asyncio.create_task(saved(store, [("a", 3, 9), ("b", None, 4)]))
        async with Documents(behind) as direct:
            while dict(await MongoStore(direct).load("scoring", ["a", "b"])) != {"a": state(9), "b": state(4)}:
                assert not saving.done()
        line.set(Line.CUT)
        line.set(Line.OPEN)

        # then it is known to be there, and by whom
        assert await saving == [APPLIED, APPLIED]

    async def test_states_that_are_gone_are_not_taken_for_cases_that_are_new(
        self, store: Store, documents: Documents
    ) -> None:
        # given a state
        await saved(store, [("a", None, 3)])

        # when the collection is dropped
        await documents.remove_all(states_of("scoring"))

        # then the store says so, and only of that stage
        for asked in (["a"], ["b"]):
            with pytest.raises(StatesLost, match="the states of scoring are gone"):
                await store.load("scoring", asked)
        assert dict(await store.load("notifier", ["a"])) == {}

    async def test_states_that_somebody_has_begun_anew_are_not_those_that_were_there(
        self, store: Store, connected: Callable[[], Awaitable[Store]]
    ) -> None:
        # given a state, and the name of the place where it was seen
        await saved(store, [("a", None, 3)])
        place = await store.begin("scoring")
        assert dict(await store.load("scoring", ["a"], place)) == {"a": state(3)}

        # when somebody else clears the stage and begins it again
        other = await connected()
        await other.clear("scoring")
        await other.begin("scoring")

        # then whoever saw the states that were there is told at every try that they are gone
        for _ in range(3):
            with pytest.raises(StatesLost):
                await store.load("scoring", ["a"], place)

        # and who takes a partition now goes on with what is there
        held = await store.hold("scoring", 0, "somebody")
        assert held.states is not None
        assert dict(await store.load("scoring", ["a"], held.states)) == {}

    async def test_a_position_does_not_go_with_states_that_were_begun_anew_by_another_partition(
        self, store: Store, documents: Documents
    ) -> None:
        # given a partition that has come somewhere
        await store.begin("scoring")
        held = await store.hold("scoring", 1, "somebody")
        await store.set_position("scoring", 1, Position("log", 8), "somebody")
        assert held.states is not None

        # when the states are lost, and a partition where nothing had been done yet begins
        await documents.remove_all(states_of("scoring"))
        await store.begin("scoring")
        assert (await store.hold("scoring", 2, "somebody")).states is not None

        # then whoever takes up the first one is told that its states are gone, and by the second they are kept on with
        for owner in ("somebody", "somebody else"):
            assert await store.hold("scoring", 1, owner) == Held(Position("log", 8), None)
        assert (await store.hold("scoring", 2, "somebody else")).states is not None

    async def test_a_moment_that_was_damaged_keeps_no_other_case_from_its_time(
        self, store: Store, agenda: Agenda, documents: Documents
    ) -> None:
        # given cases that are due, and the moments of the first were damaged
        await store.save("register", [Write(case_id, None, state(0, due=MOMENT)) for case_id in "abcd"])
        for case_id, damaged in {"a": "1999-bad", "b": "2026-01-05"}.items():
            assert await documents.set_where(states_of("register"), {"_id": case_id}, {DUE: damaged})

        # when as many are asked for, then the others come
        wanted = [Appointment(MOMENT, "c", 0), Appointment(MOMENT, "d", 0)]
        assert list(await agenda.appointments("register", MOMENT, 2)) == wanted
        assert list(await agenda.appointments("register", MOMENT, 1)) == wanted[:1]

        # and what was damaged is told as such
        assert {each.due for each in (await store.load("register", ["a", "b"])).values()} == {UNREADABLE}

    @pytest.mark.parametrize("damaged", ["hello", 1.5, -1])
    async def test_a_position_that_was_damaged_is_none(
        self, store: Store, documents: Documents, damaged: object
    ) -> None:
        await store.set_position("scoring", 0, Position("log-1", 7))
        assert await documents.set_where(POSITIONS, {"stage": "scoring"}, {"offset": damaged})
        assert await store.position("scoring", 0) is None
        assert (await store.hold("scoring", 0, "somebody")).position is None

    async def test_nobody_takes_up_a_partition_while_states_are_replaced(
        self, store: Store, documents: Documents
    ) -> None:
        # given states that somebody has begun to replace, and was killed then
        await saved(store, [("a", None, 3)])
        await store.hold("scoring", 1, "somebody")
        await documents.put(states_of("scoring"), {"": {"shut": True}})

        # when somebody takes a partition up, or goes on with one, then that has to wait
        for call in (store.hold("scoring", 1, "other"), store.load("scoring", ["a"]), store.begin("scoring")):
            with pytest.raises(StoreUnavailable, match="what scoring knows is being replaced"):
                await call

        # and when that is done again, it is over
        await store.begin("fresh.scoring")
        await saved(store, [("a", None, 7)], stage="fresh.scoring")
        await store.take_place("scoring", "fresh.scoring", {1: Position("log", 8)})
        held = await store.hold("scoring", 1, "other")
        assert held.position == Position("log", 8)
        assert dict(await store.load("scoring", ["a"], held.states)) == {"a": state(7)}

    async def test_a_replacement_that_is_broken_off_anywhere_is_finished_when_it_is_done_again(
        self, documents: Documents
    ) -> None:
        broken = 0
        for calls in count(1):
            # given states, and others that were made anew, and somebody who dies after so many calls of the database
            stage, fresh = f"scoring{calls}", f"fresh.scoring{calls}"
            store, dying = MongoStore(documents), MongoStore(cast("Documents", _Dying(documents, calls)))
            await store.begin(stage)
            await saved(store, [("a", None, 3), ("gone", None, 4)], stage=stage)
            await store.hold(stage, 1, "somebody")
            await _made_anew(store, fresh)
            try:
                await dying.take_place(stage, fresh, {1: Position("log", 8)})
            except _Died:
                broken += 1
            else:
                break

            # when it is done again, with what is there of what was made anew
            await _made_anew(store, fresh)
            await store.take_place(stage, fresh, {1: Position("log", 8)})

            # then the stage goes on from that and nothing else
            held = await store.hold(stage, 1, "somebody else")
            assert held.position == Position("log", 8), calls
            assert dict(await store.load(stage, ["a", "gone"], held.states)) == {"a": state(7)}, calls
        assert broken > 10

    @pytest.mark.parametrize("who", ["who is refused", "who replaces the same"])
    async def test_what_others_do_meanwhile_leaves_nothing_by_halves_that_can_be_gone_on_with(
        self, documents: Documents, who: str
    ) -> None:
        outcomes = set[str]()
        for calls in count(1):
            # given states, others that were made anew, and somebody who puts these in their place
            stage, fresh, whole = f"scoring{calls}", f"fresh.scoring{calls}", {1: Position("log", 8)}
            store = MongoStore(documents)
            await store.begin(stage)
            await saved(store, [("a", None, 3), ("gone", None, 4)], stage=stage)
            await store.set_position(stage, 1, Position("log", 5))
            await _made_anew(store, fresh)

            # when another one clears away what was made anew, or puts it in place as well, before some call
            does = partial(store.take_place, stage, fresh, whole) if "same" in who else partial(store.clear, fresh)
            interrupted = _Interrupted(documents, calls, does)
            try:
                await MongoStore(cast("Documents", interrupted)).take_place(stage, fresh, whole)
                outcome = "done"
            except StatesLost:
                outcome = "told"
            if not interrupted.is_over:
                break

            # then nobody goes on with it, or all of it is there, or nothing was touched
            try:
                held = await store.hold(stage, 1, "somebody")
            except StatesReplaced:
                assert outcome == "told", calls
                outcomes.add("shut")
                continue
            known = dict(await store.load(stage, ["a", "gone"], held.states))
            found = held.position, known
            untouched = Position("log", 5), {"a": state(3), "gone": state(4)}
            assert found in [(whole[1], {"a": state(7)}), *([untouched] if outcome == "told" else ())], calls
            outcomes.add(outcome)
        assert outcomes == {"shut", "told", "done"}


async def _made_anew(store: MongoStore, fresh: str) -> None:
    """Make states anew, as far as they are not there: where they have a position, they are."""
    await store.begin(fresh)
    if await store.position(fresh, 1) is None:
        standing = await store.load(fresh, ["a"])
        if not standing:
            await saved(store, [("a", None, 7)], stage=fresh)
        await store.set_position(fresh, 1, Position("log", 8))


class _Died(Exception):
    """Somebody was killed right before a call."""


class _Dying:
    """A database of which so many things can be asked, and no more."""

    def __init__(self, documents: Documents, calls: int) -> None:
        self._documents = documents
        self._left = calls

    def __getattr__(self, name: str) -> object:
        self._left -= 1
        if self._left < 0:
            raise _Died
        return getattr(self._documents, name)


class _Interrupted:
    """A database of which so many things are asked before somebody else does something."""

    def __init__(self, documents: Documents, calls: int, does: Callable[[], Awaitable[None]]) -> None:
        self._documents = documents
        self._left = calls
        self._does = does

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    def __getattr__(self, name: str) -> object:
        call = getattr(self._documents, name)

        async def asked(*values: object, **named: object) -> object:
            self._left -= 1
            if self._left == 0:
                await self._does()
            return await call(*values, **named)

        return call if name == "ids" else asked


async def founded(documents: Documents) -> MongoKeyring:
    """A keyring in a database that knows its master key."""
    keyring = MongoKeyring(documents, MASTER)
    await keyring.remember_master()
    return keyring


class TestKeyring(KeyringSuite):
    @pytest.fixture
    async def keyring(self, documents: Documents) -> Vault:
        return await founded(documents)

    @pytest.fixture
    def connected(self, another: Callable[[], Documents]) -> Callable[[], Awaitable[Vault]]:
        async def connect() -> Vault:
            return MongoKeyring(another(), MASTER)

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    @pytest.fixture
    def elsewhere(self, documents: Documents) -> Vault:
        return MongoKeyring(documents, OTHER_MASTER)

    async def test_a_database_that_has_lost_its_keys_makes_no_new_ones(self, server: Server, keyring: Vault) -> None:
        # given a database that had the key of a case, and has lost all that it held
        await keyring.create(["a"])
        await remove_database(server)

        # when a key is asked for, for that case or another
        # then none is made, since the old one may come back
        with pytest.raises(MasterKeyUnusable, match="has lost its keys"):
            await keyring.create(["a"])
        assert dict(await keyring.keys(["a"])) == {}


class TestDirectory(DirectorySuite):
    @pytest.fixture
    async def keys(self, documents: Documents) -> Vault:
        return await founded(documents)

    @pytest.fixture
    async def directory(self, documents: Documents, keys: Vault) -> Directory:
        await documents.create_index(DIRECTORY, NAME, unique=True)
        return MongoDirectory(documents, keys)

    @pytest.fixture
    def connected(self, another: Callable[[], Documents]) -> Callable[[], Awaitable[Directory]]:
        async def connect() -> Directory:
            documents = another()
            return MongoDirectory(documents, MongoKeyring(documents, MASTER))

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away

    async def test_who_is_entered_while_the_case_is_erased_is_not_kept(self, documents: Documents, keys: Vault) -> None:
        # given somebody whose case is erased right after its key was looked at
        class ErasedMeanwhile(MongoKeyring):
            async def create(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
                found = await super().create(case_ids)
                await keys.destroy("a")
                return found

        await documents.create_index(DIRECTORY, NAME, unique=True)
        directory = MongoDirectory(documents, ErasedMeanwhile(documents, MASTER))

        # when they are entered, with somebody else
        await directory.enter({"a": Person("north", "P-17"), "b": Person("north", "P-18")})

        # then only the other one is there
        assert [person.case_id async for person in directory.sealed()] == ["b"]


class TestRoster(RosterSuite):
    @pytest.fixture
    def roster(self, documents: Documents) -> Roster:
        return MongoRoster(documents)

    @pytest.fixture
    def connected(self, another: Callable[[], Documents]) -> Callable[[], Awaitable[Roster]]:
        async def connect() -> Roster:
            return MongoRoster(another())

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away


class TestOutbox(OutboxSuite):
    @pytest.fixture
    def outbox(self, documents: Documents) -> Outbox:
        return MongoOutbox(documents)

    @pytest.fixture
    def connected(self, another: Callable[[], Documents]) -> Callable[[], Awaitable[Outbox]]:
        async def connect() -> Outbox:
            return MongoOutbox(another())

        return connect

    @pytest.fixture
    def damage(self, documents: Documents) -> Callable[[Delivery], Awaitable[None]]:
        async def change(delivery: Delivery) -> None:
            name = f"{delivery.notice}/{delivery.recipient}"
            assert await documents.set_where(OUTBOX, {"_id": name}, {"body": "{"})

        return change

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away


class TestCopies(CopiesSuite):
    @pytest.fixture
    def copies(self, documents: Documents) -> Copies:
        return MongoCopies(documents)

    @pytest.fixture
    def connected(self, another: Callable[[], Documents]) -> Callable[[], Awaitable[Copies]]:
        async def connect() -> Copies:
            return MongoCopies(another())

        return connect

    @pytest.fixture
    def away(self, away: TakenAway) -> TakenAway:
        return away
