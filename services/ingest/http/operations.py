"""The operations of the API, as one table of data from which its paths and its documentation are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.events.facts import CaseTransferred
from contracts.events.fields import CountedSession, DefinitionRef, EventId, Instant, Name, Session, SessionName
from services.ingest.access import ROLES, Role
from services.ingest.http import problems
from services.ingest.http.problems import REFUSED, Kind
from services.ingest.statements import CLIENTS, MAILER, STAFF, STATEMENTS
from services.runtime.directory.port import NUMBER_FORM
from services.runtime.roster.port import Clinic, Entry, Group, Therapist

ADMIN: Final[Sequence[Role]] = ("admin",)
BATCH_AT_MOST: Final = 500

Method = Literal["GET", "POST", "PUT", "DELETE"]
Number = Annotated[str, Field(pattern=NUMBER_FORM)]
CaseId = Name
"""What a case is called outside the clinic: it says nothing of whose it is."""


class Body(BaseModel):
    """Something that a request or an answer holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Enrolment(Body):
    """What begins a course.

    number: the clinic's own number of the patient; it is kept in the directory only
    group: whose sessions become those of the case; protocol, policy: the clinic's, if they are not named
    sessions: session of the case's own course -> session of the group, of who joins a group that has begun
    """

    number: Number
    group: Name | None = None
    sessions: dict[SessionName, CountedSession] = {}
    protocol: Annotated[str, Field(max_length=160)] | None = None
    policy: Annotated[str, Field(max_length=160)] | None = None
    at: Instant | None = None
    id: EventId | None = None


class Numbered(Body):
    """A patient, by the clinic's own number."""

    number: Number


class CaseFound(Body):
    """The id of a case."""

    case: CaseId


class Recorded(Body):
    """A fact that is on the log. fact: its id, by which a response is corrected or withdrawn."""

    case: CaseId
    fact: EventId


class AllRecorded(Body):
    """Facts that are on the log, in the order of the request."""

    facts: tuple[Recorded, ...]


class CaseShown(Body):
    """How a case stands.

    closed: when its course ended, if it has
    sessions: when they are or were; what was cancelled is not there
    """

    case: CaseId
    group: Name | None
    protocol: DefinitionRef
    policy: DefinitionRef
    closed: Instant | None
    sessions: dict[SessionName, Instant]


class GroupCases(Body):
    """The cases whose courses go on in a group."""

    cases: tuple[CaseId, ...]


class NoticeTold(Body):
    """What came of a notice.

    clinic, group: where its case is now
    recipients: everybody to whom it goes; settled: those to whom it was sent, or of whom it was given up
    """

    clinic: Name
    group: Name | None
    recipients: tuple[Name, ...]
    settled: tuple[Name, ...]
    is_over: bool


class OccasionShown(Body):
    """A questionnaire that is asked for, and until when."""

    session: Session
    instrument: DefinitionRef
    opens: Instant
    closes: Instant


class OpenShown(Body):
    """What a patient is asked for now."""

    case: CaseId
    occasions: tuple[OccasionShown, ...]


class Resource(BaseModel):
    """A resource of FHIR R4 (4.0.1), which says what else it has."""

    model_config = ConfigDict(extra="allow")


class QuestionnaireResponse(Resource):
    """The answers to one questionnaire (FHIR R4)."""

    resourceType: Literal["QuestionnaireResponse"]  # noqa: N815 - FHIR's own name


class Questionnaire(Resource):
    """A questionnaire, with neutral labels (FHIR R4)."""

    resourceType: Literal["Questionnaire"]  # noqa: N815 - FHIR's own name


class Bundle(Resource):
    """What a search found (FHIR R4)."""

    resourceType: Literal["Bundle"]  # noqa: N815 - FHIR's own name


class OperationOutcome(Resource):
    """What became of a request, and where something was not as expected (FHIR R4)."""

    resourceType: Literal["OperationOutcome"]  # noqa: N815 - FHIR's own name


