"""What the API promises to those who send it something, and to those of whom it is."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from starlette.responses import Response

from contracts.definitions.files import library
from contracts.events.facts import (
    CaseTransferred,
    NeedsStated,
    NoticeSent,
    OccasionOpened,
    ResponseSubmitted,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.fields import LAST_SESSION, WORDS_AT_MOST
from contracts.topics import CASES
from services.ingest.access import EVERY, TOKENS, Client, Tokens
from services.ingest.domain.clock import SOURCE
from services.ingest.http.api import Api
from services.ingest.http.bodies import BYTES_AT_MOST
from services.ingest.http.operations import OPERATIONS
from services.ingest.http.reception import Asked
from services.runtime.health import Health
from services.runtime.log.kafka import BATCH_BYTES
from tests.support.asgi import ask
from tests.support.open_clinic import ENROLMENT, NOW, ODSIS, RESPONSE, SECRET, Clinic


def reference(name: str) -> str:
    """The full reference of a definition that ships."""
    return next(entry.ref for entry in library() if entry.model.id == name)


FACT: Final = "9d1c6a52-0d1b-5c8e-8f57-2d7b3c5f9e20"
NEEDS: Final = {"seen_by": "patient", "by": "anna"}
BASELINE: Final = {"instrument": "odsis", "scale": "total", "reason": "a try", "by": "anna"}
POLICY: Final = reference("gryesten-2023")
INSTRUMENT: Final = reference("odsis")
OTHER_POLICY: Final = {"policy": "none", "from_session": 1, "reason": "a try", "by": "anna"}


# Cases and their facts


async def test_a_case_is_enrolled_and_answers_at_once(clinic: Clinic) -> None:
    # given a case whose enrolment was answered
    case_id = await clinic.enrolled()

    # when a response to it comes
    answer = await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE, role="patient-app")

    # then it is on the log, as the patient said it
    assert answer.status == 201
    (fact,) = await clinic.facts(ResponseSubmitted)
    assert answer.json == {"case": case_id, "fact": fact.id}
    assert isinstance(fact.data, ResponseSubmitted)
    assert (fact.data.comment, fact.data.entered_by, fact.data.answers) == (SECRET, "patient", RESPONSE["answers"])


async def test_the_number_of_a_patient_finds_the_case_and_stands_in_no_path(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    assert (await clinic.ask("POST", "/v1/cases/find", {"number": "1001"})).json == {"case": case_id}
    assert (await clinic.ask("POST", "/v1/cases/find", {"number": "1002"})).problem == (404, "unknown-case")
    assert not any("number" in operation.path for operation in OPERATIONS)


async def test_nobody_moves_a_case_to_another_clinic(clinic: Clinic) -> None:
    # given a case, and groups of another clinic
    case_id = await clinic.enrolled()
    await clinic.ask(
        "PUT", "/v1/groups/tuesdays", {"sessions": {"1": "2026-02-02T09:00:00Z"}, "therapists": []}, clinic="south"
    )

    # when it is to be moved there, then that is refused, whatever the other clinic has
    for group in ("tuesdays", "nowhere"):
        body = {"group": group, "clinic": "south"}
        moved = await clinic.ask("POST", f"/v1/cases/{case_id}/case-transferred", body)
        assert (*moved.problem, moved.pointers) == (422, "invalid-body", ["/clinic"])


async def test_nothing_is_open_after_the_course(clinic: Clinic) -> None:
    # given a case that is asked something
    case_id = await clinic.enrolled()
    body = {"session": 1, "scheduled": (clinic.clock.time + timedelta(hours=1)).isoformat()}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/session-scheduled", body)).status == 201
    path = f"/v1/cases/{case_id}/open"

    async def is_open() -> bool:
        return bool((await clinic.ask("GET", path)).json["occasions"])

    async with asyncio.timeout(30):
        while not await is_open():  # noqa: ASYNC110 - a clock
            await asyncio.sleep(0.05)

    # when its course ends, then it is asked nothing any more
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/case-closed", {"reason": "other"})).status == 201
    clinic.clock.time += timedelta(minutes=5)
    assert not await is_open()


async def test_a_response_can_be_corrected_and_withdrawn(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    response = (await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE)).json["fact"]
    changed = {"response": response, "answers": dict.fromkeys(ODSIS, 1), "reason": "a slip", "by": "anna"}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/response-corrected", changed)).status == 201
    wrong = {**changed, "answers": dict.fromkeys(ODSIS, 9)}
    refused = await clinic.ask("POST", f"/v1/cases/{case_id}/response-corrected", wrong)
    assert refused.problem == (422, "answers-invalid")
    assert refused.pointers == [f"/answers/{item}" for item in ODSIS]
    gone = {"response": response, "reason": "somebody else's", "by": "anna"}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/response-withdrawn", gone)).status == 201

    # what is not there, or not any more, can be neither withdrawn nor corrected
    unknown = {**gone, "response": "11111111-2222-4333-8444-555555555555"}
    for state, body in (("withdrawn", unknown), ("withdrawn", gone), ("corrected", changed)):
        nothing = await clinic.ask("POST", f"/v1/cases/{case_id}/response-{state}", body)
        assert (*nothing.problem, nothing.pointers) == (422, "unknown-response", ["/response"])
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE)).status == 201


async def test_several_facts_are_recorded_together_or_not_at_all(clinic: Clinic) -> None:
    # given two cases
    cases = [await clinic.enrolled(number=number) for number in ("1001", "1002")]
    facts = [{"case": case_id, "state": "response-submitted", **RESPONSE} for case_id in cases]

    # when facts of both come with one that is refused
    refused = await clinic.ask("POST", "/v1/facts", {"facts": [*facts, {**facts[0], "session": 99}]})

    # then none is recorded, and which one is told
    assert refused.problem == (422, "wrong-session")
    assert refused.pointers == ["/facts/2/session"]
    assert await clinic.facts(ResponseSubmitted) == []

    # and when they come without it, all are
    answer = await clinic.ask("POST", "/v1/facts", {"facts": facts})
    assert [each["case"] for each in answer.json["facts"]] == cases
    assert len(await clinic.facts(ResponseSubmitted)) == 2


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("response-submitted", {**RESPONSE, "session": 99}, (422, "wrong-session", ["/session"])),
        ("response-submitted", {**RESPONSE, "instrument": "odsis@9"}, (422, "unknown-definition", ["/instrument"])),
        (
            "policy-changed",
            {"policy": "none", "from_session": 1, "reason": "x", "by": "a"},
            (422, "unknown-definition", ["/policy"]),
        ),
        (
            "response-submitted",
            {**RESPONSE, "instrument": f"odsis@1#{'0' * 64}"},
            (422, "unknown-definition", ["/instrument"]),
        ),
        (
            "response-submitted",
            {**RESPONSE, "answers": {**RESPONSE["answers"], "intensity": 7}},
            (422, "answers-invalid", ["/answers/intensity"]),
        ),
        (
            "response-submitted",
            {**RESPONSE, "answers": {**RESPONSE["answers"], "SECRET": 1}},
            (422, "answers-invalid", ["/answers"]),
        ),
        ("response-submitted", {**RESPONSE, "instrument": POLICY}, (422, "unknown-definition", ["/instrument"])),
        ("policy-changed", {**OTHER_POLICY, "policy": INSTRUMENT}, (422, "unknown-definition", ["/policy"])),
        ("response-submitted", {**RESPONSE, "SECRET": 1}, (422, "invalid-body", [""])),
        ("response-submitted", {**RESPONSE, "comment": 17}, (422, "invalid-body", ["/comment"])),
        ("response-submitted", {**RESPONSE, "entered_by": "import"}, (422, "invalid-body", ["/entered_by"])),
        (
            "response-submitted",
            {**RESPONSE, "answered_at": "2026-01-07T07:30:00Z"},
            (422, "invalid-body", ["/answered_at"]),
        ),
        ("response-submitted", {**RESPONSE, "answered_at": "SECRET"}, (422, "invalid-body", ["/answered_at"])),
        ("session-attended", {"session": 1, "at": "2026-01-07T07:30:00Z"}, (422, "invalid-body", ["/at"])),
        ("session-attended", {"session": 1, "at": "SECRET"}, (422, "invalid-body", ["/at"])),
        ("session-attended", {"session": 1, "id": "SECRET"}, (422, "invalid-body", ["/id"])),
        ("case-closed", {"reason": "SECRET"}, (422, "invalid-body", ["/reason"])),
        ("case-transferred", {"group": "b", "sessions": {"SECRET": 1}}, (422, "invalid-body", ["/sessions"])),
        ("needs-stated", {**NEEDS, "needs": ["SECRET"] * 101}, (422, "invalid-body", ["/needs"])),
        ("baseline-set", {**BASELINE, "value": "1E+999999999"}, (422, "invalid-body", ["/value"])),
        ("baseline-set", {**BASELINE, "value": 1e300}, (422, "invalid-body", ["/value"])),
    ],
)
async def test_what_is_wrong_is_named_and_never_said(
    clinic: Clinic, path: str, body: Mapping[str, Any], expected: tuple[int, str, Sequence[str]]
) -> None:
    case_id = await clinic.enrolled()
    before = len(await clinic.facts())
    answer = await clinic.ask("POST", f"/v1/cases/{case_id}/{path}", body)
    assert (*answer.problem, answer.pointers) == expected
    for said in (b"SECRET", SECRET.encode(), b"2026-01-07"):
        assert said not in answer.body
    assert len(await clinic.facts()) == before


async def test_nothing_more_is_taken_of_a_course_that_has_ended_but_what_was_answered_before(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    closed = {"reason": "completed", "at": "2026-01-05T07:00:00Z"}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/case-closed", closed)).status == 201
    late = await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", RESPONSE)
    assert late.problem == (409, "case-closed")
    before = {**RESPONSE, "answered_at": "2026-01-05T06:30:00Z"}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/response-submitted", before)).status == 201


async def test_an_occasion_is_answered_once(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    path = f"/v1/cases/{case_id}/response-submitted"
    await clinic.ask("POST", path, RESPONSE, key="same")
    for body, key, code, pointer, way in (
        (RESPONSE, "other", "already-answered", "/session", "corrected or withdrawn"),
        ({**RESPONSE, "comment": None}, "same", "key-reused", "", "response-corrected"),
    ):
        refused = await clinic.ask("POST", path, body, key=key)
        assert (*refused.problem, refused.pointers) == (409, code, [pointer])
        # The way that there is, is named.
        assert way in refused.json["errors"][0]["expected"]
    enrolled = await clinic.ask("POST", "/v1/cases", ENROLMENT)
    assert (*enrolled.problem, enrolled.pointers) == (409, "already-enrolled", ["/number"])


# Bodies


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"{", {}, (400, "not-json")),
        (b'{"number": "\xff"}', {}, (400, "not-json")),
        (b'{"number": "\\ud800"}', {}, (400, "not-json")),
        (b"[" * 200_000, {}, (400, "not-json")),
        *((b'{"number": %b}' % (b"[" * deep + b"]" * deep), {}, (422, "invalid-body")) for deep in (32, 255, 1_000)),
        (b'{"number": %b, "number": "1"}' % (b"[" * 1_000 + b"]" * 1_000), {}, (422, "invalid-body")),
        (b'{"number": [0%b]}' % (b",0" * 1_024), {}, (422, "invalid-body")),
        (b"", {}, (400, "not-json")),
        (b"[]", {}, (422, "invalid-body")),
        (b"{}", {"content_type": "text/plain"}, (415, "wrong-media-type")),
        (b"{}", {"content_type": ""}, (415, "wrong-media-type")),
        (b" " * (BYTES_AT_MOST + 1), {}, (413, "body-too-large")),
        (b"{}", {"content_length": str(BYTES_AT_MOST + 1)}, (413, "body-too-large")),
        (b"{}", {"idempotency_key": "with space"}, (422, "invalid-body")),
    ],
)
async def test_a_body_that_is_not_what_was_expected_has_a_code_of_its_own(
    clinic: Clinic, body: bytes, headers: Mapping[str, Any], expected: tuple[int, str]
) -> None:
    assert (await clinic.ask("POST", "/v1/cases", body, **headers)).problem == expected
    assert await clinic.facts() == []


async def test_of_two_answers_to_one_item_none_is_taken(clinic: Clinic) -> None:
    path = f"/v1/cases/{await clinic.enrolled()}/response-submitted"
    body = orjson.dumps(RESPONSE)
    item = b'"frequency":%d' % RESPONSE["answers"]["frequency"]
    assert item in body
    for twice in (b'"frequency":0,' + item, b'"\\u0066requency":0,' + item):
        assert (await clinic.ask("POST", path, body.replace(item, twice))).problem == (422, "invalid-body")
    assert (await clinic.ask("POST", path, body)).status == 201


async def test_what_can_be_said_at_once_fits_into_one_record(clinic: Clinic) -> None:
    # given the most that can be said in a text, of characters that take most room, and in lists
    words = "\x01" * WORDS_AT_MOST
    sessions = dict.fromkeys(map(str, range(LAST_SESSION + 1)), LAST_SESSION)
    most = {
        "needs-stated": {**NEEDS, "needs": ["n" * 64] * 100, "text": words},
        "case-transferred": {"group": "tuesdays", "sessions": sessions, "reason": words},
        "response-submitted": {**RESPONSE, "comment": words},
    }
    await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": {}, "therapists": []})
    for state, body in most.items():
        # when it is said
        case_id = await clinic.enrolled(number=state, protocol="open-ended")
        assert (await clinic.ask("POST", f"/v1/cases/{case_id}/{state}", body)).status == 201

    # then its record is smaller than a batch of the brokers
    records = [record for partition in range(CASES.partitions) for record in await clinic.records(partition)]
    assert 20_000 < max(len(record.value) for record in records) < BATCH_BYTES


async def test_a_problem_says_what_to_do_also_where_it_is_at_no_place_in_the_body(clinic: Clinic) -> None:
    # when a key has a form that it cannot have, then it is told which it has to have
    refused = await clinic.ask("POST", "/v1/cases", ENROLMENT, key="two words")
    assert refused.problem == (400, "idempotency-key-expected")
    assert "1 to 200 visible ASCII characters" in refused.json["detail"]


async def test_a_request_without_a_key_is_refused(clinic: Clinic) -> None:
    for key in ("", "æ", "x" * 201):
        answer = await clinic.ask("POST", "/v1/cases", ENROLMENT, idempotency_key=key)
        assert answer.problem == (400, "idempotency-key-expected")


# Access


async def test_every_operation_is_closed_without_a_credential(clinic: Clinic) -> None:
    for operation in OPERATIONS:
        path = operation.path.format(case="a", id="b")
        for credential in ("", "Bearer ", "Bearer wrong", "Basic eDp5"):
            answer = await ask(clinic.app, operation.method, path, headers={"authorization": credential})
            assert answer.problem == (401, "no-credential")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_operation_is_closed_to_a_role_that_it_is_not_for(clinic: Clinic) -> None:
    for operation in OPERATIONS:
        path = operation.path.format(case="a", id="b")
        for role in ("patient-app", "ehr", "admin"):
            answer = await clinic.ask(operation.method, path, {}, role=role)
            is_closed = answer.status == 403
            assert is_closed == (role not in operation.roles), (operation.name, role)


async def test_a_batch_takes_only_what_the_role_may_state(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    facts = {"facts": [{"case": case_id, "state": "case-closed", "reason": "completed"}]}
    assert (await clinic.ask("POST", "/v1/facts", facts, role="patient-app")).problem == (403, "not-allowed")


@pytest.mark.parametrize("named", [{"seen_by": "therapist"}, {"by": "anna"}, {"seen_by": "therapist", "by": "anna"}])
async def test_through_the_patients_app_only_patients_say_what_they_need(
    clinic: Clinic, named: Mapping[str, str]
) -> None:
    # given what a patient says, and the same in the name of somebody else
    case_id = await clinic.enrolled()
    theirs = {"seen_by": "patient", "by": "patient", "needs": ["motivation"]}
    said = [{**theirs, **named}, theirs]

    # when the patients' app states it, then what is not in the patient's name is refused
    for path, bodies, pointer in (
        (f"/v1/cases/{case_id}/needs-stated", said, ""),
        ("/v1/facts", [{"facts": [{"case": case_id, "state": "needs-stated", **body}]} for body in said], "/facts/0"),
    ):
        refused, taken = [await clinic.ask("POST", path, body, role="patient-app") for body in bodies]
        assert (*refused.problem, refused.pointers) == (422, "invalid-body", [f"{pointer}/{next(iter(named))}"])
        assert taken.status == 201
    assert [fact.data for fact in await clinic.facts(NeedsStated)] == [
        NeedsStated.model_validate_json(orjson.dumps(theirs))
    ] * 2

    # and somebody who may speak for both states it
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/needs-stated", said[0], role="ehr")).status == 201


async def test_a_token_that_was_revoked_lets_nobody_in(clinic: Clinic, tmp_path: Path) -> None:
    assert (await clinic.ask("GET", "/v1/clinic", role="ehr")).status == 200
    tokens = Tokens(tmp_path / "home" / TOKENS)
    (token,) = [each for each in tokens.all() if each.role == "ehr"]
    assert tokens.revoke(token.id)
    assert (await clinic.ask("GET", "/v1/clinic", role="ehr")).problem == (401, "no-credential")


async def test_where_nothing_is_that_is_said(clinic: Clinic) -> None:
    for path in ("/v2/cases", "/v1/cases/", "/v1/cases/a/b/c", "/", "//", "/v1/groups/{id}/"):
        assert (await clinic.ask("GET", path)).problem == (404, "not-found"), path
    wrong = await clinic.ask("DELETE", "/v1/cases")
    assert wrong.problem == (405, "wrong-method")
    assert wrong.headers["allow"] == "POST"
    wrong = await clinic.ask("POST", "/v1/groups/mondays")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}


# The roster, and what follows from it


async def test_who_was_erased_is_enrolled_by_another_number(clinic: Clinic) -> None:
    # given a number whose case was erased
    case_id = (await clinic.home.people.case_ids("north", ["1001"]))["1001"]
    await clinic.home.keyring.create([case_id])
    await clinic.home.keyring.destroy(case_id)

    # when its patient comes again, then it is said that the number is not free, and nobody is entered by it
    refused = await clinic.ask("POST", "/v1/cases", ENROLMENT)
    assert (*refused.problem, refused.pointers) == (409, "number-used", ["/number"])
    assert await clinic.home.people.persons() == {}
    await clinic.enrolled(number="1001-2")

    # and to all other questions it is as if the case had never been there
    assert (await clinic.ask("POST", "/v1/cases/find", {"number": "1001"})).problem == (404, "unknown-case")


async def test_a_case_that_is_enrolled_in_a_group_has_its_sessions_and_is_asked_at_their_times(clinic: Clinic) -> None:
    # given a group whose first session begins in an hour
    sessions = {"1": "2026-01-05T09:00:00Z", "2": "2026-01-12T09:00:00Z"}
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": sessions, "therapists": []})

    # when a case is enrolled in it
    case_id = await clinic.enrolled(group="mondays")
    await opened(clinic, case_id)

    # then it is asked for what the protocol asks in the morning
    shown = (await clinic.ask("GET", f"/v1/cases/{case_id}/open", role="patient-app")).json["occasions"]
    names = [each["instrument"].partition("@")[0] for each in shown]
    assert names == ["odsis", "life-events", "psychlops-2", "homework"]
    assert {each["closes"] for each in shown} == {"2026-01-05T09:00:00.000Z"}
    assert len(await clinic.facts(SessionScheduled)) == 2


async def test_when_a_group_has_other_times_its_cases_follow(clinic: Clinic) -> None:
    sessions = {"1": "2026-01-05T09:00:00Z", "2": "2026-01-12T09:00:00Z"}
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": sessions, "therapists": []})
    followed, other = await clinic.enrolled(group="mondays"), await clinic.enrolled(number="1002")

    # when its second session is moved, twice with the same words
    for _ in range(2):
        moved = {**sessions, "2": "2026-01-13T09:00:00Z"}
        assert (await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": moved, "therapists": []})).status == 200

    # then that of its case is, once, and that of no other
    facts = await clinic.facts(SessionMoved)
    assert [(fact.subject, fact.data) for fact in facts] == [
        (followed, SessionMoved(session=2, scheduled=datetime(2026, 1, 13, 9, tzinfo=UTC)))
    ]
    assert other != followed


async def test_a_case_that_moves_to_another_group_follows_that_one_as_it_was_said(clinic: Clinic) -> None:
    # given a case whose own session 2 will be session 1 of another group
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {"2": "2026-01-12T09:00:00Z"}, "therapists": []})
    await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": {"1": "2026-01-20T09:00:00Z"}, "therapists": []})
    case_id = await clinic.enrolled(group="mondays")

    # when it is transferred, and then the new group is moved
    transfer = {"group": "tuesdays", "sessions": {"2": 1}}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/case-transferred", transfer)).status == 201
    await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": {"1": "2026-01-21T09:00:00Z"}, "therapists": []})

    # then its session 2 follows both times
    facts = [fact.data for fact in await clinic.facts(SessionMoved)]
    assert facts == [SessionMoved(session=2, scheduled=datetime(2026, 1, day, 9, tzinfo=UTC)) for day in (20, 21)]


@pytest.mark.parametrize("given", [{}, {"id": "11111111-2222-4333-8444-555555555555"}], ids=["by key", "by id"])
async def test_who_joins_a_group_that_has_begun_has_a_course_of_their_own(
    clinic: Clinic, given: dict[str, str]
) -> None:
    # given a group of which six sessions are over
    began = NOW - timedelta(weeks=5, days=3)
    times = {str(session): began + timedelta(weeks=session - 1) for session in range(1, 9)}
    sessions = {session: at.isoformat() for session, at in times.items()}
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": sessions, "therapists": []})

    # when somebody is enrolled in it whose session 1 is its session 7, and the same comes again
    enrolment = {**ENROLMENT, **given, "group": "mondays", "sessions": {"1": 7, "2": 8}}
    answers = [await clinic.ask("POST", "/v1/cases", enrolment, key="same") for _ in range(2)]

    # then they have those sessions, by their own numbers, and none that was before they came
    assert {answer.status for answer in answers} == {201}
    assert answers[0].body == answers[1].body
    assert [fact.data for fact in await clinic.facts(SessionScheduled)] == [
        SessionScheduled(session=1, scheduled=times["7"]),
        SessionScheduled(session=2, scheduled=times["8"]),
    ]
    assert len(await clinic.facts(CaseTransferred)) == 1

    # and their case follows that group
    moved = {**sessions, "8": (times["8"] + timedelta(days=1)).isoformat()}
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": moved, "therapists": []})
    assert [fact.data for fact in await clinic.facts(SessionMoved)] == [
        SessionMoved(session=2, scheduled=times["8"] + timedelta(days=1))
    ]

    # and the same with other sessions is refused, or with none
    for named, group in (({"1": 8}, "mondays"), ({}, "mondays"), ({}, None)):
        other = await clinic.ask("POST", "/v1/cases", {**enrolment, "sessions": named, "group": group}, key="same")
        assert other.problem == (409, "key-reused")
    assert len(await clinic.facts(CaseTransferred)) == 1


async def test_who_was_enrolled_under_an_id_joins_no_group_under_it(clinic: Clinic) -> None:
    # given a case that was enrolled without a group, under an id of the client's
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
    enrolment = {**ENROLMENT, "id": "11111111-2222-4333-8444-555555555555"}
    await clinic.ask("POST", "/v1/cases", enrolment)

    # when the id comes again with a group and sessions of it, then that is refused, and the same as before is not
    other = await clinic.ask("POST", "/v1/cases", {**enrolment, "group": "mondays", "sessions": {"1": 7}})
    assert other.problem == (409, "key-reused")
    assert (await clinic.ask("POST", "/v1/cases", enrolment)).status == 201
    assert await clinic.facts(CaseTransferred) == []


async def test_sessions_are_named_of_a_group_and_of_the_protocol(clinic: Clinic) -> None:
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
    for said, pointer in (
        ({"sessions": {"1": 7}}, "/group"),
        ({"group": "mondays", "sessions": {"15": 7}}, "/sessions/15"),
        ({"group": "mondays", "sessions": {"first": 7}}, "/sessions"),
    ):
        refused = await clinic.ask("POST", "/v1/cases", {**ENROLMENT, **said})
        assert (refused.status, refused.pointers) == (422, [pointer])
    assert await clinic.facts() == []


async def test_nobody_joins_a_group_that_is_not_there(clinic: Clinic) -> None:
    # given a case of a group, and a group of another clinic
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {"1": "2026-02-02T09:00:00Z"}, "therapists": []})
    await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": {}, "therapists": []}, clinic="south")
    enrolment = {**ENROLMENT, "group": "mondays"}
    first = await clinic.ask("POST", "/v1/cases", enrolment, key="same")
    case_id, before = first.json["case"], await clinic.facts()
    batch = {"facts": [{"case": case_id, "state": "case-transferred", "group": "tuesdays"}]}

    # when somebody is to join that one, or another one that nobody has entered
    for path, body, pointer in (
        ("/v1/cases", {**ENROLMENT, "number": "1002", "group": "tuesdays"}, "/group"),
        (f"/v1/cases/{case_id}/case-transferred", {"group": "nowhere"}, "/group"),
        ("/v1/facts", batch, "/facts/0/group"),
    ):
        refused = await clinic.ask("POST", path, body)

        # then that is refused
        assert (*refused.problem, refused.pointers) == (422, "unknown-group", [pointer])
    assert await clinic.facts() == before

    # and who has joined a group that is removed since has joined it all the same
    await clinic.ask("POST", f"/v1/cases/{first.json['case']}/case-closed", {"reason": "completed"})
    assert (await clinic.ask("DELETE", "/v1/groups/mondays")).status == 204
    again = await clinic.ask("POST", "/v1/cases", enrolment, key="same")
    assert (again.status, again.body) == (201, first.body)


async def test_a_case_that_moves_to_another_group_by_one_fact_of_several_has_its_sessions_too(clinic: Clinic) -> None:
    # given a group whose session 3 has a time, as has session 2 of a case
    await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": {"3": "2026-02-03T09:00:00Z"}, "therapists": []})
    case_id = await clinic.enrolled()
    stated: list[dict[str, object]] = [
        {"state": "session-scheduled", "session": 2, "scheduled": "2026-01-26T09:00:00Z"},
        {"state": "case-transferred", "group": "tuesdays", "sessions": {"3": 3}},
        {"state": "session-moved", "session": 3, "scheduled": "2026-02-04T09:00:00Z"},
    ]
    facts = [{"case": case_id, **each} for each in stated]

    # when all of that is said at once, twice
    answers = [await clinic.ask("POST", "/v1/facts", {"facts": facts}, key="same") for _ in range(2)]

    # then the sessions follow where the case moves, its own one stays, and it is answered what was said
    assert [(each.status, len(each.json["facts"])) for each in answers] == [(201, 3)] * 2
    assert answers[0].body == answers[1].body
    assert [fact.data for fact in (await clinic.facts())[1:] if fact.source != SOURCE] == [
        SessionScheduled(session=2, scheduled=datetime(2026, 1, 26, 9, tzinfo=UTC)),
        CaseTransferred(group="tuesdays", sessions={"3": 3}),
        SessionScheduled(session=3, scheduled=datetime(2026, 2, 3, 9, tzinfo=UTC)),
        SessionMoved(session=3, scheduled=datetime(2026, 2, 4, 9, tzinfo=UTC)),
    ]


async def test_a_clinic_says_what_its_cases_are_enrolled_with(clinic: Clinic) -> None:
    without = {"number": "1001"}
    refused = await clinic.ask("POST", "/v1/cases", without)
    assert refused.problem == (422, "invalid-body")
    assert refused.pointers == ["/protocol"]
    own = {"protocol": "open-ended", "policy": "gryesten-2023"}
    assert (await clinic.ask("PUT", "/v1/clinic", own)).status == 200
    assert (await clinic.ask("POST", "/v1/cases", without)).status == 201


async def test_therapists_and_groups_are_entered_given_and_removed(clinic: Clinic) -> None:
    anna = {"address": "anna@north.example", "language": "en"}
    assert (await clinic.ask("PUT", "/v1/therapists/anna", anna)).json == {"id": "anna", **anna}
    assert (await clinic.ask("GET", "/v1/therapists/anna")).json == {"id": "anna", **anna}
    assert (await clinic.ask("GET", "/v1/therapists")).json == {"therapists": [{"id": "anna", **anna}]}
    assert (await clinic.ask("GET", "/v1/therapists", clinic="south")).json == {"therapists": []}
    assert (await clinic.ask("DELETE", "/v1/therapists/anna")).status == 204
    assert (await clinic.ask("GET", "/v1/therapists/anna")).problem == (404, "not-found")


@pytest.mark.parametrize("left_out", ["sessions", "therapists"])
async def test_a_group_is_entered_whole(clinic: Clinic, left_out: str) -> None:
    # given a case of a group
    group: dict[str, object] = {"sessions": {"1": "2026-02-02T09:00:00Z"}, "therapists": ["anna"]}
    await clinic.ask("PUT", "/v1/groups/mondays", group)
    await clinic.enrolled(group="mondays")
    before = await clinic.facts()

    # when somebody only means to say who leads it, or when it is
    del group[left_out]
    refused = await clinic.ask("PUT", "/v1/groups/mondays", group)

    # then nothing is taken from it
    assert (*refused.problem, refused.pointers) == (422, "invalid-body", [f"/{left_out}"])
    assert await clinic.facts() == before


async def test_a_group_in_which_a_course_goes_on_is_not_removed(clinic: Clinic) -> None:
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
    case_id = await clinic.enrolled(group="mondays")
    assert (await clinic.ask("DELETE", "/v1/groups/mondays")).problem == (409, "group-in-use")
    assert (await clinic.ask("DELETE", "/v1/groups/mondays", clinic="south")).status == 204
    assert (await clinic.ask("GET", "/v1/groups/mondays")).status == 200
    await clinic.ask("POST", f"/v1/cases/{case_id}/case-closed", {"reason": "completed"})
    assert (await clinic.ask("DELETE", "/v1/groups/mondays")).status == 204
    assert (await clinic.ask("GET", "/v1/groups/mondays")).problem == (404, "not-found")


async def test_who_connects_to_it_reads_back_who_is_in_a_group_and_when_their_sessions_are(clinic: Clinic) -> None:
    # given a group of two clinics by the same name, with a course that goes on, one that ended and one that moved away
    for group, whose in (("mondays", "north"), ("tuesdays", "north"), ("mondays", "south")):
        sessions = {"1": "2026-01-12T09:00:00Z", "2": "2026-01-19T09:00:00Z"}
        await clinic.ask("PUT", f"/v1/groups/{group}", {"sessions": sessions, "therapists": []}, clinic=whose)
    stays, ended, moved = [await clinic.enrolled(number=number, group="mondays") for number in ("1", "2", "3")]
    await clinic.ask("POST", f"/v1/cases/{ended}/case-closed", {"reason": "completed"})
    await clinic.ask("POST", f"/v1/cases/{moved}/case-transferred", {"group": "tuesdays"})

    # when a session of one is moved and another is cancelled
    at = "2026-01-13T10:00:00.000Z"
    await clinic.ask("POST", f"/v1/cases/{stays}/session-moved", {"session": 1, "scheduled": at})
    await clinic.ask("POST", f"/v1/cases/{stays}/session-cancelled", {"session": 2})

    # then the clinic is told of each group who is in it now, and of the case when its sessions are now
    assert (await clinic.ask("GET", "/v1/groups/mondays/cases", role="ehr")).json == {"cases": [stays]}
    assert (await clinic.ask("GET", "/v1/groups/tuesdays/cases", role="ehr")).json == {"cases": [moved]}
    assert (await clinic.ask("GET", f"/v1/cases/{stays}", role="ehr")).json["sessions"] == {"1": at}

    # and another clinic nothing of it
    assert (await clinic.ask("GET", "/v1/groups/mondays/cases", clinic="south")).json == {"cases": []}
    assert (await clinic.ask("GET", "/v1/groups/tuesdays/cases", clinic="south")).problem == (404, "not-found")


async def opened(clinic: Clinic, case_id: str) -> None:
    """Wait until the clock has said that a case is asked for something."""
    async with asyncio.timeout(10):
        while case_id not in {fact.subject for fact in await clinic.facts(OccasionOpened)}:  # noqa: ASYNC110 - a clock
            await asyncio.sleep(0.05)


async def test_whether_it_is_alive_is_told_to_everybody_and_why_it_is_not_to_those_who_are_let_in(
    clinic: Clinic,
) -> None:
    alive = await ask(clinic.app, "GET", "/alive")
    assert (alive.status, alive.json) == (200, {"alive": True})
    assert (await ask(clinic.app, "GET", "/ready")).problem == (401, "no-credential")
    assert (await clinic.ask("GET", "/ready", role="patient-app")).problem == (403, "not-allowed")
    ready = await clinic.ask("GET", "/ready", role="ehr")
    assert (ready.status, ready.json) == (200, {"ready": True, "why": []})


async def test_that_nothing_can_be_recorded_is_told_to_whoever_asks_whether_it_is_ready(clinic: Clinic) -> None:
    # given a file that cannot grow any more
    connection = clinic.home._database.connection  # noqa: SLF001 - a disk that is full
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")

    # when clients enrol patients until there is no room, then they are told to come again
    async with asyncio.timeout(60):
        while (answer := await clinic.ask("POST", "/v1/cases", {**ENROLMENT, "number": uuid4().hex})).status == 201:
            pass
    assert answer.problem == (503, "busy")

    # and whoever asks is told why; whoever starts again what is not alive has no reason to
    ready = await clinic.ask("GET", "/ready", role="ehr")
    assert (ready.status, ready.json["ready"]) == (503, False)
    assert "requests: the data directory cannot be used: database or disk is full" in " ".join(ready.json["why"])
    assert (await ask(clinic.app, "GET", "/alive")).status == 200


async def test_that_a_request_was_not_answered_in_time_is_told_to_whoever_asks_whether_it_is_ready(
    tmp_path: Path,
) -> None:
    # given a door where a request waits for what does not come
    tokens, health = Tokens(tmp_path / TOKENS), Health(waits_for=[])
    secret = tokens.make(Client("the-ehr", "ehr", "north"), NOW)
    api = Api(lambda: None, tokens, health)

    async def waits(_: Asked) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    app = api.app(waits=api.closed(("ehr",), waits, within=0.05))

    # when a client makes it, then it is told to come again
    assert (await ask(app, "GET", "/waits", headers={"authorization": f"Bearer {secret}"})).problem == (503, "busy")

    # and whoever asks is told
    assert (health.ready(), health.alive()) == (["requests: no answer within 0 s"], [])


async def test_what_came_of_mails_is_stated_by_the_mailer_alone_and_for_every_clinic(clinic: Clinic) -> None:
    # given cases of two clinics
    cases = [await clinic.enrolled()]
    answer = await clinic.ask("POST", "/v1/cases", ENROLMENT, clinic="south")
    cases.append(answer.json["case"])
    said = {"notice": FACT, "recipient": "anna", "recipients": ["anna"], "attempts": 1}

    # when the mailer states that a mail was sent
    for place, case_id in enumerate(cases):
        told = {**said, "id": f"{place}{FACT[1:]}"}
        stated = await clinic.ask("POST", f"/v1/cases/{case_id}/notice-sent", told, role="mailer", clinic=EVERY)
        assert (stated.status, stated.json) == (201, {"case": case_id, "fact": told["id"]})

        # then it can ask what is on the log of that notice, and of another one
        known = await clinic.ask("GET", f"/v1/cases/{case_id}/notices/{FACT}", role="mailer", clinic=EVERY)
        where = {"clinic": ("north", "south")[place], "group": None}
        told_of = {"recipients": ["anna"], "settled": ["anna"], "is_over": True}
        assert (known.status, known.json) == (200, {**where, **told_of})
        other = await clinic.ask("GET", f"/v1/cases/{case_id}/notices/{told['id']}", role="mailer", clinic=EVERY)
        assert other.json == {**where, "recipients": [], "settled": [], "is_over": False}
        nothing = await clinic.ask("GET", f"/v1/cases/{case_id}/notices/1,2", role="mailer", clinic=EVERY)
        assert nothing.problem == (404, "not-found")

    # and it can do nothing else, and nobody else can do this
    assert (await clinic.ask("GET", f"/v1/cases/{cases[0]}", role="mailer", clinic=EVERY)).problem[0] == 403
    for role in ("admin", "ehr", "patient-app"):
        refused = await clinic.ask("POST", f"/v1/cases/{cases[0]}/notice-sent", said, role=role)
        assert refused.problem == (403, "not-allowed")
    batch = {"facts": [{**said, "case": cases[0], "state": "notice-sent"}]}
    assert (await clinic.ask("POST", "/v1/facts", batch)).problem == (403, "not-allowed")
    assert len(await clinic.facts(NoticeSent)) == 2
