"""What a page that argues for a decision is told: the argument as it was found, and the case as it was then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.events.event import Data, Event
from contracts.events.facts import OccasionOpened, PolicyChanged, ResponseCorrected, ResponseSubmitted
from contracts.events.notices import ReportContent
from contracts.events.scores import Score
from contracts.events.tracks import Decision
from services.pages.ruled import Ruled


class Stood(Protocol):
    """A score that a decision stood on, with the answers that held; is_first: nobody had corrected them."""

    @property
    def score(self) -> Event[Score]:
        """The score."""

    @property
    def answers(self) -> Event[ResponseSubmitted] | Event[ResponseCorrected] | None:
        """The answers behind it."""

    @property
    def is_first(self) -> bool:
        """Whether these are the answers that came first."""


class Argument(Protocol):
    """What a decision stood on, and what was not known then. The same is told as text and as data."""

    @property
    def decision(self) -> Event[Decision]:
        """The decision that held."""

    @property
    def before(self) -> Sequence[Event[Decision]]:
        """Those that it took the place of, the first one first."""

    @property
    def scores(self) -> Sequence[Stood]:
        """What it stood on."""

    @property
    def baseline(self) -> Event[Data] | None:
        """The score that it was compared with, or the fact that set it."""

    @property
    def measured(self) -> Stood | None:
        """The baseline with the answers behind it, if it is a score."""

    @property
    def policy_by(self) -> Event[PolicyChanged] | None:
        """The fact by which the policy came to hold, if it was not that of the enrolment."""

    @property
    def missing(self) -> Sequence[Event[OccasionOpened]]:
        """What was asked for by then and had not been answered."""

    @property
    def late(self) -> Sequence[Event[ResponseSubmitted]]:
        """What was answered by then and had not arrived."""

    @property
    def later(self) -> Sequence[Event[Data]]:
        """What took its place since, and what led to that."""

    @property
    def told(self) -> Sequence[Event[Data]]:
        """What was requested, sent and seen because of it."""


@dataclass(frozen=True, slots=True)
class Argued:
    """What a page tells: an argument, what each rule said, and the case as it was known when the session was judged.

    responses: every response of the case, by id; until: the moment as of which it is told; None: as of now
    """

    argument: Argument
    rules: Sequence[Ruled]
    content: ReportContent
    responses: Mapping[str, ResponseSubmitted]
    until: datetime | None = None
