"""A course as a picture in the terminal: the trajectory, up is better, with its scores and statuses below."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Final

from contracts.events.tracks import Status
from services.cli.case.canvas import FAINT, PLAIN, Canvas, Ink
from services.cli.naming import WORDS
from services.cli.screen import flowed, painted

ROWS_FEWEST: Final = 3
"""So many levels must find a row for their names."""

ROWS_LEAST: Final = 11
ROWS_AT_EASE: Final = 21
ROWS_AT_MOST: Final = 26
BESIDE_THE_PLOT: Final = 14
"""Lines of the screen that other things than the plot take."""
STEPS: Final = tuple(Decimal(step) for step in ("0.1", "0.2", "0.25", "0.5", "1", "2", "3", "4", "5", "10", "20", "25"))
SLOT_AT_MOST: Final = 6
NAMED_EVERY: Final = (1, 2, 5, 10, 20, 50, 100)
TICKS_AT_MOST: Final = 8

BARS: Final = "▁▂▃▄▅▆▇█"
MARKS: Final[Mapping[Status | None, tuple[str, Ink, str]]] = {
    "on_track": ("●", Ink("green"), "on track"),
    "not_on_track": ("✕", Ink("red", bold=True), "not on track (NOT)"),
    "unknown": ("?", Ink("yellow"), "unknown"),
    None: ("○", PLAIN, "measured, not judged"),
}
GAP: Final = ("░", FAINT, "no valid score")
TO_COME: Final = ("·", FAINT, "to come")


@dataclass(frozen=True, slots=True)
class Slot:
    """One session on the axis.

    name: its number, or i1 for an individual one
    score, status: None where there is no valid score, where it was not judged
    to_come: the session lies ahead
    """

    name: str
    score: Decimal | None
    status: Status | None
    to_come: bool = False

    @property
    def is_gap(self) -> bool:
        """Whether a score that was expected is missing."""
        return self.score is None and self.status == "unknown"


@dataclass(frozen=True, slots=True)
class Level:
    """A value with a name, drawn across the picture. look: the character of its line."""

    name: str
    value: Decimal
    look: str
    ink: Ink

    @property
    def label(self) -> str:
        """Its name and value."""
        return f"{self.name} {WORDS.number(self.value)}"


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn.

    best, worst: the ends of the scale: they say what is up
    baseline, not_line, cut_off: the levels that there are
    """

    best: Decimal
    worst: Decimal
    slots: Sequence[Slot]
    baseline: Decimal | None = None
    not_line: Decimal | None = None
    cut_off: Decimal | None = None

    def levels(self) -> list[Level]:
        """Give the levels; the later ones are drawn over the earlier ones."""
        known = [
            ("cut-off", self.cut_off, "┈", FAINT),
            ("baseline", self.baseline, "┄", Ink("cyan")),
            ("NOT line", self.not_line, "━", Ink("red")),
        ]
        return [Level(name, value, look, ink) for name, value, look, ink in known if value is not None]

    def depth(self, value: Decimal) -> Decimal:
        """Tell how many points a value lies below the best one; what lies off the scale is put at its end."""
        points = value - self.best if self.worst > self.best else self.best - value
        return min(max(points, Decimal(0)), abs(self.worst - self.best))

    def reaches_not_line(self, score: Decimal) -> bool:
        """Tell whether a score is as bad as the NOT line, or worse."""
        return self.not_line is not None and self.depth(score) >= self.depth(self.not_line)


def drawn(picture: Picture, width: int, height: int) -> Iterator[str]:
    """Draw a picture in `width` columns, for a screen of `height` lines."""
    frame = Frame(picture, width, height)
    canvas = Canvas()
    _axis(canvas, frame)
    _levels(canvas, frame, picture.levels())
    _gaps(canvas, frame)
    _curve(canvas, frame)
    _rows_below(canvas, frame)
    yield from canvas.lines()
    yield ""
    yield from flowed(_legend(frame, picture), width)
    if frame.left_out:
        yield f"The first {frame.left_out} sessions are not drawn: there is no room for them."


