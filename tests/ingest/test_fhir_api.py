"""What the API promises to health records that speak FHIR."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson
import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.files import library
from contracts.events.facts import OccasionOpened, ResponseSubmitted
from contracts.topics import CASES
from services.ingest.access import Role
from services.ingest.http.bodies import BYTES_AT_MOST
from services.ingest.http.operations import OPERATIONS
from tests.support.asgi import Answer, ask
from tests.support.fhir import (
    NUMBER_SYSTEM,
    ODSIS_ITEMS,
    PHQ9_ITEMS,
    Resource,
    numbered,
    odsis,
    phq9,
    valid,
)
from tests.support.open_clinic import ENROLMENT, Clinic

SECRET: Final = "nobody at home knows"
RESPONSES: Final = "/fhir/QuestionnaireResponse"
IDENTIFIER: Final = {"system": "urn:their:forms", "value": "f-1"}
CORRECTION: Final = {"answers": dict.fromkeys(ODSIS_ITEMS, 0), "reason": "a slip", "by": "anna"}


async def send(clinic: Clinic, resource: Resource | bytes, /, **how: Any) -> Answer:
    """Send a resource as a health record does."""
    return await clinic.ask(
        "POST", RESPONSES, resource, **{"role": "ehr", "content_type": "application/fhir+json", **how}
    )


async def exported(clinic: Clinic, case_id: str) -> list[Resource]:
    """The responses of a case, each valid."""
    answer = await clinic.ask("GET", f"{RESPONSES}?subject=Patient/{case_id}", role="ehr")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/fhir+json")
    return [entry["resource"] for entry in valid(answer.json).get("entry", [])]


async def asked_for(clinic: Clinic, *sessions: str) -> str:
    """Enrol a case that is asked for ODSIS this morning, once or more."""
    await clinic.ask(
        "PUT", "/v1/groups/mondays", {"sessions": dict.fromkeys(sessions, "2026-01-05T09:00:00Z"), "therapists": []}
    )
    case_id = await clinic.enrolled(group="mondays")
    async with asyncio.timeout(10):
        while len(await clinic.facts(OccasionOpened)) < 4 * len(sessions):  # noqa: ASYNC110 - a clock
            await asyncio.sleep(0.05)
    return case_id


# In


@pytest.mark.parametrize(("role", "entered_by"), [("patient-app", "patient"), ("ehr", "ehr"), ("admin", "clinic")])
async def test_a_response_in_fhir_is_recorded_as_any_other_and_nothing_of_fhir_is(
    clinic: Clinic, role: Role, entered_by: str
) -> None:
    # given a case
    case_id = await clinic.enrolled()

    # when a response to PHQ-9 comes as US Core has it
    resource = phq9(case=case_id)
    resource["item"].append(numbered("comment", SECRET, "valueString"))
    answer = await send(clinic, resource, role=role)

    # then it is on the log as what the patient said
    assert answer.status == 201, answer.body
    (fact,) = await clinic.facts(ResponseSubmitted)
    assert isinstance(fact.data, ResponseSubmitted)
    assert fact.data.answers == dict(sorted(zip(PHQ9_ITEMS, (2, 2, 2, 2, 1, 1, 2, 0, 0), strict=True)))
    assert (fact.subject, fact.data.session, fact.data.comment, fact.data.entered_by) == (
        case_id,
        1,
        SECRET,
        entered_by,
    )

    # and the answer says that, where it is found, and nothing of what was answered
    valid(answer.json)
    assert [issue["severity"] for issue in answer.issues] == ["information"]
    assert answer.headers["location"].endswith(f"{RESPONSES}/{case_id}{fact.id.replace('-', '')}")
    assert SECRET not in answer.body.decode()
    for said in await fact_texts(clinic):
        for word in ("fhir", "loinc", "LA65", "QuestionnaireResponse", "44250"):
            assert word not in said


async def fact_texts(clinic: Clinic) -> list[str]:
    """Every fact as a text, with what is sealed."""
    facts = await clinic.facts()
    assert {fact.type for fact in facts} <= {kind.wire_name for kind in CASES.events}
    return [f"{fact.source} {fact.data.model_dump_json()}" for fact in facts]


async def test_what_is_not_kept_of_a_resource_is_told(clinic: Clinic) -> None:
    resource = phq9(case=await clinic.enrolled())
    resource["item"].append(numbered("/44261-6", 12, "valueDecimal"))
    answer = await send(clinic, resource)
    assert [issue["expression"] for issue in answer.issues] == [["QuestionnaireResponse.item[9]"]]
    assert answer.status == 201


async def test_a_patient_is_named_by_the_number_of_the_clinic_too(clinic: Clinic) -> None:
    # given a case
    case_id = await clinic.enrolled(number="1001")
    by_number = {"identifier": {"system": NUMBER_SYSTEM, "value": "1001"}}

    # when a response names it by its number, or by both
    assert (await send(clinic, odsis(subject=by_number))).status == 201
    both = {**by_number, "reference": f"Patient/{case_id}"}
    assert (await send(clinic, odsis(subject=both, session=2))).status == 201

    # then it is of that case
    assert {fact.subject for fact in await clinic.facts(ResponseSubmitted)} == {case_id}

    # and a number of somebody else is of none
    await clinic.enrolled(number="1002")
    other = {"reference": f"Patient/{case_id}", "identifier": {"system": NUMBER_SYSTEM, "value": "1002"}}
    assert (await send(clinic, odsis(subject=other, session=3))).problem == (404, "unknown-case")


async def test_the_app_of_patients_names_nobody_by_a_number_that_could_be_guessed(clinic: Clinic) -> None:
    # given a number that is enrolled, and one that is not
    await clinic.enrolled(number="1001")
    for number in ("1001", "1002"):
        resource = odsis(subject={"identifier": {"system": NUMBER_SYSTEM, "value": number}})

        # then neither tells whether it is
        answer = await send(clinic, resource, role="patient-app")
        assert (answer.problem, answer.issues[0]["code"]) == ((403, "not-allowed"), "forbidden")
    assert await clinic.facts(ResponseSubmitted) == []


async def test_a_repeated_response_is_answered_alike_and_recorded_once(clinic: Clinic) -> None:
    # given a response with an identifier, sent without any key
    case_id = await clinic.enrolled()
    resource = odsis(case=case_id, identifier=IDENTIFIER)
    secret = clinic.secret("ehr", "north")
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/fhir+json"}

    # when it comes many times at once, and later again
    async def once() -> Answer:
        return await ask(clinic.app, "POST", RESPONSES, headers=headers, body=[orjson.dumps(resource)])

    answers = [*await asyncio.gather(*(once() for _ in range(10))), await once()]

    # then all are answered alike
    assert {answer.status for answer in answers} == {201}
    assert len({(answer.body, answer.headers["location"]) for answer in answers}) == 1
    assert len(await clinic.facts(ResponseSubmitted)) == 1


async def test_a_key_that_was_used_for_something_else_is_refused(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    await send(clinic, odsis(case=case_id), key="same")
    other = await send(clinic, odsis((0, 0, 0, 0, 0), case=case_id), key="same")
    assert other.problem == (409, "key-reused")
    assert other.issues[0]["code"] == "conflict"
    # A request is told by its key, whatever identifier it brings.
    third = await send(clinic, odsis((0, 0, 0, 0, 0), case=case_id, session=2, identifier=IDENTIFIER), key="same")
    assert third.problem == (409, "key-reused")


async def test_a_response_without_anything_that_tells_its_repetition_is_refused(clinic: Clinic) -> None:
    headers = {
        "authorization": f"Bearer {clinic.secret('ehr', 'north')}",
        "content-type": "application/fhir+json",
    }
    resource = odsis(case=await clinic.enrolled())
    answer = await ask(clinic.app, "POST", RESPONSES, headers=headers, body=[orjson.dumps(resource)])
    assert answer.problem == (400, "idempotency-key-expected")
    assert answer.issues[0]["expression"] == ["QuestionnaireResponse.identifier"]
    wrong = await send(clinic, resource, key="with space")
    assert wrong.problem == (400, "idempotency-key-expected")
    assert "expression" not in wrong.issues[0]


async def test_without_a_session_it_is_for_the_one_that_is_asked_for_now(clinic: Clinic) -> None:
    # given a case that is asked for ODSIS
    case_id = await asked_for(clinic, "1")

    # when an answer comes that names no session, and again, when it is asked for no more
    resource = odsis(case=case_id, session=None, identifier=IDENTIFIER)
    answers = [await send(clinic, resource, key="same") for _ in range(2)]

    # then it is for that session, once
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    (fact,) = await clinic.facts(ResponseSubmitted)
    assert isinstance(fact.data, ResponseSubmitted)
    assert fact.data.session == 1

    # and another answer is for none
    other = await send(clinic, odsis((0, 0, 0, 0, 0), case=case_id, session=None))
    assert (other.problem, other.issues[0]["code"]) == ((422, "unmappable-resource"), "business-rule")
    reused = await send(clinic, odsis((0, 0, 0, 0, 0), case=case_id, session=None), key="same")
    assert reused.problem == (409, "key-reused")


async def test_a_repetition_is_known_though_the_response_was_withdrawn_since(clinic: Clinic) -> None:
    # given a response without a session, which was withdrawn
    case_id = await asked_for(clinic, "1")
    resource = odsis(case=case_id, session=None)
    first = await send(clinic, resource, key="same")
    (fact,) = await clinic.facts(ResponseSubmitted)
    gone = {"response": fact.id, "reason": "another's", "by": "anna"}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/response-withdrawn", gone)).status == 201

    # then it comes again and nothing happens
    again = await send(clinic, resource, key="same")
    assert (again.status, again.body) == (201, first.body)
    assert len(await clinic.facts(ResponseSubmitted)) == 1


@pytest.mark.parametrize("session", [1, None])
@pytest.mark.parametrize("link", ["social_life", "social"])
async def test_a_repetition_is_known_though_a_newer_version_was_published_since(
    clinic: Clinic, session: int | None, link: str
) -> None:
    # given a response that names its questionnaire without a version, and maybe no session
    resource = odsis(case=await asked_for(clinic, "1"), session=session)
    first = await send(clinic, resource, key="same")

    # when there is a newer version of it, by which it can be read or not, and the same comes again
    (entry,) = [each for each in library() if each.model.id == "odsis"]
    body = orjson.loads(orjson.dumps(entry.body).replace(b'"social_life"', b'"%b"' % link.encode()))
    await clinic.home.publish([entry_of({**body, "version": entry.model.version + 1})])
    again = await send(clinic, resource, key="same")

    # then nothing happens, and another response under its key is refused
    assert (first.status, first.headers["location"]) == (201, again.headers.get("location"))
    assert (again.status, again.body) == (201, first.body)
    other = await send(clinic, {**resource, "authored": "2026-01-05T08:31:00+01:00"}, key="same")
    assert other.problem == ((409, "key-reused") if link == "social_life" else (422, "unmappable-resource"))
    assert len(await clinic.facts(ResponseSubmitted)) == 1


async def test_without_a_session_it_is_refused_where_it_could_be_for_several(clinic: Clinic) -> None:
    case_id = await asked_for(clinic, "1", "2")
    answer = await send(clinic, odsis(case=case_id, session=None))
    (issue,) = answer.issues
    assert (answer.status, issue["code"], issue["expression"]) == (
        422,
        "multiple-matches",
        ["QuestionnaireResponse.extension"],
    )
    assert "1, 2" in issue["diagnostics"]
    assert (await send(clinic, odsis(case=case_id, session=2))).status == 201


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"session": 99}, (422, "wrong-session", "business-rule", ["QuestionnaireResponse.extension"])),
        (
            {"authored": "2026-01-07T07:30:00Z"},
            (422, "unmappable-resource", "value", ["QuestionnaireResponse.authored"]),
        ),
        ({"case": "0" * 32}, (404, "unknown-case", "not-found", ["QuestionnaireResponse.subject"])),
        ({"status": "in-progress"}, (422, "unmappable-resource", "business-rule", ["QuestionnaireResponse.status"])),
        ({"status": "nonsense"}, (422, "unmappable-resource", "code-invalid", ["QuestionnaireResponse.status"])),
        (
            {"items": [*odsis()["item"], numbered(SECRET, 1)]},
            (422, "unmappable-resource", "structure", ["QuestionnaireResponse.item[5].linkId"]),
        ),
        (
            {"items": [numbered("frequency", 17), *odsis()["item"][1:]]},
            (422, "unmappable-resource", "value", ["QuestionnaireResponse.item[0].answer[0].value"]),
        ),
    ],
)
async def test_what_is_wrong_is_named_and_never_said_and_nothing_is_recorded(
    clinic: Clinic, change: Mapping[str, Any], expected: tuple[int, str, str, Sequence[str]]
) -> None:
    resource = odsis(**{"case": await clinic.enrolled(), **change})
    resource.setdefault("item", []).append(numbered("comment", SECRET, "valueString"))
    before = len(await clinic.facts())
    answer = await send(clinic, resource)
    valid(answer.json)
    (issue,) = answer.issues
    assert (*answer.problem, issue["code"], issue["expression"]) == expected
    for said in (SECRET, "2026-01-07", "nonsense", "17"):
        assert said not in answer.body.decode()
    assert len(await clinic.facts()) == before


async def test_an_answered_occasion_stays_as_it_is(clinic: Clinic) -> None:
    # given a response
    case_id = await clinic.enrolled()
    await send(clinic, odsis(case=case_id))

    # when another comes for the same occasion, completed or amended
    for status in ("completed", "amended"):
        answer = await send(clinic, odsis((0, 0, 0, 0, 0), case=case_id, status=status))

        # then it is told how to correct the one that is there
        assert answer.problem == (409, "already-answered")
        assert answer.issues[0]["diagnostics"] == "correct or withdraw the response that is there"
    assert len(await clinic.facts(ResponseSubmitted)) == 1


# Bodies


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"{", {}, (400, "not-json")),
        (b'{"status": "\xff"}', {}, (400, "not-json")),
        (b'{"status": "\\ud800"}', {}, (400, "not-json")),
        (b"[" * 200_000, {}, (400, "not-json")),
        (b'{"a":' * 1_020 + b"1" + b"}" * 1_020, {}, (422, "invalid-body")),
        (b'{"resourceType": NaN}', {}, (400, "not-json")),
        (b"[]", {}, (422, "invalid-body")),
        (b"{}", {}, (422, "unmappable-resource")),
        (b'{"status": "completed", "status": "completed"}', {}, (422, "invalid-body")),
        (b'{"value": 1e-999999999}', {}, (422, "invalid-body")),
        (b'{"value": ' + b"1" * 300 + b"}", {}, (422, "invalid-body")),
        (b"{}", {"content_type": "text/plain"}, (415, "wrong-media-type")),
        (b"{}", {"content_type": "application/fhir+xml"}, (415, "wrong-media-type")),
        (b" " * (BYTES_AT_MOST + 1), {}, (413, "body-too-large")),
        (b"{}", {"idempotency_key": "with space"}, (422, "unmappable-resource")),
    ],
)
async def test_a_body_in_fhir_is_bounded_as_any_other(
    clinic: Clinic, body: bytes, headers: Mapping[str, Any], expected: tuple[int, str]
) -> None:
    answer = await send(clinic, body, **headers)
    assert answer.problem == expected
    valid(answer.json)
    assert await clinic.facts() == []


async def test_plain_json_and_a_charset_are_taken(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    for session, media_type in enumerate(("application/json", "application/fhir+json; charset=utf-8"), 1):
        answer = await send(clinic, odsis(case=case_id, session=session), content_type=media_type)
        assert answer.status == 201


@pytest.mark.parametrize(("value", "status"), [(b"2.0", 201), (b"2.0000000000000000000001", 422), (b"2e0", 201)])
async def test_a_decimal_is_read_to_its_last_digit(clinic: Clinic, value: bytes, status: int) -> None:
    # given a decimal that would be another number as a float
    body = orjson.dumps(odsis(case=await clinic.enrolled()))
    exact = body.replace(b'"valueInteger":2', b'"valueDecimal":' + value, 1)
    assert exact != body

    # then it is not taken for that
    assert (await send(clinic, exact)).status == status


# Out


async def test_the_responses_of_a_case_are_given_as_they_stand(clinic: Clinic) -> None:
    # given responses of which one is corrected and one is withdrawn, and those of another case
    case_id, other = await clinic.enrolled(), await clinic.enrolled(number="1002")
    for session in (1, 2, 3):
        assert (await send(clinic, odsis(case=case_id, session=session))).status == 201
    await send(clinic, odsis(case=other))
    _, second, third = [fact.id for fact in await clinic.facts(ResponseSubmitted) if fact.subject == case_id]
    path = f"/v1/cases/{case_id}"
    corrected = {"response": second, "comment": SECRET, **CORRECTION}
    assert (await clinic.ask("POST", f"{path}/response-corrected", corrected)).status == 201
    gone = {"response": third, "reason": "another's", "by": "anna"}
    assert (await clinic.ask("POST", f"{path}/response-withdrawn", gone)).status == 201

    # when they are asked for
    found = await exported(clinic, case_id)

    # then each stands as it does
    assert [resource["status"] for resource in found] == ["completed", "amended", "entered-in-error"]
    assert {resource["subject"]["reference"] for resource in found} == {f"Patient/{case_id}"}
    assert found[0]["item"] == odsis()["item"]
    assert found[1]["item"][-1] == numbered("comment", SECRET, "valueString")
    assert [item["answer"][0] for item in found[1]["item"][:-1]] == [{"valueInteger": 0}] * 5
    assert "item" not in found[2]

    # and each is given by its id
    for resource in found:
        answer = await clinic.ask("GET", f"{RESPONSES}/{resource['id']}", role="ehr")
        assert (answer.status, answer.json) == (200, resource)
    for name in (f"{case_id}{'0' * 32}", "none", "0" * 65):
        assert (await clinic.ask("GET", f"{RESPONSES}/{name}", role="ehr")).problem == (404, "not-found")


async def test_what_goes_out_comes_in_at_another_clinic_as_the_same(clinic: Clinic) -> None:
    # given a response that was given out
    resource = phq9(case=await clinic.enrolled())
    resource["item"].append(numbered("comment", SECRET, "valueString"))
    await send(clinic, resource, role="patient-app")
    (first,) = await clinic.facts(ResponseSubmitted)
    (out,) = await exported(clinic, first.subject)

    # when it comes in elsewhere, for the case that the patient is there
    other = await clinic.ask(
        "POST", "/v1/cases", {"number": "7", "protocol": "open-ended", "policy": "gryesten-2023"}, clinic="south"
    )
    moved = {**out, "subject": {"reference": f"Patient/{other.json['case']}"}}
    moved["source"] = moved["subject"]
    assert (await send(clinic, moved, clinic="south", role="patient-app")).status == 201

    # then it is the same response
    (_, second) = sorted(await clinic.facts(ResponseSubmitted), key=lambda fact: fact.subject != first.subject)
    assert second.data == first.data


async def test_a_case_without_a_response_has_an_empty_bundle(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    of_case = f"patient={case_id}"
    formats = ("json", "application/fhir%2Bjson", "application/fhir+json")
    for query in (f"subject={case_id}", f"patient=Patient/{case_id}", *(f"{of_case}&_format={it}" for it in formats)):
        answer = await clinic.ask("GET", f"{RESPONSES}?{query}", role="ehr")
        assert (answer.status, valid(answer.json)["total"]) == (200, 0)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "subject=a&patient=a",
        "subject=a&subject=b",
        f"subject=a&{SECRET.replace(' ', '+')}=1",
        "_id=a",
        "subject=a&_format=xml",
    ],
)
async def test_a_search_that_asks_for_something_else_is_refused(clinic: Clinic, query: str) -> None:
    answer = await clinic.ask("GET", f"{RESPONSES}?{query}", role="ehr")
    assert answer.problem == (400, "wrong-query")
    assert SECRET not in answer.body.decode()


async def test_every_instrument_is_a_questionnaire_that_is_found(clinic: Clinic) -> None:
    # given all of them
    answer = await clinic.ask("GET", "/fhir/Questionnaire", role="patient-app")
    found = [entry["resource"] for entry in valid(answer.json)["entry"]]
    assert {resource["id"] for resource in found} >= {"odsis.1", "phq-9.1", "who-5.1", "bdi-ii.1"}

    # then each is found by its id and by its canonical URL, with its version or without
    for resource in found:
        assert (await clinic.ask("GET", f"/fhir/Questionnaire/{resource['id']}")).json == resource
        for url in (resource["url"], f"{resource['url']}|{resource['version']}"):
            (entry,) = (await clinic.ask("GET", f"/fhir/Questionnaire?url={url}")).json["entry"]
            assert entry["resource"] == resource

    # and what is not there is not found
    assert (await clinic.ask("GET", "/fhir/Questionnaire?url=urn:none")).json["total"] == 0
    assert (await clinic.ask("GET", "/fhir/Questionnaire/none.1")).problem == (404, "not-found")


@pytest.mark.parametrize("version", ["", "|4.0.0"])
async def test_a_questionnaire_is_found_by_the_public_ones_that_it_derives_from(clinic: Clinic, version: str) -> None:
    resource = (await clinic.ask("GET", "/fhir/Questionnaire/phq-9.1")).json
    for url in resource["derivedFrom"]:
        found = (await clinic.ask("GET", f"/fhir/Questionnaire?url={quote(url + version)}")).json
        assert [entry["resource"] for entry in found["entry"]] == [resource]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("urn:ontrack:questionnaire:odsis", "?url=urn:ontrack:questionnaire:odsis"),
        ("urn:ontrack:questionnaire:odsis|1", "?url=urn:ontrack:questionnaire:odsis%7C1"),
        ("http://loinc.org/q/44249-1", "?url=http://loinc.org/q/44249-1"),
        ("https://forms.example/a?b=c&d=%20#e", "?url=https://forms.example/a%3Fb%3Dc%26d%3D%2520%23e"),
        ("urn:none", "?url=urn:none"),
        ("", ""),
        (SECRET, ""),
        (f"https://forms.example/{SECRET}", ""),
        ("https://forms.example/jeg-vil-ikke-leve-længere", ""),
        ("https://forms.example/<script>", ""),
        ("urn:none\n", ""),
        ("javascript:alert", ""),
        (f"https://forms.example/{'a' * 300}", ""),
    ],
)
async def test_a_search_for_questionnaires_says_what_it_searched_for(clinic: Clinic, url: str, told: str) -> None:
    found = (await clinic.ask("GET", f"/fhir/Questionnaire?url={quote(url)}")).json
    (link,) = valid(found)["link"]
    assert (link["relation"], link["url"].partition("/fhir/")[2]) == ("self", f"Questionnaire{told}")


async def test_what_the_server_does_can_be_asked(clinic: Clinic) -> None:
    answer = await clinic.ask("GET", "/fhir/metadata", role="patient-app")
    assert (answer.status, valid(answer.json)["fhirVersion"]) == (200, "4.0.1")


# Access


async def test_for_another_clinic_a_case_and_its_responses_are_not_there(clinic: Clinic) -> None:
    # given a response of one clinic
    case_id = await clinic.enrolled(number="1001")
    await send(clinic, odsis(case=case_id, identifier=IDENTIFIER))
    (resource,) = await exported(clinic, case_id)
    nowhere = "0" * 32

    # when clients of another one ask for it and for one that is nowhere, in every way
    async def answers(case: str, name: str) -> list[tuple[int, bytes]]:
        asked = [
            await clinic.ask("GET", f"{RESPONSES}?subject=Patient/{case}", role="ehr", clinic="south"),
            await clinic.ask("GET", f"{RESPONSES}/{name}", role="ehr", clinic="south"),
            await send(clinic, odsis(case=case, identifier=IDENTIFIER), clinic="south"),
            await send(clinic, odsis(case=case, session=None), clinic="south", role="patient-app"),
            await send(
                clinic, odsis(subject={"identifier": {"system": NUMBER_SYSTEM, "value": "1001"}}), clinic="south"
            ),
        ]
        return [(answer.status, answer.body.replace(case.encode(), b"CASE")) for answer in asked]

    # then they are answered alike
    found = await answers(case_id, resource["id"])
    assert found == await answers(nowhere, nowhere + resource["id"][32:])
    assert {status for status, _ in found} == {404}
    assert len(await clinic.facts(ResponseSubmitted)) == 1


async def test_a_clinic_that_asks_for_much_at_once_keeps_no_other_one_waiting(clinic: Clinic) -> None:
    # given a case of each of two clinics
    cases = {
        name: (await clinic.ask("POST", "/v1/cases", ENROLMENT, clinic=name)).json["case"]
        for name in ("north", "south")
    }
    answered: list[str] = []

    async def search(name: str) -> None:
        answer = await clinic.ask("GET", f"{RESPONSES}?subject=Patient/{cases[name]}", role="ehr", clinic=name)
        assert answer.status == 200
        answered.append(name)

    # when one asks for a great many searches, and then the other for one
    await asyncio.gather(*(search("north") for _ in range(20)), search("south"))

    # then that one is not the last to be answered
    assert answered.index("south") < 10


async def test_responses_are_not_given_to_the_app_of_patients(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    for path in (f"{RESPONSES}?subject=Patient/{case_id}", f"{RESPONSES}/{case_id}{'0' * 32}"):
        answer = await clinic.ask("GET", path, role="patient-app")
        assert answer.problem == (403, "not-allowed")
        assert valid(answer.json)["issue"][0]["code"] == "forbidden"


async def test_nothing_below_fhir_answers_in_other_words(clinic: Clinic) -> None:
    assert [each.path for each in OPERATIONS if each.is_fhir]
    for method, path, expected in (
        ("GET", "/fhir/Patient/1", (404, "not-found")),
        ("DELETE", "/fhir/metadata", (405, "wrong-method")),
    ):
        answer = await clinic.ask(method, path)
        assert answer.problem == expected
        assert answer.headers["content-type"] == "application/fhir+json"
    closed = await ask(clinic.app, "GET", "/fhir/metadata")
    assert (closed.problem, closed.headers["www-authenticate"]) == ((401, "no-credential"), "Bearer")
    assert closed.issues[0]["code"] == "login"
    assert (await clinic.ask("GET", "/v2/cases")).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("said", "address"), [("https", "https://"), ("http", "http://"), ("file", "http://")])
async def test_behind_a_proxy_that_speaks_tls_an_answer_names_the_address_that_was_called(
    clinic: Clinic, said: str, address: str
) -> None:
    # given a proxy that says how it was called
    through: dict[str, Any] = {"host": "ontrack.example", "x_forwarded_proto": said}

    # when a response is recorded, and then asked for
    case_id = await clinic.enrolled()
    recorded = await send(clinic, odsis(case=case_id), **through)
    found = await clinic.ask("GET", f"/fhir/QuestionnaireResponse?subject={case_id}", **through)

    # then the client is led to the proxy, and by TLS
    (entry,) = found.json["entry"]
    for told in (recorded.headers["location"], entry["fullUrl"], found.json["link"][0]["url"]):
        assert told.startswith(f"{address}ontrack.example/fhir/QuestionnaireResponse")


async def test_the_address_that_a_client_gives_is_only_given_back(clinic: Clinic) -> None:
    for host in ("ontrack.example:8443", "[", "a b", "\x7f"):
        answer = await clinic.ask("GET", "/fhir/Questionnaire", host=host)
        assert answer.status == 200
