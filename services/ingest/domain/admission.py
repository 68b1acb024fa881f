"""Which facts are taken: a fact that cannot be true of its case is refused at the door, with what was expected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contracts.codec import content_digest
from contracts.definitions.catalogue import Catalogue, DefinitionMissing
from contracts.definitions.definition import Definition
from contracts.definitions.instrument import Instrument
from contracts.events.event import Data, Event
from contracts.events.facts import (
    BaselineSet,
    CaseClosed,
    CaseEnrolled,
    CaseErased,
    CaseTransferred,
    NeedsStated,
    PolicyChanged,
    ProblemNamed,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionAbsent,
    SessionAttended,
    SessionCancelled,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.fields import session_of
from services.ingest.domain.register import Registered, Unclear, occasion_of

RefusalCode = Literal[
    "unknown_case",
    "case_unclear",
    "already_enrolled",
    "case_closed",
    "case_erased",
    "definition_unknown",
    "session_outside_protocol",
    "answers_invalid",
    "baseline_invalid",
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

_REUSED: Final = "this was recorded before with other content, which stands; a response is corrected over the API"
_WITHDRAWN: Final = "this was recorded before and has been withdrawn; its occasion is answered anew over the API"
_OF_A_SESSION: Final = (
    SessionScheduled | SessionMoved | SessionCancelled | SessionAttended | SessionAbsent | ResponseSubmitted
)
_OF_THE_COURSE: Final = _OF_A_SESSION | BaselineSet | PolicyChanged | CaseTransferred | ProblemNamed | NeedsStated
"""What does not happen any more when a course has ended. What comes of a report goes on, and the clock looks itself."""

_UNKNOWN: Final = Refusal("unknown_case", "case", "an enrolled case")


UNCLEAR: Final = Refusal("case_unclear", "case", "a case that is neither halted nor lost: `ontrack doctor` tells more")


def of_another(case: Registered, clinic: str) -> Refusal | None:
    """Refuse what a clinic says of a case that is not its own: in the words in which a case that is not there is."""
    is_strange = case.erased or (case.enrolled and case.clinic != clinic)
    return _UNKNOWN if is_strange else None


def is_known(case: Registered, fact: Event[Data]) -> bool:
    """Tell whether a fact has been recorded already, with this very content."""
    return case.facts.get(fact.id) == content_digest(fact)


def is_reused(case: Registered, ids: Sequence[str]) -> bool:
    """Tell whether a key has stated something else about a case: a part of this, or more than this.

    ids: those that it gives to the facts about the case, in their order, and to one more
    """
    if isinstance(case, Unclear):
        # Of what was stated some need not be known.
        return ids[-1] in case.facts
    *stated, more = (fact_id in case.facts for fact_id in ids)
    return more or any(stated) != all(stated)


def reuse_of(case: Registered, fact: Event[Data]) -> Refusal:
    """Refuse a fact under an id that was given before to something else."""
    if not isinstance(fact.data, ResponseSubmitted):
        return Refusal("id_reused", "id", _REUSED)
    is_withdrawn = fact.id in case.responses and fact.id not in case.answered.values()
    return Refusal("id_reused", "session", _WITHDRAWN if is_withdrawn else _REUSED)


def refusals(case: Registered, fact: Event[Data], definitions: Catalogue) -> Iterator[Refusal]:
    """Find what speaks against recording a fact that is not known yet."""
    if (found := _at_first_sight(case, fact)) is not None:
        yield from found
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
        # Who it is may be known, and its enrolment never came: to be forgotten it takes no more.
        if not isinstance(fact.data, CaseErased):
            yield _UNKNOWN
        return
    yield from _after_the_end(case, fact)
    yield from outside(case, fact.data, definitions)
    match fact.data:
        case ResponseSubmitted() as response:
            yield from _about_response(case, response, definitions)
        case ResponseCorrected(response=response_id, answers=answers):
            yield from _about_change(case, response_id)
            if response_id in case.responses:
                yield from _about_answers(definitions.instrument(case.responses[response_id]), answers)
        case ResponseWithdrawn(response=response_id):
            yield from _about_change(case, response_id)
        case BaselineSet() as baseline:
            yield from _about_baseline(baseline, definitions)


def _at_first_sight(case: Registered, fact: Event[Data]) -> Sequence[Refusal] | None:
    """Refuse or take a fact by what stands of its case, whatever it says; None if that is to be looked at."""
    if fact.id in case.facts:
        return [reuse_of(case, fact)]
    if case.erased:
        return [Refusal("case_erased", "case", "a case that has not been erased")]
    if isinstance(case, Unclear):
        # To be forgotten needs nothing of what is not known.
        return [] if isinstance(fact.data, CaseErased) else [UNCLEAR]
    return None


def outside(case: Registered, data: Data, definitions: Catalogue) -> Iterator[Refusal]:
    """Refuse what speaks of a session that the case's protocol does not have. Raises DefinitionMissing."""
    sessions = _sessions_in(data)
    if not sessions:
        return
    protocol = definitions.protocol(case.protocol or "")
    for field, session in sessions.items():
        if not protocol.has_session(session):
            yield Refusal("session_outside_protocol", field, "a session of the case's protocol")


