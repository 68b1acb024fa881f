"""The trajectory of the primary scale as a picture: up is better, whichever way the scale counts."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from contracts.events.notices import JudgedSession
from services.pages.drawing import Band, Drawing, Label, Line, Mark, Polyline, spread
from services.pages.limits import NamedLine, healthy_limit, named_lines
from services.pages.measure import Measure
from services.pages.plot import SHAPES, Frame, Plot
from services.pages.strip import strip_labels, strip_marks
from services.pages.subject import Subject
from services.pages.timeline import timeline, unbroken

STEPS: Final = tuple(Decimal(step) for step in ("0.5", "1", "2", "5", "10", "20", "25", "50", "100"))
INTERVALS_AT_MOST: Final = 7
LABEL_GAP: Final = 13.0
ROOM_BESIDE: Final = 12
ROOM_FOR_NUMBER: Final = 22


def chart(subject: Subject, frame: Frame) -> Drawing | None:
    """Draw the trajectory; None where the report names no scale at all."""
    measure = subject.primary
    if measure is None:
        return None
    curve = next((curve for curve in subject.content.curves if subject.is_primary(curve)), None)
    plot = Plot(subject, measure, curve, timeline(subject), frame)
    named = list(named_lines(subject))
    return Drawing(
        width=frame.width,
        height=round(plot.row(plot.rows)) - 12,
        title=subject.words("chart.title", scale=measure.label),
        says=_says(plot, [line.name for line in named]),
        bands=tuple(_bands(plot)),
        lines=(*_grid(plot), *_reference_lines(plot, named)),
        polylines=tuple(Polyline(run, "curve") for run in _runs(plot)),
        marks=(*_marks(plot), *_gap_marks(plot), *strip_marks(plot)),
        labels=(
            *_tick_labels(plot),
            *_line_labels(plot, named),
            *strip_labels(plot),
            *_now_label(plot, named),
        ),
    )


def ticks(measure: Measure) -> list[Decimal]:
    """Choose the values on the axis: round ones from the lowest on, and the highest where it has room."""
    lowest, highest = measure.bounds
    step = next((s for s in STEPS if (highest - lowest) / s <= INTERVALS_AT_MOST), highest - lowest)
    chosen = [lowest + step * n for n in range(int((highest - lowest) / step) + 1)]
    return chosen if highest - chosen[-1] < step / 2 else [*chosen, highest]


def _runs(plot: Plot) -> list[tuple[tuple[float, float], ...]]:
    placed = ((point.session, (plot.x(point.session), plot.y(point.value))) for point in plot.points)
    return unbroken(plot.subject, plot.curve, placed)


def _bands(plot: Plot) -> Iterator[Band]:
    frame = plot.frame
    healthy = healthy_limit(plot.subject)
    if healthy is not None:
        yield Band(frame.left, frame.top, frame.span, round(plot.y(healthy) - frame.top, 1), "healthy")
    left = plot.x(plot.axis.now) - plot.slot / 2
    yield Band(round(left, 1), frame.top, round(plot.slot, 1), plot.row(plot.rows) - 13 - plot.frame.top, "now")
    for session in plot.unmeasured():
        x = plot.x(session) - plot.slot / 2
        yield Band(round(x, 1), frame.top, round(plot.slot, 1), frame.plot, "gap")


def _grid(plot: Plot) -> Iterator[Line]:
    frame = plot.frame
    right = frame.width - frame.right
    for value in ticks(plot.measure):
        yield Line(frame.left, plot.y(value), right, plot.y(value), "grid")
    yield Line(frame.left, frame.floor, right, frame.floor, "axis")
    for number in range(1, plot.rows):
        yield Line(10, plot.row(number) - 13, right, plot.row(number) - 13, "rule")


def _reference_lines(plot: Plot, named: list[NamedLine]) -> Iterator[Line]:
    right = plot.frame.width - plot.frame.right
    for line, place in _named_places(plot, named):
        y = plot.y(line.value)
        yield Line(plot.frame.left, y, right, y, line.look)
        yield Line(right, y, right + 7, place, f"leader {line.look}-leader")


def _named_places(plot: Plot, named: list[NamedLine]) -> Iterator[tuple[NamedLine, float]]:
    """Find where the names stand: beside their lines, but never on each other."""
    ordered = sorted(named, key=lambda line: plot.y(line.value))
    places = spread((plot.y(line.value) for line in ordered), LABEL_GAP, plot.frame.top, plot.frame.floor)
    yield from zip(ordered, places, strict=True)


def _line_labels(plot: Plot, named: list[NamedLine]) -> Iterator[Label]:
    x = plot.frame.width - plot.frame.right + 10
    for line, place in _named_places(plot, named):
        yield Label(x, place + 3.7, line.name, f"name {line.look}-name", "start")


def _tick_labels(plot: Plot) -> Iterator[Label]:
    frame, words = plot.frame, plot.subject.words
    for value in ticks(plot.measure):
        yield Label(frame.left - 8, plot.y(value) + 3.7, words.number(value), "tick", "end")
    yield Label(18, frame.top, words("chart.better"), "way", "end", upright=True)
    yield Label(18, frame.floor, words("chart.worse"), "way", "start", upright=True)


def _marks(plot: Plot) -> Iterator[Mark]:
    words = plot.subject.words
    for point in plot.points:
        judged = plot.axis.judgement(point.session)
        status = judged.status if judged is not None else "unjudged"
        says = f"{words.session(point.session)}: {plot.measure.of(point.value)}, {words(f'status.{status}')}"
        size = plot.mark if status != "unjudged" else plot.mark * 0.8
        yield Mark(
            x=plot.x(point.session),
            y=plot.y(point.value),
            shape=SHAPES[status],
            size=round(size, 1),
            look=f"point {status}",
            session=str(point.session),
            value=str(point.value),
            says=says,
        )


def _gap_marks(plot: Plot) -> Iterator[Mark]:
    words = plot.subject.words
    for session in plot.unmeasured():
        says = f"{words.session(session)}: {words('number.none')}"
        size = round(plot.mark * 0.9, 1)
        yield Mark(plot.x(session), plot.frame.floor, "square", size, "missing", session=str(session), says=says)


def _now_label(plot: Plot, named: list[NamedLine]) -> Iterator[Label]:
    """Write the latest value beside its point: above it, or below it where a line or the edge is in the way."""
    point = next((point for point in plot.points if point.session == plot.axis.now), None)
    if point is None:
        return
    x, y = plot.x(point.session), plot.y(point.value)
    text, edge = plot.subject.words.number(point.value), plot.frame.width - plot.frame.right
    lines = [plot.y(line.value) for line in named]
    above = _obstacles([y - line for line in lines], y - plot.frame.top)
    below = _obstacles([line - y for line in lines], plot.frame.floor - y)
    place = y + 20 if above > below else y - 10
    yield Label(x, place, text, "latest") if edge - x > ROOM_BESIDE else Label(edge, place, text, "latest", "end")


def _obstacles(lines: list[float], edge: float) -> int:
    """Count what is in the way of a number on one side of a point; the edge of the plot most of all."""
    return sum(1 for line in lines if 0 < line < ROOM_FOR_NUMBER) + (2 if edge < ROOM_FOR_NUMBER else 0)


def _says(plot: Plot, names: list[str]) -> str:
    """Describe the picture to those who cannot see it."""
    words, points = plot.subject.words, plot.points
    lowest, highest = plot.measure.bounds
    said = [words("chart.says", lowest=lowest, highest=highest)]
    if points:
        first, last = points[0], points[-1]
        places = {
            "first": words.number(first.value),
            "last": words.number(last.value),
            "first_session": words.session(first.session),
            "last_session": words.session(last.session),
        }
        said.append(words("chart.says.course", **places))
    said.extend(f"{name}." for name in names)
    said.extend(_says_statuses(list(plot.axis.judged.values()), plot))
    return " ".join([*said, words("chart.says.table")])


def _says_statuses(judged: list[JudgedSession], plot: Plot) -> Iterator[str]:
    words = plot.subject.words
    for status in ("not_on_track", "unknown"):
        sessions = [each.session for each in judged if each.status == status]
        if sessions:
            yield words("chart.says.status", status=words(f"status.{status}"), sessions=words.sessions(sessions))
