"""The rows below the picture of a trajectory: session, score, status, life events."""

from collections.abc import Iterator

from contracts.events.fields import Session
from services.pages.drawing import Label, Mark
from services.pages.plot import SHAPES, Plot


def strip_marks(plot: Plot) -> Iterator[Mark]:
    """Draw the statuses and the life events."""
    yield from _status_row(plot)
    yield from _event_row(plot)


def strip_labels(plot: Plot) -> Iterator[Label]:
    """Write the sessions, the scores and the names of the rows."""
    yield from _session_labels(plot)
    yield from _score_row(plot)
    yield from _row_names(plot)


def _status_row(plot: Plot) -> Iterator[Mark]:
    words = plot.subject.words
    for session in plot.axis.sessions:
        judged = plot.axis.judgement(session)
        if judged is not None:
            size = round(min(4.4, plot.slot * 0.38), 1)
            says = f"{words.session(session)}: {words(f'status.{judged.status}')}"
            x, y = plot.x(session), plot.row(2) - 4
            yield Mark(x, y, SHAPES[judged.status], size, f"state {judged.status}", session=str(session), says=says)


def _event_row(plot: Plot) -> Iterator[Mark]:
    words = plot.subject.words
    for session in plot.axis.sessions:
        if count := plot.axis.events.get(session, 0):
            says = f"{words.session(session)}: {words.count('chart.events', count)}"
            size = round(min(4.4, plot.slot * 0.4), 1)
            yield Mark(plot.x(session), plot.row(3) - 4, "triangle", size, "event", session=str(session), says=says)


def _session_labels(plot: Plot) -> Iterator[Label]:
    words = plot.subject.words
    letters = max(len(_short(session, plot)) for session in plot.axis.sessions if isinstance(session, int))
    for session in plot.with_room(letters):
        look = f"session{_size(plot)} now-session" if session == plot.axis.now else f"session{_size(plot)}"
        look = f"{look} to-come" if plot.axis.is_to_come(session) else look
        text = words("chart.individual", number=str(session).rpartition("-")[2]) if isinstance(session, str) else ""
        yield Label(plot.x(session), plot.row(0), text or _short(session, plot), look)


def _short(session: Session, plot: Plot) -> str:
    return plot.subject.words.number(session) if isinstance(session, int) else session


def _score_row(plot: Plot) -> Iterator[Label]:
    words = plot.subject.words
    values = {point.session: words.number(point.value) for point in plot.points}
    letters = max((len(text) for text in values.values()), default=1)
    for session in plot.with_room(letters):
        judged = plot.axis.judgement(session)
        if session in values:
            fired = judged is not None and judged.status == "not_on_track"
            look = f"score{_size(plot)}{' not_on_track' if fired else ''}"
            yield Label(plot.x(session), plot.row(1), values[session], look)
        elif judged is not None:
            yield Label(plot.x(session), plot.row(1), "–", f"score{_size(plot)}")


def _size(plot: Plot) -> str:
    return " dense" if plot.is_dense else ""


def _row_names(plot: Plot) -> Iterator[Label]:
    words = plot.subject.words
    names = ["chart.sessions", "chart.scores", "chart.statuses"]
    for number, name in enumerate([*names, "chart.events_row"] if plot.axis.events else names):
        yield Label(10, plot.row(number), words(name), "row", "start")
