"""What the clock says, and when: time is a parameter, so whole courses are gone through in no time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.definitions.protocol import Edge, Protocol
from contracts.events.event import Data, Event, new_fact
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    CaseTransferred,
    OccasionClosed,
    OccasionOpened,
    ResponseSubmitted,
    SessionCancelled,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from services.ingest.domain.clock import due, first_moment, moment, next_moment, open_now
from services.ingest.domain.register import Register, Registered
from services.ingest.domain.schedule import changes
from tests.support.clinic import definitions, instrument, odsis, policy_like, protocol_like

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
CASE = "a-case"
GROUP_CBT = definitions().protocol(protocol_like())
"""Its morning forms are open from 6 o'clock until the session begins, gq-12 from its end until noon of the next day."""

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""Ten o'clock in Copenhagen: session 1, of two hours."""

MORNING = MONDAY.replace(hour=5)
AFTER = MONDAY + timedelta(hours=2)
NEXT_NOON = datetime(2026, 1, 6, 11, tzinfo=UTC)


class Course:
    """A case whose facts are recorded one after the other, and whose clock is asked by hand."""

    def __init__(self, protocol: Protocol = GROUP_CBT) -> None:
        self.protocol = protocol
        self.zone = COPENHAGEN
        self.register = Register()
        self.case = Registered()
        self.said: list[Event[Data]] = []
        self.now = MONDAY - timedelta(days=30)
        self._count = 0
        self.record(
            CaseEnrolled(clinic="c1", protocol=protocol_like(), policy=policy_like()), MONDAY - timedelta(days=30)
        )

    def record(self, data: Data, at: datetime) -> None:
        self._count += 1
        fact_id = f"00000000-0000-4000-8000-{self._count:012}"
        self.take(new_fact(data, case_id=CASE, fact_id=fact_id, source="urn:test", happened=at))

    def take(self, fact: Event[Data]) -> None:
        self.case, _ = self.register.step(self.case, fact)

    def schedule(self, **sessions: datetime) -> "Course":
        for name, at in sessions.items():
            session = int(name[1:]) if name[1:].isdecimal() else name.replace("_", "-")
            self.record(SessionScheduled(session=session, scheduled=at), MONDAY - timedelta(days=29))
        return self

    def tick(self, now: datetime) -> list[str]:
        """Let the clock say what it has to say; give that in short."""
        self.now = max(self.now, now)
        facts = [fact._replace(recordedtime=now) for fact in due(CASE, self.case, self.protocol, self.zone, now)]
        for fact in facts:
            self.take(fact)
        self.said.extend(facts)
        return told(facts)

    def go_through(self, until: datetime) -> list[str]:
        """Let the clock tick at every moment that it names."""
        self.tick(MONDAY - timedelta(days=28))
        now = MONDAY - timedelta(days=28)
        before = len(self.said)
        while (moment := next_moment(self.case, self.protocol, COPENHAGEN, now)) is not None and moment <= until:
            now = moment
            self.tick(now)
        return told(self.said[before:])


def told(facts: Sequence[Event[Data]]) -> list[str]:
    """Each fact in short: when, what, and about which session and instrument."""
    return [f"{fact.time:%m-%d %H:%M} {_short(fact.data)}" for fact in facts]


def _short(data: Data) -> str:
    match data:
        case SessionDue():
            return f"due {data.session}"
        case OccasionOpened():
            return f"open {data.session}/{data.instrument.partition('@')[0]} until {data.closes:%m-%d %H:%M}"
        case OccasionClosed():
            return f"close {data.session}/{data.instrument.partition('@')[0]}"
        case _:
            raise AssertionError(data)


MORNING_FORMS = ("odsis", "life-events", "psychlops-2", "homework")
WHOLE_DAY = [
    *(f"01-05 05:00 open 1/{name} until 01-05 09:00" for name in MORNING_FORMS),
    "01-05 09:00 due 1",
    *(f"01-05 09:00 close 1/{name}" for name in MORNING_FORMS),
    "01-05 11:00 open 1/gq-12 until 01-06 11:00",
    "01-06 11:00 close 1/gq-12",
]


