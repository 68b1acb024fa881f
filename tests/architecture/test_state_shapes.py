"""The shape of a stage's stored states is numbered: stored ones of another shape are refused by their number.

Much of a state stands in tuples, so the order of their fields is part of the shape: read in another order, a state
could be taken for what it is not.
"""

import hashlib
from typing import Any, Final, NamedTuple

import orjson
import pytest
from pydantic import TypeAdapter

from services.ingest.domain.register import Register
from services.mailer.domain.mailbag import Mailbags
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.scoring.domain.stage import Scoring

SHAPES: Final = {
    "register": (4, "86745253e7b51795"),
    "scoring": (3, "4eecb47cb3567ee2"),
    "not_detector": (2, "c04f93468f6ee8c9"),
    "notifier": (5, "8ccd013d3160a94f"),
    "mailer": (2, "57c2f2ad239a73c1"),
}
"""Stage -> the number of its shape, and the digest of the shape. Whoever changes a digest raises the number."""


def shape(state: type[Any]) -> str:
    """Give a digest of what a state is made of: its fields, their types, and their order where they have no names."""
    schema = _without_words(TypeAdapter(state).json_schema())
    return hashlib.blake2b(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def _without_words(schema: object) -> object:
    """Leave out the docstrings of classes; a field that is called so is a schema, not a text."""
    if isinstance(schema, dict):
        return {
            name: _without_words(part)
            for name, part in schema.items()
            if not (name == "description" and isinstance(part, str))
        }
    return [_without_words(part) for part in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("stage", [Register, Scoring, NotDetector, Notifier, Mailbags], ids=lambda stage: stage.name)
def test_a_stage_whose_states_have_another_shape_has_another_number(
    stage: type[Register | Scoring | NotDetector | Notifier | Mailbags],
) -> None:
    assert (stage.schema, shape(stage.state)) == SHAPES[stage.name]


class _Here(NamedTuple):
    score: str
    instrument: str


class _There(NamedTuple):
    instrument: str
    score: str


def test_the_order_of_a_tuples_fields_is_part_of_a_shape() -> None:
    # given two states that differ in the order of two alike fields only
    # when their shapes are compared, then they differ
    assert shape(_Here) != shape(_There)
