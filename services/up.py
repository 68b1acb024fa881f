"""A whole clinic in one process: the API, and every stage behind it, over one data directory."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.embedded import EmbeddedHome
from services.ingest.access import TOKENS, Tokens
from services.ingest.clockwork import Clockwork, Timetable
from services.ingest.door import Door
from services.ingest.http.api import Api, Reception
from services.runtime.faults import PartitionLost, StageStopped, place_of
from services.runtime.health import Health
from services.runtime.http import Config
from services.runtime.unavailable import Unavailable

TRY_AGAIN: Final = 1.0


class Up:
    """An embedded home that answers over HTTP."""

    def __init__(self, home: EmbeddedHome, directory: Path) -> None:
        """Serve an open home."""
        self._home = home
        self._recorded = asyncio.Event()
        self.health = Health(waits_for=[])
        door = self._door = Door(home.intake, recorded=self._recorded.set)
        timetable = Timetable(home.definitions, home.zones)
        self._clockwork = Clockwork(home.store, home.cases, home.roster, timetable, door, home.clock)
        reception = Reception(door, home.cases, home.people, home.roster, home.definitions, timetable, home.clock)
        self._api = Api(lambda: reception, Tokens(directory / TOKENS))

    def app(self) -> Starlette:
        """Give what answers over HTTP, and runs the stages meanwhile."""
        routes = [Route("/alive", self._alive), Route("/ready", self._ready)]
        app = Starlette(routes=routes, lifespan=self._running)
        app.router.default = self._api
        app.router.redirect_slashes = False
        return app

    @asynccontextmanager
    async def _running(self, _: Starlette) -> AsyncIterator[None]:
        running = {asyncio.create_task(self._run_stages()), asyncio.create_task(self._clockwork.run(self.health))}
        try:
            async with self._door.opened():
                yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self._home.close()

    async def _run_stages(self) -> None:
        """Let every stage take what was recorded, whenever something was."""
        self._recorded.set()
        while True:
            await self._recorded.wait()
            self._recorded.clear()
            try:
                await self._home.catch_up()
            except (StageStopped, PartitionLost, Unavailable) as stopped:
                self.health.set("stages", str(stopped))
                await asyncio.sleep(TRY_AGAIN)
            except Exception as error:  # noqa: BLE001 - the API goes on, and what is wrong is told
                self.health.set("stages", f"a fault of OnTrack ({place_of(error)})")
                await asyncio.sleep(TRY_AGAIN)
            else:
                self.health.set("stages", None)

    async def serve(self, listening: socket.socket) -> None:
        """Answer at a socket until the process is told to end."""
        await uvicorn.Server(Config(self.app())).serve(sockets=[listening])

    async def _alive(self, _: Request) -> Response:
        return _answer("alive", self.health.alive())

    async def _ready(self, _: Request) -> Response:
        return _answer("ready", self.health.ready())


def _answer(name: str, why: list[str]) -> JSONResponse:
    return JSONResponse({name: not why, "why": why}, status_code=503 if why else 200)
