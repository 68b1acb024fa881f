"""Which facts are taken: a fact that cannot be true of its case is refused at the door, with what was expected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contracts.codec import content_digest
from contracts.definitions.catalogue import Catalogue, DefinitionMissing
from contracts.definitions.definition import Definition
from contracts.definitions.instrument import Instrument
from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, PolicyChanged, ResponseCorrected, ResponseSubmitted, ResponseWithdrawn
from services.ingest.domain.register import Registered, occasion_of

RefusalCode = Literal[
    "unknown_case",
    "already_enrolled",
    "case_closed",
    "case_erased",
    "definition_unknown",
    "session_outside_protocol",
    "answers_invalid",
    "occasion_answered",
    "unknown_response",
    "id_reused",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a fact is not taken: which field, and what was expected. Never a value."""

    code: RefusalCode
    field: str
    expected: str


ANSWERS: Final = "answers"
"""The field of answers that are wrong as a whole, and not at one item."""

_REUSED: Final = "this was recorded before with other content, which stands: no command corrects it yet"
_UNKNOWN: Final = Refusal("unknown_case", "case", "an enrolled case")


def of_another(case: Registered, clinic: str) -> Refusal | None:
    """Refuse what a clinic says of a case that is not its own: in the words in which a case that is not there is."""
    is_strange = case.erased or (case.enrolled and case.clinic != clinic)
    return _UNKNOWN if is_strange else None


def is_known(case: Registered, fact: Event[Data]) -> bool:
    """Tell whether a fact has been recorded already, with this very content."""
    return fact.id in case.facts and case.facts[fact.id] == content_digest(fact)


def is_reused(case: Registered, ids: Sequence[str]) -> bool:
    """Tell whether a key has stated something else about a case: a part of this, or more than this.

    ids: those that it gives to the facts about the case, in their order, and to one more
    """
    *stated, more = (fact_id in case.facts for fact_id in ids)
    return more or any(stated) != all(stated)


def reuse_of(fact: Event[Data]) -> Refusal:
    """Refuse a fact under an id that was given before to something else."""
    return Refusal("id_reused", "session" if isinstance(fact.data, ResponseSubmitted) else "id", _REUSED)


def refusals(case: Registered, fact: Event[Data], definitions: Catalogue) -> Iterator[Refusal]:
    """Find what speaks against recording a fact that is not known yet."""
    if fact.id in case.facts:
        yield reuse_of(fact)
        return
    if case.erased:
        yield Refusal("case_erased", "case", "a case that has not been erased")
        return
    match fact.data:
        case CaseEnrolled(protocol=protocol, policy=policy):
            if case.enrolled:
                yield Refusal("already_enrolled", "case", "a case that is not enrolled yet")
            yield from _unknown_definition("protocol", definitions.protocol, protocol)
            yield from _unknown_definition("policy", definitions.policy, policy)
            return
        case PolicyChanged(policy=policy):
            yield from _unknown_definition("policy", definitions.policy, policy)
    if not case.enrolled:
        yield _UNKNOWN
        return
    match fact.data:
        case ResponseSubmitted() as response:
            yield from _about_response(case, response, fact, definitions)
        case ResponseCorrected(response=response_id, answers=answers):
            yield from _about_change(case, response_id)
            if response_id in case.responses:
                yield from _about_answers(definitions.instrument(case.responses[response_id]), answers)
        case ResponseWithdrawn(response=response_id):
            yield from _about_change(case, response_id)


def _about_response(
    case: Registered, response: ResponseSubmitted, fact: Event[Data], definitions: Catalogue
) -> Iterator[Refusal]:
    if case.closed_at is not None and fact.time > case.closed_at:
        yield Refusal("case_closed", "answered_at", "a time before the end of the course")
    unknown = list(_unknown_definition("instrument", definitions.instrument, response.instrument))
    if unknown:
        yield from unknown
        return
    if not definitions.protocol(case.protocol or "").has_session(response.session):
        yield Refusal("session_outside_protocol", "session", "a session of the case's protocol")
    yield from _about_answers(definitions.instrument(response.instrument), response.answers)
    if occasion_of(response) in case.answered:
        expected = "this session was answered before, and that stands: no command corrects it yet"
        yield Refusal("occasion_answered", "session", expected)


def _about_change(case: Registered, response_id: str) -> Iterator[Refusal]:
    if response_id not in case.responses:
        yield Refusal("unknown_response", "response", "a response of this case")


def _about_answers(instrument: Instrument, answers: Mapping[str, int]) -> Iterator[Refusal]:
    if instrument.accepts(answers):
        return
    items = {item.id for item in instrument.items}
    for fault in instrument.faults_in(answers):
        # What is no item was named by whoever answers, and can be anything.
        yield Refusal("answers_invalid", fault.field if fault.field in items else ANSWERS, fault.expected)


def _unknown_definition(field: str, find: Callable[[str], Definition], ref: str) -> Iterator[Refusal]:
    try:
        find(ref)
    except DefinitionMissing as missing:
        yield Refusal("definition_unknown", field, str(missing))
