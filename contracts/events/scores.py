"""`rom.scores.v1`: what `scoring` concluded from the responses, between the facts it passes on."""

from decimal import Decimal
from typing import Literal

from contracts.events.event import Data
from contracts.events.facts import CaseFact
from contracts.events.fields import DefinitionRef, EventId, FlagKind, Instant, Name, Session, Whole

SetAsideReason = Literal[
    "after_the_end",
    "already_closed",
    "already_enrolled",
    "erased",
    "id_reused",
    "invalid_answers",
    "not_enrolled",
    "occasion_answered",
    "outside_protocol",
    "outside_scale",
    "report_unknown",
    "response_set_aside",
    "response_withdrawn",
    "unknown_scale",
]


class FactSetAside(Data):
    """A fact makes no sense in this history. It stays on the log, has no effect, and this says why.

    fact: the id of the fact, which is also the cause of this event unless another fact revealed it
    """

    fact: EventId
    reason: SetAsideReason


class ScaleValue(Data):
    """One number of a response. `value` is None where too many items are missing for a valid score."""

    scale: Name
    value: Decimal | None


class FlaggedAnswer(Data):
    """An answer that the instrument's definition marks, and by which of its flags."""

    flag: Name
    kind: FlagKind
    item: Name
    value: Whole


class Score(Data):
    """The numbers of one response and the answers that its instrument flags."""

    response: EventId
    session: Session
    instrument: DefinitionRef
    scales: tuple[ScaleValue, ...]
    flags: tuple[FlaggedAnswer, ...]
    comment: str | None = None
    answered_at: Instant


class ScoreComputed(Score):
    """A response was scored."""


class ScoreRevised(Score):
    """A correction changed the numbers of a response. `revises` is the score that no longer holds."""

    revises: EventId


class ScoreWithdrawn(Data):
    """A response was withdrawn, and its score with it."""

    response: EventId
    session: Session
    instrument: DefinitionRef
    revises: EventId


class OccasionMissed(Data):
    """A questionnaire was asked for and closed without an answer."""

    session: Session
    instrument: DefinitionRef


DerivedScore = ScoreComputed | ScoreRevised | ScoreWithdrawn | OccasionMissed | FactSetAside
ScoreEvent = CaseFact | DerivedScore
