"""The stage: facts and scores in, the same and the status of every session out."""

from collections.abc import Sequence

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
from contracts.events.fields import LAST_SESSION
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

END = LAST_SESSION + 1
"""After every session: a change that can make sessions due, and changes nothing for those that are judged."""

Step = tuple[Course, Sequence[Event[Data]]]


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
    schema = 2

    def __init__(self, definitions: Catalogue) -> None:
        """Judge by the policies among these definitions."""
        self._definitions = definitions

    def initial(self, case_id: str) -> Course:  # noqa: ARG002 - every case begins with nothing known
        """Begin a case."""
        return Course()

    def step(self, state: Course, event: Event[Data]) -> Step:
        """Take one fact or score. Raises DefinitionMissing if it needs a definition that is not known."""
        match event.data:
            case ScoreComputed() | ScoreRevised() as score:
                after = state.with_score(score, event.id)
                return self._rejudged(state, after, event, since=score.session, instrument=score.instrument)
            case ScoreWithdrawn() as score:
                after = state.without_score(score)
                return self._rejudged(state, after, event, since=score.session, instrument=score.instrument)
            case OccasionMissed(session=session, instrument=instrument):
                after = evolved(state, missed=(*state.missed, f"{id_of(instrument)}/{session}"))
                return self._rejudged(state, after, event, since=session, instrument=instrument)
            case BaselineSet() as baseline:
                return self._baseline_set(state, event, baseline)
            case CaseEnrolled(protocol=protocol, policy=policy):
                return evolved(state, protocol=protocol, policies=(PolicyFrom(0, policy),)), [event]
            case PolicyChanged(policy=policy, from_session=session):
                after = evolved(state, policies=(*state.policies, PolicyFrom(session, policy)))
                return self._rejudged(state, after, event, since=session)
            case CaseClosed():
                return self._rejudged(state, evolved(state, closed_at=event.time), event, since=END)
            case SessionScheduled() | SessionMoved() as planned:
                after = state.with_schedule(planned.session, planned.scheduled)
                taken_back = after.cancelled != state.cancelled
                return self._rejudged(state, after, event, since=planned.session if taken_back else END)
            case SessionCancelled(session=session):
                return self._rejudged(state, state.without_session(session), event, since=session)
            case SessionDue() | SessionAttended() | SessionAbsent() | OccasionOpened() as come:
                return self._rejudged(state, state.with_begun(come.session), event, since=END)
            case _:
                return state, [event]

    def _rejudged(
        self, before: Course, after: Course, event: Event[Data], *, since: int | str, instrument: str | None = None
    ) -> Step:
        """Judge what a change can have changed: sessions that can be judged now, and every later one.

        since: the first session that the change concerns; all of them if it gave the case another baseline
        instrument: whose scores changed; nothing is judged by one that no policy of the case looks at
        """
        if since == END and after.closed_at is None:
            return after, [event]
        primaries = {id_of(self._definitions.policy(entry.policy).primary.instrument) for entry in after.policies}
        if instrument is not None and id_of(instrument) not in primaries:
            return after, [event]
        views = Views(after, self._definitions)
        last_measured = views.last_measured()
        new = {
            session
            for session in _candidates(after, primaries)
            if views.of(after.policy_for(session)).is_due(session, last_measured)
        }
        first = since if isinstance(since, int) and not self._baseline_moved(before, views) else 0
        first = min([first, *new])
        again = {session for session in after.judged if session >= first}
        course, decisions = judged_again(after, again | new, event, views)
        return course, [event, *decisions]

    def _baseline_moved(self, before: Course, after: Views) -> bool:
        """Tell whether a change at a counted session gave the case another baseline, as it can with `first_valid`."""
        policies = {judged.policy for judged in before.judged.values()}
        movable = [ref for ref in policies if self._definitions.policy(ref).baseline == "first_valid"]
        earlier = Views(before, self._definitions)
        return any(earlier.of(ref).baseline != after.of(ref).baseline for ref in movable)

    def _baseline_set(self, state: Course, event: Event[Data], data: BaselineSet) -> Step:
        reason = self._objection_to_baseline(state, data)
        if reason is not None:
            return state, [Derivation(self.name, event).event(FactSetAside(fact=event.id, reason=reason))]
        by_hand = {**state.by_hand, f"{data.instrument}/{data.scale}": SetByHand(data.value, event.id)}
        return self._rejudged(state, evolved(state, by_hand=by_hand), event, since=0)

    def _objection_to_baseline(self, state: Course, data: BaselineSet) -> SetAsideReason | None:
        """Say why a baseline makes no sense: no policy of the case looks at its scale, or it is not on that scale."""
        views = Views(state, self._definitions)
        for view in (views.of(entry.policy) for entry in state.policies):
            if (view.instrument.id, view.scale.id) == (data.instrument, data.scale):
                lowest, highest = view.instrument.bounds(view.scale)
                return None if lowest <= data.value <= highest else "outside_scale"
        return "unknown_scale"


def _candidates(course: Course, primaries: set[str]) -> set[int]:
    """Give the counted sessions that have not been judged, up to the last one of which anything is known."""
    measured = {int(s) for name in primaries for s in course.measured.get(name, ()) if s.isdecimal()}
    missed = {int(s) for s in (key.rpartition("/")[2] for key in course.missed) if s.isdecimal()}
    last = max((*measured, *missed, *course.came()), default=0)
    return set(range(1, last + 1)) - course.judged.keys()
