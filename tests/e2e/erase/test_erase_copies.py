"""`ontrack erase` where a home was copied, moved or restored: it changes only what is said to be its own."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from services.cli.home import Failure
from services.embedded import MASTER_KEY
from services.runtime.copies.file import CopiesInFile
from services.runtime.copies.port import Copy
from tests.support.command import ontrack, succeeded
from tests.support.contents import contents, master_key_in
from tests.support.desk import Desk
from tests.support.erasing import (
    ANNA,
    AT,
    GONE,
    at_a_terminal,
    bytes_below,
    case_of,
    erase,
    found,
    secrets_of,
)


def test_whoever_restores_a_backup_knows_which_copies_were_made_before(clinic: Desk) -> None:
    # given an older backup, keys and reports that were moved, and a copy on another machine; then another backup
    place, gone = clinic.place, case_of(clinic.home)
    succeeded("backup", place / "monday.backup", "--data", clinic.home)
    succeeded("export", "--data", clinic.home, "--output", place / "exported", "--keys", place / "case.keys")
    succeeded("reports", "--data", clinic.home, "--write", place / "pages")
    succeeded("audit", "why", GONE, "--session", "3", "--write", place / f"{GONE}.html", "--data", clinic.home)
    elsewhere = Copy(kind="backup", path="/kept/sunday.backup", host="old.example", at=AT, home="/srv/clinic")
    asyncio.run(CopiesInFile(clinic.home).note(elsewhere))
    succeeded("backup", place / "tuesday.backup", "--data", clinic.home)
    for name in ("monday.backup", "case.keys", "pages", f"{GONE}.html"):
        (place / name).rename(place / f"moved {name}")

    # when the last is restored, then it says nothing of whom a page is about
    assert found(place / "tuesday.backup", {"number": GONE.encode()}) == set()
    directory = master_key_in(place / "again", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", place / "tuesday.backup", "--data", directory)

    # and when the case is erased there, then it is told what cannot be reached
    ran = erase(clinic, "--moved-from", clinic.home, home=directory)
    assert ran.exit_code == 1
    for told in ("the backup {}/monday.backup", "file of keys {}/case.keys", "reports in {}/pages", "in {}/%s.html"):
        assert f"{told.format(place).replace('%s', GONE)} is not there" in ran.said
    assert "the backup /kept/sunday.backup is on old.example" in ran.said

    # and that is known too to whoever restores the same backup, from which the case is taken out by now
    listed = succeeded("backup", place / "tuesday.backup", "--list-keys", "--format", "ndjson").out.splitlines()
    assert {"case": gone, "key": "destroyed"} in map(json.loads, listed)
    other = master_key_in(place / "other", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", place / "tuesday.backup", "--data", other)
    shutil.rmtree(clinic.home)
    for home in (directory, other):
        again = erase(clinic, "--moved-from", clinic.home, home=home)
        assert (again.exit_code, f"the reports in {place}/pages is not there" in again.said) == (1, True)

        # and until it is said that all are gone
        assert erase(clinic, "--gone", place, home=home).exit_code == 1
        assert erase(clinic, "--gone", "old.example:/kept", home=home).exit_code == 0
        assert erase(clinic, home=home).exit_code == 0
    assert found(directory, {"number": GONE.encode()}) == set()


def test_a_rehearsal_leaves_the_backup_that_it_was_restored_from_alone_until_it_is_said_what_it_is(
    clinic: Desk,
) -> None:
    # given a backup that was moved, and restored beside the clinic
    place, home = clinic.place, clinic.home
    succeeded("backup", place / "monday.backup", "--data", home)
    moved = (place / "monday.backup").rename(place / "moved.backup")
    directory = master_key_in(place / "rehearsal", (home / MASTER_KEY).read_bytes())
    succeeded("restore", moved, "--data", directory)
    before = moved.read_bytes()

    # when a case is erased in the rehearsal, then it is asked first, and nothing is changed before
    ran = erase(clinic, home=directory)
    assert ran.exit_code == 2
    assert f"Noted by another home, {home}:\n  {moved}\n" in ran.told
    assert GONE in contents(directory).numbers.values()

    # and when it is said that the clinic goes on, then its backup is left alone
    ran = erase(clinic, "--copied-from", home, home=directory)
    assert ran.exit_code == 1
    assert f"the backup {moved} was left alone: it is of the home at {home}" in ran.said
    assert moved.read_bytes() == before


@pytest.fixture
def with_copies(clinic: Desk) -> Desk:
    """The clinic, with all that it makes of what it holds, in its directory and beside it."""
    place, home = clinic.place, clinic.home
    succeeded("backup", place / "monday.backup", "--data", home)
    succeeded("audit", "export", "--data", home, "--output", place / "a.zip", "--keys", place / "case.keys")
    succeeded("reports", "--data", home, "--write", home / "pages")
    succeeded("reports", "--data", home, "--write", place / "pages")
    succeeded("audit", "why", GONE, "--session", "3", "--write", place / "why.html", "--data", home)
    return clinic


def content_of(place: Path) -> dict[str, bytes]:
    """Every file below a place but for those of a copied home, and but for what a database needs to be read."""
    return {
        str(file): content
        for file, content in bytes_below(place)
        if "copied" not in file.parts and file.suffix not in (".db-wal", ".db-shm")
    }


def test_a_copy_of_a_home_changes_nothing_of_the_other_one_before_somebody_says_what_it_is(with_copies: Desk) -> None:
    # given a home that was copied
    place, home, copied = with_copies.place, with_copies.home, with_copies.place / "copied"
    shutil.copytree(home, copied)
    before, cases = content_of(place), contents(copied)

    # when a case is erased there, with a file named besides or not
    for options in ((), ("--backups", place / "monday.backup"), ("--copied-from", place / "other")):
        ran = erase(with_copies, *options, home=copied)

        # then nothing is done, and all that would have been changed is named
        assert (ran.exit_code, ran.out) == (2, b"")
        named = [line.strip() for line in ran.told.splitlines() if line.startswith("  ")]
        pages = [str(page) for page in (place / "pages").glob("*.html") if GONE.encode() in page.read_bytes()]
        files = [f"{place}/{name}" for name in ("monday.backup", "case.keys", "pages", "why.html")]
        assert sorted(named) == sorted([*files, *pages])
        assert f"Noted by another home, {home}:" in ran.told
        assert f"by --moved-from {home}" in ran.told
        assert f"by --copied-from {home}" in ran.told
        assert contents(copied) == cases

    # and when it is said that it is a copy, then the case is erased in it alone
    ran = erase(with_copies, "--backups", place, "--copied-from", home, home=copied)
    assert content_of(place) == before
    assert GONE not in contents(copied).numbers.values()
    assert found(copied / "pages", {"number": GONE.encode()}) == set()
    assert ran.exit_code == 1
    for name in ("the backup {}/monday.backup", "the reports in {}/pages", "the report in {}/why.html"):
        assert f"{name.format(place)} was left alone: it is of the home at {home}" in ran.said

    # and at the next erasure it has to be said again, and that is told
    again = ontrack(*ERASE_ANNA, "--data", copied)
    assert (again.exit_code, f"say so at each erasure, by --copied-from {home}:" in again.told) == (2, True)
    assert ANNA in contents(copied).numbers.values()
    assert "that it is a copy at each erasure" in " ".join(succeeded("erase", "--help").said.split())

    # and in the other one it is found and erased as ever
    assert erase(with_copies).exit_code == 0
    assert not [
        name for name, content in content_of(place).items() if GONE.encode() in content and "/a.zip" not in name
    ]


def test_a_home_that_was_moved_reaches_what_it_made_before_when_that_is_said(with_copies: Desk) -> None:
    # given a home that was moved
    place, home, elsewhere = with_copies.place, with_copies.home, with_copies.place / "elsewhere"
    secrets = secrets_of(home)
    home.rename(elsewhere)
    assert erase(with_copies, home=elsewhere).exit_code == 2

    # when that is said, by whatever name of the place, then nothing is left, in it and beside it
    said = ("--moved-from", place / "pages" / ".." / home.name)
    assert erase(with_copies, *said, home=elsewhere).exit_code == 0
    assert found(place, secrets) == set()
    assert "was written anew" in succeeded(*ERASE_ANNA, "--data", elsewhere).said


def test_whoever_was_moved_is_told_at_each_erasure_where_what_was_left_behind_still_has_the_case(clinic: Desk) -> None:
    # given a home that was restored into another directory, and the one before is there still
    place, home = clinic.place, clinic.home
    succeeded("backup", place / "monday.backup", "--data", home)
    directory = master_key_in(place / "again", (home / MASTER_KEY).read_bytes())
    succeeded("restore", place / "monday.backup", "--data", directory)

    # when a case is erased, then it is told what is to be done, also where nobody can look there, and once it was said
    there = f"the data in {home} from which this was moved or restored"
    ran = erase(clinic, "--moved-from", home, home=directory)
    assert ran.exit_code == 1
    assert f"{there} is there still: erase the case there too, or delete it" in ran.said
    (home / MASTER_KEY).rename(place / "kept.key")
    assert f"{there} is there still: nobody can tell" in erase(clinic, home=directory).said

    # and when that was done, then nothing is left to be done
    (place / "kept.key").rename(home / MASTER_KEY)
    assert erase(clinic).exit_code == 0
    assert erase(clinic, home=directory).exit_code == 0

    # and when the next case is erased, then it is told again, until it is deleted and that is said
    ran = ontrack(*ERASE_ANNA, "--data", directory)
    assert (ran.exit_code, f"{there} is there still: erase the case there too" in ran.said) == (1, True)
    shutil.rmtree(home)
    ran = ontrack(*ERASE_ANNA, "--data", directory)
    assert (ran.exit_code, f"{there} is not there" in ran.said) == (1, True)
    succeeded(*ERASE_ANNA, "--gone", home, "--data", directory)
    succeeded(*ERASE_ANNA, "--data", directory)


def test_a_home_that_was_moved_back_is_not_taken_for_one_that_it_has_left_behind(clinic: Desk) -> None:
    # given a home that was restored elsewhere, and was moved then to where the one before had been
    place, home = clinic.place, clinic.home
    succeeded("backup", place / "monday.backup", "--data", home)
    directory = master_key_in(place / "again", (home / MASTER_KEY).read_bytes())
    succeeded("restore", place / "monday.backup", "--data", directory)
    assert erase(clinic, "--moved-from", home, home=directory).exit_code == 1
    shutil.rmtree(home)
    directory.rename(home)

    # when a case is erased, then nothing is missed
    succeeded(*ERASE_ANNA, "--moved-from", directory, "--data", home)
    succeeded(*ERASE_ANNA, "--data", home)


ERASE_ANNA: Final = ("erase", ANNA, "--ground", "ordered", "--confirm", ANNA)


def test_what_a_home_is_to_another_one_is_one_or_the_other(with_copies: Desk) -> None:
    ran = erase(with_copies, "--moved-from", "there", "--copied-from", "there")
    assert (ran.exit_code, "either --moved-from or --copied-from was expected" in ran.told) == (2, True)


@pytest.mark.parametrize(
    ("typed", "exit_code", "changes"),
    [(("moved", GONE), 1, True), (("copied", GONE), 1, False), (("", GONE), 2, False), (("moved", ANNA), 2, False)],
)
def test_a_person_at_a_terminal_is_told_what_is_changed_and_asked_whose_it_is(
    with_copies: Desk, typed: Sequence[str], exit_code: int, changes: bool
) -> None:
    # given a home that was copied, and somebody at a terminal
    place, copied = with_copies.place, with_copies.place / "copied"
    shutil.copytree(with_copies.home, copied)
    before = content_of(place)

    # when they erase a case
    ran_with, told = at_a_terminal(["erase", GONE, "--ground", "asked-for", "--data", copied], *typed)

    # then what another home has noted is named first, and what is changed of it after that is known; that one is there
    assert ran_with == exit_code
    assert f"Noted by another home, {with_copies.home}:\n  {place}/case.keys\n  {place}/monday.backup\n" in told
    if typed[0] == "moved":
        assert f"Files outside {copied} that are removed or written anew:\n  {place}/case.keys\n" in told
    assert (content_of(place) != before) == changes


def test_a_person_at_a_terminal_is_told_what_their_own_home_changes_outside_it(with_copies: Desk) -> None:
    place, home = with_copies.place, with_copies.home
    mine = [page for page in (place / "pages").glob("*.html") if GONE.encode() in page.read_bytes()]
    code, told = at_a_terminal(["erase", GONE, "--ground", "asked-for", "--data", home], "")
    assert code == 2
    named = [line.strip() for line in told.splitlines() if line.startswith("  ")]
    assert named == sorted(map(str, [place / "case.keys", place / "monday.backup", place / "why.html", *mine]))


def test_what_is_left_of_an_erasure_that_was_broken_off_is_told_and_what_it_has_removed_is_not_looked_for(
    with_copies: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a page that cannot be removed, and an erasure that was broken off before the backups
    place, home = with_copies.place, with_copies.home
    stays = place / "stays.html"
    succeeded("audit", "why", GONE, "--session", "3", "--write", stays, "--data", home)
    stays.unlink()
    stays.mkdir()

    async def breaks_off(*_: object) -> None:
        raise Failure("broken off")

    with monkeypatch.context() as broken:
        broken.setattr("services.cli.erase.command.backups_taken_out", breaks_off)
        assert "broken off" in erase(with_copies).told
    assert not (place / "why.html").exists()
    stays.rmdir()

    # when somebody asks, then it is told that it is not finished
    for ran in (ontrack("case", GONE, "--data", home), ontrack("audit", "verify", "--data", home)):
        assert (ran.exit_code, "was begun and is not finished" in " ".join(ran.said.split())) == (1, True)
    assert "erasing 1 case was begun and is not finished" in ontrack("doctor", "--data", home, "--format", "json").said

    # and when it is given again, then only what it did not remove itself is missed
    ran = erase(with_copies)
    assert (ran.exit_code, f"{place}/stays.html is not there" in ran.said) == (1, True)
    assert f"{place}/why.html" not in ran.said
    assert f"the backup {place}/monday.backup was written anew without it" in ran.said
    assert ontrack("case", GONE, "--data", home).exit_code == 0
    assert erase(with_copies, "--gone", stays).exit_code == 0
