"""`ontrack reports`: the list, and the reports as private pages."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from services.cli.screen import day
from tests.cli.homes import ODSIS, SECRET, day_of, imported, reports_of, written
from tests.pages.reading import Page
from tests.support.command import ONTRACK, PATIENCE, ontrack, succeeded


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_newest_stands_first_with_why_in_words(acted: Path) -> None:
    rows = reports_of(acted)

    assert [row["as_of"] for row in rows] == sorted((row["as_of"] for row in rows), reverse=True)
    assert {key: value for key, value in rows[0].items() if key != "report"} == {
        "kind": "not",
        "case": "open",
        "group": None,
        "session": 3,
        "status": "open",
        "as_of": day(day_of(3)),
        "latest": 3,
        "now": "not_on_track",
        "why": "Not on track: worse than at the start",
    }


def test_the_status_says_what_came_of_a_report(acted: Path) -> None:
    assert {row["case"]: row["status"] for row in reports_of(acted, "--all")} == {
        "open": "open",
        "late": "overdue",
        "closed": "closed",
        "corrected": "retracted",
    }


def test_the_list_says_how_the_patient_is_now_beside_why_a_report_was_made(acted: Path) -> None:
    (row,) = reports_of(acted, "--case", "closed")

    assert row["why"] == "Not on track: worse than at the start"
    assert (row["session"], row["latest"], row["now"]) == (1, 2, "on_track")


def test_retracted_reports_are_left_out_unless_they_are_asked_for(acted: Path) -> None:
    assert "corrected" not in {row["case"] for row in reports_of(acted)}


def test_reports_are_chosen_by_case_and_kind(home: Path) -> None:
    assert {row["case"] for row in reports_of(home, "--case", "P10")} == {"P10"}
    assert {row["case"] for row in reports_of(home, "--kind", "silent")} == {"no-baseline"}
    assert reports_of(home, "--kind", "safety") == []


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    """A clinic with a patient who gave a safety answer."""
    items = ("interest", "mood", "sleep", "energy", "appetite", "self_worth", "concentration", "movement", "self_harm")
    rows = [
        f"S1,1,2026-01-05,phq-9,{','.join('0' * 8)},2,,,,,",
        "S1,1,2026-01-05,odsis,,,,,,,,,,1,1,1,1,1",
    ]
    file = tmp_path / "answers.csv"
    header = ",".join(("case", "session", "answered_at", "instrument", *items, *ODSIS))
    file.write_text("\n".join([header, *rows, ""]))
    return imported(tmp_path / "home", file)


@pytest.mark.parametrize(
    ("language", "discreet", "revealed"),
    [
        ("en", "A patient gave an answer that must be seen", "Thoughts of death or self-harm"),
        ("da", "En patient har givet et svar, der skal ses", "Tanker om død eller selvskade"),
    ],
)
@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_the_list_says_what_a_safety_answer_was_only_to_somebody_who_asks(
    warned: Path, language: str, discreet: str, revealed: str, form: str
) -> None:
    options = ("reports", "--data", warned, "--kind", "safety", "--language", language, "--format", form)

    # when the reports are listed, then it is told that there is an answer, and not to what
    listed = succeeded(*options).said
    assert discreet in listed
    assert revealed not in listed

    # and what it was is told when that is asked for
    assert revealed in succeeded(*options, "--reveal").said


def test_the_table_shortens_ids_and_the_data_do_not(home: Path) -> None:
    full = [row["report"] for row in reports_of(home)]
    table = succeeded("reports", "--data", home).out.decode().splitlines()[1:]

    assert [line.split()[0] for line in table] == [report[:8] for report in full]


def test_reports_are_written_as_private_files_with_a_list_of_them(acted: Path, tmp_path: Path) -> None:
    target = tmp_path / "reports"
    ran = succeeded("reports", "--data", acted, "--all", "--write", target)

    index = Page((target / "index.html").read_text(encoding="utf-8"))
    linked = {address.removeprefix("./") for address in index.addresses()}
    assert ran.out.decode().strip() == str(target / "index.html")
    assert linked == {f"{row['report']}.html" for row in reports_of(acted, "--all")}
    assert {file.name for file in target.iterdir()} == {*linked, "index.html"}
    assert mode(target) == 0o700
    assert {mode(file) for file in target.iterdir()} == {0o600}
    assert index.is_whole
    assert all(Page((target / name).read_text(encoding="utf-8")).is_whole for name in linked)


def test_an_old_report_says_in_the_list_and_on_its_page_how_the_patient_is_now(acted: Path, tmp_path: Path) -> None:
    # given an episode that ended at session 2 (closed), one that goes on (open), and one that holds no more
    succeeded("reports", "--data", acted, "--all", "--write", tmp_path)

    rows = {cells[0]: cells for cells in Page((tmp_path / "index.html").read_text(encoding="utf-8")).rows("sheet")[1:]}
    assert list(rows)[-2:] == ["closed", "corrected"]
    assert rows["closed"][3].startswith("As of session 1 Not on track")
    assert rows["closed"][4] == "Session 2: on track on track since session 2"
    assert rows["open"][4] == "Session 3: not on track"

    report = next(row["report"] for row in reports_of(acted) if row["case"] == "closed")
    assert (
        "The episode is over: on track since session 2."
        in Page((tmp_path / f"{report}.html").read_text(encoding="utf-8")).text
    )


def test_of_a_patient_who_is_not_on_track_again_the_new_episode_stands_above_the_old_one(tmp_path: Path) -> None:
    # given one patient with two episodes, one who was unknown after an episode ended, and a silence that ended
    courses = {
        "again": {0: 12, 1: 16, 2: 8, 3: 16},
        "unknown": {0: 12, 1: 16, 2: 8, 4: 6},
        "silent": {0: 12, 1: 12, 4: 8},
    }
    home = imported(tmp_path / "home", written(tmp_path / "answers.csv", courses, "odsis"))

    succeeded("reports", "--data", home, "--write", tmp_path / "reports")

    rows = Page((tmp_path / "reports" / "index.html").read_text(encoding="utf-8")).rows("sheet")[1:]
    assert [(cells[0], cells[3][:15], cells[4]) for cells in rows] == [
        ("again", "As of session 3", "Session 3: not on track"),
        ("silent", "As of session 3", "Session 4: on track on track since session 4"),
        ("again", "As of session 1", "Session 3: not on track over since session 2"),
        ("unknown", "As of session 1", "Session 4: on track over since session 2"),
    ]


def test_a_file_that_others_could_read_becomes_private(acted: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.html"
    index.write_text("before", encoding="utf-8")
    index.chmod(0o644)

    succeeded("reports", "--data", acted, "--write", tmp_path)

    assert mode(index) == 0o600


def test_a_link_is_not_followed(acted: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("before", encoding="utf-8")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "index.html").symlink_to(elsewhere)

    ran = ontrack("reports", "--data", acted, "--write", tmp_path / "reports")

    assert ran.exit_code == 2
    assert "a file that can be written was expected" in ran.told
    assert elsewhere.read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize(("language", "word"), [("en", "Not on track"), ("da", "Ikke på rette spor")])
def test_reports_speak_the_language_that_is_asked_for(acted: Path, tmp_path: Path, language: str, word: str) -> None:
    succeeded("reports", "--data", acted, "--write", tmp_path, "--language", language)

    assert word in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert all(word in row["why"] for row in reports_of(acted, "--language", language))


def opened(home: Path, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a report in a browser that only notes what it was asked to open."""
    directory.mkdir(exist_ok=True)
    browser = directory / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {directory}/asked\n', encoding="utf-8")
    browser.chmod(0o700)
    return subprocess.run(
        [ONTRACK, "reports", "--data", home, *options],
        env={**os.environ, "BROWSER": str(browser), "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_newest_report_is_opened_from_a_private_file(acted: Path, tmp_path: Path) -> None:
    ran = opened(acted, tmp_path, "--open")

    file = Path(ran.stdout.strip())
    page = Page(file.read_text(encoding="utf-8"))
    assert ran.returncode == 0
    assert file.parent == tmp_path
    assert mode(file) == 0o600
    assert (tmp_path / "asked").read_text(encoding="utf-8") == file.as_uri()
    assert "open" in page.text
    assert SECRET not in page.text, "the comment was given at session 1, and the report is about session 3"


def test_a_disk_on_which_a_report_has_no_room_is_told_with_the_file_and_nothing_of_it_is_left(
    acted: Path, tmp_path: Path
) -> None:
    # given room for less than a page, though for what SQLite writes beside the database
    limited = f"ulimit -f 32; exec {ONTRACK} reports --open --data {acted}"

    # when one is to be opened
    ran = subprocess.run(
        ["bash", "-c", limited],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    # then it is told where there is no room, and no half of it stays
    assert ran.returncode == 2, ran.stderr
    assert f"Error: {tmp_path}/ontrack-report-" in ran.stderr
    assert "room for all of it was expected (File too large)" in ran.stderr
    assert not list(tmp_path.iterdir())


def test_a_report_is_opened_by_the_beginning_of_its_id_also_a_retracted_one(acted: Path, tmp_path: Path) -> None:
    report = next(row["report"] for row in reports_of(acted, "--all") if row["case"] == "corrected")

    ran = opened(acted, tmp_path, "--open", report[:8])

    page = Page(Path(ran.stdout.strip()).read_text(encoding="utf-8"))
    assert "This report no longer holds" in page.text
    assert "the report was retracted" in page.text


def test_an_id_that_no_report_has_is_refused(acted: Path) -> None:
    ran = ontrack("reports", "--data", acted, "--open", "ffffffff")

    assert ran.exit_code == 2
    assert "the id of a report, or its beginning, was expected" in ran.told


def test_either_open_or_write_is_expected(acted: Path, tmp_path: Path) -> None:
    ran = ontrack("reports", "--data", acted, "--write", tmp_path, "--open")

    assert ran.exit_code == 2
    assert "either --open or --write" in ran.told


def test_that_there_is_no_report_is_said(home: Path) -> None:
    ran = succeeded("reports", "--data", home, "--kind", "safety", "--format", "json")

    assert ran.out.decode().strip() == "[]"
    assert "There is no such report" in ran.told
    assert ontrack("reports", "--data", home, "--kind", "safety", "--open").exit_code == 2


def test_that_there_are_no_reports_yet_is_said(tmp_path: Path) -> None:
    # given a home with one session, after which nothing can be reported
    home = imported(tmp_path / "home", written(tmp_path / "answers.csv", {"P1": {0: 12}}, "odsis"))

    # when its reports are listed
    ran = succeeded("reports", "--data", home, "--format", "json")

    # then it is said that there are none, rather than that something was not found
    assert ran.out.decode().strip() == "[]"
    assert ran.told == "No reports yet.\n"
