"""Whatever a client does, or does not do: the server answers the others, and lets go of what is drawn out."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.runtime.http import FILES_KEPT, LIMITS, Config, Connection

PATIENCE: Final = 30.0
SOON: Final = 0.2
QUICK: Final = replace(LIMITS, request=SOON, answer=SOON)
LARGE: Final = b"x" * (64 << 20)
"""More than the system keeps for a client that does not take it."""


class Site:
    """An application: `/` answers at once, `/read` when it has the body, `/wait` when it is let, `/large` at length."""

    def __init__(self) -> None:
        self.waiting = asyncio.Semaphore(0)
        self.go = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/", self._at_once, methods=["GET", "POST"]),
                Route("/read", self._read, methods=["POST"]),
                Route("/wait", self._wait),
                Route("/large", self._large),
            ]
        )

    async def _at_once(self, _: Request) -> Response:
        return Response(b"here")

    async def _read(self, request: Request) -> Response:
        return Response(b"%d" % len(await request.body()))

    async def _wait(self, _: Request) -> Response:
        self.waiting.release()
        await self.go.wait()
        return Response(b"waited")

    async def _large(self, _: Request) -> Response:
        return Response(LARGE)


@dataclass(frozen=True)
class Served:
    """A server in this process, and what it serves."""

    site: Site
    server: uvicorn.Server
    port: int

    @property
    def connections(self) -> list[Connection]:
        return [each for each in self.server.server_state.connections if isinstance(each, Connection)]


@asynccontextmanager
async def served(config: Config, site: Site) -> AsyncIterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield Served(site, server, listening.getsockname()[1])
        site.go.set()
        server.should_exit = True
        await serving


@dataclass(frozen=True)
class Line:
    """A connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, content: bytes) -> None:
        self.writer.write(content)

    async def answer(self) -> tuple[int, bytes]:
        """The next answer: its status and its body."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def ended(self) -> bytes:
        """What comes until the server lets go of it."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def line(to: Served) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def post(path: str, length: int, body: bytes = b"") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTT", id="a part of a head"),
        pytest.param(post("/read", 10, b"part"), id="a part of a body that is waited for"),
        pytest.param(get("/") + b"GET / HTT", id="a part of a second head"),
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_given_up(begun: bytes) -> None:
    site = Site()
    async with served(Config(site.app, QUICK), site) as server, line(server) as slow:
        slow.send(begun)
        await slow.ended()


async def test_a_body_that_goes_on_after_its_answer_is_given_up() -> None:
    site = Site()
    async with served(Config(site.app, QUICK), site) as server, line(server) as slow:
        # given a request that is answered before its body is there
        slow.send(post("/", 1 << 30, b"part"))
        assert await slow.answer() == (200, b"here")

        # when more of it comes, and never the end
        slow.send(b"more")

        # then it is given up
        await slow.ended()


async def test_a_request_that_comes_in_pieces_in_time_is_answered() -> None:
    site = Site()
    async with served(Config(site.app), site) as server, line(server) as slow:
        for piece in post("/read", 4, b"body").decode():
            slow.send(piece.encode())
            await slow.writer.drain()
        assert await slow.answer() == (200, b"4")


async def test_a_client_that_does_not_take_its_answer_is_let_go() -> None:
    site = Site()
    async with served(Config(site.app, QUICK), site) as server, line(server) as deaf:
        # given a client that asks for much and takes nothing
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads can pause
        deaf.send(get("/large"))

        # then the server does not keep the answer for it
        async with asyncio.timeout(PATIENCE):
            while not server.connections or server.connections[0].cycle is None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
            while server.connections:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_one_connection_too_many_takes_the_place_of_the_one_unused_for_longest() -> None:
    site = Site()
    config = Config(site.app, replace(LIMITS, connections=3))
    async with served(config, site) as server, line(server) as first, line(server) as second, line(server) as third:
        # given as many connections as there may be: the first was used last, and the third waits for its answer
        third.send(get("/wait"))
        await site.waiting.acquire()
        for each in (second, first):
            each.send(get("/"))
            assert await each.answer() == (200, b"here")

        # when another one comes
        async with line(server) as fourth:
            fourth.send(get("/"))

            # then it is answered, and the second was let go of for it
            assert await fourth.answer() == (200, b"here")
            assert await second.ended() == b""
            first.send(get("/"))
            assert await first.answer() == (200, b"here")
            site.go.set()
            assert await third.answer() == (200, b"waited")


async def test_one_connection_too_many_is_refused_where_all_wait_for_an_answer() -> None:
    site = Site()
    config = Config(site.app, replace(LIMITS, connections=2))
    async with served(config, site) as server, line(server) as first, line(server) as second:
        for each in (first, second):
            each.send(get("/wait"))
            await site.waiting.acquire()
        async with line(server) as third:
            refused = await third.ended()
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 2\r\n" in refused
        site.go.set()
        for each in (first, second):
            assert await each.answer() == (200, b"waited")


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000, id="a head that is too long"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: here\r\nContent-Length: many\r\n\r\n", id="a length that is no number"),
        pytest.param(
            b"POST /read HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="a chunk without size"
        ),
    ],
)
async def test_what_is_no_http_is_told_so_in_a_problem_document(hostile: bytes) -> None:
    site = Site()
    async with served(Config(site.app), site) as server, line(server) as client:
        client.send(hostile)
        head, _, body = (await client.ended()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")
        assert orjson.loads(body) == {"type": "about:blank", "title": "Bad Request", "status": 400}


async def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_first_part() -> None:
    site = Site()
    async with served(Config(site.app), site) as server, line(server) as client:
        client.send(get("/"))
        await client.answer()
        (connection,) = server.connections
        used = connection.transport.get_extra_info("socket")
        assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@contextmanager
def files_allowed(soft: int) -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_connections_leave_files_for_everything_else() -> None:
    # given a process that may have few files, though more on asking
    app = Site().app
    with files_allowed(512):
        # when it is to serve more connections, then it asks
        assert Config(app, replace(LIMITS, connections=1_000)).connections == 1_000
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1_000 + FILES_KEPT

    # and where it gets no more, it has as many connections as leave some for the rest
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert Config(app, replace(LIMITS, connections=hard + 1)).connections == hard - FILES_KEPT
