"""Resources of FHIR as health records send them, written down apart from the code that reads them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from services.ingest.fhir.outcome import Issue
from services.ingest.fhir.validation import strange_codes

Resource = dict[str, Any]
LOINC: Final = "http://loinc.org"
PHQ9_URL: Final = "http://hl7.org/fhir/us/core/Questionnaire/phq-9-example"
PHQ9_LINKS: Final = (
    "/44250-9",
    "/44255-8",
    "/44259-0",
    "/44254-1",
    "/44251-7",
    "/44258-2",
    "/44252-5",
    "/44253-3",
    "/44260-8",
)
PHQ9_ITEMS: Final = (
    "interest",
    "mood",
    "sleep",
    "energy",
    "appetite",
    "self_worth",
    "concentration",
    "movement",
    "self_harm",
)
PHQ9_CODES: Final = ("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")
ODSIS_ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
SESSION_URL: Final = "urn:ontrack:session"
NUMBER_SYSTEM: Final = "urn:ontrack:number"
CASE: Final = "0123456789abcdef0123456789abcdef"


def catalogue() -> Catalogue:
    """The definitions that ship."""
    return Catalogue(library())


def coded(link: str, code: str, **more: Any) -> Resource:
    """An item that is answered by a code of LOINC."""
    return {"linkId": link, "answer": [{"valueCoding": {"system": LOINC, "code": code, **more}}]}


def numbered(link: str, value: object, kind: str = "valueInteger") -> Resource:
    """An item that is answered by a value."""
    return {"linkId": link, "answer": [{kind: value}]}


def a_response(
    url: str, items: Sequence[Resource], *, session: int | str | None = 1, case: str = CASE, **changes: Any
) -> Resource:
    """A completed response; None takes an element away."""
    resource: Resource = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": url,
        "status": "completed",
        "subject": {"reference": f"Patient/{case}"},
        "authored": "2026-01-05T08:30:00+01:00",
        "item": list(items),
    }
    if session is not None:
        kind = "valueInteger" if isinstance(session, int) else "valueString"
        resource["extension"] = [{"url": SESSION_URL, kind: session}]
    return {name: value for name, value in {**resource, **changes}.items() if value is not None}


def phq9(values: Sequence[int] = (2, 2, 2, 2, 1, 1, 2, 0, 0), **changes: Any) -> Resource:
    """PHQ-9 as US Core has it."""
    items = [coded(link, PHQ9_CODES[value]) for link, value in zip(PHQ9_LINKS, values, strict=True)]
    return a_response(PHQ9_URL, **{"items": items, **changes})


def odsis(values: Sequence[int] = (2, 2, 1, 2, 1), **changes: Any) -> Resource:
    """ODSIS under OnTrack's own link ids."""
    items = [numbered(link, value) for link, value in zip(ODSIS_ITEMS, values, strict=True)]
    return a_response("urn:ontrack:questionnaire:odsis", **{"items": items, **changes})


def valid(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a resource that was sent out, having made sure that it is valid."""
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415 - it is loaded where it is needed

    name = resource["resourceType"]
    get_fhir_model_class(name).model_validate(resource)
    strange: list[Issue] = list(strange_codes(dict(resource), name))
    assert strange == []
    return resource
