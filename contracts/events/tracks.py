"""`rom.tracks.v1`: what `not_detector` concluded from the scores, between the events it passes on."""

from decimal import Decimal
from typing import Literal

from contracts.events.event import Data
from contracts.events.fields import CountedSession, DefinitionRef, EventId, Name, Session
from contracts.events.scores import ScoreEvent

RuleKind = Literal["deterioration/1", "no_change/1", "once_not/1"]
Status = Literal["on_track", "not_on_track", "unknown"]


class Baseline(Data):
    """The score that later ones are compared with, and how it came about.

    how: the policy's baseline rule, or `set_by_hand`
    session, score: where it was measured; None for one that was set by hand
    origin: the score event, or the fact that set it
    """

    value: Decimal
    how: Literal["before_first_session", "first_valid", "set_by_hand"]
    session: Session | None = None
    origin: EventId


class Evidence(Data):
    """Why a rule fired: the numbers that it stood on.

    rule: kind and version of the rule
    reading: what the scores were compared with
    threshold: the policy's limit, in points of the scale
    sessions, values: the measured sessions it looked at, oldest first, and their scores
    changes: for each of them, by how many points it moved towards worse (negative: towards better)
    """

    rule: RuleKind
    reading: Literal["baseline", "previous", "window", "earlier_session"]
    threshold: Decimal | None
    sessions: tuple[CountedSession, ...]
    values: tuple[Decimal, ...]
    changes: tuple[Decimal, ...]


AnnotationKind = Literal[
    "cannot_deteriorate",
    "cannot_improve",
    "healthy_range",
    "within_measurement_error",
    "provisional_definition",
]


class Annotation(Data):
    """Something a reader of the decision must know.

    value: the number it rests on: the cut-off, the band, or the room that is left on the scale
    cut_off: which cut-off of the instrument, for `healthy_range`
    """

    kind: AnnotationKind
    value: Decimal | None = None
    cut_off: Name | None = None


class Episode(Data):
    """A run of not-on-track sessions.

    sessions: those of the run so far, this one included
    persistent: it is as long as the policy says for pNOT
    """

    sessions: tuple[CountedSession, ...]
    persistent: bool


class Decision(Data):
    """The status of one session, and everything it stands on.

    score: of the primary scale at this session; None if it has no valid one
    measured_by: the score event
    unknown_because: `not_measured`; `no_baseline` where a rule could not be evaluated for want of one; `cancelled`
        where the session was judged before it was known that it did not take place
    silent_sessions: the run of unknown sessions that ends here, this one included
    silent: that run is as long as the policy's `silent_after`
    ever_not: the case has been not on track at this session or before
    last_of_cause: no further decision follows from the same cause
    """

    session: CountedSession
    status: Status
    policy: DefinitionRef
    instrument: DefinitionRef
    scale: Name
    score: Decimal | None
    measured_by: EventId | None
    baseline: Baseline | None
    rules: tuple[Evidence, ...]
    unknown_because: Literal["not_measured", "no_baseline", "cancelled"] | None
    annotations: tuple[Annotation, ...]
    episode: Episode | None
    silent_sessions: tuple[CountedSession, ...]
    silent: bool
    ever_not: bool
    last_of_cause: bool


class TrackEvaluated(Decision):
    """A session was judged for the first time."""


class TrackRevised(Decision):
    """A session was judged again, and otherwise. `revises` is the decision that no longer holds."""

    revises: EventId


DerivedTrack = TrackEvaluated | TrackRevised
TrackEvent = ScoreEvent | DerivedTrack
