"""The list of reports as a page."""

import re
from datetime import UTC, datetime

import pytest

from contracts.definitions.definition import Language
from contracts.events.notices import ReportKind
from services.pages.index import ReportRow, RowState, index_page
from services.pages.report import why_in_one_line
from services.pages.subject import Now
from tests.pages.reading import Page
from tests.pages.reports import decided, report, shipped, worse


def row(
    patient: str,
    kind: ReportKind = "not",
    *,
    day: int = 1,
    state: RowState = "open",
    persistent: bool = False,
    why: str = "Not on track: worse than at the start",
    file: str = "report.html",
    now: Now | None = None,
) -> ReportRow:
    return ReportRow(
        patient=patient,
        group="tuesday",
        kind=kind,
        session=9,
        state=state,
        why=why,
        issued_at=datetime(2026, 3, day, 8, 5, tzinfo=UTC),
        file=file,
        persistent=persistent,
        now=now,
    )


def test_the_most_urgent_stand_first_and_retracted_ones_last() -> None:
    rows = [
        row("retracted", "safety", state="retracted", day=9),
        row("silent", "silent"),
        row("older"),
        row("newer", day=5),
        row("safety", "safety"),
    ]

    page = Page(index_page(rows, "en"))

    assert page.is_whole
    assert [cells[0] for cells in page.rows("sheet")[1:]] == ["safety", "newer", "older", "silent", "retracted"]


def test_what_waits_stands_before_what_was_seen_and_what_is_over() -> None:
    rows = [
        row("merged", "safety", state="merged", day=9),
        row("retracted", "safety", state="retracted", day=8),
        row("closed", "safety", state="closed"),
        row("seen", "safety", state="seen"),
        row("silent", "silent", day=9, persistent=True),
        row("not", day=9),
        row("overdue", state="overdue", day=5),
        row("persistent", state="open", persistent=True),
        row("safety", "safety", state="overdue"),
    ]

    page = Page(index_page(rows, "en"))

    assert [cells[0] for cells in page.rows("sheet")[1:]] == [
        "safety",
        "persistent",
        "not",
        "overdue",
        "silent",
        "seen",
        "closed",
        "merged",
        "retracted",
    ]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["open", "seen", "overdue", "closed", "retracted", "merged"]),
        ("da", ["åben", "set", "ikke set i tide", "afsluttet", "trukket tilbage", "lagt sammen med en anden"]),
    ],
)
def test_a_row_says_how_its_report_stands(language: Language, said: list[str]) -> None:
    states: list[RowState] = ["open", "seen", "overdue", "closed", "retracted", "merged"]

    pages = [Page(index_page([row("0417-09", state=state)], language)) for state in states]

    assert [page.all("span", "state")[0].text for page in pages] == said


def test_the_list_says_once_what_not_and_pnot_mean() -> None:
    assert Page(index_page([row("a"), row("b")], "en")).text.count("pNOT: persistently so") == 1


def test_a_row_says_who_what_why_and_when_and_leads_to_the_report() -> None:
    now = Now(11, "not_on_track")

    page = Page(index_page([row("0417-09", file="0417 09/å.html", now=now)], "da"))

    assert page.rows("sheet")[1] == [
        "0417-09",
        "tuesday",
        "NOT-rapport åben",
        "Pr. session 9 Not on track: worse than at the start",
        "Session 11: ikke på rette spor",
        "1. marts 2026 kl. 08.05",
    ]
    assert list(page.addresses()) == ["./0417%2009/%C3%A5.html"]


