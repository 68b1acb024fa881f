"""The lines across the picture of a trajectory: baseline, NOT line, healthy cut-off."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from services.pages.subject import Subject


@dataclass(frozen=True, slots=True)
class NamedLine:
    """A line that has a name."""

    value: Decimal
    name: str
    look: str


def named_lines(subject: Subject) -> Iterator[NamedLine]:
    """Give the lines that the decision rests on, as far as they lie on the scale."""
    words, decision, measure = subject.words, subject.content.decision, subject.primary
    healthy, line = healthy_limit(subject), not_line(subject)
    baseline = decision.baseline.value if decision is not None and decision.baseline is not None else None
    if healthy is not None:
        yield NamedLine(healthy, words("chart.cut_off", value=healthy), "cut-off")
    if baseline is not None and measure is not None and measure.has_room_for(baseline):
        yield NamedLine(baseline, words("chart.baseline", value=baseline), "baseline")
    if line is not None:
        yield NamedLine(line, words("chart.not_line", value=line), "not-line")


def healthy_limit(subject: Subject) -> Decimal | None:
    """Give the cut-off by which the policy counts a score as healthy."""
    policy, measure = subject.policy, subject.primary
    cut_off = measure.cut_off(policy.primary.healthy) if policy is not None and measure is not None else None
    return None if cut_off is None else cut_off.value


def not_line(subject: Subject) -> Decimal | None:
    """Give the NOT line, where it lies on the scale at all."""
    line, measure = _anywhere(subject), subject.primary
    return line if line is not None and measure is not None and measure.has_room_for(line) else None


def _anywhere(subject: Subject) -> Decimal | None:
    decision, policy, measure = subject.content.decision, subject.policy, subject.primary
    if decision is None or policy is None or measure is None or decision.baseline is None:
        return None
    return policy.not_line(measure.scale, decision.baseline.value)


def why_no_not_line(subject: Subject) -> str:
    """Say why the picture has no NOT line; nothing where it has one."""
    decision, measure, words, beyond = subject.content.decision, subject.primary, subject.words, _anywhere(subject)
    if decision is None or measure is None:
        return words("chart.no_line.no_decision")
    if decision.baseline is None:
        return words("chart.no_line.no_baseline")
    if beyond is None:
        return words("chart.no_line.no_rule")
    return "" if measure.has_room_for(beyond) else words("chart.no_line.beyond", value=beyond, worst=measure.worst)
