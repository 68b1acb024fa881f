"""The stage: decisions in, reports and requests for notices out."""

from collections.abc import Sequence

from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Data, Event
from contracts.events.facts import (
    ActionChosen,
    CaseEnrolled,
    CaseTransferred,
    NeedsStated,
    PolicyChanged,
    ProblemNamed,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
    SessionDue,
)
from contracts.events.scores import ScoreComputed, ScoreRevised, ScoreWithdrawn
from contracts.events.tracks import TrackEvaluated, TrackRevised
from contracts.evolution import evolved
from contracts.topics import NOTICES, TRACKS
from services.notifier.domain.dossier import Dossier
from services.notifier.domain.telling import Telling

Step = tuple[Dossier, Sequence[Event[Data]]]


class Notifier:
    """The stage that tells therapists."""

    name = "notifier"
    reads = TRACKS
    writes = NOTICES
    acts_on: frozenset[type[Data]] = frozenset(
        {
            ActionChosen,
            CaseEnrolled,
            CaseTransferred,
            NeedsStated,
            PolicyChanged,
            ProblemNamed,
            ReportClosed,
            ReportDiscussed,
            ReportSeen,
            ScoreComputed,
            ScoreRevised,
            ScoreWithdrawn,
            SessionDue,
            TrackEvaluated,
            TrackRevised,
        }
    )
    state = Dossier
    schema = 5

    def __init__(self, definitions: Catalogue) -> None:
        """Put reports together by these definitions."""
        self._definitions = definitions

    def initial(self, case_id: str) -> Dossier:  # noqa: ARG002 - every case begins with nothing known
        """Begin a case."""
        return Dossier()

    def step(self, state: Dossier, event: Event[Data]) -> Step:
        """Take one fact, score or decision. Raises DefinitionMissing if it needs one that is not known."""
        telling = Telling(state, event, self._definitions)
        match event.data:
            case ScoreComputed() | ScoreRevised() as score:
                telling.scored(score)
            case CaseEnrolled() as case:
                telling.dossier = evolved(
                    state, clinic=case.clinic, group=case.group, protocol=case.protocol, policies=((0, case.policy),)
                )
            case PolicyChanged(policy=policy, from_session=session):
                telling.dossier = evolved(state, policies=(*state.policies, (session, policy)))
            case CaseTransferred() as transfer:
                telling.transferred(transfer)
            case ProblemNamed() as problem:
                telling.problem_named(problem)
            case ScoreWithdrawn() as score:
                telling.withdrawn(score)
            case TrackEvaluated() | TrackRevised() as decision:
                telling.judged(decision)
            case SessionDue(session=session, scheduled=scheduled):
                telling.session_due(session, scheduled)
            case ReportSeen() | ReportDiscussed() | ActionChosen() | NeedsStated() | ReportClosed() as touched:
                telling.touched(touched)
            case _:
                pass
        return telling.dossier, telling.said
