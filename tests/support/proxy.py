"""A network between a client and a server that can stall, break off, or be slow."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from enum import Enum
from threading import Event, Thread
from typing import Self


class Line(Enum):
    """What becomes of what is sent."""

    OPEN = "it passes"
    STALLED = "it waits, and so does whoever sent it"
    MUTE = "requests pass, and answers wait"
    CUT = "connections are closed, and new ones too"


class Proxy:
    """Passes on what comes to its port. It runs in a thread of its own, so that nothing else stalls with it."""

    def __init__(self, host: str, port: int, *, listen: int = 0, delay: float = 0.0) -> None:
        """Stand before `host:port`. delay: seconds that every answer of the server takes longer."""
        self.delay = delay
        self._target = host, port
        self._line = Line.OPEN
        self._of = b""
        self._awaited: bytes | None = None
        self._changed: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening = Event()
        self.port = listen
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        self._listening.wait()

    def set(self, line: Line, of: bytes = b"") -> None:
        """Change what becomes of what is sent; what stalls, does on connections that begin with these bytes in them."""
        asyncio.run_coroutine_threadsafe(self._set(line, of), self._loop).result()

    def stall_at(self, request: bytes) -> None:
        """Stall at the next request that has these bytes in it; `has_stalled` tells when."""
        self._awaited = request

    @property
    def has_stalled(self) -> bool:
        """Whether nothing comes through."""
        return self._line is Line.STALLED

    def close(self) -> None:
        """Stop."""
        self.set(Line.CUT)
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._listening.set()
        self._loop.run_forever()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        if pending:
            self._loop.run_until_complete(asyncio.wait(pending))
        self._loop.close()

    async def _listen(self) -> None:
        self._changed = asyncio.Event()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, line: Line, of: bytes) -> None:
        self._line, self._of = line, of
        assert self._changed is not None
        self._changed.set()
        self._changed = asyncio.Event()
        if line is Line.CUT:
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._line is Line.CUT:
                return
            with suppress(OSError):
                behind, server = await asyncio.open_connection(*self._target)
                self._writers.add(server)
                try:
                    first = bytearray()
                    passing = [
                        asyncio.ensure_future(self._pass(reader, server, 0.0, {Line.STALLED}, first)),
                        asyncio.ensure_future(self._pass(behind, writer, self.delay, {Line.STALLED, Line.MUTE}, first)),
                    ]
                    await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._writers.discard(server)
                    server.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        delay: float,
        stopped_by: Collection[Line],
        first: bytearray,
    ) -> None:
        """Pass on what one side sends. first: with what the connection began."""
        with suppress(OSError):
            while data := await reader.read(65_536):
                if not first:
                    first.extend(data)
                if delay:
                    await asyncio.sleep(delay)
                if Line.MUTE not in stopped_by and self._awaited is not None and self._awaited in data:
                    self._awaited, self._line = None, Line.STALLED
                while self._line in stopped_by and self._of in first and self._changed is not None:
                    await self._changed.wait()
                writer.write(data)
                await writer.drain()
