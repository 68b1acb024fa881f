"""What a picture is made of: lines, bands, marks and labels, each with its place; a template turns them into SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Shape = Literal["circle", "diamond", "square", "triangle", "dot"]


@dataclass(frozen=True, slots=True)
class Band:
    """An area behind everything else."""

    x: float
    y: float
    width: float
    height: float
    look: str


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    look: str


@dataclass(frozen=True, slots=True)
class Polyline:
    """A row of points that belong together."""

    points: tuple[tuple[float, float], ...]
    look: str

    @property
    def d(self) -> str:
        """The row as a path."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign at a point. session, value: what it stands for; says: the same in words."""

    x: float
    y: float
    shape: Shape
    size: float
    look: str
    session: str = ""
    value: str = ""
    says: str = ""

    @property
    def d(self) -> str:
        """Outline of the sign around its own middle."""
        return outline(self.shape, self.size)


@dataclass(frozen=True, slots=True)
class Label:
    """Words at a point. upright: read from below."""

    x: float
    y: float
    text: str
    look: str
    anchor: Literal["start", "middle", "end"] = "middle"
    upright: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole picture, from back to front, with a title and a description for those who cannot see it."""

    width: int
    height: int
    title: str
    says: str
    bands: tuple[Band, ...] = ()
    lines: tuple[Line, ...] = ()
    polylines: tuple[Polyline, ...] = ()
    marks: tuple[Mark, ...] = ()
    labels: tuple[Label, ...] = ()


def outline(shape: Shape, size: float) -> str:
    """Draw a shape around the origin; size is its half width."""
    half = f"{size:g}"
    match shape:
        case "circle" | "dot":
            return f"M-{half} 0A{half} {half} 0 1 0 {half} 0A{half} {half} 0 1 0 -{half} 0Z"
        case "diamond":
            return _closed([(0, -size * 1.25), (size * 1.25, 0), (0, size * 1.25), (-size * 1.25, 0)])
        case "square":
            return _closed([(-size, -size), (size, -size), (size, size), (-size, size)])
        case "triangle":
            return _closed([(0, -size), (size, size * 0.8), (-size, size * 0.8)])


def _closed(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z"


def spread(wanted: Iterable[float], distance: float, lowest: float, highest: float) -> list[float]:
    """Move places apart until each has its distance from the next one, within bounds, in the order given.

    `wanted` is ascending. The places move as a block where they have to, and as little as that allows.
    """
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, lowest, placed[-1] + distance if placed else lowest))
    for index in range(len(placed) - 1, -1, -1):
        ceiling = highest if index == len(placed) - 1 else placed[index + 1] - distance
        placed[index] = min(placed[index], ceiling)
    return placed
