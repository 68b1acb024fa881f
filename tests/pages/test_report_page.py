"""The report as a page: what is on it, in both languages, and that nothing else is."""

import hashlib
import math
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.definition import Language
from contracts.events.notices import ReportContent, ReportKind
from contracts.events.tracks import Annotation, Decision
from services.pages.subject import Now
from services.pages.words import Words
from tests.pages.conftest import Show
from tests.pages.reports import (
    MONDAY,
    curve,
    decided,
    definitions_with,
    event,
    form,
    own_policy,
    ref,
    report,
    shipped,
    still,
    worrying,
    worse,
)

SCORES = {0: "12", 1: "13", 2: "12", 3: "16"}
DETERIORATED = decided(3, "16", worse("16", "4"))
PLATEAU = decided(
    5,
    "8",
    still({3: "9", 4: "9", 5: "8"}, ["-1", "0", "-1"]),
    baseline="14",
    annotations=[Annotation(kind="healthy_range", value=Decimal("7.5"), cut_off="madsen")],
)
BOTH = decided(
    9,
    "17",
    worse("17", "5", session=9),
    still({7: "16", 8: "16", 9: "17"}, ["1", "0", "1"], reading="window"),
    episode=(7, 8, 9),
    annotations=[
        Annotation(kind="within_measurement_error", value=Decimal("5.25")),
        Annotation(kind="provisional_definition"),
    ],
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


def full_report() -> ReportContent:
    return report(
        DETERIORATED,
        SCORES,
        not_at=[3],
        forms=[
            form("odsis", 3, {"frequency": ("frequency", 3), "social-life": ("social_life", 4)}, comment="Bad week."),
            form("gq-12", 2, {"working-2": ("working_2", 2)}),
            form("homework", 3, {"adherence": ("adherence", 0)}),
        ],
        curves=[
            curve({1: "5.25", 2: "3.5"}, "gq-12", "positive-working"),
            curve({1: "2", 2: "4.75"}, "gq-12", "negative-relationship"),
            curve({1: "4", 2: "2", 3: "0"}, "homework", "adherence"),
        ],
        context=[event(2, "job"), event(3, "finances"), event(3, "agreement_on_tasks", "needs-check")],
        needs={
            "life-outside-therapy": ["life-events/finances", "odsis/social-life"],
            "agreement-on-tasks": ["homework/adherence", "needs-check/agreement-on-tasks"],
        },
        actions=["therapeutic-assessment", "adjusted-homework", "another-programme"],
    )


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


def test_without_a_suggested_need_the_first_of_the_guidance_is_a_place_to_begin(show: Show) -> None:
    page = show(report(DETERIORATED, SCORES))

    assert "No answer points to a particular need. A place to begin:" in page.text
    assert [need.text[:20] for need in page.all("section", "need")] == ["Individual attention"]


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


SILENT = decided(4, None, silent=(3, 4))
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


def test_a_silent_report_names_each_session_and_why_it_is_unknown(show: Show) -> None:
    missed = decided(4, None, silent=(3, 4))
    unjudged = decided(2, "10", baseline=None, silent=(1, 2))

    not_measured = show(report(missed, {1: "12", 2: "12", 3: None, 4: None}, kind="silent")).text
    no_baseline = show(report(unjudged, {1: "11", 2: "10"}, kind="silent")).text

    assert "no usable answers for two sessions in a row" in not_measured
    assert "Sessions 3 and 4: no valid score for Depression (ODSIS) (not measured)." in not_measured
    assert "Sessions 1 and 2: answered (11 → 10 of 20), but there is no baseline to compare with." in no_baseline
    assert "No status for two sessions in a row: there is no baseline to compare with" in no_baseline
    assert "There is no baseline: no valid score was given before session 1." in no_baseline
    assert "What can be done: Set a baseline" in no_baseline


@pytest.mark.parametrize("latest_is_answered", [True, False])
@pytest.mark.parametrize(
    ("language", "headline", "action"),
    [
        (
            "en",
            (
                "No status for 13 sessions in a row: 11 answered without a baseline to compare with, "
                "2 without a usable answer"
            ),
            "Set a baseline, so that the course can be judged. Then get in touch with the patient about the 2 sessions",
        ),
        (
            "da",
            "Ingen status 13 sessioner i træk: 11 besvaret uden en baseline at sammenligne med, 2 uden brugbart svar",
            "Fastsæt en baseline, så forløbet kan vurderes. Kontakt derefter patienten om de 2 sessioner",
        ),
    ],
)
def test_a_silent_report_with_mixed_reasons_names_them_all(
    latest_is_answered: bool, language: Language, headline: str, action: str, show: Show
) -> None:
    missed = (4, 7) if latest_is_answered else (4, 13)
    scores = {session: None if session in missed else "10" for session in range(1, 14)}
    decision = decided(13, scores[13], baseline=None, silent=range(1, 14))
    page = show(report(decision, scores, kind="silent"), language=language)

    assert page.all("h2")[0].text == headline
    assert action in page.all("p", "next")[0].text
    # one for those that were answered, one for those that were missed, the limit, and why there is no baseline
    assert len(page.all("p", "reason")) == 4


def test_where_there_is_a_baseline_by_now_nobody_is_asked_to_set_one(show: Show) -> None:
    page = show(report(decided(3, None, silent=(2, 3)), {2: "10", 3: None}, kind="silent"))

    assert "What can be done: Get in touch with the patient" in page.text


def test_without_any_answer_the_patient_is_contacted_though_there_is_no_baseline(show: Show) -> None:
    page = show(report(decided(3, None, baseline=None, silent=(2, 3)), {2: None, 3: None}, kind="silent"))

    assert "no usable answers for two sessions in a row" in page.text
    assert "What can be done: Get in touch with the patient" in page.text


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
