"""The register of cases: a projection of the facts, by which ingest knows what is known, closed and whose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from contracts.codec import content_digest
from contracts.definitions.definition import id_of
from contracts.events.event import Data, Event
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    CaseErased,
    CaseTransferred,
    PolicyChanged,
    ResponseSubmitted,
    ResponseWithdrawn,
)
from contracts.evolution import evolved
from contracts.topics import CASES


@dataclass(frozen=True)
class Registered:
    """What ingest knows of a case.

    facts: fact id -> digest of its content
    answered: `session/instrument id` -> the response that answered it
    """

    clinic: str | None = None
    group: str | None = None
    protocol: str | None = None
    policy: str | None = None
    closed_at: datetime | None = None
    erased: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    answered: Mapping[str, str] = field(default_factory=dict)

    @property
    def enrolled(self) -> bool:
        """Whether the case is known."""
        return self.protocol is not None


class Register:
    """A stage that says nothing: it only knows."""

    name = "register"
    reads = CASES
    writes = None
    acts_on = frozenset(CASES.events)
    state = Registered
    schema = 1

    def initial(self, case_id: str) -> Registered:  # noqa: ARG002 - every case begins with nothing known
        """Begin a case."""
        return Registered()

    def step(self, state: Registered, event: Event[Data]) -> tuple[Registered, Sequence[Event[Data]]]:
        """Take one fact; one that is known already changes nothing."""
        if event.id in state.facts:
            return state, ()
        facts = {**state.facts, event.id: content_digest(event)}
        match event.data:
            case ResponseSubmitted() as response:
                answered = {occasion_of(response): event.id, **state.answered}
                return evolved(state, facts=facts, answered=answered), ()
            case CaseEnrolled(clinic=clinic, group=group, protocol=protocol, policy=policy) if not state.enrolled:
                state = evolved(state, clinic=clinic, group=group, protocol=protocol, policy=policy)
            case CaseTransferred(group=group):
                state = evolved(state, group=group)
            case PolicyChanged(policy=policy):
                state = evolved(state, policy=policy)
            case CaseClosed() if state.closed_at is None:
                state = evolved(state, closed_at=event.time)
            case CaseErased():
                state = evolved(state, erased=True)
            case ResponseWithdrawn(response=response_id):
                answered = {occasion: by for occasion, by in state.answered.items() if by != response_id}
                state = evolved(state, answered=answered)
        return evolved(state, facts=facts), ()


def occasion_of(response: ResponseSubmitted) -> str:
    """Name the occasion that a response answers."""
    return f"{response.session}/{id_of(response.instrument)}"
