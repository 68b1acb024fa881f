"""From a QuestionnaireResponse to what it says of a case: everything that keeps it from saying that is told at once."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.definitions.catalogue import Catalogue
from contracts.events.fields import Instant, Session
from services.ingest.fhir.answers import ITEMS, ROOT, Answers, answers_in, extensions, refused_modifiers
from services.ingest.fhir.form import Form, forms_meant, forms_named
from services.ingest.fhir.outcome import Issue, Resource, Unmappable
from services.ingest.fhir.terms import ANSWERED_AT, NUMBER, SESSION
from services.runtime.directory.port import NUMBER_FORM

_PATIENT: Final = re.compile(r"Patient/([A-Za-z0-9][A-Za-z0-9.-]{0,63})")
_NUMBER: Final = re.compile(NUMBER_FORM)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_INSTANT: Final = TypeAdapter[Any](Instant)
_SESSION: Final = TypeAdapter[int | str](Session)
_WHY_NOT: Final[Mapping[object, str]] = MappingProxyType(
    {
        "in-progress": "what is still being answered is taken when it is done",
        "stopped": "what was given up half-way is no response",
        "entered-in-error": "a response is withdrawn by response-withdrawn, which asks who does so and why",
    }
)
_PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "answers": ITEMS,
        "case": f"{ROOT}.subject",
        "instrument": f"{ROOT}.questionnaire",
        "session": f"{ROOT}.extension",
    }
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose a response is: by the id of the case, by the clinic's own number, or by both."""

    case_id: str | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """What a QuestionnaireResponse says.

    session: None if it does not say for which one
    key: tells a repetition from another response; None if it has no identifier
    dated: where in the resource it says when it was answered
    """

    form: Form
    subject: Subject
    session: int | str | None
    answered_at: str
    key: str | None
    said: Answers
    dated: str

    def statement(self, session: int | str) -> Mapping[str, Any]:
        """Give what it states, as the API takes it."""
        return {
            "session": session,
            "instrument": self.form.ref,
            "answers": self.said.answers,
            "comment": self.said.comment,
            "answered_at": self.answered_at,
        }

    def place_of(self, pointer: str) -> str:
        """Give where in the resource that stands which a pointer into the statement leads to."""
        name, _, item_id = pointer.lstrip("/").partition("/")
        if name == "answered_at":
            return self.dated
        return self.said.places.get(item_id) or _PLACES.get(name, ROOT)


def understood(resource: Resource, definitions: Catalogue, form: Form | None = None) -> Understood:
    """Read a resource whose form is valid. form: its questionnaire, if that is known already. Raises Unmappable."""
    issues = [*refused_modifiers(resource, ROOT)]
    if "implicitRules" in resource:
        issues.append(Issue("not-supported", f"{ROOT}.implicitRules", "no rules beside those of FHIR"))
    _look_at_status(resource, issues)
    _look_at_source(resource, issues)
    subject, session = _subject(resource, issues), _session(resource, issues)
    dated, answered_at = _moment(resource, issues)
    form = form or _form(resource, definitions, issues)
    if form is None:
        raise Unmappable(issues)
    said = answers_in(resource.get("item"), form)
    issues += said.issues
    if issues:
        raise Unmappable(issues)
    return Understood(form, subject, session, answered_at, _key(resource), said, dated)


def understood_ever(resource: Resource, definitions: Catalogue) -> Iterator[Understood]:
    """Give what a resource can have said at any time: by each version of what its questionnaire can have meant."""
    named = resource.get("questionnaire")
    for form in forms_meant(definitions, named) if isinstance(named, str) else ():
        with suppress(Unmappable):
            yield understood(resource, definitions, form)


def _look_at_status(resource: Resource, issues: list[Issue]) -> None:
    """Take what is done. An amended resource says what holds now, so it is taken as one that was completed."""
    status = resource.get("status")
    if status not in ("completed", "amended"):
        why = _WHY_NOT.get(status)
        issues.append(Issue("business-rule", f"{ROOT}.status", "completed or amended" + (f": {why}" if why else "")))


def _look_at_source(resource: Resource, issues: list[Issue]) -> None:
    """Make sure that the patient answered: what somebody else says of a patient is another measure."""
    source, subject = resource.get("source"), resource.get("subject")
    if not isinstance(source, dict) or not isinstance(subject, dict):
        return
    named = [(source[by], subject.get(by)) for by in ("reference", "identifier") if by in source]
    is_same = bool(named) and all(_names(source) == _names(subject) for source, subject in named)
    if not is_same or source.get("type", "Patient") != "Patient":
        expected = "the patient, whose own answers these are to be: named as in the subject"
        issues.append(Issue("business-rule", f"{ROOT}.source", expected))


