"""A policy that was tried, as a page: self-contained, readable without its pictures, honest about few."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pytest

from contracts.definitions.definition import Language
from services.pages.trial import PARTS, Column, Head, Number, Otherwise, Trial, headline, notes, parts, trial_page
from services.pages.trial_drawing import Often, Share, columns
from services.pages.words import Words
from tests.pages.reading import Page

UNTIL: Final = datetime(2026, 3, 9, 8, 24, tzinfo=UTC)


def column(head: Head, **numbers: Number) -> Column:
    found = {name: Number(1, 40) for names in PARTS.values() for name in names} | {
        "sessions": Number(300),
        "cases": Number(40),
        "deteriorated": Number(12, 40),
        "sessions_not": Number(30, 280),
        "sessions_newly": Number(None if head == "now" else 7),
        "sessions_no_longer": Number(None if head == "now" else 4),
        "sessions_otherwise": Number(None if head == "now" else 0),
        "cases_changed": Number(None if head == "now" else 9, 40),
        "sessions_before": Number(Decimal("2.5"), 6),
    }
    shares = {1: Share(2, 40), 2: Share(10, 38), 3: Share(1, 4)}
    return Column(head, {**found, **numbers}, shares, {0: 5, 1: 20, 4: 2}, of_groups=True)


def a_trial(some: Sequence[Column] = (), **changes: object) -> Trial:
    told = Trial(
        policy="Ours (ours@2)",
        ref="ours@2#" + "a" * 64,
        rules=["Not on track if <b>worse</b>."],
        against=None,
        columns=some or [column("now"), column("tried"), column("window")],
        until=UNTIL,
        points=Decimal(3),
        origin="policies",
        readings=["previous"],
        knows_therapists=True,
        changed=None,
    )
    return replace(told, **changes)  # type: ignore[arg-type] # each test names fields that there are


def a_page(trial: Trial, language: Language = "en") -> Page:
    page = Page(trial_page(trial, language))
    assert page.is_whole
    return page


@pytest.mark.parametrize("language", ["en", "da"])
def test_the_page_needs_nothing_else_and_runs_nothing(language: Language) -> None:
    page = a_page(a_trial(), language)

    assert list(page.addresses()) == []
    assert page.all("script") == []
    assert "default-src 'none'" in page.html
    assert page.all("html")[0].attributes["lang"] == language
    assert "<b>worse" not in page.html


def test_every_picture_is_told_in_words_to_those_who_cannot_see_it() -> None:
    page = a_page(a_trial())

    pictures = [svg for svg in page.all("svg") if svg.attributes.get("role") == "img"]
    assert len(pictures) == 8
    said = {
        element.attributes["id"]: element.text
        for element in page.elements
        if element.tag in ("title", "desc") and "id" in element.attributes
    }
    for picture in pictures:
        title, says = picture.attributes["aria-labelledby"].split()
        assert said[title]
        assert said[says]
    assert "Session 2: 10 of 38 (Tried)." in said["share-wide-says"]
    assert "Now: 30 still." in said["readings-wide-says"]
    assert "Tried: 0: 5, 1: 20, 4: 2." in said["load-narrow-says"]


def test_shares_of_a_handful_are_not_drawn() -> None:
    page = a_page(a_trial())
    assert {
        mark.attributes["data-session"] for mark in page.all("path", "mark") if "data-session" in mark.attributes
    } == {
        "1",
        "2",
    }


def test_dark_is_offered_on_screens_only() -> None:
    page = a_page(a_trial())
    assert '<meta name="color-scheme" content="light dark">' in page.html
    assert page.all("html")[0].looks == {"either"}
    dark = re.findall(r"@media ([^{]*prefers-color-scheme[^{]*)\{", page.html)
    assert {each.strip() for each in dark} == {"screen and (prefers-color-scheme: dark)"}


def test_the_table_has_a_heading_for_every_row_and_column() -> None:
    page = a_page(a_trial())
    rows = page.rows("compared")
    assert rows[0] == ["", "now", "tried", "window"]
    named = {row[0]: row[1:] for row in rows}
    assert named["not on track, of measured ones"] == ["30 of 280"] * 3
    assert named["sessions earlier (median)"] == ["2.5 (n 6)"] * 3
    assert named["newly not on track"] == ["–", "7", "7"]
    assert {cell.attributes["scope"] for cell in page.all("th", within="compared")} == {"col", "row", "rowgroup"}


def test_the_headline_says_what_would_be_otherwise() -> None:
    page = a_page(a_trial())
    assert page.all("p", "headline")[0].text == (
        "11 of 300 sessions would be judged otherwise, in 9 of 40 patients. "
        "Newly not on track: 7. No longer not on track: 4. Otherwise: 0."
    )
    danish = a_page(a_trial(), "da").all("p", "headline")[0].text
    assert danish.endswith("Nye NOT: 7. Ikke længere NOT: 4. Ændret på anden måde: 0.")
    same = [column("now"), column("tried", sessions_newly=Number(0), sessions_no_longer=Number(0))]
    assert headline(a_trial(same), Words("da")) == "Ingen session ville blive vurderet anderledes."


@pytest.mark.parametrize(
    ("cases", "worse", "is_few"), [(40, 12, False), (19, 12, True), (40, 9, True), (3, 0, True), (20, 10, False)]
)
def test_few_patients_are_called_few(cases: int, worse: int, is_few: bool) -> None:
    some = [column("now"), column("tried", cases=Number(cases), deteriorated=Number(worse, cases))]
    said = " ".join(notes(a_trial(some), Words("en")))
    assert ("A difference can be chance." in said) is is_few


def test_what_is_not_known_is_said_and_left_out() -> None:
    trial = a_trial(points=None, knows_therapists=False, readings=[])
    said = " ".join(notes(trial, Words("en")))
    assert "no policy here says by how many points" in said
    assert "Who leads which group is not known here" in said
    assert "no rule on “no change”" in said
    assert [part.name for part in parts(trial, Words("en"))][-1] == "What therapists would get"
    assert "Patients who got worse" not in a_page(trial).text


def test_patients_stand_there_only_if_they_are_listed() -> None:
    changed = [Otherwise("<P1>", 3, Decimal(11), Decimal(14), "not_on_track", None, (), [("no_change/1", "previous")])]
    assert "P1" not in a_page(a_trial()).text
    assert a_page(a_trial(changed=changed)).rows("listed")[1] == [
        "<P1>",
        "Session 3",
        "11 (14)",
        "not on track",
        "not judged",
        "Fired before: no change (from the session before)",
    ]
    assert "None." in a_page(a_trial(changed=[])).text


def test_columns_stand_on_the_axis_and_their_heights_are_what_they_tell() -> None:
    drawn = columns("t", "a", [Often("now", {0: 1, 2: 4}), Often("tried", {1: 2})], 360)
    heights = sorted(line.points[0][1] - line.points[1][1] for line in drawn.polylines)
    assert len({line.points[0][1] for line in drawn.polylines}) == 1
    assert heights == pytest.approx([heights[0], 2 * heights[0], 4 * heights[0]], abs=0.2)


def test_of_many_numbers_some_are_taken_together() -> None:
    drawn = columns("t", "a", [Often("now", {0: 1, 7: 2, 8: 4, 95: 1})], 760)
    named = [label.text for label in drawn.labels if "–" in label.text]
    assert (named[0], named[-1]) == ("0–7", "88–95")
    assert drawn.says == "now: 0–7: 3, 8–15: 4, 88–95: 1."
