"""What is said of a resource that was taken or could not be: an OperationOutcome, which never repeats a value."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from services.ingest.fhir.terms import PROBLEM, IssueCode, Severity

Resource = dict[str, Any]
"""A resource as JSON has it; numbers with a point are decimals."""


class Issue(NamedTuple):
    """Something to be said of a resource.

    place: where (FHIRPath, element names and numbers only); expected: what should be there, never what is
    """

    code: IssueCode
    place: str
    expected: str
    severity: Severity = "error"


class Unmappable(Exception):
    """A resource that says no response. Says everything that keeps it from that."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        """Name what is wrong, and where."""
        self.issues = tuple(issues)
        super().__init__(", ".join(issue.code for issue in self.issues))


def outcome(title: str, issues: Iterable[Issue], problem: str | None = None) -> Resource:
    """Give an outcome. title: says what was done, or what the problem is; problem: its code."""
    details: Resource = {"text": title}
    if problem is not None:
        details["coding"] = [{"system": PROBLEM, "code": problem}]
    return {"resourceType": "OperationOutcome", "issue": [_told(issue, details) for issue in issues]}


def _told(issue: Issue, details: Resource) -> Resource:
    told: Resource = {"severity": issue.severity, "code": issue.code, "details": details}
    if issue.expected:
        told["diagnostics"] = issue.expected
    if issue.place:
        told["expression"] = [issue.place]
    return told
