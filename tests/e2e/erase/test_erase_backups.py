"""`ontrack erase` and backups and files of keys: the case goes out of each, or each is told of until it is gone."""

import asyncio
import fcntl
import json
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from zipfile import ZipFile

import pytest

from contracts.codec import CaseKey
from services.cli.case_keys import write_keys
from services.cli.home import Failure
from services.cli.private import in_place_of
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.runtime.copies.file import CopiesInFile
from services.runtime.copies.port import CopiesUnavailable
from services.runtime.directory.port import Person
from tests.support.command import Ran, ontrack, run_apart, succeeded
from tests.support.contents import master_key_in
from tests.support.desk import Desk, row, table
from tests.support.erasing import (
    ANNA,
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
from tests.support.unprivileged import ontrack_unprivileged


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


def erased_while_keys_are_written(clinic: Desk, file: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[Ran]:
    """Write the keys of all cases, and erase one when they were read and nothing is written; give what that told."""
    told = list[Ran]()

    async def written() -> None:
        async with await EmbeddedHome.open(clinic.home) as home:
            persons = home.people.persons

            async def asked() -> Mapping[str, Person]:
                told.append(run_apart(*ERASE, "--data", clinic.home))
                return await persons()

            monkeypatch.setattr(home.people, "persons", asked)
            await write_keys(home, file, None)

    asyncio.run(written())
    return told


def test_keys_that_are_about_to_be_written_are_told_of_though_they_were_read_before(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given keys of which nothing is written yet, when a case is erased
    case, file = case_of(clinic.home), clinic.place / "case.keys"
    told = erased_while_keys_are_written(clinic, file, monkeypatch)

    # then it is told where they will be, and when it is erased once more, its key is not there any more
    assert [ran.exit_code for ran in told] == [1]
    assert f"the file of keys {file} is not there" in told[0].said
    assert erase(clinic).exit_code == 0
    assert json.dumps({"case": case, "key": None}, separators=(",", ":")) in file.read_text()


def test_keys_that_are_about_to_be_written_anew_are_told_of_though_they_were_read_before(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a file with the keys of another case, in the place of which those of all are about to be written
    secrets, file = secrets_of(clinic.home), clinic.place / "case.keys"
    succeeded("export", "--topic", "rom.cases.v1", "--keys", file, "--data", clinic.home, "--case", ANNA)

    # when a case is erased of which the key was read, then it is told of
    told = erased_while_keys_are_written(clinic, file, monkeypatch)
    assert [ran.exit_code for ran in told] == [1]
    assert f"the file of keys {file} could not be written anew: {file}.unfinished is being written" in told[0].said

    # and when it is erased once more, then its key is not there any more
    assert erase(clinic).exit_code == 0
    assert found(file, secrets) == set()


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