def test_a_session_is_opened_and_comes_and_is_closed_at_its_times() -> None:
    course = Course().schedule(s1=MONDAY)
    assert course.go_through(MONDAY + timedelta(days=30)) == WHOLE_DAY


def test_nothing_is_said_before_its_time_and_nothing_twice() -> None:
    course = Course().schedule(s1=MONDAY)
    assert course.tick(MORNING - timedelta(milliseconds=1)) == []
    assert len(course.tick(MORNING)) == len(MORNING_FORMS)
    assert course.tick(MORNING) == []


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(("1", "individual-1")))
@example(datetime.max.replace(tzinfo=UTC), "1")
@example(datetime.min.replace(tzinfo=UTC), "1")
def test_a_session_at_any_time_is_looked_at(starts: datetime, name: str) -> None:
    # given a session at a time that a calendar has, however far
    case = replace(Course().case, scheduled={name: starts})
    for zone in (COPENHAGEN, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")):
        # when the clock looks at its case, then it finds when to look again, and something or nothing to say
        protocol = Course().protocol
        assert first_moment(case, protocol, zone) is not None
        for now in (MONDAY, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
            due(CASE, case, protocol, zone, now)
            next_moment(case, protocol, zone, now)


def test_what_is_answered_is_not_closed() -> None:
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)
    answer = ResponseSubmitted(
        session=1, instrument=instrument("odsis")[0], answers=odsis(8), answered_at=MORNING, entered_by="patient"
    )
    course.record(answer, MORNING)
    assert "01-05 09:00 close 1/odsis" not in course.tick(MONDAY)


def test_after_an_outage_it_catches_up_in_order_and_what_was_never_open_in_time_is_not_asked() -> None:
    # given a clock that stood still from before the morning until the evening
    course = Course().schedule(s1=MONDAY)

    # when it goes on
    said = course.tick(MONDAY + timedelta(hours=10))

    # then the session came, what can still be answered is opened, and the forms of the morning are passed over
    assert said == ["01-05 09:00 due 1", "01-05 11:00 open 1/gq-12 until 01-06 11:00"]


def test_after_an_outage_what_was_open_is_closed_as_of_its_time() -> None:
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)
    assert course.tick(MONDAY + timedelta(days=9)) == [
        "01-05 09:00 due 1",
        *(f"01-05 09:00 close 1/{name}" for name in MORNING_FORMS),
    ]


def test_a_session_that_is_moved_while_it_is_open_is_closed_at_its_new_time() -> None:
    # given a session whose forms are open
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)

    # when it is moved to the next day
    tuesday = MONDAY + timedelta(days=1)
    course.record(SessionMoved(session=1, scheduled=tuesday), MORNING + timedelta(hours=1))

    # then nothing is closed as missed on the old day, and all is asked on the new one
    assert course.tick(MONDAY) == []
    assert course.tick(MORNING + timedelta(days=1)) == [
        f"01-06 05:00 open 1/{name} until 01-06 09:00" for name in MORNING_FORMS
    ]
    assert course.tick(tuesday) == ["01-06 09:00 due 1", *(f"01-06 09:00 close 1/{name}" for name in MORNING_FORMS)]


def test_a_session_that_is_moved_while_it_is_open_is_not_missed_at_a_new_time_that_the_clock_slept_through() -> None:
    # given a session that was moved by a week after its questionnaires were opened
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)
    course.record(SessionMoved(session=1, scheduled=MONDAY + timedelta(days=7)), NEXT_NOON - timedelta(days=1))

    # when the clock is away from then on until everything is over
    said = course.tick(MONDAY + timedelta(days=9))

    # then it says that the session came, and closes nothing: at that time nothing was open
    assert said == ["01-12 09:00 due 1"]
    assert course.tick(MONDAY + timedelta(days=10)) == []


