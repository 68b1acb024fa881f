"""A fresh place for what the stages know: what was broken off, what others do there, what is of another log."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest

from contracts.events.facts import ResponseSubmitted, SessionAbsent
from contracts.topics import CASES, NOTICES, PARTITIONS, SCORES, TRACKS, Topic, partition_of
from services.auditor import fold, replay
from services.auditor.fresh import Overtaken, Purpose, leave
from services.auditor.rebuilding import put_in_place, rebuilt
from services.auditor.replay import Contradicted, History
from services.cli.shelf import shelf
from services.cli.source import history_of
from services.embedded import EmbeddedHome
from services.ingest.domain.register import Register
from services.runtime.database import table_of
from services.runtime.log.port import Log, StoredRecord
from services.runtime.store.port import FRESH, Outcome, Position, Store, StoredState, Write
from tests.auditor.moments import AMomentAgo, ends_before_the_last_fact
from tests.auditor.tampering import Tampering, fact_spoilt, key_gone, renamed
from tests.cli.homes import CASES as COURSES
from tests.cli.homes import imported, written
from tests.support.command import ontrack, succeeded
from tests.support.faults import Crash, CrashAt, OvertakenStore, Trouble, TroubledStore

States = dict[tuple[str, str], StoredState]
Change = Callable[[Tampering, str], None]


def unseen(_: int) -> None:
    """Show nobody how far it is."""


async def kept(history: History, fresh: Store) -> States:
    """What is known in a fresh place."""
    found: States = {}
    for stage in history.stages:
        case_ids = [case_id async for case_id in fresh.cases(FRESH + stage.name)]
        states = await fresh.load(FRESH + stage.name, case_ids)
        found |= {(stage.name, case_id): state for case_id, state in states.items()}
    return found


async def made(history: History, fresh: Store) -> States:
    """Make it anew in a fresh place."""
    async with shelf() as empty:
        await rebuilt(history, fresh, empty, unseen)
    return await kept(history, fresh)


class InTurns:
    """A log that lets others have some turns before each read."""

    def __init__(self, log: Log, turns: Random) -> None:
        self._log = log
        self._turns = turns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        for _ in range(self._turns.randrange(8)):
            await asyncio.sleep(0)
        return await self._log.read(topic, partition, offset, limit)


class UpTo:
    """A log that ends earlier, where that is said."""

    def __init__(self, log: Log, ends: Mapping[int, Mapping[str, int]]) -> None:
        self._log = log
        self._ends = ends

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def end(self, topic: Topic, partition: int) -> int:
        said = self._ends[partition].get(topic.name)
        return await self._log.end(topic, partition) if said is None else said


async def empty_again(history: History, shelf: Store) -> None:
    """Take away what a try has left that died."""
    for stage in history.stages:
        await shelf.clear(stage.name)


@pytest.fixture
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than one case of a stage is kept open, and one record is read at a time."""
    monkeypatch.setattr(fold, "OPEN_AT_MOST", 1)
    monkeypatch.setattr(replay, "BATCH", 1)


