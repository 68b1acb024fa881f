"""The trajectory of the primary scale as a picture: up is better, whichever way the scale counts."""

from collections.abc import Iterator
from decimal import Decimal
from math import ceil
from typing import Final

from contracts.definitions.policy import Deterioration
from contracts.events.fields import Session
from contracts.events.notices import JudgedSession
from services.pages.drawing import Band, Drawing, Label, Line, Mark, Polyline, spread
from services.pages.measure import Measure
from services.pages.plot import SHAPES, WIDE, Frame, Plot
from services.pages.strip import strip_labels, strip_marks
from services.pages.subject import Subject
from services.pages.timeline import is_gap, timeline

STEPS: Final = tuple(Decimal(step) for step in ("0.5", "1", "2", "5", "10", "20", "25", "50", "100"))
TICKS_AT_MOST: Final = 7
LABEL_GAP: Final = 13.0


def chart(subject: Subject, frame: Frame = WIDE) -> Drawing | None:
    """Draw the trajectory; None where the report names no scale at all."""
    measure = subject.primary
    if measure is None:
        return None
    curve = next((curve for curve in subject.content.curves if subject.is_primary(curve)), None)
    plot = Plot(subject, measure, curve, timeline(subject), frame)
    named = list(_named_lines(plot))
    return Drawing(
        width=frame.width,
        height=round(plot.row(plot.rows)) - 4,
        title=subject.words("chart.title", scale=measure.label),
        says=_says(plot, [label for _, label, _ in named]),
        bands=tuple(_bands(plot)),
        lines=(*_grid(plot), *_reference_lines(plot, named)),
        polylines=tuple(Polyline(run, "curve") for run in runs(plot)),
        marks=(*_marks(plot), *_gap_marks(plot), *strip_marks(plot)),
        labels=(
            *_tick_labels(plot),
            *_line_labels(plot, named),
            *strip_labels(plot),
            *_now_label(plot),
        ),
    )


def not_line(subject: Subject) -> Decimal | None:
    """Give the value from which the deterioration rule fires, where it lies on the scale at all."""
    decision, policy, measure = subject.content.decision, subject.policy, subject.primary
    if decision is None or policy is None or measure is None or decision.baseline is None:
        return None
    for rule in policy.rules:
        if isinstance(rule, Deterioration) and rule.compared_with == "baseline":
            line = measure.worse_by(decision.baseline.value, rule.at_least)
            return line if measure.depth(line) <= 1 else None
    return None


def why_no_not_line(subject: Subject) -> str:
    """Say why the picture has no NOT line; nothing where it has one."""
    decision, policy, measure, words = subject.content.decision, subject.policy, subject.primary, subject.words
    if decision is None or policy is None or measure is None:
        return words("chart.no_line.no_decision")
    if not_line(subject) is not None:
        return ""
    if decision.baseline is None:
        return words("chart.no_line.no_baseline")
    limits = [r.at_least for r in policy.rules if isinstance(r, Deterioration) and r.compared_with == "baseline"]
    if not limits:
        return words("chart.no_line.no_rule")
    beyond = measure.worse_by(decision.baseline.value, limits[0])
    return words("chart.no_line.beyond", value=beyond, worst=measure.worst)


def ticks(measure: Measure) -> list[Decimal]:
    """Choose the values on the axis: round ones, and both ends of the scale."""
    lowest, highest = measure.bounds
    step = next((s for s in STEPS if (highest - lowest) / s <= TICKS_AT_MOST - 1), highest - lowest)
    inner = [lowest + step * n for n in range(ceil((highest - lowest) / step))]
    if len(inner) > 1 and highest - inner[-1] < step / 2:
        inner.pop()
    return [*inner, highest]


def runs(plot: Plot) -> list[tuple[tuple[float, float], ...]]:
    """Give the pieces of the curve: it breaks where a value is missing."""
    found: list[list[tuple[float, float]]] = []
    before: Session | None = None
    for point in plot.points:
        place = (plot.x(point.session), plot.y(point.value))
        if before is None or plot.curve is None or is_gap(plot.subject, plot.curve, before, point.session):
            found.append([place])
        else:
            found[-1].append(place)
        before = point.session
    return [tuple(run) for run in found if len(run) > 1]


def _bands(plot: Plot) -> Iterator[Band]:
    frame = plot.frame
    healthy = _healthy(plot)
    if healthy is not None:
        yield Band(frame.left, frame.top, frame.span, round(plot.y(healthy) - frame.top, 1), "healthy")
    left = plot.x(plot.axis.now) - plot.slot / 2
    yield Band(round(left, 1), frame.top, round(plot.slot, 1), plot.row(plot.rows) - 22, "now")
    for session in plot.unmeasured():
        x = plot.x(session) - plot.slot / 2
        yield Band(round(x, 1), frame.top, round(plot.slot, 1), frame.plot, "gap")


def _healthy(plot: Plot) -> Decimal | None:
    policy = plot.subject.policy
    cut_off = plot.measure.cut_off(policy.primary.healthy) if policy is not None else None
    return None if cut_off is None else cut_off.value


def _grid(plot: Plot) -> Iterator[Line]:
    frame = plot.frame
    right = frame.width - frame.right
    for value in ticks(plot.measure):
        yield Line(frame.left, plot.y(value), right, plot.y(value), "grid")
    yield Line(frame.left, frame.floor, right, frame.floor, "axis")
    for number in range(1, plot.rows):
        yield Line(10, plot.row(number) - 13, right, plot.row(number) - 13, "rule")


def _named_lines(plot: Plot) -> Iterator[tuple[Decimal, str, str]]:
    """Give the lines that have a name: value, label, look."""
    words = plot.subject.words
    healthy, line = _healthy(plot), not_line(plot.subject)
    if healthy is not None:
        yield healthy, words("chart.cut_off", value=healthy), "cut-off"
    if plot.baseline is not None:
        yield plot.baseline.value, words("chart.baseline", value=plot.baseline.value), "baseline"
    if line is not None:
        yield line, words("chart.not_line", value=line), "not-line"


def _reference_lines(plot: Plot, named: list[tuple[Decimal, str, str]]) -> Iterator[Line]:
    frame = plot.frame
    right = frame.width - frame.right
    for value, _, look in named:
        yield Line(frame.left, plot.y(value), right, plot.y(value), look)
    for (value, _, look), place in _label_places(plot, named):
        yield Line(right, plot.y(value), right + 7, place, f"leader {look}-leader")


def _label_places(
    plot: Plot, named: list[tuple[Decimal, str, str]]
) -> Iterator[tuple[tuple[Decimal, str, str], float]]:
    ordered = sorted(named, key=lambda each: plot.y(each[0]))
    places = spread((plot.y(value) for value, _, _ in ordered), LABEL_GAP, plot.frame.top, plot.frame.floor)
    yield from zip(ordered, places, strict=True)


def _line_labels(plot: Plot, named: list[tuple[Decimal, str, str]]) -> Iterator[Label]:
    x = plot.frame.width - plot.frame.right + 10
    for (_, text, look), place in _label_places(plot, named):
        yield Label(x, place + 3.7, text, f"name {look}-name", "start")


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


def _now_label(plot: Plot) -> Iterator[Label]:
    """Write the latest value beside its point, above it unless there is no room."""
    point = next((point for point in plot.points if point.session == plot.axis.now), None)
    if point is not None:
        y = plot.y(point.value)
        below = y - plot.frame.top < 18
        text = plot.subject.words.number(point.value)
        yield Label(plot.x(point.session), y + (19 if below else -10), text, "latest")


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
