"""The decision on the page of a report: what it means, with every number that it rests on."""

import re
from decimal import Decimal
from typing import Literal

import pytest

from contracts.definitions.definition import Language
from contracts.events.notices import ReportContent
from contracts.events.tracks import Annotation, Decision
from services.pages.words import Words
from tests.pages.conftest import Show
from tests.pages.reports import (
    BOTH,
    DETERIORATED,
    SCORES,
    decided,
    definitions_with,
    own_policy,
    report,
    still,
    worrying,
    worse,
)

PLATEAU = decided(
    5,
    "8",
    still({3: "9", 4: "9", 5: "8"}, ["-1", "0", "-1"]),
    baseline="14",
    annotations=[Annotation(kind="healthy_range", value=Decimal("7.5"), cut_off="madsen")],
)

AT_THE_EDGE = decided(
    3,
    "20",
    still({1: "20", 2: "20", 3: "20"}, ["1", "1", "1"], reading="baseline"),
    baseline="19",
    annotations=[
        Annotation(kind="cannot_deteriorate", value=Decimal(1)),
        Annotation(kind="cannot_improve", value=Decimal(0)),
    ],
)


def numbers_of(decision: Decision) -> set[Decimal]:
    """Every number that a decision bears; a change is told by its size and its direction."""
    found = {Decimal(decision.session)}
    found.update([] if decision.score is None else [decision.score])
    found.update([] if decision.baseline is None else [decision.baseline.value])
    for evidence in decision.rules:
        found.update(map(Decimal, evidence.sessions))
        found.update((*evidence.values, *map(abs, evidence.changes)))
        found.update([] if evidence.threshold is None else [evidence.threshold])
    found.update(note.value for note in decision.annotations if note.value is not None)
    found.update(map(Decimal, decision.episode.sessions if decision.episode is not None else ()))
    found.update(map(Decimal, decision.silent_sessions))
    return found


@pytest.mark.parametrize("language", ["en", "da"])
@pytest.mark.parametrize("decision", [DETERIORATED, PLATEAU, BOTH, AT_THE_EDGE])
def test_every_number_of_the_decision_is_in_its_sentences(decision: Decision, language: Language, show: Show) -> None:
    page = show(report(decision, SCORES), language=language)

    said = " ".join(e.text for e in page.elements if e.looks & {"decision", "notes", "numbers"})
    printed = set(re.findall(r"\d+(?:[.,]\d+)?", said))
    unchanged = "uændret" if language == "da" else "unchanged"
    for number in numbers_of(decision):
        assert Words(language).number(number) in printed or (number == 0 and unchanged in said), number


def test_it_says_first_what_it_means_then_why_then_what_can_be_done(show: Show) -> None:
    decision = show(report(DETERIORATED, SCORES)).all("section", "decision")[0].text

    means = decision.index("Not on track: worse than at the start")
    why = decision.index("Worse by 4 points since the start (12 → 16 of 20). The clinic’s limit is 3.")
    then = decision.index("What can be done: Talk with the patient")
    assert means < why < then


@pytest.mark.parametrize(
    ("content", "links"),
    [
        (report(DETERIORATED, SCORES), ["#guidance", "#answers"]),
        (report(None, SCORES, kind="safety", forms=[worrying(3, 2)]), ["#answers"]),
    ],
)
def test_what_the_patient_answered_is_one_step_from_the_decision(
    content: ReportContent, links: list[str], show: Show
) -> None:
    page = show(content)

    assert [link.attributes["href"] for link in page.all("a", within="decision")] == links
    assert {link.removeprefix("#") for link in links} <= {each.attributes.get("id") for each in page.elements}


def test_a_run_of_sessions_is_called_persistent_and_its_sessions_are_named(show: Show) -> None:
    text = show(report(BOTH, SCORES)).text

    assert "Persistently not on track: worse than at the start and no change over the last three sessions" in text
    assert "sessions 7, 8 and 9" in text


def test_no_change_over_sessions_with_a_gap_speaks_of_measured_sessions(show: Show) -> None:
    gap = decided(4, "12", still({1: "11", 3: "12", 4: "12"}, ["-1", "1", "0"]))

    assert "no step of 2 points or more in the last three measured sessions" in show(report(gap)).text


@pytest.mark.parametrize(
    ("reading", "language", "said"),
    [
        ("previous", "en", "Not on track: no step of 2 points or more in the last three sessions"),
        ("previous", "da", "Ikke på rette spor: intet spring på 2 point eller mere i de seneste tre sessioner"),
        ("baseline", "en", "Not on track: no change from the baseline over the last three sessions"),
        ("baseline", "da", "Ikke på rette spor: ingen ændring fra baseline over de seneste tre sessioner"),
        ("window", "en", "Not on track: no change over the last three sessions"),
        ("window", "da", "Ikke på rette spor: ingen ændring over de seneste tre sessioner"),
    ],
)
def test_the_headline_of_no_change_says_what_the_rule_looked_at(
    reading: Literal["previous", "baseline", "window"], language: Language, said: str, show: Show
) -> None:
    decision = decided(5, "4", still({3: "6", 4: "5", 5: "4"}, ["-1", "-1", "-1"], reading=reading))

    assert show(report(decision), language=language).all("h2")[0].text == said