def test_a_session_that_began_earlier_than_it_was_to_is_closed_as_it_began() -> None:
    # given a session whose forms are open, of which is said afterwards that it began half an hour before it was to
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)
    began = MONDAY - timedelta(minutes=30)
    course.record(SessionMoved(session=1, scheduled=began), MONDAY - timedelta(minutes=15))

    # when the clock looks, then what nobody has answered by then is closed: it was asked
    said = course.tick(MONDAY - timedelta(minutes=15))
    assert said == ["01-05 08:30 due 1", *(f"01-05 08:30 close 1/{name}" for name in MORNING_FORMS)]
    assert course.tick(MONDAY + timedelta(minutes=1)) == []


def test_what_was_opened_late_is_not_closed_at_a_time_that_was_over_by_then() -> None:
    # given a session whose forms were opened late, after an outage
    course = Course().schedule(s1=MONDAY)
    course.tick(MONDAY - timedelta(minutes=20))

    # when it is said that it began before that, then nothing is closed: by then nobody had been asked
    course.record(SessionMoved(session=1, scheduled=MONDAY - timedelta(minutes=30)), MONDAY - timedelta(minutes=15))
    assert course.tick(MONDAY) == ["01-05 08:30 due 1"]


def test_what_is_open_when_its_clinic_goes_by_another_clock_is_open_until_the_time_of_that_one() -> None:
    # given a form that is open until noon in Copenhagen
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)
    course.tick(AFTER)

    # when the clinic goes by the clock of London, of Copenhagen, and of London again, then it is open until noon there
    for zone, noon in (("Europe/London", "12:00"), ("Europe/Copenhagen", "11:00"), ("Europe/London", "12:00")):
        course.zone = ZoneInfo(zone)
        assert course.tick(AFTER) == [f"01-05 11:00 open 1/gq-12 until 01-06 {noon}"]

    # and is closed then, and each of these is a fact of its own
    assert course.tick(NEXT_NOON) == []
    assert course.tick(NEXT_NOON + timedelta(hours=1)) == ["01-06 12:00 close 1/gq-12"]
    assert len({fact.id for fact in course.said}) == len(course.said)


def test_what_was_asked_until_its_clinic_changed_its_clock_is_closed_though_the_clock_has_spoken_of_later_moments() -> (
    None
):
    # given a form that is open until noon in London, and another session that came shortly before
    course = Course().schedule(s1=MONDAY, individual_1=NEXT_NOON + timedelta(minutes=20))
    course.zone = ZoneInfo("Europe/London")
    course.tick(AFTER)
    now = NEXT_NOON + timedelta(minutes=20)
    course.tick(now)

    # when the clinic goes by the clock of Copenhagen, where it is past noon
    course.zone = COPENHAGEN

    # then the case is looked at at once, and the form is closed
    looked_at = first_moment(course.case, course.protocol, course.zone)
    assert looked_at is not None
    assert looked_at <= now
    assert course.tick(now) == ["01-06 11:00 close 1/gq-12"]


def test_a_session_that_is_cancelled_is_neither_due_nor_closed_as_missed() -> None:
    course = Course().schedule(s1=MONDAY)
    course.tick(MORNING)
    course.record(SessionCancelled(session=1), MORNING + timedelta(hours=1))
    assert course.tick(MONDAY + timedelta(days=9)) == []


def test_a_session_that_takes_place_after_all_is_asked_again() -> None:
    course = Course().schedule(s1=MONDAY)
    course.record(SessionCancelled(session=1), MORNING - timedelta(hours=2))
    course.record(SessionMoved(session=1, scheduled=MONDAY + timedelta(days=7)), MORNING)
    assert course.go_through(MONDAY + timedelta(days=30))[0] == "01-12 05:00 open 1/odsis until 01-12 09:00"