class CapabilityStatement(Resource):
    """What the server does (FHIR R4)."""

    resourceType: Literal["CapabilityStatement"]  # noqa: N815 - FHIR's own name


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    name: by which its handler is found; does: what it is for, in a sentence
    body: what a request brings; without: fields of it that the path or the credential gives
    answer: what is answered, or a list of which; kinds: the problems that it can have beside those of every operation
    query: what can be asked for in the query
    looks_through: whether it looks through all cases, or all of a partition, and may take long
    locates: whether the header `Location` says where what was recorded is
    """

    name: str
    method: Method
    path: str
    does: str
    roles: Sequence[Role] = STAFF
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    kinds: Sequence[Kind] = ()
    query: Sequence[str] = ()
    looks_through: bool = False
    locates: bool = False

    @property
    def is_fhir(self) -> bool:
        """Whether it speaks FHIR, with those who ask and of what goes wrong."""
        return self.path.startswith(FHIR)


FHIR: Final = "/fhir/"
_RESPONSES: Final = f"{FHIR}QuestionnaireResponse"
_QUESTIONNAIRES: Final = f"{FHIR}Questionnaire"
_OF_CASE: Final = (REFUSED["unknown_case"], REFUSED["case_unclear"])
_OF_FACTS: Final = (*REFUSED.values(), problems.KEY_EXPECTED)
_OF_GROUPS: Final = (*_OF_FACTS, problems.UNKNOWN_GROUP)
_CREATED: Final = HTTPStatus.CREATED


def _listed(
    name: str, kind: type[Entry], put: Sequence[Role], what: str, in_use: Sequence[Kind] = ()
) -> tuple[Operation, ...]:
    """in_use: what is told where cases keep one from being removed; they are looked through for that."""
    return (
        Operation(f"list-{name}", "GET", f"/v1/{name}", f"List the clinic's {what}s.", answer=kind),
        Operation(f"get-{name}", "GET", f"/v1/{name}/{{id}}", f"Give a {what}.", answer=kind),
        Operation(
            f"put-{name}",
            "PUT",
            f"/v1/{name}/{{id}}",
            f"Enter or change a {what}.",
            put,
            kind,
            kind,
            looks_through=bool(in_use),
        ),
        Operation(
            f"delete-{name}",
            "DELETE",
            f"/v1/{name}/{{id}}",
            f"Remove a {what}.",
            ADMIN,
            status=HTTPStatus.NO_CONTENT,
            kinds=in_use,
            looks_through=bool(in_use),
        ),
    )


OPERATIONS: Final[Sequence[Operation]] = (
    Operation(
        "enrol",
        "POST",
        "/v1/cases",
        "Enrol a case.",
        STAFF,
        Enrolment,
        Recorded,
        _CREATED,
        kinds=(*_OF_GROUPS, problems.NUMBER_USED),
    ),
    Operation(
        "find", "POST", "/v1/cases/find", "Find the case of a number.", STAFF, Numbered, CaseFound, kinds=_OF_CASE
    ),
    Operation("case", "GET", "/v1/cases/{case}", "Tell how a case stands.", answer=CaseShown, kinds=_OF_CASE),
    Operation(
        "open",
        "GET",
        "/v1/cases/{case}/open",
        "Tell what the patient is asked for now.",
        CLIENTS,
        answer=OpenShown,
        kinds=_OF_CASE,
    ),
    Operation(
        "notice",
        "GET",
        "/v1/cases/{case}/notices/{id}",
        "Tell what is on the log of a notice, and where its case is now.",
        (*STAFF, *MAILER),
        answer=NoticeTold,
        kinds=_OF_CASE,
    ),
    *(
        Operation(
            name,
            "POST",
            f"/v1/cases/{{case}}/{name}",
            statement.does,
            statement.roles,
            statement.fact,
            Recorded,
            _CREATED,
            kinds=_OF_GROUPS if statement.fact is CaseTransferred else _OF_FACTS,
        )
        for name, statement in STATEMENTS.items()
    ),
    Operation(
        "facts",
        "POST",
        "/v1/facts",
        "Record several facts together, or none of them.",
        CLIENTS,
        answer=AllRecorded,
        status=_CREATED,
        kinds=_OF_GROUPS,
    ),
    Operation("get-clinic", "GET", "/v1/clinic", "Give what is known of the clinic.", answer=Clinic),
    Operation(
        "put-clinic",
        "PUT",
        "/v1/clinic",
        "Say by whose clock the clinic goes, its language, and what its cases are enrolled with.",
        ADMIN,
        Clinic,
        Clinic,
        kinds=(REFUSED["definition_unknown"],),
    ),
    Operation("openapi", "GET", "/openapi.json", "Describe the API for programs (OpenAPI 3.1).", ROLES),
    Operation(
        "fhir-answer",
        "POST",
        _RESPONSES,
        "Answer one instrument on one occasion, as a resource of FHIR R4.",
        CLIENTS,
        QuestionnaireResponse,
        OperationOutcome,
        _CREATED,
        kinds=(*_OF_FACTS, problems.UNMAPPABLE),
        locates=True,
    ),
    Operation(
        "fhir-responses",
        "GET",
        _RESPONSES,
        "Give the responses of a case as they stand, by `subject` or `patient`.",
        answer=Bundle,
        kinds=(*_OF_CASE, problems.QUERY),
        query=("subject", "patient"),
        looks_through=True,
    ),
    Operation(
        "fhir-response",
        "GET",
        f"{_RESPONSES}/{{id}}",
        "Give a response as it stands.",
        answer=QuestionnaireResponse,
        kinds=_OF_CASE,
        looks_through=True,
    ),
    Operation(
        "fhir-questionnaires",
        "GET",
        _QUESTIONNAIRES,
        "Give every instrument as a questionnaire, or those with a `url`.",
        CLIENTS,
        answer=Bundle,
        kinds=(problems.QUERY,),
        query=("url",),
    ),
    Operation(
        "fhir-questionnaire",
        "GET",
        f"{_QUESTIONNAIRES}/{{id}}",
        "Give an instrument as a questionnaire.",
        CLIENTS,
        answer=Questionnaire,
    ),
    Operation(
        "fhir-metadata",
        "GET",
        f"{FHIR}metadata",
        "Say what the server does of FHIR.",
        CLIENTS,
        answer=CapabilityStatement,
    ),
    *_listed("groups", Group, STAFF, "group", (problems.GROUP_IN_USE, REFUSED["case_unclear"])),
    Operation(
        "group-cases",
        "GET",
        "/v1/groups/{id}/cases",
        "List the cases whose courses go on in a group.",
        answer=GroupCases,
        kinds=(REFUSED["case_unclear"],),
        looks_through=True,
    ),
    *_listed("therapists", Therapist, ADMIN, "therapist"),
)
