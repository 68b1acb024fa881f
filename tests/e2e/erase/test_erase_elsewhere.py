"""`ontrack erase` and what lies elsewhere: backups, bundles, keys, pages, exports; each is told of until it is gone."""

import asyncio
import fcntl
import json
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from zipfile import ZipFile

import pytest

from contracts.codec import CaseKey
from services.cli.case_keys import write_keys
from services.cli.erase.copies import Erased, Met, pages_taken_out
from services.cli.history import history
from services.cli.home import Failure
from services.cli.private import in_place_of
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.home import Home
from services.runtime.copies.file import CopiesInFile
from services.runtime.copies.port import CopiesUnavailable, Copy
from services.runtime.directory.port import Person
from tests.support.command import Ran, ontrack, run_apart, succeeded
from tests.support.contents import master_key_in
from tests.support.desk import Desk, row, table
from tests.support.erasing import (
    ANNA,
    COMMENT,
    ERASE,
    GONE,
    case_of,
    erase,
    found,
    given_up,
    record_only,
    secrets_of,
    verified,
)
from tests.support.simulated import assert_all_equal
from tests.support.unprivileged import ontrack_unprivileged, read_only


def test_where_a_backup_was_moved_to_has_to_be_named_once(clinic: Desk) -> None:
    # given a backup that was moved
    place = clinic.place
    succeeded("backup", place / "monday.backup", "--data", clinic.home)
    (place / "monday.backup").rename(place / "moved.backup")

    # when a case is erased, then the backup is told of as missing until its new place is named
    assert f"the backup {place}/monday.backup is not there" in erase(clinic).said
    assert erase(clinic, "--backups", place / "moved.backup").exit_code == 0

    # and when another one is, then it is known
    asked = ("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, "--data", clinic.home)
    assert f"the backup {place}/moved.backup was written anew without it" in succeeded(*asked).said
    listed = succeeded("backup", place / "moved.backup", "--list-keys", "--format", "ndjson").out.splitlines()
    assert [json.loads(line)["key"] for line in listed] == ["destroyed", "destroyed"]


def test_an_erasure_that_is_broken_off_before_it_forgets_where_a_backup_was_is_finished_by_the_same_command(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a backup that was moved, and an erasure that was broken off when it had taken the case out of it
    succeeded("backup", clinic.place / "clinic.backup", "--data", clinic.home)
    moved = (clinic.place / "clinic.backup").rename(clinic.place / "moved.backup")

    async def is_away(*_: object, **__: object) -> None:
        raise CopiesUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(CopiesInFile, "forget", is_away)
        assert erase(clinic, "--backups", moved).exit_code == 2

    # when the same command is given again, then nothing is left to be done
    assert erase(clinic, "--backups", moved).exit_code == 0
    assert erase(clinic).exit_code == 0


def test_a_backup_that_was_moved_is_told_of_though_another_one_was_made_under_its_name(clinic: Desk) -> None:
    # given two backups that were made under one name, one after the other was moved
    place, secrets = clinic.place, secrets_of(clinic.home)
    for number in (1, 2, 3):
        succeeded("backup", place / "nightly.backup", "--data", clinic.home)
        (place / "nightly.backup").rename(place / f"nightly.backup.{number}")
    succeeded("backup", place / "nightly.backup", "--data", clinic.home)
    assert "there already" in ontrack("backup", place / "nightly.backup", "--data", clinic.home).told

    # when a case is erased, then each of those that were moved is told of, until it is named
    before = f"the backup {place}/nightly.backup that was made there before"
    ran = erase(clinic)
    assert (ran.exit_code, ran.said.count(before)) == (1, 3)
    ran = erase(clinic, "--backups", place / "nightly.backup.1", "--backups", place / "nightly.backup.2")
    assert (ran.exit_code, ran.said.count(before)) == (1, 1)

    # or it is said that it is gone, which says nothing of the one that is there
    (place / "nightly.backup.3").unlink()
    assert erase(clinic, "--gone", place / "nightly.backup").exit_code == 0
    assert found(place, {name: secrets[name] for name in ("wrapped key", "entry", "key")}) == set()
    again = succeeded("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, "--data", clinic.home).said
    for name in ("nightly.backup", "nightly.backup.1", "nightly.backup.2"):
        assert f"the backup {place}/{name} was written anew without it" in again


@pytest.mark.parametrize("is_of_another", [False, True], ids=["of this home", "of another one"])
def test_a_backup_is_told_of_when_another_file_has_got_its_name(clinic: Desk, *, is_of_another: bool) -> None:
    # given a backup that was moved, and one with another name that was moved to where it was
    place, secrets = clinic.place, secrets_of(clinic.home)
    succeeded("backup", place / "clinic.backup", "--data", clinic.home)
    (place / "clinic.backup").rename(place / "before.backup")
    home = clinic.home
    if is_of_another:
        home = place / "other"
        ontrack("import", clinic.file(table([row("77", 1, 20)])), "--enrol", "--policy", clinic.policy, "--data", home)
    succeeded("backup", place / "new.backup", "--data", home)
    (place / "new.backup").rename(place / "clinic.backup")

    # when a case is erased, once and again, then the one that is not there any more is told of, and nothing else
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        [says] = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
        assert says.startswith(f"the backup {place}/clinic.backup that was made there before")

    # and when it is named, then nothing is left
    assert erase(clinic, "--backups", place / "before.backup").exit_code == 0
    assert found(place, secrets) == set()
    assert erase(clinic).exit_code == 0


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (("export", "--output", "sealed", "--case", "{case}", "--keys"), "case.keys"),
        (("export", "--reveal", "--case", "{case}", "--output"), "opened"),
        (("audit", "why", "{case}", "--session", "3", "--write"), "why.html"),
        (("reports", "--case", "{case}", "--write"), "pages"),
    ],
    ids=["keys", "export", "page", "reports"],
)
def test_what_was_moved_is_told_of_though_it_was_made_anew_about_somebody_else(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], name: str
) -> None:
    # given something about a case that was moved, and the same about another one in its place
    monkeypatch.chdir(clinic.place)
    place = clinic.place / name
    succeeded(*(word.format(case=GONE) for word in asked), place, "--data", clinic.home)
    place.rename(clinic.place / "moved")
    succeeded(*(word.format(case=ANNA) for word in asked), place, "--data", clinic.home)

    # when the case is erased, once and again, then it is told that it was there, until it is said that it is gone
    for _ in range(2):
        ran = erase(clinic)
        assert ran.exit_code == 1
        assert f"{place} that was made there before" in ran.said
    assert erase(clinic, "--gone", place).exit_code == 0
    assert erase(clinic).exit_code == 0

    # and what is there stays
    assert any(ANNA.encode() in file.read_bytes() for file in (place.rglob("*.*") if place.is_dir() else [place]))