@pytest.mark.usefixtures("nothing_at_hand")
async def test_cases_that_are_not_kept_open_come_to_the_same(
    interleaved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await EmbeddedHome.open(interleaved) as home, shelf() as one, shelf() as other:
        history = await history_of(interleaved, home)
        shelved = await made(history, one)
        monkeypatch.setattr(fold, "OPEN_AT_MOST", 1_000)
        assert await made(history, other) == shelved


class StoreInTurns:
    """A store that lets others have some turns before each call."""

    def __init__(self, store: Store, turns: Random) -> None:
        self._store = store
        self._turns = turns

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        async def in_turns(*values: object) -> Any:
            for _ in range(self._turns.randrange(4)):
                await asyncio.sleep(0)
            return await call(*values)

        return call if name == "cases" else in_turns


class Counting:
    """A store that counts what it is given to keep."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.kept = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        self.kept += len(writes)
        return await self._store.save(stage, writes)


async def test_cases_that_are_not_kept_open_are_put_down_once(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "OPEN_AT_MOST", 0)
    async with await EmbeddedHome.open(sound) as home, shelf() as fresh:
        counting = Counting(fresh)
        assert len(await made(await history_of(sound, home), counting)) == counting.kept


TRIES: Final = 20


@pytest.mark.usefixtures("nothing_at_hand")
@pytest.mark.parametrize("seed", range(TRIES))
async def test_two_at_once_make_what_one_makes(sound: Path, seed: int) -> None:
    turns = Random(seed)
    async with await EmbeddedHome.open(sound) as home, shelf() as alone, shelf() as fresh:
        history = await history_of(sound, home)
        in_turns = replace(history, log=InTurns(history.log, turns))
        await asyncio.gather(made(in_turns, fresh), made(in_turns, fresh))
        assert await kept(history, fresh) == await made(history, alone)


def broken_off(file: Path, case_id: str, do: str, *values: object) -> None:
    """Leave a fresh place as one is left in the middle of the partition of a case."""
    with closing(sqlite3.connect(file)) as connection, connection:
        partition = partition_of(case_id)
        connection.execute(
            "DELETE FROM positions WHERE stage IN ('fresh.notifier', 'fresh.of') AND partition = ?", [partition]
        )
        connection.execute(do, values)
    unended(file)


def unended(file: Path) -> None:
    """Leave a fresh place as one is left where a replay was killed before it could say that it had ended."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM positions WHERE stage = 'fresh.ended'")


HALF: Final = {
    "of another version": ("UPDATE states SET body = x'00' WHERE case_id = ?", lambda p1: [p1]),
    "not as far": ("UPDATE states SET \"offset\" = 0, body = x'00' WHERE case_id = ?", lambda p1: [p1]),
    "not there": ("DELETE FROM states WHERE case_id = ?", lambda p1: [p1]),
}


@pytest.mark.parametrize(("do", "values"), HALF.values(), ids=HALF)
def test_what_was_half_done_is_done_anew(
    do: str, values: Callable[[str], Sequence[object]], sound: Path, p1: str, tmp_path: Path
) -> None:
    # given a replay that was broken off while it kept what it had made of a partition
    file = tmp_path / "fresh.db"
    left_alone = succeeded("audit", "replay", "--data", sound, "--into", file).out
    broken_off(file, p1, do, *values(p1))

    # when it is given again, then the result is that of one that was left alone
    assert succeeded("audit", "replay", "--data", sound, "--into", file).out == left_alone


def whole(_: Tampering, __: str) -> None:
    """Nothing was done to it."""


def shorter(tampering: Tampering, case_id: str) -> None:
    tampering.cut_off(case_id)


def without_a_case(tampering: Tampering, case_id: str) -> None:
    for topic in (CASES, SCORES, TRACKS, NOTICES):
        tampering.do(f"DELETE FROM {table_of(topic, partition_of(case_id))}")  # noqa: S608 - ours


