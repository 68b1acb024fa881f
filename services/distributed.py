"""The distributed home: the log on Kafka, the rest on MongoDB, and each service a process of its own elsewhere."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import uuid4
from zoneinfo import ZoneInfo

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.topics import CASES, DEFINITIONS, TOPICS
from services.home import Home, Ports, StageRuns, Stages, Waiting, now
from services.ingest.domain.register import Register
from services.ingest.zones import Zones
from services.mailer.domain.mailbag import Mailbags
from services.mailer.outbox.mongo import INDEXED, OUTBOX, MongoOutbox
from services.runtime.backup.archive import Backup
from services.runtime.backup.restoring import require_idle, require_part_of_it, require_same_log
from services.runtime.copies.mongo import MongoCopies
from services.runtime.directory.mongo import DIRECTORY, NAME, MongoDirectory
from services.runtime.documents import Documents, told_as
from services.runtime.founding import Founding, founding_records
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.log.topics import Cluster, Safety
from services.runtime.refusals import NotAHome
from services.runtime.roster.mongo import MongoRoster
from services.runtime.settings import RegionSettings
from services.runtime.stage import Stage
from services.runtime.store.mongo import DUE, HALTED, POSITIONS, MongoStore, states_of
from services.runtime.store.port import StoreUnavailable

_LOG_GONE: Final = (
    "the log that was worked with has lost its beginning, or is elsewhere: compare ONTRACK_KAFKA_SERVERS, "
    "ONTRACK_KAFKA_PREFIX and ONTRACK_MONGODB_DATABASE with what they were; if ontrack restore was broken off here, "
    "give it again"
)

_STAGES: Final = tuple(stage.name for stage in (*Stages.by(Catalogue(), Zones()), Mailbags()))

PATIENCE: Final = 30.0
"""Seconds without any progress of the stages that are run elsewhere, after which nobody waits for them."""

NOBODY: Final = 5.0
"""Seconds without any progress after which it is asked whether anybody runs them: they may just be starting."""

LOOK: Final = 0.2
"""Seconds between two looks at how far the services have come."""


class DistributedHome(Home):
    """A region, open. Its stages are run by their services; the register, where no service runs it, by this process."""

    def __init__(
        self,
        name: str,
        ports: Ports,
        cluster: Cluster,
        log: KafkaLog,
        documents: Documents,
        zone: ZoneInfo,
    ) -> None:
        """Use open connections."""
        super().__init__(name, ports, zone=zone)
        self._cluster = cluster
        self._runs_register = True
        self._kafka = log
        self._documents = documents

    @classmethod
    async def open(cls, settings: RegionSettings, *, write: bool = False) -> Self:
        """Open the home. Raises NotAHome, TopicsUnfit, MasterKeyUnusable, StageStopped, Unavailable."""
        brokers = settings.brokers()
        cluster = Cluster(brokers)
        # Before the master key: whoever has not provisioned yet has neither.
        await cluster.require_topics(TOPICS.values())
        master = MasterKey.read(settings.master_key_file)
        documents, log = Documents(settings.server()), KafkaLog(brokers)
        keyring = MongoKeyring(documents, master)
        ports = _ports(log, documents, keyring)
        home = cls(f"the log at {settings.kafka_servers}", ports, cluster, log, documents, settings.zone())
        try:
            await keyring.require_own_master()
            home._runs_register = await cluster.members(Register.name) == 0
            await home.take_up(write=write)
        except BaseException:
            await home.close()
            raise
        return home

    @property
    def stages_here(self) -> Sequence[Stage[Any]]:
        """The register, unless a service runs it: somebody has to, before facts are written."""
        return (self.register,) if self._runs_register else ()

    @property
    def stages_elsewhere(self) -> Sequence[Stage[Any]]:
        """The stages that services run."""
        return [stage for stage in self.stages if stage not in self.stages_here]

    async def settle(self, progress: Callable[[int], None]) -> Waiting:
        """Wait until the services have read everything, or do not get on; give what waits then."""
        left, silent, asked = await self._left(), 0.0, 0.0
        while left and silent < PATIENCE:
            if silent - asked >= NOBODY:
                asked = silent
                if len(await self._idle(left)) == len(left):
                    break
            await self.pause(LOOK)
            before, left = left, await self._left()
            # A stage that reads adds to what the next one has to read, so more may be left than before.
            silent, asked = (silent + LOOK, asked) if left == before else (0.0, 0.0)
            progress(max(before.total() - left.total(), 0))
        return Waiting(left.total(), await self._idle(left))

    async def retry_halted(self, case_id: str | None) -> None:
        """Try halted cases again, all of them or one; wait until the services have done so, if they run."""
        await self.catch_up()
        asked = [
            (stage.name, halted.case_id)
            for stage in self.stages_elsewhere
            for halted in await self.store.halted(stage.name)
            if case_id in (None, halted.case_id) and await self.store.retry(stage.name, halted.case_id)
        ]
        idle = await self._idle({stage for stage, _ in asked})
        awaited = [(stage, case_id) for stage, case_id in asked if stage not in idle]
        waited = 0.0
        while waited < PATIENCE and await self._wait_for(awaited):
            await self.pause(LOOK)
            waited += LOOK

    async def _wait_for(self, asked: Sequence[tuple[str, str]]) -> bool:
        """Tell whether cases that were asked to be tried again have not been yet."""
        stages = {stage for stage, _ in asked}
        waiting = {
            (stage, halted.case_id) for stage in stages for halted in await self.store.halted(stage) if halted.retry
        }
        return not waiting.isdisjoint(asked)

    async def require_at_rest(self, stage: Stage[Any]) -> None:
        """Make sure that no service runs a stage. Raises StageRuns."""
        members = await self._cluster.members(stage.name)
        if members:
            raise StageRuns(f"{stage.name} is being run, by {members} of its services: stop them first")

    async def left(self) -> int:
        """Count the events that the services have not processed yet."""
        return (await self._left()).total()

    async def _left(self) -> Counter[str]:
        """Count the events that each service has not processed yet, where there are any."""
        left = Counter[str]()
        for place, waits in (await self.waiting(self.stages_elsewhere)).items():
            left[place.stage] += waits.events
        return left

    async def idle(self) -> Sequence[str]:
        """Give those of the stages, that of the mailer included, that no service runs just now."""
        return await self._idle(stage.name for stage in self.every_stage)

    async def _idle(self, stages: Iterable[str]) -> list[str]:
        """Give those of some stages that nobody runs just now."""
        return [stage for stage in stages if await self._cluster.members(stage) == 0]

    async def close(self) -> None:
        """Let go of all connections."""
        await self._kafka.close()
        self._documents.close()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was made: topics, whether the log was founded, definitions that were published, whether a key was made."""

    topics: Sequence[str]
    is_founded: bool
    definitions: int
    has_new_key: bool


