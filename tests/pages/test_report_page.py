"""The page of a report as a whole: its head and its language, whether it holds, and that nothing else is on it."""

import hashlib
import math
import re
from base64 import b64encode
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from contracts.definitions.definition import Language
from contracts.events.notices import ReportKind
from services.pages.subject import Now
from tests.pages.conftest import Show
from tests.pages.reports import (
    BOTH,
    DETERIORATED,
    SCORES,
    decided,
    form,
    full_report,
    ref,
    report,
    worrying,
    worse,
)


@pytest.mark.parametrize("language", ["en", "da"])
def test_nothing_is_loaded_nothing_runs_and_the_page_forbids_it(language: Language, show: Show) -> None:
    page = show(full_report(), language=language, patient='</style><script>"\\')

    assert [address for address in page.addresses() if not address.startswith("#")] == []
    assert not {e.tag for e in page.elements} & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert not [name for e in page.elements for name in e.attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"url\(|@import|https?:|//[a-z]", page.html)
    style = "".join(page.all("style")[0].texts)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes)
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "NOT: not on track; pNOT: persistently so."),
        ("da", "NOT: ikke på rette spor (»not on track«); pNOT: vedvarende ikke på rette spor."),
    ],
)
def test_what_not_and_pnot_mean_is_said_once(language: Language, said: str, show: Show) -> None:
    assert show(report(BOTH, SCORES), language=language).text.count(said) == 1


def test_the_danish_of_silence_and_direction_is_danish(show: Show) -> None:
    silent = show(report(decided(4, None, silent=(3, 4)), {3: None, 4: None}, kind="silent"), language="da").text
    persistent = show(report(BOTH, SCORES), language="da").text

    assert "Det er uvist, hvordan det går for en patient i behandling" in silent
    assert "Opad er bedre." in silent
    assert "Fra og med 3 sessioner kalder regelsættet det vedvarende (pNOT)." in persistent


@pytest.mark.parametrize(
    ("language", "preface", "real_time", "decide"),
    [
        ("en", "This is a proposal", "Nobody reads answers at the moment they are given.", "decide together"),
        ("da", "Dette er et forslag", "Ingen læser svarene i det øjeblik, de bliver givet.", "beslutter sammen"),
    ],
)
def test_it_says_what_it_is_not(language: Language, preface: str, real_time: str, decide: str, show: Show) -> None:
    page = show(full_report(), language=language)

    small = page.all("footer", "small")[0].text
    assert preface in page.all("p", "preface")[0].text
    assert real_time in small
    assert decide in small


def test_every_definition_is_named_whole_and_marked_if_it_is_provisional(show: Show) -> None:
    content = full_report()
    small = show(content).all("footer", "small")[0].text

    for name in (
        "group-cbt-depression-14",
        "gryesten-2023",
        "study-needs",
        "odsis",
        "gq-12",
        "homework",
        "life-events",
    ):
        named, _, digest = ref(name).partition("#")
        assert f"{named} {digest}" in small
    assert "Homework in the past week provisional" in small
    assert "Overall Depression Severity and Impairment Scale (ODSIS), past week provisional" not in small
    assert "not_report/1" in small


def test_the_head_identifies_the_report(show: Show) -> None:
    page = show(full_report(), revision=3, changes=["session_added", "status_changed"])

    head = page.all("header")[0].text
    assert "Patient 0417-09" in head
    assert "Group tuesday ballerup" in head
    assert "Session 3 of 14 Activity and mood" in head
    assert "Date 9 March 2026 08:24" in head
    assert "Revision 3 replaces revision 2" in head
    assert "a further session was added and the status of an earlier session changed" in head


@pytest.mark.parametrize(
    ("language", "word", "sentence"),
    [
        ("en", "retracted", "This report no longer holds."),
        ("da", "trukket tilbage", "Denne rapport gælder ikke længere."),
    ],
)
def test_a_retracted_report_says_so_and_is_struck_through(
    language: Language, word: str, sentence: str, show: Show
) -> None:
    page = show(full_report(), language=language, revision=2, state="retracted", changes=["retracted"])

    banner = page.all("div", "banner")[0].text
    assert banner.startswith(f"{word} {sentence}")
    struck = [element.text for element in page.all("s")]
    assert page.all("h2")[0].text in struck
    assert "16" in struck
    assert not page.all("p", "next")
    # 182 mm are within the margins of A4; a capital takes 0.78 em with its space, and the words stand aslant
    size = re.search(r"\.watermark {[^}]*rotate\(-32deg\); font-size: (\d+)pt", page.html)
    assert size is not None
    assert len(word) * 0.78 * int(size[1]) * math.cos(math.radians(32)) < 182 / 25.4 * 72


