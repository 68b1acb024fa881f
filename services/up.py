"""A whole clinic in one process: the API, and every stage behind it, over one data directory."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.responses import JSONResponse, Response
from starlette.routing import Router

from services.auditor.sealing import Sealer
from services.embedded import EmbeddedHome
from services.ingest.access import Access
from services.ingest.cases import LOOKS_BACK_FOR, Cases
from services.ingest.clockwork import Clockwork, Timetable
from services.ingest.domain.register import Unclear
from services.ingest.door import Door
from services.ingest.following import Following
from services.ingest.http.api import Api
from services.ingest.http.reception import Asked, Reception
from services.ingest.intake import Request
from services.ingest.statements import STAFF
from services.mailer.courier import Courier
from services.mailer.desk import Desk
from services.mailer.domain.delivery import Fact
from services.mailer.domain.letter import Letterhead
from services.mailer.ingest import NotRecorded, Told
from services.mailer.post import MailServer
from services.runtime.database import is_damage
from services.runtime.faults import MEND_DAMAGE, PartitionLost, StageStopped, fault_of_ours
from services.runtime.health import Health
from services.runtime.http import Config
from services.runtime.logger import logger
from services.runtime.unavailable import Unavailable

TRY_AGAIN: Final = 1.0
"""Seconds after which stages that something kept from going on are tried again."""


@dataclass(frozen=True, slots=True)
class Mail:
    """By which server mail goes out, and what is the same in all of it."""

    server: MailServer
    head: Letterhead


class Up:
    """An embedded home that answers over HTTP."""

    def __init__(
        self, home: EmbeddedHome, access: Access, mail: Mail | None = None, sealer: Sealer | None = None
    ) -> None:
        """Serve an open home.

        access: tells who asks; mail: how mail is sent; without it none is; sealer: signs checkpoints; without it nobody
        """
        self._home = home
        home.cases.looks_back_for = LOOKS_BACK_FOR
        self._sealer = sealer
        self._recorded = asyncio.Event()
        self.health = Health(waits_for=[])
        door = self._door = Door(home.intake, recorded=self._recorded.set)
        timetable = Timetable(home.definitions, home.zones)
        following = Following(home.cases, home.roster, door, home.definitions, home.clock)
        self._clockwork = Clockwork(home.store, home.cases, home.roster, timetable, door, following, home.clock)
        reception = Reception(
            door,
            home.cases,
            home.people,
            home.roster,
            home.definitions,
            timetable,
            following,
            home.keyring.disguised,
            home.clock,
        )
        self._courier = None if mail is None else Courier(self._desk(mail))
        self._api = Api(lambda: reception, access, self.health)

    def app(self) -> Router:
        """Give what answers over HTTP, and runs the stages meanwhile."""
        return self._api.app(lifespan=self._running, ready=self._api.closed(STAFF, self._ready))

    @asynccontextmanager
    async def _running(self, _: Router) -> AsyncIterator[None]:
        running = {asyncio.create_task(self._run_stages()), asyncio.create_task(self._clockwork.run(self.health))}
        if self._sealer is not None:
            running.add(asyncio.create_task(self._sealer.run(self.health)))
        courier = self._courier
        delivering = None if courier is None else asyncio.create_task(courier.run(self.health))
        try:
            async with self._door.opened():
                try:
                    yield
                finally:
                    if courier is not None and delivering is not None:
                        await courier.end(delivering)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self._home.close()

    async def _run_stages(self) -> None:
        """Let every stage take what was recorded, whenever something was, and until it has."""
        self._recorded.set()
        while True:
            await self._recorded.wait()
            self._recorded.clear()
            why = await self._why_not_caught_up()
            self.health.set("stages", why)
            if why is not None:
                await asyncio.sleep(TRY_AGAIN)
                self._recorded.set()
            elif self._courier is not None:
                self._courier.look()

    async def _why_not_caught_up(self) -> str | None:
        """Let every stage take what was recorded; tell what keeps one from it, if something does."""
        try:
            await self._home.catch_up()
        except (StageStopped, PartitionLost, Unavailable) as stopped:
            return str(stopped)
        except Exception as error:  # noqa: BLE001 - the API goes on, and what is wrong is told
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                return f"the database is damaged ({error}). To mend it: {MEND_DAMAGE}"
            return fault_of_ours(error)
        return None

    def _desk(self, mail: Mail) -> Desk:
        home = self._home
        return Desk(
            store=home.store,
            keyring=home.keyring,
            roster=home.roster,
            outbox=home.outbox,
            ingest=OwnIngest(home.cases, self._door),
            server=mail.server,
            head=mail.head,
            now=home.clock,
        )

    async def serve(self, listening: socket.socket, is_told: Callable[[], bool]) -> None:
        """Answer at a socket until the process is told to end. is_told: tells whether it was."""
        await _Server(Config(self.app()), is_told).serve(sockets=[listening])

    async def _ready(self, _: Asked) -> Response:
        why = self.health.ready()
        return JSONResponse({"ready": not why, "why": why}, 503 if why else 200)


class _Server(uvicorn.Server):
    """A server that leaves signals to the command: it may be told before it listens, and be told twice."""

    def __init__(self, config: Config, is_told: Callable[[], bool]) -> None:
        super().__init__(config)
        self._is_told = is_told

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        self.should_exit = self.should_exit or self._is_told()
        return await super().on_tick(counter)


class OwnIngest:
    """The ingest of this process, for the courier."""

    def __init__(self, cases: Cases, door: Door) -> None:
        self._cases = cases
        self._door = door

    async def told(self, case_id: str, notice: str) -> Told:
        """Tell what is on the log of a notice and its case, up to its last record."""
        case = (await self._cases.registered([case_id])).get(case_id)
        if isinstance(case, Unclear) and not case.erased:
            raise NotRecorded(case.why)
        if case is None or case.erased or case.clinic is None:
            raise NotRecorded("ingest does not know the case")
        at, told = (case.clinic, case.group), case.notices.get(notice)
        return Told(*at) if told is None else Told(*at, told.recipients, told.settled, told.is_over)

    async def record(self, fact: Fact) -> None:
        """Record a fact. It is no error if one of that id is there."""
        taken = await self._door.take(Request([fact]))
        for _, refusal in taken.refused:
            if refusal.code != "id_reused":
                raise NotRecorded(f"ingest does not record what came of a mail ({refusal.code})")
            logger.warning("outcome-not-recorded", case=fact.subject, notice=fact.data.notice, why=refusal.code)