def _names(said: object) -> object:
    """Give what a reference or an identifier names, without what else is told of it."""
    return (said.get("system"), said.get("value")) if isinstance(said, dict) else said


def _form(resource: Resource, definitions: Catalogue, issues: list[Issue]) -> Form | None:
    place, named = f"{ROOT}.questionnaire", resource.get("questionnaire")
    found = forms_named(definitions, named) if isinstance(named, str) else []
    if len(found) == 1:
        return found[0]
    if not isinstance(named, str):
        issues.append(Issue("required", place, "the canonical URL of a questionnaire"))
    elif not found:
        issues.append(
            Issue("not-found", place, "the canonical URL of a questionnaire that GET /fhir/Questionnaire has")
        )
    else:
        urls = ", ".join(form.canonical for form in found)
        issues.append(Issue("multiple-matches", place, f"the canonical URL of one questionnaire: {urls}"))
    return None


def _subject(resource: Resource, issues: list[Issue]) -> Subject:
    place, subject = f"{ROOT}.subject", resource.get("subject")
    if not isinstance(subject, dict):
        issues.append(Issue("required", place, "whose response it is"))
        return Subject()
    if subject.get("type", "Patient") != "Patient":
        issues.append(Issue("value", f"{place}.type", "Patient"))
    reference, identifier = subject.get("reference"), subject.get("identifier")
    number = _number(identifier, f"{place}.identifier", reference is not None, issues)
    if reference is None:
        if not isinstance(identifier, dict):
            issues.append(Issue("required", place, f"a reference Patient/ID, or an identifier of {NUMBER}"))
        return Subject(number=number)
    named = _PATIENT.fullmatch(reference) if isinstance(reference, str) else None
    if named is None:
        issues.append(Issue("value", f"{place}.reference", "Patient/ and the id of a case"))
        return Subject()
    return Subject(named[1], number)


def _number(identifier: object, place: str, is_beside: bool, issues: list[Issue]) -> str | None:  # noqa: FBT001
    """Read the clinic's own number. is_beside: a reference names the case, so other numbers do no harm."""
    if not isinstance(identifier, dict) or (is_beside and identifier.get("system") != NUMBER):
        return None
    value = identifier.get("value")
    if identifier.get("system") != NUMBER:
        issues.append(Issue("value", f"{place}.system", f"{NUMBER}, for the number that the directory has"))
    elif not isinstance(value, str) or not _NUMBER.fullmatch(value):
        issues.append(Issue("value", f"{place}.value", "the clinic's own number of the patient"))
    else:
        return value
    return None


def _session(resource: Resource, issues: list[Issue]) -> int | str | None:
    found = list(extensions(resource, SESSION, ROOT))
    if not found:
        return None
    place, said = found[0]
    try:
        if len(found) == 1:
            return _SESSION.validate_python(said.get("valueInteger", said.get("valueString")), strict=True)
    except ValidationError:
        pass
    expected = "one session of the course: a valueInteger such as 3, or a valueString such as individual-1"
    issues.append(Issue("value", place, expected))
    return None


def _moment(resource: Resource, issues: list[Issue]) -> tuple[str, str]:
    """Give where it says when it was answered, and when: an amended one says that beside when it was changed last."""
    amended = [(place, said.get("valueDateTime")) for place, said in extensions(resource, ANSWERED_AT, ROOT)]
    place, moment = [*amended, (f"{ROOT}.authored", resource.get("authored"))][0]
    if moment is None:
        issues.append(Issue("required", place, "when it was answered"))
    elif not _is_moment(moment):
        expected = "a moment with its time and its offset from UTC, such as 2026-01-05T08:30:00+01:00"
        issues.append(Issue("value", place, expected))
    else:
        return place, str(moment)
    return place, ""


def _is_moment(value: object) -> bool:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return False
    try:
        _INSTANT.validate_json(orjson.dumps(value))
    except ValidationError:
        return False
    return True


def _key(resource: Resource) -> str | None:
    identifier = resource.get("identifier")
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if not isinstance(value, str) or not isinstance(identifier, dict):
        return None
    # No header can begin with this character, so a key of one kind is never one of the other.
    return f"\x1f{identifier.get('system', '')}\x1f{value}"
