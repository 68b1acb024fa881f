"""The NOT line that pictures draw is the limit that the rules decide by."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.definitions.instrument import Instrument, Scale
from contracts.definitions.policy import Policy
from tests.support.clinic import Case, definitions, instrument, odsis, policy_like, rule

Rules = list[dict[str, Any]]


def deterioration(at_least: str, compared_with: str) -> dict[str, Any]:
    return rule("deterioration/1", at_least=at_least, compared_with=compared_with)


def rules() -> st.SearchStrategy[Rules]:
    """Draw what a policy can decide by: any rules, in any order."""
    points = st.sampled_from(["0.5", "1", "2.5", "3", "5", "9"])
    worse = st.builds(deterioration, points, st.sampled_from(["baseline", "previous"]))
    still = st.builds(
        lambda reading, spared: rule("no_change/1", compared_with=reading, sessions=1, unless_healthy=spared),
        st.sampled_from(["previous", "baseline", "window"]),
        st.booleans(),
    )
    return st.lists(worse | still, min_size=1, max_size=3)


def options() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "baseline": st.sampled_from(["before_first_session", "first_valid", "explicit"]),
            "once_not": st.sampled_from(["evaluated_again", "stays"]),
        }
    )


def of_who_5(points: int) -> dict[str, int]:
    """Give answers whose total is four times so many points."""
    full, rest = divmod(points, 5)
    values = [5] * full + [rest] + [0] * 5
    return {item.id: value for item, value in zip(instrument("who-5")[1].items, values, strict=False)}


SCALES = {"odsis": ("madsen", odsis), "who-5": ("screen-positive", of_who_5)}
"""One scale on which higher is worse, and one on which lower is."""


@settings(max_examples=150)
@given(st.sampled_from(sorted(SCALES)), rules(), options(), st.integers(0, 20), st.integers(0, 20))
def test_what_reaches_the_not_line_is_flagged_by_a_rule_and_what_does_not_is_not(
    name: str, drawn: Rules, chosen: dict[str, Any], before: int, after: int
) -> None:
    # given any policy, and a case with two scores
    ref, model = instrument(name)
    healthy, answers = SCALES[name]
    primary = {"instrument": ref, "scale": "total", "healthy": healthy}
    policy_ref = policy_like(primary=primary, rules=drawn, **chosen)
    case = Case(policy_ref).enrolled()
    case.answered(0, answers(before), name=name)
    case.answered(1, answers(after), name=name)

    # when the NOT line is drawn from the baseline of the decision
    decision, policy, scale = case.decision(1), definitions().policy(policy_ref), model.scale("total")
    assert scale is not None
    line = None if decision.baseline is None else policy.not_line(scale, decision.baseline.value)

    # then the score reaches it where a rule says that it is worse than the baseline by too much, and nowhere else
    assert decision.score is not None
    reached = line is not None and scale.worsening(line, decision.score) >= 0
    assert reached == ("deterioration/1 baseline" in case.fired(1))


def a_policy(*drawn: dict[str, Any]) -> Policy:
    return definitions().policy(policy_like(rules=list(drawn)))


def total_of(model: Instrument) -> Scale:
    scale = model.scale("total")
    assert scale is not None
    return scale


def test_the_line_lies_towards_worse_whichever_way_that_is() -> None:
    policy = a_policy(deterioration("3", "baseline"))
    assert policy.not_line(total_of(instrument("odsis")[1]), Decimal(12)) == 15
    assert policy.not_line(total_of(instrument("who-5")[1]), Decimal(12)) == 9


def test_of_several_limits_the_one_that_is_reached_first_is_the_line() -> None:
    policy = a_policy(deterioration("5", "baseline"), deterioration("2", "previous"), deterioration("3", "baseline"))
    assert policy.not_line(total_of(instrument("odsis")[1]), Decimal(12)) == 15


def test_a_rule_that_looks_at_the_session_before_draws_no_line() -> None:
    policy = a_policy(deterioration("3", "previous"), rule("no_change/1"))
    assert policy.not_line(total_of(instrument("odsis")[1]), Decimal(12)) is None
