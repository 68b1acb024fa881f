"""A request waits for a bounded time, and a bounded number of them waits."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from starlette.responses import Response

from services.ingest.access import TOKENS, Client, Tokens
from services.ingest.http.api import Api
from services.ingest.http.reception import Asked
from services.ingest.http.room import BYTES_OF_A_REQUEST, BYTES_TOGETHER
from services.runtime.health import Health
from tests.support.asgi import Answer, ask

OF_A_CLINIC = BYTES_TOGETHER // BYTES_OF_A_REQUEST // 2
"""Requests of one clinic that can wait at a time."""


class Waiting:
    """An operation that waits for something, and clients of two clinics who ask for it."""

    def __init__(self, tokens: Tokens, within: float) -> None:
        self.waits = asyncio.Event()
        self.in_hand = 0
        api = Api(lambda: None, tokens, Health(waits_for=[]))
        self._app = api.app(waits=api.closed(["ehr"], self._handle, within))
        self._tokens = {
            clinic: tokens.make(Client(clinic, "ehr", clinic), datetime.now(UTC)) for clinic in ("north", "south")
        }

    async def _handle(self, _: Asked) -> Response:
        self.in_hand += 1
        await self.waits.wait()
        return Response()

    async def ask(self, clinic: str = "north") -> Answer:
        return await ask(self._app, "GET", "/waits", headers={"authorization": f"Bearer {self._tokens[clinic]}"})


async def test_who_is_not_answered_in_time_is_told_to_come_again(tmp_path: Path) -> None:
    waiting = Waiting(Tokens(tmp_path / TOKENS), within=0.05)
    async with asyncio.timeout(30):
        answer = await waiting.ask()
    assert (answer.problem, answer.headers["retry-after"]) == ((503, "busy"), "2")


async def test_who_comes_when_too_many_wait_is_told_to_come_again_at_once(tmp_path: Path) -> None:
    # given as many who wait as there can be of one clinic
    waiting = Waiting(Tokens(tmp_path / TOKENS), within=600)
    asked = [asyncio.create_task(waiting.ask()) for _ in range(OF_A_CLINIC)]
    async with asyncio.timeout(60):
        while waiting.in_hand < OF_A_CLINIC:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

        # when more come, then another one of that clinic is told so, and the others are answered
        asked.append(asyncio.create_task(waiting.ask("south")))
        assert (await waiting.ask()).problem == (503, "busy")
        waiting.waits.set()
        assert {(await each).status for each in asked} == {200}
