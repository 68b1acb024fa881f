"""Somebody who attacks an API from a process of its own, within bounds of number and time, on this machine only.

    python -m tests.hostile.attacker PORT TOKEN CASE NUMBER SEED [AUTHORITY]

Strikes come over many connections at once; beside them some clients send slowly, some take no answer, and a great many
only hold a connection. With the certificate of an authority all of them speak TLS, but those who only hold a
connection and say nothing. What became of all that is told on standard output.
"""

import asyncio
import re
import resource
import socket
import ssl
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import orjson

from tests.hostile.attacks import MARK, Attacker, Strike, Target, head

AT_ONCE: Final = 64
SLOW: Final = 20
"""Slow clients of each kind."""

DEAF: Final = 20
IDLE: Final = 2_500
"""Connections that are only held: more than the server has."""

AGAIN: Final = 0.005
"""Seconds between two connections that are only held: as many as that are made anew."""

PATIENCE: Final = 90.0
"""Seconds after which a connection that was to be read to its end has been forgotten."""

_STATUS: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass
class Told:
    """What became of an attack.

    requests: how many were sent; beside: how many clients were slow, took no answer, or only held a connection
    answered: how many answers came, by status; let_go: how often the server had enough of a client that was slow
    echoed: answers that held what was sent; forgotten: connections that were neither answered to the end nor closed
    held: how many connections were only held at the end
    """

    requests: int = 0
    beside: int = 0
    let_go: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    echoed: int = 0
    forgotten: int = 0
    held: int = 0


class Attack:
    """One attack."""

    def __init__(self, port: int, target: Target, seed: int, tls: ssl.SSLContext | None) -> None:
        self._port = port
        self._tls = tls
        self._target = target
        self._attacker = Attacker(target, Random(seed))
        self.told = Told()
        self._held: list[socket.socket] = []

    async def run(self, number: int) -> Told:
        """Send so many requests."""
        slow = [self._slow(begun) for begun in self._beginnings() for _ in range(SLOW)]
        beside = [*slow, *(self._deaf() for _ in range(DEAF)), self._hold()]
        running = [asyncio.create_task(each) for each in beside]
        await asyncio.gather(*(self._strikes(number) for _ in range(AT_ONCE)))
        while self.told.let_go < len(slow):
            await self._strikes(self.told.requests + 1)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        self.told.held = sum(_is_open(each) for each in self._held)
        return self.told

    async def _connected(self, limit: int = 1 << 16) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, limit=limit, ssl=self._tls)

    async def _strikes(self, number: int) -> None:
        while self.told.requests < number:
            strike = self._attacker.strike()
            self.told.requests += strike.number
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._struck(strike)
            except TimeoutError:
                self.told.forgotten += 1
            except OSError:
                continue

    async def _struck(self, strike: Strike) -> None:
        reader, writer = await self._connected()
        try:
            for part in strike.parts:
                writer.write(part)
                # A server that takes no more leaves some of it here.
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await writer.drain()
            match strike.end:
                case "read":
                    await self._hear(reader)
                case "half":
                    if writer.can_write_eof():
                        with suppress(OSError):
                            writer.write_eof()
                    await self._hear(reader)
                case "reset":
                    used = writer.get_extra_info("socket")
                    used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        finally:
            writer.transport.abort() if strike.end == "reset" else writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Hear what comes until the server lets go."""
        while came := await reader.read(1 << 16):
            self._heard(came)

    def _heard(self, came: bytes) -> None:
        self.told.answered.update(status.decode() for status in _STATUS.findall(came))
        self.told.echoed += MARK.encode() in came

    async def _slow(self, begun: bytes) -> None:
        """Begin a request, go on a byte at a time until nobody listens any more, and begin again."""
        while True:
            self.told.beside += 1
            with suppress(OSError):
                reader, writer = await self._connected()
                try:
                    writer.write(begun)
                    while not reader.at_eof() and not writer.is_closing():
                        writer.write(b"x")
                        with suppress(TimeoutError):
                            async with asyncio.timeout(0.5):
                                self._heard(await reader.read(1 << 16))
                    self.told.let_go += 1
                finally:
                    writer.transport.abort()

    def _beginnings(self) -> Sequence[bytes]:
        """Nothing, a part of a head, and a head whose body is waited for."""
        said = f"Authorization: Bearer {self._target.token}".encode(), b"Content-Type: application/json"
        path = f"/v1/cases/{self._target.case}/response-submitted"
        return (
            b"",
            b"GET /v1/clinic HTTP/1.1\r\nHost: clinic\r\nX: ",
            head("POST", path, *said, b"Content-Length: 9999"),
        )

    async def _deaf(self) -> None:
        """Ask for much, and take none of it, until nobody listens any more; then begin again."""
        asked = head("GET", "/openapi.json", f"Authorization: Bearer {self._target.token}".encode()) * 50
        while True:
            self.told.beside += 1
            with suppress(OSError):
                _, writer = await self._connected(limit=1)
                try:
                    writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport that reads can pause
                    writer.write(asked)
                    # Whoever is let go of finds that out by writing.
                    while not writer.is_closing():
                        await asyncio.sleep(0.5)
                        writer.write(b"\r\n")
                finally:
                    writer.transport.abort()

    async def _hold(self) -> None:
        """Hold connections, and come again for those that were lost."""
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500
        while True:
            self._held = [each for each in self._held if _is_open(each)]
            for _ in range(min(IDLE, allowed) - len(self._held)):
                self.told.beside += 1
                with suppress(OSError):
                    held = socket.create_connection(("127.0.0.1", self._port), timeout=5)
                    held.setblocking(False)
                    self._held.append(held)
                await asyncio.sleep(AGAIN)
            await asyncio.sleep(1)


def _is_open(held: socket.socket) -> bool:
    """Tell whether a connection is still there; let go of one that is not."""
    try:
        is_there = held.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        is_there = False
    if not is_there:
        held.close()
    return is_there


if __name__ == "__main__":
    _port, _token, _case, _number, _seed, *_authority = sys.argv[1:]
    _, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))
    _tls = ssl.create_default_context(cafile=_authority[0]) if _authority else None
    _told = asyncio.run(Attack(int(_port), Target(_token, _case), int(_seed), _tls).run(int(_number)))
    sys.stdout.buffer.write(orjson.dumps(vars(_told)))
