"""What scoring knows of the assessments of a case: its responses, its occasions, and what waits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from contracts.definitions.definition import id_of
from contracts.events.event import Event
from contracts.events.facts import (
    ResponseCorrected,
    ResponseWithdrawn,
)
from contracts.evolution import evolved

Late = Event[ResponseCorrected | ResponseWithdrawn]


class Scored(NamedTuple):
    """A response that counts or did: where it belongs, and the score event that holds now."""

    session: int | str
    instrument: str
    answered_at: datetime
    score: str
    withdrawn: bool = False


class Occasion(NamedTuple):
    """One questionnaire of one session: asked for, answered by, missed."""

    asked: bool = False
    answered_by: str | None = None
    missed: bool = False


NOT_ASKED = Occasion()


@dataclass(frozen=True)
class Assessments:
    """What scoring knows of the assessments of a case.

    seen: fact id -> the digests of the contents it came with; the first is the fact
    responses: response id -> what became of it
    occasions: `session/instrument id` -> what became of it
    waiting: response id -> corrections and withdrawals that came before it
    """

    seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protocol: str | None = None
    closed_at: datetime | None = None
    erased: bool = False
    responses: Mapping[str, Scored] = field(default_factory=dict)
    occasions: Mapping[str, Occasion] = field(default_factory=dict)
    waiting: Mapping[str, tuple[Late, ...]] = field(default_factory=dict)

    def occasion(self, session: int | str, instrument: str) -> Occasion:
        """Give what is known of an occasion."""
        return self.occasions.get(occasion_key(session, instrument), NOT_ASKED)

    def with_occasion(self, session: int | str, instrument: str, occasion: Occasion) -> "Assessments":
        """Know something else of an occasion."""
        return evolved(self, occasions={**self.occasions, occasion_key(session, instrument): occasion})

    def with_response(self, response: str, scored: Scored) -> "Assessments":
        """Know what became of a response."""
        return evolved(self, responses={**self.responses, response: scored})


def occasion_key(session: int | str, instrument: str) -> str:
    """Name an occasion: the session, and the instrument whatever its version."""
    return f"{session}/{id_of(instrument)}"
