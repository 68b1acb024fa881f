"""Which facts are taken: a fact that cannot be true of its case is refused at the door, with what was expected."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from contracts.codec import content_digest
from contracts.definitions.catalogue import Catalogue, DefinitionMissing
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
    "id_reused",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a fact is not taken: which field, and what was expected. Never a value."""

    code: RefusalCode
    field: str
    expected: str


def is_known(case: Registered, fact: Event[Data]) -> bool:
    """Tell whether a fact has been recorded already, with this very content."""
    return fact.id in case.facts and case.facts[fact.id] == content_digest(fact)


def refusals(case: Registered, fact: Event[Data], definitions: Catalogue) -> Iterator[Refusal]:
    """Find what speaks against recording a fact that is not known yet."""
    if fact.id in case.facts:
        expected = "this was recorded before with other content, which stands: no command corrects it yet"
        yield Refusal("id_reused", _subject_of(fact), expected)
        return
    if case.erased:
        yield Refusal("case_erased", "case", "a case that has not been erased")
        return
    match fact.data:
        case CaseEnrolled(protocol=protocol, policy=policy):
            if case.enrolled:
                yield Refusal("already_enrolled", "case", "a case that is not enrolled yet")
            yield from _unknown_definitions(definitions, protocol=protocol, policy=policy)
            return
        case PolicyChanged(policy=policy):
            yield from _unknown_definitions(definitions, policy=policy)
    if not case.enrolled:
        yield Refusal("unknown_case", "case", "an enrolled case")
        return
    match fact.data:
        case ResponseSubmitted() as response:
            yield from _about_response(case, response, fact, definitions)
        case ResponseCorrected(response=response_id) | ResponseWithdrawn(response=response_id) if (
            response_id not in case.facts
        ):
            yield Refusal("unknown_case", "response", "a response of this case")


def _about_response(
    case: Registered, response: ResponseSubmitted, fact: Event[Data], definitions: Catalogue
) -> Iterator[Refusal]:
    if case.closed_at is not None and fact.time > case.closed_at:
        yield Refusal("case_closed", "answered_at", "a time before the end of the course")
    unknown = list(_unknown_definitions(definitions, instrument=response.instrument))
    if unknown:
        yield from unknown
        return
    if not definitions.protocol(case.protocol or "").has_session(response.session):
        yield Refusal("session_outside_protocol", "session", "a session of the case's protocol")
    instrument = definitions.instrument(response.instrument)
    for fault in () if instrument.accepts(response.answers) else instrument.faults_in(response.answers):
        yield Refusal("answers_invalid", fault.field, fault.expected)
    if occasion_of(response) in case.answered:
        expected = "this session was answered before, and that stands: no command corrects it yet"
        yield Refusal("occasion_answered", "session", expected)


def _unknown_definitions(definitions: Catalogue, **named: str) -> Iterator[Refusal]:
    for field, ref in named.items():
        if ref not in definitions:
            yield Refusal("definition_unknown", field, str(DefinitionMissing(ref)))


def _subject_of(fact: Event[Data]) -> str:
    return "session" if isinstance(fact.data, ResponseSubmitted) else "id"
