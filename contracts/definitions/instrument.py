"""A questionnaire as data: its items, scales, flags and cut-offs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from contracts.definitions.definition import Definition, DefinitionId, Part, Text
from contracts.definitions.fhir import InFhir, ItemId
from contracts.events.fields import FlagKind

HUNDREDTH = Decimal("0.01")
COLUMNS: Final = ("case", "session", "answered_at", "instrument", "comment")
"""The columns of a file of responses beside those that are named after items."""


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """An answer that cannot be taken: which item or scale, and what was expected. Never the value."""

    field: str
    expected: str


class Item(Part):
    """One question. lowest, highest: the range of its values; answers: how a value is shown."""

    id: ItemId
    label: Text
    lowest: int
    highest: int
    answers: Literal["points", "yes_no"] = "points"

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError("lowest was expected below highest")
        return self


class Scale(Part):
    """A number computed from the answers.

    formula: `sum/1` and `mean/1` over the answered items, `item/1` the value of one, `count/1` how many are above 0
    times: what a sum is multiplied with
    worse: which direction is worse for the patient; nothing outside this class knows directions
    missing_at_most: so many items may be left out; a sum is then made up in proportion, a mean taken over the rest
    problem: the PSYCHLOPS problem whose wording the series of this scale follows
    """

    id: DefinitionId
    label: Text
    formula: Literal["sum/1", "mean/1", "item/1", "count/1"]
    items: tuple[ItemId, ...] = Field(min_length=1)
    times: int = Field(default=1, ge=1)
    worse: Literal["higher", "lower"]
    missing_at_most: int = Field(default=0, ge=0)
    problem: Literal[1, 2] | None = None

    @model_validator(mode="after")
    def _has_items_of_its_own(self) -> Self:
        if len(set(self.items)) < len(self.items):
            raise ValueError("each item was expected once")
        if self.formula == "item/1" and len(self.items) != 1:
            raise ValueError("one item was expected for item/1")
        return self

    def worsening(self, before: Decimal, after: Decimal) -> Decimal:
        """Give the change from `before` to `after` in points towards worse; negative is better."""
        return after - before if self.worse == "higher" else before - after

    def worse_by(self, value: Decimal, points: Decimal) -> Decimal:
        """Give the value that lies so many points towards worse."""
        return value + points if self.worse == "higher" else value - points


class CutOff(Part):
    """A published limit between better and worse. Values that are `ill` than `value` lie on the worse side.

    population: whom it was found in
    """

    id: DefinitionId
    scale: DefinitionId
    value: Decimal
    ill: Literal["at_least", "more_than", "at_most", "less_than"]
    meaning: Text
    population: str
    source: str

    def is_healthy(self, score: Decimal) -> bool:
        """Tell whether a score lies on the better side."""
        match self.ill:
            case "at_least":
                return score < self.value
            case "more_than":
                return score <= self.value
            case "at_most":
                return score > self.value
            case "less_than":
                return score >= self.value


class Flag(Part):
    """Marks an answer: `negative` ones stand in a report, `safety` ones make one, `context` ones stand beside it."""

    id: DefinitionId
    kind: FlagKind
    items: tuple[ItemId, ...] = Field(min_length=1)
    at_least: int | None = None
    at_most: int | None = None
    source: str

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("either at_least or at_most was expected")
        return self

    def marks(self, value: int) -> bool:
        """Tell whether an answer is marked."""
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0)


class Instrument(Definition):
    """A questionnaire.

    asked: before the session, right after it, or entered by the clinic
    comparable_from: scores are comparable with those of versions from here to `version`
    fhir: how public questionnaires know it; without that it stands in FHIR under its own id and those of its items
    """

    kind: Literal["instrument"]
    licence: str
    languages: tuple[Literal["en", "da"], ...]
    asked: Literal["before_session", "after_session", "by_clinic"]
    comparable_from: int = Field(default=1, ge=1)
    items: tuple[Item, ...] = Field(min_length=1)
    scales: tuple[Scale, ...] = ()
    cut_offs: tuple[CutOff, ...] = ()
    flags: tuple[Flag, ...] = ()
    fhir: InFhir | None = None

    @model_validator(mode="after")
    def _names_only_what_it_has(self) -> Self:
        items = {item.id for item in self.items}
        scales = {scale.id for scale in self.scales}
        for parts in (self.items, self.scales, self.cut_offs, self.flags):
            if len({part.id for part in parts}) < len(parts):
                raise ValueError("an id of its own was expected for each item, scale, cut-off and flag")
        named = [item for scale in self.scales for item in scale.items]
        named += [item for flag in self.flags for item in flag.items]
        if unknown := sorted(set(named) - items):
            raise ValueError(f"items of this instrument were expected, not: {', '.join(unknown)}")
        if unknown := sorted({cut_off.scale for cut_off in self.cut_offs} - scales):
            raise ValueError(f"scales of this instrument were expected, not: {', '.join(unknown)}")
        for flag in self.flags:
            limit = flag.at_least if flag.at_least is not None else flag.at_most
            if not all(low <= (limit or 0) <= high for low, high in (self.ranges[item] for item in flag.items)):
                raise ValueError(f"a limit within the range of its items was expected for the flag {flag.id}")
        if self.comparable_from > self.version:
            raise ValueError("comparable_from was expected not to be above version")
        for expected in self.fhir.faults_in(self.ranges) if self.fhir is not None else ():
            raise ValueError(expected)
        return self

    def item(self, item_id: str) -> Item:
        """Find an item; raises KeyError."""
        return next(item for item in self.items if item.id == item_id)

    def scale(self, scale_id: str) -> Scale | None:
        """Find a scale."""
        return next((scale for scale in self.scales if scale.id == scale_id), None)

    def bounds(self, scale: Scale) -> tuple[Decimal, Decimal]:
        """Give the lowest and the highest value that a scale can have."""
        return self._bounds[scale.id]

    @cached_property
    def _bounds(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        return {scale.id: self._bounds_of(scale) for scale in self.scales}

    def _bounds_of(self, scale: Scale) -> tuple[Decimal, Decimal]:
        lowest, highest = zip(*(self.ranges[item_id] for item_id in scale.items), strict=True)
        match scale.formula:
            case "sum/1":
                return Decimal(sum(lowest) * scale.times), Decimal(sum(highest) * scale.times)
            case "count/1":
                return Decimal(0), Decimal(len(scale.items))
            case "mean/1":
                return _mean(lowest), _mean(highest)
            case "item/1":
                return Decimal(lowest[0]), Decimal(highest[0])

    def best_and_worst(self, scale: Scale) -> tuple[Decimal, Decimal]:
        """Give the best and the worst value that a scale can have."""
        lowest, highest = self.bounds(scale)
        return (lowest, highest) if scale.worse == "higher" else (highest, lowest)

    def value(self, scale: Scale, answers: Mapping[str, int]) -> Decimal | None:
        """Compute a scale; None if more items are missing than it allows.

        Means and made-up sums are rounded to hundredths, half to even, so that every machine gives the same digits.
        """
        given = [value for item_id in scale.items if (value := answers.get(item_id)) is not None]
        missing = len(scale.items) - len(given)
        if not given or missing > scale.missing_at_most:
            return None
        match scale.formula:
            case "sum/1" if missing:
                return _hundredths(Decimal(sum(given) * scale.times * len(scale.items)) / len(given))
            case "sum/1":
                return Decimal(sum(given) * scale.times)
            case "mean/1":
                return _hundredths(Decimal(sum(given)) / len(given))
            case "item/1":
                return Decimal(given[0])
            case "count/1":
                return Decimal(sum(1 for value in given if value > 0))

    def may_be_missing(self, item_id: str) -> bool:
        """Tell whether an answer may be left out: if every scale that uses it allows that, and one does."""
        using = [scale for scale in self.scales if item_id in scale.items]
        return bool(using) and all(scale.missing_at_most > 0 for scale in using)

    @cached_property
    def ranges(self) -> Mapping[str, tuple[int, int]]:
        """Give the range of every item, by id."""
        return MappingProxyType({item.id: (item.lowest, item.highest) for item in self.items})

    def accepts(self, answers: Mapping[str, int]) -> bool:
        """Tell whether a set of answers can be taken."""
        if answers.keys() != self.ranges.keys():
            return not any(self.faults_in(answers))
        for item_id, (low, high) in self.ranges.items():  # noqa: SIM110 - a generator takes twice as long
            if not low <= answers[item_id] <= high:
                return False
        return True

    def faults_in(self, answers: Mapping[str, object]) -> Iterator[AnswerFault]:
        """Find what is wrong with a set of answers: unknown, missing and out-of-range items. Tells no value."""
        known = {item.id: item for item in self.items}
        for item_id in answers:
            if item_id not in known:
                yield AnswerFault(item_id, f"no such item; {self.id} has {', '.join(known)}")
        for item in self.items:
            value = answers.get(item.id)
            if value is None:
                if not self.may_be_missing(item.id):
                    yield AnswerFault(item.id, f"missing; {_range_of(item)} was expected")
            elif type(value) is not int or not item.lowest <= value <= item.highest:
                yield AnswerFault(item.id, f"{_range_of(item)} was expected")
        for scale in self.scales:
            missing = sum(1 for item_id in scale.items if answers.get(item_id) is None)
            if missing > scale.missing_at_most > 0:
                yield AnswerFault(scale.id, f"at most {scale.missing_at_most} items of this scale may be missing")

    def comparable_with(self, other: "Instrument") -> bool:
        """Tell whether scores of two versions of an instrument can be compared."""
        if self.id != other.id:
            return False
        older, newer = sorted((self, other), key=lambda instrument: instrument.version)
        return newer.comparable_from <= older.version


def _range_of(item: Item) -> str:
    return f"a whole number from {item.lowest} to {item.highest}"


def _mean(values: Sequence[int]) -> Decimal:
    whole, rest = divmod(sum(values), len(values))
    return _hundredths(Decimal(sum(values)) / len(values)) if rest else Decimal(whole)


def _hundredths(value: Decimal) -> Decimal:
    return value.quantize(HUNDREDTH, rounding=ROUND_HALF_EVEN)
