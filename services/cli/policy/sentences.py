"""The rules and options of a NOT policy, in sentences: what each value means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language, without_hash
from contracts.definitions.instrument import CutOff
from contracts.definitions.policy import Deterioration, NoChange, Policy
from services.not_detector.domain.rules import measurement_error
from services.pages.words import Words

_EN: Final = {
    "scale": "{label}: {instrument}, scale {scale}, from {lowest} to {highest}; {worse} is worse",
    "higher": "higher",
    "lower": "lower",
    "healthy": "{cut_off}: {ill} {value} counts as ill ({meaning}). {population}. Source: {source}. "
    "It stands beside a decision and changes it only where a rule says so",
    "healthy.none": "no cut-off is named, so no score counts as healthy",
    "at_least": "from",
    "more_than": "above",
    "at_most": "down from",
    "less_than": "below",
    "worse.baseline": "Not on track if the score is at least {at_least} worse than the baseline.",
    "worse.previous": "Not on track if the score is at least {at_least} worse than the measured score before "
    "it; the baseline stands before the first.",
    "same.previous": "Not on track if the score moved by less than {less_than}, up or down, from one measured "
    "session to the next, at each of the last {sessions} measured sessions; the baseline stands before the first.",
    "same.baseline": "Not on track if the score is less than {less_than} away from the baseline, up or down, "
    "at each of the last {sessions} measured sessions.",
    "same.window": "Not on track if the highest and the lowest score of the last {sessions} measured sessions are less "
    "than {less_than} apart.",
    "same.previous.one": "Not on track if the score moved by less than {less_than}, up or down, from the measured "
    "session before; the baseline stands before the first.",
    "same.baseline.one": "Not on track if the score is less than {less_than} away from the baseline, up or down.",
    "same.window.one": "Not on track if the highest and the lowest score of one measured session are less than "
    "{less_than} apart.",
    "same.fewer": "With fewer than {sessions} measured sessions it never fires.",
    "points": "points on the scale",
    "measured": "measured sessions that it looks back on",
    "compared.baseline": "the score is compared with the baseline",
    "compared.previous": "the score is compared with the measured score before it",
    "compared.window": "the scores are compared with each other",
    "missing.skip": "a session without a valid score is skipped: it neither breaks nor lengthens the row",
    "missing.break": "a session at which a score was expected and is missing breaks the row",
    "unless.yes": "never fires at a session whose score is in the healthy range",
    "unless.no": "fires in the healthy range too",
    "yes": "yes",
    "no": "no",
    "none": "none",
    "baseline.before_first_session": "compared with the last valid score before session 1",
    "baseline.first_valid": "compared with the first valid score there is",
    "baseline.explicit": "compared with a score that a person sets; until then nothing is compared",
    "once.evaluated_again": "after a session that was not on track, each further one is judged again",
    "once.stays": "once not on track, every further measured session stays not on track",
    "persistent": "sessions make an episode persistent (pNOT)",
    "notify.every_not_session": "the therapists are told at every session that is not on track",
    "notify.first_of_episode": "the therapists are told at the first session of an episode only",
    "silent": "unknown sessions in a row make a report on missing answers",
    "error": "a difference from the baseline below {band} points is within measurement error: standard deviation "
    "{sd}, reliability {alpha}, n = {n}, {population}. Source: {source}",
    "error.none": "no figures of the clinic's own, so nothing is said about measurement error",
    "rule": "rule {number}",
}
_DA: Final = {
    "scale": "{label}: {instrument}, skala {scale}, fra {lowest} til {highest}; {worse} er dårligere",
    "higher": "højere",
    "lower": "lavere",
    "healthy": "{cut_off}: {ill} {value} regnes for syg ({meaning}). {population}. Kilde: {source}. "
    "Den står ved siden af en afgørelse og ændrer den kun, hvor en regel siger det",
    "healthy.none": "ingen cut-off er nævnt, så ingen score regnes for rask",
    "at_least": "fra",
    "more_than": "over",
    "at_most": "højst",
    "less_than": "under",
    "worse.baseline": "Ikke på rette spor, hvis scoren er mindst {at_least} dårligere end baseline.",
    "worse.previous": "Ikke på rette spor, hvis scoren er mindst {at_least} dårligere end den foregående målte "
    "score; baseline står før den første.",
    "same.previous": "Ikke på rette spor, hvis scoren har flyttet sig mindre end {less_than}, op eller ned, fra "
    "den ene målte session til den næste, ved hver af de seneste {sessions} målte sessioner; baseline står før den "
    "første.",
    "same.baseline": "Ikke på rette spor, hvis scoren er mindre end {less_than} fra baseline, op eller ned, ved "
    "hver af de seneste {sessions} målte sessioner.",
    "same.window": "Ikke på rette spor, hvis der er mindre end {less_than} mellem den højeste og den laveste "
    "score af de seneste {sessions} målte sessioner.",
    "same.previous.one": "Ikke på rette spor, hvis scoren har flyttet sig mindre end {less_than}, op eller ned, fra "
    "den foregående målte session; baseline står før den første.",
    "same.baseline.one": "Ikke på rette spor, hvis scoren er mindre end {less_than} fra baseline, op eller ned.",
    "same.window.one": "Ikke på rette spor, hvis der er mindre end {less_than} mellem den højeste og den laveste score "
    "af én målt session.",
    "same.fewer": "Ved færre end {sessions} målte sessioner slår den aldrig til.",
    "points": "point på skalaen",
    "measured": "målte sessioner, som den ser tilbage på",
    "compared.baseline": "scoren sammenlignes med baseline",
    "compared.previous": "scoren sammenlignes med den foregående målte score",
    "compared.window": "scorerne sammenlignes med hinanden",
    "missing.skip": "en session uden gyldig score springes over: den hverken bryder eller forlænger rækken",
    "missing.break": "en session, hvor en score var ventet og mangler, bryder rækken",
    "unless.yes": "slår aldrig til ved en session, hvis score ligger i normalområdet",
    "unless.no": "slår også til i normalområdet",
    "yes": "ja",
    "no": "nej",
    "none": "ingen",
    "baseline.before_first_session": "sammenlignet med den sidste gyldige score før session 1",
    "baseline.first_valid": "sammenlignet med den første gyldige score, der er",
    "baseline.explicit": "sammenlignet med en score, som en person sætter; indtil da sammenlignes intet",
    "once.evaluated_again": "efter en session, der ikke var på rette spor, vurderes hver følgende igen",
    "once.stays": "efter en session, der ikke var på rette spor, er hver følgende målte session det heller ikke",
    "persistent": "sessioner gør en episode vedvarende (pNOT)",
    "notify.every_not_session": "behandlerne får besked ved hver session, der ikke er på rette spor",
    "notify.first_of_episode": "behandlerne får kun besked ved den første session i en episode",
    "silent": "ukendte sessioner i træk giver en rapport om manglende svar",
    "error": "en forskel fra baseline på under {band} point ligger inden for måleusikkerheden: standardafvigelse "
    "{sd}, reliabilitet {alpha}, n = {n}, {population}. Kilde: {source}",
    "error.none": "ingen tal fra klinikken selv, så der siges intet om måleusikkerhed",
    "rule": "regel {number}",
}
TEXTS: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType({"en": _EN, "da": _DA})


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a policy: its name in the file, its value, and what that means."""

    name: str
    value: str
    meaning: str


