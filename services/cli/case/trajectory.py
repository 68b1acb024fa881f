"""What a picture of a case shows: its sessions, its primary scale, the levels on it, and its other scales."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.instrument import Instrument, Scale
from contracts.events.fields import Session
from services.cli.case.picture import Picture, Slot
from services.cli.naming import WORDS
from services.not_detector.domain.course import Course, View
from services.not_detector.domain.rules import healthy_cut_off
from services.notifier.domain.dossier import Dossier

PLANNED_AT_MOST: Final = 40


@dataclass(frozen=True, slots=True)
class OtherScale:
    """A scale beside the primary one: its value at each session of the axis, None where there is none."""

    label: str
    best: Decimal
    worst: Decimal
    values: tuple[Decimal | None, ...]
    provisional: bool


class Trajectory:
    """A case as it stands, seen by the policy that its latest session is judged by."""

    def __init__(self, course: Course, dossier: Dossier, definitions: Catalogue, *, over: bool) -> None:
        """Look at a case. over: the course has ended, so nothing is to come."""
        self._course = course
        self._dossier = dossier
        self._definitions = definitions
        policy_ref = course.policy_for(max(course.judged, default=max(course.begun, default=0)))
        self.view = View(course, policy_ref, definitions)
        self.best, self.worst = self.view.instrument.best_and_worst(self.view.scale)
        self._latest = max([0, *course.judged, *course.begun, *self._counted()])
        self.sessions = self._sessions(over=over)

    def _answered(self) -> Iterator[Session]:
        for score in self._dossier.scores.values():
            yield score.session

    def _counted(self) -> set[int]:
        return {session for session in self._answered() if isinstance(session, int)}

    def _sessions(self, *, over: bool) -> tuple[Session, ...]:
        """Give the sessions of the axis in order: all counted ones, and what is known before and between them."""
        planned = [] if self.view.protocol.sessions == "any" else [p.id for p in self.view.protocol.sessions]
        ahead = [s for s in planned if isinstance(s, int)] if not over and len(planned) <= PLANNED_AT_MOST else []
        counted = range(1, max([self._latest, *ahead]) + 1)
        others = {s for s in self._answered() if s == 0 or isinstance(s, str)}
        places: dict[Session, float] = {session: float(session) for session in (0, *counted)}
        before = 0.0
        for session in planned:
            before = float(session) if isinstance(session, int) else before
            places.setdefault(session, before + 0.5)
        return tuple(sorted({*others, *counted}, key=lambda s: (places.get(s, 0.5), str(s))))

    def picture(self) -> Picture:
        """Give the primary scale over the course."""
        cut_off, baseline = healthy_cut_off(self.view), self.view.baseline
        return Picture(
            best=self.best,
            worst=self.worst,
            slots=[self._slot(session) for session in self.sessions],
            baseline=None if baseline is None else baseline.value,
            not_line=self.not_line(),
            cut_off=None if cut_off is None else cut_off.value,
        )

    def _slot(self, session: Session) -> Slot:
        judged = self._course.judged.get(session) if isinstance(session, int) else None
        return Slot(
            name=_name(session),
            score=self._score(session),
            status=None if judged is None else judged.status,
            to_come=isinstance(session, int) and session > self._latest,
        )

    def _score(self, session: Session) -> Decimal | None:
        """Give the primary score at a session, the ones that are not counted included."""
        if isinstance(session, int) and (counted := self.view.score(session)) is not None:
            return counted[0]
        if isinstance(session, int) and session > 0:
            return None
        measured = self._course.measured.get(self.view.instrument.id, {}).get(str(session))
        return None if measured is None else measured.values.get(self.view.scale.id)

    def not_line(self) -> Decimal | None:
        """Give the NOT line; None if there is none on the scale."""
        line = self._line()
        return line if line is not None and self._is_on_the_scale(line) else None

    def _line(self) -> Decimal | None:
        baseline = self.view.baseline
        return None if baseline is None else self.view.policy.not_line(self.view.scale, baseline.value)

    def _is_on_the_scale(self, score: Decimal) -> bool:
        return self.view.scale.worsening(self.worst, score) <= 0

    def why_no_line(self) -> str:
        """Say why there is no NOT line; nothing where there is one."""
        line = self._line()
        if self.view.baseline is None:
            return "No baseline and no NOT line: no score can be compared with the start yet."
        if line is None:
            return "No NOT line: no rule of the policy compares with the baseline towards worse."
        if self._is_on_the_scale(line):
            return ""
        beyond, worst = WORDS.number(line), WORDS.number(self.worst)
        return f"No NOT line: it would lie at {beyond}, beyond the worst score ({worst}): that rule cannot fire."

    def others(self) -> list[OtherScale]:
        """Give every other scale that was measured, in the order of the instruments' definitions."""
        values: dict[tuple[str, int, int], dict[Session, Decimal]] = {}
        scales: dict[tuple[str, int, int], tuple[Instrument, Scale]] = {}
        for score in self._dossier.scores.values():
            instrument = self._definitions.instrument(score.instrument)
            for place, value in enumerate(score.scales):
                scale = instrument.scale(value.scale)
                if scale is None or value.value is None or self._is_primary(instrument, scale):
                    continue
                series = 0 if scale.problem is None else self._dossier.series(scale.problem, score.answered_at)
                key = (instrument.id, place, series)
                values.setdefault(key, {})[score.session] = value.value
                scales[key] = instrument, scale
        return [self._other(values[key], *scales[key], series=key[2]) for key in sorted(values)]

    def _is_primary(self, instrument: Instrument, scale: Scale) -> bool:
        return (instrument.id, scale.id) == (self.view.instrument.id, self.view.scale.id)

    def _other(
        self, values: Mapping[Session, Decimal], instrument: Instrument, scale: Scale, series: int
    ) -> OtherScale:
        best, worst = instrument.best_and_worst(scale)
        label = f"{scale.label.en}, wording {series}" if series > 1 else scale.label.en
        return OtherScale(
            label, best, worst, tuple(values.get(session) for session in self.sessions), instrument.provisional
        )


def _name(session: Session) -> str:
    return str(session) if isinstance(session, int) else f"i{session.rpartition('-')[2]}"
