"""A client of an HTTP server as a process of its own: so many connections, each with one request after the other.

It reads the requests of a round from a file, sends them, and says on standard output what became of them.
"""

import asyncio
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

_LENGTH: Final = struct.Struct(">I")
_CONTENT_LENGTH: Final = b"content-length: "


@dataclass(frozen=True)
class Sent:
    """What became of a round.

    wall, cpu: seconds by the clock, and of a core that the client took; latencies: seconds from the sending of each
    request until its answer was there, whole; statuses: how many of each came
    """

    wall: float
    cpu: float
    latencies: Sequence[float]
    statuses: dict[str, int]


def posted(port: int, path: str, body: bytes, **headers: str) -> bytes:
    """Give the bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def send(port: int, requests: Iterable[bytes], folder: Path, connections: int) -> Sent:
    """Send the requests of a round from a process of its own."""
    file = folder / "requests"
    with file.open("wb") as stream:
        for request in requests:
            stream.write(_LENGTH.pack(len(request)) + request)
    command = [sys.executable, "-m", __name__, str(port), str(file), str(connections)]
    return Sent(**orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


class _Connection(asyncio.Protocol):
    """One connection: it sends the next request when the answer to the one before is there."""

    def __init__(self, left: Iterator[bytes], latencies: list[float], statuses: Counter[str]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = left
        self._latencies = latencies
        self._statuses = statuses
        self._came = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self) -> None:
        """Send the next request, if there is one."""
        request = next(self._left, None)
        if request is None:
            self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        _, _, length = head.partition(_CONTENT_LENGTH)
        if len(body) < int(length.partition(b"\r")[0]):
            return
        self._latencies.append(time.perf_counter() - self._began)
        self._statuses[head[9:12].decode()] += 1
        self._came = b""
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server has closed a connection"))


async def _sent(port: int, requests: Sequence[bytes], connections: int) -> Sent:
    left, latencies, statuses = iter(requests), list[float](), Counter[str]()
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: _Connection(left, latencies, statuses), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    began, used = time.perf_counter(), time.process_time()
    for connection in made:
        connection.begin()
    await asyncio.gather(*(connection.done for connection in made))
    return Sent(time.perf_counter() - began, time.process_time() - used, latencies, dict(statuses))


def _read(file: Path) -> list[bytes]:
    content, requests, at = file.read_bytes(), list[bytes](), 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        requests.append(content[at : at + length])
        at += length
    return requests


if __name__ == "__main__":
    _port, _file, _connections = sys.argv[1:]
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(_sent(int(_port), _read(Path(_file)), int(_connections)))))