def _sessions_in(data: Data) -> Mapping[str, int | str]:
    """Give the sessions of the course that a fact speaks of: the field that names each -> session."""
    if isinstance(data, _OF_A_SESSION):
        return {"session": data.session}
    match data:
        case PolicyChanged(from_session=session):
            return {"from_session": session}
        case CaseTransferred(sessions=of_group):
            return {f"sessions/{name}": session_of(name) for name in of_group}
        case _:
            return {}


def _after_the_end(case: Registered, fact: Event[Data]) -> Iterator[Refusal]:
    if case.closed_at is None:
        return
    if isinstance(fact.data, CaseClosed):
        yield Refusal("case_closed", "case", "a course that has not ended")
    is_of_a_report = isinstance(fact.data, NeedsStated) and fact.data.report is not None
    if isinstance(fact.data, _OF_THE_COURSE) and fact.time > case.closed_at and not is_of_a_report:
        field = "answered_at" if isinstance(fact.data, ResponseSubmitted) else "at"
        yield Refusal("case_closed", field, "a time before the end of the course")


def _about_response(case: Registered, response: ResponseSubmitted, definitions: Catalogue) -> Iterator[Refusal]:
    unknown = list(_unknown_definition("instrument", definitions.instrument, response.instrument))
    if unknown:
        yield from unknown
        return
    yield from _about_answers(definitions.instrument(response.instrument), response.answers)
    if occasion_of(response) in case.answered:
        expected = "this session was answered before, and that stands; over the API it is corrected or withdrawn"
        yield Refusal("occasion_answered", "session", expected)


def _about_baseline(baseline: BaselineSet, definitions: Catalogue) -> Iterator[Refusal]:
    """Refuse a baseline that no version of its instrument can have; which one counts is for the policy to say."""
    versions = [each for _, each in definitions.of_kind(Instrument) if each.id == baseline.instrument]
    bounds = [each.bounds(scale) for each in versions if (scale := each.scale(baseline.scale)) is not None]
    if not versions:
        yield Refusal("definition_unknown", "instrument", "the id of an instrument that was published")
    elif not bounds:
        scales = ", ".join(scale.id for scale in versions[-1].scales)
        yield Refusal("baseline_invalid", "scale", f"a scale of the instrument: {scales}")
    elif not any(lowest <= baseline.value <= highest for lowest, highest in bounds):
        lowest, highest = bounds[-1]
        yield Refusal("baseline_invalid", "value", f"a number from {lowest} to {highest}")


def _about_change(case: Registered, response_id: str) -> Iterator[Refusal]:
    if response_id not in case.answered.values():
        yield Refusal("unknown_response", "response", "a response of this case that was not withdrawn")


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