def test_a_backup_is_taken_for_no_other_one_and_a_copy_for_one_only(clinic: Desk) -> None:
    # given two backups, and a copy of the second that is known too; then all are moved
    place = clinic.place
    for name in ("monday", "tuesday"):
        succeeded("backup", place / f"{name}.backup", "--data", clinic.home)
    shutil.copy(place / "tuesday.backup", place / "copy.backup")
    assert erase(clinic, "--backups", place / "copy.backup").exit_code == 0
    for name in ("monday", "tuesday", "copy"):
        (place / f"{name}.backup").rename(place / f"{name}.moved")

    # when one is named, then it stands for one of those that are missing, and never for that of another day
    ran = erase(clinic, "--backups", place / "tuesday.moved")
    missing = {name for name in ("monday", "tuesday", "copy") if f"{name}.backup is not there" in ran.said}
    assert ran.exit_code == 1
    assert "monday" in missing
    assert len(missing) == 2

    # and when all are, nothing is missing
    named = [("--backups", place / f"{name}.moved") for name in ("monday", "copy")]
    assert erase(clinic, *(part for each in named for part in each)).exit_code == 0
    assert erase(clinic).exit_code == 0


def test_what_a_command_that_was_killed_has_left_goes_though_it_is_said_that_the_file_is_gone(clinic: Desk) -> None:
    # given a backup that was deleted, and one, and a file of keys, of which only what was not finished is there
    place, secrets = clinic.place, secrets_of(clinic.home)
    for name in ("monday.backup", "tuesday.backup"):
        succeeded("backup", place / name, "--data", clinic.home)
    succeeded("export", "--data", clinic.home, "--output", place / "exported", "--keys", place / "case.keys")
    (place / "monday.backup").unlink()
    for name in ("tuesday.backup", "case.keys"):
        (place / name).rename(place / f"{name}.unfinished")

    # when a case is erased, and it is said that all are gone, then nothing of it is found there
    assert erase(clinic, "--gone", place).exit_code == 0
    assert found(place, secrets) == set()


def test_a_file_of_somebodys_that_is_called_new_is_no_unfinished_one(clinic: Desk) -> None:
    # given backups and files of keys that are called new, beside others
    place, secrets = clinic.place, secrets_of(clinic.home)
    for name in ("clinic.backup.new", "clinic.backup"):
        succeeded("backup", place / name, "--data", clinic.home)
    for name in ("case.keys.new", "case.keys"):
        succeeded("export", "--topic", "rom.cases.v1", "--keys", place / name, "--data", clinic.home)

    # when a case is erased, then it is taken out of all of them
    assert erase(clinic).exit_code == 0
    assert found(place, secrets) == set()
    succeeded("backup", place / "clinic.backup.new", "--check", "--data", clinic.home)
    assert (place / "case.keys.new").read_bytes() == (place / "case.keys").read_bytes()


def test_a_backup_that_links_lead_to_is_remembered_once_and_by_its_own_name(clinic: Desk) -> None:
    # given a backup and a file of keys that are not known here, with links to them
    elsewhere = clinic.place / "elsewhere"
    elsewhere.mkdir()
    succeeded("backup", clinic.place / "new.backup", "--data", clinic.home)
    succeeded(
        "export", "--data", clinic.home, "--output", clinic.place / "exported", "--keys", clinic.place / "new.keys"
    )
    for kind in ("backup", "keys"):
        (clinic.place / f"new.{kind}").rename(elsewhere / f"own.{kind}")
        (elsewhere / f"link.{kind}").symlink_to(elsewhere / f"own.{kind}")

    # when a case is erased, then each is told of once
    told = erase(clinic, "--backups", elsewhere, "--gone", clinic.place / "new.keys").said
    for name in ("the backup", "the file of keys"):
        kind = name.rpartition(" ")[2]
        assert told.count(f"{name} {elsewhere}/own.{kind} was written anew") == 1
        assert f"{elsewhere}/link.{kind}" not in told

    # and it is known though the links are gone
    for link in elsewhere.glob("link.*"):
        link.unlink()
    assert erase(clinic).exit_code == 0