class PolicySentences:
    """A policy told in one language."""

    def __init__(self, policy: Policy, definitions: Catalogue, language: Language) -> None:
        """Tell `policy`; its instrument is in `definitions`. Raises DefinitionMissing."""
        self._policy = policy
        self._language: Language = language
        self._words = Words(language)
        self._instrument = definitions.instrument(policy.primary.instrument)

    def _say(self, key: str, **gaps: str) -> str:
        return TEXTS[self._language][key].format(**gaps)

    def _number(self, value: Decimal | int) -> str:
        plain = f"{Decimal(value).normalize():f}"
        return plain.replace(".", ",") if self._language == "da" else plain

    def rules(self) -> Iterator[tuple[str, str]]:
        """Give each rule: its kind, and the sentence it stands for."""
        for rule in self._policy.rules:
            yield rule.kind, self._rule(rule)

    def _rule(self, rule: Deterioration | NoChange) -> str:
        if isinstance(rule, Deterioration):
            return self._say(f"worse.{rule.compared_with}", at_least=self._words.count("points", rule.at_least))
        less_than = self._words.count("points", rule.less_than)
        if rule.sessions == 1:
            return self._say(f"same.{rule.compared_with}.one", less_than=less_than)
        gaps = {"less_than": less_than, "sessions": self._number(rule.sessions)}
        return f"{self._say(f'same.{rule.compared_with}', **gaps)} {self._say('same.fewer', **gaps)}"

    def options(self) -> Iterator[Option]:
        """Give every setting with its value and its meaning, those left at their defaults too."""
        policy = self._policy
        yield self._scale()
        yield self._healthy()
        yield Option("baseline", policy.baseline, self._say(f"baseline.{policy.baseline}"))
        for number, rule in enumerate(policy.rules, 1):
            for option in self._rule_options(rule):
                yield Option(f"{self._say('rule', number=str(number))}: {option.name}", option.value, option.meaning)
        yield Option("once_not", policy.once_not, self._say(f"once.{policy.once_not}"))
        yield Option("persistent_after", self._number(policy.persistent_after), self._say("persistent"))
        yield Option("notify", policy.notify, self._say(f"notify.{policy.notify}"))
        yield Option("silent_after", self._number(policy.silent_after), self._say("silent"))
        yield self._measurement_error()

    def _rule_options(self, rule: Deterioration | NoChange) -> Iterator[Option]:
        compared = Option("compared_with", rule.compared_with, self._say(f"compared.{rule.compared_with}"))
        if isinstance(rule, Deterioration):
            yield Option("at_least", self._number(rule.at_least), self._say("points"))
            yield compared
            return
        yield Option("less_than", self._number(rule.less_than), self._say("points"))
        yield Option("sessions", self._number(rule.sessions), self._say("measured"))
        yield compared
        yield Option("missing", rule.missing, self._say(f"missing.{rule.missing}"))
        healthy = "yes" if rule.unless_healthy else "no"
        yield Option("unless_healthy", self._say(healthy), self._say(f"unless.{healthy}"))

    def _scale(self) -> Option:
        instrument = without_hash(self._policy.primary.instrument)
        scale = self._instrument.scale(self._policy.primary.scale)
        if scale is None:
            return Option("primary", instrument, self._say("none"))
        lowest, highest = self._instrument.bounds(scale)
        meaning = self._say(
            "scale",
            label=scale.label.in_language(self._language),
            instrument=instrument,
            scale=scale.id,
            lowest=self._number(lowest),
            highest=self._number(highest),
            worse=self._say(scale.worse),
        )
        return Option("primary", f"{instrument}/{scale.id}", meaning)

    def _healthy(self) -> Option:
        named = self._policy.primary.healthy
        cut_off = next((c for c in self._instrument.cut_offs if c.id == named), None)
        if cut_off is None:
            return Option("healthy", self._say("none"), self._say("healthy.none"))
        return Option("healthy", cut_off.id, self._cut_off(cut_off))

    def _cut_off(self, cut_off: CutOff) -> str:
        return self._say(
            "healthy",
            cut_off=cut_off.id,
            ill=self._say(cut_off.ill),
            value=self._number(cut_off.value),
            meaning=cut_off.meaning.in_language(self._language),
            population=cut_off.population,
            source=cut_off.source,
        )

    def _measurement_error(self) -> Option:
        figures, band = self._policy.reliable_change, measurement_error(self._policy)
        if figures is None or band is None:
            return Option("reliable_change", self._say("none"), self._say("error.none"))
        meaning = self._say(
            "error",
            band=self._number(band),
            sd=self._number(figures.sd),
            alpha=self._number(figures.alpha),
            n=self._number(figures.n),
            population=figures.population,
            source=figures.source,
        )
        return Option("reliable_change", self._number(band), meaning)
