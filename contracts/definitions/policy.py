"""The rules by which a session is not on track, as data."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.definitions.definition import Definition, DefinitionId, Part, Reference, Text
from contracts.definitions.instrument import Scale

Points = Annotated[Decimal, Field(gt=0)]


class Primary(Part):
    """The scale that the rules look at. healthy: the cut-off below which a score counts as healthy."""

    instrument: Reference
    scale: DefinitionId
    healthy: DefinitionId | None = None


class Deterioration(Part):
    """Fires where the score is worse by `at_least` points than the baseline, or than the measured score before it."""

    kind: Literal["deterioration/1"]
    at_least: Points
    compared_with: Literal["baseline", "previous"]


class NoChange(Part):
    """Fires where each of the last `sessions` measured sessions moved by less than `less_than` points.

    compared_with: `previous` the measured score before each; `baseline` the baseline; `window` each other
    missing: a session without a valid score is skipped, or breaks the row
    unless_healthy: never fires at a session whose score is in the healthy range
    """

    kind: Literal["no_change/1"]
    less_than: Points
    sessions: int = Field(ge=1, le=100)
    compared_with: Literal["previous", "baseline", "window"]
    missing: Literal["skip", "break"] = "skip"
    unless_healthy: bool = False


class ReliableChange(Part):
    """A clinic's own figures from which the measurement error of a difference follows (Jacobson and Truax 1991).

    sd, n: standard deviation and number of baseline scores in `population`; alpha: the scale's reliability
    """

    sd: Points
    alpha: Annotated[Decimal, Field(gt=0, lt=1)]
    n: int = Field(ge=2)
    population: str
    source: str


Rule = Annotated[Deterioration | NoChange, Field(discriminator="kind")]


class Policy(Definition):
    """A set of rules for one primary scale.

    once_not: a measured session after one that was not on track is judged again, or stays not on track
    persistent_after: so many sessions make an episode persistent (pNOT)
    notify: a notice at every session that is not on track, or at the first of an episode
    silent_after: so many unknown sessions in a row make a notice of their own
    """

    kind: Literal["policy"]
    summary: Text
    primary: Primary
    baseline: Literal["before_first_session", "first_valid", "explicit"] = "before_first_session"
    rules: tuple[Rule, ...] = Field(min_length=1)
    once_not: Literal["evaluated_again", "stays"] = "evaluated_again"
    persistent_after: int = Field(default=3, ge=1)
    notify: Literal["every_not_session", "first_of_episode"] = "every_not_session"
    silent_after: int = Field(default=2, ge=1)
    reliable_change: ReliableChange | None = None

    @model_validator(mode="after")
    def _knows_what_healthy_is(self) -> Self:
        if self.primary.healthy is None and any(isinstance(r, NoChange) and r.unless_healthy for r in self.rules):
            raise ValueError("primary.healthy, the id of a cut-off, was expected, because a rule has unless_healthy")
        return self

    def limit(self) -> Deterioration | None:
        """Give the rule that the NOT line stands for: of those that compare with the baseline, the first to fire."""
        limits = [rule for rule in self.rules if isinstance(rule, Deterioration) and rule.compared_with == "baseline"]
        return min(limits, key=lambda rule: rule.at_least, default=None)

    def not_line(self, scale: Scale, baseline: Decimal) -> Decimal | None:
        """Give the score from which on a session is worse than the baseline by too much; None if no rule says so.

        It can lie beyond the worst score of the scale: then that rule cannot fire.
        """
        limit = self.limit()
        return None if limit is None else scale.worse_by(baseline, limit.at_least)
