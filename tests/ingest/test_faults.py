"""What is said of a body that is not as expected: the very place, in words, and nothing that was in it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from contracts.events.facts import SessionAttended
from services.ingest.http.faults import FORMS
from services.ingest.http.openapi import document
from tests.support.open_clinic import ENROLMENT, RESPONSE, Clinic

UUID: Final = "9d1c6a52-0d1b-5c8e-8f57-2d7b3c5f9e20"
A_SESSION: Final = "a session: a number from 0 to 999, or individual-1 to individual-9"
A_MOMENT: Final = "a moment such as 2026-01-05T08:30:00Z"
OF_A_SESSION: Final = "a moment from 1990 to 2199"
BEYOND: Final = (
    "0001-01-01T00:00:00Z",
    "1989-12-31T23:59:59.999Z",
    "2200-01-01T00:00:00Z",
    "9999-12-31T23:59:00Z",
)
BASELINE: Final = {"instrument": "odsis", "scale": "total", "reason": "a try", "by": "anna"}
FIELDS: Final = "no other fields than answered_at, answers, comment, id, instrument, session"


def answered(**changed: object) -> Mapping[str, Any]:
    """A response, in which something is otherwise."""
    return {**RESPONSE, **changed}


@pytest.mark.parametrize(
    ("state", "body", "expected"),
    [
        ("response-submitted", answered(answers={**RESPONSE["answers"], "intensity": "3"}), ["/answers/intensity"]),
        ("response-submitted", answered(answers={**RESPONSE["answers"], "intensity": 1.5}), ["/answers/intensity"]),
        ("response-corrected", {"response": UUID, "answers": {"intensity": None}}, ["/answers/intensity"]),
        ("response-submitted", answered(answers={"a secret": "3"}), ["/answers"]),
        ("response-submitted", answered(answers={"3": "a secret"}), ["/answers"]),
        ("case-transferred", {"group": "b", "sessions": {"3": "4"}}, ["/sessions/3"]),
        ("case-transferred", {"group": "b", "sessions": {"the third": 4}}, ["/sessions"]),
        ("session-moved", {"session": 3, "scheduled": {"secret": 1}}, ["/scheduled"]),
    ],
)
async def test_the_very_place_is_named_where_its_name_is_no_secret(
    clinic: Clinic, state: str, body: Mapping[str, Any], expected: list[str]
) -> None:
    refused = await clinic.ask("POST", f"/v1/cases/{await clinic.enrolled()}/{state}", body)
    assert refused.problem == (422, "invalid-body")
    assert set(expected) <= set(refused.pointers)
    assert b"secret" not in refused.body
    assert b"third" not in refused.body


@pytest.mark.parametrize(
    ("state", "body", "expected"),
    [
        *(
            ("response-submitted", answered(session=session), [("/session", A_SESSION)])
            for session in (-1, 1000, 1.5, "first", None, [1])
        ),
        (
            "policy-changed",
            {"policy": "gryesten-2023", "from_session": "individual-1", "reason": "a try", "by": "anna"},
            [("/from_session", "a whole number, written without a point")],
        ),
        ("response-submitted", answered(smoking=1, drinking=2), [("", FIELDS)]),
        *(
            ("response-submitted", answered(answered_at=moment), [("/answered_at", A_MOMENT)])
            for moment in (
                "1764315000",
                "2026-01-05",
                1764315000,
                "yesterday",
                "-1-01-05T07:30:00Z",
                "2026-13-05T07:30:00.000Z",
                "Anna Ha-aaTsuicide!.xyzZ",
            )
        ),
        ("response-submitted", answered(answered_at="0001-01-01T00:00:00Z"), [("/answered_at", "a moment since 1990")]),
        ("session-attended", {"session": 1, "at": "1820-01-05T07:30:00Z"}, [("/at", "a moment since 1990")]),
        ("session-attended", {"session": 1, "at": "1764315000"}, [("/at", A_MOMENT)]),
        *(
            (state, {"session": 1, "scheduled": moment}, [("/scheduled", OF_A_SESSION)])
            for state in ("session-scheduled", "session-moved")
            for moment in BEYOND
        ),
        (
            "response-submitted",
            answered(answers={**RESPONSE["answers"], "intensity": 2.0}),
            [("/answers/intensity", "a whole number, written without a point; for yes 1, for no 0")],
        ),
        (
            "response-submitted",
            answered(answers={**RESPONSE["answers"], "intensity": True}),
            [("/answers/intensity", "a whole number, written without a point; for yes 1, for no 0")],
        ),
        *(
            ("baseline-set", {**BASELINE, "value": value}, [("/value", expected)])
            for value, expected in (
                (1e30, "a number of at most 12 digits"),
                (2.34567, "a number with at most 4 digits behind its point"),
                ("NaN", "a number"),
            )
        ),
        ("report-seen", {"report": "7", "by": "anna"}, [("/report", "a UUID in small letters")]),
        (
            "report-seen",
            {"report": UUID, "by": "Anna Berg"},
            [("/by", "letters a to z, digits and . _ : - alone, the first a letter or a digit")],
        ),
    ],
)
async def test_what_was_expected_is_said_in_words(
    clinic: Clinic, state: str, body: Mapping[str, Any], expected: list[tuple[str, str]]
) -> None:
    refused = await clinic.ask("POST", f"/v1/cases/{await clinic.enrolled()}/{state}", body)
    assert refused.problem == (422, "invalid-body")
    assert [(each["pointer"], each["expected"]) for each in refused.json["errors"]] == expected


@pytest.mark.parametrize(
    ("path", "beside", "pointer"),
    [
        ("/v1/groups/mondays", {"id": "tuesdays"}, "/id"),
        ("/v1/groups/mondays", {"clinic": "south"}, "/clinic"),
        ("/v1/clinic", {"id": "south"}, "/id"),
        ("/v1/clinic", {"clinic": "south"}, "/clinic"),
    ],
)
async def test_what_is_said_of_another_entry_takes_no_place(
    clinic: Clinic, path: str, beside: Mapping[str, Any], pointer: str
) -> None:
    # given an entry
    said = {} if path == "/v1/clinic" else {"sessions": {"1": "2026-01-12T09:00:00.000Z"}, "therapists": []}
    entered = await clinic.ask("PUT", path, said)
    assert entered.status == 200

    # when something is put there that says it is another one, then it is refused, and the entry is as it was
    refused = await clinic.ask("PUT", path, {**said, "therapists": [], **beside})
    assert (*refused.problem, refused.pointers) == (422, "invalid-body", [pointer])
    assert (await clinic.ask("GET", path)).json == entered.json

    # and what is given can be put back as it is
    assert (await clinic.ask("PUT", path, entered.json)).json == entered.json


async def test_nothing_beside_the_facts_of_a_request_is_passed_over(clinic: Clinic) -> None:
    # when somebody says of several facts at once when they happened, then it is told that each says so by itself
    attended = {"case": await clinic.enrolled(), "state": "session-attended", "session": 1}
    refused = await clinic.ask("POST", "/v1/facts", {"facts": [attended], "at": "2026-01-05T07:30:00Z"})
    assert refused.problem == (422, "invalid-body")
    assert refused.json["errors"] == [{"pointer": "", "expected": "no other fields than facts"}]
    assert await clinic.facts(SessionAttended) == []


@pytest.mark.parametrize("name", ["Monday evening", "x" * 65, "-a"])
async def test_who_enters_something_by_what_can_be_no_id_is_told_what_can(clinic: Clinic, name: str) -> None:
    refused = await clinic.ask("PUT", f"/v1/groups/{name}", {"sessions": {}, "therapists": []})
    assert refused.problem == (404, "not-found")
    assert "an id of at most 64 letters a to z" in refused.json["errors"][0]["expected"]


async def test_every_session_of_a_group_that_lies_beyond_reason_is_named(clinic: Clinic) -> None:
    # given a group that is entered
    entered = await clinic.ask(
        "PUT", "/v1/groups/mondays", {"sessions": {"1": "2026-01-12T09:00:00Z"}, "therapists": []}
    )
    assert entered.status == 200

    # when it is to have sessions that nobody can mean, and one that can be
    said = {str(session): moment for session, moment in enumerate(BEYOND, start=2)}
    refused = await clinic.ask(
        "PUT", "/v1/groups/mondays", {"sessions": {"1": "2026-01-19T09:00:00Z", **said}, "therapists": []}
    )

    # then each of them is named, and the group is as it was
    assert refused.problem == (422, "invalid-body")
    assert [(each["pointer"], each["expected"]) for each in refused.json["errors"]] == [
        (f"/sessions/{session}", OF_A_SESSION) for session in said
    ]
    assert (await clinic.ask("GET", "/v1/groups/mondays")).json == entered.json


@pytest.mark.parametrize("moment", ["1990-01-01T00:00:00.000Z", "2199-12-31T23:59:59.999Z"])
async def test_a_session_can_be_at_the_ends_of_what_is_within_reason(clinic: Clinic, moment: str) -> None:
    case_id = await clinic.enrolled()
    planned = {"session": 1, "scheduled": moment}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/session-scheduled", planned)).status == 201
    assert (await clinic.ask("PUT", "/v1/groups/mondays", {"sessions": {"1": moment}, "therapists": []})).status == 200


async def test_every_form_that_a_text_has_to_have_can_be_said_in_words() -> None:
    assert set(patterns(document()["components"]["schemas"])) <= {*FORMS, *NO_TEXT_OF_A_REQUEST}


NO_TEXT_OF_A_REQUEST: Final = (
    "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",  # a case in a batch, which is looked at before
    r"^-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?$",  # a decimal, of which is said that a number was expected
)


def patterns(schema: object) -> Iterator[str]:
    """The patterns within a schema."""
    match schema:
        case dict():
            if isinstance(schema.get("pattern"), str):
                yield schema["pattern"]
            for each in schema.values():
                yield from patterns(each)
        case list():
            for each in schema:
                yield from patterns(each)


@pytest.mark.parametrize(
    "number", ["10\x1b[31m01", "1001\n", "10\u202e01", "10\u200b01", " 1001", "1001 ", "", "1" * 101]
)
async def test_a_number_holds_only_what_can_be_seen(clinic: Clinic, number: str) -> None:
    refused = await clinic.ask("POST", "/v1/cases", {**ENROLMENT, "number": number})
    assert (*refused.problem, refused.pointers) == (422, "invalid-body", ["/number"])
    assert "can be seen" in refused.json["errors"][0]["expected"]


@pytest.mark.parametrize("number", ["1", "12 34", "Å-1001/b", "1" * 100])
async def test_a_number_can_be_whatever_the_clinic_writes(clinic: Clinic, number: str) -> None:
    assert (await clinic.ask("POST", "/v1/cases", {**ENROLMENT, "number": number})).status == 201


async def test_everything_that_is_wrong_with_a_clinic_is_said_at_once(clinic: Clinic) -> None:
    unknown = await clinic.ask("PUT", "/v1/clinic", {"protocol": "nonsense", "policy": "none"})
    assert (*unknown.problem, unknown.pointers) == (422, "unknown-definition", ["/protocol", "/policy"])
    wrong = await clinic.ask("PUT", "/v1/clinic", {"protocol": "nonsense", "zone": "Europe/Atlantis", "language": "x"})
    assert (*wrong.problem, wrong.pointers) == (422, "invalid-body", ["/zone", "/language"])
    assert wrong.json["errors"][0]["expected"] == "a time zone such as Europe/Copenhagen"


@pytest.mark.parametrize(
    ("media_type", "encoding"),
    [
        ("application/json; charset=iso-8859-1", "identity"),
        ("application/json", "gzip"),
        ("application/json", "br, gzip"),
    ],
)
async def test_a_body_in_another_encoding_is_of_another_media_type(
    clinic: Clinic, media_type: str, encoding: str
) -> None:
    refused = await clinic.ask("POST", "/v1/cases", ENROLMENT, content_type=media_type, content_encoding=encoding)
    assert refused.problem == (415, "wrong-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=UTF-8", 'application/json;charset="utf-8"'])
async def test_a_body_can_say_that_it_is_in_utf_8(clinic: Clinic, media_type: str) -> None:
    assert (await clinic.ask("POST", "/v1/cases", ENROLMENT, content_type=media_type)).status == 201


async def test_moments_are_answered_as_they_stand_on_the_log(clinic: Clinic) -> None:
    case_id = await clinic.enrolled()
    closed = {"reason": "completed", "at": "2026-01-05T08:00:00+01:00"}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/case-closed", closed)).status == 201
    assert (await clinic.ask("GET", f"/v1/cases/{case_id}")).json["closed"] == "2026-01-05T07:00:00.000Z"