@pytest.mark.parametrize(
    ("values", "changes", "baseline", "language", "said"),
    [
        (
            {3: "6", 4: "5", 5: "4"},
            ["-1", "-1", "-1"],
            "12",
            "en",
            (
                "Over these sessions: better by 3 points (7 → 4); since the start better by 8 (12 → 4). "
                "This reading also marks slow improvement."
            ),
        ),
        (
            {3: "6", 4: "5", 5: "4"},
            ["-1", "-1", "-1"],
            "12",
            "da",
            (
                "Over disse sessioner: 3 point bedre (7 → 4); siden start 8 bedre (12 → 4). "
                "Denne læsning af reglen markerer også langsom bedring."
            ),
        ),
        (
            {3: "8", 4: "9", 5: "9"},
            ["1", "1", "0"],
            "9",
            "en",
            (
                "Over these sessions: worse by 2 points (7 → 9); since the start unchanged (9 → 9). "
                "This reading also marks slow worsening."
            ),
        ),
        (
            {1: "13", 2: "14", 3: "14"},
            ["1", "1", "0"],
            "12",
            "da",
            (
                "Over disse sessioner: 2 point dårligere (12 → 14). "
                "Denne læsning af reglen markerer også langsom forværring."
            ),
        ),
        (
            {3: "6", 4: "5", 5: "5"},
            ["-1", "-1", "0"],
            None,
            "en",
            "Over these sessions: better by 2 points (7 → 5).",
        ),
    ],
)
def test_small_steps_that_led_somewhere_are_added_up(
    values: dict[int, str], changes: list[str], baseline: str | None, language: Language, said: str, show: Show
) -> None:
    decision = decided(max(values), values[max(values)], still(values, changes), baseline=baseline)

    assert said in show(report(decision), language=language).all("section", "decision")[0].text


@pytest.mark.parametrize(("baseline", "improves"), [("6", False), ("10", False), (None, False), ("11", True)])
def test_small_steps_back_are_an_improvement_only_from_the_baseline_on(
    baseline: str | None, *, improves: bool, show: Show
) -> None:
    # given a score that went back from 11 to 10, where the baseline was better, the same, not known or worse
    decision = decided(14, "10", still({12: "12", 13: "11", 14: "10"}, ["1", "-1", "-1"]), baseline=baseline)

    page = show(report(decision))

    assert "better by 1 point (11 → 10)" in page.text
    assert ("slow improvement" in page.text) is improves


@pytest.mark.parametrize("reading", ["previous", "baseline", "window"])
def test_a_score_that_stayed_where_it_was_has_nothing_added_up(
    reading: Literal["previous", "baseline", "window"], show: Show
) -> None:
    decision = decided(5, "7", still({3: "8", 4: "7", 5: "7"}, ["1", "-1", "0"], reading=reading))

    assert "Over these sessions" not in show(report(decision)).text


def test_each_annotation_is_a_sentence(show: Show) -> None:
    healthy, edge, both = (show(report(d)).all("aside", "notes")[0].text for d in (PLATEAU, AT_THE_EDGE, BOTH))

    assert "healthy range: on the better side of the cut-off of 7.5. Source: Madsen et al. 2024" in healthy
    assert "the baseline of 19 lies 1 point from the worst value of the scale (20), and the limit is 3" in edge
    assert "lies 0 points from the best value of the scale (0)" in edge
    assert (
        "The baseline is so near the worst end of the scale that the rule on getting worse since the start cannot fire"
        in edge
    )
    assert "The baseline is so near the best end of the scale that getting better from it cannot count" in edge
    assert "smaller than the measurement error of the scale (5.25 points)" in both
    assert "Provisional: part of what this decision rests on has no public source" in both


@pytest.mark.parametrize(("language", "before"), [("en", "the measurement before"), ("da", "målingen før")])
def test_what_got_worse_since_a_session_further_back_is_told_so(language: Language, before: str, show: Show) -> None:
    # given a session that got worse since the one before the one that was missed
    definitions = definitions_with({"kind": "deterioration/1", "at_least": "3", "compared_with": "previous"})
    evidence = worse("16", "4").model_copy(update={"reading": "previous"})
    decision = decided(3, "16", evidence, policy=own_policy(definitions))

    page = show(report(decision, {0: "12", 1: "12", 2: None, 3: "16"}), definitions=definitions, language=language)

    assert page.all("section", "decision")[0].text.count(before) >= 2
    assert before in page.all("dl", "numbers")[0].text


def test_a_note_on_the_end_of_the_scale_names_the_limits_that_have_no_room_and_no_other(show: Show) -> None:
    definitions = definitions_with(
        {"kind": "deterioration/1", "at_least": "3", "compared_with": "baseline"},
        {"kind": "deterioration/1", "at_least": "4", "compared_with": "previous"},
        {"kind": "no_change/1", "less_than": "2", "sessions": 3, "compared_with": "previous"},
        {"kind": "no_change/1", "less_than": "5", "sessions": 4, "compared_with": "window"},
    )
    near_worst = Annotation(kind="cannot_deteriorate", value=Decimal(1))
    near_best = Annotation(kind="cannot_improve", value=Decimal(3))
    decision = decided(3, "19", baseline="19", annotations=[near_worst, near_best], policy=own_policy(definitions))
    notes = show(report(decision), definitions=definitions).all("aside", "notes")[0].text

    assert "and the limit is 3." in notes
    assert "and a change counts only from 5." in notes


@pytest.mark.parametrize(
    ("baseline_at", "said"),
    [(0, "the last valid score before session 1 (session 0)"), (None, "set by hand"), ("individual-1", "individual")],
)
def test_it_says_how_the_baseline_came_about(baseline_at: int | str | None, said: str, show: Show) -> None:
    decision = decided(3, "16", worse("16", "4"), baseline_at=baseline_at)

    assert said in show(report(decision, SCORES)).all("dl", "numbers")[0].text
