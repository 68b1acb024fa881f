"""What a QuestionnaireResponse says, as public profiles and as we write it, and why one says nothing."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from typing import Any

import orjson
import pytest
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse
from hypothesis import given
from hypothesis import strategies as st

from contracts.definitions.definition import id_of
from contracts.events.facts import ResponseSubmitted
from services.ingest.fhir.incoming import Subject, Understood, understood
from services.ingest.fhir.outcome import Issue, Resource, Unmappable
from services.ingest.fhir.validation import issues_in
from tests.docs.markdown import ROOT
from tests.support.fhir import (
    CASE,
    NUMBER_SYSTEM,
    ODSIS_ITEMS,
    PHQ9_CODES,
    PHQ9_ITEMS,
    PHQ9_LINKS,
    SESSION_URL,
    a_response,
    catalogue,
    coded,
    numbered,
    odsis,
    phq9,
)

SECRET = "nobody at home knows"


def read(resource: Resource) -> Understood:
    """Read a resource as the door does: its form first, then what it says."""
    assert issues_in(resource) == []
    return understood(resource, catalogue())


def refused(resource: Resource) -> list[tuple[str, str]]:
    """Why a resource is refused: each code, and each place."""
    if issues := issues_in(resource):
        return [(issue.code, issue.place) for issue in issues]
    with pytest.raises(Unmappable) as caught:
        understood(resource, catalogue())
    for issue in caught.value.issues:
        assert SECRET not in str(issue)
    return [(issue.code, issue.place) for issue in caught.value.issues]


# What nobody but the client has called so


MADE_UP = ("Jeg vil ikke leve", "_Selvmord", "Selvmord", "valueSelvmord", "_", "", "leve[0].identifier")


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Give an object and all that are within it."""
    match value:
        case dict():
            yield value
            for each in list(value.values()):
                yield from objects_in(each)
        case list():
            for each in value:
                yield from objects_in(each)


def full() -> Resource:
    """A response that is taken, with objects at many levels."""
    identifier = {"system": "urn:their:forms", "value": "1", "assigner": {"identifier": {"value": "2"}}}
    beneath = {"linkId": "z", "answer": [{"valueReference": {"identifier": {"value": "3"}}}]}
    return odsis(
        identifier=identifier,
        meta={"tag": [{"system": "urn:their:tags", "code": "a"}]},
        _status={"extension": [{"url": "urn:their:status", "valueString": "a"}]},
        basedOn=[{"reference": "CarePlan/1"}],
        items=[{**numbered("frequency", 2), "item": [beneath]}, numbered("intensity", 2)],
    )


LEVELS = range(len(list(objects_in(full()))))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", MADE_UP)
def test_nothing_is_told_of_a_name_that_a_client_has_made_up(name: str, level: int) -> None:
    assert issues_in(full()) == []
    for within in ({"identifier": {"use": "x"}}, [{"identifier": [{"use": "x"}]}], "x", 1):
        resource = full()
        list(objects_in(resource))[level][name] = within
        told = issues_in(resource)
        assert told
        assert [each for each in told if re.search("Jeg|leve|Selvmord|identifier.use", str(each))] == []


# As public questionnaires have them


def test_a_phq_9_of_us_core_is_read_by_its_link_ids_and_loinc_codes() -> None:
    # given the answers of the example of US Core, with what it asks besides
    beside = [numbered("/44261-6", 12, "valueDecimal"), coded("/69722-7", "LA6573-5")]
    resource = phq9()
    resource["item"] += beside

    # when it is read
    found = read(resource)

    # then the answers are ours, and what is not kept is named
    assert id_of(found.form.ref) == "phq-9"
    assert found.said.answers == dict(zip(PHQ9_ITEMS, (2, 2, 2, 2, 1, 1, 2, 0, 0), strict=True))
    assert found.said.unkept == ["QuestionnaireResponse.item[9]", "QuestionnaireResponse.item[10]"]
    assert (found.subject, found.session) == (Subject(CASE), 1)


