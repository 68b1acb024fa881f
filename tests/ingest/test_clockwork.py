"""The clock at work on a home: what it says is recorded once, however many say it and whatever is away meanwhile."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from contracts.definitions.catalogue import entry_of
from contracts.definitions.files import library
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    OccasionClosed,
    OccasionOpened,
    ResponseSubmitted,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.scores import OccasionMissed
from contracts.topics import CASES, SCORES
from services.embedded import DATABASE, EmbeddedHome
from services.home import Home
from services.ingest.clockwork import Clockwork, Timetable
from services.ingest.domain.register import Registered
from services.ingest.door import Door
from services.ingest.following import Following
from services.ingest.intake import Request
from services.runtime.health import Health
from services.runtime.roster.port import Clinic
from services.runtime.unavailable import Unavailable
from tests.support.clinic import odsis
from tests.support.editing import edit
from tests.support.faults import Away, Trouble
from tests.support.histories import GRYESTEN
from tests.support.patient import NO_TROUBLE, patient
from tests.support.said import said_on

MONDAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
MORNING: Final = MONDAY - timedelta(hours=4)
FORMS: Final = 4
"""Of the morning; a fifth is asked after the session."""
_FIRST_SESSION: Final = SessionScheduled(session=1, scheduled=MONDAY)
_CLOSED: Final = CaseClosed(reason="other")


def fact_of(case_id: str, data: Data, happened: datetime) -> Event[Data]:
    name = fact_id("c1", "test", f"{case_id}{data.type()}\x1f{data.model_dump_json()}")
    return new_fact(data, case_id=case_id, fact_id=name, source="urn:test", happened=happened)


class Ward:
    """A home with some cases, and clocks whose time is set by hand."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.time = MORNING - timedelta(days=30)
        self.door = Door(home.intake)

    def clock(self) -> Clockwork:
        home = self.home
        timetable = Timetable(home.definitions, home.zones)
        following = Following(home.cases, home.roster, self.door, home.definitions, lambda: self.time)
        return Clockwork(home.store, home.cases, home.roster, timetable, self.door, following, lambda: self.time)

    async def record(self, case_id: str, *said: Data) -> None:
        for data in said:
            taken = await self.door.take(Request([fact_of(case_id, data, self.time)]))
            assert not taken.refused

    async def admit(self, *case_ids: str, clinic: str = "c1") -> None:
        """Enrol cases whose first session is on Monday."""
        (protocol,) = [ref for ref, each in self.home.definitions.of_kind(Protocol) if each.sessions != "any"]
        policy = self.home.definitions.named(Policy, "gryesten-2023")
        assert policy is not None
        for case_id in case_ids:
            await self.record(
                case_id,
                CaseEnrolled(clinic=clinic, protocol=protocol, policy=policy.ref),
                _FIRST_SESSION,
            )
        await self.home.catch_up()

    async def facts(self, *kinds: type[Data]) -> list[Event[Data]]:
        """What the clock has said so far, of some types."""
        return await said_on(self.home.log, self.home.keyring, CASES, *kinds)

    async def tick_at(self, time: datetime) -> int:
        """Let a clock tick, and the stages take what it said."""
        self.time = time
        said = await self.clock().tick()
        await self.home.catch_up()
        return said

    async def in_trouble(self) -> Health:
        """Let a clock run until it tells of something that is wrong; give what it tells."""
        health = Health(waits_for=[])
        running = asyncio.create_task(self.clock().run(health))
        async with asyncio.timeout(30):
            while not health.ready():  # noqa: ASYNC110 - nobody is told of it but who looks
                await asyncio.sleep(0.01)
        running.cancel()
        return health


@asynccontextmanager
async def a_ward(folder: Path, trouble: Trouble = NO_TROUBLE) -> AsyncIterator[Ward]:
    async with await EmbeddedHome.found(folder):
        pass
    async with patient(folder, trouble) as opened:
        ward = Ward(opened.home)
        async with ward.door.opened():
            yield ward


