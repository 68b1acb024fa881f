"""`ontrack backup` and `ontrack restore` on a data directory, as the person uses them who is called at night."""

import asyncio
import fcntl
import random
import shutil
import sqlite3
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import orjson
import pytest

from contracts.topics import CASES, DEAD_LETTERS
from services.embedded import DATABASE, LOCK, MASTER_KEY, EmbeddedHome
from services.ingest.access import TOKENS, Client, Tokens
from services.runtime.copies.file import COPIES, CopiesInFile
from services.runtime.copies.port import made_here
from services.runtime.keyring.master import MASTER_LENGTH
from services.runtime.log.port import Record
from services.runtime.runner import DEAD_LETTERS_AT_MOST
from tests.support.command import ONTRACK, PATIENCE, Ran, ontrack, run_measured, succeeded
from tests.support.contents import counts, master_key_in
from tests.support.desk import Desk, row, table
from tests.support.dying import deaths
from tests.support.kept import both_in
from tests.support.simulated import simulated, texts
from tests.support.unprivileged import ontrack_unprivileged, read_only

ANNA, BO, COMMENT = "0101801234", "0202804321", "Amalie"


@pytest.fixture
def clinic(desk: Desk) -> Desk:
    """A clinic with two cases and the tokens of a client."""
    desk.takes(table([row(case, session, 30, comment=COMMENT) for case in (ANNA, BO) for session in range(4)]))
    Tokens(desk.home / TOKENS).make(Client("records", "ehr", "clinic"), datetime(2026, 1, 5, tzinfo=UTC))
    return desk


@pytest.fixture
def kept(clinic: Desk) -> Path:
    """A backup of that clinic."""
    return backed_up(clinic)


def backed_up(desk: Desk, name: str = "clinic.backup") -> Path:
    succeeded("backup", desk.place / name, "--data", desk.home)
    return desk.place / name


def waiting(clinic: Desk, name: str = "again") -> Path:
    """A directory that holds nothing but the master key of a clinic."""
    return master_key_in(clinic.place / name, (clinic.home / MASTER_KEY).read_bytes())


def restored(file: Path, directory: Path) -> Ran:
    ran = ontrack("restore", file, "--data", directory)
    assert ran.exit_code == 0, ran.told
    return ran


def parts_of(file: Path) -> dict[str, bytes]:
    with ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def change(directory: Path, what: Callable[[EmbeddedHome], object]) -> None:
    """Do something to a home."""

    async def do() -> None:
        async with await EmbeddedHome.open(directory, write=True) as home:
            await what(home)  # type: ignore[misc] # whatever it is, it is awaited

    asyncio.run(do())


# Making one


def test_what_is_in_a_backup_is_said_and_what_is_not(clinic: Desk) -> None:
    # given a clinic
    before = datetime.now(UTC)

    # when a backup is made of it
    ran = succeeded("backup", clinic.place / "clinic.backup", "--data", clinic.home)

    # then it is said how large it is, what it holds, as of when, and where the master key is
    first, as_of, key = ran.told.splitlines()
    assert first.startswith(f"{clinic.place / 'clinic.backup'} (")
    assert "10 facts, " in first
    assert "the 2 keys of its cases, 2 persons in the directory, 0 on the roster and the tokens." in first
    began = as_of.removeprefix("Everything that was answered before ").removesuffix(" is in it.")
    assert before <= datetime.fromisoformat(began) <= datetime.now(UTC)
    assert key.startswith("The master key is not in it.")
    assert str(clinic.home / MASTER_KEY) in key
    assert ran.out == b""


def test_a_backup_that_could_not_be_made_is_no_copy_that_an_erasure_has_to_find(clinic: Desk, kept: Path) -> None:
    # given a backup that was moved away, and a place where none can be made
    kept.rename(clinic.place / "moved.backup")
    known = asyncio.run(CopiesInFile(clinic.home).all())
    kept.with_name("clinic.backup.unfinished").mkdir()

    # when another one is to be made there, and one where there is no directory
    for file in (kept, clinic.place / "nowhere" / "clinic.backup"):
        ran = ontrack("backup", file, "--data", clinic.home)
        assert (ran.exit_code, file.exists()) == (2, False)

    # then what was known before is known, and no more
    assert asyncio.run(CopiesInFile(clinic.home).all()) == known


