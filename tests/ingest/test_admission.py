"""What cannot be true of a case is refused when it is stated, with a code of its own, and nothing of it is recorded."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from contracts.events.event import new_fact
from contracts.events.facts import CaseEnrolled, SessionCancelled, SessionMoved, SessionScheduled
from services.ingest.domain.admission import is_reused
from services.ingest.domain.clock import SOURCE
from services.ingest.domain.register import Registered, Unclear
from tests.support.open_clinic import RESPONSE, Clinic
from tests.support.workbench import cases_of

REPORT: Final = "9d1c6a52-0d1b-5c8e-8f57-2d7b3c5f9e20"
SOON: Final = "2026-02-02T09:00:00Z"
WHY: Final = {"reason": "a try", "by": "anna"}
BASELINE: Final = {"instrument": "odsis", "scale": "total", "value": "12", **WHY}
POLICY: Final = {"policy": "gryesten-2023-window", "from_session": 2, **WHY}
OF_THE_COURSE: Final[Mapping[str, Mapping[str, Any]]] = {
    "session-scheduled": {"session": 3, "scheduled": SOON},
    "session-moved": {"session": 3, "scheduled": SOON},
    "session-cancelled": {"session": 3},
    "session-attended": {"session": 3},
    "session-absent": {"session": 3},
    "baseline-set": BASELINE,
    "policy-changed": POLICY,
    "case-transferred": {"group": "mondays"},
    "problem-named": {"problem": 1, "text": "the nights"},
    "needs-stated": {"seen_by": "patient", "needs": [], "by": "anna"},
}
OF_A_REPORT: Final[Mapping[str, Mapping[str, Any]]] = {
    "report-seen": {"report": REPORT, "by": "anna"},
    "report-discussed": {"report": REPORT, "by": "anna"},
    "needs-stated": {"report": REPORT, "seen_by": "therapist", "needs": [], "by": "anna"},
    "action-chosen": {"report": REPORT, "action": "wait", "by": "anna", "patient_agreed": True},
    "report-closed": {"report": REPORT, "by": "anna"},
}
OUTSIDE: Final = [
    *((state, {**OF_THE_COURSE[state], "session": 500}, "/session") for state in OF_THE_COURSE if "session-" in state),
    ("session-attended", {"session": "individual-9"}, "/session"),
    ("policy-changed", {**POLICY, "from_session": 15}, "/from_session"),
    ("case-transferred", {"group": "mondays", "sessions": {"3": 1, "15": 2}}, "/sessions/15"),
]


@pytest.mark.parametrize(("state", "body", "pointer"), OUTSIDE)
async def test_what_is_said_of_a_session_that_the_course_does_not_have_is_refused(
    clinic: Clinic, state: str, body: Mapping[str, Any], pointer: str
) -> None:
    # given a case whose course has 14 sessions, and one whose course is open
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
    counted, endless = await clinic.enrolled(), await clinic.enrolled(number="1002", protocol="open-ended")
    before = len(await clinic.facts())

    # when something is said of a session beyond
    refused = await clinic.ask("POST", f"/v1/cases/{counted}/{state}", body)

    # then it is refused for the first, and taken for the second
    assert (*refused.problem, refused.pointers) == (422, "wrong-session", [pointer])
    assert len(await clinic.facts()) == before
    assert (await clinic.ask("POST", f"/v1/cases/{endless}/{state}", body)).status == 201


@pytest.mark.parametrize("state", OF_THE_COURSE)
async def test_of_a_course_that_has_ended_only_what_happened_before_is_taken(clinic: Clinic, state: str) -> None:
    # given a course that has ended
    await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {}, "therapists": []})
    path = f"/v1/cases/{await clinic.enrolled()}/"
    closed = {"reason": "completed", "at": "2026-01-05T07:00:00Z"}
    assert (await clinic.ask("POST", f"{path}case-closed", closed)).status == 201

    # when something is said to have happened since, or nobody says when
    for at in ({"at": "2026-01-05T07:30:00Z"}, {}):
        refused = await clinic.ask("POST", path + state, {**OF_THE_COURSE[state], **at})

        # then it is refused
        assert (*refused.problem, refused.pointers) == (409, "case-closed", ["/at"])

    # and what happened before is taken
    told_late = {**OF_THE_COURSE[state], "at": "2026-01-05T06:30:00Z"}
    assert (await clinic.ask("POST", path + state, told_late)).status == 201


async def test_what_comes_of_the_reports_and_the_responses_of_a_course_goes_on_after_its_end(clinic: Clinic) -> None:
    # given a course that was answered and has ended
    path = f"/v1/cases/{await clinic.enrolled()}/"
    response = (await clinic.ask("POST", f"{path}response-submitted", RESPONSE)).json["fact"]
    assert (await clinic.ask("POST", f"{path}case-closed", {"reason": "completed"})).status == 201
    clinic.clock.time = clinic.clock.time.replace(hour=12)

    # then its reports are read and talked about, and a slip in a response is mended
    slip = {"response": response, "answers": dict.fromkeys(RESPONSE["answers"], 1), **WHY}
    for state, body in {**OF_A_REPORT, "response-corrected": slip}.items():
        assert (await clinic.ask("POST", path + state, body)).status == 201, state


async def test_a_course_ends_once(clinic: Clinic) -> None:
    path = f"/v1/cases/{await clinic.enrolled()}/case-closed"
    closed = await clinic.ask("POST", path, {"reason": "completed"}, key="same")
    for at in ({}, {"at": "2026-01-04T08:00:00Z"}):
        again = await clinic.ask("POST", path, {"reason": "other", **at})
        assert (*again.problem, again.pointers) == (409, "case-closed", [""])
    assert (await clinic.ask("POST", path, {"reason": "completed"}, key="same")).json == closed.json


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"instrument": "nonsense"}, ("unknown-definition", "/instrument")),
        ({"instrument": "gryesten-2023"}, ("unknown-definition", "/instrument")),
        ({"scale": "nonsense"}, ("baseline-invalid", "/scale")),
        ({"value": "900"}, ("baseline-invalid", "/value")),
        ({"value": "-1"}, ("baseline-invalid", "/value")),
        ({"value": "20.5"}, ("baseline-invalid", "/value")),
    ],
)
async def test_a_baseline_that_no_instrument_can_have_is_refused(
    clinic: Clinic, change: Mapping[str, str], expected: tuple[str, str]
) -> None:
    path = f"/v1/cases/{await clinic.enrolled()}/baseline-set"
    refused = await clinic.ask("POST", path, {**BASELINE, **change})
    assert (refused.problem, refused.pointers) == ((422, expected[0]), [expected[1]])
    assert not any(value.encode() in refused.body for value in ("nonsense", "900", "20.5"))
    for value in ("0", "12.25", "20"):
        assert (await clinic.ask("POST", path, {**BASELINE, "value": value})).status == 201


async def test_of_the_sessions_of_a_group_a_case_has_those_of_its_course(clinic: Clinic) -> None:
    # given groups that go on for longer than the course of a case that joins one, and then the other
    days = {"14": "2026-02-02T09:00:00Z", "15": "2026-02-09T09:00:00Z"}
    for group in ("mondays", "tuesdays"):
        await clinic.ask("PUT", f"/v1/groups/{group}", {"sessions": days, "therapists": []})
    case_id = await clinic.enrolled(group="mondays")
    moved = await clinic.ask("POST", f"/v1/cases/{case_id}/case-transferred", {"group": "tuesdays"})
    assert moved.status == 201

    # when all sessions of the group get other times, and then those that are left
    later = {name: day.replace("T09", "T10") for name, day in days.items()}
    for sessions in (later, {}):
        assert (await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": sessions, "therapists": []})).status == 200

    # then only that of its course was ever said of the case
    said = [fact.data for fact in await clinic.facts() if fact.source != SOURCE][1:]
    found = [each.session for each in said if isinstance(each, SessionScheduled | SessionMoved | SessionCancelled)]
    assert found == [14, 14, 14]


async def test_where_a_definition_is_not_known_yet_that_another_process_has_published_one_comes_again(
    clinic: Clinic,
) -> None:
    # given a case that another process has enrolled by a protocol that it has published a moment ago
    (case_id,) = cases_of(0, 1)
    data = CaseEnrolled(clinic="north", protocol=f"newest@1#{'0' * 64}", policy=f"newest@1#{'1' * 64}")
    enrolled = new_fact(data, case_id=case_id, fact_id=REPORT, source="urn:test", happened=clinic.clock.time)
    await clinic.home.intake.take_over([enrolled])

    # when something is said of one of its sessions, then whoever says that is told to come again
    answer = await clinic.ask("POST", f"/v1/cases/{case_id}/session-attended", {"session": 1})
    assert answer.problem == (503, "busy")


@pytest.mark.parametrize(
    ("stated", "is_so"),
    [((), False), (("a",), True), (("a", "b"), False), (("a", "b", "c"), True)],
    ids=["nothing", "less", "the same", "more"],
)
def test_a_key_that_has_stated_less_or_more_of_a_case_is_reused(stated: tuple[str, ...], is_so: bool) -> None:
    facts = dict.fromkeys(stated, "digest")
    assert is_reused(Registered(facts=facts), ["a", "b", "c"]) == is_so
    # Of a case of which not all is known, less may be what is known of the same.
    assert is_reused(Unclear(facts=facts), ["a", "b", "c"]) == (len(stated) == 3)
