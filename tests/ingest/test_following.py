"""The cases of a group come to what the roster says of it, whoever was broken off or overtaken before."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseEnrolled, SessionMoved
from services.embedded import EmbeddedHome
from services.ingest.cases import Cases
from services.ingest.door import Door, DoorBusy
from services.ingest.following import Following, Keeps
from services.ingest.intake import Intake, Request, Taken
from services.runtime.roster.port import Group
from tests.support.clinic import policy_like, protocol_like
from tests.support.open_clinic import ENROLMENT, NOW, Clinic, halted

PATIENCE: Final = 30.0
MONDAYS: Final = "/v1/groups/mondays"
WEEK: Final = timedelta(days=7)
FIRST: Final = NOW + WEEK


def sessions(days: int = 0) -> Mapping[str, datetime]:
    """The sessions of a group, so many days later than at first."""
    return {"1": FIRST + timedelta(days=days), "2": FIRST + WEEK + timedelta(days=days)}


async def put(clinic: Clinic, days: int) -> int:
    said = {name: at.isoformat() for name, at in sessions(days).items()}
    return (await clinic.ask("PUT", MONDAYS, {"sessions": said, "therapists": []})).status


async def members(clinic: Clinic, number: int) -> list[str]:
    await put(clinic, 0)
    return [await clinic.enrolled(number=str(1001 + each), group="mondays") for each in range(number)]


async def scheduled(clinic: Clinic, case_id: str) -> Mapping[str, datetime]:
    return (await clinic.home.cases.registered([case_id]))[case_id].scheduled


class Closing(Door):
    """A door that takes what some callers bring, and then nothing any more."""

    callers = 1

    async def take(self, request: Request) -> Taken:
        if self.callers == 0:
            raise DoorBusy("the log is away")
        self.callers -= 1
        return await super().take(request)


class Overtaken(Door):
    """A door at which somebody else does something right before the first caller is let in."""

    def __init__(self, intake: Intake, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(intake)
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    async def take(self, request: Request) -> Taken:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        return await super().take(request)


async def test_of_two_processes_that_say_other_times_at_once_the_slower_one_leaves_no_case_behind(
    clinic: Clinic,
) -> None:
    # given a process that has entered other times of a group, when another one enters later ones and brings all cases
    # to these
    cases = await members(clinic, 3)
    home = clinic.home

    async def other_times() -> None:
        assert await put(clinic, 2) == 200

    door = Overtaken(home.intake, other_times)
    async with door.opened():
        following = Following(home.cases, home.roster, door, home.definitions, home.clock)

        # when the first one goes on
        await following.put(Group(clinic="north", id="mondays", sessions=dict(sessions(1)), therapists=()))

    # then all have the times that the roster has
    for case_id in cases:
        assert await scheduled(clinic, case_id) == sessions(2)


TUESDAYS: Final = {"1": FIRST + timedelta(days=1), "3": FIRST + 3 * WEEK}


@pytest.mark.parametrize(
    ("joins", "has"),
    [
        pytest.param({"group": "tuesdays"}, TUESDAYS, id="to another group"),
        pytest.param({"group": "mondays", "sessions": {"1": 2}}, {"1": sessions(4)["2"]}, id="within its group"),
    ],
)
async def test_a_case_that_is_transferred_while_its_group_is_moved_has_the_times_by_which_it_goes_on(
    clinic: Clinic, joins: Mapping[str, object], has: Mapping[str, datetime]
) -> None:
    # given a process that is about to bring a case to other times of its group, when it is transferred by another one
    (case_id,) = await members(clinic, 1)
    home = clinic.home
    said = {name: at.isoformat() for name, at in TUESDAYS.items()}
    await clinic.ask("PUT", "/v1/groups/tuesdays", {"sessions": said, "therapists": []})

    async def transferred() -> None:
        assert (await clinic.ask("POST", f"/v1/cases/{case_id}/case-transferred", joins)).status == 201

    door = Overtaken(home.intake, transferred)
    async with door.opened():
        following = Following(home.cases, home.roster, door, home.definitions, home.clock)

        # when the first one goes on
        await following.put(Group(clinic="north", id="mondays", sessions=dict(sessions(4)), therapists=()))

    # then the case has the times of the group that it is in, by what was said of it last
    assert await scheduled(clinic, case_id) == has


async def test_who_joins_a_group_while_it_is_removed_keeps_it(clinic: Clinic) -> None:
    # given a group without cases, again and again
    for number in range(20):
        assert await put(clinic, 0) == 200

        # when a case is enrolled in it at the moment at which it is removed
        body = {**ENROLMENT, "number": str(number), "group": "mondays"}
        joins, removes = await asyncio.gather(clinic.ask("POST", "/v1/cases", body), clinic.ask("DELETE", MONDAYS))

        # then it was enrolled and the group is there, or the other way round
        is_there = await clinic.home.roster.find(Group, "north", "mondays") is not None
        assert (joins.status == 201) == is_there, (joins.status, removes.status)
        if is_there:
            closed = await clinic.ask("POST", f"/v1/cases/{joins.json['case']}/case-closed", {"reason": "other"})
            assert closed.status == 201


async def test_when_two_say_other_times_at_once_the_cases_have_what_the_roster_says(clinic: Clinic) -> None:
    cases = await members(clinic, 3)
    assert await asyncio.gather(*(put(clinic, days) for days in (1, 2, 3, 4))) == [200] * 4
    group = await clinic.home.roster.find(Group, "north", "mondays")
    assert group is not None
    for case_id in cases:
        assert await scheduled(clinic, case_id) == group.sessions


@pytest.mark.parametrize("days", [0, 2, 1])
async def test_what_was_broken_off_is_brought_to_what_is_said_next(clinic: Clinic, days: int) -> None:
    # given a group that was moved by a day, when the log went away before all of its cases had followed
    cases = await members(clinic, 3)
    home = clinic.home
    door = Closing(home.intake)
    async with door.opened():
        following = Following(home.cases, home.roster, door, home.definitions, home.clock)
        with pytest.raises(DoorBusy):
            await following.put(Group(clinic="north", id="mondays", sessions=dict(sessions(1)), therapists=()))
    assert {(await scheduled(clinic, each))["1"] for each in cases} == {FIRST, FIRST + timedelta(days=1)}

    # when somebody puts the old times back, says other ones, or the same again
    assert await put(clinic, days) == 200

    # then all have those
    for case_id in cases:
        assert await scheduled(clinic, case_id) == sessions(days)


async def test_a_case_whose_protocol_is_not_known_keeps_no_other_from_its_group(clinic: Clinic) -> None:
    # given a group, and before and after its other cases, by their ids, one whose protocol nobody has published
    cases = await members(clinic, 4)
    unknown = protocol_like(id="of-another-clinic")
    for case_id in ("0", "z"):
        enrolled = CaseEnrolled(clinic="north", group="mondays", protocol=unknown, policy=policy_like())
        name = fact_id("north", "test", case_id)
        fact = new_fact(enrolled, case_id=case_id, fact_id=name, source="urn:test", happened=NOW)
        await clinic.home.intake.take_over([fact])

    # when the group is moved, then that it cannot all be done is told, and all others have the new times
    assert await put(clinic, 1) == 503
    for case_id in cases:
        assert await scheduled(clinic, case_id) == sessions(1)


async def test_what_was_said_of_one_case_stands_though_its_group_is_said_again(clinic: Clinic) -> None:
    # given a case whose second session is at another time than that of its group
    (case_id,) = await members(clinic, 1)
    own = {"session": 2, "scheduled": "2026-03-03T10:00:00Z"}
    await clinic.ask("POST", f"/v1/cases/{case_id}/session-moved", own)

    # when the first one of the group is moved, then only that follows
    group = {
        "sessions": {"1": (FIRST + timedelta(days=1)).isoformat(), "2": (FIRST + WEEK).isoformat()},
        "therapists": [],
    }
    for _ in range(2):
        assert (await clinic.ask("PUT", MONDAYS, group)).status == 200
    moved = {"1": FIRST + timedelta(days=1), "2": datetime(2026, 3, 3, 10, tzinfo=UTC)}
    assert await scheduled(clinic, case_id) == moved
    assert len(await clinic.facts(SessionMoved)) == 2


async def test_the_clock_brings_a_case_to_its_group_when_it_looks_at_it(clinic: Clinic) -> None:
    # given a case that has not followed its group: whoever was to see to that was overtaken in another process
    (case_id,) = await members(clinic, 1)
    await clinic.home.roster.put(Group(clinic="north", id="mondays", sessions=dict(sessions(3)), therapists=()))

    # when the clock looks at it, on the morning of what was to be its first session
    clinic.clock.time = FIRST

    # then it has the times of its group, and was asked for nothing
    async with asyncio.timeout(PATIENCE):
        while await scheduled(clinic, case_id) != sessions(3):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    case = (await clinic.home.cases.registered([case_id]))[case_id]
    assert (case.came, case.open) == ({}, {})


async def test_a_case_that_joins_while_its_group_is_moved_has_the_new_times(clinic: Clinic) -> None:
    await members(clinic, 1)
    joining = [clinic.enrolled(number=str(2001 + each), group="mondays") for each in range(5)]
    *cases, status = await asyncio.gather(*joining, put(clinic, 1))
    assert status == 200
    for case_id in cases:
        assert await scheduled(clinic, str(case_id)) == sessions(1)


async def removed(clinic: Clinic, cases: Cases) -> Keeps | None:
    """Remove the group, in a process that knows these cases; give what keeps it."""
    home = clinic.home
    following = Following(cases, home.roster, Door(home.intake), home.definitions, home.clock)
    keeps = await following.remove("north", "mondays")
    assert (await home.roster.find(Group, "north", "mondays") is None) == (keeps is None)
    return keeps


async def test_a_group_is_not_removed_while_a_case_of_it_is_halted_in_the_register(clinic: Clinic) -> None:
    [case_id] = await members(clinic, 1)
    assert await removed(clinic, await halted(clinic, case_id)) is Keeps.COURSE


@pytest.mark.parametrize("whose", ["north", "south"])
async def test_a_group_is_not_removed_while_a_case_may_have_joined_it_since(clinic: Clinic, whose: str) -> None:
    # given a group, and a case of that clinic or another one, in no group, of which not all is known
    await put(clinic, 0)
    enrolled = await clinic.ask("POST", "/v1/cases", {**ENROLMENT, "number": "1"}, clinic=whose)
    case_id = enrolled.json["case"]
    cases = await halted(clinic, case_id, whose)

    # when somebody removes the group, then it stays, and it is told why
    assert await removed(clinic, cases) is Keeps.UNCLEAR


async def test_a_group_is_not_removed_while_nobody_can_read_whether_a_case_is_in_it(
    clinic: Clinic, tmp_path: Path
) -> None:
    # given a group, and a case that has a state
    await members(clinic, 1)
    home = clinic.home
    async with asyncio.timeout(PATIENCE):
        while await home.waiting([home.register]):  # noqa: ASYNC110 - it reads in its own time
            await asyncio.sleep(0.01)

    # when somebody removes the group who has another keyring, then it stays
    async with await EmbeddedHome.found(tmp_path / "other") as other:
        assert await removed(clinic, Cases(home.log, home.store, other.keyring)) is Keeps.UNCLEAR


async def test_a_group_that_nothing_keeps_is_removed(clinic: Clinic) -> None:
    await put(clinic, 0)
    await clinic.enrolled()
    assert await removed(clinic, clinic.home.cases) is None


async def test_a_course_that_is_to_end_goes_on_until_then(clinic: Clinic) -> None:
    # given a course that ends in some hours, as is said now
    (case_id,) = await members(clinic, 1)
    ends = {"reason": "completed", "at": (NOW + timedelta(hours=8)).isoformat()}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/case-closed", ends)).status == 201

    # when its group is moved or is to be removed before, then it follows, and keeps the group
    assert await put(clinic, 1) == 200
    assert await scheduled(clinic, case_id) == sessions(1)
    assert (await clinic.ask("DELETE", MONDAYS)).problem == (409, "group-in-use")

    # and when it has ended, then nothing keeps it
    clinic.clock.time = NOW + timedelta(hours=9)
    assert (await clinic.ask("DELETE", MONDAYS)).status == 204