@pytest.mark.parametrize(
    ("url", "links"),
    [
        ("http://loinc.org/q/44249-1", [str(14363 + number) for number in range(9)]),
        (
            "https://www.medizininformatik-initiative.de/fhir/ext/modul-pro/Questionnaire/mii-qst-pro-phq-9",
            [f"PHQ-9.{number}" for number in range(1, 10)],
        ),
        ("http://hl7.org/fhir/us/core/Questionnaire/phq-9-example|8.0.1", PHQ9_LINKS),
        ("urn:ontrack:questionnaire:phq-9", PHQ9_LINKS),
        ("urn:ontrack:questionnaire:phq-9|1", PHQ9_LINKS),
    ],
)
def test_a_phq_9_is_read_as_others_have_it(url: str, links: Sequence[str]) -> None:
    found = read(a_response(url, [coded(link, PHQ9_CODES[1]) for link in links]))
    assert found.said.answers == dict.fromkeys(PHQ9_ITEMS, 1)


def test_a_who_5_of_danish_municipalities_is_read_with_its_comment() -> None:
    # given the example of the guide of KL, with answers of 5, 3, 5, 5, 5
    system = "http://fhir.kl.dk/ffinst/CodeSystem/KLToolsCodes"
    codes = {
        "happy": "0e5aa952-d470-4219-b275-5e8204d96987",
        "calm": "1ab11c78-6258-4069-9065-0f076833b133",
        "active": "3d3c13a6-befa-4a52-aef0-7e775ca11fdd",
        "rested": "7aaccc2e-ead3-41f0-a9ba-091f2e539753",
        "interest": "2ca88533-c048-4b2a-9ac2-2206b63a25ac",
    }
    items = [
        {"linkId": link, "answer": [{"valueCoding": {"system": system, "code": code}}]} for link, code in codes.items()
    ]
    comment = numbered("who5comment", SECRET, "valueString")
    informer = {"url": "http://fhir.kl.dk/ffinst/StructureDefinition/FindingInformer", "valueString": "Borger"}
    url = "http://fhir.kl.dk/ffinst/Questionnaire/KLToolsCareWHO5"

    # when it is read
    resource = a_response(url, [*items, comment])
    resource["extension"].append(informer)
    found = read(resource)

    # then it is what the patient said
    assert found.said.answers == {"mood": 5, "calm": 3, "energy": 5, "rest": 5, "interest": 5}
    assert found.said.comment == SECRET


def test_groups_and_questions_below_questions_are_gone_into() -> None:
    # given items in a group, and one below the answer to another
    items = phq9()["item"]
    below = {**items[0], "answer": [{**items[0]["answer"][0], "item": [items[1]]}]}
    group = {"linkId": "a-group-of-theirs", "item": [below, {"linkId": "deeper", "item": items[2:]}]}

    # when they are read
    found = read(phq9(items=[{"linkId": "a-text-of-theirs"}, group]))

    # then no answer is lost
    assert len(found.said.answers) == 9


@pytest.mark.parametrize(
    "item",
    [
        coded("/44250-9", "LA6571-9"),
        coded("/44250-9", "LA6571-9", display="Nearly every day", version="2.78", userSelected=True),
        coded(
            "/44250-9",
            "LA6571-9",
            extension=[{"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": Decimal("3.0")}],
        ),
        numbered("/44250-9", 3),
        numbered("/44250-9", 3, "valueDecimal"),
        numbered("/44250-9", Decimal("3.00"), "valueDecimal"),
    ],
)
def test_a_value_can_stand_as_a_code_a_whole_number_or_a_decimal_that_is_one(item: Resource) -> None:
    found = read(phq9(items=[item, *phq9()["item"][1:]]))
    assert found.said.answers["interest"] == 3
    assert type(found.said.answers["interest"]) is int