class Frame:
    """Where things lie: what a row stands for, which sessions fit, and how far they are apart."""

    def __init__(self, picture: Picture, width: int, height: int) -> None:
        """Lay out a picture."""
        self._picture = picture
        self.step = _step(picture, height)
        self.rows = max(self.row(picture.worst) + 1, ROWS_FEWEST)
        towards_worse = self.step if picture.worst > picture.best else -self.step
        lowest, highest = sorted((picture.best, picture.worst))
        steps = (picture.best + towards_worse * row for row in range(self.rows))
        ticks = [WORDS.number(min(max(value, lowest), highest)) for value in steps]
        every = next(n for n in NAMED_EVERY if (self.rows - 1) / n <= TICKS_AT_MOST)
        self.ticks = {row: tick for row, tick in enumerate(ticks) if row % every == 0}
        self.left = max(len("session"), *(len(tick) for tick in ticks)) + 1
        names = max((len(level.label) + 1 for level in picture.levels()), default=0)
        room = max(width - self.left - 2 - names, SLOT_AT_MOST)
        self.slots = picture.slots[-room:]
        self.left_out = len(picture.slots) - len(self.slots)
        self.slot = min(SLOT_AT_MOST, room // max(len(self.slots), 1))
        self.right = self.left + 2 + min(room, max(self.slot * len(self.slots), 3 * SLOT_AT_MOST))

    def row(self, value: Decimal) -> int:
        """Give the row of a value, from the top: the best values are up."""
        return int((self._picture.depth(value) / self.step).quantize(Decimal(1), ROUND_HALF_UP))

    def row_of_score(self, score: Decimal) -> int:
        """Give the row of a score: above the NOT line if it does not reach it, however coarse the rows are."""
        row, line = self.row(score), self._picture.not_line
        if line is None:
            return row
        if self._picture.reaches_not_line(score):
            return max(row, self.row_of_level(line))
        return min(row, max(self.row_of_level(line) - 1, 0))

    def row_of_level(self, level: Decimal) -> int:
        """Give the row of a line: there is room above the NOT line for scores that do not reach it."""
        row = self.row(level)
        return max(row, 1) if level == self._picture.not_line != self._picture.best else row

    def column(self, place: int) -> int:
        """Give the column of a session."""
        return self.left + 2 + place * self.slot + (self.slot - 1) // 2


def _step(picture: Picture, height: int) -> Decimal:
    """Choose what a row stands for: as little as there is room for, and less than baseline and NOT line are apart."""
    span = abs(picture.worst - picture.best)
    at_ease = min(max(height - BESIDE_THE_PLOT, ROWS_LEAST), ROWS_AT_EASE) - 1
    step = next((step for step in STEPS if span / step <= at_ease), (span / at_ease).to_integral_value(ROUND_CEILING))
    if picture.baseline is None or picture.not_line is None:
        return step
    apart = abs(picture.not_line - picture.baseline)
    finer = [finer for finer in STEPS if finer <= min(step, apart) and span / finer < ROWS_AT_MOST]
    return finer[-1] if finer else step


def _axis(canvas: Canvas, frame: Frame) -> None:
    for row in range(frame.rows):
        tick = frame.ticks.get(row)
        canvas.write(row, 0, f"{tick or '':>{frame.left}}{'┤' if tick else '│'}")
    canvas.write(frame.rows, frame.left, "└" + "─" * (frame.right - frame.left - 1))


def _levels(canvas: Canvas, frame: Frame, levels: Sequence[Level]) -> None:
    for level in levels:
        canvas.write(
            frame.row_of_level(level.value), frame.left + 1, level.look * (frame.right - frame.left - 1), level.ink
        )
    free = set(range(frame.rows + 1))
    for level in reversed(levels):
        beside = _nearest(frame.row_of_level(level.value), free)
        free.remove(beside)
        canvas.write(beside, frame.right + 1, level.label, level.ink)


def _nearest(row: int, free: set[int]) -> int:
    """Find the nearest row where a label can stand, the one above before the one below."""
    return min(free, key=lambda other: (abs(other - row), other))


def _gaps(canvas: Canvas, frame: Frame) -> None:
    for place, slot in enumerate(frame.slots):
        for row in range(frame.rows) if slot.is_gap else ():
            canvas.write(row, frame.column(place), GAP[0], GAP[1])


def _curve(canvas: Canvas, frame: Frame) -> None:
    """Draw the curve, broken where a score is missing, and the mark of each session over it."""
    points = [
        None if slot.score is None else (frame.row_of_score(slot.score), frame.column(place))
        for place, slot in enumerate(frame.slots)
        if slot.score is not None or slot.is_gap
    ]
    for before, after in pairwise(points):
        if before is not None and after is not None:
            canvas.stroke(before, after)
    for place, slot in enumerate(frame.slots):
        if slot.score is not None:
            mark, ink, _ = MARKS[slot.status]
            canvas.write(frame.row_of_score(slot.score), frame.column(place), mark, ink)


def _rows_below(canvas: Canvas, frame: Frame) -> None:
    row = frame.rows + 1
    longest = max((len(slot.name) for slot in frame.slots), default=1)
    every = next(n for n in NAMED_EVERY if n * frame.slot > longest)
    canvas.write(row, 0, "session", FAINT)
    for place, slot in enumerate(frame.slots):
        if every == 1 or (slot.name.isdecimal() and int(slot.name) % every == 0):
            canvas.centred(row, frame.column(place), slot.name)
    scores = ["" if slot.score is None else WORDS.number(slot.score) for slot in frame.slots]
    if max((len(score) for score in scores), default=0) < frame.slot:
        row += 1
        canvas.write(row, 0, "score", FAINT)
        for place, slot in enumerate(frame.slots):
            canvas.centred(row, frame.column(place), "–" if slot.is_gap else scores[place])
    canvas.write(row + 1, 0, "status", FAINT)
    for place, slot in enumerate(frame.slots):
        mark, ink, _ = _mark(slot)
        canvas.write(row + 1, frame.column(place), mark, ink)


def _mark(slot: Slot) -> tuple[str, Ink, str]:
    """Give the mark of a session in the row of statuses."""
    if slot.to_come:
        return TO_COME
    return (" ", PLAIN, "") if slot.status is None and slot.score is None else MARKS[slot.status]


def _legend(frame: Frame, picture: Picture) -> list[tuple[str, str]]:
    """Explain the marks that are there: as it is printed, and as plain text."""
    marks = dict.fromkeys(_mark(slot) for slot in frame.slots)
    order = [*(MARKS[status] for status in MARKS), TO_COME]
    shown = [mark for mark in order if mark in marks]
    shown += [GAP] if any(slot.is_gap for slot in frame.slots) else []
    shown += [(level.look, level.ink, level.name) for level in reversed(picture.levels())]
    return [
        (f"{painted(look, ink.colour, bold=ink.bold, dim=ink.dim)} {says}", f"{look} {says}")
        for look, ink, says in shown
    ]


def sparkline(values: Sequence[Decimal | None], best: Decimal, worst: Decimal) -> str:
    """Draw a scale in one line, up is better; a dot stands where a value is missing between others."""
    measured = [place for place, value in enumerate(values) if value is not None]
    if not measured:
        return ""
    first, last = measured[0], measured[-1]
    line = ["·" if value is None else _bar(value, best, worst) for value in values[first : last + 1]]
    return " " * first + "".join(line)


def _bar(value: Decimal, best: Decimal, worst: Decimal) -> str:
    """Give the bar of a value: full at the best one, least at the worst."""
    if best == worst:
        return BARS[-1]
    goodness = (worst - value) / (worst - best)
    return BARS[int((goodness * (len(BARS) - 1)).quantize(Decimal(1), ROUND_HALF_UP))]