def test_nobody_but_its_owner_reads_it_and_nobody_at_all_without_the_master_key(clinic: Desk, kept: Path) -> None:
    # given a backup
    # when somebody looks at it
    content = b"".join(parts_of(kept).values())

    # then nothing shows who the cases are, what they said, or any secret
    assert kept.stat().st_mode & 0o777 == 0o600
    master = (clinic.home / MASTER_KEY).read_bytes()
    for secret in (*map(str.encode, (ANNA, BO, COMMENT)), master.strip(), b64decode(master)):
        assert secret not in content
    assert b"ontrack.response-submitted.v1" in content


def test_a_backup_takes_the_place_of_nothing(clinic: Desk, kept: Path) -> None:
    for file in (kept, clinic.place / "link"):
        # given a file, or a link
        if file != kept:
            file.symlink_to(clinic.place / "elsewhere")
        before = kept.read_bytes()

        # when a backup is to be made under its name
        refused = ontrack("backup", file, "--data", clinic.home)

        # then it is refused, and the file is as it was
        assert refused.exit_code == 2
        assert f"{file} is there already, and nothing is written over it" in refused.told
        assert kept.read_bytes() == before
        assert {each.name for each in clinic.place.glob("*.unfinished")} == set()


def test_a_backup_that_is_killed_leaves_no_file_under_its_name_or_a_whole_one(clinic: Desk) -> None:
    # given backups that are killed right before each thing that they do to a directory
    home = Path(shutil.copytree(clinic.home, clinic.place / "killed"))
    met = list(deaths(range(1, 100), "backup", home / "{n}.backup", "--data", home))
    assert len([death for death in met if ".backup" in death.before]) == 2
    for death in met:
        file = home / f"{death.moment}.backup"

        # when the same command is given again
        assert not file.exists(), death
        succeeded("backup", file, "--data", clinic.home)

        # then it makes one, and nothing else is left
        succeeded("backup", file, "--check", "--data", clinic.home)
        assert not file.with_name(f"{file.name}.unfinished").exists()


def test_two_backups_do_not_write_one_file(clinic: Desk) -> None:
    # given a backup that is being made
    unfinished = clinic.place / "clinic.backup.unfinished"
    with unfinished.open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)

        # when another one is made under the same name
        refused = ontrack("backup", clinic.place / "clinic.backup", "--data", clinic.home)

        # then that is refused, and the first goes on
        assert refused.exit_code == 2
        assert f"{unfinished} is being written by another command" in refused.told
        assert unfinished.read_bytes() == b"half"


def test_a_disk_that_is_full_is_told_and_leaves_nothing(clinic: Desk) -> None:
    # given room for less than the backup needs, though for what SQLite writes beside the database
    file, large = clinic.place / "clinic.backup", Record("stray", random.Random(1).randbytes(100_000))
    change(clinic.home, lambda home: home.log.append(CASES, 0, [large]))
    limited = f"ulimit -f 64; exec {ONTRACK} backup {file} --data {clinic.home}"

    # when it is made
    ran = subprocess.run(["bash", "-c", limited], capture_output=True, timeout=PATIENCE, check=False)

    # then it is told which file could not be written, and none is left
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.decode() == f"Error: {file}: a file that can be written was expected (File too large)\n"
    assert {each.name for each in clinic.place.glob("clinic.backup*")} == set()


def test_a_place_that_cannot_be_written_is_told(clinic: Desk) -> None:
    refused = ontrack("backup", clinic.place / "nowhere" / "it", "--data", clinic.home)
    assert refused.exit_code == 2
    assert f"{clinic.place / 'nowhere' / 'it'}: a file that can be written was expected" in refused.told


