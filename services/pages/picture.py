"""The trajectory as a section of a page: its picture in two sizes, how it is read, and what its marks mean."""

from collections.abc import Mapping

from services.pages import chart, limits
from services.pages.drawing import Mark
from services.pages.plot import NARROW, SHAPES, WIDE
from services.pages.subject import Subject
from services.pages.timeline import timeline


def picture(subject: Subject) -> Mapping[str, object] | None:
    """Draw the trajectory; None where the report names no scale at all."""
    words, measure = subject.words, subject.primary
    wide, narrow = chart.chart(subject, WIDE), chart.chart(subject, NARROW)
    if measure is None or wide is None or narrow is None:
        return None
    direction = words("chart.turned" if measure.higher_is_worse else "chart.upright")
    return {
        "title": wide.title,
        "about": words("chart.about", direction=direction),
        "wide": wide,
        "narrow": narrow,
        "missing": limits.why_no_not_line(subject),
        "legend": _legend(subject, {mark.look for mark in wide.marks}),
        "not_line": _legend_of_line(subject),
        "healthy": any(band.look == "healthy" for band in wide.bands),
        "provisional": measure.instrument.provisional,
    }


def _legend(subject: Subject, looks: set[str]) -> list[tuple[Mark, str]]:
    """Explain the marks that the picture really has."""
    words = subject.words
    found = [
        (Mark(0, 0, SHAPES[status], 4.4, f"point {status}"), words(f"legend.{status}"))
        for status in ("on_track", "not_on_track", "unknown", "unjudged")
        if {f"point {status}", f"state {status}"} & looks
    ]
    if "missing" in looks:
        found.append((Mark(0, 0, "square", 3.8, "missing"), words("legend.missing")))
    if timeline(subject).events:
        found.append((Mark(0, 0, "triangle", 4.4, "event"), words("legend.event")))
    return found


def _legend_of_line(subject: Subject) -> str:
    measure, decision = subject.primary, subject.content.decision
    line = limits.not_line(subject)
    if line is None or measure is None or decision is None or decision.baseline is None:
        return ""
    points = measure.scale.worsening(decision.baseline.value, line)
    return subject.words("legend.not_line", points=subject.words.count("points", points))
