"""`ontrack erase`: afterwards nothing of the case can be read anywhere, whatever happened on the way there."""

import asyncio
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from platform import node
from tempfile import TemporaryDirectory
from typing import Any, Final
from unicodedata import normalize

import pytest

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseErased
from contracts.topics import CASES, partition_of
from services.cli.home import Failure, short_names
from services.cli.reports.files import write_one, write_reports
from services.cli.reports.listing import Selection, listed
from services.embedded import DATABASE, LOCK, MASTER_KEY, EmbeddedHome
from services.home import Home
from services.pages.report import report_page
from services.runtime.copies.file import CopiesInFile
from services.runtime.copies.port import Copy
from services.runtime.directory.port import Person
from services.runtime.log.port import Record
from services.runtime.stage import Stage
from tests.support.command import Ran, ontrack, run_apart, succeeded
from tests.support.contents import contents, counts, master_key_in
from tests.support.desk import Desk, row, table
from tests.support.dying import Death, deaths
from tests.support.erasing import (
    ANNA,
    AT,
    COMMENT,
    ERASE,
    GONE,
    at_a_terminal,
    bytes_below,
    case_of,
    erase,
    found,
    given_up,
    record_only,
    secrets_of,
    verified,
)
from tests.support.unprivileged import ontrack_unprivileged


def test_nothing_of_an_erased_case_can_be_found_in_any_file(clinic: Desk) -> None:
    # given a clinic with backups, one of which was moved, files of keys, and reports that were written
    place, home = clinic.place, clinic.home
    secrets = secrets_of(home)
    (place / "elsewhere").mkdir()
    succeeded("backup", place / "monday.backup", "--data", home)
    succeeded("backup", place / "tuesday.backup", "--data", home)
    (place / "tuesday.backup").rename(place / "elsewhere" / "moved.backup")
    for unfinished in ("tuesday.backup.unfinished", "wednesday.backup.unfinished"):
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
    assert not list(place.glob("*.unfinished"))

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


@pytest.mark.parametrize("dies", [False, True], ids=["to the end", "until it is killed"])
def test_reports_that_are_written_meanwhile_are_told_of_until_that_has_ended(clinic: Desk, *, dies: bool) -> None:
    # given reports that are written, to the end or not, and a case that is erased when some of them are there
    place, erased, gone = clinic.place / "pages", list[Ran](), case_of(clinic.home)
    reports = contents(clinic.home).reports

    def one_is_written(_: int) -> None:
        if not erased:
            erased.append(run_apart(*ERASE, "--data", clinic.home))
        elif dies and len(list(place.iterdir())) == sum(map(len, reports.values())):
            raise KeyboardInterrupt

    async def written() -> None:
        async with await EmbeddedHome.open(clinic.home) as home:
            await write_reports(home, place, "en", one_is_written)

    with pytest.raises(KeyboardInterrupt) if dies else nullcontext():
        asyncio.run(written())

    # then it is told that it is not done
    assert [ran.exit_code for ran in erased] == [1]
    assert f"the reports in {place} are being written: give the command again" in erased[0].said

    # and when the command is given again, then no page is about it, and no list names it; those of others are there
    assert erase(clinic).exit_code == 0
    assert found(place, {"number": GONE.encode(), "id": gone.encode()}) == set()
    pages = {page.stem for page in place.iterdir()}
    assert pages == set(reports[case_of(clinic.home, ANNA)])
    assert erase(clinic).exit_code == 0


