"""A definition on the screen: of an instrument its items, as columns of a file, and what is computed from them."""

from collections.abc import Iterator
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from contracts.definitions.catalogue import Entry
from contracts.definitions.definition import Language, without_hash
from contracts.definitions.instrument import COLUMNS, CutOff, Instrument, Item, Scale
from contracts.definitions.policy import Policy
from services.cli.screen import heading, painted, size, wrapped
from services.cli.tables import fitted
from services.pages.words import Words

_EN: Final = {
    "provisional": "Provisional: part of it has no public source.",
    "before_session": "Asked before the session.",
    "after_session": "Asked right after the session.",
    "by_clinic": "Entered by the clinic.",
    "policy": "Its rules in sentences: ontrack policy show {name}",
    "content": "Its whole content: ontrack definitions show {name} --format json",
    "file": "The columns of a file",
    "items": "Items",
    "column": "column",
    "answers": "answers",
    "label": "item",
    "range": "{lowest} to {highest}",
    "yes_no": "0 no, 1 yes",
    "may_be_missing": "{range}, or empty",
    "scales": "Scales",
    "scale": "{label}: {formula}, from {lowest} to {highest}; {worse} is worse",
    "sum/1": "the sum of {items}",
    "mean/1": "the mean of {items}",
    "item/1": "the answer to {items}",
    "count/1": "how many of {items} are above 0",
    "all": "all items",
    "times": "{formula}, times {times}",
    "higher": "higher",
    "lower": "lower",
    "missing.one": "; {count} answer may be missing",
    "missing.other": "; {count} answers may be missing",
    "cut_offs": "Cut-offs",
    "cut_off": "{scale} {ill} {value}: {meaning}. {population}. {source}",
    "at_least": "from",
    "more_than": "above",
    "at_most": "down from",
    "less_than": "below",
    "sources": "Where it comes from",
    "licence": "Licence",
    "reference": "The full reference, by which events name it",
}
_DA: Final = {
    "provisional": "Foreløbig: en del af den har ingen offentlig kilde.",
    "before_session": "Besvares før sessionen.",
    "after_session": "Besvares lige efter sessionen.",
    "by_clinic": "Indtastes af klinikken.",
    "policy": "Reglerne i sætninger: ontrack policy show {name} --language da",
    "content": "Hele indholdet: ontrack definitions show {name} --format json",
    "file": "Kolonnerne i en fil",
    "items": "Spørgsmål",
    "column": "kolonne",
    "answers": "svar",
    "label": "spørgsmål",
    "range": "{lowest} til {highest}",
    "yes_no": "0 nej, 1 ja",
    "may_be_missing": "{range}, eller tomt",
    "scales": "Skalaer",
    "scale": "{label}: {formula}, fra {lowest} til {highest}; {worse} er værre",
    "sum/1": "summen af {items}",
    "mean/1": "gennemsnittet af {items}",
    "item/1": "svaret på {items}",
    "count/1": "hvor mange af {items} der er over 0",
    "all": "alle spørgsmål",
    "times": "{formula}, gange {times}",
    "higher": "højere",
    "lower": "lavere",
    "missing.one": "; {count} svar må mangle",
    "missing.other": "; {count} svar må mangle",
    "cut_offs": "Grænser",
    "cut_off": "{scale} {ill} {value}: {meaning}. {population}. {source}",
    "at_least": "fra",
    "more_than": "over",
    "at_most": "ned fra",
    "less_than": "under",
    "sources": "Hvor det kommer fra",
    "licence": "Licens",
    "reference": "Den fulde reference, som hændelser nævner den ved",
}
_TEXTS: Final = MappingProxyType({"en": _EN, "da": _DA})


def file_columns(instrument: Instrument) -> list[str]:
    """Give the columns of a file of responses to one instrument, as an import expects them."""
    *fixed, comment = COLUMNS
    return [*fixed, *(item.id for item in instrument.items), comment]


def told(entry: Entry, language: Language) -> Iterator[str]:
    """Give the lines that show a definition."""
    model, texts = entry.model, _TEXTS[language]
    name = without_hash(entry.ref)
    yield painted(model.title.in_language(language), bold=True)
    kind = Words(language)(f"kind.{entry.body['kind']}")
    yield f"{name}, {kind.lower()}"
    if model.provisional:
        yield texts["provisional"]
    if isinstance(model, Instrument):
        yield from _Told(model, language).lines()
    else:
        yield texts["policy" if isinstance(model, Policy) else "content"].format(name=name)
    yield from heading(texts["sources"])
    for source in model.sources:
        yield from wrapped(source, first="- ", rest="  ")
    yield from heading(texts["reference"])
    yield entry.ref


class _Told:
    """An instrument in one language."""

    def __init__(self, instrument: Instrument, language: Language) -> None:
        self._instrument = instrument
        self._language: Language = language
        self._texts = _TEXTS[language]
        self._words = Words(language)

    def lines(self) -> Iterator[str]:
        instrument, texts = self._instrument, self._texts
        yield texts[instrument.asked]
        yield from heading(texts["file"])
        yield ",".join(file_columns(instrument))
        yield from heading(texts["items"])
        columns = (texts["column"], texts["answers"], texts["label"])
        rows = [dict(zip(columns, self._item(item), strict=True)) for item in instrument.items]
        yield from fitted(rows, columns, size()[0])
        if instrument.scales:
            yield from heading(texts["scales"])
        for scale in instrument.scales:
            yield from wrapped(self._scale(scale), first=f"{scale.id}  ", rest="  ")
        if instrument.cut_offs:
            yield from heading(texts["cut_offs"])
        for cut_off in instrument.cut_offs:
            yield from wrapped(self._cut_off(cut_off), first=f"{cut_off.id}  ", rest="  ")
        yield from heading(texts["licence"])
        yield from wrapped(instrument.licence)

    def _item(self, item: Item) -> tuple[str, str, str]:
        answers = self._texts["yes_no" if item.answers == "yes_no" else "range"]
        answers = answers.format(lowest=item.lowest, highest=item.highest)
        if self._instrument.may_be_missing(item.id):
            answers = self._texts["may_be_missing"].format(range=answers)
        return item.id, answers, item.label.in_language(self._language)

    def _scale(self, scale: Scale) -> str:
        instrument, texts = self._instrument, self._texts
        is_all = len(scale.items) == len(instrument.items) > 1
        formula = texts[scale.formula].format(items=texts["all"] if is_all else self._words.listed(scale.items))
        if scale.times > 1:
            formula = texts["times"].format(formula=formula, times=scale.times)
        lowest, highest = map(self._number, instrument.bounds(scale))
        label = scale.label.in_language(self._language)
        said = texts["scale"].format(
            label=label, formula=formula, lowest=lowest, highest=highest, worse=texts[scale.worse]
        )
        if scale.missing_at_most and len(scale.items) > 1:
            key = "missing.one" if scale.missing_at_most == 1 else "missing.other"
            said += texts[key].format(count=scale.missing_at_most)
        return said

    def _cut_off(self, cut_off: CutOff) -> str:
        return self._texts["cut_off"].format(
            scale=cut_off.scale,
            ill=self._texts[cut_off.ill],
            value=self._number(cut_off.value),
            meaning=cut_off.meaning.in_language(self._language),
            population=cut_off.population,
            source=cut_off.source,
        )

    def _number(self, value: Decimal) -> str:
        return self._words.number(value)