def test_after_a_transfer_a_case_is_asked_by_the_sessions_of_its_new_group() -> None:
    # given a case that had its first session with a group of Mondays
    week, tuesday = timedelta(days=7), MONDAY + timedelta(days=8)
    course = Course().schedule(s1=MONDAY, s2=MONDAY + week, s3=MONDAY + 2 * week)
    course.tick(MORNING)
    course.tick(NEXT_NOON)

    # when it goes on in one of Tuesdays, which is ahead by a session
    transferred = NEXT_NOON + timedelta(hours=1)
    course.record(CaseTransferred(group="tuesdays", sessions={"2": 3, "3": 4}), transferred)
    for data in changes(course.case, {"3": tuesday, "4": tuesday + week}):
        course.record(data, transferred)

    # then nothing is asked on Mondays any more, and each session on its Tuesday, under its own number
    assert course.tick(MONDAY + week) == []
    assert course.tick(MORNING + timedelta(days=8)) == [
        f"01-13 05:00 open 2/{name} until 01-13 09:00" for name in MORNING_FORMS
    ]
    assert course.tick(tuesday)[0] == "01-13 09:00 due 2"
    course.tick(MONDAY + 2 * week)
    assert course.tick(MORNING + timedelta(days=15)) == [
        f"01-20 05:00 open 3/{name} until 01-20 09:00" for name in MORNING_FORMS
    ]


def test_nothing_is_said_of_what_comes_after_the_end_of_a_course() -> None:
    course = Course().schedule(s1=MONDAY, s2=MONDAY + timedelta(days=7))
    course.tick(NEXT_NOON)
    course.record(CaseClosed(reason="dropped_out"), NEXT_NOON + timedelta(hours=1))
    assert course.tick(MONDAY + timedelta(days=30)) == []


def test_two_clocks_say_the_same_facts() -> None:
    one, other = Course().schedule(s1=MONDAY), Course().schedule(s1=MONDAY)
    one.go_through(NEXT_NOON)
    for minutes in range(0, 60 * 31, 7):
        other.tick(MORNING + timedelta(minutes=minutes))
    assert {(fact.id, fact.time, fact.data) for fact in one.said} == {
        (fact.id, fact.time, fact.data) for fact in other.said
    }


def test_the_same_session_at_another_time_is_another_fact() -> None:
    one, other = Course().schedule(s1=MONDAY), Course().schedule(s1=MONDAY + timedelta(days=1))
    one.go_through(NEXT_NOON + timedelta(days=2))
    other.go_through(NEXT_NOON + timedelta(days=2))
    assert {fact.id for fact in one.said}.isdisjoint(fact.id for fact in other.said)


def test_a_whole_course_is_asked_session_by_session() -> None:
    # given fourteen weekly sessions over the day on which the clocks go forward
    starts = datetime(2026, 3, 2, 10, tzinfo=COPENHAGEN)
    weeks = {f"s{week}": (starts + timedelta(weeks=week - 1)).astimezone(UTC) for week in range(1, 15)}
    course = Course().schedule(**weeks)

    # when it is gone through
    said = course.go_through(datetime(2026, 7, 1, tzinfo=UTC))

    # then each session comes once, and its forms are open from 6 o'clock in Copenhagen whatever its offset
    assert [line.split()[-1] for line in said if " due " in line] == [str(week) for week in range(1, 15)]
    opened = [fact.time.astimezone(COPENHAGEN) for fact in course.said if isinstance(fact.data, OccasionOpened)]
    assert {f"{at:%H:%M}" for at in opened} == {"06:00", "12:00"}
    assert {at.utcoffset() for at in opened} == {timedelta(hours=1), timedelta(hours=2)}
    assert len(opened) == 14 * 5


def test_a_questionnaire_is_open_for_the_patient_from_when_the_clock_said_so_until_it_closes() -> None:
    course = Course().schedule(s1=MONDAY)
    assert open_now(course.case, GROUP_CBT, COPENHAGEN, MORNING) == []
    course.tick(MORNING)
    found = open_now(course.case, GROUP_CBT, COPENHAGEN, MORNING)
    assert [each.key for each in found] == [f"1/{name}" for name in MORNING_FORMS]
    assert {each.closes for each in found} == {MONDAY}
    assert open_now(course.case, GROUP_CBT, COPENHAGEN, MONDAY) == []


