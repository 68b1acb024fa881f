"""Where things lie in the picture of a trajectory: sessions from left to right, the best value on top."""

from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Final

from contracts.events.fields import Session
from contracts.events.notices import Curve, Point
from contracts.events.tracks import Baseline
from services.pages.drawing import Shape
from services.pages.measure import Measure
from services.pages.subject import Subject
from services.pages.timeline import Timeline

DENSE: Final = 0.86
"""How small the letters of a picture with very many sessions are, to those of another."""

SHAPES: Final[dict[str, Shape]] = {
    "on_track": "circle",
    "not_on_track": "diamond",
    "unknown": "square",
    "unjudged": "dot",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a picture: the plot's left, right, top and height, and the height of a row below it."""

    width: int
    left: int
    right: int
    top: int
    plot: int
    row: int
    letter: float

    @property
    def span(self) -> float:
        """Width of the plot."""
        return self.width - self.left - self.right

    @property
    def floor(self) -> float:
        """Where the plot ends below."""
        return self.top + self.plot


WIDE: Final = Frame(width=760, left=74, right=104, top=10, plot=184, row=18, letter=6.2)
NARROW: Final = Frame(width=360, left=62, right=80, top=12, plot=180, row=18, letter=5.6)


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything that a trajectory shows, laid into a frame."""

    subject: Subject
    measure: Measure
    curve: Curve | None
    axis: Timeline
    frame: Frame

    @property
    def slot(self) -> float:
        """Width of one session."""
        return self.frame.span / len(self.axis.sessions)

    @property
    def mark(self) -> float:
        """Size of a mark."""
        return min(4.6, self.slot * 0.4)

    @property
    def is_dense(self) -> bool:
        """Whether the sessions stand so close that their labels have to be small."""
        return self.slot < 2 * self.frame.letter + 4

    def x(self, session: Session) -> float:
        """Place of a session."""
        return round(self.frame.left + self.slot * (self.axis.sessions.index(session) + 0.5), 1)

    def y(self, value: Decimal) -> float:
        """Place of a value: the best one on top, the worst one at the floor."""
        return round(self.frame.top + self.frame.plot * self.measure.depth(value), 1)

    def row(self, number: int) -> float:
        """Place of a row below the plot."""
        return self.frame.floor + self.frame.row * number + 18

    @property
    def baseline(self) -> Baseline | None:
        """The baseline of the decision."""
        decision = self.subject.content.decision
        return decision.baseline if decision is not None else None

    @property
    def points(self) -> tuple[Point, ...]:
        """The measured values, and the baseline where it was measured outside the counted sessions."""
        points = self.curve.points if self.curve is not None else ()
        baseline = self.baseline
        if baseline is None or baseline.session is None or baseline.session in {point.session for point in points}:
            return points
        added = Point(session=baseline.session, value=baseline.value)
        return tuple(sorted((*points, added), key=lambda point: self.axis.sessions.index(point.session)))

    @property
    def rows(self) -> int:
        """How many rows stand below the plot."""
        return 4 if self.axis.events else 3

    def unmeasured(self) -> list[int]:
        """Find the judged sessions that have no value."""
        measured = {point.session for point in self.points}
        return [s for s, judged in self.axis.judged.items() if s not in measured and judged.status == "unknown"]

    def with_room(self, letters: int) -> list[Session]:
        """Choose the sessions that have room for so many letters: all, or every n-th before and after this one."""
        letter = self.frame.letter * (DENSE if self.is_dense else 1)
        every = max(1, ceil((letters * letter + 2) / self.slot))
        here = self.axis.sessions.index(self.axis.now)
        return [session for n, session in enumerate(self.axis.sessions) if (n - here) % every == 0]
