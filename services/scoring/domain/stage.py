"""From the facts of a case to its scores: repeated facts dropped, senseless ones set aside, responses scored."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from contracts.codec import content_digest
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.instrument import Instrument
from contracts.events.event import Data, Derivation, Event
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    CaseErased,
    OccasionClosed,
    OccasionOpened,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionAbsent,
    SessionAttended,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.fields import FlagKind
from contracts.events.scores import (
    FactSetAside,
    FlaggedAnswer,
    OccasionMissed,
    ScaleValue,
    ScoreComputed,
    ScoreRevised,
    ScoreWithdrawn,
    SetAsideReason,
)
from contracts.evolution import evolved
from contracts.topics import CASES, SCORES
from services.scoring.domain.assessments import NOT_ASKED, Assessments, Late, Occasion, Scored, occasion_key

Step = tuple[Assessments, Sequence[Event[Data]]]


class Scoring:
    """The stage: facts in, facts and scores out."""

    name = "scoring"
    reads = CASES
    writes = SCORES
    acts_on = frozenset(CASES.events)
    state = Assessments
    schema = 3

    def __init__(self, definitions: Catalogue) -> None:
        """Score by these definitions."""
        self._definitions = definitions

    def initial(self, case_id: str) -> Assessments:  # noqa: ARG002 - every case begins with nothing known
        """Begin a case."""
        return Assessments()

    def step(self, state: Assessments, event: Event[Data]) -> Step:
        """Take one fact. Raises DefinitionMissing if it names a definition that is not known."""
        digest = content_digest(event)
        known = state.seen.get(event.id, ())
        if digest in known:
            return state, ()
        seen = evolved(state, seen={**state.seen, event.id: (*known, digest)})
        if known:
            return seen, [_set_aside(event, "id_reused", distinct=digest)]
        reason = self._objection(state, event)
        if reason is not None:
            return _with_late_ones_set_aside(seen, event, reason)
        return self._taken(seen, event)

    def _objection(self, state: Assessments, event: Event[Data]) -> SetAsideReason | None:
        """Say why a fact makes no sense in this history, if it does not."""
        data = event.data
        if state.erased:
            return "erased"
        if isinstance(data, CaseEnrolled):
            return None if state.protocol is None else "already_enrolled"
        if state.protocol is None:
            return "not_enrolled"
        if state.closed_at is not None:
            if isinstance(data, CaseClosed):
                return "already_closed"
            if isinstance(data, _OF_THE_COURSE) and event.time > state.closed_at:
                return "after_the_end"
        match data:
            case ResponseSubmitted():
                return self._objection_to_response(state, data, state.protocol)
            case ResponseCorrected() | ResponseWithdrawn():
                return self._objection_to_change(state, data)
            case _:
                return None

    def _objection_to_response(
        self, state: Assessments, data: ResponseSubmitted, protocol: str
    ) -> SetAsideReason | None:
        if not self._definitions.protocol(protocol).has_session(data.session):
            return "outside_protocol"
        if not self._definitions.instrument(data.instrument).accepts(data.answers):
            return "invalid_answers"
        answered = state.occasion(data.session, data.instrument).answered_by
        return None if answered is None else "occasion_answered"

    def _objection_to_change(
        self, state: Assessments, data: ResponseCorrected | ResponseWithdrawn
    ) -> SetAsideReason | None:
        scored = state.responses.get(data.response)
        if scored is None:
            return "response_set_aside" if data.response in state.seen else None
        if scored.withdrawn:
            return "response_withdrawn"
        if isinstance(data, ResponseCorrected):
            accepted = self._definitions.instrument(scored.instrument).accepts(data.answers)
            return None if accepted else "invalid_answers"
        return None

    def _taken(self, state: Assessments, event: Event[Data]) -> Step:
        match event.data:
            case ResponseSubmitted() as data:
                return self._scored(state, event, data)
            case ResponseCorrected() | ResponseWithdrawn() as change:
                if change.response in state.responses:
                    return self._changed(state, event, change)
                waiting = (*state.waiting.get(change.response, ()), event)
                return evolved(state, waiting={**state.waiting, change.response: waiting}), ()  # type: ignore[dict-item]
            case OccasionOpened(session=session, instrument=instrument):
                opened = state.occasion(session, instrument)._replace(asked=True)
                return state.with_occasion(session, instrument, opened), [event]
            case OccasionClosed() as data:
                return _closed(state, event, data)
            case CaseEnrolled(protocol=protocol):
                return evolved(state, protocol=protocol), [event]
            case CaseClosed():
                return evolved(state, closed_at=event.time), [event]
            case CaseErased():
                return evolved(state, erased=True), [event]
            case _:
                return state, [event]

    def _scored(self, state: Assessments, event: Event[Data], data: ResponseSubmitted) -> Step:
        instrument = self._definitions.instrument(data.instrument)
        score = Derivation(self.name, event).event(
            ScoreComputed(
                response=event.id,
                session=data.session,
                instrument=data.instrument,
                scales=_scales(instrument, data.answers),
                flags=flagged(instrument, data.answers),
                comment=data.comment,
                answered_at=data.answered_at,
            )
        )
        place = occasion_key(data.session, data.instrument)
        before = state.occasions.get(place, NOT_ASKED)
        occasion = Occasion(before.asked, event.id, before.missed)
        scored = Scored(data.session, data.instrument, data.answered_at, score.id)
        occasions, responses = {**state.occasions, place: occasion}, {**state.responses, event.id: scored}
        state, waiting = _without_waiting(evolved(state, occasions=occasions, responses=responses), event.id)
        out: list[Event[Data]] = [event, score]
        for late in waiting:
            reason = self._objection_to_change(state, late.data)
            state, more = (
                self._changed(state, late, late.data) if reason is None else (state, [_set_aside(late, reason)])
            )
            out.extend(more)
        return state, out

    def _changed(self, state: Assessments, event: Event[Data], data: ResponseCorrected | ResponseWithdrawn) -> Step:
        scored = state.responses[data.response]
        derivation = Derivation(self.name, event)
        if isinstance(data, ResponseWithdrawn):
            withdrawn = derivation.event(
                ScoreWithdrawn(
                    response=data.response, session=scored.session, instrument=scored.instrument, revises=scored.score
                )
            )
            unanswered = state.occasion(scored.session, scored.instrument)._replace(answered_by=None)
            state = state.with_occasion(scored.session, scored.instrument, unanswered)
            return state.with_response(data.response, scored._replace(withdrawn=True)), [event, withdrawn]
        instrument = self._definitions.instrument(scored.instrument)
        revised = derivation.event(
            ScoreRevised(
                response=data.response,
                session=scored.session,
                instrument=scored.instrument,
                scales=_scales(instrument, data.answers),
                flags=flagged(instrument, data.answers),
                comment=data.comment,
                answered_at=scored.answered_at,
                revises=scored.score,
            )
        )
        return state.with_response(data.response, scored._replace(score=revised.id)), [event, revised]


_OF_THE_COURSE = (
    ResponseSubmitted,
    SessionScheduled,
    SessionMoved,
    SessionDue,
    SessionAttended,
    SessionAbsent,
    OccasionOpened,
)


def flagged(instrument: Instrument, answers: Mapping[str, int]) -> tuple[FlaggedAnswer, ...]:
    """Find the answers that the instrument's definition marks, in the order of its flags."""
    return tuple(
        _flagged(flag.id, flag.kind, item, answers[item])
        for flag in instrument.flags
        for item in flag.items
        if item in answers and flag.marks(answers[item])
    )


