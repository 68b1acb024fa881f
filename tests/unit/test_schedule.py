"""A case has the sessions of its group, whatever was broken off before, and keeps what was said of it alone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.event import Data, fact_id, new_fact
from contracts.events.facts import (
    CaseEnrolled,
    CaseTransferred,
    SessionCancelled,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.fields import session_of
from contracts.evolution import evolved
from services.ingest.domain.register import OF_GROUP, Register, Registered
from services.ingest.domain.schedule import changes
from tests.support.clinic import policy_like, protocol_like

MONDAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
Sessions = Mapping[str, datetime]


def day(number: int) -> datetime:
    return MONDAY + timedelta(days=number)


class Member:
    """A case of a group, as the register knows it."""

    def __init__(self, sessions: Sessions) -> None:
        self.state = Registered()
        self._numbers = count()
        self.hears(CaseEnrolled(clinic="c1", group="mondays", protocol=protocol_like(), policy=policy_like()))
        for data in changes(self.state, sessions):
            self.hears(data, causation="the enrolment")

    def hears(self, data: Data, *, source: str = "urn:test", causation: str | None = None) -> None:
        """Let a fact be recorded."""
        name = fact_id("c1", "test", str(next(self._numbers)))
        fact = new_fact(data, case_id="a", fact_id=name, source=source, happened=MONDAY, causation=causation)
        self.state, _ = Register().step(self.state, fact)

    def follows(self, sessions: Sessions, *, at_most: int = 100) -> Sequence[Data]:
        """Bring it to the times of its group, or let that be broken off; give what was said."""
        said = changes(self.state, sessions)[:at_most]
        for data in said:
            self.hears(data, source=f"urn:ontrack:c1{OF_GROUP}")
        return said


TIMES: Final = st.dictionaries(st.sampled_from("1234"), st.integers(0, 5).map(day))
PASSES: Final = st.lists(st.tuples(TIMES, st.integers(0, 4)), max_size=6)


@given(TIMES, PASSES, TIMES)
def test_it_comes_to_the_times_of_its_group_whatever_was_broken_off_before(
    first: Sessions, passes: Sequence[tuple[Sessions, int]], last: Sessions
) -> None:
    # given a case whose group had other times again and again, each of which it followed in part
    member = Member(first)
    for sessions, at_most in passes:
        member.follows(sessions, at_most=at_most)

    # when it follows what the group has in the end
    member.follows(last)

    # then it has those times and no others, and there is nothing left to be said
    assert member.state.scheduled == last
    assert member.follows(last) == []


@given(TIMES, TIMES, st.lists(st.tuples(st.sampled_from("1234"), st.integers(6, 9).map(day) | st.none()), max_size=6))
def test_what_was_said_of_it_alone_stands_until_its_group_has_another_time(
    first: Sessions, second: Sessions, said: Sequence[tuple[str, datetime | None]]
) -> None:
    # given a case of which some sessions were moved or cancelled for it alone
    member = Member(first)
    for name, at in said:
        if name in member.state.scheduled:
            session = int(name)
            member.hears(
                SessionCancelled(session=session) if at is None else SessionMoved(session=session, scheduled=at)
            )
    own = member.state.scheduled

    # when its group is as it was, then it is too
    assert member.follows(first) == []
    assert member.state.scheduled == own

    # and when its group has other times, then what has another one there follows, and nothing else
    member.follows(second)
    left = {name: at for name, at in own.items() if first.get(name) == second.get(name)}
    assert member.state.scheduled == left | {
        name: at for name, at in second.items() if first.get(name) != second.get(name)
    }


OWN: Final = st.sampled_from(["individual-1", "7"])


@given(TIMES, PASSES, st.lists(st.tuples(OWN, st.integers(0, 9).map(day) | st.none()), max_size=6))
def test_sessions_that_its_group_does_not_have_stay_its_own(
    first: Sessions, passes: Sequence[tuple[Sessions, int]], said: Sequence[tuple[str, datetime | None]]
) -> None:
    # given a case that has sessions of its own, moved and cancelled and scheduled anew for it alone
    member = Member(first)
    own: dict[str, datetime] = {}
    for name, at in said:
        session = session_of(name)
        if at is not None:
            has = SessionMoved if name in own else SessionScheduled
            member.hears(has(session=session, scheduled=at))
            own[name] = at
        elif own.pop(name, None) is not None:
            member.hears(SessionCancelled(session=session))

    # when its group has other times again and again
    for sessions, at_most in passes:
        member.follows(sessions, at_most=at_most)
    member.follows(first)

    # then it has the times of its group, and its own as they were
    assert member.state.scheduled == {**first, **own}


@pytest.mark.parametrize("mapping", [{}, {str(name): name for name in range(1, 5)}], ids=["all", "as it says"])
@given(TIMES, PASSES, TIMES, PASSES, TIMES)
def test_a_case_that_was_transferred_comes_to_its_new_group_whatever_it_had_of_the_old_one(
    mapping: dict[str, int],
    first: Sessions,
    passes: Sequence[tuple[Sessions, int]],
    joins: Sessions,
    others: Sequence[tuple[Sessions, int]],
    last: Sessions,
) -> None:
    # given a case that has followed one group, and is transferred to another
    member = Member(first)
    for sessions, at_most in passes:
        member.follows(sessions, at_most=at_most)
    member.hears(CaseTransferred(group="tuesdays", sessions=mapping))
    for data in changes(member.state, joins):
        member.hears(data, causation="the transfer")
    assert member.state.scheduled == joins

    # when somebody brings it to the old one yet, who has not heard of it, and the new one has other times
    for data in changes(evolved(member.state, of_group={}), first):
        member.hears(data, source=f"urn:ontrack:c1{OF_GROUP}")
    for sessions, at_most in others:
        member.follows(sessions, at_most=at_most)
    member.follows(last)

    # then it has those and no others
    assert member.state.scheduled == last
    assert member.follows(last) == []


@pytest.mark.parametrize("mapping", [{}, {"2": 1, "3": 2}], ids=["all", "as it says"])
def test_what_no_group_has_ever_had_is_kept_by_a_case_that_is_transferred(mapping: dict[str, int]) -> None:
    # given a case with a group of Mondays, and with sessions that were entered for it alone
    member = Member({"1": day(0)})
    for session in (0, 3, 7):
        member.hears(SessionScheduled(session=session, scheduled=day(session)))

    # when it is transferred to a group that has none of these
    tuesdays = {"1": day(1)}
    member.hears(CaseTransferred(group="tuesdays", sessions=mapping))
    for data in changes(member.state, tuesdays):
        member.hears(data, causation="the transfer")

    # then it has what that group has, and keeps its own, also one that is entered only now
    member.hears(SessionScheduled(session=14, scheduled=day(14)))
    assert member.follows(tuesdays) == []
    of_group = {"2": day(1)} if mapping else tuesdays
    assert member.state.scheduled == {"0": day(0), "3": day(3), "7": day(7), "14": day(14), **of_group}

    # until the group has one of them too
    member.follows({**tuesdays, "2": day(8), "3": day(15)})
    assert member.state.scheduled["3"] == (day(8) if mapping else day(15))


def test_what_was_cancelled_by_hand_before_a_transfer_can_be_entered_for_the_case_alone() -> None:
    # given a case of which a session was cancelled by hand, and that is transferred to a group without that session
    member = Member({"1": day(0), "2": day(7)})
    member.hears(SessionCancelled(session=2))
    member.hears(CaseTransferred(group="tuesdays"))
    for data in changes(member.state, {"1": day(1)}):
        member.hears(data, causation="the transfer")

    # when it is entered for the case alone, then that stands
    member.hears(SessionScheduled(session=2, scheduled=day(9)))
    assert member.follows({"1": day(1)}) == []
    assert member.state.scheduled == {"1": day(1), "2": day(9)}


def test_what_was_moved_by_hand_before_any_group_had_a_say_in_it_stands_until_the_group_has_another_time() -> None:
    # given a case whose session was entered by hand at the time of its group, and then moved
    member = Member({})
    member.hears(SessionScheduled(session=1, scheduled=day(0)))
    assert member.follows({"1": day(0)}) == []
    member.hears(SessionMoved(session=1, scheduled=day(3)))
    member.hears(SessionMoved(session=1, scheduled=day(4)))

    # when its group is as it was, then the case is too, and follows what the group has anew
    assert member.follows({"1": day(0)}) == []
    for sessions in ({"1": day(1)}, {}, {"1": day(0)}):
        member.follows(sessions)
        assert member.state.scheduled == sessions


def test_what_was_moved_by_hand_is_brought_to_the_group_that_the_case_is_transferred_to() -> None:
    member = Member({})
    member.hears(SessionScheduled(session=1, scheduled=day(0)))
    member.hears(SessionMoved(session=1, scheduled=day(3)))
    member.hears(CaseTransferred(group="tuesdays"))
    member.follows({"1": day(0)})
    assert member.state.scheduled == {"1": day(0)}


def test_what_has_come_is_moved_no_more() -> None:
    member = Member({"1": day(0), "2": day(7)})
    member.hears(SessionDue(session=1, scheduled=day(0)))
    member.follows({"1": day(1), "2": day(8)})
    assert member.state.scheduled == {"1": day(0), "2": day(8)}


def test_a_case_that_moves_to_another_group_follows_that_one() -> None:
    # given a case whose second session was moved for it alone
    member = Member({"1": day(0), "2": day(7)})
    member.hears(SessionMoved(session=2, scheduled=day(9)))

    # when it goes on in a group where that is session 3
    member.hears(CaseTransferred(group="tuesdays", sessions={"2": 3}))
    tuesdays = {"3": day(8), "4": day(15)}
    said = changes(member.state, tuesdays)
    assert said == [SessionCancelled(session=1), SessionMoved(session=2, scheduled=day(8))]
    for data in said:
        member.hears(data, causation="the transfer")

    # then it has the time of that one, follows it, and knows Mondays no more
    assert member.state.scheduled == {"2": day(8)}
    assert member.follows(tuesdays) == []
    member.follows({**tuesdays, "3": day(10)})
    assert member.state.scheduled == {"2": day(10)}