def test_reports_are_written_though_a_case_was_erased_when_they_had_been_listed(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a case that is erased when its reports are listed and it is yet to be read who it is
    place, erased = clinic.place / "pages", list[Ran]()

    async def names_are_read(home: Home) -> object:
        erased.append(run_apart(*ERASE, "--data", clinic.home))
        return await short_names(home)

    monkeypatch.setattr("services.cli.reports.files.short_names", names_are_read)
    succeeded("reports", "--write", place, "--data", clinic.home)

    # then those of others are there, in a list, and nothing of it is; nor is anything left when it is erased once more
    assert [ran.exit_code for ran in erased] == [1]
    assert found(place, {"number": GONE.encode()}) == set()
    assert erase(clinic).exit_code == 0
    assert found(place / "index.html", {"number": ANNA.encode()}) == {"number"}


def test_reports_are_listed_though_a_case_was_erased_meanwhile(clinic: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a case that is erased when its reports were read and it is yet to be read who it is
    async def names_are_read(home: Home) -> object:
        assert run_apart(*ERASE, "--data", clinic.home).exit_code == 0
        return await short_names(home)

    monkeypatch.setattr("services.cli.reports.command.short_names", names_are_read)

    # then those of others are listed, and nothing of it is
    listed_then = succeeded("reports", "--format", "json", "--data", clinic.home).out
    assert {row["case"] for row in json.loads(listed_then)} == {ANNA}


def test_a_report_that_is_about_to_be_looked_at_is_not_written_once_its_case_was_erased(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a report of a case that is erased when all that the report says was read
    aside, erased, gone = clinic.place / "aside", list[Ran](), case_of(clinic.home)
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))

    async def written() -> None:
        async with await EmbeddedHome.open(clinic.home) as home:
            reads = home.state

            async def read(stage: Stage[Any], case_id: str) -> object:
                found = await reads(stage, case_id)
                erased.append(run_apart(*ERASE, "--data", clinic.home))
                return found

            monkeypatch.setattr(home, "state", read)
            entries = await listed(home, Selection([gone], with_retracted=True), "en", lambda _: None)
            await write_one(home, entries[0], "en")

    # when it is written, then that is told, and nothing is there
    with pytest.raises(Failure, match="this one was erased"):
        asyncio.run(written())
    assert [ran.exit_code for ran in erased] == [0]
    assert list(aside.iterdir()) == []
    assert erase(clinic).exit_code == 0


def test_a_report_that_is_about_to_be_looked_at_is_not_there_any_more_once_its_case_was_erased(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a report of a case that is erased when its page is made and not written yet
    aside, erased = clinic.place / "aside", list[Ran]()
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    makes = report_page

    def made(*arguments: Any, **options: Any) -> str:
        erased.append(run_apart(*ERASE, "--data", clinic.home))
        return makes(*arguments, **options)

    monkeypatch.setattr("services.cli.reports.files.report_page", made)
    monkeypatch.setattr("webbrowser.open", lambda _: True)

    # when it is written, then nothing of it is there
    ran = ontrack("reports", "--case", GONE, "--open", "--data", clinic.home)
    assert [ran.exit_code for ran in erased] == [0]
    assert list(aside.iterdir()) == []
    assert (ran.exit_code, "this one was erased" in ran.told) == (2, True)
    assert erase(clinic).exit_code == 0


_KILLED: Final = {
    "a dry run": """
import os, shutil, sys
from services.cli.scratch import scratch
with scratch("ontrack-dry-run-") as folder:
    shutil.copytree(sys.argv[1], folder / "home")
    os._exit(9)
""",
    "an audit": """
import os, sys
from services.auditor.states import Comparison
from services.cli import main
async def killed(_: Comparison) -> None:
    os._exit(9)
Comparison.made = killed
main(["audit", "verify", "--data", sys.argv[1]])
""",
}


@pytest.mark.parametrize("program", list(_KILLED.values()), ids=list(_KILLED))
def test_what_a_command_that_was_killed_has_left_goes_too(
    clinic: Desk, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    # given a command that was killed while what is known of cases stood in the directory for temporary files
    secrets, aside = secrets_of(clinic.home), clinic.place / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    command = [sys.executable, "-c", program, str(clinic.home)]
    subprocess.run(command, env={**os.environ, "TMPDIR": str(aside)}, check=False)
    assert found(aside, secrets) != set()

    # when a case is erased, then nothing of it is found there
    assert erase(clinic).exit_code == 0
    assert found(aside, secrets) == set()
    assert list(aside.iterdir()) == []


@pytest.mark.parametrize("beside", ["home", "copy"])
def test_what_an_import_that_was_killed_has_left_beside_it_goes_too(clinic: Desk, beside: str) -> None:
    # given what an import into the same place, or one beside it, has left when it was killed, and one that still runs
    place, secrets = clinic.place, secrets_of(clinic.home)
    left, made = place / f".{beside}.importing-x", place / ".other.importing-x"
    shutil.copytree(clinic.home, left)
    made.mkdir()
    with (made / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        # when a case is erased, then nothing of it is found there, which is said, and the other one is left alone
        ran = erase(clinic)
    assert ran.exit_code == 0
    assert f"{left} was left by a command that was killed; it was removed." in ran.told
    assert found(place, secrets) == set()
    assert made.exists()


def test_what_an_import_that_was_killed_has_left_and_cannot_be_removed_is_told_of(clinic: Desk) -> None:
    # Nobody else can look into the folders of the tests.
    with TemporaryDirectory(prefix="ontrack-erase-") as folder:
        # given what somebody else has left
        home, left = Path(folder) / "home", Path(folder) / ".home.importing-x"
        shutil.copytree(clinic.home, home)
        shutil.copytree(clinic.home, left)
        left.chmod(0o500)

        # when a case is erased, then it is told that it is there
        with given_up(home, left):
            left.chmod(0o500)
            ran = ontrack_unprivileged(*ERASE, "--data", home)
    assert ran.exit_code == 1, ran.told
    assert f"what a command that was killed has left in {left} cannot be removed (Permission denied)" in ran.said


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


def test_an_erasure_that_was_broken_off_is_told_of_until_it_is_finished_and_its_key_is_handed_to_nobody(
    clinic: Desk,
) -> None:
    # given an erasure of which no more was done than to record it, read by the stages or not
    gone, secrets, place = case_of(clinic.home), secrets_of(clinic.home), clinic.place
    shutil.copytree(clinic.home, place / "unread")
    for home in (clinic.home, place / "unread"):
        asyncio.run(record_only(home, is_read=home == clinic.home))

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


def test_what_stands_on_the_log_unsealed_is_told_of_as_long_as_it_can_be_read(clinic: Desk) -> None:
    # given something about a case that somebody has written to the log in the open
    gone = case_of(clinic.home)
    asyncio.run(_append(clinic.home, [Record(gone, f'{{"subject": "{gone}", "said": "{COMMENT}"}}'.encode())]))

    # when the case is erased, then what is sealed is counted without it, and where it stands is told
    for _ in range(2):
        ran = erase(clinic, "--format", "json")
        assert ran.exit_code == 1
        told = {(line["what"], line["is"]): line["says"] for line in reversed(json.loads(ran.out))}
        assert told["case", "not reached"].startswith(f"rom.cases.v1, partition {partition_of(gone)}, offset ")
        assert told["case", "remains"].startswith("43 events on the log, sealed")
    assert found(clinic.home, {"said": COMMENT.encode()}) == {"said"}


def tracks_of(directory: Path) -> bytes:
    return succeeded("tracks", "--format", "json", "--data", directory).out


async def _append(directory: Path, records: Sequence[Record]) -> None:
    async with await EmbeddedHome.open(directory, write=True) as home:
        await home.log.append(CASES, partition_of(records[0].key), records)
        await home.catch_up()


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


def test_whose_enrolment_never_came_to_the_log_is_erased_as_any_other(clinic: Desk) -> None:
    # given a number that was entered in the directory by whoever was killed before the case was recorded
    home, number = clinic.home, "0303803333"
    case_id = asyncio.run(_entered(home, number))
    succeeded("backup", clinic.place / "monday.backup", "--data", home)

    # when it is erased
    ran = succeeded("erase", number, "--ground", "asked-for", "--confirm", number, "--data", home)

    # then nobody knows who it was, here or in the backup, and that is no finding
    assert "who it was, in the directory" in ran.said
    assert number not in contents(home).numbers.values()
    listed = succeeded("backup", clinic.place / "monday.backup", "--list-keys", "--format", "ndjson").out.splitlines()
    assert {"case": case_id, "key": "destroyed"} in map(json.loads, listed)
    assert f"{case_id}: this case was erased" in verified("--data", home)


async def _entered(directory: Path, number: str) -> str:
    async with await EmbeddedHome.open(directory, write=True) as home:
        [case_id] = (await home.people.case_ids("clinic", [number])).values()
        await home.people.enter({case_id: Person("clinic", number)})
        return case_id


def test_reports_go_though_what_was_known_of_them_is_being_made_anew(clinic: Desk) -> None:
    # given reports that were written, when all that the notifier knows was removed to be made anew, and that broken off
    pages = clinic.place / "pages"
    succeeded("reports", "--data", clinic.home, "--write", pages)
    with closing(sqlite3.connect(clinic.home / DATABASE)) as database, database:
        database.execute("DELETE FROM states WHERE stage = 'notifier'")
        database.execute("DELETE FROM positions WHERE stage = 'notifier'")

    # when a case is erased, then its reports go, and those of the other stay
    assert erase(clinic).exit_code == 0
    assert found(pages, {"number": GONE.encode()}) == set()
    assert found(pages, {"number": ANNA.encode()}) == {"number"}


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


@pytest.mark.parametrize("number", ["\u00c51", "A\u030a1"], ids=["as it stands", "in its other spelling"])
@pytest.mark.parametrize(("gone", "numbers", "says"), NAMES_SEVERAL.values(), ids=NAMES_SEVERAL.keys())
def test_by_a_number_that_two_clinics_use_nobody_is_erased_though_one_of_the_two_has_no_key(
    tmp_path: Path, gone: str, numbers: Sequence[int], says: str, number: str
) -> None:
    # given two clinics that use one number, and a case of one of them without a key
    home, file = tmp_path / "home", tmp_path / "two.csv"
    head = "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life"
    file.write_text(
        "\n".join([head, *(f"\u00c5{each},1,2026-03-02T09:00,odsis,1,1,1,1,1" for each in numbers)]), "utf-8"
    )
    for clinic in ("north", "south"):
        succeeded("import", file, "--enrol", "--clinic", clinic, "--data", home)
    north, south = (case_of(home, f"\u00c51@{clinic}") for clinic in ("north", "south"))
    with closing(sqlite3.connect(home / DATABASE)) as database, database:
        database.execute(f"UPDATE keys SET wrapped = {gone} WHERE case_id = ?", (north,))  # noqa: S608 - ours

    # when somebody erases it by its number alone, then it is asked which one is meant, and nothing is done
    ran = ontrack("erase", number, "--ground", "asked-for", "--confirm", number, "--data", home)
    assert (ran.exit_code, says in ran.told, north in ran.told) == (2, True, True)
    assert "\u00c51@south" in normalize("NFC", ran.told)

    # and with its clinic it is that one
    meant = f"{number}@north"
    succeeded("erase", meant, "--ground", "asked-for", "--confirm", meant, "--data", home)
    told = verified("--data", home)
    assert (f"{north}: this case was erased" in told, south in told) == (True, False)


@pytest.mark.parametrize("every", [pytest.param(4, id="some"), pytest.param(1, id="all", marks=pytest.mark.torture)])
def test_an_erasure_that_is_killed_at_any_moment_is_finished_by_the_same_command(clinic: Desk, every: int) -> None:
    # given copies of a clinic, each with a backup and a page of its own, and erasures that are killed right before
    # something
    secrets, gone = secrets_of(clinic.home), case_of(clinic.home)
    succeeded("backup", clinic.place / "clinic.backup", "--data", clinic.home)

    def home_of(moment: int) -> Path:
        return clinic.place / f"{moment}"

    def backups_of(moment: int) -> Path:
        return clinic.place / f"{moment}.backups"

    def page_of(moment: int) -> Path:
        return clinic.place / f"{moment}.html"

    def killed(moments: range) -> list[Death]:
        for moment in moments:
            shutil.copytree(clinic.home, home_of(moment), ignore=shutil.ignore_patterns("copies.ndjson"))
            backups_of(moment).mkdir()
            shutil.copy(clinic.place / "clinic.backup", backups_of(moment))
            page_of(moment).write_text(COMMENT)
            page, home = str(page_of(moment)), str(home_of(moment))
            noted = Copy(kind="report", path=page, host=node(), at=AT, case=gone, home=home)
            asyncio.run(CopiesInFile(home_of(moment)).note(noted))
        asked = ("erase", GONE, "--ground", "asked-for", "--by", "kim", "--confirm", GONE)
        return list(deaths(moments, *asked, "--backups", clinic.place / "{n}.backups", "--data", clinic.place / "{n}"))

    met = killed(range(1, 200, every))
    assert len(met) > 10
    # The very last moment is among them: only then it is told that the case was erased.
    last, was_erased = met[-1].moment, False
    met += killed(range(last + 1, last + every)) if every > 1 else []

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
        was_erased = "was erased" in asked_for.told
        if was_erased:
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
    assert was_erased


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


def test_where_a_user_has_no_name_it_is_asked_who_erases_a_case(clinic: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a user whom the system does not know, as in a container
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_000)

    # when they erase a case and do not say who they are, then they are asked for that
    ran = ontrack("erase", GONE, "--ground", "asked-for", "--confirm", GONE, "--data", clinic.home)
    assert (ran.exit_code, ran.out) == (2, b"")
    assert "--by: the name of whoever erases the case was expected" in ran.told


@pytest.mark.parametrize(("typed", "exit_code"), [(GONE, 0), (ANNA, 2), ("", 2)])
def test_a_person_at_a_terminal_types_the_number_once_more(clinic: Desk, typed: str, exit_code: int) -> None:
    # when somebody at a terminal types a number
    code, told = at_a_terminal(["erase", GONE, "--ground", "asked-for", "--data", clinic.home], typed)

    # then the case is erased if it was that of the case
    assert code == exit_code
    assert f"{GONE} will be erased. Nobody can undo that" in told
    assert (GONE in contents(clinic.home).numbers.values()) == (exit_code != 0)
