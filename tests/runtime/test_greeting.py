"""Whoever connects to an encrypted port, and says nothing or goes again, keeps nobody out."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass

import pytest
import trustme

from services.runtime.greeting import AT_MOST, WITHIN, Greeting

PATIENCE = 30.0
AT_ONCE = WITHIN / 2
"""Seconds: before any client that says nothing has had its time."""


class Echo(asyncio.Protocol):
    """Says again what it is told, and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)
        self._transport.close()


@dataclass(frozen=True)
class Port:
    """An encrypted port, and how a client trusts it."""

    number: int
    trusting: ssl.SSLContext
    silent: ExitStack

    async def told(self, said: bytes) -> bytes:
        """Tell it something, and give what it says."""
        async with asyncio.timeout(AT_ONCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.number, ssl=self.trusting)
            writer.write(said)
            answer = await reader.read()
            writer.close()
            return answer

    def knock(self) -> socket.socket:
        """Connect, and say nothing for as long as the port is there."""
        return self.silent.enter_context(closing(socket.create_connection(("127.0.0.1", self.number))))


@asynccontextmanager
async def encrypted() -> AsyncIterator[Port]:
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trusting)
    greeting = Greeting(context, Echo)
    server = await asyncio.get_running_loop().create_server(greeting, "127.0.0.1", 0, backlog=4 * AT_MOST)
    async with server:
        with ExitStack() as silent:
            yield Port(server.sockets[0].getsockname()[1], trusting, silent)
        async with asyncio.timeout(PATIENCE):
            while len(greeting) > 0:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)


async def was_let_go_of(connection: socket.socket) -> bool:
    """Wait until the other side has ended a connection, and tell that it said nothing."""
    connection.setblocking(False)
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionResetError):
            return await asyncio.get_running_loop().sock_recv(connection, 1) == b""
        return True


async def test_who_agrees_is_heard_and_answered() -> None:
    async with encrypted() as port:
        assert await port.told(b"hello") == b"hello"


async def test_as_many_as_there_may_be_who_say_nothing_keep_nobody_out() -> None:
    async with encrypted() as port:
        for _ in range(3 * AT_MOST):
            port.knock()
        assert await port.told(b"hello") == b"hello"


async def test_many_who_come_and_go_at_once_keep_nobody_out() -> None:
    async with encrypted() as port:
        for _ in range(3 * AT_MOST):
            port.knock().close()
        assert await port.told(b"hello") == b"hello"


async def test_who_has_been_there_for_longest_and_says_nothing_makes_room() -> None:
    # given as many who say nothing as there may be
    async with encrypted() as port:
        waiting = [port.knock() for _ in range(AT_MOST)]
        assert await port.told(b"hello") == b"hello"

        # then the first of them was let go of, and no other
        first, second = waiting[:2]
        assert await was_let_go_of(first)
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.recv(1)


async def test_who_has_agreed_is_counted_no_more() -> None:
    # given a client that has agreed, and after it as many who say nothing as there may be
    async with encrypted() as port, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number, ssl=port.trusting)
        for _ in range(2 * AT_MOST):
            port.knock()
        assert await port.told(b"hello") == b"hello"

        # when it says something, then it is answered
        writer.write(b"still here")
        assert await reader.read() == b"still here"
        writer.close()


async def test_who_does_not_agree_in_time_is_let_go_of() -> None:
    async with encrypted() as port, asyncio.timeout(PATIENCE):
        assert await was_let_go_of(port.knock())
