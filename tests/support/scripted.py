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
_HELLO: Final[Reply] = {
    "ok": 1.0,
    "ismaster": True,
    "helloOk": True,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
}


class _Answering(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        while header := self._received(_HEADER.size):
            length, request, _, operation = _HEADER.unpack(header)
            body = self._received(length - _HEADER.size)
            if operation == _OP_QUERY:
                self._send(1, request, struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(_HELLO))
                continue
            size = struct.unpack_from("<i", body, 5)[0]
            command = next(iter(bson.decode(body[5 : 5 + size])))
            answers: Sequence[Reply] = self.server.script.get(command, [_HELLO])  # type: ignore[attr-defined]
            heard: list[str] = self.server.heard  # type: ignore[attr-defined]
            answer = answers[min(heard.count(command), len(answers) - 1)]
            heard.append(command)
            self._send(_OP_MSG, request, struct.pack("<ib", 0, 0) + bson.encode(answer))

    def _received(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (some := self.request.recv(size - len(found))):
            found += some
        return found

    def _send(self, operation: int, request: int, body: bytes) -> None:
        self.request.sendall(_HEADER.pack(_HEADER.size + len(body), 1, request, operation) + body)


@contextmanager
def scripted(**script: Sequence[Reply]) -> Iterator[str]:
    """Answer each command by its replies in turn, and then by the last of them; give the URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answering) as server:
        server.daemon_threads = True
        server.script, server.heard = script, []  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"mongodb://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
