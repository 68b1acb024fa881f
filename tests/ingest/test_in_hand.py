"""A request waits for a bounded time, and a bounded number of them waits."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from starlette.responses import Response
from starlette.routing import Route

from services.ingest.access import TOKENS, Client, Tokens
from services.ingest.http.api import IN_HAND_AT_MOST, Api
from services.ingest.http.reception import Asked
from services.runtime.health import Health
from tests.support.asgi import Answer, ask


class Waiting:
    """An operation that waits for something, and a client who asks for it."""

    def __init__(self, tokens: Tokens, within: float) -> None:
        self.waits = asyncio.Event()
        self.in_hand = 0
        api = Api(lambda: None, tokens, Health(waits_for=[]))
        self._app = api.app(Route("/waits", api.closed(["ehr"], self._handle, within)))
        self._credential = f"Bearer {tokens.make(Client('records', 'ehr', 'north'), datetime.now(UTC))}"

    async def _handle(self, _: Asked) -> Response:
        self.in_hand += 1
        await self.waits.wait()
        return Response()

    async def ask(self) -> Answer:
        return await ask(self._app, "GET", "/waits", headers={"authorization": self._credential})


async def test_who_is_not_answered_in_time_is_told_to_come_again(tmp_path: Path) -> None:
    waiting = Waiting(Tokens(tmp_path / TOKENS), within=0.05)
    async with asyncio.timeout(30):
        answer = await waiting.ask()
    assert (answer.problem, answer.headers["retry-after"]) == ((503, "busy"), "2")


async def test_who_comes_when_too_many_wait_is_told_to_come_again_at_once(tmp_path: Path) -> None:
    # given as many who wait as there can be
    waiting = Waiting(Tokens(tmp_path / TOKENS), within=600)
    asked = [asyncio.create_task(waiting.ask()) for _ in range(IN_HAND_AT_MOST)]
    async with asyncio.timeout(60):
        while waiting.in_hand < IN_HAND_AT_MOST:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

        # when another one comes, then that one is told so, and the others are answered
        assert (await waiting.ask()).problem == (503, "busy")
        waiting.waits.set()
        assert {(await each).status for each in asked} == {200}
