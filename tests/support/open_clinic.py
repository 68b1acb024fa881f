"""A clinic in one process whose API is called as its clients call it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from starlette.routing import Router

from contracts.events.event import Data, Event
from contracts.events.facts import SessionScheduled
from contracts.topics import CASES
from services.embedded import EmbeddedHome
from services.ingest.access import Client, Role, Tokens
from services.ingest.cases import Cases
from services.ingest.domain.register import Register, Registered
from services.runtime.log.port import StoredRecord
from tests.support.asgi import Answer, ask
from tests.support.clock import Clock
from tests.support.command import PATIENCE
from tests.support.described import assert_described
from tests.support.said import said_on

NOW: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
ENROLMENT: Final = {"number": "1001", "protocol": "group-cbt-depression-14", "policy": "gryesten-2023"}
SECRET: Final = "nobody at home knows"
ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
RESPONSE: Final[Mapping[str, Any]] = {
    "session": 1,
    "instrument": "odsis",
    "answers": dict.fromkeys(ODSIS, 2),
    "comment": SECRET,
    "answered_at": "2026-01-05T07:30:00Z",
}


class Clinic:
    """A running embedded home, whose API is called as a client."""

    def __init__(self, app: Router, home: EmbeddedHome, tokens: Tokens, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.home = home
        self._tokens = tokens
        self._secrets: dict[tuple[Role, str], str] = {}
        self._keys = 0

    def secret(self, role: Role, clinic: str) -> str:
        """The token of a client."""
        if (role, clinic) not in self._secrets:
            self._secrets[role, clinic] = self._tokens.make(Client(f"the-{role}", role, clinic), NOW)
        return self._secrets[role, clinic]

    def replace_token(self, role: Role, clinic: str, name: str) -> None:
        """Have a client of this name come with another token from now on."""
        self._secrets[role, clinic] = self._tokens.make(Client(name, role, clinic), NOW)

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        role: Role = "admin",
        clinic: str = "north",
        key: str | None = None,
        **headers: str,
    ) -> Answer:
        """Send a request, with a key of its own unless one is given."""
        self._keys += 1
        sent = {
            "authorization": f"Bearer {self.secret(role, clinic)}",
            "content-type": "application/json",
            "idempotency-key": key or f"key-{self._keys}",
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
        answer = await ask(self.app, method, path, headers=sent, body=[content])
        assert_described(method, path, answer)
        return answer

    async def enrolled(self, **changes: Any) -> str:
        """Enrol a case; give its id."""
        answer = await self.ask("POST", "/v1/cases", {**ENROLMENT, **changes})
        assert answer.status == 201, answer.body
        case_id: str = answer.json["case"]
        return case_id

    async def records(self, partition: int) -> Sequence[StoredRecord]:
        """The records of a partition of the facts."""
        return await self.home.log.read(CASES, partition, 0, 100_000)

    async def facts(self, *kinds: type[Data]) -> list[Event[Data]]:
        """The facts on the log, all or those of some types."""
        return await said_on(self.home.log, self.home.keyring, CASES, *kinds)


def fails(register: Register, case_id: str) -> None:
    """Let a register fail at every session of a case, so that it halts there."""
    step = register.step

    def failing(state: Registered, event: Event[Data]) -> tuple[Registered, Sequence[Event[Data]]]:
        if event.subject == case_id and isinstance(event.data, SessionScheduled):
            raise ValueError("it fails")
        return step(state, event)

    setattr(register, "step", failing)  # noqa: B010 - a fault of the program


async def halted(clinic: Clinic, case_id: str, whose: str = "north") -> Cases:
    """Let the register halt a case; give what is known of cases in another process, which has none at hand."""
    home = clinic.home
    fails(home.register, case_id)
    said = {"session": 9, "scheduled": (NOW + timedelta(weeks=9)).isoformat()}
    assert (await clinic.ask("POST", f"/v1/cases/{case_id}/session-scheduled", said, clinic=whose)).status == 201
    async with asyncio.timeout(PATIENCE):
        while not await home.halted() or await home.waiting([home.register]):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    return Cases(home.log, home.store, home.keyring)