@pytest.mark.parametrize("name", ["case.keys", "monday.backup"])
def test_what_is_taken_out_of_a_file_meanwhile_does_not_come_back(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # given a backup and a file of keys, and another case that is erased when a file was read and is not held yet
    place, others = clinic.place, list[Ran]()
    succeeded("backup", place / "monday.backup", "--data", clinic.home)
    succeeded("export", "--data", clinic.home, "--output", place / "exported", "--keys", place / "case.keys")
    shutil.copytree(clinic.home, place / "copied")

    def meanwhile(file: Path) -> AbstractContextManager[tuple[IO[bytes], Path]]:
        if file.name == name and not others:
            asked = ("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, "--moved-from", clinic.home)
            others.append(run_apart(*asked, "--data", place / "copied"))
        return in_place_of(file)

    monkeypatch.setattr("services.cli.erase.files.in_place_of", meanwhile)

    # when a case is erased, then neither is in these files
    assert erase(clinic).exit_code == 0
    assert f"{place / name} was written anew" in others[0].said
    listed = succeeded("backup", place / "monday.backup", "--list-keys", "--format", "ndjson").out.splitlines()
    assert [json.loads(line)["key"] for line in listed] == ["destroyed", "destroyed"]
    assert [json.loads(line)["key"] for line in (place / "case.keys").read_bytes().splitlines()] == [None, None]


def test_a_file_that_gets_its_name_before_it_is_held_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given somebody who puts a file in the place of another one when a command has opened it, and does not hold it yet
    file, flock = tmp_path / "monday.backup", fcntl.flock
    file.write_text("before")

    def finished(stream: IO[bytes], how: int) -> None:
        stream.write(b"after")
        stream.flush()
        file.with_name("monday.backup.unfinished").rename(file)
        flock(stream, how)

    monkeypatch.setattr("services.cli.private.fcntl.flock", finished)

    # when the command goes on, then it leaves that alone
    with pytest.raises(Failure, match="is being written by another command"), in_place_of(file):
        pass
    assert file.read_text() == "after"


def test_a_directory_that_is_named_is_looked_through_where_links_lead_too(clinic: Desk) -> None:
    # given a backup that was moved into a directory to which a link leads, and one that leads back
    place, named, disk = clinic.place, clinic.place / "named", clinic.place / "disk"
    secrets = secrets_of(clinic.home)
    named.mkdir()
    disk.mkdir()
    succeeded("backup", place / "monday.backup", "--data", clinic.home)
    (place / "monday.backup").rename(disk / "monday.backup")
    (named / "older").symlink_to(disk)
    (disk / "newer").symlink_to(named)

    # when a case is erased and the directory is named, then nothing of it is found in the backup
    assert erase(clinic, "--backups", named).exit_code == 0
    assert found(disk, secrets) == set()


def test_a_backup_that_was_cut_is_told_of_in_a_directory_that_is_named(clinic: Desk) -> None:
    # given a directory with a backup that was cut, and an archive of somebody else's
    place, named = clinic.place, clinic.place / "named"
    named.mkdir()
    succeeded("backup", place / "monday.backup", "--data", clinic.home)
    (named / "cut.backup").write_bytes((place / "monday.backup").read_bytes()[:-100])
    with ZipFile(named / "photos.zip", "w") as archive:
        archive.writestr("photo.jpg", b"")

    # when a case is erased, then it is told what could hold it still
    ran = erase(clinic, "--backups", named)
    assert ran.exit_code == 1
    assert f"the backup {named}/cut.backup could not be written anew: {named}/cut.backup was cut or changed" in ran.said
    assert "photos" not in ran.said


def test_a_file_that_only_begins_like_one_of_keys_is_in_the_way_only_if_it_names_the_case(clinic: Desk) -> None:
    # given a file of somebody else's, of which only the first line looks like an entry
    case_id, other = case_of(clinic.home), clinic.place / "other"
    other.mkdir()
    (other / "theirs").write_text('{"case": "one", "key": "none of ours"}\nand so on\n')

    # when a case is erased, then it does not hold that, and is left as it is
    before = (other / "theirs").read_bytes()
    assert erase(clinic, "--backups", other).exit_code == 0
    assert (other / "theirs").read_bytes() == before

    # and where another line names the case, it is said which is no entry
    (other / "theirs").write_text(f'{{"case": "one", "key": "none of ours"}}\nand {case_id} too\n')
    ran = erase(clinic, "--backups", other)
    assert ran.exit_code == 1
    assert "line 2 names the case, and a case and its key were expected there" in ran.said

    # and where a line says something of its own beside a key, or in its place, it is left as it is
    key = b64encode(bytes(CaseKey.LENGTH)).decode()
    for entry in ({"case": case_id, "key": key, "note": "mine"}, {"case": case_id, "key": "under the mat"}):
        (other / "theirs").write_text(json.dumps(entry))
        ran = erase(clinic, "--backups", other)
        assert (ran.exit_code, (other / "theirs").read_text()) == (1, json.dumps(entry))
        assert "line 1 names the case, and says more of it than its key" in ran.said


def test_a_directory_that_nobody_can_look_into_is_told_of_until_somebody_can(clinic: Desk) -> None:
    # Nobody else can look into the folders of the tests.
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given a backup in a directory that cannot be listed, another one where names can be read and nothing else, and
        # one that itself cannot be read
        home, backups = Path(folder) / "home", Path(folder) / "backups"
        shutil.copytree(clinic.home, home)
        closed = {backups / "closed": 0o000, backups / "listed": 0o444}
        for place in closed:
            (place / "below").mkdir(parents=True)
            succeeded("backup", Path(folder) / "new.backup", "--data", home)
            shutil.move(Path(folder) / "new.backup", place / "moved.backup")
        succeeded("backup", Path(folder) / "new.backup", "--data", home)
        shutil.move(Path(folder) / "new.backup", backups / "own.backup")
        (backups / "own.backup").chmod(0o000)

        # when a case is erased, then all are told of, while that is done and where it says what was not reached
        with given_up(home, backups):
            for place, mode in closed.items():
                place.chmod(mode)
            ran = ontrack_unprivileged(
                *ERASE, "--data", home, "--backups", backups, "--gone", folder, "--format", "json"
            )
            assert ran.exit_code == 1, ran.told
            unreached = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
            what = [*(f"the directory {place}" for place in closed), f"the file {backups}/own.backup"]
            for each, says in zip(what, unreached, strict=True):
                assert says.startswith(f"{each} cannot be looked into (Permission denied): ")
                assert f"Passed over: {each} cannot be looked into (Permission denied)." in ran.told
            for place in closed:
                place.chmod(0o755)
            (backups / "own.backup").chmod(0o600)

        # and when somebody can look there, then nothing is left
        ran = erase(clinic, "--backups", backups, home=home)
        assert ran.exit_code == 0
        for file in (*(place / "moved.backup" for place in closed), backups / "own.backup"):
            assert f"the backup {file} was written anew without it" in ran.said


def test_a_file_of_keys_that_could_not_be_written_is_no_copy_that_an_erasure_has_to_find(clinic: Desk) -> None:
    keys = clinic.place / "nowhere" / "case.keys"
    refused = ontrack("export", "--topic", "rom.cases.v1", "--keys", keys, "--data", clinic.home)
    assert f"{keys}: a file that can be written was expected" in refused.told
    assert erase(clinic).exit_code == 0


def test_a_file_of_keys_that_was_moved_is_told_of_until_somebody_says_where_it_went(clinic: Desk) -> None:
    # given a file of keys that was moved
    secrets, place = secrets_of(clinic.home), clinic.place
    succeeded("export", "--data", clinic.home, "--output", place / "exported", "--keys", place / "case.keys")
    (place / "elsewhere").mkdir()
    (place / "case.keys").rename(place / "elsewhere" / "moved.keys")

    # when a case is erased, then it is told of, and the key taken out where it is named
    assert f"the file of keys {place}/case.keys is not there" in erase(clinic).said
    ran = erase(clinic, "--backups", place / "elsewhere", "--gone", place / "case.keys")
    assert ran.exit_code == 0
    assert f"the file of keys {place}/elsewhere/moved.keys was written anew" in ran.said
    assert found(place, secrets) == set()

    # and when another one is, then it is known
    succeeded("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, "--data", clinic.home)
    keys = [json.loads(line)["key"] for line in (place / "elsewhere" / "moved.keys").read_bytes().splitlines()]
    assert keys == [None, None]


def test_keys_that_are_about_to_be_written_are_told_of_though_they_were_read_before(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given keys of which nothing is written yet, when a case is erased
    case, file, told = case_of(clinic.home), clinic.place / "case.keys", list[Ran]()

    async def written() -> None:
        async with await EmbeddedHome.open(clinic.home) as home:
            persons = home.people.persons

            async def asked() -> Mapping[str, Person]:
                told.append(run_apart(*ERASE, "--data", clinic.home))
                return await persons()

            monkeypatch.setattr(home.people, "persons", asked)
            await write_keys(home, file, None)

    asyncio.run(written())

    # then it is told where they will be, and when it is erased once more, its key is not there any more
    assert [ran.exit_code for ran in told] == [1]
    assert f"the file of keys {file} is not there" in told[0].said
    assert erase(clinic).exit_code == 0
    assert json.dumps({"case": case, "key": None}, separators=(",", ":")) in file.read_text()


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        ("services.cli.audit.why.history", ("audit", "why", GONE, "--session", "3", "--write")),
        ("services.cli.policy.trial.tried", ("policy", "try", "clinic-bdi", "--list", "--page")),
    ],
    ids=["why", "trial"],
)
def test_a_page_that_is_about_to_be_written_is_told_of_though_the_case_was_read_before(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch, read: str, asked: tuple[str, ...]
) -> None:
    # given a page of which nothing is written yet, when a case is erased of which all was read
    page, told = clinic.place / "page.html", list[Ran]()
    module, _, name = read.rpartition(".")
    reads = getattr(import_module(module), name)

    async def is_read(*arguments: object) -> object:
        found = await reads(*arguments)
        told.append(run_apart(*ERASE, "--data", clinic.home))
        return found

    monkeypatch.setattr(read, is_read)
    succeeded(*asked, page, "--data", clinic.home)

    # then it is told where it will be, and when the case is erased once more, it is not there or told of
    assert [ran.exit_code for ran in told] == [1]
    assert f"{page} is not there" in told[0].said
    again = erase(clinic)
    assert f"{page} is about the trial of a policy" in again.said or not page.exists()


def test_what_is_made_while_a_case_is_erased_and_its_key_is_there_is_told_of(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an export that is made, to be read, when an erasure has seen which copies there are
    exported = clinic.place / "exported"

    def meanwhile(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
        if not exported.exists():
            run_apart("export", "--reveal", "--output", exported, "--data", clinic.home)
        return pages_taken_out(erased, copies)

    monkeypatch.setattr("services.cli.erase.command.pages_taken_out", meanwhile)

    # when the case is erased, then it is told what stands there
    ran = erase(clinic)
    assert found(exported, {"comment": COMMENT.encode()}) == {"comment"}
    assert (ran.exit_code, f"what stands open in {exported} holds its answers" in ran.said) == (1, True)


def test_what_is_noted_while_a_case_is_erased_stays_noted(clinic: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a page about a case, and one about another that takes its place when the case is erased
    page, here = clinic.place / "page.html", ("--data", clinic.home)
    succeeded("audit", "why", GONE, "--session", "3", "--write", page, *here)

    def meanwhile(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
        met = pages_taken_out(erased, copies)
        if not page.exists():
            run_apart("audit", "why", ANNA, "--session", "3", "--write", page, *here)
        return met

    with monkeypatch.context() as patch:
        patch.setattr("services.cli.erase.command.pages_taken_out", meanwhile)
        assert (erase(clinic).exit_code, page.exists()) == (0, True)

    # when that one is erased too, then its page is not there any more
    succeeded("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, *here)
    assert not page.exists()


def test_a_page_that_is_about_to_be_written_over_by_one_of_somebody_else_is_told_of(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a page about a case in the place of which one about another is about to be written, when the case is erased
    page, told = clinic.place / "page.html", list[Ran]()
    writes = ("--session", "3", "--write", page, "--data", clinic.home)
    succeeded("audit", "why", GONE, *writes)

    async def is_read(home: Home, case_id: str) -> object:
        told.append(run_apart(*ERASE, "--data", clinic.home))
        return await history(home, case_id)

    monkeypatch.setattr("services.cli.audit.why.history", is_read)
    succeeded("audit", "why", ANNA, *writes)

    # then it is told where it may stand, and not any more once it was written over
    assert [ran.exit_code for ran in told] == [1]
    assert f"the report in {page} can be about it: delete it" in told[0].said
    assert (erase(clinic).exit_code, found(page, {"other": ANNA.encode()})) == (0, {"other"})


def test_a_page_of_another_kind_takes_the_place_of_what_was_there_and_of_nothing_that_was_moved(clinic: Desk) -> None:
    # given a page about a case that was moved, and one of another kind in its place
    page, here = clinic.place / "page.html", ("--data", clinic.home)
    succeeded("audit", "why", GONE, "--session", "3", "--write", page, *here)
    page.rename(clinic.place / "moved.html")
    succeeded("policy", "try", "clinic-bdi", "--list", "--page", page, *here)

    # when the case is erased, then both are told of, and nothing is removed in the place of the first
    ran = erase(clinic)
    assert (ran.exit_code, page.exists()) == (1, True)
    assert f"the report in {page} that was made there before (" in ran.said
    assert f"the page {page} is about the trial of a policy" in ran.said

    # and when one about another case was written over the second, then nobody is told to delete that
    succeeded("audit", "why", ANNA, "--session", "3", "--write", page, *here)
    assert "trial of a policy" not in erase(clinic).said


def test_a_page_that_was_moved_is_told_of_though_one_that_names_nobody_took_its_place(clinic: Desk) -> None:
    # given a page about a case that was moved, and the trial of a policy in its place, without any case
    page, here = clinic.place / "page.html", ("--data", clinic.home)
    succeeded("audit", "why", GONE, "--session", "3", "--write", page, *here)
    page.rename(clinic.place / "moved.html")
    succeeded("policy", "try", "clinic-bdi", "--page", page, *here)

    # when the case is erased, then what was moved is told of, and what is there is left alone
    ran = erase(clinic)
    assert (ran.exit_code, page.exists()) == (1, True)
    assert f"the report in {page} that was made there before (" in ran.said
    assert "trial of a policy" not in ran.said

    # and when another one is written over by such a page, then nobody is told of that
    succeeded("audit", "why", ANNA, "--session", "3", "--write", page, *here)
    succeeded("policy", "try", "clinic-bdi", "--page", page, *here)
    ran = ontrack("erase", ANNA, "--ground", "ordered", "--confirm", ANNA, *here)
    assert (ran.exit_code, str(page) in ran.said, page.exists()) == (0, False, True)


@pytest.mark.parametrize(
    "asked", [("reports", "--write"), ("export", "--reveal", "--output")], ids=["reports", "export"]
)
@pytest.mark.parametrize("where", ["in a file", "closed"])
def test_a_directory_that_cannot_be_made_is_no_copy_that_an_erasure_has_to_find(
    clinic: Desk, asked: tuple[str, ...], where: str
) -> None:
    # Nobody else can look into the folders of the tests.
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given a directory that cannot be made, or into which nothing can be written
        home, closed = Path(folder) / "home", Path(folder) / "closed"
        shutil.copytree(clinic.home, home)
        closed.mkdir()
        (Path(folder) / "file").touch()
        directory = Path(folder) / "file" / "below" if where == "in a file" else closed
        with given_up(home, closed):
            refused = ontrack_unprivileged(*asked, directory, "--data", home)
        assert (refused.exit_code, f"{directory}: a directory that can be written" in refused.told) == (2, True)

        # when a case is erased, then nothing is told of it
        ran = erase(clinic, home=home)
        assert (ran.exit_code, str(directory) in ran.said) == (0, False)


@pytest.mark.parametrize("fails", [False, True], ids=["is written", "fails"])
def test_a_page_that_is_about_to_be_written_anew_is_told_of_and_not_removed_before(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    # given a page about a case that is about to be written anew, when the case is erased of which all was read, or not
    page, told = clinic.place / "page.html", list[Ran]()
    asked = ("audit", "why", GONE, "--session", "3", "--write", page, "--data", clinic.home)
    succeeded(*asked)

    async def is_read(home: Home, case_id: str) -> object:
        events = None if fails else await history(home, case_id)
        told.append(run_apart(*ERASE, "--data", clinic.home))
        return events or await history(home, case_id)

    with monkeypatch.context() as patch:
        patch.setattr("services.cli.audit.why.history", is_read)
        assert (ontrack(*asked).exit_code != 0) == fails

    # then it is told of, and when the case is erased once more, it is not there any more, and nothing is missed
    assert [ran.exit_code for ran in told] == [1]
    assert f"the report in {page} can be about it: delete it" in told[0].said
    assert (erase(clinic).exit_code, page.exists()) == (0, False)
    assert erase(clinic).exit_code == 0


def test_keys_that_are_about_to_be_written_anew_are_told_of_though_they_were_read_before(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a file with the keys of another case, in the place of which those of all are about to be written
    secrets, file, told = secrets_of(clinic.home), clinic.place / "case.keys", list[Ran]()
    asked = ("export", "--topic", "rom.cases.v1", "--keys", file, "--data", clinic.home)
    succeeded(*asked, "--case", ANNA)

    async def written() -> None:
        async with await EmbeddedHome.open(clinic.home) as home:
            persons = home.people.persons

            async def asked() -> Mapping[str, Person]:
                told.append(run_apart(*ERASE, "--data", clinic.home))
                return await persons()

            monkeypatch.setattr(home.people, "persons", asked)
            await write_keys(home, file, None)

    # when a case is erased of which the key was read, then it is told of
    asyncio.run(written())
    assert [ran.exit_code for ran in told] == [1]
    assert f"the file of keys {file} could not be written anew: {file}.unfinished is being written" in told[0].said

    # and when it is erased once more, then its key is not there any more
    assert erase(clinic).exit_code == 0
    assert found(file, secrets) == set()


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        (("audit", "why", GONE, "--session", "3"), "--write"),
        (("export", "--topic", "rom.cases.v1", "--case", GONE), "--keys"),
        (("import", "june.csv", "--skip-invalid"), "--skipped"),
    ],
    ids=["why", "keys", "lines"],
)
def test_what_could_not_be_written_over_stays_known_as_what_it_is(
    clinic: Desk, asked: tuple[str, ...], option: str
) -> None:
    # Nobody else can look into the folders of the tests.
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given a file with a case that cannot be written over by one about another
        home, file, lines = (Path(folder) / name for name in ("home", "file", "june.csv"))
        shutil.copytree(clinic.home, home)
        lines.write_bytes(table([row(GONE, 7, 20), row(GONE, 8, 99, comment=COMMENT)]))
        lines.chmod(0o644)
        of_one = [lines if word == lines.name else word for word in asked]
        of_other = [ANNA if word == GONE else word for word in of_one]
        ontrack(*of_one, option, file, "--data", home)
        with given_up(home, file):
            refused = ontrack_unprivileged(*of_other, option, file, "--data", home)
        assert f"{file}: a file that can be written was expected" in refused.told
        assert found(file, {"number": GONE.encode()}) == {"number"}

        # when the case is erased, then it is not there any more, or told of
        ran = erase(clinic, home=home)
        assert str(file) in ran.said
        assert (ran.exit_code == 0) == (not file.exists() or found(file, {"number": GONE.encode()}) == set())


@pytest.mark.parametrize(
    "asked",
    [("audit", "why", GONE, "--session", "3", "--write"), ("policy", "try", "clinic-bdi", "--list", "--page")],
    ids=["why", "trial"],
)
def test_a_file_over_which_no_page_is_written_is_none_of_ours(clinic: Desk, asked: tuple[str, ...]) -> None:
    # given a file of somebody's that was named for a page by mistake
    file = clinic.file(b"the only copy", "letter.txt")
    assert "is no page" in ontrack(*asked, file, "--data", clinic.home).told

    # when the case is erased, then the file is left as it is, and nobody is told to delete it
    ran = erase(clinic)
    assert (ran.exit_code, str(file) in ran.said) == (0, False)
    assert file.read_bytes() == b"the only copy"


def test_whoever_reads_the_database_meanwhile_keeps_it_from_being_done_and_that_is_told(clinic: Desk) -> None:
    # given somebody in the middle of reading the database
    secrets = secrets_of(clinic.home)
    with closing(sqlite3.connect(clinic.home / DATABASE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM keys").fetchone() == (2,)

        # when a case is erased, then it is told that its key may be there still
        ran = erase(clinic)
        assert ran.exit_code == 2
        assert "its old bytes remain in the -wal file" in ran.told
        reader.execute("COMMIT")

    # and when the same command is given again, then it is done
    assert erase(clinic).exit_code == 0
    assert found(clinic.home, secrets) == set()


def test_pages_that_cannot_be_removed_are_told_of_until_they_are_gone(clinic: Desk) -> None:
    # Nobody else can look into the folders of the tests.
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given reports that were written where nothing can be removed now
        home, pages = Path(folder) / "home", Path(folder) / "pages"
        shutil.copytree(clinic.home, home)
        succeeded("reports", "--data", home, "--write", pages)
        all_of_them = list(pages.glob("*.html"))

        # when a case is erased, once and again, then they are told of each time
        with given_up(home, pages):
            for _ in range(2):
                ran = ontrack_unprivileged(*ERASE, "--data", home)
                assert ran.exit_code == 1, ran.told
                assert f"the reports in {pages} cannot be removed (Permission denied)" in ran.said
            assert found(pages, {"number": GONE.encode()}) == {"number"}

        # and when they can be removed, then they are, and those of the others stay
        assert erase(clinic, home=home).exit_code == 0
        assert found(pages, {"number": GONE.encode()}) == set()
        assert 0 < len(list(pages.glob("*.html"))) < len(all_of_them)
        assert "removed from" not in erase(clinic, home=home).said


def test_a_page_that_was_moved_behind_a_link_is_told_of_until_it_is_deleted(clinic: Desk) -> None:
    # given pages that were moved, with links where they were
    place, gone = clinic.place, {"number": GONE.encode()}
    succeeded("audit", "why", GONE, "--session", "3", "--write", place / "why.html", "--data", clinic.home)
    succeeded("reports", "--data", clinic.home, "--write", place / "pages")
    [one, *_] = (page for page in (place / "pages").glob("*.html") if found(page, gone) and page.name != "index.html")
    (place / "archive").mkdir()
    for page in (place / "why.html", one):
        page.rename(place / "archive" / page.name)
        page.symlink_to(place / "archive" / page.name)

    # when the case is erased, once and again, then it is told where each of them is
    for _ in range(2):
        ran = erase(clinic)
        assert ran.exit_code == 1
        for page in (place / "why.html", one):
            assert f"cannot be removed (it is a link to {place / 'archive' / page.name}, which holds it)" in ran.said

    # and until they are deleted
    for page in (place / "why.html", one):
        page.unlink()
    shutil.rmtree(place / "archive")
    assert erase(clinic, "--gone", place).exit_code == 0
    assert found(place, gone) == set()


def test_a_list_of_reports_goes_though_those_of_the_case_were_deleted_before(clinic: Desk) -> None:
    # given reports of which somebody has deleted those of a case
    pages, gone = clinic.place / "pages", {"number": GONE.encode()}
    succeeded("reports", "--data", clinic.home, "--write", pages)
    for page in [page for page in pages.glob("*.html") if page.name != "index.html" and found(page, gone)]:
        page.unlink()
    assert found(pages, gone) == {"number"}

    # when it is erased, then the list does not name it
    ran = erase(clinic)
    assert (ran.exit_code, f"removed from {pages}" in ran.said) == (0, True)
    assert found(pages, gone) == set()
    assert found(pages, {"number": ANNA.encode()}) == {"number"}


def test_pages_that_were_written_behind_a_link_are_removed_though_it_leads_elsewhere_by_now(clinic: Desk) -> None:
    # given reports in a directory to which a link has led
    pages, first, second = (clinic.place / name for name in ("pages", "first", "second"))
    first.mkdir()
    second.mkdir()
    pages.symlink_to(first)
    succeeded("reports", "--data", clinic.home, "--write", pages)
    pages.unlink()
    pages.symlink_to(second)

    # when the case is erased, then nothing of it is there
    assert erase(clinic).exit_code == 0
    assert found(first, {"number": GONE.encode()}) == set()
    assert found(first, {"number": ANNA.encode()}) == {"number"}


def test_pages_that_are_not_there_are_told_of_until_somebody_says_where_they_went(clinic: Desk) -> None:
    # given a directory of reports and a page that were moved, and reports of before the case, where it is in none
    place = clinic.place
    pages, away, why = place / "pages", place / "away", place / "why.html"
    succeeded("reports", "--case", ANNA, "--data", clinic.home, "--write", place / "without")
    succeeded("reports", "--data", clinic.home, "--write", pages)
    succeeded("audit", "why", GONE, "--session", "3", "--write", why, "--data", clinic.home)
    pages.rename(away)
    why.rename(place / "moved.html")

    # when it is erased, once and again, then both are told of each time, and nothing else
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        unreached = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
        assert [says.split(" is not there")[0] for says in unreached] == [
            f"the reports in {pages}",
            f"the report in {why}",
        ]
        assert all("once they are deleted, say so by --gone" in says for says in unreached)

    # and when the directory is back, its pages are removed; the page is gone as somebody says
    away.rename(pages)
    assert erase(clinic, "--gone", why).exit_code == 0
    assert found(pages, {"number": GONE.encode()}) == set()
    assert erase(clinic).exit_code == 0


def test_pages_that_are_not_there_are_gone_when_somebody_says_so(clinic: Desk) -> None:
    pages = clinic.place / "pages"
    succeeded("reports", "--data", clinic.home, "--write", pages)
    shutil.rmtree(pages)
    assert erase(clinic).exit_code == 1
    assert erase(clinic, "--gone", pages).exit_code == 0
    assert erase(clinic).exit_code == 0


def test_a_page_that_lay_among_reports_is_told_of_too_when_it_was_moved(clinic: Desk) -> None:
    # given the page of an argument that was written among reports, and moved
    pages = clinic.place / "pages"
    succeeded("reports", "--case", ANNA, "--data", clinic.home, "--write", pages)
    succeeded("audit", "why", GONE, "--session", "3", "--write", pages / "why.html", "--data", clinic.home)
    (pages / "why.html").rename(clinic.place / "moved.html")

    # when the case is erased, then it is told of, and the list of the reports stays
    ran = erase(clinic)
    assert (ran.exit_code, f"the report in {pages}/why.html is not there" in ran.said) == (1, True)
    assert (pages / "index.html").exists()


def test_what_nobody_can_look_for_is_not_taken_for_gone(clinic: Desk) -> None:
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given copies in a directory that was closed since
        home, closed = Path(folder) / "home", Path(folder) / "closed"
        shutil.copytree(clinic.home, home)
        closed.mkdir()
        succeeded("backup", closed / "one.backup", "--data", home)
        succeeded("reports", "--write", closed / "pages", "--data", home)
        succeeded("export", "--reveal", "--output", closed / "open", "--data", home)
        with given_up(home, closed):
            closed.chmod(0o000)

            # when somebody says that what is missing there is gone, then all of it is told of, and stays known
            for gone in (("--gone", folder), ()):
                ran = ontrack_unprivileged(*ERASE, *gone, "--data", home)
                assert ran.exit_code == 1, ran.told
                assert all(f"{closed}/{name}" in ran.said for name in ("one.backup", "pages", "open"))

            # and of a file it is said that nobody can tell
            ran = ontrack_unprivileged(*ERASE, "--gone", closed / "one.backup", "--data", home)
            assert "it cannot be looked for (Permission denied)" in ran.told


def test_what_is_to_be_made_anew_where_nobody_may_look_is_not_taken_for_moved(clinic: Desk) -> None:
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given reports in a directory that was closed, where somebody wants to write them anew
        home, closed = Path(folder) / "home", Path(folder) / "closed"
        shutil.copytree(clinic.home, home)
        closed.mkdir()
        succeeded("reports", "--write", closed / "pages", "--data", home)
        with given_up(home, closed):
            closed.chmod(0o000)
            refused = ontrack_unprivileged("reports", "--write", closed / "pages", "--data", home)
            assert "a directory that can be written was expected" in refused.told

        # when a case is erased by somebody who may, then they are found where they are
        ran = erase(clinic, home=home)
        assert (ran.exit_code, "was made there before" in ran.said) == (0, False), ran.said
        assert f"1 report removed from {closed}/pages" in ran.said


def test_which_reports_are_of_a_case_without_a_key_nobody_can_tell_nor_whether_there_are_any(clinic: Desk) -> None:
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given a case whose key is lost, and reports in a directory that was closed since
        home, pages, case_id = Path(folder) / "home", Path(folder) / "pages", case_of(clinic.home)
        shutil.copytree(clinic.home, home)
        succeeded("reports", "--write", pages, "--data", home)
        with closing(sqlite3.connect(home / DATABASE)) as database, database:
            database.execute("DELETE FROM keys WHERE case_id = ?", (case_id,))
        with given_up(home, pages):
            pages.chmod(0o000)

            # when it is erased, then they are told of
            ran = ontrack_unprivileged("erase", case_id, *ERASE[2:-1], case_id, "--data", home)
            assert (ran.exit_code, f"the reports in {pages} cannot be removed" in ran.said) == (1, True), ran.told


def test_whoever_cannot_note_a_copy_is_told_what_to_do_with_it_when_a_case_is_erased(clinic: Desk) -> None:
    with read_only(clinic.home.iterdir()) as home, TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given somebody who may read a home, and write elsewhere
        place = Path(folder)
        place.chmod(0o777)
        asked = {"name it by --backups": ("backup", place / "own.backup"), "delete it": ("reports", "--write", place)}

        # when they make copies, then they are told
        for to_do, command in asked.items():
            told = ontrack_unprivileged(*command, "--data", home).told
            assert f"It was not noted that there is {command[-1]} (" in told
            assert f": whoever erases a case has to {to_do}." in told


def test_a_readable_export_is_told_of_until_it_is_deleted(clinic: Desk) -> None:
    # given what was exported to be read, of all and of the case alone
    for name, options in {"all": (), GONE: ("--case", GONE)}.items():
        succeeded("export", "--reveal", *options, "--output", clinic.place / name, "--data", clinic.home)

    # when it is erased, then both are told of, and stay known as long as they are there
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        unreached = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
        assert sorted(unreached) == sorted(
            f"what stands open in {clinic.place / name} holds its answers in the open: delete it"
            for name in ("all", GONE)
        )

    # and when they are not there, they may have been moved, until somebody says that they are deleted
    for name in ("all", GONE):
        shutil.rmtree(clinic.place / name)
    for _ in range(2):
        ran = erase(clinic)
        assert ran.exit_code == 1
        assert all(f"what stands open in {clinic.place / name} is not there" in ran.said for name in ("all", GONE))

    # and then nothing in the home names the case any more
    assert erase(clinic, "--gone", clinic.place).exit_code == 0
    assert erase(clinic).exit_code == 0
    assert found(clinic.home, {"number": GONE.encode()}) == set()


def test_a_readable_export_is_gone_though_the_directory_is_there_for_other_things(clinic: Desk) -> None:
    # given an export in a directory that was there, of which somebody has deleted all that was exported
    exports = clinic.place / "exports"
    exports.mkdir()
    (exports / "others.txt").touch()
    succeeded("export", "--reveal", "--output", exports, "--data", clinic.home)
    for file in exports.glob("*.ndjson"):
        file.unlink()

    # when a case is erased, then it is said that the export is not there, and it is gone as somebody says
    assert f"what stands open in {exports} is not there" in erase(clinic).said
    assert erase(clinic, "--gone", exports).exit_code == 0
    assert erase(clinic).exit_code == 0


@pytest.mark.parametrize("before", [(), ("--case", GONE)], ids=["all", "the case"])
def test_a_readable_export_is_known_to_hold_a_case_though_another_one_was_exported_there_since(
    clinic: Desk, before: tuple[str, ...]
) -> None:
    # given what was exported to be read, and later of another case and of other events into the same directory
    where = ("--reveal", "--output", clinic.place / "exported", "--data", clinic.home)
    succeeded("export", *before, *where)
    succeeded("export", "--case", ANNA, "--topic", "rom.scores.v1", *where)

    # when the case is erased, then it is told where its answers stand still
    ran = erase(clinic)
    assert ran.exit_code == 1
    assert f"what stands open in {clinic.place / 'exported'} holds its answers in the open" in ran.said


@pytest.mark.parametrize("is_new", [False, True], ids=["a home that is there", "a new home"])
def test_lines_that_an_import_left_out_are_told_of_until_they_are_deleted(clinic: Desk, *, is_new: bool) -> None:
    # given a file of which a line was left out, and one of which none was
    place = clinic.place
    if is_new:
        shutil.rmtree(clinic.home)
    lines = clinic.file(table([row(GONE, 7, 20), row(GONE, 8, 99, comment=COMMENT)]), "june.csv")
    assert clinic.imports(lines, "--skip-invalid").exit_code == 1
    clinic.takes(clinic.file(table([row(ANNA, 7, 20)]), "july.csv"), "--skip-invalid")

    # when the case is erased, once and again, then it is told where that line stands, and nothing else is
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        [says] = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
        assert says.startswith(f"what an import left out in {place}/june.csv.skipped.csv can hold its answers")

    # and until it is deleted and that is said
    (place / "june.csv.skipped.csv").unlink()
    assert "june.csv.skipped.csv is not there" in erase(clinic).said
    assert erase(clinic, "--gone", place).exit_code == 0
    assert erase(clinic).exit_code == 0


def test_a_backup_says_of_how_many_cases_the_key_was_destroyed(clinic: Desk) -> None:
    # given a backup from before a case was erased, out of which it was taken, and one from after
    before, after = clinic.place / "before.backup", clinic.place / "after.backup"
    succeeded("backup", before, "--data", clinic.home)
    assert erase(clinic).exit_code == 0
    made = succeeded("backup", after, "--data", clinic.home).told

    # when they are checked and restored, then the destroyed key is not among those that are there
    directory = master_key_in(clinic.place / "again", (clinic.home / MASTER_KEY).read_bytes())
    restored = succeeded("restore", after, "--data", directory).told
    for told in (made, restored, *(succeeded("backup", each, "--check").told for each in (before, after))):
        assert "the 1 key of its cases (of 1 erased case the key was destroyed), 1 person in the directory" in told


def test_bundles_from_before_and_after_verify_and_keys_that_somebody_kept_open_nothing(clinic: Desk) -> None:
    # given a bundle with its keys, of which somebody keeps a copy, and another one after a case was erased
    place, gone = clinic.place, case_of(clinic.home)
    export = ("audit", "export", "--data", clinic.home)
    succeeded(*export, "--output", place / "before.zip", "--keys", place / "before.keys")
    kept = shutil.copy(place / "before.keys", place / "kept.keys")
    assert erase(clinic).exit_code == 0
    succeeded(*export, "--output", place / "after.zip", "--keys", place / "after.keys")

    # when they are verified
    # then that from before is whole for whoever has the keys, and for whoever has those that are left a case stays
    # sealed of which it does not say why
    assert "of erased cases" not in verified("--bundle", place / "before.zip", "--keys", kept)
    for keys in (place / "before.keys", place / "after.keys"):
        told = verified("--bundle", place / "before.zip", "--keys", keys)
        assert f"{gone}: the key of this case is destroyed, and the log does not say" in told
        assert ("of erased cases" in told, "The history verifies" in told) == (False, False)

    # and in the one from after the case is erased, with whatever keys
    for options in ((), ("--keys", kept), ("--keys", place / "after.keys")):
        told = verified("--bundle", place / "after.zip", *options)
        assert f"{gone}: this case was erased on 20" in told
        assert "of erased cases" in told
    ran = ontrack("audit", "history", gone, "--bundle", place / "after.zip", "--keys", kept)
    assert (ran.exit_code, ran.out) == (0, b"")
    assert "was erased on 20" in ran.told


def test_where_a_history_was_taken_an_erased_case_is_named_by_its_id_and_that_is_said(clinic: Desk) -> None:
    # given a bundle of a clinic with an erased case, and a home that was made of it
    place, gone = clinic.place, case_of(clinic.home)
    assert erase(clinic).exit_code == 0
    bundle, keys = place / "a.zip", place / "a.keys"
    succeeded("audit", "export", "--data", clinic.home, "--output", bundle, "--keys", keys)
    succeeded("import", bundle, "--keys", keys, "--data", place / "mine")

    # when somebody asks for it by the number that it had, then it is said why that leads nowhere, and what does
    for source in (("--bundle", bundle, "--keys", keys), ("--data", place / "mine")):
        ran = ontrack("audit", "history", GONE, *source)
        told = "This log has 1 erased case: by its number such a case is known only"
        assert (ran.exit_code, told in ran.told) == (2, True)
        assert "was erased on 20" in succeeded("audit", "history", gone, *source).told

    # and where it was erased, and in a backup of that, the number leads there still
    succeeded("backup", place / "a.backup", "--data", clinic.home)
    again = master_key_in(place / "again", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", place / "a.backup", "--data", again)
    for home in (clinic.home, again):
        assert "was erased on 20" in succeeded("audit", "history", GONE, "--data", home).told


def test_what_only_a_file_of_keys_says_is_not_told_as_said_by_the_log(clinic: Desk) -> None:
    # given a bundle from before a case was erased, and the keys that are left since
    place = clinic.place
    bundle, keys = place / "a.zip", place / "a.keys"
    succeeded("audit", "export", "--data", clinic.home, "--output", bundle, "--keys", keys)
    assert erase(clinic).exit_code == 0

    # when somebody asks for it by its number, then it is said who says that its key was destroyed
    ran = ontrack("audit", "history", GONE, "--bundle", bundle, "--keys", keys)
    assert ran.exit_code == 2
    assert "The file of keys says that the key of 1 case was destroyed, and this log does not say" in ran.told
    assert "This log has" not in ran.told

    # and in a home, of a key that was only taken away
    with closing(sqlite3.connect(clinic.home / DATABASE)) as database, database:
        database.execute("UPDATE keys SET wrapped = NULL")
    told = ontrack("audit", "history", "4711", "--data", clinic.home).told
    assert "This log has 1 erased case. The key of 1 case is destroyed here, and this log does not say" in told


def test_a_log_that_says_so_comes_in_without_the_case_though_somebody_has_kept_its_key(clinic: Desk) -> None:
    # given the log of a home with an erased case, and keys from before
    succeeded("export", "--data", clinic.home, "--output", clinic.place / "old", "--keys", clinic.place / "old.keys")
    kept = Path(shutil.copy(clinic.place / "old.keys", clinic.place / "kept.keys"))
    assert erase(clinic).exit_code == 0
    succeeded("export", "--data", clinic.home, "--output", clinic.place / "new")

    # when it is imported with these
    copy = clinic.place / "copy"
    assert_all_equal(ontrack("import", clinic.place / "new", "--keys", kept, "--data", copy))

    # then the case is erased there too
    assert "by kim: the patient asked for it" in verified("--data", copy)
    [secret] = [json.loads(line)["key"] for line in kept.read_bytes().splitlines() if GONE.encode() in line]
    assert found(copy, {"key": secret.encode()}) == set()


def test_a_backup_of_a_log_that_says_so_brings_neither_key_nor_person_back(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a backup with a key that its log says was destroyed, as nobody who makes one keeps it
    secrets = secrets_of(clinic.home)
    asyncio.run(record_only(clinic.home))
    kept = clinic.place / "between.backup"
    with monkeypatch.context() as ignorant:
        ignorant.setattr("services.runtime.backup.making.erasures_in", lambda *_: {})
        succeeded("backup", kept, "--data", clinic.home)
    assert "wrapped key" in found(kept, secrets)

    # when it is restored
    directory = master_key_in(clinic.place / "again", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", kept, "--data", directory)

    # then the case is erased there
    assert found(directory, secrets) == set()
    assert "by kim: the patient asked for it" in verified("--data", directory)
    assert "was erased on" in ontrack("case", GONE, "--data", directory).told


def test_a_backup_from_before_that_nobody_reached_brings_it_back_and_can_be_erased_again(clinic: Desk) -> None:
    # given a copy of a backup that nobody knows of, and a case that was erased
    succeeded("backup", clinic.place / "monday.backup", "--data", clinic.home)
    kept = Path(shutil.copy(clinic.place / "monday.backup", clinic.place / "kept.backup"))
    assert erase(clinic).exit_code == 0

    # when the copy is restored elsewhere, then nothing there knows that it was erased, and that is said
    directory = master_key_in(clinic.place / "again", (clinic.home / MASTER_KEY).read_bytes())
    told = succeeded("restore", kept, "--data", directory).told
    assert "A case that was erased since is there again, and nothing here tells which" in told
    secrets = secrets_of(directory)

    # and when it is erased there, nothing is left, and the copy is known since it was restored
    assert erase(clinic, "--moved-from", clinic.home, home=directory).exit_code == 0
    assert found(directory, secrets) == set()
    assert found(clinic.place, {"wrapped key": secrets["wrapped key"]}) == set()
