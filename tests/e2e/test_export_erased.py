"""A log with a case that was erased goes out and comes in again, and the case stays erased."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseErased
from contracts.topics import CASES, DEAD_LETTERS
from services.embedded import EmbeddedHome
from services.runtime.log.port import Record
from tests.support.command import Ran, ontrack, succeeded
from tests.support.contents import contents, counts, raw_histories
from tests.support.desk import Desk, row, table
from tests.support.opened import DERIVED, OF_CASES
from tests.support.simulated import assert_all_equal, events

GONE: Final = "B2"
FACTS: Final = 6
"""Of each case: its enrolment, its four answers, and for the erased one that it was."""


@pytest.fixture
def erased(desk: Desk) -> Desk:
    """A desk with two cases, of which one was erased."""
    desk.takes(table([row(case, session, 30) for case in ("A1", GONE) for session in range(4)]))
    asyncio.run(erase(desk.home, GONE))
    return desk


async def erase(directory: Path, number: str) -> None:
    """Erase a case: first it is said, then its key is destroyed."""
    async with await EmbeddedHome.open(directory, write=True) as home:
        [case_id] = await home.cases_named(number)
        said = new_fact(
            CaseErased(ground="asked for it", by="clinic"),
            case_id=case_id,
            fact_id=fact_id("clinic", "test", "erased"),
            source="urn:ontrack:clinic:test",
            happened=datetime(2026, 6, 1, tzinfo=UTC),
        )
        await home.intake.record([said])
        await home.catch_up()
        await home.keyring.destroy(case_id)


async def damage(directory: Path, number: str) -> None:
    """Put something on the topic of facts that is none of this case."""
    async with await EmbeddedHome.open(directory, write=True) as home:
        [case_id] = await home.cases_named(number)
        await home.log.append(CASES, home.partition(case_id), [Record(case_id, b'{"no":"fact"}')])
        await home.catch_up()


def erased_ids(home: Path) -> set[str]:
    """Give the ids of the cases that are on the log, and of whom nobody knows who they are."""
    return set(raw_histories(home, CASES)) - set(asyncio.run(numbers(home)))


async def numbers(directory: Path) -> dict[str, str]:
    async with await EmbeddedHome.open(directory) as home:
        return dict(await home.names())


def copied(desk: Desk, name: str) -> tuple[Path, Ran]:
    """Export a home as it stands and import that elsewhere; give where, and what was told."""
    exported, keys, copy = desk.place / f"{name}-exported", desk.place / f"{name}-keys", desk.place / name
    succeeded("export", "--data", desk.home, "--output", exported, "--keys", keys)
    return copy, ontrack("import", exported, "--keys", keys, "--data", copy)


def test_the_keys_say_of_an_erased_case_that_there_is_none(erased: Desk) -> None:
    # given a home with an erased case
    [gone] = erased_ids(erased.home)

    # when its log is exported with the keys
    keys = erased.place / "keys"
    ran = succeeded("export", "--data", erased.home, "--output", erased.place / "exported", "--keys", keys)

    # then the file says so, and so does the command
    entries = {entry["case"]: entry["key"] for entry in events(keys.read_bytes())}
    assert [case for case, key in entries.items() if key is None] == [gone]
    assert len(entries) == 2
    assert "The keys of 1 case are in" in ran.told
    assert "Of 1 erased case it says that the key was destroyed." in ran.told


def test_an_erased_case_is_erased_where_its_log_is_imported(erased: Desk) -> None:
    # given a home with an erased case
    [gone] = erased_ids(erased.home)
    derived = sum(len(raw_histories(erased.home, topic).get(gone, ())) for topic in DERIVED)

    # when its log is exported and imported elsewhere
    copy, ran = copied(erased, "copy")

    # then its facts stand there as they stood, everything else is equal, and what could not be compared is told
    assert_all_equal(ran)
    assert f"1 case erased: {FACTS} facts taken over sealed, {derived} derived events not compared" in ran.told
    assert raw_histories(copy, CASES) == raw_histories(erased.home, CASES)
    for topic in DERIVED:
        assert gone not in raw_histories(copy, topic)
    assert erased_ids(copy) == {gone}
    assert counts(copy)[DEAD_LETTERS.name] == 0


def test_an_erased_case_stays_erased_however_often_its_log_moves(erased: Desk) -> None:
    # given a home that came from the log of another one, with an erased case
    copy, _ = copied(erased, "copy")

    # when its own log is exported and imported once more
    moved = Desk(erased.place / "moved")
    moved.place.mkdir()
    copy.rename(moved.home)
    again, ran = copied(moved, "again")

    # then the facts are still the same, to the byte
    assert_all_equal(ran)
    assert raw_histories(again, CASES) == raw_histories(erased.home, CASES)
    files = [
        place / "rom.cases.v1.ndjson" for place in (erased.place / "copy-exported", moved.place / "again-exported")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_is_revealed_leaves_an_erased_case_out_and_says_so(erased: Desk) -> None:
    # given a home with an erased case
    [gone] = erased_ids(erased.home)
    theirs = sum(len(raw_histories(erased.home, topic)[gone]) for topic in OF_CASES)

    # when its log is exported opened
    exported = erased.place / "exported"
    ran = ontrack("export", "--data", erased.home, "--reveal", "--output", exported)

    # then the others are all there, and nothing is wrong
    assert ran.exit_code == 0
    assert f"{theirs} events of 1 erased case cannot be read by anybody any more and were left out." in ran.told
    assert gone not in (exported / "rom.cases.v1.ndjson").read_text()

    # and what is there can be imported
    assert_all_equal(ontrack("import", exported, "--data", erased.place / "copy"))
    assert list(contents(erased.place / "copy").numbers.values()) == ["A1"]


@pytest.mark.parametrize("how", ["sealed", "opened"])
def test_what_is_no_fact_is_left_out_and_named_and_the_rest_can_be_imported(desk: Desk, how: str) -> None:
    # given a home with something on the topic of facts that is none
    desk.takes(table([row("A1", session, 30) for session in range(4)]))
    asyncio.run(damage(desk.home, "A1"))
    assert counts(desk.home)[DEAD_LETTERS.name] == 1

    # when its log is exported
    exported, keys = desk.place / "exported", desk.place / "keys"
    sealed: list[str | Path] = ["--keys", keys] if how == "sealed" else []
    ran = ontrack("export", "--data", desk.home, "--output", exported, *(sealed or ["--reveal"]))

    # then its place is told, as a finding, and it is not there
    assert ran.exit_code == 1
    assert "rom.cases.v1, partition " in ran.told
    assert "offset 5: left out, because it cannot be read" in ran.told
    assert all(b'"no"' not in file.read_bytes() for file in exported.iterdir())

    # and the rest can be imported
    assert_all_equal(ontrack("import", exported, *sealed, "--data", desk.place / "copy"))


def test_what_stands_open_of_an_erased_case_is_not_taken(erased: Desk) -> None:
    # given a readable export from before a case was erased, and the keys from after
    revealed, keys = erased.place / "revealed", erased.place / "keys"
    other = Desk(erased.place / "other")
    other.place.mkdir()
    other.takes(table([row(GONE, session, 30) for session in range(4)]))
    succeeded("export", "--data", other.home, "--reveal", "--output", revealed)
    asyncio.run(erase(other.home, GONE))
    succeeded("export", "--data", other.home, "--topic", CASES.name, "--output", erased.place / "x", "--keys", keys)

    # when both are imported together
    ran = ontrack("import", revealed, "--keys", keys, "--data", erased.place / "copy")

    # then nothing is taken: it would be known again
    assert ran.exit_code == 1
    assert "line 1: a sealed event of rom.cases.v1 was expected, because its case was erased" in ran.told
    assert not (erased.place / "copy").exists()


def test_answers_of_an_erased_case_are_refused(erased: Desk) -> None:
    # given a home with an erased case
    before = counts(erased.home)

    # when answers of it come, with some of another case
    lines = [row("A1", 4, 30), row(GONE, 4, 30), row(GONE, 0, 30)]
    ran = erased.imports(table(lines))

    # then they are refused: it is neither enrolled again nor gone on with
    assert ran.exit_code == 1
    assert [line for line in ran.told.splitlines() if line.startswith("line ")] == [
        f"line {number}: case: a case that was not erased was expected; nothing more is taken of this one"
        for number in (3, 4)
    ]
    assert GONE not in ran.told
    assert counts(erased.home) == before

    # and without them the others are taken
    ran = erased.imports(table(lines), "--skip-invalid")
    assert "1 response recorded, 0 were known already, 0 of 1 cases enrolled, 2 lines left out." in ran.told
    assert len(erased_ids(erased.home)) == 1


def test_answers_of_an_erased_case_alone_are_refused(erased: Desk) -> None:
    ran = erased.imports(table([row(GONE, 4, 30)]))
    assert ran.exit_code == 1
    assert ran.names(2, "case")
