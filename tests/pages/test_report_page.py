"""The report as a page: what is on it, in both languages, and that nothing else is."""

import hashlib
import re
from base64 import b64encode
from decimal import Decimal

import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.definition import Language
from contracts.events.notices import ReportContent
from contracts.events.tracks import Annotation, Decision
from services.pages.words import Words
from tests.pages.conftest import Show
from tests.pages.reports import curve, decided, event, form, ref, report, shipped, still, worse

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


def test_a_run_of_sessions_is_called_persistent_and_its_sessions_are_named(show: Show) -> None:
    text = show(report(BOTH, SCORES)).text

    assert "Persistently not on track: worse than at the start and no change over the last three sessions" in text
    assert "sessions 7, 8 and 9" in text


def test_no_change_over_sessions_with_a_gap_speaks_of_measured_sessions(show: Show) -> None:
    gap = decided(4, "12", still({1: "11", 3: "12", 4: "12"}, ["-1", "1", "0"]))

    assert "no change over the last three measured sessions" in show(report(gap)).text


def test_each_annotation_is_a_sentence(show: Show) -> None:
    healthy, edge, both = (show(report(d)).all("aside", "notes")[0].text for d in (PLATEAU, AT_THE_EDGE, BOTH))

    assert "healthy range: on the better side of the cut-off of 7.5. Source: Madsen et al. 2024" in healthy
    assert "the baseline of 19 lies 1 point from the worst value of the scale (20), and the limit is 3" in edge
    assert "lies 0 points from the best value of the scale (0)" in edge
    assert "smaller than the measurement error of the scale (5.25 points)" in both
    assert "Provisional: part of what this decision rests on has no public source" in both


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


def test_a_silent_report_names_each_session_and_why_it_is_unknown(show: Show) -> None:
    missed = decided(4, None, silent=(3, 4))
    unjudged = decided(2, "10", baseline=None, silent=(1, 2))

    not_measured = show(report(missed, {1: "12", 2: "12", 3: None, 4: None}, kind="silent")).text
    no_baseline = show(report(unjudged, {1: "11", 2: "10"}, kind="silent")).text

    assert "no usable answers for two sessions in a row" in not_measured
    assert "Session 3: no valid score for Depression (ODSIS) (not measured)." in not_measured
    assert "Session 4: no valid score" in not_measured
    assert "Session 1: answered (11 of 20), but there is no baseline to compare with." in no_baseline
    assert "No status for two sessions in a row: there is no baseline to compare with" in no_baseline
    assert "There is no baseline: no valid score was given before session 1." in no_baseline
    assert "What can be done: Set a baseline" in no_baseline


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


def test_the_same_report_is_the_same_page(show: Show) -> None:
    assert show(full_report()).html == show(full_report()).html


def test_ids_are_given_once(show: Show) -> None:
    ids = [e.attributes["id"] for e in show(full_report()).elements if "id" in e.attributes]

    assert len(ids) == len(set(ids))
