"""The types of fields."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from contracts.events.fields import Instant, instant, to_milliseconds
from tests.support.events import moments

INSTANTS = TypeAdapter[datetime](Instant)
ANY_MOMENT = TypeAdapter[datetime](AwareDatetime)


def read(adapter: TypeAdapter[datetime], text: str) -> datetime | None:
    try:
        return adapter.validate_json(f'"{text}"', strict=True)
    except ValidationError:
        return None


@pytest.mark.parametrize("number", ["0", "1767600000", "1767600000000", "1.5", "true"])
def test_a_number_is_no_instant(number: str) -> None:
    with pytest.raises(ValidationError, match="Input should be a valid datetime"):
        INSTANTS.validate_json(number, strict=True)


@given(moment=moments())
def test_an_instant_that_was_written_is_read_again(moment: datetime) -> None:
    # given a moment in any zone, as it stands on the wire
    text = instant(moment)

    # when it is read
    came = read(INSTANTS, text)

    # then it is that moment, in UTC
    assert came == moment
    assert came is not None
    assert came.tzinfo is UTC


@given(
    moment=moments(), place=st.integers(0, 23), character=st.characters(max_codepoint=0x2FF, exclude_characters='"\\')
)
@example(moment=datetime(2026, 1, 5, tzinfo=UTC), place=5, character="W")
@example(moment=datetime(2026, 1, 5, tzinfo=UTC), place=19, character=",")
@example(moment=datetime(2026, 1, 31, tzinfo=UTC), place=6, character="2")
def test_a_text_is_an_instant_if_it_is_a_moment_and_else_refused(moment: datetime, place: int, character: str) -> None:
    # given a moment as it stands on the wire, with one character altered
    written = instant(moment)
    text = written[:place] + character + written[place + 1 :]

    # when it is read
    came = read(INSTANTS, text)

    # then it is what pydantic reads as a moment, to the millisecond
    moment_or_none = read(ANY_MOMENT, text)
    assert came == (moment_or_none and to_milliseconds(moment_or_none))


@pytest.mark.parametrize("text", ["2026-W05-1T12:00:00.000Z", "20260105T120000.0000000Z", "2026-01-05T120000.00000Z"])
def test_other_forms_of_iso_8601_are_refused(text: str) -> None:
    # given a moment in a form that Python reads and the contract does not know
    assert len(text) == len(instant(datetime.now(UTC)))

    # when it is read
    # then it is refused
    assert read(INSTANTS, text) is None


def test_a_moment_in_python_is_no_text() -> None:
    # given a moment as a text, where the value itself is expected
    # when it is checked strictly
    # then it is refused
    with pytest.raises(ValidationError):
        INSTANTS.validate_python("2026-01-05T12:00:00.000Z", strict=True)
