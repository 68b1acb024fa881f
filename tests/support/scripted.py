"""A server that speaks as MongoDB does and answers what it is told to: for answers that the stand-in never gives."""

import socketserver
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

import bson

Reply = Mapping[str, Any]

_HEADER: Final = struct.Struct("<iiii")
_OP_QUERY: Final = 2004
_OP_MSG: Final = 2013
HELLO: Final[Reply] = {
    "ok": 1.0,
    "ismaster": True,
    "helloOk": True,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
}


class _Scripted(socketserver.ThreadingTCPServer):
    """Answers each command by its replies in turn, and then by the last of them."""

    daemon_threads = True

    def __init__(self, script: Mapping[str, Sequence[Reply]], heard: list[Reply]) -> None:
        self.heard = heard
        self._left = {command: list(replies) for command, replies in script.items()}
        super().__init__(("127.0.0.1", 0), _Answering)

    def answer(self, command: str) -> Reply:
        left = self._left.get(command, [HELLO])
        return left.pop(0) if len(left) > 1 else left[0]


class _Answering(socketserver.BaseRequestHandler):
    """One connection."""

    server: _Scripted

    def handle(self) -> None:
        while header := self._received(_HEADER.size):
            length, request, _, operation = _HEADER.unpack(header)
            body = self._received(length - _HEADER.size)
            if operation == _OP_QUERY:
                self._send(1, request, struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(HELLO))
                continue
            size = struct.unpack_from("<i", body, 5)[0]
            asked = bson.decode(body[5 : 5 + size])
            self.server.heard.append(asked)
            command = next(iter(asked))
            self._send(_OP_MSG, request, struct.pack("<ib", 0, 0) + bson.encode(self.server.answer(command)))

    def _received(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (some := self.request.recv(size - len(found))):
            found += some
        return found

    def _send(self, operation: int, request: int, body: bytes) -> None:
        self.request.sendall(_HEADER.pack(_HEADER.size + len(body), 1, request, operation) + body)


@contextmanager
def scripted(heard: list[Reply] | None = None, **script: Sequence[Reply]) -> Iterator[str]:
    """Answer each command by its replies in turn, and then by the last of them; give the URL. heard: gets each."""
    with _Scripted(script, [] if heard is None else heard) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"mongodb://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
