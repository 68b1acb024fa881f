"""Examples for the rules of a policy, made of its own numbers: courses at which a rule fires, or does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, Literal

from contracts.definitions.instrument import CutOff, Instrument, Scale
from contracts.definitions.policy import Deterioration, NoChange

What = Literal["from", "after", "still", "moved", "slow"]

_USUAL: Final = Decimal(10)


@dataclass(frozen=True, slots=True)
class Example:
    """A course: a baseline, and the scores of sessions 1, 2, 3 …; whether the rule fires at the last of them.

    what: it shows: from which score on it fires, what fires after a score, that nothing moved, that the last one moved,
        or that all of them moved slowly
    """

    what: What
    baseline: Decimal
    scores: tuple[Decimal, ...]
    fires: bool


class Examples:
    """The examples of one scale: scores that its questionnaire can have."""

    def __init__(self, instrument: Instrument, scale: Scale, healthy: CutOff | None) -> None:
        """Make examples. healthy: by which a score counts as healthy, if the policy names one."""
        self._scale = scale
        self._lowest, self._highest = instrument.bounds(scale)
        self._best, self._worst = instrument.best_and_worst(scale)
        self._healthy = healthy
        # A mean can be anything; the others go in steps.
        self._step = {"sum/1": Decimal(scale.times), "mean/1": None}.get(scale.formula, Decimal(1))

    def of(self, rule: Deterioration | NoChange) -> Iterator[Example]:
        """Give examples of a rule; none, where its numbers leave no room on the scale."""
        if isinstance(rule, Deterioration):
            yield from self._of_deterioration(rule)
        elif (start := self._start(rule)) is not None:
            yield from self._of_no_change(rule, start)

    def room_ends(self, points: Decimal) -> Decimal | None:
        """Give the last baseline from which a score can get worse by so many points; None if there is no such one."""
        end = self._scale.worse_by(self._worst, -points)
        return end if self._is_on_scale(end) else None

    def _of_deterioration(self, rule: Deterioration) -> Iterator[Example]:
        for start in (self._usual(), self._best):
            line = self._moved(start, rule.at_least)
            if line is not None:
                yield Example("from" if rule.compared_with == "baseline" else "after", start, (line,), fires=True)
                return

    def _of_no_change(self, rule: NoChange, start: Decimal) -> Iterator[Example]:
        same = (start,) * rule.sessions
        yield Example("still", start, same, fires=True)
        if rule.compared_with == "window" and rule.sessions == 1:
            return
        for moved in (self._moved(start, -rule.less_than), self._moved(start, rule.less_than)):
            if moved is not None:
                yield Example("moved", start, (*same[:-1], moved), fires=False)
                break
        slow = self._slowly_better(rule, start)
        if slow is not None:
            yield Example("slow", start, slow, fires=True)

    def _slowly_better(self, rule: NoChange, start: Decimal) -> tuple[Decimal, ...] | None:
        """Give a course that gets better at every session, and by less than counts as a change."""
        if rule.compared_with != "previous" or self._step is None or rule.sessions == 1:
            return None
        steps = (rule.less_than / self._step).to_integral_value(ROUND_CEILING) - 1
        found = tuple(self._scale.worse_by(start, -steps * self._step * place) for place in range(1, rule.sessions + 1))
        fits = steps > 0 and self._is_on_scale(found[-1])
        return found if fits and not (rule.unless_healthy and self._is_healthy(found[-1])) else None

    def _start(self, rule: NoChange) -> Decimal | None:
        """Choose where a course begins: not in the healthy range, if the rule never fires there."""
        for start in (self._usual(), self._worst):
            if not (rule.unless_healthy and self._is_healthy(start)):
                return start
        return None

    def _usual(self) -> Decimal:
        """Give 10, or the middle of a scale that does not have it."""
        if self._is_on_scale(_USUAL) and (self._step is None or (_USUAL - self._lowest) % self._step == 0):
            return _USUAL
        half = (self._highest - self._lowest) / 2
        return self._lowest + (half if self._step is None else half // self._step * self._step)

    def _moved(self, start: Decimal, points: Decimal) -> Decimal | None:
        """Give the nearest score that lies at least so many points towards worse; better, if they are negative."""
        if self._step is not None:
            steps = (abs(points) / self._step).to_integral_value(ROUND_CEILING)
            points = (steps * self._step).copy_sign(points)
        found = self._scale.worse_by(start, points)
        return found if self._is_on_scale(found) else None

    def _is_on_scale(self, score: Decimal) -> bool:
        return self._lowest <= score <= self._highest

    def _is_healthy(self, score: Decimal) -> bool:
        return self._healthy is not None and self._healthy.is_healthy(score)
