"""A backup is of the moment when it began, although somebody is enrolled, and something spoilt, whenever it looks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isasyncgenfunction
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.definitions.catalogue import Entry, entry_of
from contracts.definitions.policy import Policy
from contracts.events.event import fact_id, new_fact
from contracts.events.facts import CaseEnrolled
from contracts.topics import CASES, DEAD_LETTERS, partition_of
from services.embedded import MASTER_KEY, EmbeddedHome, empty_home
from services.runtime.backup.archive import Backup, Writer
from services.runtime.backup.making import begin, write
from services.runtime.backup.restoring import put_back
from services.runtime.directory.port import Person
from services.runtime.keyring.master import MasterKey
from services.runtime.log.port import Record
from tests.support.clinic import FIRST_DAY, definitions
from tests.support.contents import begun_under, master_key_in
from tests.support.histories import OPEN_ENDED
from tests.support.kept import Kept, both_of, kept_of

AT_FIRST: Final = 3


class Clinic:
    """A clinic in which cases are enrolled, each by a policy of its own, and after each something is spoilt."""

    def __init__(self, home: EmbeddedHome) -> None:
        self.home = home
        self.cases: list[str] = []

    async def enrols(self) -> None:
        """Enrol a case, in the order in which that is done: definition, key, directory, fact; then conclude."""
        number = len(self.cases)
        case_id, policy = self.home.keyring.case_id("c1", str(number)), policy_named(f"policy-{number}")
        await self.home.publish([policy])
        await self.home.people.enter({case_id: Person("c1", str(number))})
        enrolment = CaseEnrolled(clinic="c1", group=None, protocol=OPEN_ENDED, policy=policy.ref)
        identity = fact_id("c1", "test", str(number))
        fact = new_fact(enrolment, case_id=case_id, fact_id=identity, source="urn:ontrack:c1:test", happened=FIRST_DAY)
        await self.home.intake.record([fact])
        self.cases.append(case_id)
        await self.home.log.append(CASES, partition_of(case_id), [Record(case_id, b"spoilt")])
        await self.home.catch_up()


def policy_named(name: str) -> Entry:
    found = definitions().named(Policy, "gryesten-2023")
    assert found is not None
    return entry_of(dict(found.body) | {"id": name})


class Busy:
    """A port before whose every call something happens, and whenever it has given something."""

    def __init__(self, port: Any, happens: Callable[[], Awaitable[None]]) -> None:
        self._port = port
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._port, name)

        async def answered(*arguments: Any) -> Any:
            await self._happens()
            return await asked(*arguments)

        async def given(*arguments: Any) -> AsyncIterator[Any]:
            await self._happens()
            async for each in asked(*arguments):
                yield each
                await self._happens()

        return given if isasyncgenfunction(asked) else answered


class BusyHome:
    """What a backup reads, while something happens."""

    def __init__(self, home: EmbeddedHome, happens: Callable[[], Awaitable[None]]) -> None:
        self.log: Any = Busy(home.log, happens)
        self.keyring: Any = Busy(home.keyring, happens)
        self.people: Any = Busy(home.people, happens)
        self.roster: Any = Busy(home.roster, happens)


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    """A clinic in which some cases are enrolled."""
    async with await EmbeddedHome.found(begun_under(tmp_path / "home", KEY), clock=lambda: FIRST_DAY) as home:
        clinic = Clinic(home)
        for _ in range(AT_FIRST):
            await clinic.enrols()
        yield clinic


KEY: Final = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


async def backed_up(clinic: Clinic, file: Path) -> tuple[Kept, Kept]:
    """Make a backup while something happens all the time; give what was kept before it began, and after it had."""
    home, master = BusyHome(clinic.home, clinic.enrols), MasterKey.read(file.parent / "home" / MASTER_KEY)
    before = await kept_of(clinic.home)
    beginning = await begin(home, FIRST_DAY)
    begun = await kept_of(clinic.home)
    with file.open("wb") as stream:
        writer = Writer(stream)
        assert await write(home, beginning, None, writer, lambda _: None) == ([], [])
        writer.finish(clinic.home.log_id, beginning.at, FIRST_DAY, master)
    return before, begun


async def test_a_backup_is_of_the_moment_when_it_began(clinic: Clinic, tmp_path: Path) -> None:
    # given a backup that was made while something happened all the time
    before, begun = await backed_up(clinic, tmp_path / "it")
    assert len(clinic.cases) > 5 * AT_FIRST

    # when it is restored
    directory = master_key_in(tmp_path / "again", KEY)
    with (
        empty_home(directory, MasterKey.read(directory / MASTER_KEY)) as ports,
        Backup.opened(tmp_path / "it") as backup,
    ):
        await put_back(backup, ports, MasterKey.read(directory / MASTER_KEY), lambda _: None)
    async with await EmbeddedHome.open(directory, write=True) as home:
        for stage in home.stages:
            await home.rebuild(stage, lambda _: None)
        kept, following = await both_of(home)
        halted = await home.halted()

        # then everything is there that was before it began, and of the log nothing that came when it had
        for place, records in kept.log.items():
            assert len(before.log[place]) <= len(records) <= len(begun.log[place]), place
            assert records == begun.log[place][: len(records)]
        assert AT_FIRST * 2 <= kept.facts < (await kept_of(clinic.home)).facts

        # and nothing is missing of it: no key, no definition, no person, no fact of a dead letter
        assert halted == []
        policies = {case.policy for case in (await home.cases.registered(clinic.cases)).values()}
        assert policies <= {entry.ref for entry in home.definitions}
        there = {key for (topic, _), records in kept.log.items() if topic == CASES.name for _, key, _ in records}
        assert there <= kept.keys.keys()
        assert there <= {person.case_id for person in kept.persons}
        assert {case_id for history in following.histories.values() for case_id in history} == there
        for partition in range(DEAD_LETTERS.partitions):
            facts, letters = (kept.log[topic.name, partition] for topic in (CASES, DEAD_LETTERS))
            assert len(letters) == len([value for _, _, value in facts if value == b"spoilt"])
