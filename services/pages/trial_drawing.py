"""The pictures of a policy that is tried: a curve over the sessions, bars side by side, and how often something was."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

from services.pages.drawing import Band, Drawing, Label, Line, Mark, Polyline, Shape

WIDE: Final = 760
NARROW: Final = 360
FEWEST: Final = 5
"""Patients of whom a share is drawn: one of two would be a half."""

_LEFT, _RIGHT, _TOP, _PLOT = 40, 14, 14, 170
_BAR, _ROW = 16, 58
_CLASSES: Final = 12
_LOOKS: Final[Sequence[tuple[str, Shape]]] = (("was", "circle"), ("tried", "diamond"))


class Share(NamedTuple):
    """How many of how many."""

    value: int
    of: int


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn over the sessions, for one policy."""

    name: str
    shares: Mapping[int, Share]

    @property
    def drawn(self) -> Mapping[int, Share]:
        """The sessions of which a share says something."""
        return {session: share for session, share in sorted(self.shares.items()) if share.of >= FEWEST}


def curves(title: str, says: str, some: Sequence[Curve], width: int) -> Drawing | None:
    """Draw two curves, in per cent, over the sessions. None if there is nothing to draw."""
    sessions = sorted({session for curve in some for session in curve.drawn})
    if not sessions:
        return None
    top = 25 * max(1, ceil(max(100 * s.value / s.of for curve in some for s in curve.drawn.values()) / 25))
    slot = (width - _LEFT - _RIGHT) / len(sessions)
    every = ceil(22 / slot)

    def place(session: int, share: float) -> tuple[float, float]:
        x = _LEFT + slot * (sessions.index(session) + 0.5)
        return round(x, 1), round(_TOP + _PLOT * (1 - share / top), 1)

    lines, labels = _grid(width, [(value, f"{value} %") for value in range(0, top + 1, 25)], top)
    labels += [
        Label(place(session, 0)[0], _TOP + _PLOT + 16, str(session), "tick")
        for number, session in enumerate(sessions)
        if number % every == 0
    ]
    polylines, marks = [], []
    for curve, (look, shape) in zip(some, _LOOKS, strict=False):
        places = [(place(session, 100 * s.value / s.of), session, s) for session, s in curve.drawn.items()]
        polylines.append(Polyline(tuple(where for where, _, _ in places), f"curve {look}"))
        for (x, y), session, share in places:
            marks.append(Mark(x, y, shape, 3.6, look, str(session), f"{share.value}/{share.of}", curve.name))
    return Drawing(
        width, _TOP + _PLOT + 24, title, says, (), tuple(lines), tuple(polylines), tuple(marks), tuple(labels)
    )


def _grid(width: int, ticks: Sequence[tuple[int, str]], top: int) -> tuple[list[Line], list[Label]]:
    lines, labels = [], []
    for value, text in ticks:
        y = round(_TOP + _PLOT * (1 - value / top), 1)
        lines.append(Line(_LEFT, y, width - _RIGHT, y, "axis" if value == 0 else "grid"))
        labels.append(Label(_LEFT - 6, y + 3.7, text, "tick", "end"))
    return lines, labels


class Piece(NamedTuple):
    """A piece of a bar: how much, how it looks, and what it is."""

    value: int
    look: str
    name: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of pieces, with its name above it and its numbers below."""

    name: str
    pieces: Sequence[Piece]

    @property
    def says(self) -> str:
        """Its numbers in words."""
        return " · ".join(f"{piece.value} {piece.name}" for piece in self.pieces)


def bars(title: str, some: Sequence[Bar], width: int) -> Drawing:
    """Draw bars one below the other, all by one measure."""
    longest = max([1, *(sum(piece.value for piece in bar.pieces) for bar in some)])
    bands: list[Band] = []
    labels: list[Label] = []
    for number, bar in enumerate(some):
        y, x = number * _ROW + 17, 0.0
        labels.append(Label(0, y - 5, bar.name, "bar-name", "start"))
        for piece in bar.pieces:
            size = round(width * piece.value / longest, 1)
            if piece.value:
                bands.append(Band(round(x, 1), y, size, _BAR, piece.look))
            x += size
        labels.append(Label(0, y + _BAR + 13, bar.says, "tick", "start"))
    says = " ".join(f"{bar.name}: {bar.says}." for bar in some)
    return Drawing(width, len(some) * _ROW, title, says, tuple(bands), labels=tuple(labels))


@dataclass(frozen=True, slots=True)
class Often:
    """How often a number came up, for one policy."""

    name: str
    times: Mapping[int, int]

    def in_classes(self, size: int) -> "Often":
        """Take so many numbers together, from 0 on."""
        found: Counter[int] = Counter()
        for number, often in self.times.items():
            found[number // size] += often
        return Often(self.name, found)


def columns(title: str, axis: str, some: Sequence[Often], width: int) -> Drawing:
    """Draw how often each number came up, side by side; of many numbers, some together."""
    classes = ceil((max([1, *(number for each in some for number in each.times)]) + 1) / _CLASSES)
    some = [each.in_classes(classes) for each in some]
    numbers = range(max([1, *(number for each in some for number in each.times)]) + 1)
    most = max([1, *(times for each in some for times in each.times.values())])
    step = max(1, ceil(most / 4))
    top = step * ceil(most / step)
    slot = (width - _LEFT - _RIGHT) / len(numbers)
    names = [_class_named(number, classes) for number in numbers]
    size, every = round(min(26.0, slot * 0.36), 1), ceil((8 + 7 * max(map(len, names))) / slot)
    lines, labels = _grid(width, [(value, str(value)) for value in range(0, top + 1, step)], top)
    drawn: list[Polyline] = []
    for number in numbers:
        middle = _LEFT + slot * (number + 0.5)
        if number % every == 0:
            labels.append(Label(round(middle, 1), _TOP + _PLOT + 16, names[number], "tick"))
        for place, (each, (look, _)) in enumerate(zip(some, _LOOKS, strict=False)):
            height = round(_PLOT * each.times.get(number, 0) / top, 1)
            x = round(middle + (place - len(some) / 2) * (size + 1), 1)
            if height:
                drawn.append(Polyline(_upright(x, size, height), f"column {look}"))
    labels.append(Label(width - _RIGHT, _TOP + _PLOT + 32, axis, "tick", "end"))
    said = " ".join(f"{each.name}: {_said(each.times, classes)}." for each in some)
    return Drawing(width, _TOP + _PLOT + 38, title, said, (), tuple(lines), tuple(drawn), labels=tuple(labels))


def _upright(x: float, width: float, height: float) -> tuple[tuple[float, float], ...]:
    """Outline a column that stands on the axis."""
    floor, top, right = _TOP + _PLOT, round(_TOP + _PLOT - height, 1), round(x + width, 1)
    return ((x, floor), (x, top), (right, top), (right, floor))


def _class_named(number: int, size: int) -> str:
    return str(number) if size == 1 else f"{number * size}–{(number + 1) * size - 1}"


def _said(times: Mapping[int, int], size: int) -> str:
    return ", ".join(f"{_class_named(number, size)}: {often}" for number, often in sorted(times.items()))


def legend(names: Sequence[str], shape: Shape | None = None) -> Iterator[tuple[Mark, str]]:
    """Give the signs of curves with what they stand for. shape: of columns, which have all the same."""
    for name, (look, own) in zip(names, _LOOKS, strict=False):
        yield Mark(0, 0, shape or own, 5, look), name
