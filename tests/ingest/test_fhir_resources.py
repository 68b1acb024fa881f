"""What goes out in FHIR: it is valid, it says what is recorded, and it is read as what it was."""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.definitions.catalogue import Catalogue, entry_of
from contracts.definitions.files import library
from contracts.events.event import new_fact
from contracts.events.facts import ResponseCorrected, ResponseSubmitted, ResponseWithdrawn
from contracts.events.fields import LAST_SESSION, WORDS_AT_MOST
from services.ingest.domain.responses import Standing, standing
from services.ingest.fhir.capability import capability_statement
from services.ingest.fhir.form import Form, forms
from services.ingest.fhir.incoming import Subject, understood
from services.ingest.fhir.outcome import Issue, Resource, outcome
from services.ingest.fhir.outgoing import (
    questionnaire,
    questionnaire_response,
    response_id,
    searchset,
    split_response_id,
)
from services.ingest.fhir.validation import issues_in
from services.ingest.http.faults import Fault
from services.ingest.http.operations import OPERATIONS
from services.ingest.http.outcomes import told
from services.ingest.http.problems import KINDS, Problem
from tests.support.events import moments
from tests.support.fhir import CASE, valid

FACT: Final = "11111111-2222-4333-8444-555555555555"
MOMENT: Final = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
BASE: Final = "https://ontrack.example/fhir"
UNPRINTABLE: Final = "".join(map(chr, {*range(32)} - {*b"\t\n\r"}))
"""What a string of FHIR must not have."""


@cache
def definitions() -> Catalogue:
    """The library, and a questionnaire of a clinic with codes of its own, a range below nought and two versions."""
    known = Catalogue(library())
    for version in (1, 2):
        known.add(entry_of(of_a_clinic(version)))
    return known


def of_a_clinic(version: int) -> dict[str, Any]:
    text = {"en": "Balance", "da": "Balance"}
    codes = ["far-below", "below", "even", "above"]
    return {
        "kind": "instrument",
        "id": "balance",
        "version": version,
        "title": text,
        "sources": ["the test"],
        "licence": "The clinic's own",
        "languages": ["en"],
        "asked": "before_session",
        "items": [{"id": "balance", "label": text, "lowest": -2, "highest": 1}],
        "scales": [{"id": "balance", "label": text, "formula": "item/1", "items": ["balance"], "worse": "lower"}],
        "fhir": {
            "sources": ["the test"],
            "code": {"system": "urn:clinic", "code": "balance"},
            "answer_system": "urn:clinic:answers",
            "items": {"balance": {"links": [f"b{version}"], "answers": codes}},
            "comment": ["words"],
        },
    }


def form_of(name: str) -> Form:
    return [form for form in forms(definitions()) if form.instrument.id == name][-1]


@st.composite
def responses(draw: st.DrawFn) -> tuple[Form, ResponseSubmitted]:
    """Any response that can be recorded, to any instrument."""
    form = draw(st.sampled_from(forms(definitions())))
    instrument = form.instrument
    answers = {item.id: draw(st.integers(item.lowest, item.highest)) for item in instrument.items}
    for item in draw(st.lists(st.sampled_from(sorted(answers)), unique=True)):
        fewer = {name: value for name, value in answers.items() if name != item}
        answers = fewer if instrument.accepts(fewer) else answers
    words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=UNPRINTABLE), min_size=1, max_size=200)
    # The standard takes a no-break space for a character like others, as XML Schema does; what validates here does not.
    words = words.filter(lambda each: not each.isspace())
    said = ResponseSubmitted(
        session=draw(st.integers(0, LAST_SESSION) | st.from_regex(r"\Aindividual-[1-9]\Z")),
        instrument=form.ref,
        answers=answers,
        comment=draw(st.none() | words | st.just("x" * WORDS_AT_MOST)),
        answered_at=draw(moments()),
        entered_by=draw(st.sampled_from(["patient", "clinic", "import", "ehr"])),
    )
    return form, said


def standing_of(said: ResponseSubmitted) -> Standing:
    fact = new_fact(said, case_id=CASE, fact_id=FACT, source="urn:test", happened=said.answered_at)
    (found,) = standing([fact])
    return found


def sent(resource: Resource) -> Resource:
    """Send a resource as bytes, and read them as the door does."""
    received: Resource = json.loads(orjson.dumps(resource), parse_float=Decimal)
    return received


def read_again(resource: Resource) -> Mapping[str, Any]:
    """What a resource states, as the door reads it."""
    received = sent(resource)
    assert issues_in(received) == []
    found = understood(received, definitions())
    assert found.subject == Subject(CASE)
    assert found.session is not None
    return found.statement(found.session)


