"""The small curves beside the trajectory: every other scale, with its first and its last value."""

from dataclasses import dataclass
from typing import Final

from contracts.events.fields import Session
from contracts.events.notices import Curve
from services.pages.drawing import Drawing, Line, Mark, Polyline
from services.pages.measure import Measure, moved
from services.pages.subject import Subject
from services.pages.timeline import Timeline, timeline, unbroken

WIDTH: Final = 190
HEIGHT: Final = 50
SIDE: Final = 7
EDGE: Final = 6


@dataclass(frozen=True, slots=True)
class SmallCurve:
    """One scale: its name, what it is about, its picture, and the same in words. series: which wording of a problem."""

    name: str
    series: str
    about: str
    drawing: Drawing
    path: str
    moved: str
    sessions: str
    provisional: bool


def small_curves(subject: Subject) -> list[SmallCurve]:
    """Draw every curve but that of the primary scale."""
    axis = timeline(subject)
    return [
        _small_curve(curve, subject, axis)
        for curve in subject.content.curves
        if curve.points and not subject.is_primary(curve)
    ]


def _small_curve(curve: Curve, subject: Subject, axis: Timeline) -> SmallCurve:
    words, measure = subject.words, subject.measure_of(curve)
    first, last = curve.points[0], curve.points[-1]
    worsening = measure.scale.worsening(first.value, last.value)
    way = moved(worsening, words) if len(curve.points) > 1 else ""
    path = measure.first_and_last(curve.values)
    sessions = words("curve.sessions", first=words.session(first.session), last=str(last.session))
    return SmallCurve(
        name=measure.label,
        series=_series(curve, subject),
        about=_problem_text(curve, measure, subject),
        drawing=_drawing(curve, measure, subject, axis, f"{path}. {way}." if way else f"{path}."),
        path=path,
        moved=way,
        sessions=sessions if len(curve.points) > 1 else words.session(first.session),
        provisional=measure.instrument.provisional,
    )


def curve_name(curve: Curve, subject: Subject) -> str:
    """Name a curve; one of several wordings of a problem says which."""
    label, series = subject.measure_of(curve).label, _series(curve, subject)
    return f"{label}, {series}" if series else label


def _series(curve: Curve, subject: Subject) -> str:
    others = [c for c in subject.content.curves if (c.scale, c.instrument) == (curve.scale, curve.instrument)]
    return "" if curve.series is None or len(others) == 1 else subject.words("curve.series", series=curve.series)


def _problem_text(curve: Curve, measure: Measure, subject: Subject) -> str:
    number = measure.scale.problem
    texts = [p.text for p in subject.content.problems if (p.problem, p.series) == (number, curve.series)]
    return texts[0] if texts else ""


def _drawing(curve: Curve, measure: Measure, subject: Subject, axis: Timeline, says: str) -> Drawing:
    slot = (WIDTH - 2 * SIDE) / len(axis.sessions)

    def place(session: Session, depth: float) -> tuple[float, float]:
        x = SIDE + slot * (axis.sessions.index(session) + 0.5)
        return round(x, 1), round(EDGE + depth * (HEIGHT - 2 * EDGE), 1)

    places = [place(point.session, measure.depth(point.value)) for point in curve.points]
    size = round(min(2.4, slot * 0.35), 1)
    marks = [
        Mark(x, y, "circle", size, "small", session=str(point.session), value=str(point.value))
        for (x, y), point in zip(places[:-1], curve.points[:-1], strict=True)
    ]
    last = curve.points[-1]
    marks.append(Mark(*places[-1], "circle", 3.6, "small last", session=str(last.session), value=str(last.value)))
    ends = (Line(SIDE, y, WIDTH - SIDE, y, "grid") for y in (EDGE, HEIGHT - EDGE))
    return Drawing(
        width=WIDTH,
        height=HEIGHT,
        title=subject.words("chart.title", scale=curve_name(curve, subject)),
        says=f"{says} {subject.words('chart.says.table')}",
        lines=tuple(ends),
        polylines=tuple(
            Polyline(run, "curve") for run in unbroken(subject, curve, zip(curve.sessions, places, strict=True))
        ),
        marks=tuple(marks),
    )
