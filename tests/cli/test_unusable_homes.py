"""Homes that lie where nothing can be written, and homes that are damaged."""

import asyncio
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES as CASES_TOPIC
from services.embedded import DATABASE, LOCK, MASTER_KEY, UNFINISHED, EmbeddedHome
from services.ingest.access import TOKENS
from services.runtime.faults import MEND_DAMAGE
from services.runtime.refusals import NotAHome
from tests.cli.homes import SECRET
from tests.support.command import ontrack, succeeded
from tests.support.unprivileged import ontrack_unprivileged, read_only

PAGE = 16_384
"""The size of the database's pages: the first holds what it consists of."""

OF_A_HOME = [("tracks",), ("case", "P1"), ("reports",), ("policy", "list"), ("definitions", "list")]
WAL, SHM = f"{DATABASE}-wal", f"{DATABASE}-shm"

each_command = pytest.mark.parametrize("command", OF_A_HOME, ids=" ".join)


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:
    """A copy of the clinic's home."""
    return Path(shutil.copytree(home, tmp_path / "own"))


@pytest.fixture
def written(own: Path) -> Iterator[Path]:
    """A home that somebody is writing: what came last stands in the write-ahead log only."""
    with closing(sqlite3.connect(own / DATABASE, isolation_level=None)) as writer:
        writer.execute("UPDATE positions SET stage = stage")
        assert (own / WAL).stat().st_size > 0
        yield own


# Read-only places


@each_command
def test_what_only_reads_needs_no_place_to_write(command: tuple[str, ...], own: Path) -> None:
    # given a home that was closed, in a place where nothing can be written
    with read_only([own / DATABASE, own / MASTER_KEY]) as directory:
        # when it is read
        ran = ontrack_unprivileged(*command, "--data", directory)

        # then everything is told, and nothing was written
        assert (ran.exit_code, ran.told) == (0, "")
        assert ran.out == succeeded(*command, "--data", own).out
        assert {path.name for path in directory.iterdir()} == {DATABASE, MASTER_KEY}


def test_what_another_process_wrote_last_is_read_where_its_files_lie(written: Path) -> None:
    # given a home as a writer leaves it that was killed, in a place where nothing can be written
    with read_only([written / name for name in (DATABASE, WAL, SHM, MASTER_KEY)]) as directory:
        # when it is read
        ran = ontrack_unprivileged("tracks", "--data", directory)

        # then everything is told
        assert ran.out == succeeded("tracks", "--data", written).out != b""


def test_what_was_written_last_and_cannot_be_read_is_told_with_what_to_do(written: Path) -> None:
    # given a copy of a home with its write-ahead log, in a place where nothing can be written
    with read_only([written / name for name in (DATABASE, WAL, MASTER_KEY)]) as directory:
        # when it is read
        ran = ontrack_unprivileged("tracks", "--data", directory)

        # then nothing is told as if it were all, and what can be done is said
        assert ran.exit_code == 2
        assert ran.out == b""
        assert f"{directory / WAL} holds what was written last" in ran.told
        assert f"copy the whole of {directory} to" in ran.told
        assert "Traceback" not in ran.told


def test_a_place_where_nothing_can_be_written_is_named_to_who_writes(own: Path) -> None:
    # given a home in a place where nothing can be written
    with read_only([own / DATABASE, own / MASTER_KEY]) as directory:
        # when somebody imports into it
        ran = ontrack_unprivileged("import", directory / MASTER_KEY, "--data", directory)

        # then the place is named, and why
        assert ran.exit_code == 2
        assert f"may not write {directory}" in ran.told
        assert "Traceback" not in ran.told


OTHER_THAN_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to somebody else")


@OTHER_THAN_ROOT
@pytest.mark.parametrize("command", [("doctor",), ("tracks",), ("up", "--port", "0"), ("token", "list")], ids="-".join)
def test_a_home_that_this_user_may_not_open_is_said_to_be_somebody_elses(command: tuple[str, ...], own: Path) -> None:
    # given a home that is root's, in a place that everybody may look into
    with read_only([own / DATABASE, own / MASTER_KEY]) as directory:
        directory.chmod(0o755)
        for file in directory.iterdir():
            os.chown(file, 0, 0)
            file.chmod(0o600)

        # when somebody else uses it
        ran = ontrack_unprivileged(*command, "--data", directory)

        # then whose it is is said, and who asks, and nothing that would lose anything
        said = " ".join(ran.said.split())
        assert ran.exit_code == (1 if command == ("doctor",) else 2)
        assert re.search(rf"user nobody may not read {directory} ?/{DATABASE}, which belongs to root", said), said
        assert "run this as root" in said
        assert "last good copy" not in said
        assert "Nothing is lost" not in said


