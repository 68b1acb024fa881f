"""What is asked of a history when a policy is tried on it: which policies, and what a deterioration is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from contracts.definitions.catalogue import Catalogue, Entry, entry_of
from contracts.definitions.definition import id_of
from contracts.definitions.policy import Policy
from services.auditor.trial import Question
from services.cli.home import Failure, named_or_file
from services.cli.zone import local
from services.home import Home
from services.not_detector.domain.rules import measurement_error
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.pages.trial import Head, Origin

READINGS: Final[tuple[Head, ...]] = ("previous", "baseline", "window")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is needed to tell the answer. against: None for the policies that the cases had."""

    question: Question
    definitions: Catalogue
    entry: Entry
    against: Entry | None
    origin: Origin

    @property
    def policy(self) -> Policy:
        """The policy that is tried."""
        return self.definitions.policy(self.entry.ref)


async def question_of(
    home: Home, known: Catalogue, name: str, against_name: str | None, points: Decimal | None
) -> Asked:
    """Find what is asked. Raises Failure, DefinitionFaults.

    known: takes what is named in files, and the other readings; points: that are a deterioration, if somebody says so
    """
    entry = named_or_file(Policy, name, known)
    known.add(entry)
    against = None if against_name is None else named_or_file(Policy, against_name, known)
    if against is not None:
        known.add(against)
    first: dict[str, str | None] = {"now": None} if against is None else {"against": against.ref}
    policies: dict[str, str | None] = {**first, "tried": entry.ref, **_readings(entry, known)}
    policy = known.policy(entry.ref)
    scale = known.instrument(policy.primary.instrument).scale(policy.primary.scale)
    if scale is None:
        raise Failure(f"{name}: a scale of its instrument was expected as primary.scale")
    others = await _in_use(home, known) if against is None else [known.policy(against.ref)]
    measure, origin = _points(policy, others, points)
    stages = (NotDetector(known), Notifier(known))
    return Asked(Question(stages, policies, scale, measure, local), known, entry, against, origin)


def _readings(entry: Entry, known: Catalogue) -> Mapping[str, str]:
    """Make the policy known in each other reading of "no change"; give these by what they compare with."""
    found: dict[str, str] = {}
    for reading in READINGS:
        rules = [
            {**rule, "compared_with": reading} if rule["kind"] == "no_change/1" else rule
            for rule in entry.body["rules"]
        ]
        other = entry_of({**entry.body, "rules": rules})
        if other.ref != entry.ref:
            known.add(other)
            found[reading] = other.ref
    return found


async def _in_use(home: Home, known: Catalogue) -> list[Policy]:
    """Give the policies that the cases have."""
    names = {state.policy async for _, state in home.states(home.register) if state.policy is not None}
    return [known.policy(ref) for ref in sorted(names) if ref in known]


def _points(policy: Policy, others: Sequence[Policy], asked: Decimal | None) -> tuple[Decimal | None, Origin]:
    """Decide how many points worse than the baseline are a deterioration, for every policy that is compared alike."""
    if asked is not None:
        return asked, "asked"
    alike = [each for each in others if _is_of_same_scale(each, policy)]
    for each in (policy, *alike):
        if (band := measurement_error(each)) is not None:
            return band, "figures"
    limits = [limit.at_least for each in (policy, *alike) if (limit := each.limit()) is not None]
    return max(limits, default=None), "policies"


def _is_of_same_scale(one: Policy, other: Policy) -> bool:
    places = {(id_of(each.primary.instrument), each.primary.scale) for each in (one, other)}
    return len(places) == 1
