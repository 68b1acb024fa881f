"""What stands on the page of a report beside the decision: answers, words of the patient, needs and proposals."""

import re

import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.definition import Language
from tests.pages.conftest import Show
from tests.pages.reports import (
    DETERIORATED,
    SCORES,
    curve,
    event,
    form,
    full_report,
    ref,
    report,
    shipped,
)


def test_a_comment_and_a_problem_stand_there_as_they_were_written_and_as_nothing_else(show: Show) -> None:
    comment = "<script>alert('x')</script> & \"quoted\" <b>bold</b>"
    problem = "</p><img src=x onerror=alert(1)>"
    content = report(
        DETERIORATED,
        SCORES,
        forms=[form("odsis", 3, {}, comment=comment)],
        problems={1: ["<i>old</i>", problem]},
        curves=[curve({0: "3", 3: "4"}, "psychlops-2", "problem-1", series=2)],
    )
    page = show(content)

    assert comment in page.text
    assert problem in page.text
    assert "<i>old</i>" in page.text
    assert not [element for element in page.elements if element.tag in ("script", "img", "i")]


def test_the_lines_of_a_comment_are_kept(show: Show) -> None:
    page = show(report(DETERIORATED, SCORES, forms=[form("odsis", 3, {}, comment="one\n\n  two")]))

    assert page.all("blockquote")[0].texts == ["one\n\n  two"]
    assert re.search(r"blockquote \{[^}]*white-space: pre-wrap", page.html)


def test_the_marked_answers_stand_with_their_range_the_primary_instrument_first(show: Show) -> None:
    forms = [element.text for element in show(full_report()).all("section", "form")]

    assert "Frequency of low mood 3 of 4 Trouble in contact with others 4 of 4" in forms[0]
    assert "session 3, answered 26 January 2026, 08:12" in forms[0]
    assert "Homework done 0 of 4" in forms[1]
    assert "after session 2" in forms[2]
    assert "Working 2: tasks that make sense 2 (1–7)" in forms[2]


def test_a_clinics_own_wording_is_laid_over_the_labels(show: Show) -> None:
    body = {
        "kind": "wording",
        "id": "odsis-words",
        "version": 1,
        "title": {"en": "Our words", "da": "Vores ord"},
        "sources": ["the clinic"],
        "instrument": ref("odsis"),
        "language": "da",
        "items": {"frequency": "Hvor tit?"},
    }
    definitions = shipped()
    definitions.add(entry_of(body))

    danish = show(full_report(), definitions=definitions, language="da")
    english = show(full_report(), definitions=definitions, language="en")

    assert "Hvor tit? 3 af 4 Besvær i samværet med andre 4 af 4" in danish.text
    assert "odsis-words@1" in danish.text
    assert "Frequency of low mood" in english.text
    assert "odsis-words@1" not in english.text


def test_sessions_that_tell_of_the_same_events_stand_in_one_line(show: Show) -> None:
    context = [event(session, item) for session in (1, 2) for item in ("job", "family")]
    page = show(report(DETERIORATED, SCORES, context=[*context, event(3, "job")]))

    assert page.all("dl", "occurrences")[0].text == "Sessions 1 and 2 Job · Family Session 3 Job"


def test_a_suggested_need_says_which_answers_point_to_it_and_how_to_begin(show: Show) -> None:
    outside, tasks = show(full_report()).all("section", "need")

    assert "Why: life event: Finances (session 3) · Trouble in contact with others: 4 of 4" in outside.text
    assert outside.text.count("“") == 3
    assert "Homework done: 0 of 4" in tasks.text
    assert "the patient says: I need the tasks or the way we work to be different (session 3)" in tasks.text


def test_an_action_says_where_it_comes_from_and_what_it_costs(show: Show) -> None:
    assessment, homework, other = (e.text for e in show(full_report()).all("li") if e.stands_in("actions"))

    assert assessment.endswith("4 hours · planned before the study’s interviews")
    assert homework.endswith("0.5 hours · from the study’s findings")
    assert other.endswith("1 hour · other")


@pytest.mark.parametrize(("language", "origin"), [("en", "other"), ("da", "andet")])
def test_an_action_without_hours_in_the_protocol_says_nothing_of_them(
    language: Language, origin: str, show: Show
) -> None:
    content = report(DETERIORATED, SCORES, protocol="open-ended", actions=["another-programme"])

    (terms,) = (e.text for e in show(content, language=language).all("p", "terms") if e.stands_in("actions"))
    assert terms == origin


def test_without_a_suggested_need_the_first_of_the_guidance_is_a_place_to_begin(show: Show) -> None:
    page = show(report(DETERIORATED, SCORES))

    assert "No answer points to a particular need. A place to begin:" in page.text
    assert [need.text[:20] for need in page.all("section", "need")] == ["Individual attention"]
