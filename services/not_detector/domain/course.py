"""What is known of a case's course when a session is judged."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import id_of
from contracts.definitions.protocol import Protocol
from contracts.events.fields import session_of
from contracts.events.scores import ScoreComputed, ScoreRevised, ScoreWithdrawn
from contracts.events.tracks import Baseline, Status
from contracts.evolution import evolved


class Measured(NamedTuple):
    """The scores of one instrument at one session; a scale without a valid score is None."""

    score: str
    instrument: str
    answered_at: datetime
    values: Mapping[str, Decimal | None]


class SetByHand(NamedTuple):
    """A baseline that a person set, and the fact that said so."""

    value: Decimal
    fact: str


class Judged(NamedTuple):
    """The decision that holds for a session, as far as later ones need it.

    event: the decision's event; digest: of what it says
    episode: the not-on-track sessions of the run that is open here; silent: the unknown ones in a row
    """

    event: str
    digest: str
    policy: str
    status: Status
    score: Decimal | None
    rules: tuple[str, ...]
    episode: tuple[int, ...]
    silent: tuple[int, ...]
    ever_not: bool


class PolicyFrom(NamedTuple):
    """A policy and the first session it holds for."""

    session: int
    policy: str


@dataclass(frozen=True)
class Course:
    """What not_detector knows of a case.

    policies: in the order in which they were decided
    measured: instrument id -> session -> its scores; sessions as text, for the individual ones have names
    by_hand: `instrument id/scale` -> the baseline that a person set
    begun: counted sessions that are known to have come; scheduled: when the others will
    missed: `instrument id/session` of occasions that closed without an answer
    judged: session -> the decision that holds
    """

    protocol: str | None = None
    policies: tuple[PolicyFrom, ...] = ()
    measured: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)
    by_hand: Mapping[str, SetByHand] = field(default_factory=dict)
    begun: tuple[int, ...] = ()
    cancelled: tuple[int, ...] = ()
    closed_at: datetime | None = None
    scheduled: Mapping[int, datetime] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    judged: Mapping[int, Judged] = field(default_factory=dict)

    def with_score(self, score: ScoreComputed | ScoreRevised, event_id: str) -> "Course":
        """Know the scores of one response."""
        values = {scale.scale: scale.value for scale in score.scales}
        measured = Measured(event_id, score.instrument, score.answered_at, values)
        instrument_id = id_of(score.instrument)
        of_instrument = {**self.measured.get(instrument_id, {}), str(score.session): measured}
        return evolved(self, measured={**self.measured, instrument_id: of_instrument})

    def without_score(self, score: ScoreWithdrawn) -> "Course":
        """Forget the scores of a response that was withdrawn."""
        instrument_id = id_of(score.instrument)
        of_instrument = {s: m for s, m in self.measured.get(instrument_id, {}).items() if s != str(score.session)}
        return evolved(self, measured={**self.measured, instrument_id: of_instrument})

    def with_begun(self, session: int | str) -> "Course":
        """Know that a session has come."""
        if not isinstance(session, int) or session in self.begun:
            return self
        return evolved(self, begun=(*self.begun, session))

    def with_schedule(self, session: int | str, scheduled: datetime) -> "Course":
        """Know when a session will be."""
        if not isinstance(session, int):
            return self
        cancelled = tuple(other for other in self.cancelled if other != session)
        return evolved(self, scheduled={**self.scheduled, session: scheduled}, cancelled=cancelled)

    def without_session(self, session: int | str) -> "Course":
        """Know that a session does not take place."""
        if not isinstance(session, int) or session in self.cancelled:
            return self
        return evolved(self, cancelled=(*self.cancelled, session))

    def came(self) -> set[int]:
        """Give the counted sessions that had come when the case closed."""
        if self.closed_at is None:
            return set()
        return {*self.begun, *(session for session, at in self.scheduled.items() if at <= self.closed_at)}

    def policy_for(self, session: int) -> str:
        """Give the policy that a session is judged by: the one it was judged by, or the last one decided for it."""
        if (judged := self.judged.get(session)) is not None:
            return judged.policy
        return next(entry.policy for entry in reversed(self.policies) if entry.session <= session)


class View:
    """A course seen through one policy: its primary scale, in the direction of that scale."""

    def __init__(self, course: Course, policy_ref: str, definitions: Catalogue) -> None:
        """Look at `course` as a policy does. Raises DefinitionMissing."""
        self.course = course
        self.policy_ref = policy_ref
        policy = self.policy = definitions.policy(policy_ref)
        self.instrument = definitions.instrument(policy.primary.instrument)
        scale = self.instrument.scale(policy.primary.scale)
        if scale is None:
            raise ValueError("the policy's primary scale is not a scale of its instrument")
        self.scale = scale
        self.protocol: Protocol = definitions.protocol(course.protocol or "")
        self._definitions = definitions
        self._counted = dict(self._measured_sessions())

    def _measured_sessions(self) -> Iterator[tuple[int, tuple[Decimal, Measured]]]:
        found = [(int(s), m) for s, m in self.comparable() if s.isdecimal() and int(s) > 0]
        for session, measured in sorted(found, key=lambda pair: pair[0]):
            value = measured.values.get(self.scale.id)
            if value is not None:
                yield session, (value, measured)

    def comparable(self) -> Iterator[tuple[str, Measured]]:
        """Give the scores that can be compared with one another, valid or not, each with its session."""
        for session, measured in self.course.measured.get(self.instrument.id, {}).items():
            if measured.instrument == self.policy.primary.instrument or self.instrument.comparable_with(
                self._definitions.instrument(measured.instrument)
            ):
                yield session, measured

    def score(self, session: int) -> tuple[Decimal, Measured] | None:
        """Give the valid score of a counted session, if it has one."""
        return self._counted.get(session)

    def measured_until(self, session: int) -> list[tuple[int, Decimal]]:
        """Give the measured sessions up to this one, oldest first, without one that is itself the baseline."""
        baseline = self.baseline
        own = baseline.session if baseline is not None else None
        return [(s, value) for s, (value, _) in self._counted.items() if s <= session and s != own]

    def is_due(self, session: int, last_measured: int) -> bool:
        """Tell whether a session can be judged now: its score is there, or it is known that none came in time.

        That is known when its occasion closed without an answer, when a later session has been measured, and when the
        case has closed (clinical rules, NOT policy).

        last_measured: the last session that was measured by whichever policy it has
        """
        if str(session) in self.course.measured.get(self.instrument.id, {}):
            return True
        if not self.is_expected(session):
            return False
        return self._is_missed(session) or session < max(self.last_measured, last_measured) or session in self._came

    @property
    def measured(self) -> Collection[int]:
        """The counted sessions with a valid score."""
        return self._counted

    @cached_property
    def last_measured(self) -> int:
        """The last counted session with a valid score; 0 if there is none."""
        return max(self._counted, default=0)

    @cached_property
    def _came(self) -> set[int]:
        return self.course.came()

    def is_expected(self, session: int) -> bool:
        """Tell whether the primary instrument is asked at a counted session that takes place, or was all the same."""
        if session in self.course.cancelled:
            return False
        return self._is_missed(session) or self.protocol.asks_at(self.instrument.id, session)

    def _is_missed(self, session: int) -> bool:
        return f"{self.instrument.id}/{session}" in self.course.missed

    def gap_between(self, earlier: int, later: int) -> bool:
        """Tell whether a score was expected between two neighbouring measured sessions."""
        return any(self.is_expected(session) for session in range(earlier + 1, later))

    @cached_property
    def best_and_worst(self) -> tuple[Decimal, Decimal]:
        """The best and the worst value that the scale can have."""
        return self.instrument.best_and_worst(self.scale)

    @cached_property
    def baseline(self) -> Baseline | None:
        """Find the score that later ones are compared with (clinical rules, NOT policy)."""
        by_hand = self.course.by_hand.get(f"{self.instrument.id}/{self.scale.id}")
        if by_hand is not None:
            return Baseline(value=by_hand.value, how="set_by_hand", origin=by_hand.fact)
        if self.policy.baseline == "explicit":
            return None
        before = [
            (measured.answered_at, self.protocol.place(session_of(s)), session_of(s), value, measured.score)
            for s, measured in self.comparable()
            if self.protocol.precedes_first(session_of(s)) and (value := measured.values.get(self.scale.id)) is not None
        ]
        before.sort(key=lambda found: found[:2])
        if self.policy.baseline == "first_valid" and not before:
            before = [
                (measured.answered_at, session, session, value, measured.score)
                for session, (value, measured) in self._counted.items()
            ]
        if not before:
            return None
        _, _, session, value, origin = before[-1 if self.policy.baseline == "before_first_session" else 0]
        return Baseline(value=value, how=self.policy.baseline, session=session, origin=origin)


class Views:
    """The views of one course, one for each policy, made when they are needed."""

    def __init__(self, course: Course, definitions: Catalogue) -> None:
        """Look at `course`, whose measured sessions, baselines and schedule must not change meanwhile."""
        self._course = course
        self._definitions = definitions
        self._views: dict[str, View] = {}

    def of(self, policy_ref: str) -> View:
        """Give the view of a policy. Raises DefinitionMissing."""
        view = self._views.get(policy_ref)
        if view is None:
            view = self._views[policy_ref] = View(self._course, policy_ref, self._definitions)
        return view

    def last_measured(self) -> int:
        """Give the last counted session with a valid score by the policy that it has; 0 if there is none."""
        course = self._course
        policies = {entry.policy for entry in course.policies}
        return max((s for ref in policies for s in self.of(ref).measured if course.policy_for(s) == ref), default=0)
