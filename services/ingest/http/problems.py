"""What the API answers where it does not do what it was asked: problem documents (RFC 9457), without a value."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from services.ingest.domain.admission import ANSWERS, Refusal, RefusalCode
from services.ingest.http.faults import FAULTS_AT_MOST, Fault, faults_in

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 2
"""Seconds after which a client that was told to come again may do so."""

MENDED_AFTER: Final = 60
"""The same where somebody has to mend something first."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. means: what a client has to know and do."""

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
    "send `Content-Type: application/json`, or below `/fhir/` `application/fhir+json`, in UTF-8 and not compressed",
)
KEY_EXPECTED: Final = Kind(
    "idempotency-key-expected",
    HTTPStatus.BAD_REQUEST,
    "An idempotency key was expected",
    "send `Idempotency-Key` with 1 to 200 visible ASCII characters, the same one when the request is repeated",
)
NOT_JSON: Final = Kind(
    "not-json",
    HTTPStatus.BAD_REQUEST,
    "JSON was expected",
    "send one JSON object in UTF-8; half of a character, as of an emoji that was cut, is no text",
)
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
NUMBER_USED: Final = Kind(
    "number-used",
    HTTPStatus.CONFLICT,
    "The number was that of a case that was erased",
    "enrol the patient by another number, such as `1001-2`: nothing more is taken of that case",
)
UNKNOWN_GROUP: Final = Kind(
    "unknown-group",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The clinic has no such group",
    "enter the group first (`PUT /v1/groups/{id}`), or look at its id",
)
GROUP_IN_USE: Final = Kind(
    "group-in-use",
    HTTPStatus.CONFLICT,
    "Courses go on in the group",
    "transfer or close its cases first; their reports would reach nobody",
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

_UNCLEAR_CASE: Final = Kind(
    "case-unclear",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Not all that is recorded of a case is known just now",
    "whoever runs OnTrack has to mend something first; then send the same request again; other cases are taken",
)

REFUSED: Final[Mapping[RefusalCode, Kind]] = MappingProxyType(
    {
        "unknown_case": _UNKNOWN_CASE,
        "case_unclear": _UNCLEAR_CASE,
        "already_enrolled": Kind(
            "already-enrolled",
            HTTPStatus.CONFLICT,
            "The case is enrolled already",
            "go on with that enrolment; who comes for another course has another number, such as `1001-2`",
        ),
        "case_closed": Kind(
            "case-closed",
            HTTPStatus.CONFLICT,
            "The course has ended",
            "only what happened before its end is taken, and what comes of its reports",
        ),
        # Nothing is told of an erased case: it is as if it had never been there, but that its number is not free.
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
            "The case has no such response that counts",
            "name the fact that recording the response gave; what was withdrawn is answered anew",
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
    NUMBER_USED,
    UNKNOWN_GROUP,
    GROUP_IN_USE,
    UNMAPPABLE,
    QUERY,
    BUSY,
    BROKEN,
)


HEADERS: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {
        NO_CREDENTIAL: {"WWW-Authenticate": "Bearer"},
        BUSY: {"Retry-After": str(RETRY_AFTER)},
        _UNCLEAR_CASE: {"Retry-After": str(MENDED_AFTER)},
    }
)
"""What an answer says beside its body."""


class Problem(Exception):
    """A request is not done. Says which kind of problem it is, and where."""

    def __init__(self, kind: Kind, *faults: Fault, headers: Mapping[str, str] | None = None) -> None:
        """Answer with this kind."""
        super().__init__(kind.code)
        self.kind = kind
        self.faults = faults
        self.headers = {**(headers or {}), **HEADERS.get(kind, {})}

    @property
    def lacks_definition(self) -> bool:
        """Whether it is that a definition is not known."""
        return self.kind is REFUSED["definition_unknown"]

    def response(self) -> Response:
        """Give the answer."""
        kind = self.kind
        body: dict[str, Any] = {
            "type": kind.uri,
            "title": kind.title,
            "status": int(kind.status),
            "detail": kind.means,
        }
        if self.faults:
            body["errors"] = [fault._asdict() for fault in self.faults[:FAULTS_AT_MOST]]
        return Response(orjson.dumps(body), kind.status, self.headers, MEDIA_TYPE)


def refused(refusals: Sequence[tuple[str, Refusal]]) -> Problem:
    """Tell why facts are refused. refusals: each with the pointer of what the fact was made from."""
    _, first = refusals[0]
    faults = [_fault(pointer, refusal) for pointer, refusal in refusals if refusal.code == first.code]
    return Problem(REFUSED[first.code], *faults)


def _fault(pointer: str, refusal: Refusal) -> Fault:
    match refusal:
        case Refusal("id_reused"):
            return Fault(pointer, "a key or an id of its own; a response is changed by response-corrected")
        case Refusal("answers_invalid", field, expected) if field != ANSWERS:
            return Fault(f"{pointer}/{ANSWERS}/{field}", expected)
        case Refusal("already_enrolled", _, expected):
            return Fault(f"{pointer}/number", expected)
        case Refusal(_, "case", expected) if not pointer:
            # The path names the case, and no place in the body.
            return Fault("", expected)
        case Refusal(_, field, expected):
            return Fault(f"{pointer}/{field}", expected)


def invalid(
    error: ValidationError, fields: Collection[str], *, within: Collection[str] = (), pointer: str = ""
) -> Problem:
    """Tell what is wrong with a body.

    fields, within: what its fields and what is within them can be called; any other name could be an answer
    """
    return Problem(INVALID, *faults_in(error, fields, within, pointer))
