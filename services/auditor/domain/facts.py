"""What a fact says of what it does not hold itself: what it follows from, and the definitions that it names."""

from collections.abc import Container, Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

from contracts.codec import canonical
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Definition, without_hash
from contracts.events.event import Data, Event
from contracts.events.fields import DefinitionRef
from services.auditor.domain.findings import Difference, Finding, Place


def unfounded(
    fact: Event[Data], place: Place, facts: Container[str] | None, definitions: Catalogue | None
) -> Iterator[Finding]:
    """Find what a fact refers to and is not there. facts, definitions: those that there are; None: not looked at."""
    if fact.causationid is not None and facts is not None and fact.causationid not in facts:
        yield cause_missing(place, fact.causationid)
    if fact.correlationid != fact.id:
        yield correlation_wrong(place, fact.id, fact.correlationid)
    for name in _naming(type(fact.data)) if definitions is not None else ():
        ref = getattr(fact.data, name)
        if definitions is not None and ref not in definitions:
            yield _definition_missing(place, name, ref, definitions)


def repeated_otherwise(place: Place, first: int, others: tuple[Difference, ...] = ()) -> Finding:
    """Say that a fact stands there again, and otherwise. first: the offset of the first one; others: what differs."""
    says = f"what stands at offset {first} was expected once more, but for when it was recorded"
    return Finding("repeated-otherwise", place, says, others)


def lasting(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Give what of a fact is the same whenever it is recorded: its time too, unless it is that at which it was."""
    recorded = wire["recordedtime"]
    return {name: value for name, value in wire.items() if name not in ("recordedtime", "time") or value != recorded}


def not_canonical(place: Place) -> Finding:
    """Say that an event is written otherwise than events are."""
    return Finding("not-canonical", place, "canonical form was expected: sorted names, each once, and moments in UTC")


def cause_missing(place: Place, cause: str) -> Finding:
    """Say that what a fact follows from is not there."""
    return Finding("cause-missing", place, f"its cause {cause} was expected among the facts of the case")


def correlation_wrong(place: Place, expected: str, found: str) -> Finding:
    """Say that a fact says of another one that it is what all of it follows from."""
    other = Difference("correlationid", canonical(expected), canonical(found))
    return Finding(
        "correlation-wrong", place, "a fact was expected to name itself as what all of it follows from", (other,)
    )


def _definition_missing(place: Place, name: str, ref: str, definitions: Catalogue) -> Finding:
    short = without_hash(ref)
    known = definitions.named(Definition, short)
    there = f"what stands there as {short} is {known.ref}" if known is not None else f"no {short} stands there"
    other = Difference(f"data.{name}", None if known is None else canonical(known.ref), canonical(ref))
    return Finding(
        "definition-missing", place, f"the definition {ref} was expected on rom.definitions.v1; {there}", (other,)
    )


@cache
def _naming(kind: type[Data]) -> tuple[str, ...]:
    """Name the fields of a fact that name a definition."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name in kind.model_fields if hints[name] == DefinitionRef)
