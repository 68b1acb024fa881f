"""`ontrack erase` and pages about the case: each is removed, or told of until it is gone."""

import json
import shutil
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.cli.history import history
from services.embedded import DATABASE
from services.home import Home
from tests.support.command import Ran, ontrack, run_apart, succeeded
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
)
from tests.support.unprivileged import ontrack_unprivileged


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
