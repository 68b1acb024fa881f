"""A home: everything that is known of the cases of a clinic or a region, over the ports that hold it."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.topics import CASES, partition_of
from services.ingest.cases import Cases
from services.ingest.clockwork import Timetable
from services.ingest.domain.register import Register
from services.ingest.intake import Intake
from services.ingest.zones import DENMARK, Zones
from services.mailer.domain.mailbag import Mailbags
from services.mailer.outbox.port import Outbox
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.runtime.copies.port import Copies
from services.runtime.directory.port import Directory, Person, composed
from services.runtime.erasures import Erasure, erasures
from services.runtime.faults import RESTORE, PartitionLost, StageStopped
from services.runtime.founding import Founding
from services.runtime.keyring.port import Destroyed, Vault
from services.runtime.log.port import Journal
from services.runtime.rebuild import rebuild
from services.runtime.refusals import LogEmpty
from services.runtime.roster.port import Clinic, Roster
from services.runtime.runner import Runner
from services.runtime.stage import Stage
from services.runtime.store.port import FRESH, AgendaStore, Halted
from services.runtime.store.sealed import open_states
from services.runtime.unavailable import Unavailable
from services.scoring.domain.stage import Scoring

StateT = TypeVar("StateT")
Pause = Callable[[float], Awaitable[None]]

TRIES: Final = 5

CLINIC: Final = "clinic"
"""The clinic of those who name none."""


def now() -> datetime:
    """Read the clock: the only place of a home that does."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ports:
    """What a home stands on."""

    log: Journal
    store: AgendaStore
    keyring: Vault
    people: Directory
    roster: Roster
    outbox: Outbox
    copies: Copies


class Waiting(NamedTuple):
    """What waits for the stages that are run elsewhere: events, and those of the stages that nobody runs just now."""

    events: int = 0
    idle: Sequence[str] = ()


class Place(NamedTuple):
    """A partition of the topic that a stage reads."""

    stage: str
    partition: int


class Waits(NamedTuple):
    """How far a stage has come somewhere, and how many events wait for it there."""

    position: int
    events: int


class StageRuns(Exception):
    """A stage is run by a service just now, and must not be. Says which, and what to do."""


class Stages(NamedTuple):
    """Every stage, in the order in which they read one another."""

    register: Register
    scoring: Scoring
    not_detector: NotDetector
    notifier: Notifier

    @classmethod
    def by(cls, definitions: Catalogue, zones: Zones) -> Self:
        """Make them. definitions: what their events name; zones: of the clinics whose cases they are."""
        return cls(
            Register(Timetable(definitions, zones).first_moment),
            Scoring(definitions),
            NotDetector(definitions),
            Notifier(definitions),
        )