@pytest.mark.parametrize(
    ("starts", "at", "expected"),
    [
        pytest.param("2026-03-29T09:00+02:00", "02:30", "2026-03-29T01:30Z", id="a time that does not come"),
        pytest.param("2026-10-25T09:00+01:00", "02:30", "2026-10-25T00:30Z", id="the first of two"),
        pytest.param("2026-03-29T09:00+02:00", "06:00", "2026-03-29T04:00Z", id="a day of 23 hours"),
        pytest.param("2026-10-25T09:00+01:00", "06:00", "2026-10-25T05:00Z", id="a day of 25 hours"),
    ],
)
def test_a_time_of_day_is_that_of_the_clinic(starts: str, at: str, expected: str) -> None:
    edge = Edge(at=at)
    found = moment(edge, datetime.fromisoformat(starts).astimezone(UTC), 120, COPENHAGEN)
    assert found == datetime.fromisoformat(expected)


def test_the_day_is_that_of_the_clinic_where_the_session_begins() -> None:
    just_after_midnight = datetime(2026, 1, 4, 23, 30, tzinfo=UTC)
    assert moment(Edge(at="06:00"), just_after_midnight, 120, COPENHAGEN) == MORNING


HOURS = st.integers(-24 * 10, 24 * 40).map(lambda hours: MONDAY + timedelta(hours=hours))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), st.sampled_from([1, 2, "individual-1"]), HOURS),
        st.tuples(st.just("move"), st.sampled_from([1, 2, "individual-1"]), HOURS),
        st.tuples(st.just("cancel"), st.sampled_from([1, 2, "individual-1"]), HOURS),
        st.tuples(st.just("answer"), st.sampled_from([1, 2]), HOURS),
        st.tuples(st.just("close"), st.just(0), HOURS),
        st.tuples(st.just("tick"), st.just(0), HOURS),
    ),
    max_size=14,
)


def a_course(steps: Sequence[tuple[str, int | str, datetime]]) -> Course:
    """A course to which any of these things happened, with a clock that ticked now and then, never backwards."""
    course, now = Course(), MONDAY - timedelta(days=20)
    for what, session, at in steps:
        match what:
            case "schedule":
                course.record(SessionScheduled(session=session, scheduled=at), now)
            case "move":
                course.record(SessionMoved(session=session, scheduled=at), now)
            case "cancel":
                course.record(SessionCancelled(session=session), now)
            case "close":
                course.record(CaseClosed(reason="other"), at)
            case "answer":
                ref, _ = instrument("odsis")
                answer = ResponseSubmitted(
                    session=session, instrument=ref, answers=odsis(8), answered_at=at, entered_by="patient"
                )
                course.record(answer, at)
            case _:
                now = max(now, at)
                course.tick(now)
    return course


@example(
    [("schedule", 1, MONDAY), ("tick", 0, MORNING), ("move", 1, MONDAY + timedelta(hours=1))],
    MORNING + timedelta(hours=1),
)
@given(STEPS, HOURS)
def test_a_case_is_looked_at_no_later_than_something_is_to_be_said(
    steps: Sequence[tuple[str, int | str, datetime]], now: datetime
) -> None:
    course = a_course(steps)
    now = max(now, course.now)
    if due(CASE, course.case, course.protocol, COPENHAGEN, now):
        first = first_moment(course.case, course.protocol, COPENHAGEN)
        assert first is not None
        assert first <= now


@given(STEPS, HOURS)
def test_between_two_moments_that_are_named_nothing_is_to_be_said(
    steps: Sequence[tuple[str, int | str, datetime]], now: datetime
) -> None:
    course = a_course(steps)
    now = max(now, course.now)
    course.tick(now)
    following = next_moment(course.case, course.protocol, COPENHAGEN, now) or MONDAY + timedelta(days=400)
    just_before = max(now, following - timedelta(milliseconds=1))
    assert course.tick(just_before) == []


@example(
    [
        ("schedule", 1, MONDAY + timedelta(hours=1)),
        ("tick", 0, MONDAY),
        ("schedule", 1, MONDAY),
        ("tick", 0, MONDAY),
        ("schedule", 1, MONDAY + timedelta(hours=1)),
    ],
    MONDAY,
)
@given(STEPS, HOURS)
def test_what_was_said_is_said_once(steps: Sequence[tuple[str, int | str, datetime]], now: datetime) -> None:
    course = a_course(steps)
    now = max(now, course.now)
    course.tick(now)
    assert course.tick(now) == []
    assert len({fact.id for fact in course.said}) == len(course.said)
