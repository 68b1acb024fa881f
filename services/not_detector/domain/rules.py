"""The rules: each is a function from what is known to evidence, to silence, or to "cannot be said"."""

from decimal import Decimal
from enum import Enum
from itertools import pairwise

from contracts.definitions.instrument import HUNDREDTH, CutOff
from contracts.definitions.policy import Deterioration, NoChange, Policy
from contracts.events.tracks import Annotation, AnnotationKind, Baseline, Evidence
from services.not_detector.domain.course import View

NORMAL_95 = Decimal("1.96")


class Silent(Enum):
    """A rule that gives no evidence: it did not fire, or could not be evaluated for want of a baseline."""

    NOT_FIRED = "not_fired"
    NO_BASELINE = "no_baseline"


def apply(rule: Deterioration | NoChange, view: View, session: int, baseline: Baseline | None) -> Evidence | Silent:
    """Apply a rule at a session that has a valid score."""
    if isinstance(rule, Deterioration):
        return deterioration(rule, view, session, baseline)
    return no_change(rule, view, session, baseline)


def deterioration(rule: Deterioration, view: View, session: int, baseline: Baseline | None) -> Evidence | Silent:
    """Worse by at least `at_least` points (Gryesten et al. 2023, Measures: 3 points from the baseline).

    The study says "lower"; its ODSIS was reversed for the graphs, so this is read as worse (an inference).
    """
    measured = view.measured_until(session)
    score = view.score(session)
    earlier = [value for s, value in measured if s < session]
    if rule.compared_with == "previous" and earlier:
        reference = earlier[-1]
    elif baseline is not None:
        reference = baseline.value
    else:
        return Silent.NO_BASELINE
    if score is None:
        return Silent.NOT_FIRED
    change = view.scale.worsening(reference, score[0])
    if change < rule.at_least:
        return Silent.NOT_FIRED
    return Evidence(
        rule="deterioration/1",
        reading=rule.compared_with,
        threshold=rule.at_least,
        sessions=(session,),
        values=(score[0],),
        changes=(change,),
    )


def no_change(rule: NoChange, view: View, session: int, baseline: Baseline | None) -> Evidence | Silent:
    """Each of the last measured sessions moved by less than `less_than` points (Gryesten et al. 2023, Measures).

    The study's wording does not decide what a session is compared with; the policy names the reading.
    """
    measured = view.measured_until(session)
    row = measured[-rule.sessions :]
    if len(row) < rule.sessions:
        return Silent.NOT_FIRED
    if rule.missing == "break" and any(view.gap_between(a, b) for (a, _), (b, _) in pairwise(row)):
        return Silent.NOT_FIRED
    if rule.unless_healthy and (cut_off := healthy_cut_off(view)) is not None and cut_off.is_healthy(row[-1][1]):
        return Silent.NOT_FIRED
    if rule.compared_with == "window":
        return _window(rule, view, row)
    before = measured[: -rule.sessions]
    known_baseline = None if baseline is None else baseline.value
    if rule.compared_with == "baseline":
        references = [known_baseline] * len(row)
    else:
        references = [before[-1][1] if before else known_baseline, *(value for _, value in row[:-1])]
    changes = [
        None if reference is None else view.scale.worsening(reference, value)
        for reference, (_, value) in zip(references, row, strict=True)
    ]
    if any(change is not None and abs(change) >= rule.less_than for change in changes):
        return Silent.NOT_FIRED
    known = [change for change in changes if change is not None]
    if len(known) < len(changes):
        return Silent.NO_BASELINE
    return _no_change(rule, row, known)


def _window(rule: NoChange, view: View, row: list[tuple[int, Decimal]]) -> Evidence | Silent:
    values = [value for _, value in row]
    if max(values) - min(values) >= rule.less_than:
        return Silent.NOT_FIRED
    return _no_change(rule, row, [view.scale.worsening(values[0], value) for value in values])


def _no_change(rule: NoChange, row: list[tuple[int, Decimal]], changes: list[Decimal]) -> Evidence:
    return Evidence(
        rule="no_change/1",
        reading=rule.compared_with,
        threshold=rule.less_than,
        sessions=tuple(session for session, _ in row),
        values=tuple(value for _, value in row),
        changes=tuple(changes),
    )


def healthy_cut_off(view: View) -> CutOff | None:
    """Find the cut-off by which the policy counts a score as healthy."""
    return next((c for c in view.instrument.cut_offs if c.id == view.policy.primary.healthy), None)


def annotations(view: View, score: Decimal | None, baseline: Baseline | None) -> tuple[Annotation, ...]:
    """Find what a reader of the decision must know: limits of the scale, the healthy range, measurement error."""
    found: dict[AnnotationKind, Annotation] = {} if baseline is None else _without_room(view, baseline.value)
    cut_off = healthy_cut_off(view)
    if cut_off is not None and score is not None and cut_off.is_healthy(score):
        found["healthy_range"] = Annotation(kind="healthy_range", value=cut_off.value, cut_off=cut_off.id)
    band = measurement_error(view.policy)
    if band is not None and score is not None and baseline is not None and abs(score - baseline.value) < band:
        found["within_measurement_error"] = Annotation(kind="within_measurement_error", value=band)
    if view.instrument.provisional or view.policy.provisional:
        found["provisional_definition"] = Annotation(kind="provisional_definition")
    return tuple(found.values())


def _without_room(view: View, start: Decimal) -> dict[AnnotationKind, Annotation]:
    found: dict[AnnotationKind, Annotation] = {}
    best, worst = view.best_and_worst
    for rule in view.policy.rules:
        if isinstance(rule, Deterioration) and rule.compared_with == "baseline":
            room = view.scale.worsening(start, worst)
            if room < rule.at_least:
                found["cannot_deteriorate"] = Annotation(kind="cannot_deteriorate", value=room)
        elif isinstance(rule, NoChange):
            room = view.scale.worsening(best, start)
            if room < rule.less_than:
                found["cannot_improve"] = Annotation(kind="cannot_improve", value=room)
    return found


def measurement_error(policy: Policy) -> Decimal | None:
    """Give the reliable change, 1.96 · SD · √2 · √(1 - alpha) (Jacobson and Truax 1991), if the policy has figures."""
    figures = policy.reliable_change
    if figures is None:
        return None
    return (NORMAL_95 * figures.sd * (2 * (1 - figures.alpha)).sqrt()).quantize(HUNDREDTH)