@lru_cache(maxsize=1_024)
def _flagged(flag: str, kind: FlagKind, item: str, value: int) -> FlaggedAnswer:
    """Flag an answer; the same few come again and again."""
    return FlaggedAnswer(flag=flag, kind=kind, item=item, value=value)


def _scales(instrument: Instrument, answers: Mapping[str, int]) -> tuple[ScaleValue, ...]:
    return tuple(ScaleValue(scale=scale.id, value=instrument.value(scale, answers)) for scale in instrument.scales)


def _closed(state: Assessments, event: Event[Data], data: OccasionClosed) -> Step:
    occasion = state.occasion(data.session, data.instrument)
    if occasion.answered_by is not None or occasion.missed or not occasion.asked:
        return state, [event]
    missed = OccasionMissed(session=data.session, instrument=data.instrument)
    state = state.with_occasion(data.session, data.instrument, occasion._replace(missed=True))
    return state, [event, Derivation("scoring", event).event(missed)]


def _with_late_ones_set_aside(state: Assessments, event: Event[Data], reason: SetAsideReason) -> Step:
    """Set a fact aside, and with it what has been waiting for it."""
    state, waiting = _without_waiting(state, event.id)
    return state, [_set_aside(event, reason), *(_set_aside(late, "response_set_aside") for late in waiting)]


def _without_waiting(state: Assessments, response: str) -> tuple[Assessments, Sequence[Late]]:
    """Take out what has been waiting for a response."""
    waiting = state.waiting.get(response, ())
    if waiting:
        others = {other: late for other, late in state.waiting.items() if other != response}
        state = evolved(state, waiting=others)
    return state, waiting


def _set_aside(event: Event[Data], reason: SetAsideReason, *, distinct: str = "") -> Event[FactSetAside]:
    return Derivation("scoring", event).event(FactSetAside(fact=event.id, reason=reason), distinct=distinct)