@pytest.mark.parametrize(
    ("kind", "now", "language", "said"),
    [
        (
            "not",
            Now(14, "on_track", 11, on_track_since=True),
            "en",
            "Session 14: on track on track since session 11",
        ),
        ("not", Now(14, "not_on_track", 11), "en", "Session 14: not on track over since session 11"),
        (
            "not",
            Now(14, "on_track", 11, on_track_since=True),
            "da",
            "Session 14: på rette spor på rette spor siden session 11",
        ),
        ("silent", Now(14, "not_on_track", 11), "en", "Session 14: not on track over since session 11"),
        ("safety", Now(14, "unknown"), "en", "Session 14: not known"),
    ],
)
def test_a_row_says_how_the_patient_is_now_beside_what_the_report_said_then(
    kind: ReportKind, now: Now, language: Language, said: str
) -> None:
    cells = Page(index_page([row("0417-09", kind, now=now)], language)).rows("sheet")[1]

    assert cells[3].endswith("session 9 Not on track: worse than at the start")
    assert cells[4] == said


def test_what_is_over_stands_below_what_goes_on_the_newest_first() -> None:
    over = Now(14, "on_track", 11, on_track_since=True)
    rows = [
        row("old and over", state="overdue", persistent=True, day=2, now=over),
        row("retracted", state="retracted", day=9),
        row("new and over", state="closed", day=5, now=over),
        row("closed and going on", state="closed", now=Now(14, "not_on_track")),
        row("persistent", persistent=True, now=Now(14, "unknown")),
    ]

    page = Page(index_page(rows, "en"))

    assert [cells[0] for cells in page.rows("sheet")[1:]] == [
        "persistent",
        "closed and going on",
        "new and over",
        "old and over",
        "retracted",
    ]


def test_of_one_patient_the_newest_report_stands_first_where_the_most_urgent_belongs() -> None:
    rows = [
        row("one", why="revised at once, on a later session", day=3, state="seen"),
        row("one", why="revised at once, on an earlier session", day=3, state="seen"),
        row("one", "safety", why="the most urgent"),
        row("two", why="another patient", day=5),
    ]

    page = Page(index_page(rows, "en"))

    assert [cells[3].removeprefix("As of session 9 ") for cells in page.rows("sheet")[1:]] == [
        "revised at once, on a later session",
        "revised at once, on an earlier session",
        "the most urgent",
        "another patient",
    ]


def test_of_reports_that_one_answer_led_to_the_most_urgent_kind_stands_first() -> None:
    rows = [row("one", why="revised by the answer"), row("one", "safety", why="about the answer")]

    page = Page(index_page(rows, "en"))

    assert [cells[3].removeprefix("As of session 9 ") for cells in page.rows("sheet")[1:]] == [
        "about the answer",
        "revised by the answer",
    ]


def test_the_list_stands_in_lines_wherever_the_sheet_is_not_as_wide_as_it_can_be() -> None:
    # Its table takes the whole sheet: on a narrower one the last columns would be cut off.
    page = index_page([row("0417-09")], "en")

    sheet = re.search(r"\.sheet {[^}]*max-width: (\d+)rem", page)
    lines = re.search(r"@media screen and \(max-width: (\d+)rem\) {\n  \.reports ", page)
    assert sheet is not None
    assert lines is not None
    assert int(lines[1]) > int(sheet[1])


def test_a_retracted_report_is_struck_through() -> None:
    page = Page(index_page([row("0417-09", state="retracted")], "en"))

    assert [element.text for element in page.all("s")] == ["Not on track: worse than at the start"]
    assert "retracted" in page.text


@pytest.mark.parametrize("file", ["javascript:alert(1)", "//elsewhere/x.html", "https://elsewhere/"])
def test_a_link_never_leaves_the_directory_by_itself(file: str) -> None:
    (address,) = Page(index_page([row("<b>x</b>", why="<script>", file=file)], "en")).addresses()

    assert address.startswith("./")
    assert ":" not in address


def test_an_empty_list_says_so() -> None:
    assert "Der er ingen rapporter." in Page(index_page([], "da")).text


def test_why_in_one_line_is_the_headline_of_the_report() -> None:
    content = report(decided(3, "16", worse("16", "4")), {0: "12", 3: "16"})

    assert why_in_one_line(content, shipped(), "da") == "Ikke på rette spor: dårligere end ved start"