def test_an_open_report_is_not_struck_through(show: Show) -> None:
    page = show(full_report())

    assert not page.all("s")
    assert not page.all("div", "banner")


def test_a_report_that_was_merged_says_where_it_went(show: Show) -> None:
    page = show(full_report(), revision=2, state="retracted", changes=["merged"])

    assert "its sessions now belong to another report" in page.all("div", "banner")[0].text


@pytest.mark.parametrize(
    ("issued_at", "answered_at", "said"),
    [
        ((2026, 4, 1, 8, 0), (2026, 3, 28, 23, 30), "on 29 March 2026"),
        ((2026, 4, 1, 8, 0), (2026, 3, 28, 22, 30), "on 28 March 2026"),
        ((2026, 4, 1, 8, 0), (2026, 3, 29, 22, 30), "on 30 March 2026"),
        ((2026, 11, 2, 8, 0), (2026, 10, 24, 22, 30), "on 25 October 2026"),
        ((2026, 11, 2, 8, 0), (2026, 10, 25, 22, 30), "on 25 October 2026"),
    ],
)
def test_dates_are_told_by_the_clock_of_the_clinic_on_either_side_of_summer_time(
    issued_at: tuple[int, int, int, int, int], answered_at: tuple[int, int, int, int, int], said: str, show: Show
) -> None:
    safety = [worrying(0, 3, datetime(*answered_at, tzinfo=UTC))]
    issued = datetime(*issued_at, tzinfo=ZoneInfo("Europe/Copenhagen"))

    assert said in show(report(DETERIORATED, SCORES, safety=safety), issued_at=issued).all("p", "safety-line")[0].text


@pytest.mark.parametrize(
    ("day", "said"),
    [(23, "answered 23 March 2026, 08:12"), (30, "answered 30 March 2026, 09:12")],
)
def test_times_of_day_are_told_by_the_clock_of_the_clinic_on_either_side_of_summer_time(
    day: int, said: str, show: Show
) -> None:
    answered = form("odsis", 3, {"frequency": ("frequency", 3)}, answered_at=datetime(2026, 3, day, 7, 12, tzinfo=UTC))
    issued = datetime(2026, 4, 1, 8, 0, tzinfo=ZoneInfo("Europe/Copenhagen"))

    assert said in show(report(DETERIORATED, SCORES, forms=[answered]), issued_at=issued).text


def test_moments_where_the_calendar_ends_are_told_as_they_come(show: Show) -> None:
    last = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    forms = [form("odsis", 3, {"frequency": ("frequency", 3)}, answered_at=last)]

    page = show(report(DETERIORATED, SCORES, forms=forms, safety=[worrying(0, 3, last)]))

    assert "answered 31 December 9999, 23:30" in page.text
    assert "on 31 December 9999" in page.all("p", "safety-line")[0].text


def test_danish_decimals_have_a_comma(show: Show) -> None:
    content = full_report()
    page = show(content, language="da")

    assert "5,25 → 3,5 (1–7)" in page.text
    assert "0,5 timer" in page.text
    assert "Cut-off 7,5" in page.text
    assert not re.search(r"\d\.\d", " ".join(e.text for e in page.elements if e.looks & {"curves", "numbers", "chart"}))


@pytest.mark.parametrize("language", ["en", "da"])
def test_the_page_is_in_its_language(language: Language, show: Show) -> None:
    page = show(full_report(), language=language)

    assert page.all("html")[0].attributes["lang"] == language
    english, danish = "What can be done", "Hvad der kan gøres"
    assert (english in page.text) == (language == "en")
    assert (danish in page.text) == (language == "da")


def test_what_is_for_narrow_screens_is_for_screens_only(show: Show) -> None:
    # An A4 sheet inside its margins is narrower than that.
    narrow = [asked for asked in re.findall(r"@media ([^{]+?) \{", show(report(DETERIORATED)).html) if "width" in asked]

    assert narrow
    assert all(asked.startswith("screen and ") for asked in narrow)


