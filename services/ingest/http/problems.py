"""What the API answers where it does not do what it was asked: problem documents (RFC 9457), without a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response

from services.ingest.domain.admission import ANSWERS, Refusal, RefusalCode

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 2
"""Seconds after which a client that was told to come again may do so."""

FAULTS_AT_MOST: Final = 50


class Fault(NamedTuple):
    """What is wrong in a request. pointer: where (RFC 6901); expected: what should be there, never what is."""

    pointer: str
    expected: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. means: what a client has to know and do, for the documentation."""

    code: str
    status: HTTPStatus
    title: str
    means: str

    @property
    def uri(self) -> str:
        """Name the kind as problem documents do."""
        return f"urn:ontrack:problem:{self.code}"


NO_CREDENTIAL: Final = Kind(
    "no-credential", HTTPStatus.UNAUTHORIZED, "A credential was expected", "send `Authorization: Bearer TOKEN`"
)
NOT_ALLOWED: Final = Kind(
    "not-allowed", HTTPStatus.FORBIDDEN, "The client's role does not include this", "use a client with another role"
)
NOT_FOUND: Final = Kind("not-found", HTTPStatus.NOT_FOUND, "Nothing is there", "look at the path")
METHOD: Final = Kind(
    "wrong-method", HTTPStatus.METHOD_NOT_ALLOWED, "Another method was expected", "the header `Allow` names them"
)
TOO_LARGE: Final = Kind(
    "body-too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large", "send less at a time"
)
TOO_SLOW: Final = Kind(
    "body-too-slow", HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time", "send the same request again"
)
MEDIA: Final = Kind(
    "wrong-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "Another media type was expected",
    "send `Content-Type: application/json`, or below `/fhir/` `application/fhir+json`",
)
KEY_EXPECTED: Final = Kind(
    "idempotency-key-expected",
    HTTPStatus.BAD_REQUEST,
    "An idempotency key was expected",
    "send `Idempotency-Key` with 1 to 200 visible ASCII characters, the same one when the request is repeated",
)
NOT_JSON: Final = Kind("not-json", HTTPStatus.BAD_REQUEST, "JSON was expected", "send one JSON object in UTF-8")
INVALID: Final = Kind(
    "invalid-body",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The body is not what was expected",
    "`errors` names each field and what was expected there",
)
UNMAPPABLE: Final = Kind(
    "unmappable-resource",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The resource is no response that can be taken",
    "the issues of the outcome name each place and what was expected there",
)
UNKNOWN_GROUP: Final = Kind(
    "unknown-group",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The clinic has no such group",
    "enter the group first (`PUT /v1/groups/{id}`), or look at its id",
)
QUERY: Final = Kind(
    "wrong-query",
    HTTPStatus.BAD_REQUEST,
    "Another query was expected",
    "search by what the documentation names, and by nothing else",
)
BUSY: Final = Kind(
    "busy",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Nothing can be recorded just now",
    "send the same request again after the seconds that `Retry-After` names; nothing is recorded twice",
)
BROKEN: Final = Kind(
    "fault", HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of OnTrack", "tell who runs it; its log says where"
)

_UNKNOWN_CASE: Final = Kind(
    "unknown-case", HTTPStatus.NOT_FOUND, "The case is not known", "enrol it first, or look at its id"
)

REFUSED: Final[Mapping[RefusalCode, Kind]] = MappingProxyType(
    {
        "unknown_case": _UNKNOWN_CASE,
        "already_enrolled": Kind(
            "already-enrolled", HTTPStatus.CONFLICT, "The case is enrolled already", "go on with that enrolment"
        ),
        "case_closed": Kind(
            "case-closed",
            HTTPStatus.CONFLICT,
            "The course has ended",
            "only what happened before its end is taken, and what comes of its reports",
        ),
        # Nothing is told of an erased case: it is as if it had never been there.
        "case_erased": _UNKNOWN_CASE,
        "definition_unknown": Kind(
            "unknown-definition",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "A definition is not known",
            "name an instrument, protocol or policy, in a version, that has been published on the log",
        ),
        "session_outside_protocol": Kind(
            "wrong-session",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The course has no such session",
            "name a session of the case's protocol",
        ),
        "answers_invalid": Kind(
            "answers-invalid",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The answers do not fit the instrument",
            "`errors` names each item that is out of range, missing or unknown",
        ),
        "baseline_invalid": Kind(
            "baseline-invalid",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The baseline does not fit the instrument",
            "name one of its scales, and a value that this can have",
        ),
        "occasion_answered": Kind(
            "already-answered",
            HTTPStatus.CONFLICT,
            "This was answered before, and that stands",
            "correct or withdraw the response that is there",
        ),
        "unknown_response": Kind(
            "unknown-response",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The case has no such response",
            "name the fact that recording the response gave",
        ),
        "id_reused": Kind(
            "key-reused",
            HTTPStatus.CONFLICT,
            "The key was used before, for something else",
            "use a key of its own for each request; what was recorded first stands",
        ),
    }
)