def test_yes_and_no_are_one_and_nought() -> None:
    items = ("finances", "job", "family", "housing", "intimate_relations", "life_situation")
    answers = [numbered(item, item == "job", "valueBoolean") for item in items[:-1]]
    found = read(a_response("urn:ontrack:questionnaire:life-events", [*answers, numbered(items[-1], 1)]))
    assert found.said.answers == {**dict.fromkeys(items, 0), "job": 1, "life_situation": 1}


def test_what_may_be_missing_may_be_missing() -> None:
    found = read(a_response("urn:ontrack:questionnaire:psychlops-2", [numbered("problem_1", 4)]))
    assert found.said.answers == {"problem_1": 4}


# Whose it is, when, and which


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"reference": f"Patient/{CASE}", "type": "Patient"}, Subject(CASE)),
        ({"identifier": {"system": NUMBER_SYSTEM, "value": "1001"}}, Subject(None, "1001")),
        (
            {"reference": f"Patient/{CASE}", "identifier": {"system": NUMBER_SYSTEM, "value": "1001"}},
            Subject(CASE, "1001"),
        ),
        # A number of another system beside the reference is not ours to read.
        ({"reference": f"Patient/{CASE}", "identifier": {"system": "urn:oid:1.2.208", "value": "1"}}, Subject(CASE)),
    ],
)
def test_a_case_is_named_by_its_id_or_by_the_number_of_the_clinic(subject: Resource, expected: Subject) -> None:
    assert read(odsis(subject=subject)).subject == expected
    # and whoever answered can be named in the same way, whatever else is told of them
    assert read(odsis(subject=subject, source={**subject, "display": SECRET})).subject == expected


@pytest.mark.parametrize(("session", "expected"), [(0, 0), (14, 14), ("individual-2", "individual-2"), (None, None)])
def test_the_session_is_that_of_the_extension(session: int | str | None, expected: int | str | None) -> None:
    assert read(odsis(session=session)).session == expected