@given(responses())
def test_any_response_to_any_instrument_goes_out_valid_and_comes_in_as_the_same(
    drawn: tuple[Form, ResponseSubmitted],
) -> None:
    # given any response, to any instrument in any version
    form, said = drawn

    # when it goes out and comes in again
    resource = questionnaire_response(form, CASE, standing_of(said))
    valid(sent(resource))
    statement = read_again(resource)

    # then it is the same
    again = ResponseSubmitted.model_validate_json(orjson.dumps({**statement, "entered_by": said.entered_by}))
    assert again == said


@given(st.text(st.sampled_from(f"a\t\n\r{UNPRINTABLE}"), min_size=1))
def test_a_comment_goes_out_without_what_a_string_of_fhir_must_not_have(comment: str) -> None:
    resource = questionnaire_response(form_of("balance"), CASE, balance(comment))
    *_, said = resource["item"]
    (words,) = said["answer"]
    assert words == {"valueString": "".join(" " if each in UNPRINTABLE else each for each in comment)}


def test_the_newest_version_is_meant_where_none_is_named() -> None:
    assert read_again(questionnaire_response(form_of("balance"), CASE, balance()))["instrument"].startswith(
        "balance@2#"
    )
    resource = questionnaire_response(form_of("balance"), CASE, balance())
    older = {**resource, "questionnaire": "urn:ontrack:questionnaire:balance|1"}
    older["item"] = [{**older["item"][0], "linkId": "b1"}]
    assert read_again(older)["instrument"].startswith("balance@1#")


def balance(comment: str = "unsteady") -> Standing:
    said = ResponseSubmitted(
        session=3,
        instrument=form_of("balance").ref,
        answers={"balance": -2},
        comment=comment,
        answered_at=MOMENT,
        entered_by="patient",
    )
    return standing_of(said)


def test_a_response_goes_out_with_the_codes_of_its_instrument() -> None:
    resource = questionnaire_response(form_of("balance"), CASE, balance())
    assert resource == {
        "resourceType": "QuestionnaireResponse",
        "id": f"{CASE}11111111222243338444555555555555",
        "meta": {"lastUpdated": "2026-01-05T07:30:00.000Z"},
        "extension": [{"url": "urn:ontrack:session", "valueInteger": 3}],
        "identifier": {"system": "urn:ontrack:response", "value": FACT},
        "questionnaire": "urn:ontrack:questionnaire:balance|2",
        "status": "completed",
        "subject": {"reference": f"Patient/{CASE}"},
        "authored": "2026-01-05T07:30:00.000Z",
        "source": {"reference": f"Patient/{CASE}"},
        "item": [
            {
                "linkId": "b2",
                "answer": [
                    {
                        "valueCoding": {
                            "extension": [
                                {
                                    "url": "http://hl7.org/fhir/StructureDefinition/ordinalValue",
                                    "valueDecimal": -2,
                                }
                            ],
                            "system": "urn:clinic:answers",
                            "code": "far-below",
                        }
                    }
                ],
            },
            {"linkId": "words", "answer": [{"valueString": "unsteady"}]},
        ],
    }


def changed(*changes: ResponseCorrected | ResponseWithdrawn) -> Resource:
    """A response to BDI-II after some changes, a day after each other."""
    form = form_of("bdi-ii")
    said = ResponseSubmitted(
        session=1,
        instrument=form.ref,
        answers={"total": 20},
        comment="nobody at home knows",
        answered_at=MOMENT,
        entered_by="clinic",
    )
    facts = [
        new_fact(
            data,
            case_id=CASE,
            fact_id=FACT if data is said else f"00000000-0000-4000-8000-00000000000{day}",
            source="urn:test",
            happened=MOMENT.replace(day=5 + day),
        )
        for day, data in enumerate((said, *changes))
    ]
    (found,) = standing(facts)
    resource = questionnaire_response(form, CASE, found)
    valid(sent(resource))
    return resource


CORRECTED: Final = ResponseCorrected(response=FACT, answers={"total": 12}, reason="a slip", by="anna")
WITHDRAWN: Final = ResponseWithdrawn(response=FACT, reason="another patient's", by="anna")


def test_a_corrected_response_goes_out_as_amended_with_its_new_answers() -> None:
    resource = changed(CORRECTED)
    assert (resource["status"], resource["authored"]) == ("amended", "2026-01-06T07:30:00.000Z")
    assert resource["item"] == [{"linkId": "total", "answer": [{"valueInteger": 12}]}]
    assert "source" not in resource
    statement = read_again(resource)
    assert statement["answered_at"] == "2026-01-05T07:30:00.000Z"