async def provision(settings: RegionSettings, safety: Safety, *, founding: Sequence[bytes] = ()) -> Provisioned:
    """Make what a region stands on, as far as it is not there.

    Raises TopicsUnfit, NotAHome, MasterKeyUnusable, Unavailable.

    founding: the records of `rom.definitions.v1` of another log, for a new one to go on under its identity
    """
    brokers, cluster = settings.brokers(), Cluster(settings.brokers())
    async with KafkaLog(brokers) as log, Documents(settings.server()) as documents:
        has_worked = await _has_worked(documents)
        if has_worked and not await cluster.has(DEFINITIONS):
            raise NotAHome(_LOG_GONE)
        topics = await cluster.make_topics(safety)
        is_new = await log.end(DEFINITIONS, 0) == 0
        if is_new and (has_worked or any((await log.ends(CASES, range(CASES.partitions))).values())):
            raise NotAHome(_LOG_GONE)
        await _make_indexes(documents)
        file = settings.master_key_file
        has_new_key = is_new and not file.exists()
        keyring = MongoKeyring(documents, MasterKey.create(file) if has_new_key else MasterKey.read(file))
        if is_new:
            await keyring.remember_master()
            await _begin_stages(documents)
            records = list(founding) or founding_records(str(uuid4()), library(), now())
            await log.append(DEFINITIONS, 0, [Record("log", record) for record in records])
        await keyring.require_own_master()
        said = Founding(log)
        await said.learn()
        published = await said.publish(library(), now())
    return Provisioned(topics, is_new, published, has_new_key)


@asynccontextmanager
async def empty_region(settings: RegionSettings, safety: Safety, backup: Backup) -> AsyncIterator[Ports]:
    """Give what a region stands on that is yet to be founded, or has lost its database, to put a backup back there.

    Raises PlaceInUse if it holds anything that is not of the backup, TopicsUnfit, MasterKeyUnusable, Unavailable.
    """
    brokers, master = settings.brokers(), MasterKey.read(settings.master_key_file)
    cluster = Cluster(brokers)
    async with KafkaLog(brokers) as log, Documents(settings.server()) as documents:
        keyring = MongoKeyring(documents, master)
        ports = _ports(log, documents, keyring)
        await require_idle(ports.store, _STAGES)
        await require_part_of_it(backup, ports)
        there = [topic for topic in TOPICS.values() if await cluster.has(topic)]
        await require_same_log(backup, log, there)
        await cluster.make_topics(safety)
        await _make_indexes(documents)
        await keyring.remember_master()
        await keyring.require_own_master()
        await _begin_stages(documents)
        yield ports


def _ports(log: KafkaLog, documents: Documents, keyring: MongoKeyring) -> Ports:
    """Give the ports over brokers and a database."""
    return Ports(
        log=log,
        store=MongoStore(documents),
        keyring=keyring,
        people=MongoDirectory(documents, keyring),
        roster=MongoRoster(documents),
        outbox=MongoOutbox(documents),
        copies=MongoCopies(documents),
    )


async def _make_indexes(documents: Documents) -> None:
    with told_as(StoreUnavailable):
        await documents.create_index(DIRECTORY, NAME, unique=True)
        await documents.create_index(HALTED, "stage", unique=False)
        for timed in (Register.name, Mailbags.name):
            await documents.create_index(states_of(timed), DUE, unique=False)
        for field in INDEXED:
            await documents.create_index(OUTBOX, field, unique=False)


async def _begin_stages(documents: Documents) -> None:
    for stage in _STAGES:
        await MongoStore(documents).begin(stage)


async def _has_worked(documents: Documents) -> bool:
    """Tell whether a service has read a log with this database."""
    with told_as(StoreUnavailable):
        return bool(await documents.find_where(POSITIONS, {}))