async def test_a_day_is_said_as_it_comes_and_what_nobody_answered_is_missed(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        # given two cases, one of which answers in the morning
        await ward.admit("anna", "bo")
        assert await ward.tick_at(MORNING - timedelta(minutes=1)) == 0
        assert await ward.tick_at(MORNING) == 2 * FORMS
        (ref,) = {
            fact.data.instrument
            for fact in await ward.facts(OccasionOpened)
            if isinstance(fact.data, OccasionOpened) and fact.data.instrument.startswith("odsis@")
        }
        await ward.record(
            "anna",
            ResponseSubmitted(session=1, instrument=ref, answers=odsis(8), answered_at=ward.time, entered_by="patient"),
        )

        # when the session comes
        assert await ward.tick_at(MONDAY) == 2 + 2 * FORMS - 1

        # then what was not answered counts as missed, and nothing else
        missed = Counter(
            fact.subject for fact in await said_on(ward.home.log, ward.home.keyring, SCORES, OccasionMissed)
        )
        assert missed == {"anna": FORMS - 1, "bo": FORMS}

        # and nothing is left to look at before the session ends
        assert list(await ward.home.store.appointments("register", MONDAY + timedelta(hours=1), 10)) == []


async def test_two_clocks_say_it_once(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        await ward.admit("anna", "bo")
        ward.time = MORNING
        await asyncio.gather(*(ward.clock().tick() for _ in range(3)))
        assert len(await ward.facts(OccasionOpened)) == 2 * FORMS


async def test_what_is_never_open_in_time_is_not_asked_and_not_looked_at_again(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        # given a clock that stood still over the whole day
        await ward.admit("anna")

        # when it goes on a week later, twice
        assert await ward.tick_at(MONDAY + timedelta(days=7)) == 1
        assert await ward.tick_at(MONDAY + timedelta(days=7, seconds=1)) == 0

        # then only that the session came is said, and no appointment is left
        assert len(await ward.facts(SessionDue)) == 1
        assert await ward.facts(OccasionOpened, OccasionClosed) == []
        assert list(await ward.home.store.appointments("register", MONDAY + timedelta(days=700), 10)) == []


async def test_a_session_that_is_moved_is_looked_at_at_its_new_time(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        await ward.admit("anna")
        await ward.tick_at(MONDAY + timedelta(days=7))
        later = SessionMoved(session=1, scheduled=MONDAY + timedelta(days=14))
        await ward.record("anna", later)
        await ward.home.catch_up()
        assert await ward.tick_at(MORNING + timedelta(days=14)) == FORMS


async def test_a_clinic_goes_by_its_own_clock(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        # given a clinic five hours west of the region
        await ward.home.roster.put(Clinic(clinic="c1", id="c1", zone="America/Godthab"))
        await ward.clock().tick()
        await ward.admit("anna")

        # when it is 6 o'clock in the region, and there
        # then its forms are opened there only
        assert await ward.tick_at(MORNING) == 0
        six_there = datetime(2026, 1, 5, 8, tzinfo=UTC)
        assert await ward.tick_at(six_there) == FORMS


async def test_a_home_says_by_whose_clock_those_go_that_say_no_other_also_when_it_is_made_anew(tmp_path: Path) -> None:
    # given a home five hours west, and a case of a clinic that says nothing
    zone = ZoneInfo("America/Godthab")
    async with await EmbeddedHome.found(tmp_path / "home", zone=zone) as home:
        ward = Ward(home)
        async with ward.door.opened():
            await ward.admit("anna")

            # when what is known of it is made anew
            await home.rebuild(home.register, lambda _: None)

            # then its forms are opened when it is 6 o'clock there
            assert await ward.tick_at(MORNING) == 0
            assert await ward.tick_at(datetime(2026, 1, 5, 8, tzinfo=UTC)) == FORMS


async def test_a_home_that_goes_on_by_another_clock_asks_by_that_one(tmp_path: Path) -> None:
    # given a home that was taken for one in New York, and a case that is to be looked at when it is 6 o'clock there
    async with await EmbeddedHome.found(tmp_path / "home", zone=ZoneInfo("America/New_York")) as home:
        ward = Ward(home)
        async with ward.door.opened():
            await ward.admit("anna")
            await ward.tick_at(MORNING - timedelta(days=1))

    # when it goes on by the clock of Copenhagen
    async with await EmbeddedHome.open(tmp_path / "home", write=True) as home:
        ward = Ward(home)
        async with ward.door.opened():
            # then its forms are opened when it is 6 o'clock in Copenhagen
            assert await ward.tick_at(MORNING - timedelta(minutes=1)) == 0
            assert await ward.tick_at(MORNING) == FORMS


@pytest.mark.parametrize("call", ["log.append_each", "log.ends", "store.appointments", "store.postpone"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_is_away_for_a_moment_makes_it_say_it_next_time(tmp_path: Path, call: str, when: str) -> None:
    trouble = Away(call=call, times=0, when="before" if when == "before" else "after")
    async with a_ward(tmp_path / "home", trouble) as ward:
        # given a clock at whose moment something is away
        await ward.admit("anna", "bo")
        ward.time, trouble.times = MORNING, 1
        with pytest.raises(Unavailable):
            await ward.clock().tick()

        # when it ticks again
        await ward.clock().tick()
        await ward.home.catch_up()

        # then everything is said once
        assert len(await ward.facts(OccasionOpened)) == 2 * FORMS
        assert await ward.tick_at(MORNING + timedelta(seconds=1)) == 0


async def test_many_cases_are_looked_at_in_portions(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        await ward.admit(*(f"case-{number}" for number in range(600)))
        assert await ward.tick_at(MORNING) == 600 * FORMS
        assert await ward.tick_at(MORNING) == 0


async def test_a_case_that_cannot_be_read_keeps_no_other_from_its_time(tmp_path: Path) -> None:
    # given two cases, of one of which the key is lost
    async with a_ward(tmp_path / "home") as ward:
        await ward.admit("anna", "bo")
    database = sqlite3.connect(tmp_path / "home" / DATABASE)
    assert database.execute("DELETE FROM keys WHERE case_id = 'anna'").rowcount == 1
    database.commit()
    database.close()

    async with a_ward(tmp_path / "home") as ward:
        # when their time comes
        ward.time = MORNING
        health = await ward.in_trouble()

        # then what is to be said of the other one is said, and what is wrong is told to whom no restart would mend it
        assert len((await ward.home.cases.registered(["bo"]))["bo"].open) == FORMS
        assert health.alive() == []
        (why,) = health.ready()
        assert "the key of case anna is missing" in why


async def test_a_case_at_which_the_clock_fails_keeps_no_other_from_its_time(tmp_path: Path) -> None:
    class Failing(Timetable):
        def first_moment(self, case: Registered) -> datetime | None:
            if case.clinic == "c2":
                raise ValueError
            return super().first_moment(case)

    async with a_ward(tmp_path / "home") as ward:
        # given two cases, at one of which the clock fails when it is started
        await ward.admit("anna", clinic="c2")
        await ward.admit("bo")
        clock = replace(ward.clock(), timetable=Failing(ward.home.definitions, ward.home.zones))
        ward.time = MORNING - timedelta(days=1)
        await clock.tick()

        # when their time comes, then what is to be said of the other one is said
        ward.time = MORNING
        await clock.tick()
        assert {fact.subject for fact in await ward.facts(OccasionOpened)} >= {"bo"}


async def test_what_is_refused_of_a_case_keeps_nothing_else_from_being_said_and_is_told(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        # given a case of which the log has something else under the id of what the clock is to say next
        await ward.admit("anna")
        await ward.tick_at(MORNING)
        known = await ward.home.cases.registered(["anna"])
        come, *_ = Timetable(ward.home.definitions, ward.home.zones).due("anna", known["anna"], MONDAY)
        assert isinstance(come.data, SessionDue)
        another = come._replace(data=SessionDue(session=1, scheduled=MONDAY + timedelta(minutes=1)))
        assert not (await ward.door.take(Request([another]))).refused

        # when its session comes
        ward.time = MONDAY
        health = await ward.in_trouble()

        # then all else is said, and what is not is told
        assert len(await ward.facts(OccasionClosed)) == FORMS
        (why,) = health.ready()
        assert "what is to be said of case anna at its time is refused (id_reused)" in why


async def test_a_case_whose_protocol_comes_late_is_asked_when_it_has_come(tmp_path: Path) -> None:
    # given two cases, one under a protocol that a clock has not heard of, and read by the register before it was
    shipped = next(each for each in library() if isinstance(each.model, Protocol) and each.model.sessions != "any")
    protocol = entry_of({**shipped.body, "id": "of-the-clinic"})
    async with a_ward(tmp_path / "home") as ward:
        await ward.admit("anna")
        said = (CaseEnrolled(clinic="c1", protocol=protocol.ref, policy=GRYESTEN), _FIRST_SESSION)
        await ward.home.intake.take_over([fact_of("bo", each, ward.time) for each in said])
        await ward.home.intake.take_over([fact_of("carl", each, ward.time) for each in (*said, _CLOSED)])
        await ward.home.catch_up()

        # and of one of which nothing is to be said any more, it is not looked for
        looked_at = await ward.home.store.appointments(ward.home.register.name, datetime.max.replace(tzinfo=UTC), 9)
        assert {each.case_id for each in looked_at} == {"anna", "bo"}

        # when their time comes, then what is to be said of the other one is said, and what is wrong is told
        ward.time = MORNING
        health = await ward.in_trouble()
        assert len((await ward.home.cases.registered(["anna"]))["anna"].open) == FORMS
        assert health.alive() == []
        (why,) = health.ready()
        assert why.startswith(f"clock of some cases: the protocol {protocol.ref} of a case is not on the log")

        # and when the protocol is there, then the one is asked too, without anything else being said of it
        await ward.home.publish([protocol])
        ward.time += timedelta(minutes=1)
        assert await ward.clock().tick() == FORMS
        assert len((await ward.home.cases.registered(["bo"]))["bo"].open) == FORMS


@pytest.mark.parametrize("kind", ["clinic", "group"])
async def test_a_roster_that_cannot_be_read_stops_no_other_clinic(tmp_path: Path, kind: str) -> None:
    # given cases of two clinics, one of which has an entry that nobody can read
    async with a_ward(tmp_path / "home") as ward:
        await ward.admit("anna")
        await ward.admit("bo", clinic="c2")
        edit(ward.home, "INSERT INTO roster VALUES (?, 'c2', 'c2', '{}')", kind)

        # when their time comes
        ward.time = MORNING
        health = await ward.in_trouble()

        # then what is to be said of the other clinic is said, and what is wrong is told
        known = await ward.home.cases.registered(["anna", "bo"])
        assert (len(known["anna"].open), len(known["bo"].open)) == (FORMS, 0)
        assert health.alive() == []
        assert health.ready() == [
            "clock of some cases: something on the roster of c2 cannot be read: ontrack doctor says what"
        ]


async def test_a_clinic_that_goes_by_another_clock_is_asked_by_that_one(tmp_path: Path) -> None:
    async with a_ward(tmp_path / "home") as ward:
        # given a case whose forms are opened at six in Copenhagen, and a clock that waits for that
        await ward.admit("anna")
        ward.time, clock = MORNING - timedelta(hours=2), ward.clock()
        assert await clock.tick() == 0

        # when its clinic turns out to be in Helsinki
        await ward.home.roster.put(Clinic(clinic="c1", id="c1", zone="Europe/Helsinki"))
        ward.time += timedelta(minutes=1)
        assert await clock.tick() == 0

        # then they are opened an hour earlier
        ward.time = MORNING - timedelta(minutes=59)
        assert await clock.tick() == FORMS


async def test_a_clinic_that_goes_by_another_clock_is_asked_by_that_one_though_the_store_is_away_at_first(
    tmp_path: Path,
) -> None:
    trouble = Away(call="store.postpone", times=0)
    async with a_ward(tmp_path / "home", trouble) as ward:
        # given a clock that has looked at a case
        await ward.admit("anna")
        ward.time = MORNING - timedelta(hours=3)
        clock = ward.clock()
        await clock.tick()

        # when its clinic turns out to be in Helsinki, and the store is away at that moment
        await ward.home.roster.put(Clinic(clinic="c1", id="c1", zone="Europe/Helsinki"))
        trouble.times = 1
        with pytest.raises(Unavailable):
            await clock.tick()
        await clock.tick()

        # then its forms are opened an hour earlier
        ward.time = MORNING - timedelta(minutes=59)
        assert await clock.tick() == FORMS
