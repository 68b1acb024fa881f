"""The stage: facts and scores in, the same and the status of every session out."""

from collections.abc import Sequence
from datetime import datetime

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import id_of
from contracts.events.event import Data, Derivation, Event
from contracts.events.facts import (
    BaselineSet,
    CaseClosed,
    CaseEnrolled,
    OccasionOpened,
    PolicyChanged,
    SessionAbsent,
    SessionAttended,
    SessionCancelled,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.scores import (
    FactSetAside,
    OccasionMissed,
    ScoreComputed,
    ScoreRevised,
    ScoreWithdrawn,
    SetAsideReason,
)
from contracts.evolution import evolved
from contracts.topics import SCORES, TRACKS
from services.not_detector.domain.course import Course, PolicyFrom, SetByHand, Views
from services.not_detector.domain.judgement import judged_again

Outcome = tuple[Course, Sequence[Event[Data]]]


class NotDetector:
    """The stage that says who is not on track."""

    name = "not_detector"
    reads = SCORES
    writes = TRACKS
    acts_on: frozenset[type[Data]] = frozenset(
        {
            BaselineSet,
            CaseClosed,
            CaseEnrolled,
            OccasionMissed,
            OccasionOpened,
            PolicyChanged,
            ScoreComputed,
            ScoreRevised,
            ScoreWithdrawn,
            SessionAbsent,
            SessionAttended,
            SessionCancelled,
            SessionDue,
            SessionMoved,
            SessionScheduled,
        }
    )
    state = Course
    schema = 1

    def __init__(self, definitions: Catalogue) -> None:
        """Judge by the policies among these definitions."""
        self._definitions = definitions

    def initial(self, case_id: str) -> Course:  # noqa: ARG002 - every case begins with nothing known
        """Begin a case."""
        return Course()

    def step(self, state: Course, event: Event[Data]) -> Outcome:
        """Take one fact or score. Raises DefinitionMissing if it needs a definition that is not known."""
        match event.data:
            case ScoreComputed() | ScoreRevised() as score:
                return self._rejudged(state, state.with_score(score, event.id), event, score.instrument, score.session)
            case ScoreWithdrawn() as score:
                return self._rejudged(state, state.without_score(score), event, score.instrument, score.session)
            case OccasionMissed(session=session, instrument=instrument):
                missed = (*state.missed, f"{id_of(instrument)}/{session}")
                return self._rejudged(state, evolved(state, missed=missed), event, instrument, session)
            case BaselineSet() as baseline:
                return self._baseline_set(state, event, baseline)
            case CaseEnrolled(protocol=protocol, policy=policy):
                return evolved(state, protocol=protocol, policies=(PolicyFrom(0, policy),)), [event]
            case PolicyChanged(policy=policy, from_session=session):
                return evolved(state, policies=(*state.policies, PolicyFrom(session, policy))), [event]
            case CaseClosed():
                return self._closed(state, event)
            case SessionScheduled() | SessionMoved() as planned:
                return state.with_schedule(planned.session, planned.scheduled), [event]
            case SessionCancelled(session=session):
                return state.without_session(session), [event]
            case SessionDue() | SessionAttended() | SessionAbsent() | OccasionOpened() as come:
                return state.with_begun(come.session), [event]
            case _:
                return state, [event]

    def _rejudged(
        self, before: Course, after: Course, event: Event[Data], instrument: str, session: int | str
    ) -> Outcome:
        """Judge what a change at `session` can have changed: that session, gaps before it, every later one."""
        instrument_id = id_of(instrument)
        if not self._is_primary(after, instrument_id):
            return after, [event]
        views = Views(after, self._definitions)
        affected = set(after.judged)
        if not self._baseline_moved(before, views, session):
            affected = {judged for judged in affected if isinstance(session, int) and judged >= session}
        affected |= self._unjudged(after, views, instrument_id, session)
        course, decisions = judged_again(after, affected, event, views)
        return course, [event, *decisions]

    def _is_primary(self, course: Course, instrument_id: str) -> bool:
        primaries = (self._definitions.policy(entry.policy).primary.instrument for entry in course.policies)
        return any(id_of(primary) == instrument_id for primary in primaries)

    def _baseline_moved(self, before: Course, after: Views, session: int | str) -> bool:
        """Tell whether a change at `session` gave the case another baseline."""
        policies = {judged.policy for judged in before.judged.values()}
        if isinstance(session, int) and session > 0:
            policies = {ref for ref in policies if self._definitions.policy(ref).baseline == "first_valid"}
        earlier = Views(before, self._definitions)
        return any(earlier.of(ref).baseline != after.of(ref).baseline for ref in policies)

    @staticmethod
    def _unjudged(course: Course, views: Views, instrument_id: str, session: int | str) -> set[int]:
        """Find sessions that can be judged now: measured or missed ones, and gaps before a measured one."""
        if not isinstance(session, int) or session == 0:
            return set()
        found: set[int] = set()
        for candidate in range(1, session + 1):
            if candidate in course.judged:
                continue
            view = views.of(course.policy_for(candidate))
            if view.instrument.id != instrument_id:
                continue
            measured = str(candidate) in course.measured.get(instrument_id, {})
            missed = f"{instrument_id}/{candidate}" in course.missed
            overtaken = candidate < session and view.score(session) is not None and view.is_expected(candidate)
            if measured or missed or overtaken:
                found.add(candidate)
        return found

    def _baseline_set(self, state: Course, event: Event[Data], data: BaselineSet) -> Outcome:
        reason = self._objection_to_baseline(state, data)
        if reason is not None:
            return state, [Derivation(self.name, event).event(FactSetAside(fact=event.id, reason=reason))]
        by_hand = {**state.by_hand, f"{data.instrument}/{data.scale}": SetByHand(data.value, event.id)}
        state = evolved(state, by_hand=by_hand)
        state, decisions = judged_again(state, state.judged, event, Views(state, self._definitions))
        return state, [event, *decisions]

    def _objection_to_baseline(self, state: Course, data: BaselineSet) -> SetAsideReason | None:
        """Say why a baseline makes no sense: no policy of the case looks at its scale, or it is not on that scale."""
        views = Views(state, self._definitions)
        for view in (views.of(entry.policy) for entry in state.policies):
            if (view.instrument.id, view.scale.id) == (data.instrument, data.scale):
                lowest, highest = view.instrument.bounds(view.scale)
                return None if lowest <= data.value <= highest else "outside_scale"
        return "unknown_scale"

    def _closed(self, state: Course, event: Event[Data]) -> Outcome:
        """Judge the sessions that have come and were never measured."""
        views = Views(state, self._definitions)
        come = {s for s in state.begun if s > 0} | _scheduled_until(state, event.time)
        unmeasured = {
            session
            for session in come - set(state.judged) - set(state.cancelled)
            if views.of(state.policy_for(session)).is_expected(session)
        }
        state, decisions = judged_again(state, unmeasured, event, views)
        return state, [event, *decisions]


def _scheduled_until(course: Course, moment: datetime) -> set[int]:
    return {session for session, at in course.scheduled.items() if session > 0 and at <= moment}
