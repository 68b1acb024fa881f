"""The clinic that the tests of the API ask."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.embedded import EmbeddedHome
from services.ingest.access import TOKENS, Tokens
from services.up import Up
from tests.support.asgi import started
from tests.support.clock import Clock
from tests.support.open_clinic import NOW, Clinic


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    clock = Clock(NOW)
    home = await EmbeddedHome.found(tmp_path / "home", clock=clock)
    tokens = Tokens(tmp_path / "home" / TOKENS)
    app = Up(home, tokens).app()
    async with started(app):
        yield Clinic(app, home, tokens, clock)