KINDS: Final[Sequence[Kind]] = (
    NO_CREDENTIAL,
    NOT_ALLOWED,
    NOT_FOUND,
    METHOD,
    TOO_LARGE,
    TOO_SLOW,
    MEDIA,
    KEY_EXPECTED,
    NOT_JSON,
    INVALID,
    *dict.fromkeys(REFUSED.values()),
    UNKNOWN_GROUP,
    UNMAPPABLE,
    QUERY,
    BUSY,
    BROKEN,
)


_HEADERS: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {NO_CREDENTIAL: {"WWW-Authenticate": "Bearer"}, BUSY: {"Retry-After": str(RETRY_AFTER)}}
)


class Problem(Exception):
    """A request is not done. Says which kind of problem it is, and where."""

    def __init__(self, kind: Kind, *faults: Fault, headers: Mapping[str, str] | None = None) -> None:
        """Answer with this kind."""
        super().__init__(kind.code)
        self.kind = kind
        self.faults = faults
        self.headers = {**(headers or {}), **_HEADERS.get(kind, {})}

    def response(self) -> Response:
        """Give the answer."""
        body: dict[str, Any] = {"type": self.kind.uri, "title": self.kind.title, "status": int(self.kind.status)}
        if self.faults:
            body["errors"] = [fault._asdict() for fault in self.faults[:FAULTS_AT_MOST]]
        return Response(orjson.dumps(body), self.kind.status, self.headers, MEDIA_TYPE)


def refused(refusals: Sequence[tuple[str, Refusal]]) -> Problem:
    """Tell why facts are refused. refusals: each with the pointer of what the fact was made from."""
    _, first = refusals[0]
    faults = [
        Fault(f"{pointer}/{_place(refusal)}", refusal.expected)
        for pointer, refusal in refusals
        if refusal.code == first.code
    ]
    return Problem(REFUSED[first.code], *faults)


def _place(refusal: Refusal) -> str:
    is_item = refusal.code == "answers_invalid" and refusal.field != ANSWERS
    return f"{ANSWERS}/{refusal.field}" if is_item else refusal.field


def invalid(error: ValidationError, names: frozenset[str], pointer: str = "") -> Problem:
    """Tell what is wrong with a body. names: what a field can be called; anything else could be an answer."""
    return Problem(INVALID, *(_fault(details, names, pointer) for details in error.errors(include_url=False)))


def _fault(details: ErrorDetails, names: frozenset[str], pointer: str) -> Fault:
    place = pointer
    for step in details["loc"]:
        if isinstance(step, str) and step not in names:
            break
        place += f"/{_escaped(str(step))}"
    return Fault(place, _expected(details))


def _expected(details: ErrorDetails) -> str:
    """Say what was expected, in words that hold nothing of the request."""
    match details["type"]:
        case "missing":
            return "a value: it is missing"
        case "extra_forbidden":
            return "no other fields than the documented ones"
        case kind:
            context = details.get("ctx", {})
            allowed = {name: context[name] for name in _TELLABLE if name in context}
            return _WORDS.get(kind, "another value: see the documentation").format(**allowed)


_TELLABLE: Final = ("pattern", "max_length", "min_length", "ge", "le", "gt", "lt", "expected")
_WORDS: Final = MappingProxyType(
    {
        "string_type": "a text",
        "string_pattern_mismatch": "a text of the form {pattern}",
        "string_too_long": "a text of at most {max_length} characters",
        "string_too_short": "a text of at least {min_length} characters",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "int_parsing": "a whole number",
        "bool_type": "true or false",
        "decimal_type": "a number",
        "decimal_parsing": "a number",
        "greater_than_equal": "at least {ge}",
        "less_than_equal": "at most {le}",
        "greater_than": "more than {gt}",
        "less_than": "less than {lt}",
        "literal_error": "{expected}",
        "dict_type": "an object",
        "model_type": "an object",
        "list_type": "a list",
        "tuple_type": "a list",
        "too_long": "at most {max_length} entries",
        "too_short": "at least {min_length} entries",
        "datetime_type": "a moment such as 2026-01-05T08:30:00Z",
        "datetime_parsing": "a moment such as 2026-01-05T08:30:00Z",
        "datetime_from_date_parsing": "a moment such as 2026-01-05T08:30:00Z",
        "timezone_aware": "a moment with its offset from UTC, such as 2026-01-05T08:30:00Z",
    }
)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
