"""A scale as a reader meets it: its range, its values in words, and which way is worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from contracts.definitions.catalogue import Catalogue, DefinitionMissing
from contracts.definitions.instrument import CutOff, Instrument, Item, Scale
from services.pages.words import Words


def item_value(item: Item, value: int, words: Words) -> str:
    """Write an answer beside its range."""
    if item.answers == "yes_no":
        return words("answer.yes" if value > item.lowest else "answer.no")
    return of_range(Decimal(value), Decimal(item.lowest), Decimal(item.highest), words)


def of_range(value: Decimal, lowest: Decimal, highest: Decimal, words: Words) -> str:
    """Write a value beside its range: 16 of 20, or 3.25 on 1–7 where the range does not begin at nought."""
    if lowest == 0:
        return words("value.of", value=value, highest=highest)
    return words("value.between", value=value, lowest=lowest, highest=highest)


def moved(worsening: Decimal, words: Words) -> str:
    """Write a change without its unit: 4 worse, 2 better, unchanged."""
    if worsening == 0:
        return words("moved.not")
    return words("moved.worse" if worsening > 0 else "moved.better", points=abs(worsening))


@dataclass(frozen=True, slots=True)
class Measure:
    """One scale of one instrument."""

    instrument: Instrument
    scale: Scale
    words: Words

    @property
    def label(self) -> str:
        """Name of the scale."""
        return self.scale.label.in_language(self.words.language)

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        """Lowest and highest value."""
        return self.instrument.bounds(self.scale)

    @property
    def best(self) -> Decimal:
        """The value that no better one exceeds."""
        return self.instrument.best_and_worst(self.scale)[0]

    @property
    def worst(self) -> Decimal:
        """The value that no worse one exceeds."""
        return self.instrument.best_and_worst(self.scale)[1]

    @property
    def higher_is_worse(self) -> bool:
        """Whether the numbers grow towards worse."""
        return self.scale.worsening(Decimal(0), Decimal(1)) > 0

    def depth(self, value: Decimal) -> float:
        """Tell how far down a value lies: 0 at the best, 1 at the worst value of the scale."""
        return float(self.scale.worsening(self.best, value) / self.scale.worsening(self.best, self.worst))

    def has_room_for(self, value: Decimal) -> bool:
        """Tell whether a value lies on the scale."""
        lowest, highest = self.bounds
        return lowest <= value <= highest

    def cut_off(self, name: str | None) -> CutOff | None:
        """Find one of the scale's cut-offs."""
        return next((c for c in self.instrument.cut_offs if c.id == name and c.scale == self.scale.id), None)

    def of(self, value: Decimal) -> str:
        """Write a value beside its range."""
        return of_range(value, *self.bounds, self.words)

    def path(self, values: Sequence[Decimal]) -> str:
        """Write values that followed each other, the range beside the last one."""
        shown = [*(self.words.number(value) for value in values[:-1]), self.of(values[-1])]
        return " → ".join(shown)

    def first_and_last(self, values: Sequence[Decimal]) -> str:
        """Write the first of several values and the last one, if there is another."""
        return self.path([values[0], *values[1:][-1:]])

    def from_here_on(self, value: Decimal) -> str:
        """Write a limit with the direction in which it is passed."""
        return self.words("from_here_up" if self.higher_is_worse else "from_here_down", value=value)


def measure(definitions: Catalogue, instrument: str, scale: str, words: Words) -> Measure:
    """Find a scale by its instrument's reference and its name; raises DefinitionMissing."""
    found = definitions.instrument(instrument)
    its_scale = found.scale(scale)
    if its_scale is None:
        raise DefinitionMissing(f"{instrument}/{scale}")
    return Measure(found, its_scale, words)
