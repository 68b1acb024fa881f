"""What ingest is compared with: endpoints that record a body on Kafka and do nothing else, each a process of its own.

    python -m tests.benchmarks.endpoints bare|typed SERVERS TOPIC

`bare` is an ASGI application that reads a body; `typed` is FastAPI with a model of it. Both are answered when the
record is acknowledged by all copies.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from pydantic import AwareDatetime, BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from services.runtime.brokers import Brokers
from services.runtime.http import Config

ENDPOINTS: Final = ("bare", "typed")


class Producing:
    """A producer as ingest has it."""

    def __init__(self, brokers: Brokers, topic: str) -> None:
        self._producer = AIOKafkaProducer(**brokers.arguments(), acks="all", enable_idempotence=True)
        self._topic = topic

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def recorded(self, key: str, value: bytes) -> None:
        """Record something, and wait until it is acknowledged."""
        await self._producer.send_and_wait(self._topic, value, key=key.encode())


class Bare:
    """An ASGI application that records each body."""

    def __init__(self, producing: Producing) -> None:
        self._producing = producing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await self._producing.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._producing.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, is_whole = b"", False
        while not is_whole:
            message = await receive()
            body += message["body"]
            is_whole = not message["more_body"]
        await self._producing.recorded(scope["path"], body)
        answer = b'{"recorded":true}'
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Response(BaseModel):
    """The body of a response, typed."""

    session: int = Field(ge=0, le=999)
    instrument: str = Field(max_length=160)
    answers: dict[str, int]
    comment: str | None = Field(default=None, max_length=2_000)
    answered_at: AwareDatetime


class Recorded(BaseModel):
    """What is answered."""

    case: str
    recorded: datetime


def typed(producing: Producing) -> FastAPI:
    """Give a FastAPI application that records each body."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await producing.start()
        yield
        await producing.stop()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/cases/{case}/response-submitted", status_code=201)
    async def response_submitted(case: str, response: Response) -> Recorded:
        await producing.recorded(case, response.model_dump_json().encode())
        return Recorded(case=case, recorded=response.answered_at)

    return app


async def _served(endpoint: str, brokers: Brokers, topic: str) -> None:
    producing = Producing(brokers, topic)
    app: ASGIApp = Bare(producing) if endpoint == "bare" else typed(producing)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        await uvicorn.Server(Config(app)).serve(sockets=[listening])


if __name__ == "__main__":
    _endpoint, _servers, _topic = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(_served(_endpoint, Brokers(_servers), _topic))