@OTHER_THAN_ROOT
@pytest.mark.parametrize("command", [("doctor", "--format", "json"), ("up", "--port", "0")], ids=lambda each: each[0])
def test_a_home_that_this_user_may_not_write_is_said_to_be_somebody_elses(command: tuple[str, ...], own: Path) -> None:
    # given a home whose database somebody else made
    with read_only([own / DATABASE, own / MASTER_KEY]) as directory:
        directory.chmod(0o700)
        os.chown(directory / DATABASE, 0, 0)
        (directory / DATABASE).chmod(0o644)

        # when it is used, then whose it is is said
        ran = ontrack_unprivileged(*command, "--data", directory)
        assert ran.exit_code == (1 if command[0] == "doctor" else 2)
        assert f"user nobody may not write {directory / DATABASE}, which belongs to root" in ran.said
        assert "Nothing is lost" not in ran.said


def test_what_is_ones_own_and_closed_to_oneself_is_opened_by_chmod(own: Path) -> None:
    with read_only([own / DATABASE, own / MASTER_KEY]) as directory:
        (directory / DATABASE).chmod(0)
        ran = ontrack_unprivileged("tracks", "--data", directory)
        assert ran.exit_code == 2
        assert f"run chmod u+rwX {directory / DATABASE}" in ran.told


# Damage


@each_command
def test_a_damaged_home_is_told_with_what_to_do(command: tuple[str, ...], own: Path) -> None:
    # given a home whose database was overwritten behind its first page
    database = own / DATABASE
    content = database.read_bytes()
    database.write_bytes(content[:PAGE] + b"\xa5" * (len(content) - PAGE))

    # when it is read
    ran = ontrack(*command, "--data", own)

    # then it is said what is wrong and what can be done, and nothing of what stood there
    assert ran.exit_code == 1
    assert ran.told.startswith("Error: the database is damaged (")
    assert MEND_DAMAGE in ran.told
    assert "***" not in ran.told
    assert SECRET not in ran.said


@each_command
@pytest.mark.parametrize("left", [40, 100, 5_000, PAGE, 40_000])
def test_a_home_whose_database_was_cut_is_told_with_what_to_do(command: tuple[str, ...], left: int, own: Path) -> None:
    # given a home whose database lacks its end
    database = own / DATABASE
    database.write_bytes(database.read_bytes()[:left])

    # when it is read
    ran = ontrack(*command, "--data", own)

    # then it is said that it is damaged and what can be done, not that it is something else
    assert ran.exit_code == 1
    assert ran.told.startswith("Error: the database is damaged (")
    assert MEND_DAMAGE in ran.told


@pytest.mark.parametrize(
    "command",
    [("doctor", "--format", "json"), ("up", "--port", "0"), ("export", "--topic", CASES_TOPIC.name)],
    ids=lambda each: each[0],
)
def test_every_command_says_the_same_of_a_damaged_database(command: tuple[str, ...], own: Path) -> None:
    # given a home of whose database a part was overwritten
    content = bytearray((own / DATABASE).read_bytes())
    content[5 * PAGE : 60 * PAGE] = bytes(55 * PAGE)
    (own / DATABASE).write_bytes(content)

    # when it is used, then what is wrong is said, and what to do, in the same words
    ran = ontrack(*command, "--data", own)
    assert ran.exit_code == 1
    assert "is damaged (" in ran.said
    assert "***" not in ran.said
    assert MEND_DAMAGE in ran.said


EDITED: Final = [
    f"UPDATE {table} SET {column} = {value}"  # noqa: S608 - ours
    for table, column in [("states", "body"), ("keys", "wrapped"), ("directory", "entry")]
    for value in ("'as text'", f"{column} || 'as text'")
] + ["UPDATE keys SET case_id = CAST(x'ff' || case_id AS TEXT)", "UPDATE directory SET name = x'ff' || name"]
"""What an editor of databases does: what was bytes is text by now, and some of it is none."""


@pytest.mark.parametrize("statement", EDITED)
@pytest.mark.parametrize(
    "command",
    [*OF_A_HOME, ("doctor",), ("audit", "history", "P1"), ("audit", "verify"), ("export", "--topic", CASES_TOPIC.name)],
    ids=" ".join,
)
def test_what_an_editor_leaves_ends_no_command_without_words_and_nothing_of_it_is_told(
    command: tuple[str, ...], statement: str, own: Path
) -> None:
    with closing(sqlite3.connect(own / DATABASE)) as database, database:
        database.execute(statement)
    ran = ontrack(*command, "--data", own)
    assert ran.said
    assert "as text" not in ran.said
    assert "decode" not in ran.said


@each_command
@pytest.mark.parametrize("table", ["states", "roster", f"{CASES_TOPIC.name}/0"])
def test_a_home_that_lacks_a_table_is_told_to_be_damaged(command: tuple[str, ...], table: str, own: Path) -> None:
    # given a home of which somebody has dropped a table
    with closing(sqlite3.connect(own / DATABASE)) as database:
        database.execute(f'DROP TABLE "{table}"')

    # when it is used, then it is said which one, and what can be done, and not that nothing is lost
    ran = ontrack(*command, "--data", own)
    assert (ran.exit_code, ran.out) == (1, b"")
    assert ran.told == f"Error: the database is damaged (it has no table {table}). To mend it: {MEND_DAMAGE}.\n"

    # and the doctor finds it
    ran = ontrack("doctor", "--data", own)
    assert (ran.exit_code, f"it has no table {table}" in " ".join(ran.out.decode().split())) == (1, True)


