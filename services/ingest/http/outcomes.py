"""How a problem is told to those who speak FHIR: an OperationOutcome with the status that it has for everybody."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson
from starlette.responses import Response

from services.ingest.fhir.outcome import Issue, outcome
from services.ingest.fhir.terms import MEDIA_TYPE, IssueCode
from services.ingest.http import problems
from services.ingest.http.faults import FAULTS_AT_MOST
from services.ingest.http.problems import REFUSED, Kind, Problem

_CODES: Final[Mapping[Kind, IssueCode]] = MappingProxyType(
    {
        problems.NO_CREDENTIAL: "login",
        problems.NOT_ALLOWED: "forbidden",
        problems.NOT_FOUND: "not-found",
        problems.METHOD: "not-supported",
        problems.TOO_LARGE: "too-long",
        problems.TOO_SLOW: "timeout",
        problems.MEDIA: "not-supported",
        problems.KEY_EXPECTED: "required",
        problems.NOT_JSON: "structure",
        problems.QUERY: "not-supported",
        problems.BUSY: "transient",
        problems.BROKEN: "exception",
        REFUSED["unknown_case"]: "not-found",
        REFUSED["case_unclear"]: "transient",
        REFUSED["case_closed"]: "business-rule",
        REFUSED["session_outside_protocol"]: "business-rule",
        REFUSED["occasion_answered"]: "duplicate",
        REFUSED["id_reused"]: "conflict",
    }
)


class Refused(Problem):
    """A request that is not done. Says why, and where, in the words of FHIR."""

    def __init__(self, issues: Iterable[Issue], kind: Kind = problems.UNMAPPABLE) -> None:
        """Answer with these issues."""
        super().__init__(kind)
        self.issues = tuple(issues)[:FAULTS_AT_MOST]

    @property
    def lacks_definition(self) -> bool:
        """Whether it is that a questionnaire is not known, or another definition."""
        is_unmappable = self.kind is problems.UNMAPPABLE
        return super().lacks_definition or (is_unmappable and any(issue.code == "not-found" for issue in self.issues))


def code_of(kind: Kind) -> IssueCode:
    """Give what FHIR calls a kind of problem."""
    return _CODES.get(kind, "invalid")


def told(problem: Problem) -> Response:
    """Give the answer to somebody who speaks FHIR."""
    kind = problem.kind
    issues = (
        problem.issues
        if isinstance(problem, Refused)
        else [Issue(code_of(kind), "", fault.expected) for fault in problem.faults[:FAULTS_AT_MOST]]
    )
    resource = outcome(kind.title, issues or [Issue(code_of(kind), "", kind.means)], kind.code)
    return resource_answer(resource, kind.status, problem.headers)


def resource_answer(
    resource: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Give a resource."""
    return Response(orjson.dumps(resource), status, headers, MEDIA_TYPE)