@pytest.mark.parametrize("changes", [(WITHDRAWN,), (CORRECTED, WITHDRAWN)])
def test_a_withdrawn_response_goes_out_without_its_answers(
    changes: tuple[ResponseCorrected | ResponseWithdrawn],
) -> None:
    resource = changed(*changes)
    assert (resource["status"], resource.get("item")) == ("entered-in-error", None)
    assert "nobody at home knows" not in str(resource)


def test_the_id_of_a_response_names_its_case_and_its_fact() -> None:
    name = response_id(CASE, FACT)
    assert len(name) == 64
    assert split_response_id(name) == (CASE, FACT)


# Questionnaires, and the rest


@pytest.mark.parametrize("form", forms(definitions()), ids=lambda form: form.resource_id)
def test_every_instrument_is_a_valid_questionnaire_with_every_question(form: Form) -> None:
    resource = valid(sent(questionnaire(form)))
    *questions, words = resource["item"]
    links = [form.declared.items[item.id].links[0] for item in form.instrument.items]
    assert [question["linkId"] for question in questions] == links
    assert [question["text"] for question in questions] == [item.label.en for item in form.instrument.items]
    assert words["type"] == "text"
    assert (resource["url"], resource["version"]) == tuple(form.canonical.split("|"))


def test_an_answer_of_a_questionnaire_is_told_by_its_code_and_points_and_not_in_licensed_words() -> None:
    questions = questionnaire(form_of("phq-9"))["item"]
    assert questions[0]["answerOption"][3]["valueCoding"] == {"system": "http://loinc.org", "code": "LA6571-9"}
    assert questions[0]["answerOption"][3]["extension"][1]["valueDecimal"] == 3
    for form in forms(definitions()):
        assert "display" not in str(questionnaire(form))


def test_a_questionnaire_names_the_public_ones_and_what_is_to_be_said_of_their_codes() -> None:
    resource = questionnaire(form_of("phq-9"))
    assert "http://loinc.org/q/44249-1" in resource["derivedFrom"]
    assert "LOINC" in resource["copyright"]
    assert "derivedFrom" not in questionnaire(form_of("odsis"))
    assert questionnaire(form_of("gq-12"))["status"] == "draft"


@pytest.mark.parametrize("count", [0, 3])
def test_what_a_search_finds_is_a_valid_bundle(count: int) -> None:
    found = [questionnaire(form) for form in forms(definitions())[:count]]
    bundle = valid(sent(searchset(BASE, "Questionnaire", found)))
    assert bundle["total"] == len(bundle.get("entry", [])) == count


def test_the_statement_of_what_is_done_is_valid_and_names_every_operation() -> None:
    statement = valid(sent(capability_statement()))
    done = {
        (resource["type"], interaction["code"])
        for resource in statement["rest"][0]["resource"]
        for interaction in resource["interaction"]
    }
    kinds = {"POST": "create", "GET": "search-type"}
    expected = {
        (each.path.split("/")[2], "read" if "{id}" in each.path else kinds[each.method])
        for each in OPERATIONS
        if each.is_fhir and not each.path.endswith("/metadata")
    }
    assert done == expected
    searched = {
        (resource["type"], parameter["name"])
        for resource in statement["rest"][0]["resource"]
        for parameter in resource["searchParam"]
    }
    assert searched == {(each.path.split("/")[2], name) for each in OPERATIONS if each.is_fhir for name in each.query}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_every_problem_is_a_valid_outcome_with_the_status_and_the_code_that_it_has_elsewhere(kind: Any) -> None:
    for problem in (Problem(kind), Problem(kind, Fault("/x", "another value"))):
        response, elsewhere = told(problem), problem.response()
        resource = valid(orjson.loads(response.body))
        assert response.status_code == elsewhere.status_code
        told_by = {
            name: value for name, value in response.headers.items() if name not in ("content-type", "content-length")
        }
        assert told_by.items() <= dict(elsewhere.headers).items()
        assert resource["issue"][0]["details"]["coding"][0]["code"] == kind.code


def test_an_outcome_can_be_only_information() -> None:
    valid(outcome("The response is recorded", [Issue("informational", "", "", "information")]))


def test_nothing_that_goes_out_has_a_code_that_r4_does_not_have() -> None:
    # given that the library takes any code
    resource = deepcopy(questionnaire(form_of("odsis")))
    resource["item"][0]["type"] = "nonsense"

    # then we find it
    with pytest.raises(AssertionError):
        valid(resource)
