"""Safety answers on the pages of reports."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from contracts.definitions.definition import Language
from services.pages.words import Words
from tests.pages.conftest import Show
from tests.pages.reports import (
    DETERIORATED,
    MONDAY,
    SCORES,
    SILENT,
    form,
    full_report,
    report,
    worrying,
)


@pytest.mark.parametrize(
    ("language", "headline", "answer"),
    [
        (
            "en",
            "The patient answered above 0 on “Thoughts of death or self-harm”",
            "“Thoughts of death or self-harm”: 2 of 3, session 3, answered 26 January 2026, 08:12.",
        ),
        (
            "da",
            "Patienten har svaret over 0 på »Tanker om død eller selvskade«",
            "»Tanker om død eller selvskade«: 2 af 3, session 3, besvaret 26. januar 2026 kl. 08.12.",
        ),
    ],
)
def test_a_safety_report_names_the_answer_whatever_the_status(
    language: Language, headline: str, answer: str, show: Show
) -> None:
    flagged = form("phq-9", 3, {"thoughts-of-self-harm": ("self_harm", 2)}, kind="safety")
    page = show(report(None, SCORES, kind="safety", forms=[flagged]), language=language)

    decision = page.all("section", "decision")[0].text
    assert headline in decision
    assert answer in decision
    assert "uanset status" in decision or "whatever the status is" in decision
    assert page.all("li", "urgent")


@pytest.mark.parametrize(
    ("language", "heading", "expected"),
    [
        (
            "en",
            "What is expected",
            (
                "Talk with the patient about it without delay, and follow the clinic’s own procedure for suicidal "
                "thoughts and acute risk. Assume that nobody has read the answer before you."
            ),
        ),
        (
            "da",
            "Hvad der forventes",
            (
                "Tal straks med patienten om det, og følg klinikkens egen retningslinje for selvmordstanker "
                "og akut risiko. Gå ud fra, at ingen har læst svaret før dig."
            ),
        ),
    ],
)
def test_a_safety_report_says_what_is_expected_and_proposes_nothing_else(
    language: Language, heading: str, expected: str, show: Show
) -> None:
    needs = {"life-outside-therapy": ["life-events/finances"]}
    page = show(report(None, SCORES, kind="safety", forms=[worrying(3, 2)], needs=needs), language=language)

    assert page.all("section", "expected")[0].text == f"{heading} {expected}"
    assert not page.all("section", "guidance")
    assert not page.all("section", "need")
    assert not page.all("ul", "actions")
    assert not [address for address in page.addresses() if address == "#guidance"]
    for unsaid in ("No answer points to", "Ingen svar peger på", Words(language)("next.heading")):
        assert unsaid not in page.text


def test_a_retracted_safety_report_expects_nothing(show: Show) -> None:
    content = report(None, SCORES, kind="safety", forms=[worrying(3, 2)])
    page = show(content, revision=2, state="retracted", changes=["retracted"])

    assert "What is expected" not in page.text


@pytest.mark.parametrize(
    ("language", "number", "sentence"),
    [
        ("en", "1 of 3; 2 of 3 at session 1", "answered 26 January 2026, 08:12. Earlier: 2 of 3 at session 1."),
        ("da", "1 af 3; 2 af 3 ved session 1", "besvaret 26. januar 2026 kl. 08.12. Tidligere: 2 af 3 ved session 1."),
    ],
)
def test_a_safety_report_names_earlier_answers_beside_the_value(
    language: Language, number: str, sentence: str, show: Show
) -> None:
    now = worrying(3, 1)
    content = report(None, SCORES, kind="safety", forms=[now], safety=[worrying(1, 2), now, worrying(5, 3)])
    page = show(content, language=language)

    assert number in page.all("dl", "numbers")[0].text
    assert sentence in page.all("section", "decision")[0].text
    assert not page.all("p", "safety-line")


def test_earlier_answers_that_are_the_same_stand_together_the_latest_first(show: Show) -> None:
    before = [worrying(0, 1), worrying(1, 3), worrying(2, 3), worrying("individual-1", 2, MONDAY + timedelta(weeks=3))]
    now = worrying(4, 1)
    page = show(report(None, SCORES, kind="safety", forms=[now], safety=[*before, now]))

    assert (
        "1 of 3; 2 of 3 at individual session 1, 3 of 3 at sessions 1 and 2 and 1 of 3 at session 0"
        in page.all("dl", "numbers")[0].text
    )


ON_2_MARCH = datetime(2026, 3, 2, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["not", "silent"])
@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            (
                "Safety: on 2 March 2026 (session 0) the patient answered “Thoughts of death or self-harm” with 3 of 3."
                " There is a report of its own about it."
            ),
        ),
        (
            "da",
            (
                "Sikkerhed: Den 2. marts 2026 (session 0) svarede patienten 3 af 3 på »Tanker om død eller selvskade«. "
                "Der er en særskilt rapport om det."
            ),
        ),
    ],
)
def test_no_report_is_read_without_the_safety_answer(
    kind: Literal["not", "silent"], language: Language, said: str, show: Show
) -> None:
    decision = DETERIORATED if kind == "not" else SILENT
    content = report(decision, SCORES, kind=kind, safety=[worrying(0, 3, ON_2_MARCH)])
    page = show(content, language=language)

    assert page.all("p", "safety-line")[0].text == said
    box = page.all("section", "decision")[0].text
    assert box.index(said) < box.index(Words(language)("next.heading"))
    assert "phq-9@" in page.all("footer", "small")[0].text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            (
                "Safety: on 26 January 2026 (session 3) the patient answered "
                "“Thoughts of death or self-harm” with 1 of 3. "
                "On 19 January 2026 (session 2) the patient answered “Thoughts of death or self-harm” with 2 of 3. "
                "2 earlier questionnaires also had such answers. There is a report of its own about each of them."
            ),
        ),
        (
            "da",
            (
                "Sikkerhed: Den 26. januar 2026 (session 3) svarede patienten "
                "1 af 3 på »Tanker om død eller selvskade«. "
                "Den 19. januar 2026 (session 2) svarede patienten 2 af 3 på »Tanker om død eller selvskade«. "
                "Også 2 tidligere skemaer havde sådanne svar. Der er en særskilt rapport om hvert af dem."
            ),
        ),
    ],
)
def test_of_several_safety_answers_the_latest_two_are_told_and_the_others_counted(
    language: Language, said: str, show: Show
) -> None:
    content = report(DETERIORATED, SCORES, safety=[worrying(session, 4 - session or 1) for session in (1, 3, 0, 2)])

    assert show(content, language=language).all("p", "safety-line")[0].text == said


def test_without_a_safety_answer_there_is_no_line_about_it(show: Show) -> None:
    assert not show(full_report()).all("p", "safety-line")
