"""The sessions of a course along the axis of a picture: which there are, and what each one holds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from contracts.definitions.definition import id_of
from contracts.events.fields import Session
from contracts.events.notices import Curve, JudgedSession
from services.pages.subject import Subject

FEWEST = 6
PLANNED_AT_MOST = 40


@dataclass(frozen=True, slots=True)
class Timeline:
    """The axis. judged: by session; events: how many life events each session's form told of."""

    sessions: tuple[Session, ...]
    judged: Mapping[int, JudgedSession]
    events: Mapping[Session, int]
    now: Session

    def is_to_come(self, session: Session) -> bool:
        """Tell whether a session lies after the one that the report speaks of."""
        return self.sessions.index(session) > self.sessions.index(self.now)

    def judgement(self, session: Session) -> JudgedSession | None:
        """Give the status of a session, if it was judged."""
        return self.judged.get(session) if isinstance(session, int) else None


def timeline(subject: Subject) -> Timeline:
    """Lay out the sessions: those of the plan, and every other one that something is known of.

    An individual one that the course has no place for stands behind the last counted one that something is known of.
    """
    content = subject.content
    events = Counter(
        answer.session
        for answer in content.context
        if subject.is_events(subject.definitions.instrument(answer.instrument))
    )
    known = _known(subject) | set(events)
    counted = {session for session in known if isinstance(session, int)}
    last = max([FEWEST, *counted, *_planned(subject)])
    sessions = known | set(range(1, last + 1))
    behind = max(counted, default=0) + 0.5

    def place(session: Session) -> tuple[float, str]:
        at = subject.protocol.place(session)
        return behind if at == inf else at, str(session)

    return Timeline(
        sessions=tuple(sorted(sessions, key=place)),
        judged={judged.session: judged for judged in content.judged},
        events=events,
        now=content.session,
    )


def _known(subject: Subject) -> set[Session]:
    content = subject.content
    known: set[Session] = {content.session}
    known.update(judged.session for judged in content.judged)
    known.update(point.session for curve in content.curves for point in curve.points)
    baseline = content.decision.baseline if content.decision is not None else None
    if baseline is not None and baseline.session is not None:
        known.add(baseline.session)
    return known


def _planned(subject: Subject) -> list[int]:
    planned = [each.id for each in subject.protocol.planned if isinstance(each.id, int)]
    return planned if max(planned, default=0) <= PLANNED_AT_MOST else []


def unbroken(
    subject: Subject, curve: Curve | None, placed: Iterable[tuple[Session, tuple[float, float]]]
) -> list[tuple[tuple[float, float], ...]]:
    """Give the pieces of a curve, each of more than one point: it breaks where a value is missing.

    placed: the sessions of its points, with where these lie in the picture
    """
    found: list[list[tuple[float, float]]] = []
    before: Session | None = None
    for session, place in placed:
        if before is None or curve is None or _is_gap(subject, curve, before, session):
            found.append([place])
        else:
            found[-1].append(place)
        before = session
    return [tuple(run) for run in found if len(run) > 1]


def _is_gap(subject: Subject, curve: Curve, before: Session, after: Session) -> bool:
    """Tell whether a value is missing between two points: a counted session lies there that asks the instrument.

    Or that was asked for it beyond the protocol: then it was judged unknown.
    """
    if not isinstance(before, int) or not isinstance(after, int):
        return False
    name, between = id_of(curve.instrument), range(before + 1, after)
    missed = {judged.session for judged in subject.content.judged if judged.status == "unknown"}
    is_missed = subject.is_primary(curve) and not missed.isdisjoint(between)
    return is_missed or any(subject.protocol.asks_at(name, session) for session in between)
