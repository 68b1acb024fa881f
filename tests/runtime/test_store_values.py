"""What stands in a store is read as what it is, or told to be damaged."""

from datetime import UTC, datetime

import pytest

from services.runtime.store.port import UNREADABLE, Position
from services.runtime.store.values import due_of, moment_of, position_of

MOMENT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def test_a_moment_is_read_as_it_was_written() -> None:
    assert moment_of("2026-01-05T08:00:00.000Z") == due_of("2026-01-05T08:00:00.000Z") == MOMENT
    assert due_of(None) is None


@pytest.mark.parametrize(
    "value",
    [
        "1999-bad",
        "x",
        "",
        5,
        2.5,
        b"2026-01-05T08:00:00.000Z",
        "2026-01-05",
        "2026-01-05T08:00:00",
        "2026-01-05T09:00:00.000+01:00",
        "2026-13-05T08:00:00.000Z",
        "0001-01-01T00:00:00.000+01:00",
    ],
)
def test_a_moment_that_nobody_wrote_so_is_none(value: object) -> None:
    assert moment_of(value) is None
    assert due_of(value) == UNREADABLE


def test_a_stage_has_come_to_an_offset_or_nowhere() -> None:
    for offset in (0, 7, 2**40):
        assert position_of("log-1", offset) == Position("log-1", offset)
    for damaged in (-1, -(2**40), 1.5, "7", b"7", None):
        assert position_of("log-1", damaged) is None
