"""`ontrack erase`: afterwards nothing of the case can be read anywhere, whatever happened on the way there."""

import asyncio
import json
import os
import pty
import shutil
import sqlite3
import subprocess
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from platform import node
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import BadZipFile, ZipFile

import pytest

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseErased
from contracts.topics import CASES, partition_of
from services.cli.home import Failure
from services.embedded import DATABASE, MASTER_KEY, EmbeddedHome
from services.mailer.domain.delivery import begun
from services.runtime.copies.file import COPIES, CopiesInFile
from services.runtime.copies.port import Copy
from services.runtime.log.port import Record
from tests.support.command import ONTRACK, PATIENCE, Ran, ontrack, succeeded
from tests.support.contents import contents, counts, master_key_in
from tests.support.desk import Desk, row, table
from tests.support.dying import deaths
from tests.support.simulated import assert_all_equal
from tests.support.unprivileged import NOBODY, ontrack_unprivileged

ANNA, GONE, COMMENT = "0101801234", "0202804321", "since Karen has left"
SESSIONS: Final = range(5)
AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
SLICE: Final = 24
"""Bytes by which something long is recognised: parts of it may stand on several pages of a database."""


@pytest.fixture
def clinic(desk: Desk) -> Desk:
    """A clinic with two cases, both of which get worse, and a mail of each that waits."""
    rows = [row(case, session, 20 + 6 * session, comment=COMMENT) for case in (ANNA, GONE) for session in SESSIONS]
    desk.takes(table(rows))
    (desk.place / "answers.csv").unlink()
    asyncio.run(_let_mail_wait(desk.home))
    return desk


async def _let_mail_wait(directory: Path) -> None:
    async with await EmbeddedHome.open(directory, write=True) as home:
        for case_id in await home.names():
            await home.outbox.begin(begun(case_id, f"notice-of-{case_id}", ["bo"], AT))


def case_of(directory: Path, number: str = GONE) -> str:
    """The id of a case."""
    return next(case for case, its in asyncio.run(_names(directory)).items() if its == number)


async def _names(directory: Path) -> Mapping[str, str]:
    async with await EmbeddedHome.open(directory) as home:
        return await home.names()