class Home(ABC):
    """The stages, their definitions and their states. What is run here and what elsewhere is for a kind of home to say.

    name: how it is called when something is said of it
    pause: waits so many seconds before something that failed for a moment is tried again
    """

    def __init__(
        self,
        name: str,
        ports: Ports,
        *,
        zone: ZoneInfo = DENMARK,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Wire everything. zone: by whose clock clinics go that say no other."""
        self.name = name
        self.clock = clock
        self.pause: Pause = asyncio.sleep
        self.log = ports.log
        self.store = ports.store
        self.keyring = ports.keyring
        self.people = ports.people
        self.roster = ports.roster
        self.outbox = ports.outbox
        self.copies = ports.copies
        self._founding = Founding(ports.log)
        self.definitions = self._founding.definitions
        self.cases = Cases(self.log, self.store, self.keyring)
        self.intake = Intake(self.log, self.cases, self.keyring, self.definitions, clock)
        self.zones = Zones(zone)
        stages = Stages.by(self.definitions, self.zones)
        self.stages: Sequence[Stage[Any]] = stages
        self.register, self.scoring, self.not_detector, self.notifier = stages
        self.mailbags = Mailbags()
        self._work: list[tuple[Runner[Any], int]] = []
        self._stopped: list[StageStopped] = []

    @property
    def log_id(self) -> str:
        """The identity of the log."""
        return self._founding.log_id

    @property
    def every_stage(self) -> Sequence[Stage[Any]]:
        """The stages, and what is run only where mail is sent."""
        return (*self.stages, self.mailbags)

    @property
    def stages_here(self) -> Sequence[Stage[Any]]:
        """The stages that are run by this process; the others are run elsewhere."""
        return self.stages

    async def take_up(self, *, write: bool = True) -> None:
        """Learn the log's identity and definitions, and where each stage that is run here was left."""
        await self._founding.learn()
        if not self.log_id:
            await self.require_nothing_lost()
            raise LogEmpty(f"{self.name} was never founded; import into an empty directory")
        if not write:
            return
        for stage in self.stages_here:
            runner = Runner(stage, self.log, self.store, self.keyring, self.log_id)
            for partition in range(stage.reads.partitions):
                if await self._goes_on(runner.open(partition)):
                    self._work.append((runner, partition))

    async def require_nothing_lost(self) -> None:
        """Make sure, where the log does not say which one it is, that there are no facts, and that no case has a key.

        Else there was a log, and its beginning is lost, or all of it. Raises LogEmpty.
        """
        if any((await self.log.ends(CASES, range(CASES.partitions))).values()):
            says = f"{self.name} has facts, but no definitions: the beginning of its log was lost, or removed"
            raise LogEmpty(f"{says}. To mend it: {RESTORE}")
        async for _ in self.keyring.wrapped():
            says = f"{self.name} has keys of cases, but its log is empty: it was lost, or removed"
            raise LogEmpty(f"{says}. To mend it: {RESTORE}")

    async def _goes_on(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do some work on a partition; if it stops there, remember why, so that the others can go on."""
        try:
            await work
        except StageStopped as stopped:
            self._stopped.append(stopped)
            return False
        return True

    async def publish(self, entries: Iterable[Entry]) -> None:
        """Put definitions on the log that are not there yet, so that facts can name them."""
        await self._founding.publish(entries, self.clock())

    async def catch_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Run every stage of this process until none has anything left to read.

        A partition that stops is left out from then on, and the others go on; in the end StageStopped says so.
        Raises Unavailable, or PartitionLost, if trying again a few times did not help.

        progress: is told how many records were read
        """
        for place in list(self._work):
            if not await self._goes_on(self._patiently(*place, progress)):
                self._work.remove(place)
        if self._stopped:
            raise self._stopped[0]

    async def retry_halted(self, case_id: str | None) -> None:  # noqa: ARG002 - every run here tries all of them
        """Try halted cases again, all of them or one, and return when they were tried."""
        await self.catch_up()

    async def require_at_rest(self, stage: Stage[Any]) -> None:  # noqa: B027 - whoever runs all stages has them at rest
        """Make sure that nobody else runs a stage. Raises StageRuns."""

    async def rebuild(self, stage: Stage[Any], progress: Callable[[int], None]) -> None:
        """Make what a stage knows anew from the log. Raises StageRuns if it is run by somebody else just now."""
        await self.require_at_rest(stage)
        await rebuild(stage, self.log, self.store, self.keyring, self.log_id, progress)

    async def settle(self, progress: Callable[[int], None]) -> Waiting:  # noqa: ARG002 - here nobody is waited for
        """Wait until the stages that are run elsewhere have read everything, or do not get on; give what waits then.

        progress: is told how many events were processed since it was told last
        """
        return Waiting()

    async def waiting(self, stages: Iterable[Stage[Any]]) -> dict[Place, Waits]:
        """Tell where events wait for some stages, and how many."""
        found: dict[Place, Waits] = {}
        for stage in stages:
            partitions = range(stage.reads.partitions)
            ends = await self.log.ends(stage.reads, partitions)
            # Asked after the ends: of what was read meanwhile nothing waits.
            positions = await self.store.positions(stage.name, partitions)
            for partition, end in ends.items():
                offset = positions[partition].offset if partition in positions else 0
                if end > offset:
                    found[Place(stage.name, partition)] = Waits(offset, end - offset)
        return found

    async def halted(self) -> list[Halted]:
        """Give the cases that a stage could not go on with."""
        return [halted for stage in self.every_stage for halted in await self.store.halted(stage.name)]

    async def _patiently(self, runner: Runner[Any], partition: int, progress: Callable[[int], None] | None) -> None:
        """Run one partition to its end.

        What is away for a moment is tried again, and a partition that another runner has written is taken up again.
        """
        tries, is_lost = 0, False
        while True:
            try:
                if is_lost:
                    await runner.open(partition)
                    is_lost = False
                # A halted case may have waited for a definition that has been published since.
                await self._founding.learn()
                await runner.resume_halted(partition)
                while read := await runner.advance(partition):
                    tries = 0
                    if progress is not None:
                        progress(read)
                    # A file is read and written without a wait: others have their turn here.
                    await asyncio.sleep(0)
                return
            except (Unavailable, PartitionLost) as failed:
                is_lost = is_lost or isinstance(failed, PartitionLost)
                tries += 1
                if tries == TRIES:
                    raise
                await self.pause(0.05 * 2**tries)

    async def state(self, stage: Stage[StateT], case_id: str) -> StateT | None:
        """Give what a stage knows of a case; None if nothing, or if the case was erased."""
        async for _, state in self.states(stage, [case_id]):
            return state
        return None

    async def states(
        self, stage: Stage[StateT], case_ids: Iterable[str] | None = None
    ) -> AsyncIterator[tuple[str, StateT]]:
        """Give what a stage knows of every case, or of some, in the order of their ids or as asked."""
        adapter: TypeAdapter[StateT] = TypeAdapter(stage.state)
        wanted = [case_id async for case_id in self.store.cases(stage.name)] if case_ids is None else list(case_ids)
        for start in range(0, len(wanted), 200):
            some = wanted[start : start + 200]
            for each in (await open_states(self.store, self.keyring, adapter, stage, some)).items():
                yield each

    async def cases_named(self, name: str) -> list[str]:
        """Find the cases with an id, an external number, or a `number@clinic`; two clinics may use the same number.

        Where there is none, those that were erased, or whose keys were damaged: nobody can tell any more who they are,
        but whose id comes from a number is known to whoever has the number.
        """
        readable, keyless = await self._named(name)
        return readable or keyless

    async def all_cases_named(self, name: str) -> list[str]:
        """Find the same, and those that were erased or whose keys were damaged beside those that can be read."""
        readable, keyless = await self._named(name)
        return sorted({*readable, *keyless})

    async def _named(self, name: str) -> tuple[list[str], list[str]]:
        """Find the cases that can be read, and those that cannot."""
        if name in await self.store.load(self.register.name, [name]) or name in await self.keyring.keys([name]):
            return [name], []
        persons, sought = await self.people.persons(), composed(name)
        found = [
            case_id
            for case_id, person in persons.items()
            if sought in (number := composed(person.number), f"{number}@{person.clinic}")
        ]
        return found, await self._keyless_named(name, persons.values())

    async def _keyless_named(self, name: str, persons: Iterable[Person]) -> list[str]:
        """Find the cases whose key was destroyed or damaged, by their id or the number that they had."""
        clinics = {CLINIC, *(person.clinic for person in persons), *(each.id for each in await self.roster.all(Clinic))}
        asked = {(clinic, name) for clinic in clinics}
        number, _, clinic = name.rpartition("@")
        if number:
            asked.add((clinic, number))
        ids = {name}
        for clinic, number in asked:
            ids.update((await self.people.case_ids(clinic, [number])).values())
        keys, known = await self.keyring.keys(ids), await self.store.load(self.register.name, ids)
        destroyed = {case_id for case_id, key in keys.items() if isinstance(key, Destroyed)}
        return sorted(destroyed | (known.keys() - keys.keys()))

    async def is_erased(self, case_id: str) -> bool:
        """Tell whether nothing more is taken of a case, because it was erased, or is about to be."""
        return case_id in await self.erased_among([case_id])

    async def erased_among(self, case_ids: Collection[str]) -> Collection[str]:
        """Give those of some cases that were erased, or are about to be."""
        keys = await self.keyring.keys(case_ids)
        destroyed = {case_id for case_id, key in keys.items() if isinstance(key, Destroyed)}
        # The register may not have read that yet, as where whoever erases it was killed.
        known, _ = await self.cases.readable(set(case_ids) - destroyed)
        return destroyed | {case_id for case_id, case in known.items() if case.erased}

    async def erasure(self, case_id: str) -> Erasure | None:
        """Give when a case was erased, and why; None if the log does not say so."""
        return (await erasures(self.log, self.keyring, [self.partition(case_id)])).get(case_id)

    async def unfinished(self, erased: Collection[str]) -> Collection[str]:
        """Give those of some erased cases whose erasing was broken off: their key is still there, or who they were."""
        keys = await self.keyring.keys(erased)
        named = {person.case_id async for person in self.people.sealed()}
        return {case_id for case_id, key in keys.items() if case_id in named or not isinstance(key, Destroyed)}

    async def forget(self, case_id: str) -> None:
        """Destroy the key of a case for ever, and remove what is known of it. Raises Unavailable: then do it again.

        The key goes first: whoever still writes of the case sees that it is gone, or is overtaken. Who it was stays:
        that goes last, by `forget_person`.
        """
        await self.keyring.destroy(case_id)
        for stage in self.every_stage:
            for name in (stage.name, FRESH + stage.name):
                await self.store.remove(name, [case_id])
        await self.outbox.forget_case(case_id)
        await self.sweep()

    async def forget_person(self, case_id: str) -> None:
        """Forget who a case was, which nobody can read without its key. As long as it is there, it is not all erased.

        Raises Unavailable: then do it again.
        """
        await self.people.forget(case_id)
        await self.sweep()

    async def sweep(self) -> None:  # noqa: B027 - where a server keeps things, it is for the server to do so
        """See to it that the bytes of what was removed are gone. Raises Unavailable."""

    async def names(self) -> Mapping[str, str]:
        """Give how each case is called on a screen: its number, with the clinic where another has the same."""
        persons = await self.people.persons()
        often = Counter(person.number for person in persons.values())
        return {
            case_id: person.number if often[person.number] == 1 else f"{person.number}@{person.clinic}"
            for case_id, person in persons.items()
        }

    def partition(self, case_id: str) -> int:
        """Give the partition of a case."""
        return partition_of(case_id)

    @abstractmethod
    async def close(self) -> None:
        """Let go of what it stands on."""

    async def __aenter__(self) -> Self:
        """Use the home."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()
