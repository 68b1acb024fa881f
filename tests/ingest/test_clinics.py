"""For a client of one clinic the cases of another one are not there, whatever it asks of them or says."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from services.ingest.fhir.outgoing import response_id
from services.ingest.http.operations import OPERATIONS
from services.ingest.statements import MAILER, STATEMENTS
from tests.support.asgi import Answer
from tests.support.fhir import odsis
from tests.support.open_clinic import RESPONSE, Clinic

NOWHERE: Final = "f" * 32
REPORT: Final = "9d1c6a52-0d1b-5c8e-8f57-2d7b3c5f9e20"
SOON: Final = "2026-02-02T09:00:00Z"
WHY: Final = {"reason": "a try", "by": "anna"}
SAID: Final[Mapping[str, Mapping[str, Any]]] = {
    "response-submitted": {**RESPONSE, "session": 2},
    "response-corrected": {"answers": RESPONSE["answers"], **WHY},
    "response-withdrawn": WHY,
    "problem-named": {"problem": 1, "text": "the nights"},
    "needs-stated": {"seen_by": "patient", "needs": [], "by": "patient"},
    "session-scheduled": {"session": 3, "scheduled": SOON},
    "session-moved": {"session": 3, "scheduled": SOON},
    "session-cancelled": {"session": 3},
    "session-attended": {"session": 3},
    "session-absent": {"session": 3},
    "baseline-set": {"instrument": "odsis", "scale": "total", "value": "12", **WHY},
    "policy-changed": {"policy": "gryesten-2023-window", "from_session": 2, **WHY},
    "case-transferred": {"group": "mondays"},
    "case-closed": {"reason": "other"},
    "report-seen": {"report": REPORT, "by": "anna"},
    "report-discussed": {"report": REPORT, "by": "anna"},
    "action-chosen": {"report": REPORT, "action": "wait", "by": "anna", "patient_agreed": True},
    "report-closed": {"report": REPORT, "by": "anna"},
}
"""What can be said of a case, but for the response that it is about."""

OF_A_RESPONSE: Final = ("response-corrected", "response-withdrawn")
OF_THE_MAILER: Final = {name for name, statement in STATEMENTS.items() if statement.roles is MAILER}
"""The mailer works for every clinic."""

OF_CASES: Final = [
    operation.name
    for operation in OPERATIONS
    if "{case}" in operation.path or operation.name in ("facts", "fhir-answer", "fhir-responses", "fhir-response")
]


async def asked(clinic: Clinic, name: str, whose: str, case_id: str, response: str) -> Answer:
    """Ask something of a case, or say it, as a client of a clinic, with all that has to be said."""
    (operation,) = [each for each in OPERATIONS if each.name == name]
    said = {each: {**body, "response": response} if each in OF_A_RESPONSE else body for each, body in SAID.items()}
    path, body = operation.path.format(case=case_id, id=REPORT), said.get(name)
    how: dict[str, Any] = {}
    match name:
        case "facts":
            body = {"facts": [{"case": case_id, "state": "session-attended", "session": 4}]}
        case "fhir-answer":
            body, how = odsis(case=case_id, session=5), {"content_type": "application/fhir+json"}
        case "fhir-responses":
            path = f"{operation.path}?subject=Patient/{case_id}"
        case "fhir-response":
            path = operation.path.format(id=response_id(case_id, response))
    return await clinic.ask(operation.method, path, body, clinic=whose, **how)


def test_everything_that_can_be_said_is_said_here() -> None:
    assert SAID.keys() == STATEMENTS.keys() - OF_THE_MAILER
    assert SAID.keys() < set(OF_CASES)


@pytest.mark.parametrize("name", [name for name in OF_CASES if name not in OF_THE_MAILER])
async def test_for_another_clinic_a_case_is_not_there(clinic: Clinic, name: str) -> None:
    # given a case of one clinic, with a response, and groups of both
    for whose in ("north", "south"):
        await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []}, clinic=whose)
    case_id = await clinic.enrolled()
    answered = await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE)
    response, before = answered.json["fact"], await clinic.facts()

    # when a client of the other one asks something of it, and of one that is nowhere
    there, nowhere = [await asked(clinic, name, "south", each, response) for each in (case_id, NOWHERE)]

    # then it is answered alike, and nothing is recorded
    assert there.problem == (404, "unknown-case")
    assert (there.body, there.headers) == (nowhere.body, nowhere.headers)
    assert await clinic.facts() == before

    # though for a client of its own clinic it is there
    assert (await asked(clinic, name, "north", case_id, response)).status < 400


async def test_of_facts_that_come_with_one_of_another_clinic_none_is_recorded(clinic: Clinic) -> None:
    # given cases of two clinics
    theirs = await clinic.enrolled()
    enrolment = {"number": "1", "protocol": "open-ended", "policy": "gryesten-2023"}
    own = (await clinic.ask("POST", "/v1/cases", enrolment, clinic="south")).json["case"]
    before = await clinic.facts()

    # when facts of both come together
    said = [{"case": case_id, "state": "session-attended", "session": 1} for case_id in (own, theirs)]
    refused = await clinic.ask("POST", "/v1/facts", {"facts": said}, clinic="south")

    # then the one that is not there is named, and none is recorded
    assert (*refused.problem, refused.pointers) == (404, "unknown-case", ["/facts/1/case"])
    assert await clinic.facts() == before


async def test_a_number_finds_nothing_of_another_clinic(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    assert (await clinic.ask("POST", "/v1/cases/find", {"number": "1001"})).json == {"case": case_id}
    for number in ("1001", "1002"):
        nothing = await clinic.ask("POST", "/v1/cases/find", {"number": number}, clinic="south")
        assert nothing.problem == (404, "unknown-case")
