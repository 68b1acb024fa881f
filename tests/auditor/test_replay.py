"""`ontrack audit replay`: what the stages know is made anew from the log, compared, and put in place."""

import asyncio
import gc
import shutil
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.topics import CASES, DEAD_LETTERS, NOTICES, PARTITIONS, SCORES, TOPICS, TRACKS, Topic, partition_of
from services.auditor.rebuilding import put_in_place, rebuilt
from services.cli.shelf import shelf
from services.cli.source import history_of
from services.embedded import DATABASE, EmbeddedHome
from services.runtime.database import table_of
from services.runtime.log.sqlite import SqliteLog
from services.runtime.store.sqlite import SqliteStore
from tests.auditor.moments import AMomentAgo, ends_before_the_last_fact
from tests.auditor.tampering import Tampering, conclusion_put_in, fact_spoilt, key_gone, renamed
from tests.cli.homes import CASES as COURSES
from tests.cli.homes import imported, written
from tests.support.command import ended, ontrack, started, succeeded
from tests.support.faults import Crash, CrashAt, OvertakenStore, ReplacedStore, Trouble, TroubledLog, TroubledStore

STAGES = ("register", "scoring", "not_detector", "notifier")


def replayed(*arguments: str | Path, code: int = 0) -> dict[str, dict[str, Any]]:
    """What is told of each stage."""
    ran = ontrack("audit", "replay", *arguments, "--format", "json")
    assert ran.exit_code == code, ran.told
    return {row["stage"]: row for row in orjson.loads(ran.out)}


def digests(told: dict[str, dict[str, Any]]) -> list[str]:
    return [told[stage]["digest"] for stage in STAGES]


def test_what_is_made_anew_is_what_the_stages_know(sound: Path, mailing: Path) -> None:
    told = replayed("--data", sound)
    assert list(told) == list(STAGES)
    assert {(row["cases"], row["equal"], row["differ"], row["behind"]) for row in told.values()} == {(8, 8, 0, 0)}
    assert replayed("--data", mailing)["mailer"]["equal"] == 2
    for stage in STAGES:
        assert (
            f"{stage}: 8 states as derived; digest {told[stage]['digest']}"
            in succeeded("audit", "verify", "--data", sound).told
        )


def test_a_bundle_gives_the_same_digests_and_has_nothing_to_compare_them_with(sound: Path, tmp_path: Path) -> None:
    succeeded("audit", "export", "--data", sound, "--output", tmp_path / "b", "--keys", tmp_path / "k")
    told = replayed("--bundle", tmp_path / "b", "--keys", tmp_path / "k")
    assert digests(told) == digests(replayed("--data", sound))
    assert {row["equal"] for row in told.values()} == {None}


def test_nothing_is_changed_unless_that_is_asked_for(tampering: Tampering) -> None:
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'scoring'")
    before = tampering.do("SELECT * FROM states ORDER BY 1, 2")
    told = replayed("--data", tampering.home, code=1)
    assert told["scoring"]["differ"] == 8
    assert tampering.do("SELECT * FROM states ORDER BY 1, 2") == before


def damaged(tampering: Tampering) -> None:
    tampering.do("UPDATE states SET body = x'00' WHERE stage = 'not_detector'")
    tampering.do("DELETE FROM states WHERE stage = 'notifier'")


def lost(tampering: Tampering) -> None:
    for table in ("states", "positions", "halted"):
        tampering.do(f"DELETE FROM {table}")  # noqa: S608 - names of ours


def behind(tampering: Tampering) -> None:
    """What the last stages had said and known is gone, as if they had never run."""
    for number in range(PARTITIONS):
        tampering.do(f"DELETE FROM {table_of(NOTICES, number)}")  # noqa: S608 - a name of ours
        tampering.do(f'DELETE FROM {table_of(TRACKS, number)} WHERE "offset" > 9')  # noqa: S608 - a name of ours
    lost(tampering)


def on_log(tampering: Tampering) -> dict[str, list[list[Any]]]:
    """All that stands on the topics of cases, partition by partition."""
    return {
        topic.name: [
            tampering.do(f'SELECT * FROM {table_of(topic, number)} ORDER BY "offset"')  # noqa: S608 - ours
            for number in range(PARTITIONS)
        ]
        for topic in (CASES, SCORES, TRACKS, NOTICES)
    }