def test_a_home_where_nothing_can_be_written_is_backed_up(clinic: Desk, kept: Path) -> None:
    # given a home where nothing can be written, and another place where anybody can write
    with read_only([clinic.home / DATABASE, clinic.home / MASTER_KEY]) as directory, TemporaryDirectory() as place:
        Path(place).chmod(0o777)

        # when it is backed up there
        ran = ontrack_unprivileged("backup", Path(place, "it"), "--data", directory)

        # then that is done
        assert ran.exit_code == 0, ran.told
        assert parts_of(Path(place, "it"))["keys"] == parts_of(kept)["keys"]


def test_facts_whose_key_is_lost_are_told_and_kept_all_the_same(clinic: Desk) -> None:
    # given a clinic in which the key of a case is lost, and a record that is of no case
    change(clinic.home, lambda home: home.log.append(CASES, 0, [Record("stray", b"no fact")]))
    with_keys = sorted(both_in(clinic.home)[0].keys)
    forget_key(clinic.home, with_keys[0])

    # when a backup is made
    ran = ontrack("backup", clinic.place / "it", "--data", clinic.home)

    # then the case is named, and the backup is there
    assert ran.exit_code == 1
    assert "1 case with facts and no key, so nobody can read these facts any more" in ran.told
    assert with_keys[0] in ran.told
    assert "stray" not in ran.told
    assert "11 facts" in succeeded("backup", clinic.place / "it", "--check").told


def forget_key(directory: Path, case_id: str) -> None:
    with closing(sqlite3.connect(directory / DATABASE, isolation_level=None)) as database:
        database.execute("DELETE FROM keys WHERE case_id = ?", (case_id,))


def test_tokens_that_cannot_be_used_are_told_before_anything_is_written(clinic: Desk) -> None:
    (clinic.home / TOKENS).chmod(0o644)
    refused = ontrack("backup", clinic.place / "it", "--data", clinic.home)
    assert refused.exit_code == 2
    assert f"run chmod 600 {clinic.home / TOKENS}" in refused.told
    assert not list(clinic.place.glob("it*"))


def test_tokens_that_are_damaged_keep_nothing_else_from_being_backed_up(clinic: Desk) -> None:
    # given a file of tokens that was damaged
    (clinic.home / TOKENS).write_bytes(b"{")
    file = clinic.place / "clinic.backup"

    # when a backup is made, then it is there, and what it lacks is a finding
    ran = ontrack("backup", file, "--data", clinic.home)
    assert ran.exit_code == 1
    assert f"{clinic.home / TOKENS} is damaged: put its last good copy there; or remove it, and make" in ran.told
    assert "2 persons in the directory, 0 on the roster and no tokens." in ran.told
    restored(file, waiting(clinic))

    # and what it says to do can be done
    (clinic.home / TOKENS).unlink()
    token = ("token", "make", "records", "--role", "ehr", "--clinic", "clinic", "--data", clinic.home)
    assert succeeded(*token).out.startswith(b"ontrack_")


# Looking at one


def test_a_backup_is_checked_where_its_master_key_is_and_where_it_is_not(clinic: Desk, kept: Path) -> None:
    # given a backup
    # when it is checked where it was made, and elsewhere
    here = succeeded("backup", kept, "--check", "--data", clinic.home)
    elsewhere = succeeded("backup", kept, "--check")

    # then both say what it holds, and only the first to which key it belongs
    for ran in (here, elsewhere):
        assert f"{kept} is whole: 10 facts," in ran.told
        assert "Everything that was answered before 20" in ran.told
    assert "It belongs to the master key that is here." in here.told
    assert "name the place where that is: --data DIR" in elsewhere.told


def test_the_parts_of_a_backup_are_listed_in_every_form(kept: Path) -> None:
    rows = orjson.loads(succeeded("backup", kept, "--check", "--format", "json").out)
    assert sum(part["items"] for part in rows if part["part"].startswith("rom.cases.v1/")) == 10
    assert {part["part"]: part["items"] for part in rows}["keys"] == 2
    assert {part["part"]: part["items"] for part in rows}["tokens"] == 1
    assert len(succeeded("backup", kept, "--check", "--format", "csv").out.splitlines()) == len(rows) + 1


