"""The numbers behind the pictures, as one table: a row for each session, a column for each curve."""

from dataclasses import dataclass

from contracts.events.fields import Session
from services.pages.curves import curve_name
from services.pages.subject import Subject
from services.pages.timeline import Timeline, timeline
from services.pages.words import sentence


@dataclass(frozen=True, slots=True)
class Figures:
    """A table. Each row begins with the name of its session and its status."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


def figures(subject: Subject) -> Figures:
    """Write down every value of every curve, in the order of the pictures."""
    axis = timeline(subject)
    curves = [curve for curve in subject.content.curves if curve.points]
    values = [{point.session: subject.words.number(point.value) for point in curve.points} for curve in curves]
    sessions = [s for s in axis.sessions if any(s in column for column in values) or axis.judgement(s) is not None]
    return Figures(
        columns=tuple(curve_name(curve, subject) for curve in curves),
        rows=tuple(
            (
                sentence(subject.words.session(session)),
                _status(session, axis, subject),
                tuple(column.get(session, "–") for column in values),
            )
            for session in sessions
        ),
    )


def _status(session: Session, axis: Timeline, subject: Subject) -> str:
    judged = axis.judgement(session)
    return "–" if judged is None else subject.words(f"status.{judged.status}")