@pytest.mark.parametrize("damage", [damaged, lost, behind], ids=lambda damage: damage.__name__)
def test_what_was_damaged_or_lost_is_put_in_place_again(tampering: Tampering, sound: Path, damage: Any) -> None:
    # given a home whose stages do not know what the log tells
    damage(tampering)
    assert ontrack("audit", "verify", "--data", tampering.home).exit_code == 1

    # when what they should know takes the place of what they know
    told = replayed("--data", tampering.home, "--swap")

    # then all is as it would be if nothing had happened, what follows from the facts included
    assert {row["now"] for row in told.values()} == {"replaced"}
    assert digests(replayed("--data", tampering.home)) == digests(replayed("--data", sound))
    assert "The history verifies" in succeeded("audit", "verify", "--data", tampering.home).told
    assert "Both say the same" in succeeded("audit", "diff", sound, tampering.home).told

    # and nothing is left of where it was made
    assert tampering.do("SELECT count(*) FROM positions WHERE stage LIKE 'fresh%'") == [(0,)]


def test_conclusions_that_are_not_on_the_log_any_more_are_told_and_put_there_with_a_word(tampering: Tampering) -> None:
    # given a log that lacks all that the last stage has said, as that knows
    before = on_log(tampering)
    lacking = sum(map(len, before[NOTICES.name]))
    assert lacking > 0
    for number in range(PARTITIONS):
        tampering.do(f"DELETE FROM {table_of(NOTICES, number)}")  # noqa: S608 - ours

    # when it is told again, then that is no good news, though every stage knows what it should
    ran = ontrack("audit", "replay", "--data", tampering.home)
    assert ran.exit_code == 1
    assert f"The log lacks {lacking} events that follow from its facts" in ran.told

    # and when that takes the place of what is there, then it is said what was put on the log
    swapped = succeeded("audit", "replay", "--swap", "--data", tampering.home)
    assert f"Put on the log what follows from its facts and was not there: {lacking} events." in swapped.told
    assert on_log(tampering) == before
    assert "Put on the log" not in succeeded("audit", "replay", "--swap", "--data", tampering.home).told


def test_what_is_refused_has_put_nothing_on_the_log(tampering: Tampering) -> None:
    # given a log that lacks conclusions in most partitions, and has one too many in that which is read last
    cases = sorted({case_id for (case_id,) in tampering.do("SELECT case_id FROM states")}, key=partition_of)
    for case_id in cases:
        if tampering.offsets(NOTICES, case_id):
            tampering.cut(NOTICES, case_id, -1)
    last = cases[-1]
    tampering.append(SCORES, last, renamed(tampering.record(SCORES, last, -1), sequence="999"))
    lost(tampering)
    before = on_log(tampering)

    # when what follows is to be put in place, then that is refused, and the log is as it was
    assert ontrack("audit", "replay", "--swap", "--data", tampering.home).exit_code == 1
    assert on_log(tampering) == before


def test_a_home_goes_on_from_what_was_put_in_place(tampering: Tampering, tmp_path: Path) -> None:
    lost(tampering)
    replayed("--data", tampering.home, "--swap")
    file = tmp_path / "more.csv"
    head = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life\n"
    file.write_text(f"{head}P1,6,2026-03-01T10:00:00Z,odsis,4,4,4,4,4\n")
    succeeded("import", file, "--data", tampering.home)
    assert "The history verifies" in succeeded("audit", "verify", "--data", tampering.home).told


