"""Requests take no more room together than there is, and those of one clinic leave room for the others."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.ingest.http.problems import BUSY, Problem
from services.ingest.http.room import BYTES_OF_A_REQUEST, Room

SIZE = 10 * BYTES_OF_A_REQUEST


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def asks(room: Room, clinic: str, stack: ExitStack, body: int = 0) -> None:
    """Have a request with a body in hand until the stack ends."""
    stack.enter_context(room.lent(clinic)).take(body)


def test_a_request_for_which_there_is_no_room_has_to_come_again(stack: ExitStack) -> None:
    # given room of which all is taken, by requests of three clinics, one of them with a body
    room = Room(SIZE)
    with ExitStack() as answered:
        asks(room, "north", answered, body=3 * BYTES_OF_A_REQUEST)
        for _ in range(5):
            asks(room, "south", answered)
        asks(room, "west", answered)

        # when another one comes, then it is refused
        with pytest.raises(Problem) as refused, room.lent("west"):
            pytest.fail("it is let in")
        assert refused.value.kind is BUSY

    # and as many come again when they are answered
    for clinic in ("north", "south"):
        for _ in range(5):
            asks(room, clinic, stack)


def test_one_clinic_leaves_room_for_the_others(stack: ExitStack) -> None:
    # given a clinic whose requests have all the room that is for one
    room = Room(SIZE)
    asks(room, "north", stack, body=4 * BYTES_OF_A_REQUEST)

    # then it gets no more, and another one does
    with pytest.raises(Problem), room.lent("north"):
        pytest.fail("it is let in")
    asks(room, "south", stack)


def test_a_body_for_which_there_is_no_room_keeps_none(stack: ExitStack) -> None:
    # given a request whose body is larger than what is left
    room = Room(SIZE)
    with pytest.raises(Problem) as refused, room.lent("north") as loan:  # noqa: PT012 - the loan ends with the refusal
        loan.take(2 * BYTES_OF_A_REQUEST)
        loan.take(2 * BYTES_OF_A_REQUEST + 1)
    assert refused.value.kind is BUSY

    # then what it had is there for the next one
    asks(room, "north", stack, body=4 * BYTES_OF_A_REQUEST)


def test_a_request_that_fails_gives_its_room_back(stack: ExitStack) -> None:
    room = Room(SIZE)
    with pytest.raises(ValueError, match="a fault"), room.lent("north") as loan:  # noqa: PT012 - the loan ends with it
        loan.take(4 * BYTES_OF_A_REQUEST)
        raise ValueError("a fault")
    asks(room, "north", stack, body=4 * BYTES_OF_A_REQUEST)
