"""The small print: which definitions a report rests on, and which of them are provisional."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.definitions.definition import Definition, without_hash
from contracts.definitions.wording import Wording
from services.pages.subject import Subject


@dataclass(frozen=True, slots=True)
class Named:
    """A definition: what it is, its title, its name and version, and the hash of its content."""

    kind: str
    title: str
    name: str
    digest: str
    provisional: bool


def definitions_of(subject: Subject) -> list[Named]:
    """Give every definition that the report rests on, each once."""
    content = subject.content
    found = [("protocol", content.protocol)]
    if content.decision is not None:
        found.append(("policy", content.decision.policy))
    found.append(("guidance", content.guidance))
    found.extend(("instrument", ref) for ref in _instruments(subject))
    found.extend(("wording", ref) for ref in _wordings(subject))
    return [_named(kind, ref, subject) for kind, ref in dict.fromkeys(found)]


def _instruments(subject: Subject) -> Iterator[str]:
    content = subject.content
    if content.decision is not None:
        yield content.decision.instrument
    yield from (curve.instrument for curve in content.curves)
    yield from (form.instrument for form in content.forms)
    yield from (answer.instrument for answer in content.context)
    yield from (form.instrument for form in content.safety)


def _wordings(subject: Subject) -> Iterator[str]:
    instruments = set(_instruments(subject))
    for ref, wording in subject.definitions.of_kind(Wording):
        if wording.instrument in instruments and wording.language == subject.words.language:
            yield ref


def _named(kind: str, ref: str, subject: Subject) -> Named:
    model = subject.definitions.get(Definition, ref)
    return Named(
        kind=subject.words(f"kind.{kind}"),
        title=model.title.in_language(subject.words.language),
        name=without_hash(ref),
        digest=ref.partition("#")[2],
        provisional=model.provisional,
    )