def test_the_keys_that_a_backup_holds_are_listed_also_those_that_were_destroyed_later(clinic: Desk, kept: Path) -> None:
    # given a backup, a case that is erased after it, and another backup
    [gone, stays] = sorted(both_in(clinic.home)[0].keys)
    change(clinic.home, lambda home: home.keyring.destroy(gone))
    later = backed_up(clinic, "later.backup")

    # when the keys of both are listed
    listed = [
        {line["case"]: line["key"] for line in map(orjson.loads, ran.out.splitlines())}
        for ran in (succeeded("backup", each, "--list-keys", "--format", "ndjson") for each in (kept, later))
    ]

    # then the older one still holds the key of the erased case
    assert listed == [{gone: "held", stays: "held"}, {gone: "destroyed", stays: "held"}]


@pytest.mark.parametrize("options", [("--check",), ("--list-keys",)])
def test_a_damaged_backup_is_told_with_exit_code_1(kept: Path, options: tuple[str, ...]) -> None:
    kept.write_bytes(kept.read_bytes()[:-200])
    ran = ontrack("backup", kept, *options)
    assert ran.exit_code == 1
    assert f"{kept} was cut or changed since it was made" in ran.told
    assert ran.out == b""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("backup", "{kept}", "--check", "--list-keys"), "either --check or --list-keys was expected"),
        (("backup", "{place}/nowhere", "--check"), "nowhere: the file of a backup was expected"),
        (("backup", "{place}/nowhere", "--list-keys"), "nowhere: the file of a backup was expected"),
        (("backup", "{place}/new"), "name a data directory: --data DIR"),
        (("backup", "{place}/new", "--data", "{place}/nowhere"), "nowhere is not there"),
        (("backup", "{kept}", "--check", "--data", "{place}/nowhere"), "master.key is missing"),
        (("restore", "{kept}"), "name a data directory: --data DIR"),
        (("restore", "{place}/nowhere", "--data", "{place}/home"), "does not exist"),
        (
            ("restore", "{kept}", "--data", "{place}/x", "--min-insync", "4"),
            "--min-insync 4: at most --replication (3)",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_was_expected(
    clinic: Desk, kept: Path, arguments: tuple[str, ...], told: str
) -> None:
    ran = ontrack(*(argument.format(kept=kept, place=clinic.place) for argument in arguments))
    assert ran.exit_code == 2
    assert told in ran.told


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_help_says_what_it_does_and_gives_an_example(command: str) -> None:
    ran = ontrack(command, "--help")
    assert ran.exit_code == 0
    assert f"Example: ontrack {command} clinic.backup --data ./clinic" in " ".join(ran.out.decode().split())


# Putting one back


def test_a_directory_that_holds_the_master_key_becomes_the_clinic_again(clinic: Desk, kept: Path) -> None:
    # given a backup, and a directory with the master key
    directory = waiting(clinic)

    # when it is restored there
    ran = restored(kept, directory)

    # then it holds what the clinic held, for its owner alone
    assert (directory / TOKENS).read_bytes() == (clinic.home / TOKENS).read_bytes()
    assert {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()} == dict.fromkeys(
        (DATABASE, MASTER_KEY, TOKENS, COPIES, "ontrack.lock"), 0o600
    )
    assert both_in(directory) == both_in(clinic.home)

    # and it is said what that is, as of when, and what to do about what came later
    assert f"{directory} is as the backup has it: 10 facts," in ran.told
    assert "It is as of 20" in ran.told
    assert "let them send all that they have sent since then" in ran.told
    assert "one that was revoked since then lets somebody in again. See ontrack token list" in " ".join(
        ran.told.split()
    )

    # and it goes on as any other
    assert succeeded("reports", "--data", directory).out == succeeded("reports", "--data", clinic.home).out
    clinic.takes(table([row(ANNA, session, 30, comment=COMMENT) for session in range(6)]), "--data", directory)


def test_a_backup_that_does_not_know_which_copies_there_are_is_restored_and_that_is_said(clinic: Desk) -> None:
    # given a backup that was made when nobody could tell which there are
    assert "is not in this backup" not in restored(backed_up(clinic), waiting(clinic, "another")).told
    (clinic.home / COPIES).write_text("damaged")
    file = clinic.place / "without.backup"
    made = succeeded("backup", file, "--data", clinic.home)
    assert "Which copies were made is not in it" in made.told
    assert "copies" not in parts_of(file)

    # when it is restored, beside what is still known of copies
    directory = waiting(clinic)
    known = made_here("keys", clinic.place / "case.keys", datetime(2026, 1, 5, tzinfo=UTC), "elsewhere")
    asyncio.run(CopiesInFile(directory).note(known))
    ran = restored(file, directory)

    # then the clinic is there, what was known is, and what is not is told
    assert both_in(directory) == both_in(clinic.home)
    assert list(asyncio.run(CopiesInFile(directory).all())) == [known]
    assert "Which backups, files of keys and reports were made is not in this backup" in ran.told

    # and when the same command is given again, then it is as that has left it
    assert f"{directory} is as the backup has it" in restored(file, directory).told


def test_a_backup_that_could_not_be_noted_is_restored_and_whoever_restores_it_is_told_to_name_it(clinic: Desk) -> None:
    # given a backup that was made when nothing could be noted, though what was noted before could be read
    earlier = backed_up(clinic, "earlier.backup")
    (clinic.home / f"{COPIES}.new").mkdir()
    file = clinic.place / "later.backup"
    assert "It was not noted" in succeeded("backup", file, "--data", clinic.home).told

    # when it is restored, then what it knows is known, and of itself it is told what to do, also once more
    directory = waiting(clinic)
    for _ in range(2):
        assert "whoever erases a case has to name it by --backups" in restored(file, directory).told
    assert [copy.path for copy in asyncio.run(CopiesInFile(directory).all())] == [f"{earlier}"]


def test_a_clinic_in_which_everything_happened_is_restored_to_the_byte(tmp_path: Path) -> None:
    # given sessions, attendance, problems, comments, reports
    home, again, file = tmp_path / "home", tmp_path / "again", tmp_path / "it"
    succeeded("import", simulated(tmp_path / "facts"), "--data", home)

    # when they are backed up and restored
    succeeded("backup", file, "--data", home)
    restored(file, master_key_in(again, (home / MASTER_KEY).read_bytes()))

    # then they are all there, nothing of them can be read in the file, and a backup of the copy is as long
    assert both_in(again) == both_in(home)
    content = b"".join(parts_of(file).values()).decode("utf-8", "replace")
    assert len(texts()) > 20
    assert not [text for text in texts() if text in content]
    succeeded("backup", tmp_path / "other", "--data", again)
    # but for what it says of itself, and for the copy that was made since
    one, other = parts_of(file), parts_of(tmp_path / "other")
    assert {**one, "manifest.json": b"", "copies": b""} == {**other, "manifest.json": b"", "copies": b""}


def test_more_facts_than_a_stage_puts_aside_at_once_are_no_obstacle(clinic: Desk) -> None:
    # given a clinic in which more unreadable facts have come to one partition over time than one run bears
    for _ in range(2):
        strange = [Record(f"{number}", b"no fact") for number in range(DEAD_LETTERS_AT_MOST * 2 // 3)]
        change(clinic.home, lambda home, some=strange: home.log.append(CASES, 5, some))  # type: ignore[misc]
        change(clinic.home, lambda home: home.catch_up())
    assert counts(clinic.home)[DEAD_LETTERS.name] > DEAD_LETTERS_AT_MOST

    # when it is backed up and restored
    directory = waiting(clinic)
    restored(backed_up(clinic), directory)

    # then all is there, each dead letter once
    assert both_in(directory) == both_in(clinic.home)


def test_an_erased_case_stays_erased(clinic: Desk) -> None:
    # given a clinic with an erased case
    [gone, _] = sorted(both_in(clinic.home)[0].keys)
    change(clinic.home, lambda home: home.keyring.destroy(gone))

    # when it is backed up and restored
    directory = waiting(clinic)
    restored(backed_up(clinic), directory)

    # then its facts are there and nobody can read them, and who it was is known to nobody
    kept, following = both_in(directory)
    assert kept == both_in(clinic.home)[0]
    assert kept.keys[gone] is None
    assert not any(gone in history for history in following.histories.values())
    refused = ontrack("import", clinic.place / "answers.csv", "--enrol", "--policy", clinic.policy, "--data", directory)
    assert "a case that was not erased was expected" in refused.told


@pytest.mark.parametrize("every", [pytest.param(29, id="some"), pytest.param(1, id="all", marks=pytest.mark.torture)])
def test_a_restore_that_is_killed_at_any_moment_is_finished_by_the_same_command(
    clinic: Desk, kept: Path, every: int
) -> None:
    # given restores that are killed right before something that they do to their directory
    expected = both_in(clinic.home)
    moments = range(1, 3_000, every)
    for moment in moments:
        waiting(clinic, f"{moment}")
    met = list(deaths(moments, "restore", kept, "--data", clinic.place / "{n}"))
    last = met[-1].moment
    for moment in range(last + 1, last + every):
        waiting(clinic, f"{moment}") if not (clinic.place / f"{moment}").exists() else None
    met += deaths(range(last + 1, last + every), "restore", kept, "--data", clinic.place / "{n}")
    assert len(met) > 10
    assert any("os.rename" in death.before for death in met)
    for death in met:
        directory = clinic.place / str(death.moment)

        # when the same command is given again
        again = ontrack("restore", kept, "--data", directory)

        # then the clinic is there, it knows what it was made of, and nothing is left of the first try
        assert again.exit_code == 0, (death, again.told)
        assert f"{directory} is as the backup has it: 10 facts, " in again.told, death
        assert both_in(directory) == expected, death
        assert [copy.path for copy in asyncio.run(CopiesInFile(directory).all())] == [f"{kept}"], death
        left = {file.name for file in directory.iterdir()} - {MASTER_KEY, TOKENS, COPIES, DATABASE, LOCK}
        assert left <= {f"{DATABASE}-wal", f"{DATABASE}-shm"}, death


def _takes_answers(home: Path, clinic: Desk) -> None:
    (clinic.place / "more.csv").write_bytes(table([row(ANNA, 9, 12)]))
    succeeded("import", clinic.place / "more.csv", "--data", home)


def _takes_a_token(home: Path, _: Desk) -> None:
    Tokens(home / TOKENS).make(Client("more", "ehr", "clinic"), datetime(2026, 1, 5, tzinfo=UTC))


def _loses(table: str) -> Callable[[Path, Desk], None]:
    def loses(home: Path, _: Desk) -> None:
        with closing(sqlite3.connect(home / DATABASE, isolation_level=None)) as database:
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - ours

    return loses


@pytest.mark.parametrize("changed", [_takes_answers, _takes_a_token, _loses("keys"), _loses("directory")])
def test_a_restore_is_given_again_as_long_as_all_is_as_the_backup_has_it(
    clinic: Desk, kept: Path, changed: Callable[[Path, Desk], None]
) -> None:
    # given a backup that was restored
    directory = waiting(clinic)
    first = restored(kept, directory)

    # when that is done once more, then it says the same
    assert restored(kept, directory).told == first.told

    # and once the clinic has changed there, it is refused as any other, and left alone
    changed(directory, clinic)
    before = both_in(directory)
    again = ontrack("restore", kept, "--data", directory)
    assert (again.exit_code, f"{directory} holds something already" in again.told) == (2, True)
    assert both_in(directory) == before


def _no_key(directory: Path, _: Desk) -> None:
    (directory / MASTER_KEY).unlink()


def _another_key(directory: Path, _: Desk) -> None:
    (directory / MASTER_KEY).write_bytes(b64encode(bytes(MASTER_LENGTH)))


def _an_open_key(directory: Path, _: Desk) -> None:
    (directory / MASTER_KEY).chmod(0o644)


def _a_file(directory: Path, _: Desk) -> None:
    (directory / "letter.txt").write_text("keep me")


def _other_tokens(directory: Path, _: Desk) -> None:
    Tokens(directory / TOKENS).make(Client("records", "ehr", "clinic"), datetime(2026, 1, 5, tzinfo=UTC))


def _a_clinic(directory: Path, clinic: Desk) -> None:
    shutil.copy(clinic.home / DATABASE, directory / DATABASE)


@pytest.mark.parametrize(
    ("spoil", "told", "code"),
    [
        (_no_key, "master.key is missing: put the master key back from where you keep its copy", 2),
        (_another_key, "the master key is not the one of", 2),
        (_an_open_key, "run chmod 600", 2),
        (_a_file, "holds something already; a backup goes into a directory that holds master.key and nothing else", 2),
        (_other_tokens, "holds other tokens than", 2),
        (
            _a_clinic,
            "holds something already; a backup goes into a directory that holds master.key and nothing else",
            2,
        ),
    ],
    ids=lambda value: value.__name__.removeprefix("_") if callable(value) else "",
)
def test_a_place_that_does_not_fit_is_refused_and_left_as_it_is(
    clinic: Desk, kept: Path, spoil: Callable[[Path, Desk], None], told: str, code: int
) -> None:
    # given a directory in which something is other than it should be
    directory = waiting(clinic)
    spoil(directory, clinic)
    before = {file.name: file.read_bytes() for file in directory.iterdir()}

    # when a backup is to be restored there
    ran = ontrack("restore", kept, "--data", directory)

    # then it is refused, and everything is as it was
    assert ran.exit_code == code
    assert told in ran.told
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == before


@pytest.mark.parametrize("spoil", [lambda content: content[:-1], lambda content: content[:-9] + bytes(9)])
def test_a_damaged_backup_is_told_before_anything_is_written(
    clinic: Desk, kept: Path, spoil: Callable[[bytes], bytes]
) -> None:
    directory = waiting(clinic)
    kept.write_bytes(spoil(kept.read_bytes()))
    ran = ontrack("restore", kept, "--data", directory)
    assert ran.exit_code == 1
    assert f"{kept} was cut or changed since it was made" in ran.told
    assert [file.name for file in directory.iterdir()] == [MASTER_KEY]


def test_memory_does_not_grow_with_the_history(clinic: Desk) -> None:
    # given a small clinic, and one with sixty megabytes of facts more
    small = backed_up(clinic, "small")
    _, usual = run_measured("backup", clinic.place / "first", "--data", clinic.home)
    _, usual_again = run_measured("restore", small, "--data", waiting(clinic, "first-again"))
    for partition in range(CASES.partitions):
        records = [Record("stray", bytes(1_000)) for _ in range(50)]
        change(clinic.home, lambda home, p=partition, r=records: appended(home, p, r))  # type: ignore[misc]

    # when they are backed up, checked and restored
    large = clinic.place / "large"
    made, needed = run_measured("backup", large, "--data", clinic.home)
    checked, to_check = run_measured("backup", large, "--check")
    again, to_restore = run_measured("restore", large, "--data", waiting(clinic, "large-again"))

    # then that takes little more memory
    assert [ran.exit_code for ran in (made, checked, again)] == [0, 0, 0], (made.told, checked.told, again.told)
    assert "60,010 facts" in made.told
    print(f"{usual:,} {needed:,} {to_check:,} {usual_again:,} {to_restore:,}")
    assert max(needed, to_check) < usual + 32_000_000
    assert to_restore < usual_again + 48_000_000


async def appended(home: EmbeddedHome, partition: int, records: Sequence[Record]) -> None:
    for _ in range(100):
        await home.log.append(CASES, partition, records)