def test_a_cut_database_is_not_taken_for_an_empty_one(own: Path) -> None:
    # given a home whose database lacks its end
    database = own / DATABASE
    database.write_bytes(database.read_bytes()[:5_000])

    # when somebody imports into it
    ran = ontrack("import", own / MASTER_KEY, "--data", own)

    # then it is said that it is damaged
    assert ran.exit_code == 1
    assert ran.told.startswith("Error: the database is damaged (")


# Loss


def _lost(own: Path) -> None:
    for file in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (own / file).unlink(missing_ok=True)


def _emptied(own: Path) -> None:
    _lost(own)
    (own / DATABASE).touch()


def _broken_off(own: Path) -> None:
    _lost(own)
    (own / f"{UNFINISHED}abc").mkdir()


def _only_tokens(own: Path) -> None:
    _lost(own)
    (own / MASTER_KEY).rename(own / TOKENS)


LOSSES: Final = {
    "a database that is gone": (_lost, f"holds {MASTER_KEY}, but its {DATABASE} is missing"),
    "a database with nothing in it": (_emptied, f"holds {MASTER_KEY}, but its {DATABASE} is empty"),
    "all but the tokens gone": (_only_tokens, f"holds {TOKENS}, but its {DATABASE} is missing"),
    "a restore that was broken off": (
        _broken_off,
        f"has no {DATABASE}, but holds {MASTER_KEY} and {UNFINISHED}abc: a restore or an import was broken off there",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_clinic_is_begun_where_one_was_lost(own: Path, name: str) -> None:
    # given a directory in which a clinic was
    lose, says = LOSSES[name]
    lose(own)
    left = {file.name for file in own.iterdir()}

    # when another one is to be begun there, then that is refused, and nothing is made
    with pytest.raises(NotAHome, match=re.escape(says)):
        asyncio.run(EmbeddedHome.found(own))
    assert {file.name for file in own.iterdir()} == left


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "command",
    [
        ("doctor", "--format", "json"),
        ("up", "--port", "0"),
        ("export", "--topic", CASES_TOPIC.name),
        ("token", "make", "x", "--role", "ehr", "--clinic", "clinic"),
        ("token", "list"),
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_what_was_lost_is_said_with_what_to_do(own: Path, name: str, command: tuple[str, ...]) -> None:
    lose, says = LOSSES[name]
    lose(own)
    left = {file.name for file in own.iterdir()}

    ran = ontrack(*command, "--data", own)

    assert ran.exit_code == (1 if command[0] == "doctor" else 2)
    assert f"{own} {says}" in ran.said
    assert "ontrack restore FILE --data" in ran.said
    assert {file.name for file in own.iterdir()} == left


@pytest.mark.parametrize("left", [[MASTER_KEY], [MASTER_KEY, LOCK], [MASTER_KEY, "reports"]], ids=" ".join)
def test_what_is_said_of_a_lost_database_puts_the_clinic_back(own: Path, tmp_path: Path, left: list[str]) -> None:
    # given a clinic that was backed up and lost its database, and of which some files are left
    succeeded("backup", tmp_path / "kept", "--data", own)
    before = succeeded("tracks", "--data", own).out
    for file in own.iterdir():
        if file.name not in left:
            file.unlink()
    for name in left:
        (own / name).touch()

    # when that is done which is said, with a copy of the master key where another directory is named
    said = re.search(r"ontrack restore FILE --data ([^)]+)\)", ontrack("tracks", "--data", own).said)
    assert said is not None
    place = Path(said[1].replace("OTHER", str(tmp_path / "other")))
    if place != own:
        place.mkdir(mode=0o700)
        shutil.copy2(own / MASTER_KEY, place)
    succeeded("restore", tmp_path / "kept", "--data", place)

    # then it is there again
    assert succeeded("tracks", "--data", place).out == before


def test_a_restore_that_was_broken_off_is_finished_where_it_was(own: Path, tmp_path: Path) -> None:
    succeeded("backup", tmp_path / "kept", "--data", own)
    other = tmp_path / "other"
    (other / f"{UNFINISHED}abc").mkdir(parents=True)
    shutil.copy2(own / MASTER_KEY, other)
    succeeded("restore", tmp_path / "kept", "--data", other)
    assert succeeded("tracks", "--data", other).out == succeeded("tracks", "--data", own).out


@pytest.mark.parametrize("command", [("make", "x", "--role", "ehr", "--clinic", "clinic"), ("list",), ("revoke", "x")])
def test_tokens_are_not_made_or_listed_where_there_is_no_directory(tmp_path: Path, command: tuple[str, ...]) -> None:
    ran = ontrack("token", *command, "--data", tmp_path / "typo")
    assert (ran.exit_code, ran.out) == (2, b"")
    assert f"{tmp_path / 'typo'} is not there" in ran.told
    assert not (tmp_path / "typo").exists()
