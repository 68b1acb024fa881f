"""From responses and instruments to resources of FHIR R4."""

from collections.abc import Iterable
from typing import Any, Final

from contracts.definitions.definition import Text
from contracts.definitions.fhir import Coding
from contracts.definitions.instrument import Item
from contracts.events.fields import WORDS_AT_MOST, instant
from services.ingest.domain.responses import Standing
from services.ingest.fhir.form import Form
from services.ingest.fhir.outcome import Resource
from services.ingest.fhir.terms import (
    ANSWERED_AT,
    HIGHEST,
    LOWEST,
    ORDINAL,
    PREFIX,
    RESPONSE,
    SESSION,
    TRANSLATION,
)

_UNPRINTABLE: Final = dict.fromkeys({*range(32)} - {*b"\t\n\r"}, " ")
"""Characters that a string of FHIR must not have; a patient's words can."""

_COMMENT: Final = Text(en="Comment", da="Kommentar")
_FACT: Final = 32
"""Digits of the id of a fact, without its hyphens."""


def response_id(case_id: str, fact_id: str) -> str:
    """Name a response as a resource: its case and its fact, so that it is found without an index."""
    return case_id + fact_id.replace("-", "")


def split_response_id(resource_id: str) -> tuple[str, str]:
    """Give the case and the fact of a response."""
    case_id, digits = resource_id[:-_FACT], resource_id[-_FACT:]
    return case_id, "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def questionnaire_response(form: Form, case_id: str, response: Standing) -> Resource:
    """Give a response as it stands; a withdrawn one without its answers."""
    said, patient = response.said, {"reference": f"Patient/{case_id}"}
    resource: Resource = {
        "resourceType": "QuestionnaireResponse",
        "id": response_id(case_id, response.id),
        "meta": {"lastUpdated": instant(response.recorded)},
        "extension": [_session(said.session)],
        "identifier": {"system": RESPONSE, "value": response.id},
        "questionnaire": form.canonical,
        "status": "completed",
        "subject": patient,
        "authored": instant(response.changed),
    }
    if said.entered_by == "patient":
        resource["source"] = patient
    if response.is_withdrawn:
        return {**resource, "status": "entered-in-error"}
    if response.is_corrected:
        resource["status"] = "amended"
        resource["extension"].append({"url": ANSWERED_AT, "valueDateTime": instant(said.answered_at)})
    items = [
        _item(form.declared.items[item.id].links[0], _answer(form, item, response.answers[item.id]))
        for item in form.instrument.items
        if item.id in response.answers
    ]
    if response.comment is not None:
        items.append(_item(form.declared.comment[0], {"valueString": response.comment.translate(_UNPRINTABLE)}))
    return {**resource, "item": items} if items else resource


def _session(session: int | str) -> Resource:
    kind = "valueInteger" if isinstance(session, int) else "valueString"
    return {"url": SESSION, kind: session}


def _item(link: str, answer: Resource) -> Resource:
    return {"linkId": link, "answer": [answer]}


def _answer(form: Form, item: Item, value: int) -> Resource:
    coding = form.coding(item.id, value)
    if coding is not None:
        return {"valueCoding": {"extension": [_ordinal(value)], **coding}}
    return {"valueBoolean": bool(value)} if item.answers == "yes_no" else {"valueInteger": value}


def _ordinal(value: int) -> Resource:
    return {"url": ORDINAL, "valueDecimal": value}


def questionnaire(form: Form) -> Resource:
    """Give an instrument as a questionnaire, with OnTrack's neutral labels in the place of licensed wording."""
    instrument, declared = form.instrument, form.declared
    return {
        "resourceType": "Questionnaire",
        "id": form.resource_id,
        "language": "en",
        "url": form.url,
        "version": str(instrument.version),
        "name": "".join(part.capitalize() for part in instrument.id.split("-")),
        **_worded("title", instrument.title),
        **({"derivedFrom": list(declared.questionnaires)} if declared.questionnaires else {}),
        "status": "draft" if instrument.provisional else "active",
        "subjectType": ["Patient"],
        "copyright": " ".join(filter(None, (instrument.licence, declared.notice))),
        "code": [_coding(declared.code)],
        "item": [*(_question(form, item) for item in instrument.items), _free_text(form)],
    }


def _question(form: Form, item: Item) -> Resource:
    linked = form.declared.items[item.id]
    question: Resource = {"linkId": linked.links[0], **_worded("text", item.label)}
    if linked.code is not None:
        question["code"] = [_coding(linked.code)]
    question["required"] = not form.instrument.may_be_missing(item.id)
    if linked.answers:
        options = [_option(form, item, value) for value in range(item.lowest, item.highest + 1)]
        return {**question, "type": "choice", "answerOption": options}
    if item.answers == "yes_no":
        return {**question, "type": "boolean"}
    bounds = [{"url": LOWEST, "valueInteger": item.lowest}, {"url": HIGHEST, "valueInteger": item.highest}]
    return {**question, "type": "integer", "extension": bounds}


def _option(form: Form, item: Item, value: int) -> Resource:
    """Give an answer by its code and its points: the words for it are those of the questionnaire."""
    extension = [{"url": PREFIX, "valueString": str(value)}, _ordinal(value)]
    return {"extension": extension, "valueCoding": form.coding(item.id, value)}


def _free_text(form: Form) -> Resource:
    link = form.declared.comment[0]
    return {"linkId": link, **_worded("text", _COMMENT), "type": "text", "maxLength": WORDS_AT_MOST}


def _coding(coding: Coding) -> Resource:
    return {"system": coding.system, "code": coding.code}


def _worded(name: str, text: Text) -> Resource:
    """Give words in English, with the Danish ones beside them."""
    danish: list[dict[str, Any]] = [{"url": "lang", "valueCode": "da"}, {"url": "content", "valueString": text.da}]
    return {name: text.en, f"_{name}": {"extension": [{"url": TRANSLATION, "extension": danish}]}}


def searchset(base: str, query: str, found: Iterable[Resource]) -> Resource:
    """Give what a search found. base: the address of this server; query: what was asked for, behind it."""
    entries = [
        {
            "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": "match"},
        }
        for resource in found
    ]
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": f"{base}/{query}"}],
    }
    # An empty list is not valid FHIR.
    return {**bundle, "entry": entries} if entries else bundle
