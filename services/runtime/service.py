"""One stage as a service: it serves its stage on the servers of a region, and tells how that goes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from contracts.definitions.catalogue import Catalogue
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS
from services.runtime.collector import spare_the_collector
from services.runtime.documents import Documents
from services.runtime.founding import Founding
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import StoredRecord
from services.runtime.log.topics import Cluster
from services.runtime.logger import logger
from services.runtime.looking import LOOK, Looker, Watched
from services.runtime.process import Process
from services.runtime.runner import Done, Runner
from services.runtime.serving import Serving
from services.runtime.settings import ServiceSettings
from services.runtime.stage import Stage
from services.runtime.store.mongo import MongoStore
from services.runtime.store.port import Halted

if TYPE_CHECKING:
    from services.runtime.traces import Traces

StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a service stands on, once its servers answer."""

    documents: Documents
    log: KafkaLog
    store: MongoStore
    keyring: MongoKeyring
    founding: Founding


class Service(Process, Generic[StateT]):
    """One stage over Kafka and MongoDB.

    pause: seconds after each time that it has read a little, for more to be read together
    """

    pause = 0.0

    def __init__(self, settings: ServiceSettings, stage: Callable[[Catalogue], Stage[StateT]]) -> None:
        """Make the service; `stage` makes its stage from the definitions that the log has."""
        self._make_stage = stage
        self._name = stage(Catalogue()).name
        self._traces: Traces | None = None
        super().__init__(settings, self._name)

    async def _serve(self) -> None:
        brokers, server = self._settings.brokers(), self._settings.server()
        async with AsyncExitStack() as stack:
            documents = await stack.enter_async_context(Documents(server))
            log = await stack.enter_async_context(KafkaLog(brokers))
            founding = Founding(log)
            stage = self._make_stage(founding.definitions)
            await self._until_it_works(lambda: self._require_servers(stage, documents, founding), documents.why_away)
            keyring = MongoKeyring(documents, MasterKey.read(self._settings.master_key_file))
            store = MongoStore(documents)
            runner = Runner(
                stage,
                log,
                store,
                keyring,
                founding.log_id,
                dead_letters_at_most=self._settings.dead_letters_at_most,
            )
            runner.learn = founding.learn
            serving = Serving(
                brokers,
                brokers.named(stage.name),
                brokers.topic(stage.reads),
                runner,
                self.heard,
                self._halts_again,
            )
            serving.pause, serving.recalled = self.pause, self.recalled
            self._traces = self._traced(stage, stack)
            stack.push_async_callback(serving.stop)
            learned = founding.learned
            await self._until_it_works(serving.start, documents.why_away)
            spare_the_collector()
            await self.begin_beside(Ground(documents, log, store, keyring, founding), stack)
            logger.info("serving", stage=stage.name, log=founding.log_id)
            watched = Watched(stage, serving, brokers, documents, log, store, founding)
            looker = Looker(watched, self.health, self.metrics, learned)
            stack.push_async_callback(looker.stop)
            while True:
                await looker.look()
                await asyncio.sleep(LOOK)

    async def begin_beside(self, ground: Ground, stack: AsyncExitStack) -> None:
        """Begin what a service does beside its stage, until the stack is left."""

    def recalled(self, _: int, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give records of a partition with what this process knows of them already, if it does."""
        return records

    def _traced(self, stage: Stage[StateT], stack: AsyncExitStack) -> "Traces | None":
        """Send traces if that is set, until the stack is left."""
        endpoint = self._settings.traces_endpoint
        if endpoint is None:
            return None
        # It takes a while to load.
        from services.runtime.traces import Traces  # noqa: PLC0415

        traces = Traces(endpoint, stage.name, self._settings.brokers().topic(stage.reads))
        stack.push_async_callback(traces.close)
        return traces

    async def _require_servers(self, stage: Stage[StateT], documents: Documents, founding: Founding) -> None:
        """Make sure that everything is there and fits before anything is touched."""
        topics = [stage.reads, DEFINITIONS, *([stage.writes] if stage.writes else [])]
        if stage.reads is CASES:
            topics.append(DEAD_LETTERS)
        await Cluster(self._settings.brokers()).require_topics(topics)
        await founding.require()
        keyring = MongoKeyring(documents, MasterKey.read(self._settings.master_key_file))
        await keyring.require_own_master()

    def heard(self, partition: int, done: Done, seconds: float) -> None:
        """Hear of a batch that is done: its states are written, and what came out is on the log."""
        self.metrics.heard(done, seconds)
        if self._traces is not None:
            self._traces.heard(partition, done, seconds)
        if done.dead_letters:
            logger.warning("facts-unreadable", partition=partition, number=done.dead_letters)
        for case in done.halted:
            logger.warning("case-halted", **self._told(case))

    def _halts_again(self, case: Halted) -> None:
        logger.warning("case-halts-again", **self._told(case))

    def _told(self, case: Halted) -> Mapping[str, str | int]:
        """Tell of a halted case in a log."""
        place = {"partition": case.partition, "offset": case.offset}
        return {"stage": self._name, "case": case.case_id, **place, "reason": case.reason}
