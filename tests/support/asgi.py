"""Requests to an application in this process, with no network in between."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.routing import Router
from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the code of a problem, told by a problem document or by an outcome of FHIR."""
        if self.headers["content-type"] == "application/fhir+json":
            return self.status, self.issues[0]["details"]["coding"][0]["code"]
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.status, self.json["type"].removeprefix("urn:ontrack:problem:")

    @property
    def issues(self) -> list[dict[str, Any]]:
        """What an outcome of FHIR says."""
        assert self.json["resourceType"] == "OperationOutcome"
        return list(self.json["issue"])

    @property
    def pointers(self) -> list[str]:
        """Where a problem document says that something is wrong."""
        return [fault["pointer"] for fault in self.json["errors"]]


async def ask(
    app: ASGIApp, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Sequence[bytes] = ()
) -> Answer:
    """Send a request whose body comes in some pieces."""
    chunks: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in body]
    chunks.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        return chunks.pop(0) if chunks else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": encoded,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    start, *rest = sent
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(each.get("body", b"") for each in rest))


@asynccontextmanager
async def started(app: Router) -> AsyncIterator[None]:
    """Have what an application does from its start to its end done."""
    async with app.lifespan_context(app):
        yield