def secrets_of(directory: Path, number: str = GONE) -> dict[str, bytes]:
    """What must not be found any more: who it is, what they said, their key, and all that was kept under it."""
    case_id = case_of(directory, number)
    key = asyncio.run(_key(directory, case_id))
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        [wrapped] = database.execute("SELECT wrapped FROM keys WHERE case_id = ?", (case_id,)).fetchone()
        [entry] = database.execute("SELECT entry FROM directory WHERE case_id = ?", (case_id,)).fetchone()
        states = database.execute("SELECT stage, body FROM states WHERE case_id = ?", (case_id,)).fetchall()
    assert len(states) == 4
    return {
        "number": number.encode(),
        "key": key.secret,
        "key as text": b64encode(key.secret),
        "wrapped key": wrapped,
        "entry": entry,
        "mail": f"notice-of-{case_id}".encode(),
        **{f"state of {stage}": body[len(body) // 2 :][:SLICE] for stage, body in states},
    }


async def _key(directory: Path, case_id: str) -> CaseKey:
    async with await EmbeddedHome.open(directory) as home:
        key = (await home.keyring.keys([case_id]))[case_id]
        assert isinstance(key, CaseKey)
        return key


def bytes_below(place: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a place, and what is in those that are archives."""
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.is_file():
            yield file, file.read_bytes()
            if file.suffix in (".backup", ".zip", ".new"):
                try:
                    with ZipFile(file) as archive:
                        yield from ((file / name, archive.read(name)) for name in archive.namelist())
                except BadZipFile:
                    continue


def found(place: Path, secrets: Mapping[str, bytes]) -> set[str]:
    """Which secrets stand somewhere below a place, as they are or as text that a database or JSON made of them."""
    return {
        name
        for _, content in bytes_below(place)
        for name, secret in secrets.items()
        if any(part in content for part in _parts(secret))
    }


def _parts(secret: bytes) -> Collection[bytes]:
    return {secret} | {secret[start : start + SLICE] for start in range(0, len(secret) - SLICE + 1, SLICE)}


ERASE: Final = ("erase", GONE, "--ground", "asked-for", "--by", "kim", "--confirm", GONE)


def erase(desk: Desk, *options: str | Path, home: Path | None = None) -> Ran:
    return ontrack(*ERASE, *options, "--data", home or desk.home)


def verified(*source: str | Path) -> str:
    return succeeded("audit", "verify", *source).told


def test_nothing_of_an_erased_case_can_be_found_in_any_file(clinic: Desk) -> None:
    # given a clinic with backups, one of which was moved, files of keys, and reports that were written
    place, home = clinic.place, clinic.home
    secrets = secrets_of(home)
    (place / "elsewhere").mkdir()
    succeeded("backup", place / "monday.backup", "--data", home)
    succeeded("backup", place / "tuesday.backup", "--data", home)
    (place / "tuesday.backup").rename(place / "elsewhere" / "moved.backup")
    for unfinished in ("tuesday.backup.new", "wednesday.backup.new"):
        (place / unfinished).write_bytes((place / "monday.backup").read_bytes())
    succeeded("export", "--data", home, "--output", place / "exported", "--keys", place / "case.keys")
    succeeded("reports", "--data", home, "--write", place / "reports")
    why = ("audit", "why", GONE, "--session", "3", "--reveal", "--write", place / "why.html")
    succeeded(*why, "--data", home)
    before = contents(home)
    assert found(place, secrets) == set(secrets) - {"key"}
    assert any(GONE.encode() in content for file, content in bytes_below(place) if file.suffix == ".html")
    assert any(COMMENT.encode() in content for file, content in bytes_below(place) if file.suffix == ".html")

    # when a case is erased
    made, gone = place / "monday.backup", case_of(home)
    made.chmod(0o640)
    before_it = made.stat()
    (place / "wednesday.backup").write_bytes((place / "monday.backup").read_bytes())
    ran = erase(clinic, "--backups", place / "elsewhere", "--backups", place / "wednesday.backup")

    # then what it tells is whole, and the backup that was moved is known by what it holds
    assert ran.exit_code == 0
    assert f"{GONE}, case {gone}: this case was erased on 20" in ran.said.replace("\n", " ")
    assert "by kim: the patient asked for it" in ran.said.replace("\n", " ")
    moved = f"the backup {place}/elsewhere/moved.backup was written anew without it"
    assert f"{moved}; before it was {place}/tuesday.backup" in ran.said

    # and nothing of it is found in any file, in no archive, and in nothing that was left behind
    assert found(place, secrets) == set()
    assert not list(place.glob("*.new"))

    # and the other case is as it was, also in the backups
    after = contents(home)
    anna = case_of(home, ANNA)
    assert after.digests == {anna: before.digests[anna]}
    assert after.reports == {anna: before.reports[anna]}
    for backup in (place / "monday.backup", place / "elsewhere" / "moved.backup", place / "wednesday.backup"):
        listed = succeeded("backup", backup, "--list-keys", "--format", "ndjson").out.splitlines()
        assert {line["case"]: line["key"] for line in map(json.loads, listed)} == {gone: "destroyed", anna: "held"}
        succeeded("backup", backup, "--check", "--data", home)
    assert (made.stat().st_mtime_ns, made.stat().st_mode & 0o777) == (before_it.st_mtime_ns, 0o640)

    # and the history verifies: the case is erased, and there is nothing else to say
    told = verified("--data", home)
    assert "The history verifies" in told
    assert f"{gone}: this case was erased on 20" in told

    assert "Removed\n  - its key, for ever\n" in ran.said

    # and nothing is left to be seen to, or to be removed once more
    again = erase(clinic)
    assert again.exit_code == 0
    assert "It was erased before" in again.said.replace("\n", " ")
    assert "Removed" not in again.said
    assert "removed" not in [line["is"] for line in json.loads(erase(clinic, "--format", "json").out)]


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
        # given a backup in a directory that cannot be listed, and another one where names can be read and nothing else
        home, backups = Path(folder) / "home", Path(folder) / "backups"
        shutil.copytree(clinic.home, home)
        closed = {backups / "closed": 0o000, backups / "listed": 0o444}
        for place in closed:
            (place / "below").mkdir(parents=True)
            succeeded("backup", Path(folder) / "new.backup", "--data", home)
            shutil.move(Path(folder) / "new.backup", place / "moved.backup")

        # when a case is erased, then both are told of, while that is done and where it says what was not reached
        with given_up(home, backups):
            for place, mode in closed.items():
                place.chmod(mode)
            ran = ontrack_unprivileged(
                *ERASE, "--data", home, "--backups", backups, "--gone", folder, "--format", "json"
            )
            assert ran.exit_code == 1, ran.told
            unreached = [line["says"] for line in json.loads(ran.out) if line["is"] == "not reached"]
            for place, says in zip(closed, unreached, strict=True):
                assert says.startswith(f"the directory {place} cannot be looked into (Permission denied): ")
                assert f"Passed over: the directory {place} cannot be looked into (Permission denied)." in ran.told
            for place in closed:
                place.chmod(0o755)

        # and when somebody can look there, then nothing is left
        ran = erase(clinic, "--backups", backups, home=home)
        assert ran.exit_code == 0
        for place in closed:
            assert f"the backup {place}/moved.backup was written anew without it" in ran.said


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


@contextmanager
def given_up(home: Path, pages: Path) -> Iterator[None]:
    """Let somebody who is not root write a home, and only read some pages beside it."""
    for place in [home.parent, home, *home.iterdir()] if os.getuid() == 0 else ():
        os.chown(place, NOBODY, NOBODY)
    pages.chmod(0o555)
    try:
        yield
    finally:
        pages.chmod(0o700)


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


@pytest.mark.parametrize(
    "command", ["case", "tracks --case", "reports --case", "audit history", "audit why --session 3"]
)
@pytest.mark.parametrize("by_id", [False, True])
def test_whoever_asks_for_an_erased_case_is_told_when_and_why(clinic: Desk, command: str, by_id: bool) -> None:
    gone = case_of(clinic.home)
    assert erase(clinic).exit_code == 0
    name = gone if by_id else GONE

    ran = ontrack(*command.split(), name, "--data", clinic.home)

    assert (ran.exit_code, ran.out) == (0, b"")
    assert f"{name}: this case was erased on 20" in ran.told
    assert "by kim: the patient asked for it. Nothing of it can be read any more." in ran.told


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


def test_all_else_goes_on(clinic: Desk) -> None:
    # given an erased case
    assert erase(clinic).exit_code == 0
    before = counts(clinic.home)

    # when everything is made anew, and facts of both come
    for stage in ("register", "scoring", "not-detector", "notifier"):
        succeeded("rebuild", stage, "--data", clinic.home)
    succeeded("audit", "replay", "--swap", "--data", clinic.home)
    refused = clinic.imports(table([row(GONE, 7, 30), row(ANNA, 7, 30)]))
    assert (refused.exit_code, "a case that was not erased was expected" in refused.told) == (1, True)
    clinic.takes(table([row(ANNA, 7, 30)]))

    # then only the other one has gone on
    assert counts(clinic.home)[CASES.name] == before[CASES.name] + 1
    assert "The history verifies" in verified("--data", clinic.home)
    assert list(contents(clinic.home).numbers.values()) == [ANNA]
    assert b"0202804321" not in succeeded("audit", "loop", "--list", "--data", clinic.home).out


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
    asyncio.run(_record_only(clinic.home))
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


def test_an_erasure_that_was_broken_off_is_told_of_until_it_is_finished_and_its_key_is_handed_to_nobody(
    clinic: Desk,
) -> None:
    # given an erasure of which no more was done than to record it, read by the stages or not
    gone, secrets, place = case_of(clinic.home), secrets_of(clinic.home), clinic.place
    shutil.copytree(clinic.home, place / "unread")
    for home in (clinic.home, place / "unread"):
        asyncio.run(_record_only(home, is_read=home == clinic.home))

        # when it is looked at, then it is told that it has to be given again, and nobody is told that all is done
        doctor = ontrack("doctor", "--data", home, "--format", "json")
        assert doctor.exit_code == 1
        [keys] = [each for each in json.loads(doctor.out) if each["what"] == "keys"]
        assert keys["says"] == "erasing 1 case was begun and is not finished"
        assert keys["do"] == f"give ontrack erase again, unless it still runs: {gone}"
        verify = ontrack("audit", "verify", "--data", home, "--format", "json")
        assert verify.exit_code == 1
        assert [(each["finding"], each["case"]) for each in json.loads(verify.out)["findings"]] == [
            ("erasure-unfinished", gone)
        ]
        assert "can be read any more" not in verify.told

        # and neither a backup nor a file of keys has its key, or knows who it is
        kept = place / f"{home.name}-kept"
        kept.mkdir()
        succeeded("backup", kept / "a.backup", "--data", home)
        succeeded("audit", "export", "--data", home, "--output", kept / "a.zip", "--keys", kept / "all.keys")
        succeeded("export", "--data", home, "--output", kept / "events", "--keys", kept / "own.keys", "--case", gone)
        assert found(kept, secrets) == set()
        for name in ("all.keys", "own.keys"):
            lines = map(json.loads, (kept / name).read_text().splitlines())
            assert [line for line in lines if line["case"] == gone] == [{"case": gone, "key": None}]

        # and when it is given again, then it is finished
        assert erase(clinic, home=home).exit_code == 0
        assert f"{gone}: this case was erased on 20" in verified("--data", home)
        assert [
            each["verdict"]
            for each in json.loads(ontrack("doctor", "--data", home, "--format", "json").out)
            if each["what"] == "keys"
        ] == ["ok"]


async def _record_only(directory: Path, *, is_read: bool = True) -> None:
    async with await EmbeddedHome.open(directory, write=True) as home:
        [case_id] = await home.cases_named(GONE)
        data = CaseErased(ground="asked-for", by="kim")
        name = fact_id("ontrack", "erase", case_id)
        await home.intake.record(
            [new_fact(data, case_id=case_id, fact_id=name, source="urn:ontrack:erase", happened=AT)]
        )
        if is_read:
            await home.catch_up()


def test_whoever_can_write_to_the_log_and_has_no_key_erases_nothing(clinic: Desk) -> None:
    # given a fact of somebody without the key, that a case was erased, sealed by nothing or under another key
    gone, before = case_of(clinic.home), tracks_of(clinic.home)
    said = [
        new_fact(
            CaseErased(ground="ordered", by="eve"),
            case_id=gone,
            fact_id=fact_id("eve", "eve", name),
            source="urn:ontrack:erase",
            happened=AT,
        )
        for name in "ab"
    ]
    forged = [encode(said[0]), encode(prepared(said[1], CaseKey(bytes(64))))]
    asyncio.run(_append(clinic.home, [Record(gone, value) for value in forged]))

    # when the log is read, backed up, restored, exported and imported
    succeeded("backup", clinic.place / "forged.backup", "--data", clinic.home)
    directory = master_key_in(clinic.place / "again", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", clinic.place / "forged.backup", "--data", directory)

    # then the case is as it was, there too
    for home in (clinic.home, directory):
        assert tracks_of(home) == before
        assert succeeded("case", GONE, "--data", home).out
        told = verified("--data", home)
        assert ("2 that cannot be read" in told, "was erased" in told) == (True, False)


def tracks_of(directory: Path) -> bytes:
    return succeeded("tracks", "--format", "json", "--data", directory).out


async def _append(directory: Path, records: Sequence[Record]) -> None:
    async with await EmbeddedHome.open(directory, write=True) as home:
        await home.log.append(CASES, partition_of(records[0].key), records)
        await home.catch_up()


def test_a_backup_from_before_that_nobody_reached_brings_it_back_and_can_be_erased_again(clinic: Desk) -> None:
    # given a copy of a backup that nobody knows of, and a case that was erased
    succeeded("backup", clinic.place / "monday.backup", "--data", clinic.home)
    kept = Path(shutil.copy(clinic.place / "monday.backup", clinic.place / "kept.backup"))
    assert erase(clinic).exit_code == 0

    # when the copy is restored elsewhere, then nothing there knows that it was erased
    directory = master_key_in(clinic.place / "again", (clinic.home / MASTER_KEY).read_bytes())
    succeeded("restore", kept, "--data", directory)
    secrets = secrets_of(directory)

    # and when it is erased there, nothing is left, and the copy is known since it was restored
    assert erase(clinic, "--moved-from", clinic.home, home=directory).exit_code == 0
    assert found(directory, secrets) == set()
    assert found(clinic.place, {"wrapped key": secrets["wrapped key"]}) == set()


@pytest.mark.parametrize("damage", ["UPDATE keys SET wrapped = x'00ff'", "DELETE FROM keys"], ids=["damaged", "gone"])
def test_a_case_whose_key_is_damaged_is_erased_by_its_number_as_any_other(clinic: Desk, damage: str) -> None:
    # given a case whose key was damaged after a backup
    home, case_id, secrets = clinic.home, case_of(clinic.home), secrets_of(clinic.home)
    succeeded("backup", clinic.place / "monday.backup", "--data", home)
    with closing(sqlite3.connect(home / DATABASE)) as database, database:
        database.execute(f"{damage} WHERE case_id = ?", (case_id,))

    # when it is erased, then that is told as of any other, and nothing of it is left, here or in the backup
    ran = erase(clinic)
    assert ran.exit_code == 0
    assert "the patient asked for it" in ran.said
    assert found(home, secrets) == set()
    assert found(clinic.place, {"wrapped key": secrets["wrapped key"]}) == set()

    # and the home verifies, but for that
    assert f"{case_id}: this case was erased" in verified("--data", home)


def test_a_case_of_which_the_register_has_lost_what_it_knew_is_erased_as_any_other(clinic: Desk) -> None:
    # given a case whose state is gone from the register
    home, case_id, secrets = clinic.home, case_of(clinic.home), secrets_of(clinic.home)
    with closing(sqlite3.connect(home / DATABASE)) as database, database:
        database.execute("DELETE FROM states WHERE stage = 'register' AND case_id = ?", (case_id,))

    # when it is erased, then nothing of it is left
    assert erase(clinic).exit_code == 0
    assert found(home, secrets) == set()

    # and the home verifies, but for that
    assert f"{case_id}: this case was erased" in verified("--data", home)


NAMES_SEVERAL: Final = {
    "damaged": ("x'00ff'", (1, 2), "this number names several cases"),
    "damaged, the only one of its clinic": ("x'00ff'", (1,), "of 1 case it cannot be read any more who they are"),
    "destroyed": ("NULL", (1, 2), "this number names several cases"),
}


@pytest.mark.parametrize(("gone", "numbers", "says"), NAMES_SEVERAL.values(), ids=NAMES_SEVERAL.keys())
def test_by_a_number_that_two_clinics_use_nobody_is_erased_though_one_of_the_two_has_no_key(
    tmp_path: Path, gone: str, numbers: Sequence[int], says: str
) -> None:
    # given two clinics that use one number, and a case of one of them without a key
    home, file = tmp_path / "home", tmp_path / "two.csv"
    head = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life"
    file.write_text("\n".join([head, *(f"P{number},1,2026-03-02T09:00,odsis,1,1,1,1,1" for number in numbers)]))
    for clinic in ("north", "south"):
        succeeded("import", file, "--enrol", "--clinic", clinic, "--data", home)
    north, south = (case_of(home, f"P1@{clinic}") for clinic in ("north", "south"))
    with closing(sqlite3.connect(home / DATABASE)) as database, database:
        database.execute(f"UPDATE keys SET wrapped = {gone} WHERE case_id = ?", (north,))  # noqa: S608 - ours

    # when somebody erases it by its number alone, then it is asked which one is meant, and nothing is done
    ran = ontrack("erase", "P1", "--ground", "asked-for", "--confirm", "P1", "--data", home)
    assert (ran.exit_code, says in ran.told, north in ran.told, "P1@south" in ran.told) == (2, True, True, True)

    # and with its clinic it is that one
    succeeded("erase", "P1@north", "--ground", "asked-for", "--confirm", "P1@north", "--data", home)
    told = verified("--data", home)
    assert (f"{north}: this case was erased" in told, south in told) == (True, False)


def test_whoever_restores_a_backup_knows_which_copies_were_made_before(clinic: Desk) -> None:
    # given an older backup, keys and reports that were moved, and a copy on another machine; then another backup
    place, gone = clinic.place, case_of(clinic.home)
    succeeded("backup", place / "monday.backup", "--data", clinic.home)
    succeeded("export", "--data", clinic.home, "--output", place / "exported", "--keys", place / "case.keys")
    succeeded("reports", "--data", clinic.home, "--write", place / "pages")
    succeeded("audit", "why", GONE, "--session", "3", "--write", place / f"{GONE}.html", "--data", clinic.home)
    elsewhere = Copy(kind="backup", path="/kept/sunday.backup", host="old.example", at=AT)
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


ERASE_ANNA: Final = ("erase", ANNA, "--ground", "ordered", "--confirm", ANNA)


def test_of_what_an_older_version_has_noted_only_what_lies_elsewhere_is_asked_and_how_to_say_it_told(
    with_copies: Desk,
) -> None:
    # given a home that an older version has used, which kept no home and every path from the root on
    place, home = with_copies.place, with_copies.home
    secrets, noted = secrets_of(home), home / COPIES
    copies = [json.loads(line) for line in noted.read_text().splitlines()]
    for copy in copies:
        del copy["home"]
        copy["path"] = str(home / copy["path"])
    noted.write_text("".join(f"{json.dumps(copy)}\n" for copy in copies))

    # when a case is erased, then it is asked whose the copies beside it are, and not whose those in it
    ran = erase(with_copies)
    assert ran.exit_code == 2
    assert "Made or noted by an older version, which did not keep by which home:" in ran.told
    assert f"{place}/monday.backup" in ran.told
    assert f"{home}/pages" not in ran.told
    assert "an older version has made or noted copies that lie here, and did not keep by which home." in ran.told
    assert "another home" not in ran.told

    # and when they are left alone, then no home is named that nobody knows
    shutil.copytree(home, place / "copied")
    alone = erase(with_copies, "--copied-from", "unknown", home=place / "copied")
    assert "monday.backup was left alone: it is of the home that has made it, where" in alone.said
    shutil.rmtree(place / "copied")

    # and when it is said that they are its own, then nothing is left, and nobody asks again
    assert erase(with_copies, "--moved-from", "unknown").exit_code == 0
    assert found(place, secrets) == set()
    assert succeeded(*ERASE_ANNA, "--data", home).exit_code == 0


def test_what_a_home_is_to_another_one_is_one_or_the_other(with_copies: Desk) -> None:
    ran = erase(with_copies, "--moved-from", "there", "--copied-from", "there")
    assert (ran.exit_code, "either --moved-from or --copied-from was expected" in ran.told) == (2, True)


@pytest.mark.parametrize(
    ("typed", "exit_code", "changes"),
    [(("moved", GONE), 0, True), (("copied", GONE), 1, False), (("", GONE), 2, False), (("moved", ANNA), 2, False)],
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

    # then what another home has noted is named first, and what is changed of it after that is known
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
        broken.setattr("services.cli.erase.backups_taken_out", breaks_off)
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


@pytest.mark.parametrize("every", [pytest.param(4, id="some"), pytest.param(1, id="all", marks=pytest.mark.torture)])
def test_an_erasure_that_is_killed_at_any_moment_is_finished_by_the_same_command(clinic: Desk, every: int) -> None:
    # given copies of a clinic, each with a backup and a page of its own, and erasures that are killed right before
    # something
    secrets, gone = secrets_of(clinic.home), case_of(clinic.home)
    succeeded("backup", clinic.place / "clinic.backup", "--data", clinic.home)
    moments = range(1, 200, every)

    def home_of(moment: int) -> Path:
        return clinic.place / f"{moment}"

    def backups_of(moment: int) -> Path:
        return clinic.place / f"{moment}.backups"

    def page_of(moment: int) -> Path:
        return clinic.place / f"{moment}.html"

    for moment in moments:
        shutil.copytree(clinic.home, home_of(moment), ignore=shutil.ignore_patterns("copies.ndjson"))
        backups_of(moment).mkdir()
        shutil.copy(clinic.place / "clinic.backup", backups_of(moment))
        page_of(moment).write_text(COMMENT)
        page = Copy(kind="report", path=str(page_of(moment)), host=node(), at=AT, case=gone, home=str(home_of(moment)))
        asyncio.run(CopiesInFile(home_of(moment)).note(page))
    asked = ("erase", GONE, "--ground", "asked-for", "--by", "kim", "--confirm", GONE)
    met = list(deaths(moments, *asked, "--backups", clinic.place / "{n}.backups", "--data", clinic.place / "{n}"))
    assert len(met) > 10

    for death in met:
        # then whoever asks for the case is told, as soon as it is on record; that it is erased only when all is done
        home, backups = home_of(death.moment), backups_of(death.moment)
        asked_for = ontrack("case", GONE, "--data", home)
        doctor = json.loads(ontrack("doctor", "--data", home, "--format", "json").out)
        is_told = ["is not finished" in each["says"] for each in doctor if each["what"] == "keys"]
        if asked_for.exit_code == 0:
            assert is_told == [False], death
        else:
            assert "was begun and is not finished" in asked_for.told, (death, asked_for.told)
            assert is_told == [True], death
            assert ontrack("audit", "verify", "--data", home).exit_code == 1, death
        if "was erased" in asked_for.told:
            # The last that goes is sealed under a key that is gone already.
            assert found(home, secrets) <= {"entry"}, death
            assert found(backups, secrets) == set(), death
            assert not page_of(death.moment).exists(), death

        # when the same command is given again
        again = erase(clinic, "--backups", backups, home=home)

        # then it is done
        assert again.exit_code == 0, (death, again.told)
        assert found(home, secrets) == set(), death
        assert found(backups, secrets) == set(), death
        assert not page_of(death.moment).exists(), death
        assert sorted(file.name for file in backups.iterdir()) == ["clinic.backup"], death
        assert "by kim: the patient asked for it" in verified("--data", home), death


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((GONE, "--ground", "asked-for"), f"nobody can be asked here: name the case once more by --confirm {GONE}"),
        ((GONE, "--ground", "asked-for", "--confirm", ANNA), f"--confirm: {GONE} once more was expected"),
        ((GONE, "--confirm", GONE), "Missing option '--ground'"),
        ((GONE, "--ground", "Anna said so", "--confirm", GONE), "Invalid value for '--ground'"),
        ((GONE, "--ground", "ordered", "--by", "Kim Holm", "--confirm", GONE), "--by: a short name of letters"),
        ((GONE, "--ground", "ordered", "--confirm", GONE, "--backups", "nowhere"), "nowhere: the file of a backup"),
        ((GONE, "--ground", "ordered", "--confirm", GONE, "--gone", __file__), "it is there"),
        (("4711", "--ground", "ordered", "--confirm", "4711"), "4711: the number of a case was expected"),
    ],
)
def test_what_is_not_meant_so_erases_nothing(clinic: Desk, options: tuple[str, ...], told: str) -> None:
    before = contents(clinic.home)
    ran = ontrack("erase", *options, "--data", clinic.home)
    assert (ran.exit_code, ran.out) == (2, b"")
    assert told in ran.told
    assert contents(clinic.home) == before


@pytest.mark.parametrize(("typed", "exit_code"), [(GONE, 0), (ANNA, 2), ("", 2)])
def test_a_person_at_a_terminal_types_the_number_once_more(clinic: Desk, typed: str, exit_code: int) -> None:
    # when somebody at a terminal types a number
    code, told = at_a_terminal(["erase", GONE, "--ground", "asked-for", "--data", clinic.home], typed)

    # then the case is erased if it was that of the case
    assert code == exit_code
    assert f"{GONE} will be erased. Nobody can undo that" in told
    assert (GONE in contents(clinic.home).numbers.values()) == (exit_code != 0)


def at_a_terminal(arguments: Sequence[str | Path], *typed: str) -> tuple[int, str]:
    """Run a command for a person who types some lines; give its exit code, and what it told."""
    person, program = pty.openpty()
    with closing(os.fdopen(program)) as terminal, closing(os.fdopen(person, "wb")) as keys:
        asked = [ONTRACK, *arguments]
        process = subprocess.Popen(asked, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        keys.write("".join(f"{line}\n" for line in typed).encode())
        keys.flush()
        _, told = process.communicate(timeout=PATIENCE)
    return process.returncode, told.decode()
