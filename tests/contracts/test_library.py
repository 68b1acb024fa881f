"""The clinical content that ships: every instrument, policy, protocol and guidance of the clinical rules."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.definitions.definition import Definition, Text
from contracts.definitions.fhir import InFhir
from contracts.definitions.files import LIBRARY, library
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Instrument, Scale
from contracts.definitions.policy import Deterioration, NoChange, Policy
from contracts.definitions.protocol import PlannedSession, Protocol

INSTRUMENTS = {
    "odsis",
    "life-events",
    "psychlops-2",
    "homework",
    "gq-12",
    "who-5",
    "phq-9",
    "bdi-ii",
    "needs-check",
}
POLICIES = {"gryesten-2023", "gryesten-2023-baseline", "gryesten-2023-window"}
PROTOCOLS = {"group-cbt-depression-14", "open-ended"}
GUIDANCE = {"study-needs"}
FILES = sorted(LIBRARY.rglob("*.json"))
NAMES = sorted(INSTRUMENTS | POLICIES | PROTOCOLS | GUIDANCE)

LIFE_EVENTS = ("finances", "job", "family", "housing", "intimate_relations", "life_situation")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "individual-attention": ("what-is-at-stake", "sensitive-subjects"),
    "psychological-exploration": ("understand-me-better", "life-story"),
    "life-outside-therapy": ("relatives", "strains-and-crises", "social-services-and-institutions"),
    "extended-assessment": ("assessment", "comorbidity", "cognitive-challenges"),
    "agreement-on-tasks": ("motivation", "homework"),
}
ACTIONS: Mapping[str, str] = {
    "therapeutic-assessment": "planned",
    "network-based-problem-solving": "planned",
    "collaborative-case-conceptualisation": "planned",
    "status-check-talk": "findings",
    "individual-session": "findings",
    "involving-relatives": "findings",
    "adjusted-homework": "findings",
    "contact-with-municipality": "findings",
    "another-programme": "other",
    "none": "other",
}


def catalogue() -> Catalogue:
    return Catalogue(library())


def entry_of(name: str) -> Entry:
    return next(entry for entry in library() if entry.model.id == name)


def instrument(name: str) -> Instrument:
    entry = catalogue().named(Instrument, name)
    assert entry is not None, f"{name} is not in the library"
    return catalogue().instrument(entry.ref)


def scale_of(name: str, scale: str) -> Scale:
    found = instrument(name).scale(scale)
    assert found is not None, f"{name} has no scale {scale}"
    return found


def policy(name: str) -> Policy:
    entry = catalogue().named(Policy, name)
    assert entry is not None, f"{name} is not in the library"
    return catalogue().policy(entry.ref)


def protocol(name: str) -> Protocol:
    entry = catalogue().named(Protocol, name)
    assert entry is not None, f"{name} is not in the library"
    return catalogue().protocol(entry.ref)


def guidance() -> Guidance:
    entry = catalogue().named(Guidance, "study-needs")
    assert entry is not None, "study-needs is not in the library"
    return catalogue().guidance(entry.ref)


def answers(name: str, *values: int) -> dict[str, int]:
    items = instrument(name).items
    assert len(values) == len(items), f"{name} has {len(items)} items"
    return {item.id: value for item, value in zip(items, values, strict=True)}


def texts(part: object, path: str = "") -> Iterator[tuple[str, Text]]:
    match part:
        case Text():
            yield path, part
        case BaseModel():
            for name, value in part:
                yield from texts(value, f"{path}.{name}")
        case tuple():
            for number, value in enumerate(part):
                yield from texts(value, f"{path}.{number}")
        case _:
            pass


def texts_of(kind: type[Definition]) -> list[tuple[str, Text]]:
    return [(f"{model.id}{path}", text) for _, model in catalogue().of_kind(kind) for path, text in texts(model)]


def floats(value: object) -> Iterator[float]:
    match value:
        case float():
            yield value
        case dict():
            for part in value.values():
                yield from floats(part)
        case list():
            for part in value:
                yield from floats(part)
        case _:
            pass


# The library as a whole


def test_the_library_loads_without_faults() -> None:
    # given every file of the library
    # when it is loaded
    loaded = library()

    # then each file is one definition, called as its file is
    assert sorted(entry.model.id for entry in loaded) == sorted(path.stem for path in FILES)


@pytest.mark.parametrize(
    ("kind", "names"),
    [(Instrument, INSTRUMENTS), (Policy, POLICIES), (Protocol, PROTOCOLS), (Guidance, GUIDANCE)],
    ids=["instruments", "policies", "protocols", "guidance"],
)
def test_everything_that_the_clinical_rules_name_is_there(kind: type[Definition], names: set[str]) -> None:
    assert {model.id for _, model in catalogue().of_kind(kind)} == names


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_is_named_by_the_hash_of_its_content(name: str) -> None:
    entry = entry_of(name)
    assert re.fullmatch(rf"{entry.model.id}@{entry.model.version}#[0-9a-f]{{64}}", entry.ref)


def test_every_reference_is_pinned_to_a_definition_of_the_library() -> None:
    # given everything that refers to something else
    known = catalogue()
    protocols = [model for _, model in known.of_kind(Protocol)]

    # when what it refers to is looked up by the pinned reference
    instruments = [model.primary.instrument for _, model in known.of_kind(Policy)]
    instruments += [ask.instrument for model in protocols for ask in model.asks]
    guidances = [model.guidance for model in protocols]

    # then it is there
    assert {known.instrument(ref).id for ref in instruments} == {
        "odsis",
        "life-events",
        "psychlops-2",
        "homework",
        "gq-12",
    }
    assert {known.guidance(ref).id for ref in guidances} == {"study-needs"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_can_be_read_by_a_person_and_holds_no_floats(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("}\n")
    assert "\\u" not in text, "letters stand as such"
    assert "\t" not in text
    assert not list(floats(json.loads(text)))


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_says_where_it_comes_from(name: str) -> None:
    sources = " ".join(entry_of(name).model.sources)
    assert "doi 10." in sources or "OnTrack's own" in sources


def test_what_has_no_public_source_is_marked_provisional_and_says_why() -> None:
    # given the definitions that are marked
    marked = [entry.model for entry in library() if entry.model.provisional]

    # then they are those of the clinical rules, and each of them gives the reason
    assert {model.id for model in marked} == {"psychlops-2", "homework", "gq-12", "group-cbt-depression-14"}
    assert all(any(source.startswith("Provisional: ") for source in model.sources) for model in marked)


# Words


@pytest.mark.parametrize("kind", [Instrument, Policy, Protocol, Guidance])
def test_every_text_is_there_in_both_languages(kind: type[Definition]) -> None:
    # given all words of a kind
    found = texts_of(kind)
    assert found

    # then both languages hold words, without stray space
    for path, text in found:
        for words in (text.en, text.da):
            assert words == words.strip(), path
            assert words, path


@pytest.mark.parametrize("kind", [Policy, Protocol, Guidance])
def test_danish_is_not_english(kind: type[Definition]) -> None:
    assert [path for path, text in texts_of(kind) if text.en == text.da] == []


def test_the_danish_label_of_a_question_is_not_the_english_one() -> None:
    same = [
        f"{model.id}/{item.id}"
        for _, model in catalogue().of_kind(Instrument)
        for item in model.items
        if item.label.en == item.label.da
    ]
    assert same == []


def test_every_opener_is_written_once() -> None:
    openers = [opener for need in guidance().needs for theme in need.themes for opener in theme.openers]
    assert len({opener.en for opener in openers}) == len({opener.da for opener in openers}) == len(openers)


BLAMING = re.compile(
    r"unmotivated|lack of motivation|non-?complian|resistan|umotiver|manglende motivation|dovne?|lazy", re.IGNORECASE
)


@pytest.mark.parametrize("kind", [Instrument, Policy, Protocol, Guidance])
def test_no_patient_is_called_unmotivated(kind: type[Definition]) -> None:
    found = texts_of(kind)
    assert [path for path, text in found if BLAMING.search(text.en) or BLAMING.search(text.da)] == []


# Instruments

Asked = Literal["before_session", "after_session", "by_clinic"]


@pytest.mark.parametrize(
    ("name", "items", "lowest", "highest", "asked"),
    [
        ("odsis", 5, 0, 4, "before_session"),
        ("life-events", 6, 0, 1, "before_session"),
        ("psychlops-2", 2, 0, 5, "before_session"),
        ("homework", 1, 0, 4, "before_session"),
        ("gq-12", 12, 1, 7, "after_session"),
        ("who-5", 5, 0, 5, "before_session"),
        ("phq-9", 9, 0, 3, "before_session"),
        ("bdi-ii", 1, 0, 63, "by_clinic"),
        ("needs-check", 5, 0, 1, "before_session"),
    ],
)
def test_an_instrument_asks_what_the_clinical_rules_say(
    name: str, items: int, lowest: int, highest: int, asked: Asked
) -> None:
    found = instrument(name)
    assert len(found.items) == items
    assert {(item.lowest, item.highest) for item in found.items} == {(lowest, highest)}
    assert found.asked == asked
    assert found.languages == ("en", "da")


SCALES: list[tuple[str, str, str, str, str]] = [
    # instrument, scale, best, worst, formula
    ("odsis", "total", "0", "20", "sum/1"),
    ("life-events", "count", "0", "6", "count/1"),
    ("psychlops-2", "problem-1", "0", "5", "item/1"),
    ("psychlops-2", "problem-2", "0", "5", "item/1"),
    ("homework", "adherence", "4", "0", "item/1"),
    ("gq-12", "positive-bonding", "7", "1", "mean/1"),
    ("gq-12", "positive-working", "7", "1", "mean/1"),
    ("gq-12", "negative-relationship", "1", "7", "mean/1"),
    ("who-5", "total", "100", "0", "sum/1"),
    ("phq-9", "total", "0", "27", "sum/1"),
    ("bdi-ii", "total", "0", "63", "item/1"),
]


@pytest.mark.parametrize(("name", "scale", "best", "worst", "formula"), SCALES)
def test_a_scale_has_its_range_and_its_direction(name: str, scale: str, best: str, worst: str, formula: str) -> None:
    found = scale_of(name, scale)
    assert instrument(name).best_and_worst(found) == (Decimal(best), Decimal(worst))
    assert found.worsening(before=Decimal(best), after=Decimal(worst)) > 0
    assert found.worsening(before=Decimal(worst), after=Decimal(best)) < 0
    assert found.formula == formula


def test_no_instrument_has_other_scales() -> None:
    scales = {(model.id, scale.id) for _, model in catalogue().of_kind(Instrument) for scale in model.scales}
    assert scales == {(name, scale) for name, scale, *_ in SCALES}


@pytest.mark.parametrize(
    ("name", "values", "scores"),
    [
        ("odsis", (0, 0, 0, 0, 0), {"total": "0"}),
        ("odsis", (3, 2, 2, 4, 1), {"total": "12"}),
        ("odsis", (4, 4, 4, 4, 4), {"total": "20"}),
        ("who-5", (0, 0, 0, 0, 0), {"total": "0"}),
        ("who-5", (1, 2, 0, 3, 4), {"total": "40"}),
        ("who-5", (5, 5, 5, 5, 5), {"total": "100"}),
        ("phq-9", (0, 1, 2, 3, 0, 1, 2, 3, 0), {"total": "12"}),
        ("phq-9", (3, 3, 3, 3, 3, 3, 3, 3, 3), {"total": "27"}),
        (
            "gq-12",
            (7, 6, 6, 6, 4, 4, 4, 4, 1, 1, 2, 3),
            {"positive-bonding": "6.25", "positive-working": "4", "negative-relationship": "1.75"},
        ),
        ("psychlops-2", (5, 2), {"problem-1": "5", "problem-2": "2"}),
        ("life-events", (1, 0, 0, 1, 0, 1), {"count": "3"}),
        ("life-events", (0, 0, 0, 0, 0, 0), {"count": "0"}),
        ("homework", (3,), {"adherence": "3"}),
        ("bdi-ii", (31,), {"total": "31"}),
        ("needs-check", (1, 0, 0, 1, 0), {}),
    ],
)
def test_answers_are_scored(name: str, values: tuple[int, ...], scores: Mapping[str, str]) -> None:
    # given the answers to every question
    given = answers(name, *values)

    # when each scale is computed
    found = {scale.id: instrument(name).value(scale, given) for scale in instrument(name).scales}

    # then the numbers are those of the handbook
    assert found == {scale: Decimal(score) for scale, score in scores.items()}


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name, scale, *_ in SCALES])
def test_a_scale_has_no_value_when_an_answer_is_missing(name: str, scale: str) -> None:
    # given answers to everything but the last question of the scale
    found = scale_of(name, scale)
    given = {item.id: item.lowest for item in instrument(name).items if item.id != found.items[-1]}

    # then there is no score, rather than one that is too low
    assert instrument(name).value(found, given) is None


def test_only_the_second_problem_may_be_left_out() -> None:
    optional = {
        f"{model.id}/{item.id}"
        for _, model in catalogue().of_kind(Instrument)
        for item in model.items
        if model.may_be_missing(item.id)
    }
    assert optional == {"psychlops-2/problem_2"}


def test_each_problem_of_psychlops_is_a_series_of_its_own() -> None:
    assert {scale.id: scale.problem for scale in instrument("psychlops-2").scales} == {"problem-1": 1, "problem-2": 2}


@pytest.mark.parametrize(
    ("name", "cut_off", "healthy", "ill"),
    [
        ("odsis", "bentley-2014", "7", "8"),
        ("odsis", "madsen", "7.5", "7.51"),
        ("who-5", "screen-positive", "51", "50"),
        ("phq-9", "mild", "4", "5"),
        ("phq-9", "moderate", "9", "10"),
        ("phq-9", "moderately-severe", "14", "15"),
        ("phq-9", "severe", "19", "20"),
        ("bdi-ii", "mild", "13", "14"),
        ("bdi-ii", "moderate", "19", "20"),
        ("bdi-ii", "severe", "28", "29"),
        ("bdi-ii", "remission-study", "18", "19"),
    ],
)
def test_a_cut_off_parts_the_healthy_from_the_ill(name: str, cut_off: str, healthy: str, ill: str) -> None:
    found = next(each for each in instrument(name).cut_offs if each.id == cut_off)
    assert found.is_healthy(Decimal(healthy))
    assert not found.is_healthy(Decimal(ill))
    assert found.population
    assert found.source


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_the_best_score_is_healthy_and_the_worst_is_ill(name: str) -> None:
    for cut_off in instrument(name).cut_offs:
        best, worst = instrument(name).best_and_worst(scale_of(name, cut_off.scale))
        assert cut_off.is_healthy(best), cut_off.id
        assert not cut_off.is_healthy(worst), cut_off.id


@pytest.mark.parametrize("name", ["gq-12", "psychlops-2", "homework", "life-events", "needs-check"])
def test_what_has_no_published_cut_off_has_none(name: str) -> None:
    assert instrument(name).cut_offs == ()


@pytest.mark.parametrize(
    ("name", "kind", "unmarked", "marked"),
    [
        ("odsis", "negative", 2, 3),
        ("psychlops-2", "negative", 3, 4),
        ("homework", "negative", 2, 1),
        ("life-events", "context", 0, 1),
        ("needs-check", "context", 0, 1),
    ],
)
def test_an_answer_is_flagged_from_its_limit_on(name: str, kind: str, unmarked: int, marked: int) -> None:
    # given an instrument with one flag for each question, called as the question is
    found = instrument(name)
    assert [(flag.id, flag.items) for flag in found.flags] == [
        (item.id.replace("_", "-"), (item.id,)) for item in found.items
    ]

    # then an answer is marked from the limit on
    for flag in found.flags:
        assert flag.kind == kind
        assert not flag.marks(unmarked), flag.id
        assert flag.marks(marked), flag.id


@pytest.mark.parametrize(("domain", "unmarked", "marked"), [("bonding", 3, 2), ("working", 3, 2), ("negative", 4, 5)])
def test_a_poor_relation_to_the_group_is_flagged(domain: str, unmarked: int, marked: int) -> None:
    found = [flag for flag in instrument("gq-12").flags if flag.id.startswith(domain)]
    assert [flag.id for flag in found] == [f"{domain}-{number}" for number in range(1, 5)]
    assert all(flag.kind == "negative" and flag.marks(marked) and not flag.marks(unmarked) for flag in found)


def test_any_thought_of_self_harm_is_a_safety_flag() -> None:
    # given the flags of the PHQ-9
    flags = instrument("phq-9").flags

    # then its ninth question has the only safety flag of the library, for any answer above 0
    safety = [flag for _, model in catalogue().of_kind(Instrument) for flag in model.flags if flag.kind == "safety"]
    assert [flag.id for flag in flags] == ["thoughts-of-self-harm"] == [flag.id for flag in safety]
    assert flags[0].items == (instrument("phq-9").items[8].id,)
    assert [flags[0].marks(value) for value in range(4)] == [False, True, True, True]


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_no_flag_points_to_an_item_that_is_not_there(name: str) -> None:
    items = {item.id: item for item in instrument(name).items}
    ids = [flag.id for flag in instrument(name).flags]
    assert len(set(ids)) == len(ids)
    for flag in instrument(name).flags:
        for item_id in flag.items:
            item = items[item_id]
            marked = [flag.marks(value) for value in range(item.lowest, item.highest + 1)]
            assert any(marked), f"{flag.id} never marks an answer"
            assert not all(marked), f"{flag.id} marks every answer"


def test_the_limit_of_a_negative_answer_says_that_it_is_our_own() -> None:
    for _, model in catalogue().of_kind(Instrument):
        for flag in model.flags:
            if flag.kind == "negative":
                assert flag.source.startswith("OnTrack's own choice, not published: "), flag.id


@pytest.mark.parametrize(
    ("name", "items"), [("life-events", LIFE_EVENTS), ("needs-check", tuple(need.replace("-", "_") for need in NEEDS))]
)
def test_yes_and_no_are_shown_as_such(name: str, items: tuple[str, ...]) -> None:
    assert [(item.id, item.answers) for item in instrument(name).items] == [(item, "yes_no") for item in items]


# Policies


@pytest.mark.parametrize(
    ("name", "reading"),
    [("gryesten-2023", "previous"), ("gryesten-2023-baseline", "baseline"), ("gryesten-2023-window", "window")],
)
def test_a_policy_holds_the_rules_of_the_study_in_one_reading(
    name: str, reading: Literal["previous", "baseline", "window"]
) -> None:
    found = policy(name)
    assert found.rules == (
        Deterioration(kind="deterioration/1", at_least=Decimal(3), compared_with="baseline"),
        NoChange(kind="no_change/1", less_than=Decimal(2), sessions=3, compared_with=reading),
    )


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_has_the_options_of_the_clinical_rules(name: str) -> None:
    found = policy(name)
    assert catalogue().instrument(found.primary.instrument).id == "odsis"
    assert (found.primary.scale, found.primary.healthy) == ("total", "madsen")
    assert found.baseline == "before_first_session"
    assert found.once_not == "evaluated_again"
    assert found.persistent_after == 3
    assert found.notify == "every_not_session"
    assert found.silent_after == 2
    assert found.reliable_change is None, "a band needs a clinic's own figures"


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_tells_the_text_of_the_study_from_what_we_conclude(name: str) -> None:
    sources = " ".join(policy(name).sources)
    assert "10.1007/s10488-023-01301-x" in sources
    assert "3 points lower than baseline" in sources
    assert sources.count("the study's text") == sources.count("OnTrack's inference") == 2
    assert "Not of the study: silent_after" in sources


# Protocols


def planned_sessions(found: Protocol) -> tuple[PlannedSession, ...]:
    assert found.sessions != "any"
    return found.sessions


def test_the_group_course_has_14_sessions_and_three_individual_ones() -> None:
    sessions = planned_sessions(protocol("group-cbt-depression-14"))
    order = ["individual-1", *range(1, 8), "individual-2", *range(8, 15), "individual-3"]
    assert [session.id for session in sessions] == order
    assert {session.minutes for session in sessions if isinstance(session.id, int)} == {120}


def test_only_what_comes_before_session_1_can_be_a_baseline() -> None:
    found = protocol("group-cbt-depression-14")
    before = [session.id for session in planned_sessions(found) if found.precedes_first(session.id)]
    assert before == ["individual-1"]
    assert found.precedes_first(0)


@pytest.mark.parametrize("session", range(1, 15))
def test_the_study_questionnaires_are_asked_at_every_group_session(session: int) -> None:
    found = protocol("group-cbt-depression-14")
    asked = [name for name in sorted(INSTRUMENTS) if found.asks_at(name, session)]
    assert asked == ["gq-12", "homework", "life-events", "odsis", "psychlops-2"]


def test_before_the_course_nobody_is_asked_about_the_group_or_its_tasks() -> None:
    found = protocol("group-cbt-depression-14")
    assert [name for name in sorted(INSTRUMENTS) if found.asks_at(name, 0)] == ["life-events", "odsis", "psychlops-2"]
    everywhere = [ask.instrument.partition("@")[0] for ask in found.asks if ask.sessions == "every"]
    assert sorted(everywhere) == ["life-events", "odsis", "psychlops-2"]


def test_the_group_course_offers_every_action_within_18_hours() -> None:
    found = protocol("group-cbt-depression-14")
    assert found.clinician_hours_at_most == Decimal(18)
    assert [offer.action for offer in found.offers] == list(ACTIONS)
    assert all(offer.hours <= found.clinician_hours_at_most for offer in found.offers)


def test_the_open_course_has_no_end_and_asks_for_nothing_by_itself() -> None:
    found = protocol("open-ended")
    assert found.sessions == "any"
    assert found.has_session(500)
    assert (found.asks, found.offers, found.clinician_hours_at_most) == ((), (), None)


# Guidance


def test_the_needs_and_their_themes_are_those_of_the_study() -> None:
    assert {need.id: tuple(theme.id for theme in need.themes) for need in guidance().needs} == NEEDS


def test_every_theme_has_two_or_three_openers_and_each_asks_something() -> None:
    for need in guidance().needs:
        for theme in need.themes:
            assert len(theme.openers) in {2, 3}, theme.id
            for opener in theme.openers:
                assert "?" in opener.en, opener.en
                assert "?" in opener.da, opener.da


def test_every_negative_answer_life_event_and_stated_need_is_a_sign_of_some_need() -> None:
    # given every flag that can stand in a report of the kind `not`
    flags = {
        f"{model.id}/{flag.id}"
        for _, model in catalogue().of_kind(Instrument)
        for flag in model.flags
        if flag.kind != "safety"
    }

    # then guidance has something to say about it, and about nothing else
    assert {sign for need in guidance().needs for sign in need.signs} == flags


def test_a_need_that_the_patient_states_is_a_sign_of_that_need_alone() -> None:
    stated = {sign: need.id for need in guidance().needs for sign in need.signs if sign.startswith("needs-check/")}
    assert stated == {f"needs-check/{need}": need for need in NEEDS}


def test_homework_that_is_not_done_points_to_agreement_about_the_tasks() -> None:
    assert [need.id for need in guidance().needs if "homework/adherence" in need.signs] == ["agreement-on-tasks"]


def test_the_actions_are_those_of_the_study_each_with_its_origin() -> None:
    assert {action.id: action.origin for action in guidance().actions} == ACTIONS


@pytest.mark.parametrize("need", NEEDS)
def test_every_need_has_an_action_that_answers_it(need: str) -> None:
    answering = [action.id for action in guidance().actions if need in action.needs and action.origin != "other"]
    assert len(answering) >= 2


def test_doing_nothing_further_answers_no_need() -> None:
    assert next(action for action in guidance().actions if action.id == "none").needs == ()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("proposal", "decide together", "Nobody reads answers")),
        ("da", ("forslag", "beslutter sammen", "Ingen læser svarene")),
    ],
)
def test_the_preface_says_who_decides_and_that_nobody_reads_along(
    language: Literal["en", "da"], words: tuple[str, ...]
) -> None:
    preface = guidance().preface.in_language(language)
    assert [each for each in words if each not in preface] == []


# How instruments stand in FHIR


def in_fhir(name: str) -> InFhir:
    found = instrument(name).fhir
    assert found is not None, f"{name} says nothing of FHIR"
    return found


def test_phq_9_stands_in_fhir_as_loinc_has_it() -> None:
    found = in_fhir("phq-9")
    assert (found.code.system, found.code.code) == ("http://loinc.org", "44249-1")
    assert {name: item.code.code for name, item in found.items.items() if item.code} == {
        "interest": "44250-9",
        "mood": "44255-8",
        "sleep": "44259-0",
        "energy": "44254-1",
        "appetite": "44251-7",
        "self_worth": "44258-2",
        "concentration": "44252-5",
        "movement": "44253-3",
        "self_harm": "44260-8",
    }
    assert {item.answers for item in found.items.values()} == {("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")}
    for item in found.items.values():
        assert item.code is not None
        assert item.links[0] == f"/{item.code.code}"


def test_who_5_stands_in_fhir_as_danish_municipalities_have_it() -> None:
    found = in_fhir("who-5")
    links = {"mood": "happy", "calm": "calm", "energy": "active", "rest": "rested", "interest": "interest"}
    assert {name: item.links for name, item in found.items.items()} == {name: (link,) for name, link in links.items()}
    assert found.items["mood"].answers[5] == "0e5aa952-d470-4219-b275-5e8204d96987"
    assert found.comment == ("who5comment",)


def test_what_stands_in_fhir_under_codes_of_others_says_where_that_is_from_and_what_they_ask_to_be_said() -> None:
    declared = {name: found for name in sorted(INSTRUMENTS) if (found := instrument(name).fhir) is not None}
    assert set(declared) == {"phq-9", "who-5"}
    for found in declared.values():
        assert found.sources
        assert found.notice
