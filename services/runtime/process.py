"""A process that serves: it starts, tells over HTTP how it is, and ends in time when it is told to."""

import asyncio
import os
import signal
import socket
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.faults import place_of
from services.runtime.greeting import Greeting
from services.runtime.health import Health
from services.runtime.http import Config
from services.runtime.keyring.master import MasterKeyUnusable
from services.runtime.logger import logger
from services.runtime.logs import set_up_logs
from services.runtime.looking import LOOK, why_no_brokers
from services.runtime.metrics import Metrics
from services.runtime.refusals import NotAHome, SettingsWrong, TopicsUnfit
from services.runtime.settings import ServiceSettings
from services.runtime.subscription import DRAIN
from services.runtime.unavailable import Unavailable

Step = Callable[[], Coroutine[Any, Any, None]]
WhyAway = Callable[[], str | None]

TRY_AGAIN: Final = 3.0

ENDS_WITHIN: Final = DRAIN + 5
"""Seconds after which a process that was told to end does so in any case."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What answers at a socket of its own. tls: how connections to it are encrypted; None: not at all."""

    listening: socket.socket
    app: ASGIApp
    tls: ssl.SSLContext | None = None


class Process(ABC):
    """A process that serves until it is told to end, and tells over HTTP how it is.

    tries_again_after: seconds from a start that has failed to the next one
    looks_after: seconds, again and again, after which is told what keeps it from starting
    """

    tries_again_after, looks_after = TRY_AGAIN, LOOK

    def __init__(self, settings: ServiceSettings, name: str) -> None:
        """Make it. name: by which its metrics are told from those of others."""
        self._settings = settings
        self.health = Health()
        self.metrics = Metrics(name)
        self._server: _Server | None = None
        self._is_told_to_end = False

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        """Serve for as long as this is entered; what is in hand is finished when it is left."""
        task = asyncio.create_task(self._serve())
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            self._is_told_to_end = True
            task.cancel()
            await asyncio.wait({task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the process if serving has ended by a fault of ours: whoever runs it starts it anew."""
        error = None if task.cancelled() else task.exception()
        if self._is_told_to_end:
            return
        self.health.set("service", f"it has ended ({'broken off' if error is None else place_of(error)})")
        if self._server is not None:
            self._server.end_by_fault()

    @abstractmethod
    async def _serve(self) -> None:
        """Serve, for ever."""

    def beside(self) -> Sequence[Beside]:
        """Give what answers at other sockets than the one where one asks how the service is. Raises SettingsWrong."""
        return ()

    async def _until_it_works(self, step: Step, why_away: WhyAway) -> None:
        """Try to start until that works, and tell meanwhile what is in the way. why_away: asks other servers."""
        why: str | None = None
        while (why := await self._why_not(step, why_away, why)) is not None:
            self.health.set("start", why)
            await asyncio.sleep(self.tries_again_after)
        self.health.set("start", None)

    async def _why_not(self, step: Step, why_away: WhyAway, before: str | None) -> str | None:
        """Take a step, and tell while it takes long which server is silent; give why it failed, None if it did not.

        before: why it failed last, which is told for as long as nothing better is known
        """
        task, brokers = asyncio.create_task(step()), self._settings.brokers()
        try:
            while not (await asyncio.wait({task}, timeout=self.looks_after))[0]:
                self.health.set("start", await why_no_brokers(brokers) or why_away() or before)
            await task
        except (Unavailable, TopicsUnfit, NotAHome, MasterKeyUnusable, OSError) as failed:
            return "; ".join(str(failed).splitlines())
        except Exception as failed:  # noqa: BLE001 - the libraries have a hundred names for a broker that is away
            return f"unexpected {type(failed).__name__}"
        finally:
            task.cancel()
        return None

    def app(self) -> Starlette:
        """Give what answers over HTTP, and serves meanwhile."""
        routes = [
            Route("/alive", self._alive),
            Route("/ready", self._ready),
            Route("/metrics", self._page),
        ]
        return Starlette(routes=routes, lifespan=self.running)

    async def _alive(self, _: Request) -> Response:
        return _answer("alive", self.health.alive())

    async def _ready(self, _: Request) -> Response:
        return _answer("ready", self.health.ready())

    async def _page(self, _: Request) -> Response:
        return Response(self.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def run(self) -> None:
        """Serve until the process is told to end. Raises SettingsWrong."""
        listening = listening_at(self._settings.http_host, self._settings.http_port, "ONTRACK_HTTP")
        beside = self.beside()
        set_up_logs(self._settings.log_format, self._settings.log_level)
        host, port, *_ = listening.getsockname()
        logger.info("listening", host=host, port=port)
        # When uvicorn has stopped it raises the signal again; being told to end is no failure.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: sys.exit(_exit_code(number)))
        app = ByPort(self.app(), {each.listening.getsockname()[1]: each.app for each in beside})
        self._server = _Server(Config(app), beside)
        self._server.run(sockets=[listening])
        sys.exit(self._server.exit_code)


class _Server(uvicorn.Server):
    """A server whose process ends in time, whatever still keeps it: a thread of a driver, or a library that waits."""

    exit_code = 0

    def __init__(self, config: uvicorn.Config, beside: Sequence[Beside]) -> None:
        super().__init__(config)
        self._beside = beside

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # All sockets of one server of uvicorn's are encrypted, or none.
        for each in self._beside:
            protocol = self._protocol if each.tls is None else Greeting(each.tls, self._protocol)
            at = asyncio.get_running_loop().create_server(protocol, sock=each.listening, backlog=self.config.backlog)
            self.servers.append(await at)

    def _protocol(self) -> asyncio.Protocol:
        kind: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.exit_code = _exit_code(sig)
        super().handle_exit(sig, frame)

    def end_by_fault(self) -> None:
        """End in time, and say by the exit code that nobody has asked for that."""
        self.exit_code = 1
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        late = threading.Timer(ENDS_WITHIN, _end, [self.exit_code])
        late.daemon = True
        late.start()
        await super().shutdown(sockets)
        logger.info("stopped")


def _exit_code(number: int) -> int:
    return 0 if number == signal.SIGTERM else 128 + number


def _end(exit_code: int) -> None:
    """End this process at once, as a kill does: what is in hand comes again."""
    logger.warning("ends-unfinished")
    sys.stderr.flush()
    os._exit(exit_code)


class ByPort:
    """Several applications at ports of their own; how they start and end is told to the first one."""

    def __init__(self, first: ASGIApp, others: Mapping[int, ASGIApp]) -> None:
        """Answer by `first`, and at the ports of others by those."""
        self._first = first
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        _, port = scope.get("server") or ("", 0)
        await self._others.get(port, self._first)(scope, receive, send)


def listening_at(host: str, port: int, setting: str) -> socket.socket:
    """Listen where others will look for it. setting: the beginning of its name. Raises SettingsWrong."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as refused:
        why, *_ = str(refused.strerror).partition(" (")
        raise SettingsWrong(
            f"{setting}_HOST and {setting}_PORT: an address of this machine and a port that nobody else listens at "
            f"were expected ({why})"
        ) from None


def _answer(name: str, why: list[str]) -> JSONResponse:
    return JSONResponse({name: not why, "why": why}, status_code=503 if why else 200)
