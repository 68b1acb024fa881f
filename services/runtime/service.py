"""One stage as a service: it starts, serves its stage, tells how it is, and stops."""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contracts.definitions.catalogue import Catalogue
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS
from services.runtime.brokers import Brokers, why_away
from services.runtime.documents import Documents, told_as
from services.runtime.founding import Founding
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.keyring.mongo import MongoKeyring
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import LogUnavailable
from services.runtime.log.topics import Cluster
from services.runtime.logs import set_up_logs
from services.runtime.metrics import Metrics
from services.runtime.progress import GIVEN_UP, Progress
from services.runtime.refusals import NotAHome, SettingsWrong, TopicsUnfit
from services.runtime.runner import Done, Runner, place_of
from services.runtime.serving import Serving, Standing
from services.runtime.settings import ServiceSettings
from services.runtime.stage import Stage
from services.runtime.store.mongo import MongoStore
from services.runtime.store.port import Halted, StatesLost, StoreUnavailable
from services.runtime.unavailable import Unavailable

if TYPE_CHECKING:
    from services.runtime.traces import Traces

StateT = TypeVar("StateT")
Step = Callable[[], Coroutine[Any, Any, None]]
Why = Callable[[], Awaitable[str | None]]

LOOK: Final = 2.0
"""Seconds between two looks at the brokers, the database and the partitions."""

ANSWER: Final = 4.0
"""Seconds within which brokers and database give a sign of life."""

REASON: Final = 2.0
"""Seconds within which the brokers say why they do not, or how old an event is; with these, LOOK and ANSWER, it takes
ten seconds at most until trouble is told."""

TRY_AGAIN: Final = 3.0

_NOBODY: Final = "nobody"
"""The id of no case."""

_LOG = structlog.get_logger()


@dataclass(slots=True)
class Health:
    """How a service is.

    troubles: what keeps it from going on, by where that is
    waits_for: why it is not ready although nothing is wrong
    """

    troubles: dict[str, str] = field(default_factory=dict)
    waits_for: list[str] = field(default_factory=lambda: ["it has just been started"])

    def set(self, where: str, why: str | None) -> None:
        """Say what is wrong somewhere, or that nothing is."""
        if why is None:
            if self.troubles.pop(where, None) is not None:
                _LOG.info("trouble-is-gone", where=where)
        elif self.troubles.get(where) != why:
            self.troubles[where] = why
            _LOG.warning("trouble", where=where, why=why)

    def alive(self) -> list[str]:
        """Tell why it does not go on; nothing if it does."""
        return [f"{where}: {why}" for where, why in sorted(self.troubles.items())]

    def ready(self) -> list[str]:
        """Tell why it is not ready; nothing if it is."""
        return [*self.alive(), *self.waits_for]


