"""Whether a resource has the form of FHIR: by `fhir.resources`, and by us where that does not look.

The library is loaded when the first resource comes: whoever never sends one does not wait for it.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.ingest.fhir.outcome import Issue, Resource
from services.ingest.fhir.terms import VALUE_SETS, IssueCode

VALUES_AT_MOST: Final = 4_000
"""Values in a resource, objects and lists included: reading so many takes some hundredths of a second."""

LEVELS_AT_MOST: Final = 40

_THE_VALUE_ITSELF: Final = "root"
"""A step that the library takes where something has another form altogether; FHIR has no element of this name."""

_UNREAD: Final = ("contained", "text")
"""What is neither read nor kept, so it is not looked at: another resource, and the same in words for people."""


def issues_in(resource: Resource) -> list[Issue]:
    """Find what is wrong with the form of a QuestionnaireResponse."""
    root = "QuestionnaireResponse"
    if resource.get("resourceType") != root:
        return [Issue("structure", "", f"a resource of the type {root}")]
    read = {name: value for name, value in resource.items() if name not in _UNREAD}
    if _is_beyond_measure(read):
        return [Issue("too-costly", root, f"at most {VALUES_AT_MOST:,} values in at most {LEVELS_AT_MOST} levels")]
    # The places of codes are told by their names, and only the library knows which names are those of FHIR.
    return _by_library(read, root) or list(strange_codes(read, root))


def strange_codes(resource: Resource, root: str) -> Iterator[Issue]:
    """Find codes that R4 does not have where it allows no others."""
    yield from _codes_in(resource, root, root)


def _codes_in(element: Any, name: str, place: str) -> Iterator[Issue]:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(element, list):
        for number, each in enumerate(element):
            yield from _codes_in(each, name, f"{place}[{number}]")
    if not isinstance(element, dict):
        return
    kind = element.get("resourceType")
    name = kind if isinstance(kind, str) else name
    for child, value in element.items():
        codes = VALUE_SETS.get((name, child))
        if codes is not None and isinstance(value, str) and value not in codes:
            yield Issue("code-invalid", f"{place}.{child}", f"one of {', '.join(sorted(codes))}")
        elif isinstance(value, dict | list) and child != "extension":
            yield from _codes_in(value, child, f"{place}.{child}")


def _is_beyond_measure(resource: Resource) -> bool:
    waiting: list[tuple[Any, int]] = [(resource, 1)]
    count = 0
    while waiting:
        value, level = waiting.pop()
        count += 1
        within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if count + len(waiting) + len(within) > VALUES_AT_MOST or level > LEVELS_AT_MOST:
            return True
        waiting += [(each, level + 1) for each in within]
    return False


def _by_library(resource: Resource, root: str) -> list[Issue]:
    from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse  # noqa: PLC0415 - see above

    try:
        QuestionnaireResponse.model_validate(resource)
    except ValidationError as invalid:
        return [_issue(details, root) for details in invalid.errors(include_url=False, include_input=False)]
    except Exception:  # noqa: BLE001 - the library has faults of its own, whose words could hold an answer
        return [Issue("structure", root, "a resource as FHIR R4 has it")]
    return []


def _issue(details: ErrorDetails, root: str) -> Issue:
    """Tell what the library found, in words of ours: it repeats what it was given."""
    steps, kind = list(details["loc"]), details["type"]
    if kind == "extra_forbidden":
        # Its name could be anything.
        return Issue("structure", _place(steps[:-1], root), "no elements beside those of FHIR R4")
    code: IssueCode = "required" if kind.endswith("missing") else "structure" if kind.endswith("_type") else "value"
    expected = "a value: it is missing" if code == "required" else "a value as FHIR R4 has it"
    return Issue(code, _place(steps, root), expected)


def _place(steps: list[int | str], root: str) -> str:
    place = root
    for step in steps:
        if isinstance(step, int):
            place += f"[{step}]"
        elif step.isidentifier() and step != _THE_VALUE_ITSELF:
            place += ".value" if step.startswith("value") else f".{step.lstrip('_')}"
    return place
