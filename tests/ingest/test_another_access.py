"""Another way of proving who asks takes the place of tokens: it is handed over, and nothing else changes."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.embedded import EmbeddedHome
from services.ingest.access import AccessUnusable, Client
from services.ingest.app import IngestService
from services.ingest.settings import IngestSettings
from services.runtime.unavailable import Unavailable
from services.up import Up
from tests.support.asgi import Answer, ask, started
from tests.support.clock import Clock
from tests.support.open_clinic import ENROLMENT, NOW, RESPONSE

PASSES: Final[Mapping[str, Client]] = {
    "Bearer record": Client("records", "ehr", "north"),
    "Bearer phone": Client("phones", "patient-app", "north"),
    "Bearer other": Client("records", "ehr", "south"),
}


class Issuer:
    """Knows who shows which pass, and is asked elsewhere: so it can be away, or known no more."""

    def __init__(self) -> None:
        self.wrong: Exception | None = None

    async def client(self, authorization: str | None) -> Client | None:
        await asyncio.sleep(0)
        if self.wrong is not None:
            raise self.wrong
        return PASSES.get(authorization or "")


async def test_clients_of_an_issuer_are_let_in_as_those_with_tokens_are(tmp_path: Path) -> None:
    # given a clinic whose clients show passes of an issuer
    issuer = Issuer()
    app = Up(await EmbeddedHome.found(tmp_path / "home", clock=Clock(NOW)), issuer).app()

    async def asked(path: str, body: object, who: str) -> Answer:
        headers = {"authorization": who, "content-type": "application/json", "idempotency-key": path}
        return await ask(app, "POST", path, headers=headers, body=[json.dumps(body).encode()])

    async with started(app):
        # when they ask, then each does what its role and its clinic may
        enrolled = await asked("/v1/cases", ENROLMENT, "Bearer record")
        assert enrolled.status == 201
        answering = f"/v1/cases/{enrolled.json['case']}/response-submitted"
        assert (await asked("/v1/cases", ENROLMENT, "Bearer phone")).problem == (403, "not-allowed")
        assert (await asked(answering, RESPONSE, "Bearer other")).problem == (404, "unknown-case")
        assert (await asked(answering, RESPONSE, "Bearer nobody")).problem == (401, "no-credential")
        assert (await asked(answering, RESPONSE, "Bearer phone")).status == 201

        # and while the issuer is away, or something is to be mended, nobody is let in, and nothing is told of why
        for wrong, problem in ((Unavailable("SECRET"), (503, "busy")), (AccessUnusable("SECRET"), (500, "fault"))):
            issuer.wrong = wrong
            refused = await asked(answering, RESPONSE, "Bearer phone")
            assert refused.problem == problem
            assert b"SECRET" not in refused.body


async def test_a_service_of_a_region_lets_in_whom_it_is_handed_over_to_know(
    tmp_path: Path,
) -> None:
    # given a service that has not reached its servers yet, and an issuer
    settings = IngestSettings(
        kafka_servers="127.0.0.1:1",
        mongodb_url="mongodb://127.0.0.1:1",
        master_key_file=tmp_path / "master.key",
        tokens_file=tmp_path / "tokens.json",
        api_port=0,
    )
    (beside,) = IngestService(settings, Issuer()).beside()

    # then who shows a pass is told to come again, and nobody else is told anything
    with beside.listening:
        for who, problem in (("Bearer record", (503, "busy")), ("Bearer nobody", (401, "no-credential"))):
            answer = await ask(beside.app, "GET", "/v1/groups", headers={"authorization": who})
            assert answer.problem == problem