def test_a_browser_that_darkens_pages_is_told_to_leave_a_report_as_it_is(show: Show) -> None:
    # It darkens the ground and not the letters of a picture: scores and the baseline are black on black then.
    page = show(report(DETERIORATED))

    (meta,) = (each for each in page.all("meta") if each.attributes.get("name") == "color-scheme")
    assert meta.attributes["content"] == "only light"
    assert "html { color-scheme: only light;" in page.html


def test_pictures_keep_their_ground_under_a_contrast_theme(show: Show) -> None:
    # The theme takes the ground away from under letters and lines, which stay as dark as they are.
    forced = re.search(r"@media \(forced-colors: active\) {\n(.*?)\n}", show(report(DETERIORATED)).html, re.DOTALL)

    assert forced is not None
    for look in (".chart", ".spark", ".pips", ".legend svg"):
        assert look in forced[1]
    assert "forced-color-adjust: none; background: var(--paper)" in forced[1]


def test_the_same_report_is_the_same_page(show: Show) -> None:
    assert show(full_report()).html == show(full_report()).html


def test_ids_are_given_once(show: Show) -> None:
    ids = [e.attributes["id"] for e in show(full_report()).elements if "id" in e.attributes]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("now", "language", "said"),
    [
        (Now(8, "on_track", 5, on_track_since=True), "en", "The episode is over: on track since session 5. Latest, se"),
        (Now(5, "on_track", 5, on_track_since=True), "en", "The episode is over: on track since session 5."),
        (Now(5, "on_track", 5, on_track_since=True), "da", "Episoden er slut: på rette spor siden session 5."),
        (Now(8, "not_on_track", 5), "en", "The episode is over: it ended at session 5, which was on track. Latest, se"),
        (Now(4, "unknown"), "en", "Latest, session 4: not known."),
    ],
)
def test_a_report_on_the_past_says_at_its_top_how_it_went_on(
    now: Now, language: Language, said: str, show: Show
) -> None:
    content = report(decided(3, "16", worse("16", "4")), {0: "12", 3: "16"})

    page = show(content, now=now, language=language)

    (line,) = page.all("p", "afterwards")
    assert line.text.startswith(said)
    assert page.text.index(line.text) < page.text.index(page.all("h2")[0].text)


@pytest.mark.parametrize(
    ("now", "state"), [(None, "open"), (Now(3, "not_on_track"), "open"), (Now(8, "on_track"), "retracted")]
)
def test_a_report_on_the_latest_session_or_one_that_does_not_hold_says_nothing_of_later_ones(
    now: Now | None, state: str, show: Show
) -> None:
    content = report(decided(3, "16", worse("16", "4")), {0: "12", 3: "16"})

    assert not show(content, now=now, state=state).all("p", "afterwards")


@pytest.mark.parametrize(
    ("kind", "language", "said"),
    [
        (
            "not",
            "en",
            (
                "Changed in this revision: other forms came in or were corrected, or a problem was put in other words. "
                "Look at the curves, the life events, the needs and the problems. "
                "The decision, and the answers and comments marked here, are as before."
            ),
        ),
        (
            "not",
            "da",
            (
                "Ændret i denne revision: andre skemaer er kommet til eller rettet, eller et problem er beskrevet med "
                "andre ord. Se på kurverne, livsbegivenhederne, behovene og problemerne. "
                "Afgørelsen og de svar og kommentarer, der er fremhævet her, er som før."
            ),
        ),
        (
            "safety",
            "en",
            (
                "Changed in this revision: other forms came in or were corrected, or a problem was put in other words. "
                "Look at the curves, the life events, the needs and the problems. "
                "The answers and comments marked here are as before."
            ),
        ),
    ],
)
def test_a_revision_of_the_surroundings_says_where_to_look_and_what_is_as_before(
    kind: ReportKind, language: Language, said: str, show: Show
) -> None:
    decision = None if kind == "safety" else decided(3, "16", worse("16", "4"))
    content = report(decision, {0: "12", 3: "16"}, kind=kind, forms=[worrying(3, 2)] if kind == "safety" else [])

    page = show(content, revision=2, changes=("context_changed",), language=language)

    assert page.all("p", "changes")[0].text == said


def test_a_revision_that_changed_the_answers_does_not_say_that_they_are_as_before(show: Show) -> None:
    content = report(decided(3, "16", worse("16", "4")), {0: "12", 3: "16"})

    page = show(content, revision=2, changes=("answers_changed",))

    assert page.all("p", "changes")[0].text == "Changed in this revision: answers or comments changed."
