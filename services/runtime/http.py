"""How HTTP is served, by whatever answers: within limits that hold whatever a client does, or does not do."""

import asyncio
import resource
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

FILES_KEPT: Final = 512
"""Descriptors that are left for the servers behind, for files and for what comes after."""

_PROBLEM: Final = (
    b"HTTP/1.1 %b\r\ncontent-type: application/problem+json\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is borne of clients.

    connections: how many there are at a time; one more takes the place of the one that has been unused for longest,
        and is refused if all of them wait for an answer
    head: bytes of a request before its body, if they do not come at once
    request: seconds within which a request has to be there whole, from its first byte on
    unused: seconds for which a connection is kept that nothing is asked by
    answer: seconds within which a client has to take the next part of its answer
    """

    connections: int = 2_000
    head: int = 1 << 14
    request: float = 15.0
    unused: int = 60
    answer: float = 15.0


LIMITS: Final = Limits()


class Config(uvicorn.Config):
    """How uvicorn serves an application: whatever else is installed, in one way."""

    def __init__(self, app: ASGIApp, limits: Limits = LIMITS) -> None:
        """Serve `app`."""
        super().__init__(
            app,
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.unused,
            h11_max_incomplete_event_size=limits.head,
        )
        self.limits = limits
        self.connections = _allowed(limits.connections)
        self.unused: dict[Connection, None] = {}
        """The connections where nobody waits for an answer, the one that has been so for longest first."""


def _allowed(connections: int) -> int:
    """Let this process have as many files as so many connections need; give how many it can have."""
    files, at_most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_KEPT
    if files != resource.RLIM_INFINITY and files < wanted:
        files = wanted if at_most == resource.RLIM_INFINITY else min(wanted, at_most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, at_most))
    return connections if files == resource.RLIM_INFINITY else max(1, min(connections, files - FILES_KEPT))


class Connection(H11Protocol):
    """One connection: uvicorn's, with an end to everything that a client can draw out."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Be made by uvicorn."""
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._at_most = config.connections
        self._unused = config.unused
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection, if there is room for it."""
        if len(self.connections) >= self._at_most and not self._room_was_made():
            self.transport = transport
            self._told("503 Service Unavailable", b"retry-after: 2\r\n")
            return
        # Of a socket that was handed over asyncio does not know that it is one of TCP. Without this, an answer of more
        # than one part waits for the client to acknowledge the first, which takes it 40 ms.
        with suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._see_use()
        self._watch_request()

    def _room_was_made(self) -> bool:
        """Let go of the connection that has been unused for longest; tell whether there was one."""
        longest = next(iter(self._unused), None)
        if longest is None:
            return False
        del self._unused[longest]
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        super().data_received(data)
        self._see_use()
        self._watch_request()

    def _see_use(self) -> None:
        """See whether somebody waits for an answer here."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._unused.setdefault(self)
        else:
            self._unused.pop(self, None)

    def _watch_request(self) -> None:
        """See that a request that has begun, or is the first one, comes to its end."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            _cancel(self._late)
            self._late = None
        elif self._late is None:
            self._late = self.loop.call_later(self._limits.request, self.transport.close)

    def on_response_complete(self) -> None:
        """Be ready for the next request."""
        super().on_response_complete()
        self._see_use()
        came, _ = self.conn.trailing_data
        if came:
            self._watch_request()

    def pause_writing(self) -> None:
        """See that a client that takes nothing begins to take again."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._limits.answer, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with an answer."""
        _cancel(self._stalled)
        self._stalled = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection, and let nothing keep what it held."""
        self._unused.pop(self, None)
        for timer in (self._late, self._stalled, self.timeout_keep_alive_task):
            _cancel(timer)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it is uvicorn's word for every such request
        """Refuse what is not HTTP, unless an answer has begun already."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._told("400 Bad Request")
        else:
            self.transport.close()

    def _told(self, status: str, headers: bytes = b"") -> None:
        """Give the last word here. It is about no operation, so it has a type of nobody's."""
        code, _, title = status.partition(" ")
        body = b'{"type":"about:blank","title":"%b","status":%b}' % (title.encode(), code.encode())
        self.transport.write(_PROBLEM % (status.encode(), headers, len(body), body))
        self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
