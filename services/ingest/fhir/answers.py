"""The answers in the items of a QuestionnaireResponse, found by their link ids however deep they are nested."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from contracts.events.fields import WORDS_AT_MOST
from services.ingest.fhir.form import Form
from services.ingest.fhir.outcome import Issue
from services.ingest.fhir.terms import ORDINAL

ROOT: Final = "QuestionnaireResponse"
ITEMS: Final = f"{ROOT}.item"

_COMMENT: Final = "*"
"""Stands for the free text where the others stand under the ids of their items."""


@dataclass(slots=True)
class Answers:
    """What the items say.

    places: where each item was answered, rightly or not
    unkept: where something is answered that OnTrack does not keep
    """

    answers: dict[str, int] = field(default_factory=dict)
    comment: str | None = None
    places: dict[str, str] = field(default_factory=dict)
    unkept: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def answers_in(items: object, form: Form) -> Answers:
    """Read the items of a resource, as a form knows them."""
    found = Answers()
    for link, answers, place in _answered(items, ROOT, found.issues):
        _read(link, answers, place, form, found)
    found.issues += _missing(form, found)
    return found


def refused_modifiers(element: Mapping[str, Any], place: str) -> Iterator[Issue]:
    """Refuse what would change the meaning of the rest, and is not understood."""
    if "modifierExtension" in element:
        yield Issue("extension", f"{place}.modifierExtension", "nothing that changes what the rest means")


def extensions(element: Mapping[str, Any], url: str, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the extensions of a kind, each with its place."""
    found = element.get("extension")
    for number, extension in enumerate(found if isinstance(found, list) else ()):
        if isinstance(extension, dict) and extension.get("url") == url:
            yield f"{place}.extension[{number}]", extension


def _answered(items: object, at: str, issues: list[Issue]) -> Iterator[tuple[object, list[Any], str]]:
    """Give every item that is answered: its link id, its answers, its place."""
    for number, item in enumerate(items if isinstance(items, list) else ()):
        place = f"{at}.item[{number}]"
        if not isinstance(item, dict):
            issues.append(Issue("structure", place, "an object"))
            continue
        issues += refused_modifiers(item, place)
        given = item.get("answer")
        answers = given if isinstance(given, list) else []
        if answers:
            yield item.get("linkId"), answers, place
        for nth, answer in enumerate(answers):
            if isinstance(answer, dict):
                issues += refused_modifiers(answer, f"{place}.answer[{nth}]")
                yield from _answered(answer.get("item"), f"{place}.answer[{nth}]", issues)
        yield from _answered(item.get("item"), place, issues)


def _read(link: object, answers: list[Any], place: str, form: Form, found: Answers) -> None:
    """Take the answer to one question."""
    declared, item_id = form.declared, form.items.get(str(link))
    if link in declared.beside:
        found.unkept.append(place)
        return
    if item_id is None and link not in declared.comment:
        known = ", ".join([*(item.links[0] for item in declared.items.values()), declared.comment[0]])
        found.issues.append(Issue("structure", f"{place}.linkId", f"a link id of this questionnaire: {known}"))
        return
    name = _COMMENT if item_id is None else item_id
    if name in found.places:
        found.issues.append(Issue("duplicate", place, "each question once"))
        return
    found.places[name] = place
    answer, at = answers[0], f"{place}.answer[0]"
    if len(answers) > 1:
        found.issues.append(Issue("structure", f"{place}.answer", "one answer"))
    elif not isinstance(answer, dict):
        found.issues.append(Issue("structure", at, "an object"))
    elif item_id is None:
        found.comment = _comment(answer, at, found.issues)
    elif (value := _value(item_id, answer, at, form, found.issues)) is not None:
        found.answers[item_id] = value


def _comment(answer: Mapping[str, Any], place: str, issues: list[Issue]) -> str | None:
    text = answer.get("valueString")
    if isinstance(text, str) and 0 < len(text) <= WORDS_AT_MOST:
        return text
    expected = f"a valueString of 1 to {WORDS_AT_MOST:,} characters"
    issues.append(Issue("too-long" if isinstance(text, str) and text else "value", f"{place}.value", expected))
    return None


def _value(item_id: str, answer: Mapping[str, Any], place: str, form: Form, issues: list[Issue]) -> int | None:
    """Give the value of an answer, if it is one."""
    match answer:
        case {"valueCoding": dict(coding)}:
            value = form.value_of(item_id, coding)
            if value is None:
                issues.append(Issue("code-invalid", f"{place}.value", form.expected(item_id)))
                return None
            for at, said in extensions(coding, ORDINAL, f"{place}.value"):
                if said.get("valueDecimal") != value:
                    issues.append(Issue("value", at, "the ordinal value of the code, or none"))
                    return None
            return value
        case {"valueBoolean": bool(yes)} if form.instrument.item(item_id).answers == "yes_no":
            return int(yes)
        case {"valueInteger": int() as number} | {"valueDecimal": (int() | Decimal()) as number}:
            if not isinstance(number, bool) and form.takes(item_id, number):
                return int(number)
    issues.append(Issue("value", f"{place}.value", form.expected(item_id)))
    return None


def _missing(form: Form, found: Answers) -> Iterator[Issue]:
    """Name what is not answered; what is answered wrongly has been named."""
    is_wrong = any(name in form.instrument.ranges and name not in found.answers for name in found.places)
    for fault in form.instrument.faults_in(found.answers):
        item = form.declared.items.get(fault.field)
        if item is not None and fault.field not in found.places:
            yield Issue("required", ITEMS, f"an answer to {item.links[0]}: {form.expected(fault.field)}")
        elif item is None and not is_wrong:
            yield Issue("required", ITEMS, f"{fault.field}: {fault.expected}")