class Service(Generic[StateT]):
    """One stage over Kafka and MongoDB."""

    def __init__(self, settings: ServiceSettings, stage: Callable[[Catalogue], Stage[StateT]]) -> None:
        """Make the service; `stage` makes its stage from the definitions that the log has."""
        self._settings = settings
        self._make_stage = stage
        self.health = Health()
        self._name = stage(Catalogue()).name
        self.metrics = Metrics(self._name)
        self._traces: Traces | None = None

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """Serve for as long as this is entered; what is in hand is finished when it is left."""
        task = asyncio.create_task(self._serve())
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Say so if serving has ended by a fault of ours: whoever watches starts the service again."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.health.set("service", f"it has ended ({place_of(error)}); start it again")

    async def _serve(self) -> None:
        brokers, server = self._settings.brokers(), self._settings.server()
        async with AsyncExitStack() as stack:
            documents = await stack.enter_async_context(Documents(server))
            log = await stack.enter_async_context(KafkaLog(brokers))
            founding = Founding(log)
            stage = self._make_stage(founding.definitions)
            await self._until_it_works(lambda: self._require_servers(stage, documents, founding), documents)
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
            serving = Serving(
                brokers,
                brokers.named(stage.name),
                brokers.topic(stage.reads),
                runner,
                self._heard,
                self._halts_again,
            )
            self._traces = self._traced(stage, stack)
            stack.push_async_callback(serving.stop)
            await self._until_it_works(serving.start, documents)
            gc.freeze()
            gc.set_threshold(100_000, 50, 1_000)
            _LOG.info("serving", stage=stage.name, log=founding.log_id)
            looker = _Looker(self.health, self.metrics, stage, brokers, documents, log, store, founding, serving)
            while True:
                await looker.look()
                await asyncio.sleep(LOOK)

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

    async def _until_it_works(self, step: Step, documents: Documents) -> None:
        """Try to start until that works, and tell meanwhile what is in the way."""
        while (why := await self._why_not(step, documents)) is not None:
            self.health.set("start", why)
            await asyncio.sleep(TRY_AGAIN)
        self.health.set("start", None)

    async def _why_not(self, step: Step, documents: Documents) -> str | None:
        """Take a step, and tell while it takes long which server is silent; give why it failed, None if it did not."""
        task, brokers = asyncio.create_task(step()), self._settings.brokers()
        try:
            while not (await asyncio.wait({task}, timeout=LOOK))[0]:
                self.health.set("start", await _why_no_brokers(brokers) or documents.why_away())
            await task
        except (Unavailable, TopicsUnfit, NotAHome, MasterKeyUnusable, OSError) as failed:
            return "; ".join(str(failed).splitlines())
        except Exception as failed:  # noqa: BLE001 - the libraries have a hundred names for a broker that is away
            return f"unexpected {type(failed).__name__}"
        finally:
            task.cancel()
        return None

    async def _require_servers(self, stage: Stage[StateT], documents: Documents, founding: Founding) -> None:
        """Make sure that everything is there and fits before anything is touched."""
        topics = [stage.reads, DEFINITIONS, *([stage.writes] if stage.writes else [])]
        if stage.reads is CASES:
            topics.append(DEAD_LETTERS)
        await Cluster(self._settings.brokers()).require_topics(topics)
        await founding.learn()
        if not founding.log_id:
            raise NotAHome("the log was never founded; `ontrack provision` does that")
        keyring = MongoKeyring(documents, MasterKey.read(self._settings.master_key_file))
        await keyring.require_own_master()

    def _heard(self, partition: int, done: Done, seconds: float) -> None:
        self.metrics.heard(done, seconds)
        if self._traces is not None:
            self._traces.heard(partition, done, seconds)
        if done.dead_letters:
            _LOG.warning("facts-unreadable", partition=partition, number=done.dead_letters)
        for case in done.halted:
            _LOG.warning("case-halted", **self._told(case))

    def _halts_again(self, case: Halted) -> None:
        _LOG.warning("case-halts-again", **self._told(case))

    def _told(self, case: Halted) -> Mapping[str, str | int]:
        """Tell of a halted case in a log."""
        place = {"partition": case.partition, "offset": case.offset}
        return {"stage": self._name, "case": case.case_id, **place, "reason": case.reason}

    def app(self) -> Starlette:
        """Give what answers over HTTP, and serves meanwhile."""
        routes = [
            Route("/alive", lambda _: _answer("alive", self.health.alive())),
            Route("/ready", lambda _: _answer("ready", self.health.ready())),
            Route("/metrics", self._page),
        ]
        return Starlette(routes=routes, lifespan=self.running)

    def _page(self, _: Request) -> Response:
        return Response(self.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def run(self) -> None:
        """Serve until the process is told to end. Raises SettingsWrong."""
        listening = _listening(self._settings.http_host, self._settings.http_port)
        set_up_logs(self._settings.log_format, self._settings.log_level)
        host, port, *_ = listening.getsockname()
        _LOG.info("listening", host=host, port=port)
        # When uvicorn has stopped it raises the signal again; being told to end is no failure.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.signal(signal.SIGINT, lambda number, _: sys.exit(128 + number))
        config = uvicorn.Config(self.app(), log_config=None, access_log=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """Listen where whoever asks how the service is will look for it. Raises SettingsWrong."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as refused:
        why, *_ = str(refused.strerror).partition(" (")
        raise SettingsWrong(
            "ONTRACK_HTTP_HOST and ONTRACK_HTTP_PORT: an address of this machine and a port that nobody else listens "
            f"at were expected ({why})"
        ) from None


async def _why_no_brokers(brokers: Brokers) -> str | None:
    """Ask the brokers why they are away; None if they are not, or if that does not come out in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REASON):
            return await why_away(brokers)
    return None


class _Looker(Generic[StateT]):
    """Looks, every other second, how everything is."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it looks at
        self,
        health: Health,
        metrics: Metrics,
        stage: Stage[StateT],
        brokers: Brokers,
        documents: Documents,
        log: KafkaLog,
        store: MongoStore,
        founding: Founding,
        serving: Serving[StateT],
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._stage = stage
        self._brokers = brokers
        self._documents = documents
        self._log = log
        self._store = store
        self._founding = founding
        self._serving = serving
        self._progress = Progress()
        self._lost = 0
        self._retry = False
        self._resuming: asyncio.Task[None] | None = None
        self._ends: Mapping[int, int] = {}
        self._ends_before: Mapping[int, int] = {}
        self._looked_at = time.time()

    async def look(self) -> None:
        """Look once."""
        await asyncio.gather(
            self._look_at("brokers", self._look_at_log, lambda: _why_no_brokers(self._brokers)),
            self._look_at("database", self._look_at_store, self._why_no_database),
        )
        self._look_at_reading()
        self._look_at_shares()
        await self._measure()
        if self._retry and (self._resuming is None or self._resuming.done()):
            self._retry = False
            # What is silent just now keeps it waiting, and that is to be told meanwhile.
            self._resuming = asyncio.create_task(self._serving.resume_halted())

    async def _look_at(self, where: str, look: Callable[[], Awaitable[None]], why_away: Why) -> None:
        """Look at some servers. They are asked why they are away: who waits for them knows only that they are."""
        why: str | None = None
        try:
            async with asyncio.timeout(ANSWER):
                await look()
        except TimeoutError:
            why = f"no answer within {ANSWER:.0f} s"
        except Exception as failed:  # noqa: BLE001 - whatever it is, it is told, and looked at again
            why = str(failed) if isinstance(failed, Unavailable) else type(failed).__name__
        self._health.set(where, why and (await why_away() or why))

    async def _why_no_database(self) -> str | None:
        return self._documents.why_away()

    async def _look_at_log(self) -> None:
        """See where the partitions end, and learn new definitions."""
        self._ends = await self._log.ends(self._stage.reads, list(self._serving.shares))
        why: str | None = None
        try:
            self._retry |= await self._founding.learn()
        except NotAHome as unreadable:
            why = str(unreadable)
        self._health.set("definitions", why)

    async def _measure(self) -> None:
        """Measure how much there is to do."""
        shares = self._serving.shares
        positions = {partition: shares[partition].position for partition in self._ends if partition in shares}
        ages = await self._ages(positions)
        for name in ("ontrack_lag_events", "ontrack_lag_seconds"):
            self._metrics.forget(name)
        for partition, position in positions.items():
            self._metrics.set("ontrack_lag_events", max(self._ends[partition] - position, 0), partition=str(partition))
            self._metrics.set("ontrack_lag_seconds", ages.get(partition, 0.0), partition=str(partition))

    async def _ages(self, positions: Mapping[int, int]) -> Mapping[int, float]:
        """Give the age of the oldest event of each partition that is not processed yet.

        What came since the last look is no older than that; what was there then is asked for.
        """
        now, before, ends = time.time(), self._looked_at, self._ends_before
        self._looked_at, self._ends_before = now, dict(self._ends)
        behind = {partition: position for partition, position in positions.items() if position < self._ends[partition]}
        old = {partition: position for partition, position in behind.items() if position < ends.get(partition, 0)}
        since: Mapping[int, float] = {}
        with suppress(LogUnavailable, TimeoutError):
            async with asyncio.timeout(REASON):
                since = await self._log.appended_at(self._stage.reads, old) if old else {}
        return {partition: max(now - since.get(partition, before), 0.0) for partition in behind}

    async def _states_lost(self) -> str | None:
        """Tell whether the states are gone, also when there is nothing to read."""
        try:
            await self._store.load(self._stage.name, [_NOBODY])
        except StatesLost as lost:
            return f"{lost}. To mend it: ontrack rebuild {self._stage.name} makes them anew from the log"
        return None

    async def _look_at_store(self) -> None:
        with told_as(StoreUnavailable):
            await self._documents.ping()
        self._health.set("states", await self._states_lost())
        halted = await self._store.halted(self._stage.name)
        self._metrics.set("ontrack_halted_cases", len(halted))
        self._retry |= any(each.retry for each in halted)

    def _look_at_reading(self) -> None:
        """See whether what there is to read is read; a subscriber that does not is told of, then started again."""
        now, serving, troubles = time.monotonic(), self._serving, self._health.troubles
        self._progress.seen(now, {} if "brokers" in troubles else serving.waiting, self._ends)
        why = self._why_not_reading(now)
        is_over = not serving.is_reading or bool(self._progress.stuck(now, GIVEN_UP))
        if is_over and "reading" in troubles and "brokers" not in troubles:
            serving.start_again()
        self._health.set("reading", why)

    def _why_not_reading(self, now: float) -> str | None:
        if not self._serving.is_reading:
            return "the subscriber has stopped"
        stuck = self._progress.stuck(now)
        return f"events of partitions {_listed(stuck)} do not come" if stuck else None

    def _look_at_shares(self) -> None:
        """See how it stands with every partition."""
        serving = self._serving
        for where in [each for each in self._health.troubles if each.startswith("partition ")]:
            if int(where.removeprefix("partition ")) not in serving.shares:
                self._health.set(where, None)
        for partition, share in serving.shares.items():
            self._health.set(f"partition {partition}", share.why or None)
        behind = sorted(partition for partition, share in serving.shares.items() if not share.has_caught_up)
        waits = [] if serving.has_joined else ["it has not joined its group yet"]
        if behind:
            waits.append(f"it has not caught up yet in partitions {_listed(behind)}")
        self._health.waits_for = waits
        standings = Counter(share.standing.value for share in serving.shares.values())
        for standing in Standing:
            self._metrics.set("ontrack_partitions", standings[standing.value], standing=standing.value)
        self._metrics.add("ontrack_states_lost_total", serving.lost - self._lost)
        self._lost = serving.lost


def _listed(partitions: list[int]) -> str:
    return ", ".join(map(str, partitions))


def _answer(name: str, why: list[str]) -> JSONResponse:
    return JSONResponse({name: not why, "why": why}, status_code=503 if why else 200)
