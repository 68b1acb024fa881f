"""What a protocol promises: which sessions there are, where each stands, and what is asked when."""

from itertools import pairwise
from math import inf
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.definitions.protocol import Protocol
from tests.support.clinic import definitions, instrument, protocol_like

ODSIS, WHO5 = instrument("odsis")[0], instrument("who-5")[0]


def planned(*sessions: int | str) -> list[dict[str, Any]]:
    return [{"id": session, "topic": {"en": "A topic", "da": "Et emne"}, "minutes": 120} for session in sessions]


def a_protocol(*sessions: int | str, **changes: Any) -> Protocol:
    return definitions().protocol(protocol_like(sessions=planned(*sessions), **{"asks": [], **changes}))


def an_open_course() -> Protocol:
    return definitions().protocol(protocol_like("open-ended"))


class TestPlaces:
    def test_follow_the_plan(self) -> None:
        course = ("individual-3", "individual-1", 1, "individual-2", "individual-4", 2, "individual-5")
        places = [a_protocol(*course).place(session) for session in (0, *course)]
        assert all(earlier < later for earlier, later in pairwise(places))
        assert [place for place in places if place == int(place)] == [0, 1, 2]

    def test_of_a_session_that_is_not_planned_are_at_the_very_end(self) -> None:
        assert a_protocol(1, 2).place("individual-1") == inf
        assert an_open_course().place("individual-1") == inf

    def test_before_session_1_are_those_of_session_0_and_of_what_is_planned_before(self) -> None:
        protocol = a_protocol("individual-1", 1, "individual-2")
        before = [session for session in (0, "individual-1", 1, "individual-2") if protocol.precedes_first(session)]
        assert before == [0, "individual-1"]


def test_a_course_has_the_sessions_of_its_plan_and_session_0() -> None:
    protocol = a_protocol(1, "individual-1")
    assert [s for s in (0, 1, 2, "individual-1", "individual-2") if protocol.has_session(s)] == [0, 1, "individual-1"]


def test_an_open_course_has_every_session() -> None:
    assert all(an_open_course().has_session(session) for session in (0, 1, 999, "individual-9"))


def test_an_instrument_is_asked_at_the_sessions_that_name_it() -> None:
    protocol = a_protocol(
        1, 2, asks=[{"instrument": ODSIS, "sessions": "every"}, {"instrument": WHO5, "sessions": [2]}]
    )
    asked = {name: [s for s in (1, 2) if protocol.asks_at(name, s)] for name in ("odsis", "who-5", "phq-9")}
    assert asked == {"odsis": [1, 2], "who-5": [2], "phq-9": []}


def test_nothing_is_asked_at_a_session_that_the_course_does_not_have() -> None:
    protocol = a_protocol(1, 2, 4, asks=[{"instrument": ODSIS, "sessions": "every"}])
    assert [s for s in range(6) if protocol.asks_at("odsis", s)] == [0, 1, 2, 4]


def test_an_open_course_asks_everything_unless_it_says_what_it_asks() -> None:
    assert an_open_course().asks_at("phq-9", 7)
    asking = definitions().protocol(protocol_like("open-ended", asks=[{"instrument": ODSIS, "sessions": "every"}]))
    assert (asking.asks_at("odsis", 7), asking.asks_at("phq-9", 7)) == (True, False)


@pytest.mark.parametrize(
    "twice",
    [
        {"sessions": planned(1, 1)},
        {"asks": [{"instrument": ODSIS}, {"instrument": ODSIS}]},
        {"offers": [{"action": "individual-session", "hours": 1}] * 2},
    ],
    ids=lambda twice: next(iter(twice)),
)
def test_what_a_protocol_names_it_names_once(twice: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="once"):
        protocol_like(**twice)