def test_a_fact_that_cannot_be_read_gets_its_dead_letter(tampering: Tampering, p1: str) -> None:
    tampering.append(CASES, p1, renamed(tampering.record(CASES, p1, 1), type="ontrack.unheard-of.v9"))
    lost(tampering)
    replayed("--data", tampering.home, "--swap")
    letters = tampering.do(f"SELECT count(*) FROM {table_of(DEAD_LETTERS, partition_of(p1))}")  # noqa: S608 - ours
    assert letters == [(1,)]
    assert "The history verifies" in succeeded("audit", "verify", "--data", tampering.home).told


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of which every partition takes a moment."""
    folder = tmp_path_factory.mktemp("large")
    succeeded("simulate", "--groups", "2", "--seed", "3", "--output", folder / "cohort.csv")
    succeeded("import", folder / "cohort.csv", "--enrol", "--data", folder / "home")
    return folder / "home"


def partitions_done(file: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM positions WHERE stage = 'fresh.of'").fetchone()[0])
    return 0


def test_one_that_was_killed_goes_on_where_it_was(large: Path, tmp_path: Path) -> None:
    # given a replay that is killed when some partitions are done
    file = tmp_path / "fresh.db"
    process = started("audit", "replay", "--data", large, "--into", file)
    end = time.monotonic() + 60
    while partitions_done(file) < 2:
        assert time.monotonic() < end, "two partitions were expected to be done within a minute"
        assert process.poll() is None
    process.kill()
    ended(process, "a replay")
    done = partitions_done(file)

    # when it is given again
    ran = ontrack("audit", "replay", "--data", large, "--into", file, "--format", "json")

    # then only the others are read, and the result is that of one that was left alone
    assert 2 <= done < PARTITIONS
    assert f"{done} partitions had been made anew by an earlier try" in ran.told
    told = {row["stage"]: row for row in orjson.loads(ran.out)}
    assert digests(told) == digests(replayed("--data", large))


def _conclusion_altered(tampering: Tampering, case_id: str) -> None:
    """Another moment in a record whose place and type are right."""
    record = tampering.record(TRACKS, case_id, 1)
    tampering.put(TRACKS, case_id, 1, renamed(record, recordedtime="2026-01-01T00:00:00Z"))


def test_a_conclusion_that_is_another_one_is_found_where_what_is_made_is_kept(
    tampering: Tampering, p1: str, tmp_path: Path
) -> None:
    # given a conclusion of which only the bytes are other ones
    _conclusion_altered(tampering, p1)

    # when it is replayed only to be compared, then it is said that bytes were not looked at
    ran = succeeded("audit", "replay", "--data", tampering.home)
    assert "only place and type were compared: ontrack audit verify compares bytes" in ran.told

    # and where it is kept, then that one is found
    ran = ontrack("audit", "replay", "--data", tampering.home, "--into", tmp_path / "fresh.db")
    assert (ran.exit_code, "(1 altered)" in ran.told, "only place and type" in ran.told) == (1, True, False)


@pytest.mark.parametrize("where", [TRACKS, NOTICES], ids=lambda topic: topic.name)
def test_what_is_published_by_a_replacement_is_what_the_stages_say(
    tampering: Tampering, sound: Path, p1: str, where: Topic
) -> None:
    # given a home of which the last conclusions of a stage are gone, and what the stages know with them
    lost(tampering)
    tampering.do(f'DELETE FROM {table_of(where, partition_of(p1))} WHERE "offset" > 2')  # noqa: S608 - ours

    # when they are made anew, then they are there again, to the byte
    replayed("--data", tampering.home, "--swap")
    everything = f'SELECT "offset", key, value FROM {table_of(where, partition_of(p1))} ORDER BY "offset"'  # noqa: S608 - ours
    assert tampering.do(everything) == Tampering(sound).do(everything)


DAMAGES: Final = (fact_spoilt, conclusion_put_in, _conclusion_altered)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_where_the_log_was_damaged_nothing_is_put_in_place(tampering: Tampering, p1: str, damage: Any) -> None:
    # given a log with conclusions that do not follow from its facts
    damage(tampering, p1)
    everything = ["SELECT * FROM states", "SELECT * FROM positions"]
    everything += [f"SELECT * FROM {table_of(topic, partition_of(p1))}" for topic in (SCORES, TRACKS, NOTICES)]  # noqa: S608 - ours
    before = [tampering.do(each) for each in everything]

    # when it is replayed, then it is not said that replacing what the stages know mends it
    ran = ontrack("audit", "replay", "--data", tampering.home)
    is_told = damage is not _conclusion_altered
    assert (ran.exit_code, "it is the log that was damaged" in ran.told) == (int(is_told), is_told)
    assert "--swap mends" not in ran.told

    # and that is refused, however often
    for _ in range(2):
        ran = ontrack("audit", "replay", "--data", tampering.home, "--swap")
        assert (ran.exit_code, "it is the log that was damaged" in ran.told, ran.out) == (1, True, b"")
        assert [tampering.do(each) for each in everything] == before


def _state_ahead(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE states SET \"offset\" = 999999 WHERE stage = 'not_detector' AND case_id = ?", case_id)


def _state_of_nobody(tampering: Tampering, _: str) -> None:
    tampering.do("INSERT INTO states SELECT 'notifier', 'nobody', 1, 1, 1, 1, x'00', NULL")


def _key_taken_away(tampering: Tampering, case_id: str) -> None:
    tampering.do("UPDATE keys SET wrapped = NULL WHERE case_id = ?", case_id)


UNTOLD: Final = {
    "the end of the log was cut off": (Tampering.cut_off, "4 log-cut"),
    "a state has read more": (_state_ahead, "1 state-ahead"),
    "a case is not on the log": (_state_of_nobody, "1 state-underivable"),
    "a key was destroyed": (_key_taken_away, "4 state-underivable"),
    "a key is gone": (key_gone, "4 state-underivable"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_the_stages_know_and_the_log_does_not_tell_is_not_replaced(
    tampering: Tampering, p1: str, name: str
) -> None:
    # given a home in which only what the stages know shows what was done
    do, found = UNTOLD[name]
    do(tampering, p1)
    everything = ["SELECT * FROM states", "SELECT * FROM positions"]
    everything += [f"SELECT * FROM {table_of(topic, partition_of(p1))}" for topic in (CASES, SCORES, TRACKS, NOTICES)]  # noqa: S608 - ours
    before = [tampering.do(each) for each in everything]

    # when it is replayed, then that is said, and not that replacing it mends anything
    ran = ontrack("audit", "replay", "--data", tampering.home)
    assert (ran.exit_code, found in ran.told, "--swap mends" in ran.told) == (1, True, False)

    # and that is refused, however often
    for _ in range(2):
        ran = ontrack("audit", "replay", "--data", tampering.home, "--swap")
        assert (ran.exit_code, found in ran.told, ran.out) == (1, True, b"")
        assert "--swap is not for that" in ran.told
        assert [tampering.do(each) for each in everything] == before


def test_events_of_a_case_whose_key_was_taken_away_are_no_erased_ones(tampering: Tampering, p1: str) -> None:
    _key_taken_away(tampering, p1)
    told = ontrack("audit", "replay", "--data", tampering.home).told
    assert "that stay sealed" in told
    assert "of erased cases" not in told


def test_what_was_left_of_an_erased_case_is_removed(tmp_path: Path) -> None:
    # given a home in which something is known still of a case that was erased
    home = imported(tmp_path / "home", written(tmp_path / "answers.csv", COURSES, "odsis"))
    tampering = Tampering(home)
    [left, *_] = tampering.do("SELECT * FROM states WHERE stage = 'scoring'")
    succeeded("erase", left[1], "--ground", "ordered", "--confirm", left[1], "--data", home)
    tampering.do("INSERT INTO states VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *left)

    # when all is made anew, then that is told to be events of an erased case, and nothing is in the way
    told = succeeded("audit", "replay", "--data", home, "--swap").told
    assert "of erased cases" in told
    assert "The history verifies" in succeeded("audit", "verify", "--data", home).told


async def ends_a_moment_ago(home: Path, case_id: str) -> Mapping[str, int]:
    async with await EmbeddedHome.open(home) as opened:
        return await ends_before_the_last_fact(opened.log, partition_of(case_id))


def test_every_case_is_in_a_column(tampering: Tampering, p1: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a stage that has read what came since it was asked how much is to be read, and how far the log reaches
    ends, partition = asyncio.run(ends_a_moment_ago(tampering.home, p1)), partition_of(p1)
    ago = partial(AMomentAgo, partition=partition, ends=ends, often=2)
    monkeypatch.setattr("services.embedded.SqliteLog", lambda opened: ago(SqliteLog(opened)))
    row = replayed("--data", tampering.home)["scoring"]
    assert (row["cases"], row["equal"], row["differ"], row["behind"], row["ahead"]) == (8, 7, 0, 0, 1)

    # and one that says that it has read what nobody has written
    monkeypatch.undo()
    tampering.do('UPDATE states SET "offset" = "offset" + 1000 WHERE stage = \'scoring\' AND case_id = ?', p1)
    row = replayed("--data", tampering.home, code=1)["scoring"]
    assert (row["cases"], row["equal"], row["differ"], row["behind"], row["ahead"]) == (8, 7, 1, 0, 0)


def test_nothing_is_made_anew_in_the_database_of_a_home(tampering: Tampering) -> None:
    everything = "SELECT * FROM states", "SELECT * FROM positions"
    before = [tampering.do(each) for each in everything]
    ran = ontrack("audit", "replay", "--data", tampering.home, "--into", tampering.home / DATABASE)
    assert (ran.exit_code, "is the database of a home: name a file of its own" in ran.told) == (2, True)
    assert [tampering.do(each) for each in everything] == before


def test_nor_in_that_of_a_home_that_has_lost_its_log(sound: Path, tampering: Tampering) -> None:
    for topic in TOPICS.values():
        for partition in range(topic.partitions):
            tampering.do(f"DELETE FROM {table_of(topic, partition)}")  # noqa: S608 - ours
    ran = ontrack("audit", "replay", "--data", sound, "--into", tampering.home / DATABASE)
    assert (ran.exit_code, "has what the stages of a home know, though no log" in ran.told) == (2, True)
    assert tampering.do("SELECT count(*) FROM states WHERE stage LIKE 'fresh.%'") == [(0,)]


async def test_a_case_that_was_erased_since_it_was_made_anew_is_not_put_in_place(tampering: Tampering, p1: str) -> None:
    async with await EmbeddedHome.open(tampering.home, write=True) as home, shelf() as empty:
        # given a replay that has made anew what the stages know
        history = await history_of(tampering.home, home)
        await rebuilt(history, home.store, empty, lambda _: None, purpose="replace")

        # when a case is erased before it is put in place: its key first, then what is known of it
        await home.keyring.destroy(p1)
        for stage in history.stages:
            await home.store.remove(stage.name, [p1])
        await put_in_place(history, home.store)

        # then nothing of it is there, and the others are
        for stage in history.stages:
            kept = [case_id async for case_id in home.store.cases(stage.name)]
            assert (len(kept), p1 in kept) == (7, False)


def in_trouble(monkeypatch: pytest.MonkeyPatch, trouble: Trouble) -> None:
    """Let every home that is opened have trouble with its log and its store."""
    monkeypatch.setattr("services.embedded.SqliteLog", lambda opened: TroubledLog(SqliteLog(opened), trouble))
    monkeypatch.setattr("services.embedded.SqliteStore", lambda opened: TroubledStore(SqliteStore(opened), trouble))


def places_in(calls: Sequence[str], *, are_all: bool) -> Iterable[int]:
    """Where calls stand, from 1: all of them, or of each kind the first, the second and the last one."""
    if are_all:
        return range(1, len(calls) + 1)
    kinds: dict[str, list[int]] = defaultdict(list)
    for place, call in enumerate(calls, 1):
        kinds[call].append(place)
    return sorted({place for places in kinds.values() for place in (*places[:2], places[-1])})


@pytest.mark.parametrize(
    "are_all", [pytest.param(False, id="some"), pytest.param(True, id="all", marks=pytest.mark.torture)]
)
def test_a_replacement_that_dies_at_any_call_is_finished_by_the_same_command(
    tampering: Tampering, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, are_all: bool
) -> None:
    # given a home whose last stages have lost what they had said and known, and what a replacement of it calls
    behind(tampering)
    untroubled = Trouble()
    in_trouble(monkeypatch, untroubled)
    replayed("--data", shutil.copytree(tampering.home, tmp_path / "untroubled"), "--swap")
    assert {"log.append", "store.save", "store.set_position", "store.take_place"} <= set(untroubled.calls)

    for place in places_in(untroubled.calls, are_all=are_all):
        # when one dies before a call, and the same command is given again
        home = shutil.copytree(tampering.home, tmp_path / f"{place}")
        in_trouble(monkeypatch, CrashAt(nth=place))
        with pytest.raises(Crash):
            ontrack("audit", "replay", "--swap", "--data", home)
        monkeypatch.undo()
        again = ontrack("audit", "replay", "--swap", "--data", home)

        # then it ends, all is as it should be, and nothing is left of where it was made
        died = (place, untroubled.calls[place - 1])
        assert again.exit_code == 0, (died, again.told)
        verified = ontrack("audit", "verify", "--data", home)
        assert (verified.exit_code, "The history verifies" in verified.told) == (0, True), (died, verified.told)
        assert all(f"{stage}: 8 states as derived" in verified.told for stage in STAGES), (died, verified.told)
        assert ontrack("audit", "diff", sound, home).exit_code == 0, died
        assert Tampering(home).do("SELECT count(*) FROM positions WHERE stage LIKE 'fresh%'") == [(0,)], died
        shutil.rmtree(home)
        gc.collect()  # which commands let rest, so all that died here would be kept


def test_what_a_log_has_no_more_is_not_put_in_place(
    tampering: Tampering, p1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a replacement that was killed when all was made anew; then the last fact and what the stages know are gone
    in_trouble(monkeypatch, CrashAt(call="store.take_place"))
    with pytest.raises(Crash):
        ontrack("audit", "replay", "--swap", "--data", tampering.home)
    monkeypatch.undo()
    tampering.cut_off(p1)
    for table in ("states", "positions"):
        tampering.do(f"DELETE FROM {table} WHERE stage NOT LIKE 'fresh.%'")  # noqa: S608 - a name of ours

    # when the same command is given again, then what follows from that log is in place, and nothing else
    replayed("--data", tampering.home, "--swap")
    assert "The history verifies" in succeeded("audit", "verify", "--data", tampering.home).told


def test_one_that_another_goes_on_with_says_so(tampering: Tampering, monkeypatch: pytest.MonkeyPatch) -> None:
    def store(connection: sqlite3.Connection) -> OvertakenStore:
        found = SqliteStore(connection)

        async def another_begins() -> None:
            for number in range(PARTITIONS):
                await found.hold("fresh.of", number, "another")

        return OvertakenStore(found, another_begins)

    before = tampering.do("SELECT * FROM states ORDER BY 1, 2")
    monkeypatch.setattr("services.embedded.SqliteStore", store)
    ran = ontrack("audit", "replay", "--swap", "--data", tampering.home)
    assert (ran.exit_code, "another replay goes on with what this one was making as well" in ran.told) == (1, True)
    assert tampering.do("SELECT * FROM states WHERE stage NOT LIKE 'fresh.%' ORDER BY 1, 2") == before


def test_what_is_shut_or_gone_is_told_so_and_put_in_place(
    tampering: Tampering, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a home in which a replacement was broken off, and the states of another stage are gone
    shut, gone = {"scoring"}, {"notifier"}

    def store(connection: sqlite3.Connection) -> ReplacedStore:
        found = ReplacedStore(SqliteStore(connection))
        found.shut, found.gone = shut, gone
        return found

    monkeypatch.setattr("services.embedded.SqliteStore", store)

    # when it is replayed, then that is told, and what mends it
    told = replayed("--data", tampering.home, code=1)
    assert {stage: (row["differ"], row["now"]) for stage, row in told.items()} == {
        "register": (0, "as it was"),
        "scoring": (8, "being replaced"),
        "not_detector": (0, "as it was"),
        "notifier": (8, "gone"),
    }
    said = ontrack("audit", "replay", "--data", tampering.home).told
    assert "16 states not as the log tells: ontrack audit verify says which, and --swap mends it." in said
    assert (shut, gone) == ({"scoring"}, {"notifier"})

    # and with --swap all is put in place, by a command that ends well
    told = replayed("--data", tampering.home, "--swap")
    assert {row["now"] for row in told.values()} == {"replaced"}
    assert (shut, gone) == (set(), set())
    assert digests(replayed("--data", tampering.home)) == digests(replayed("--data", sound))
    assert "The history verifies" in succeeded("audit", "verify", "--data", tampering.home).told


def test_what_means_nothing_is_refused(sound: Path, tmp_path: Path) -> None:
    succeeded("audit", "export", "--data", sound, "--output", tmp_path / "b")
    for options in (("--bundle", tmp_path / "b"), ("--data", sound, "--into", tmp_path / "file")):
        ran = ontrack("audit", "replay", *options, "--swap")
        assert (ran.exit_code, "--swap: means nothing" in ran.told) == (2, True)