def of_other_facts(tampering: Tampering, case_id: str) -> None:
    """As many facts, of which one says something else, and what follows from them."""
    place = tampering.place_of(CASES, case_id, ResponseSubmitted)
    said = tampering.event(CASES, case_id, place).data
    assert isinstance(said, ResponseSubmitted)
    answers = dict.fromkeys(said.answers, 4)
    tampering.put(CASES, case_id, place, tampering.resealed(CASES, case_id, place, answers=answers))
    for topic in (SCORES, TRACKS, NOTICES):
        tampering.do(f"DELETE FROM {table_of(topic, partition_of(case_id))}")  # noqa: S608 - ours
    for table in ("states", "positions"):
        tampering.do(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
    succeeded("audit", "replay", "--swap", "--data", tampering.home)


COPIES: Final = (whole, shorter, without_a_case, of_other_facts, key_gone)
"""What one log is in several places: each has its name."""


@pytest.fixture(scope="module")
def copies(sound: Path, p1: str, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Homes with copies of one log."""
    homes = [Path(shutil.copytree(sound, tmp_path_factory.mktemp(each.__name__) / "home")) for each in COPIES]
    for change, home in zip(COPIES, homes, strict=True):
        change(Tampering(home), p1)
    return homes


@pytest.fixture(scope="module")
def peopled(sound: Path) -> Collection[int]:
    """The partitions that have cases."""
    return {partition_of(case_id) for case_id in Tampering(sound).keys}


SEQUENCES: Final = 20
CALLS_AT_MOST: Final = 180
"""More than a try makes in these partitions, so that some of them come to their end."""


async def tried(history: History, fresh: Store, purpose: Purpose, partitions: Collection[int], turns: Random) -> bool:
    """Make all anew, and be killed somewhere or not; tell whether it came to its end."""
    dying = TroubledStore(StoreInTurns(fresh, turns), CrashAt(nth=turns.randrange(1, CALLS_AT_MOST)))
    in_turns = replace(history, log=InTurns(history.log, turns))
    async with shelf() as empty:
        try:
            await rebuilt(in_turns, dying, empty, unseen, purpose=purpose, partitions=partitions)
        except (Crash, Contradicted, Overtaken):
            return False
    return True


async def all_there(history: History, fresh: Store, partitions: Collection[int]) -> Sequence[object]:
    """All that is there and would be put in place."""
    names = [FRESH + stage.name for stage in history.stages]
    positions = [await fresh.position(name, number) for name in names for number in partitions]
    return await kept(history, fresh), [await fresh.halted(name) for name in names], positions


@pytest.mark.parametrize("purpose", ["keep", "replace"])
@pytest.mark.parametrize("seed", range(SEQUENCES))
async def test_whatever_was_broken_off_before_the_last_try_makes_what_one_alone_makes(
    copies: Sequence[Path], peopled: Collection[int], purpose: Purpose, seed: int
) -> None:
    # given some copies of a log, and tries over one after the other in one place, also two at once, killed anywhere
    turns = Random(seed)
    async with AsyncExitStack() as stack:
        histories = []
        for home in copies:
            opened = await stack.enter_async_context(await EmbeddedHome.open(home, write=True))
            histories.append(await history_of(home, opened))
        fresh, alone, empty = [await stack.enter_async_context(shelf()) for _ in range(3)]
        for _ in range(turns.randrange(1, 4)):
            history = turns.choice(histories)
            at_once = (tried(history, fresh, purpose, peopled, turns) for _ in range(turns.randrange(1, 3)))
            await asyncio.gather(*at_once)

        # when all is made anew once more, over any of them of which that is not refused
        history = turns.choice(histories[:-1] if purpose == "replace" else histories)
        told = await rebuilt(history, fresh, empty, unseen, purpose=purpose, partitions=peopled)

        # then all is there that a try makes which is alone, as far as is said, and nothing else
        if purpose == "replace":
            history = replace(history, log=UpTo(history.log, told.ends))
        await rebuilt(history, alone, empty, unseen, partitions=peopled)
        assert await all_there(history, fresh, peopled) == await all_there(history, alone, peopled)


ONE_AND_ANOTHER: Final = (
    (whole, shorter),
    (whole, without_a_case),
    (whole, of_other_facts),
    (whole, key_gone),
    (without_a_case, whole),
    (of_other_facts, whole),
)


@pytest.mark.parametrize("every", [pytest.param(5, id="some"), pytest.param(1, id="all", marks=pytest.mark.torture)])
@pytest.mark.parametrize("purpose", ["keep", "replace"])
@pytest.mark.parametrize(("one", "another"), ONE_AND_ANOTHER, ids=lambda each: each.__name__)
async def test_one_that_is_killed_over_another_copy_leaves_nothing_that_is_taken_for_done(
    copies: Sequence[Path], p1: str, purpose: Purpose, one: Change, another: Change, every: int
) -> None:
    partition = [partition_of(p1)]
    async with AsyncExitStack() as stack:
        first, second = [
            await history_of(home, await stack.enter_async_context(await EmbeddedHome.open(home, write=True)))
            for home in (copies[COPIES.index(each)] for each in (one, another))
        ]
        fresh, empty = [await stack.enter_async_context(shelf()) for _ in range(2)]
        for calls in count(1, every):
            # given what is made anew of a log, and a second try over another copy of it that dies before some call
            await leave(first, fresh)
            await rebuilt(first, fresh, empty, unseen, purpose=purpose, partitions=partition)
            alone = await all_there(first, fresh, partition)
            dying = TroubledStore(fresh, trouble := CrashAt(nth=calls))
            with suppress(Crash, Contradicted):
                await rebuilt(second, dying, empty, unseen, purpose=purpose, partitions=partition)
            by_another = await all_there(second, fresh, partition)
            if not trouble.dead:
                break

            # when the first one is read again, then all is there as before, or what the other try has done to its end
            await empty_again(second, empty)
            told = await rebuilt(first, fresh, empty, unseen, purpose=purpose, partitions=partition)
            is_gone_on_with = purpose == "replace" and told.there
            assert await all_there(first, fresh, partition) == (by_another if is_gone_on_with else alone), calls


@pytest.mark.parametrize("seed", range(TRIES))
async def test_of_two_at_once_at_least_one_comes_to_its_end_and_all_is_there_then(
    sound: Path, peopled: Collection[int], seed: int
) -> None:
    turns = Random(seed)
    async with await EmbeddedHome.open(sound, write=True) as home, shelf() as alone, shelf() as fresh:
        history = await history_of(sound, home)

        async def one() -> bool:
            for _ in range(turns.randrange(200)):
                await asyncio.sleep(0)
            async with shelf() as empty:
                try:
                    in_turns = replace(history, log=InTurns(history.log, turns))
                    store = StoreInTurns(fresh, turns)
                    await rebuilt(in_turns, store, empty, unseen, purpose="replace", partitions=peopled)
                except Overtaken:
                    return False
            return await all_there(history, fresh, peopled) == expected

        async with shelf() as empty:
            await rebuilt(history, alone, empty, unseen, purpose="replace", partitions=peopled)
        expected = await all_there(history, alone, peopled)
        assert True in await asyncio.gather(one(), one())
        assert await all_there(history, fresh, peopled) == expected


async def test_a_partition_that_another_has_taken_is_not_said_to_be_done(sound: Path, p1: str) -> None:
    async with await EmbeddedHome.open(sound, write=True) as home, shelf() as fresh, shelf() as empty:
        history, partition = await history_of(sound, home), [partition_of(p1)]
        await rebuilt(history, fresh, empty, unseen, purpose="replace", partitions=())

        # given a replay during which another one begins, takes out what is half done, and is killed
        async def another() -> None:
            dying = TroubledStore(fresh, CrashAt(call="store.save"))
            async with shelf() as its_own:
                with suppress(Crash):
                    await rebuilt(history, dying, its_own, unseen, purpose="replace", partitions=partition)

        overtaken = OvertakenStore(fresh, another, call="store.set_position")
        with pytest.raises(Overtaken):
            await rebuilt(history, overtaken, empty, unseen, purpose="replace", partitions=partition)

        # when a third one goes on, then all is there
        await empty_again(history, empty)
        await rebuilt(history, fresh, empty, unseen, purpose="replace", partitions=partition)
        async with shelf() as alone:
            await rebuilt(history, alone, empty, unseen, purpose="replace", partitions=partition)
            assert await all_there(history, fresh, partition) == await all_there(history, alone, partition)


async def test_where_another_has_taken_a_partition_nothing_is_taken_out(sound: Path) -> None:
    async with await EmbeddedHome.open(sound, write=True) as home, shelf() as fresh, shelf() as empty:
        # given what was half done when a replay was killed
        history = await history_of(sound, home)
        with suppress(Crash):
            dying = TroubledStore(fresh, CrashAt(call="store.set_position", nth=8))
            await rebuilt(history, dying, empty, unseen, purpose="replace")

        # when another one makes all of it before one that has just begun looks what that is, and this one is killed
        async def another() -> None:
            async with shelf() as its_own:
                await rebuilt(history, fresh, its_own, unseen, purpose="replace")

        overtaken = OvertakenStore(TroubledStore(fresh, CrashAt(call="store.save")), another, call="store.halted")
        await empty_again(history, empty)
        with pytest.raises(Overtaken):
            await rebuilt(history, overtaken, empty, unseen, purpose="replace")

        # then all is there that the other one has made
        made_by_another = await all_there(history, fresh, range(PARTITIONS))
        async with shelf() as alone:
            await rebuilt(history, alone, empty, unseen, purpose="replace")
            assert made_by_another == await all_there(history, alone, range(PARTITIONS))


async def test_what_is_being_put_in_place_is_made_anew_elsewhere(tampering: Tampering) -> None:
    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        # given a replay that was killed, or is at it still, when it had put what the last stage knows in place
        history = await history_of(tampering.home, home)
        await rebuilt(history, home.store, empty, unseen, purpose="replace")
        stage = history.stages[-1].name
        positions = {number: Position(history.log_id, 0) for number in range(PARTITIONS)}
        await home.store.take_place(stage, FRESH + stage, positions)

        # when the next one begins, then it takes nothing out of where that one may read, but clears all of it away
        seen = Trouble()
        told = await rebuilt(history, TroubledStore(home.store, seen), empty, unseen, purpose="replace")
        assert (told.there, "store.remove" in seen.calls, "store.clear" in seen.calls) == (0, False, True)


class AnotherShape(Register):
    """A stage of another version."""

    schema = Register.schema + 1


async def test_what_another_version_has_made_is_made_anew(sound: Path) -> None:
    async with await EmbeddedHome.open(sound, write=True) as home, shelf() as fresh, shelf() as empty:
        history = await history_of(sound, home)
        first, *others = history.stages
        assert isinstance(first, Register)
        await rebuilt(history, fresh, empty, unseen, purpose="replace")
        assert (await rebuilt(history, fresh, empty, unseen, purpose="replace")).there == PARTITIONS
        newer = replace(history, stages=[AnotherShape(), *others])
        told = await rebuilt(newer, fresh, empty, unseen, purpose="replace")
        assert told.there == 0


async def test_where_another_has_come_further_nothing_is_taken_back(sound: Path, p1: str) -> None:
    async with await EmbeddedHome.open(sound) as home, shelf() as alone, shelf() as fresh, shelf() as empty:
        # given a place where another replay has come to a later record of a case
        history = await history_of(sound, home)
        states, stage = await made(history, alone), history.stages[0].name
        further = replace(states[stage, p1], offset=states[stage, p1].offset + 100)
        await rebuilt(history, fresh, empty, unseen, partitions=())
        await fresh.save(FRESH + stage, [Write(p1, None, further)])

        # when this one comes to that case, then what the other has kept stands
        assert await made(history, fresh) == {**states, (stage, p1): further}


class Overtaking:
    """A store to which somebody else brings an earlier state of a case, at the moment before one is kept there."""

    def __init__(self, store: Store, case_id: str) -> None:
        self._store = store
        self._case_id = case_id
        self.was_overtaken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        for write in writes:
            if write.case_id == self._case_id and not self.was_overtaken:
                self.was_overtaken = True
                earlier = replace(write.state, offset=write.state.offset - 1, body=b"")
                await self._store.save(stage, [replace(write, state=earlier)])
        return await self._store.save(stage, writes)


async def test_what_another_brought_a_moment_before_gives_way_to_what_is_later(sound: Path, p1: str) -> None:
    async with await EmbeddedHome.open(sound) as home, shelf() as alone, shelf() as fresh:
        history, overtaking = await history_of(sound, home), Overtaking(fresh, p1)
        assert await made(history, overtaking) == await made(history, alone)
        assert overtaking.was_overtaken


async def test_what_is_of_another_log_is_not_gone_on_with(sound: Path) -> None:
    async with await EmbeddedHome.open(sound) as home, shelf() as alone, shelf() as fresh:
        # given a fresh place in which a replacement of another log was broken off
        history = await history_of(sound, home)
        await made(replace(history, log_id="another"), fresh)
        further = StoredState(999_999, 1, 1, 1, b"")
        await fresh.save(f"{FRESH}scoring", [Write("nobody", None, further)])

        # when this log is replayed there, then nothing of the other one is left
        assert await made(history, fresh) == await made(history, alone)


def test_what_was_kept_of_another_log_is_not_overwritten(sound: Path, mailing: Path, tmp_path: Path) -> None:
    file = tmp_path / "fresh.db"
    succeeded("audit", "replay", "--data", mailing, "--into", file)
    unended(file)
    assert_refused(sound, file, "what was made anew of another log")


def assert_refused(home: Path, file: Path, why: str) -> None:
    before = file.read_bytes()
    ran = ontrack("audit", "replay", "--data", home, "--into", file)
    assert (ran.exit_code, f"{file} has {why}: name a file that is not there yet" in ran.told) == (2, True), ran.told
    assert file.read_bytes() == before


def test_what_was_kept_is_not_told_as_that_of_what_is_given_now(tampering: Tampering, sound: Path, p1: str) -> None:
    # given a file in which a replay of a home has ended
    file = tampering.home.parent / "fresh.db"
    succeeded("audit", "replay", "--data", sound, "--into", file)

    # when another copy of that home is replayed there, or the same one again, then that is refused
    fact_spoilt(tampering, p1)
    assert_refused(tampering.home, file, "a replay that came to its end")
    assert_refused(sound, file, "a replay that came to its end")


def test_what_was_done_of_another_copy_of_the_log_is_done_anew(tampering: Tampering, sound: Path, p1: str) -> None:
    # given a file in which a replay was broken off when it had done what was altered in a copy afterwards
    file, alone = tampering.home.parent / "fresh.db", tampering.home.parent / "alone.db"
    succeeded("audit", "replay", "--data", sound, "--into", file)
    unended(file)
    fact_spoilt(tampering, p1)

    # when the copy is replayed there, then what is told is what one that was left alone tells, with its contradictions
    left_alone = ontrack("audit", "replay", "--data", tampering.home, "--into", alone)
    again = ontrack("audit", "replay", "--data", tampering.home, "--into", file)
    assert (left_alone.exit_code, "it is the log that was damaged" in left_alone.told) == (1, True)
    assert (again.exit_code, again.out) == (left_alone.exit_code, left_alone.out)
    assert "it is the log that was damaged" in again.told
    assert "partitions had been made anew by an earlier try" in again.told

    # and one that goes on behind it tells of them too
    unended(file)
    assert "it is the log that was damaged" in ontrack("audit", "replay", "--data", tampering.home, "--into", file).told


def test_a_log_that_grew_since_is_told_as_it_is_now(tmp_path: Path) -> None:
    # given a file in which a replay was broken off, and a home in which a case was answered since
    home, file = imported(tmp_path / "home", written(tmp_path / "answers.csv", COURSES, "odsis")), tmp_path / "fresh.db"
    succeeded("audit", "replay", "--data", home, "--into", file)
    unended(file)
    more = tmp_path / "more.csv"
    head = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life\n"
    more.write_text(f"{head}P1,6,2026-03-01T10:00:00Z,odsis,4,4,4,4,4\n")
    succeeded("import", more, "--data", home)

    # when it goes on, then all is told as by one that was left alone, and nothing differs
    again = succeeded("audit", "replay", "--data", home, "--into", file)
    assert again.out == succeeded("audit", "replay", "--data", home).out
    assert "11 partitions had been made anew by an earlier try" in again.told


def test_a_case_that_was_erased_since_is_no_difference(tmp_path: Path) -> None:
    # given what was made anew before a case was erased, by a replay that was broken off
    home, file = imported(tmp_path / "home", written(tmp_path / "answers.csv", COURSES, "odsis")), tmp_path / "fresh.db"
    succeeded("audit", "replay", "--data", home, "--into", file)
    unended(file)
    succeeded("erase", "P1", "--ground", "ordered", "--confirm", "P1", "--data", home)

    # when it goes on in the same place, then nothing differs
    succeeded("audit", "replay", "--data", home, "--into", file)


async def ends_of(log: Log, partition: int) -> dict[str, int]:
    """Where each topic ends in a partition."""
    return {topic.name: await log.end(topic, partition) for topic in (CASES, SCORES, TRACKS, NOTICES)}


async def test_what_others_conclude_meanwhile_is_no_contradiction(tampering: Tampering, p1: str) -> None:
    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        # given a fact that came since, and what others have concluded from it
        partition = partition_of(p1)
        ends = await ends_before_the_last_fact(home.log, partition)
        assert ends[TRACKS.name] < await home.log.end(TRACKS, partition)
        history = await history_of(tampering.home, home)

        # when all is made anew to be put in place
        ago = replace(history, log=AMomentAgo(home.log, partition, ends))
        told = await rebuilt(ago, home.store, empty, unseen, purpose="replace")

        # then that is left to whoever goes on from there
        assert not told.contradictions


async def test_nothing_is_published_behind_what_does_not_follow(tampering: Tampering, p1: str) -> None:
    # given a conclusion of another type than the one that follows, and another one on the next topic that is missing
    tampering.put(SCORES, p1, 0, renamed(tampering.record(SCORES, p1, 0), type=SessionAbsent.type()))
    tampering.cut(TRACKS, p1, len(tampering.offsets(TRACKS, p1)) - 1)

    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        before = await ends_of(home.log, partition_of(p1))

        # when all is made anew to be put in place, then it is refused, and the missing one was not put on the log
        with pytest.raises(Contradicted):
            await rebuilt(await history_of(tampering.home, home), home.store, empty, unseen, purpose="replace")
        assert await ends_of(home.log, partition_of(p1)) == before


async def test_what_stands_behind_all_that_follows_is_seen_before_a_partition_is_put_down(
    tampering: Tampering, p1: str
) -> None:
    # given a report that stands there once more under the next number, which nothing leads to
    last = tampering.record(NOTICES, p1, -1)
    number = int(orjson.loads(last)["sequence"])
    tampering.append(NOTICES, p1, renamed(last, sequence=str(number + 1)))

    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        history = await history_of(tampering.home, home)

        # when its partition is made anew to be put in place, then it is refused
        with pytest.raises(Contradicted):
            await rebuilt(history, home.store, empty, unseen, purpose="replace", partitions=[partition_of(p1)])


async def test_what_was_altered_since_a_replacement_was_broken_off_is_seen_by_the_next(
    tampering: Tampering, p1: str
) -> None:
    partition = partition_of(p1)
    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        # given a replacement that was broken off when a partition was made anew
        history = await history_of(tampering.home, home)
        await rebuilt(history, home.store, empty, unseen, purpose="replace", partitions=[partition])

        # when it is begun again, then it goes on from there, also behind facts that came since
        fact = tampering.record(CASES, p1, -1)
        for _ in range(2):
            told = await rebuilt(history, home.store, empty, unseen, purpose="replace", partitions=[partition])
            assert told.there == 1
            tampering.append(CASES, p1, fact)

        # and where a conclusion there was altered, it is refused
        altered = renamed(tampering.record(TRACKS, p1, 1), recordedtime="2026-01-01T00:00:00Z")
        tampering.put(TRACKS, p1, 1, altered)
        with pytest.raises(Contradicted):
            await rebuilt(history, home.store, empty, unseen, purpose="replace", partitions=[partition])


async def test_only_one_of_two_puts_it_in_place(tampering: Tampering) -> None:
    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        history = await history_of(tampering.home, home)
        told = await rebuilt(history, home.store, empty, unseen, purpose="replace")
        assert told.there < PARTITIONS
        assert await put_in_place(history, home.store)
        assert not await put_in_place(history, home.store)
