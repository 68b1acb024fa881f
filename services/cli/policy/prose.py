"""A NOT policy as a text that whoever must approve it reads from beginning to end.

What the options are called in the file stands in `sentences`, from which the sentences of the rules come.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language, without_hash
from contracts.definitions.instrument import CutOff
from contracts.definitions.policy import Deterioration, NoChange, Policy
from services.cli.policy.examples import Example, Examples
from services.cli.policy.prose_texts import TEXTS
from services.cli.policy.sentences import PolicySentences
from services.not_detector.domain.rules import measurement_error
from services.pages.words import Words, sentence

_MANY: Final = 6
"""Scores that are written out one by one; of more only how often the same one came."""


class PolicyProse:
    """A policy as a text in one language: paragraphs under headings."""

    def __init__(self, policy: Policy, definitions: Catalogue, language: Language) -> None:
        """Tell `policy`; its instrument is in `definitions`. Raises DefinitionMissing."""
        self._policy = policy
        self._language: Language = language
        self._words = Words(language)
        self._sentences = PolicySentences(policy, definitions, language)
        self._instrument = definitions.instrument(policy.primary.instrument)
        scale = self._instrument.scale(policy.primary.scale)
        if scale is None:
            raise ValueError("the policy's primary scale is not a scale of its instrument")
        self._scale = scale
        self._healthy = next((c for c in self._instrument.cut_offs if c.id == policy.primary.healthy), None)
        self._examples = Examples(self._instrument, scale, self._healthy)

    def sections(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Give what stands under each heading, paragraph by paragraph."""
        policy = self._policy
        yield self._say("looked"), [self._looked()]
        yield self._say("baseline"), [self._say(f"baseline.{policy.baseline}"), self._say("baseline.by_hand")]
        rules = (f"{number}. {rule}" for number, rule in enumerate(self.rules(), 1))
        preface = self._say("rules.one" if len(policy.rules) == 1 else "rules.any")
        yield self._say("rules"), [preface, *rules, self._say("unknown")]
        yield (
            self._say("after"),
            [
                self._say(f"once.{policy.once_not}"),
                self._counted("persistent", policy.persistent_after),
                self._say("late"),
            ],
        )
        yield self._say("told"), [self._say(f"notify.{policy.notify}"), self._counted("silent", policy.silent_after)]
        yield self._say("beside"), [self._healthy_range(), self._measurement_error()]
        yield self._say("provisional"), list(self._provisional())
        yield self._say("sources"), [f"- {source}" for source in policy.sources]
        yield self._say("approval"), [self._say("approval.ref")]

    def rules(self) -> Iterator[str]:
        """Give each rule in sentences: what it says, what it passes over, and examples of its own numbers."""
        for rule, (_, says) in zip(self._policy.rules, self._sentences.rules(), strict=True):
            yield " ".join([says, *self._more(rule), *self._shown(rule), *self._limits(rule)])

    def _say(self, key: str, **gaps: str) -> str:
        return TEXTS[self._language][key].format(**gaps)

    def _counted(self, key: str, count: int) -> str:
        return sentence(self._say(f"{key}.one" if count == 1 else f"{key}.other", count=self._words.spelled(count)))

    def _points(self, points: Decimal) -> str:
        return self._words.count("points", points)

    def _looked(self) -> str:
        lowest, highest = self._instrument.bounds(self._scale)
        return self._say(
            "looked.scale",
            label=self._scale.label.in_language(self._language),
            instrument=self._instrument.title.in_language(self._language),
            ref=without_hash(self._policy.primary.instrument),
            scale=self._scale.id,
            lowest=self._words.number(lowest),
            highest=self._words.number(highest),
            worse=self._say(f"worse.{self._scale.worse}"),
        )

    def _more(self, rule: Deterioration | NoChange) -> Iterator[str]:
        if isinstance(rule, NoChange):
            yield self._say(f"missing.{rule.missing}")
            if rule.unless_healthy:
                yield self._say("unless.yes")

    def _shown(self, rule: Deterioration | NoChange) -> Iterator[str]:
        for example in self._examples.of(rule):
            less_than = self._points(rule.less_than) if isinstance(rule, NoChange) else ""
            yield self._say(
                f"example.{example.what}",
                baseline=self._words.number(example.baseline),
                first=self._from_here_on(example.scores[0]),
                scores=self._scores(example),
                sessions=self._words.number(len(example.scores)),
                less_than=less_than,
            )

    def _scores(self, example: Example) -> str:
        written = [self._words.number(score) for score in example.scores]
        if len(written) <= _MANY:
            return self._words.listed(written)
        return f"{', '.join(written[:2])}, …, {', '.join(written[-2:])}"

    def _from_here_on(self, score: Decimal) -> str:
        return self._say("up" if self._scale.worse == "higher" else "down", value=self._words.number(score))

    def _limits(self, rule: Deterioration | NoChange) -> Iterator[str]:
        """Say where the numbers of a rule leave no room for it."""
        if isinstance(rule, NoChange):
            if rule.compared_with == "window" and rule.sessions == 1:
                yield self._say("window.one")
            return
        points, end = self._points(rule.at_least), self._examples.room_ends(rule.at_least)
        if end is None:
            yield self._say("room.none", points=points)
        elif rule.compared_with == "baseline":
            way = "up" if self._scale.worse == "higher" else "down"
            yield self._say("room", points=points, beyond=self._say(f"beyond.{way}", value=self._words.number(end)))

    def _healthy_range(self) -> str:
        if self._healthy is None:
            return self._say("healthy.none")
        counts = any(isinstance(rule, NoChange) and rule.unless_healthy for rule in self._policy.rules)
        return f"{self._cut_off(self._healthy)} {self._say('healthy.counts' if counts else 'healthy.beside')}"

    def _cut_off(self, cut_off: CutOff) -> str:
        return self._say(
            "healthy",
            well=self._say(f"well.{cut_off.ill}"),
            value=self._words.number(cut_off.value),
            cut_off=cut_off.id,
            meaning=cut_off.meaning.in_language(self._language),
            population=cut_off.population,
            source=cut_off.source,
        )

    def _measurement_error(self) -> str:
        figures, band = self._policy.reliable_change, measurement_error(self._policy)
        if figures is None or band is None:
            return self._say("error.none")
        return self._say(
            "error",
            band=self._points(band),
            sd=self._words.number(figures.sd),
            alpha=self._words.number(figures.alpha),
            n=self._words.number(figures.n),
            population=figures.population,
            source=figures.source,
        )

    def _provisional(self) -> Iterator[str]:
        if self._policy.provisional:
            yield self._say("provisional.policy")
        if self._instrument.provisional:
            yield self._say("provisional.instrument", instrument=self._instrument.title.in_language(self._language))
        if not (self._policy.provisional or self._instrument.provisional):
            yield self._say("provisional.none")
