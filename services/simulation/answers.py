"""From how a patient is to the answers of one instrument, within the ranges that the instrument declares."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, Self

from contracts.definitions.instrument import Instrument
from services.simulation.courses import within

ITEM_SD: Final = 0.09
"""Spread of one item around how the patient is, as a share of the item's range."""
MOVED_AT_MOST: Final = 2
"""So many points of a total move from one item to another, so that the items differ."""


@dataclass(frozen=True, slots=True)
class Question:
    """An item of an instrument: its range, and whether a low value is the bad one."""

    item: str
    lowest: int
    highest: int
    low_is_worse: bool


@dataclass(frozen=True, slots=True)
class Form:
    """An instrument, as far as answering it needs it."""

    instrument: str
    asked: Literal["before_session", "after_session", "by_clinic"]
    questions: tuple[Question, ...]

    @classmethod
    def of(cls, instrument: Instrument) -> Self:
        """Read an instrument; an item that no scale uses counts as worse when it is higher."""
        low_is_worse = {item for scale in instrument.scales if scale.worse == "lower" for item in scale.items}
        questions = tuple(
            Question(item.id, item.lowest, item.highest, item.id in low_is_worse) for item in instrument.items
        )
        return cls(instrument.id, instrument.asked, questions)


def with_total(form: Form, total: int, rng: Random) -> dict[str, int]:
    """Spread a total over the items, nearly evenly; a total out of the instrument's reach becomes the nearest one."""
    values = [question.lowest for question in form.questions]
    rest = total - sum(values)
    while rest > 0 and (open_ones := _with_room(form, values)):
        for place in rng.sample(open_ones, min(rest, len(open_ones))):
            values[place] += 1
            rest -= 1
    for _ in range(rng.randint(0, MOVED_AT_MOST)):
        _move_a_point(form, values, rng)
    return _by_item(form, values)


def rated(form: Form, badly: float, rng: Random) -> dict[str, int]:
    """Rate each item by how badly things are: 0 is best, 1 is worst, in between with some spread."""
    return _by_item(form, [_rating(question, badly + rng.gauss(0.0, ITEM_SD)) for question in form.questions])


def happened(form: Form, chance: float, rng: Random) -> dict[str, int]:
    """Say for each item whether it happened: its highest value is yes, its lowest is no."""
    return _by_item(form, [q.highest if rng.random() < chance else q.lowest for q in form.questions])


def _rating(question: Question, badly: float) -> int:
    share = 1 - badly if question.low_is_worse else badly
    return question.lowest + round((question.highest - question.lowest) * within(0.0, share, 1.0))


def _with_room(form: Form, values: Sequence[int]) -> list[int]:
    return [place for place, question in enumerate(form.questions) if values[place] < question.highest]


def _move_a_point(form: Form, values: list[int], rng: Random) -> None:
    giver, taker = rng.randrange(len(values)), rng.randrange(len(values))
    if giver != taker and values[giver] > form.questions[giver].lowest and taker in _with_room(form, values):
        values[giver] -= 1
        values[taker] += 1


def _by_item(form: Form, values: Sequence[int]) -> dict[str, int]:
    return {question.item: value for question, value in zip(form.questions, values, strict=True)}