def test_an_identifier_tells_one_response_from_another_and_none_says_nothing() -> None:
    one, other = ({"system": "urn:theirs", "value": value} for value in ("1", "2"))
    keys = [read(odsis(identifier=identifier)).key for identifier in (one, one, other, {"value": "1"}, None)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert keys[-1] is None


def test_an_amended_response_is_taken_as_it_stands_and_says_when_it_was_answered() -> None:
    first = {"url": "urn:ontrack:answered-at", "valueDateTime": "2026-01-05T07:30:00.000Z"}
    extension = [{"url": SESSION_URL, "valueInteger": 1}, first]
    found = read(odsis(status="amended", authored="2026-01-09T07:30:00Z", extension=extension))
    assert found.answered_at == "2026-01-05T07:30:00.000Z"
    assert found.place_of("/answered_at") == "QuestionnaireResponse.extension[1]"
    assert read(odsis(status="amended")).answered_at == "2026-01-05T08:30:00+01:00"
    assert read(odsis()).place_of("/answered_at") == "QuestionnaireResponse.authored"


# What is refused


def with_first(item: Resource) -> Resource:
    """PHQ-9 whose first question is answered so."""
    return phq9(items=[item, *phq9()["item"][1:]])


ITEM = ".item[0]"
VALUE = f"{ITEM}.answer[0].value"
ORDINAL_OF_2 = {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 2}
STRANGE: Mapping[str, Any] = {"SECRET": 1}
MODIFIER: Mapping[str, Any] = {"modifierExtension": [{"url": "urn:theirs", "valueBoolean": True}]}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        # the whole
        ({"resourceType": "Patient"}, [("structure", None)]),
        ({}, [("structure", None)]),
        (odsis(status="nonsense"), [("code-invalid", ".status")]),
        (odsis(status=None), [("required", ".status")]),
        (odsis(status=17), [("structure", ".status")]),
        (odsis(status="in-progress"), [("business-rule", ".status")]),
        (odsis(status="stopped"), [("business-rule", ".status")]),
        (odsis(status="entered-in-error"), [("business-rule", ".status")]),
        (odsis(implicitRules="urn:theirs"), [("not-supported", ".implicitRules")]),
        (odsis(**MODIFIER), [("extension", ".modifierExtension")]),
        (odsis(**STRANGE), [("structure", "")]),
        (odsis(item=SECRET), [("structure", ".item")]),
        (odsis(item=[STRANGE]), [("structure", ITEM)]),
        (odsis(identifier={"use": SECRET, "value": "1"}), [("code-invalid", ".identifier.use")]),
        (odsis(identifier=[SECRET]), [("value", ".identifier")]),
        # which questionnaire
        (odsis(questionnaire=None), [("required", ".questionnaire")]),
        (odsis(questionnaire=f"urn:{SECRET}"), [("not-found", ".questionnaire")]),
        (
            odsis(questionnaire="urn:ontrack:questionnaire:odsis|9"),
            [("not-found", ".questionnaire")],
        ),
        # whose
        (odsis(subject=None), [("required", ".subject")]),
        (odsis(subject={}), [("required", ".subject")]),
        (odsis(subject={"display": SECRET}), [("required", ".subject")]),
        (odsis(subject={"reference": "Group/1"}), [("value", ".subject.reference")]),
        (
            odsis(subject={"reference": f"https://theirs.example/Patient/{CASE}"}),
            [("value", ".subject.reference")],
        ),
        (
            odsis(subject={"reference": f"Patient/{CASE}", "type": "Device"}),
            [("value", ".subject.type")],
        ),
        (
            odsis(subject={"identifier": {"system": "urn:oid:1.2.208.176.1.2", "value": SECRET}}),
            [("value", ".subject.identifier.system")],
        ),
        (
            odsis(subject={"identifier": {"value": "1001"}}),
            [("value", ".subject.identifier.system")],
        ),
        (
            odsis(subject={"identifier": {"system": NUMBER_SYSTEM, "value": " "}}),
            [("value", ".subject.identifier.value")],
        ),
        (odsis(source={"reference": "Practitioner/1"}), [("business-rule", ".source")]),
        (
            odsis(source={"reference": "https://x.example/RelatedPerson/1"}),
            [("business-rule", ".source")],
        ),
        (odsis(source={"type": "Practitioner"}), [("business-rule", ".source")]),
        (odsis(source={"type": "Practitioner", **odsis()["subject"]}), [("business-rule", ".source")]),
        (odsis(source={"reference": "Patient/another"}), [("business-rule", ".source")]),
        (odsis(source={"display": SECRET}), [("business-rule", ".source")]),
        (odsis(source={"identifier": {"system": NUMBER_SYSTEM, "value": "1001"}}), [("business-rule", ".source")]),
        (odsis(source={**odsis()["subject"], "identifier": {"value": "1001"}}), [("business-rule", ".source")]),
        # when
        (odsis(authored=None), [("required", ".authored")]),
        (odsis(authored="2026-01-05"), [("value", ".authored")]),
        (odsis(authored="2026-01-05T08:30:00"), [("value", ".authored")]),
        (odsis(authored=1767600000), [("value", ".authored")]),
        (odsis(authored=SECRET), [("value", ".authored")]),
        # for which session
        (odsis(session=1000), [("value", ".extension[0]")]),
        (odsis(session="individual-0"), [("value", ".extension[0]")]),
        (odsis(session=True), [("value", ".extension[0]")]),
        (odsis(extension=[{"url": SESSION_URL}]), [("value", ".extension[0]")]),
        (
            odsis(extension=[{"url": SESSION_URL, "valueInteger": number} for number in (1, 2)]),
            [("value", ".extension[0]")],
        ),
        # the answers
        (odsis(item=None), [("required", ".item")] * 5),
        (with_first({"linkId": "/44250-9"}), [("required", ".item")]),
        (with_first({**coded("/44250-9", "LA6568-5"), **MODIFIER}), [("extension", f"{ITEM}.modifierExtension")]),
        (
            with_first({"linkId": "/44250-9", "answer": [{"valueInteger": 1, **MODIFIER}]}),
            [("extension", f"{ITEM}.answer[0].modifierExtension")],
        ),
        (
            with_first(coded(SECRET, "LA6568-5")),
            [("structure", f"{ITEM}.linkId"), ("required", ".item")],
        ),
        (with_first(coded("/44250-9", "LA6568-9")), [("code-invalid", VALUE)]),
        (with_first(coded("/44250-9", "LA6568-5", system="urn:theirs")), [("code-invalid", VALUE)]),
        (with_first(coded("/44250-9", "LA6568-5", system=None)), [("code-invalid", VALUE)]),
        (with_first(coded("/44250-9", "LA6571-9", extension=[ORDINAL_OF_2])), [("value", f"{VALUE}.extension[0]")]),
        (with_first(numbered("/44250-9", 4)), [("value", VALUE)]),
        (with_first(numbered("/44250-9", -1)), [("value", VALUE)]),
        (with_first(numbered("/44250-9", Decimal("1.5"), "valueDecimal")), [("value", VALUE)]),
        (with_first(numbered("/44250-9", Decimal("1E+30"), "valueDecimal")), [("value", VALUE)]),
        (with_first(numbered("/44250-9", Decimal("1.0"))), [("value", VALUE)]),
        (with_first(numbered("/44250-9", "1")), [("value", VALUE)]),
        (with_first(numbered("/44250-9", "1", "valueString")), [("value", VALUE)]),
        (with_first(numbered("/44250-9", True, "valueBoolean")), [("value", VALUE)]),
        (with_first(numbered("/44250-9", {"value": 1}, "valueQuantity")), [("value", VALUE)]),
        (
            with_first({"linkId": "/44250-9", "answer": [{"extension": [{"url": "urn:x", "valueString": "y"}]}]}),
            [("value", VALUE)],
        ),
        (
            with_first({"linkId": "/44250-9", "answer": [{"valueInteger": 1}, {"valueInteger": 2}]}),
            [("structure", f"{ITEM}.answer")],
        ),
        (
            phq9(items=[*phq9()["item"], coded("/44250-9", "LA6568-5")]),
            [("duplicate", ".item[9]")],
        ),
        # the same question under the link ids of two questionnaires
        (phq9(items=[*phq9()["item"], coded("14363", "LA6568-5")]), [("duplicate", ".item[9]")]),
        (
            odsis(item=[*odsis()["item"], numbered("comment", 5)]),
            [("value", ".item[5].answer[0].value")],
        ),
        (
            odsis(item=[*odsis()["item"], numbered("comment", "x" * 2_001, "valueString")]),
            [("too-long", ".item[5].answer[0].value")],
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    resource: Resource, expected: Sequence[tuple[str, str | None]]
) -> None:
    root = "QuestionnaireResponse"
    assert refused(resource) == [(code, "" if place is None else f"{root}{place}") for code, place in expected]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = refused(phq9((3, 3, 3, 3, 3, 3, 3, 3, 3), status="stopped", authored=None, items=[coded("/44250-9", "no")]))
    assert [code for code, _ in found] == ["business-rule", "required", "code-invalid", *["required"] * 8]


@pytest.mark.parametrize(
    "change",
    [
        {"subject": '{"reference": "Patient/1"}'},
        {"item": ['{"linkId": "frequency"}']},
        {"item": [{"linkId": "frequency", "answer": ['{"valueInteger": 1}']}]},
        {"item": [{"linkId": "frequency", "answer": [{"valueCoding": '{"code": "1"}'}]}]},
        {"extension": ['{"url": "urn:ontrack:session", "valueInteger": 1}'], "session": None},
    ],
)
def test_json_in_a_text_is_not_read_as_json(change: Mapping[str, Any]) -> None:
    # given that the library takes a text for the object that is written in it
    resource = {**odsis(), **change}
    assert issues_in({name: value for name, value in resource.items() if name != "session"}) == []

    # then it is refused, or it says nothing
    resource.pop("session", None)
    if "extension" in change:
        assert understood(resource, catalogue()).session is None
    else:
        assert refused(resource)


def test_a_resource_without_measure_is_refused_before_it_costs_anything() -> None:
    # given one that is too deep, and one with too many elements
    deep: Resource = {"linkId": "x"}
    for _ in range(800):
        deep = {"linkId": "x", "item": [deep]}
    many: list[Resource] = [{}] * 100_000
    for items in ([deep], many):
        # then neither is gone into
        assert refused(odsis(item=items)) == [("too-costly", "QuestionnaireResponse")]


def test_what_is_beside_the_answers_is_not_looked_at() -> None:
    # given a narrative and another resource, of which the library would make something
    beside: Mapping[str, Any] = {
        "text": {"status": "generated", "div": SECRET},
        "contained": [{"resourceType": "os", "id": SECRET}],
    }
    assert read(odsis(**beside)).said.answers == dict(zip(ODSIS_ITEMS, (2, 2, 1, 2, 1), strict=True))


def test_a_fault_of_the_library_is_not_ours() -> None:
    # given a text where it looks for an object, which makes it raise what is no error of validation
    with pytest.raises(AttributeError):
        QuestionnaireResponse.model_validate(odsis(_status="[]"))

    # then that is a fault of the resource
    assert refused(odsis(_status="[]")) == [("structure", "QuestionnaireResponse")]


def test_whoever_sends_no_resource_does_not_wait_for_the_library() -> None:
    loaded = "import sys, services.up; print(sorted(name for name in sys.modules if name.startswith('fhir')))"
    ran = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Anything at all

PLAIN: Sequence[Any] = (
    None,
    True,
    -1,
    10**30,
    Decimal("1.5"),
    "",
    "x",
    "[]",
    '{"resourceType": "os"}',
    [],
    {},
    [[]],
    [None],
    {"resourceType": ["a"]},
    {"resourceType": "Patient"},
    {"extension": [{}]},
    "2026-99-99",
)
NAMES = (
    "_status",
    "_valueInteger",
    "answer",
    "extension",
    "fhir_comments",
    "item",
    "linkId",
    "resourceType",
    "resource_type",
    "valueAttachment",
    "valueDecimal",
    "valueInteger",
    "valueTime",
)


def places(value: Any) -> Iterator[dict[str, Any] | list[Any]]:
    """Everything in a resource in which something stands."""
    if isinstance(value, dict | list) and value:
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from places(each)


@given(st.data())
def test_whatever_is_put_into_a_resource_it_is_read_or_refused(data: st.DataObject) -> None:
    # given a resource in which something was replaced, or added
    resource = phq9(identifier={"use": "usual", "value": "1"}, source={"reference": f"Patient/{CASE}"})
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(resource))))
        name: Any = data.draw(
            st.sampled_from(sorted({*place, *NAMES} if isinstance(place, dict) else range(len(place))))
        )
        place[name] = deepcopy(data.draw(st.sampled_from(PLAIN)))

    # when it is read
    issues: Sequence[Issue] = issues_in(resource)
    found = None
    if not issues:
        try:
            found = understood(resource, catalogue())
        except Unmappable as unmappable:
            issues = unmappable.issues

    # then it is a response that can be recorded, or what is wrong is told
    if found is None:
        assert issues
        assert all(issue.place.startswith("QuestionnaireResponse") or issue.place == "" for issue in issues)
    else:
        statement = orjson.dumps({**found.statement(1), "entered_by": "ehr"})
        assert found.form.instrument.accepts(ResponseSubmitted.model_validate_json(statement).answers)
