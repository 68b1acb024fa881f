"""Bodies take no more room together than there is."""

import pytest

from services.ingest.http.bodies import Room
from services.ingest.http.problems import BUSY, Problem


def test_a_body_for_which_there_is_no_room_has_to_come_again() -> None:
    # given room of which much is taken
    room = Room(100)
    with room.lent() as first:
        first.take(40)
        first.take(40)

        # when another body takes more than is left, bit by bit
        with room.lent() as second:
            second.take(20)
            with pytest.raises(Problem) as refused:
                second.take(1)
            assert refused.value.kind is BUSY

        # then what it had is there for the next one
        with room.lent() as third:
            third.take(20)

    # and all of it when all are answered
    with room.lent() as last:
        last.take(100)


def test_a_request_that_fails_gives_its_room_back() -> None:
    room = Room(100)
    with pytest.raises(ValueError, match="a fault"), room.lent() as loan:  # noqa: PT012 - the loan ends with the fault
        loan.take(100)
        raise ValueError("a fault")
    with room.lent() as again:
        again.take(100)
