"""The list of reports as a page."""

from datetime import UTC, datetime

import pytest

from contracts.definitions.definition import Language
from contracts.events.notices import ReportKind
from services.pages.index import ReportRow, RowState, index_page
from services.pages.report import why_in_one_line
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
) -> ReportRow:
    return ReportRow(
        patient=patient,
        group="tuesday",
        kind=kind,
        session=9,
        status=None if kind == "safety" else "not_on_track",
        state=state,
        why=why,
        issued_at=datetime(2026, 3, day, 8, 5, tzinfo=UTC),
        file=file,
        persistent=persistent,
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
    page = Page(index_page([row("0417-09", file="0417 09/å.html")], "da"))

    assert page.rows("sheet")[1] == [
        "0417-09",
        "tuesday",
        "NOT-rapport Session 9",
        "Not on track: worse than at the start",
        "Ikke på rette spor åben",
        "1. marts 2026 kl. 08.05",
    ]
    assert list(page.addresses()) == ["./0417%2009/%C3%A5.html"]


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
