"""A service answers whoever asks how it is."""

import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from services.runtime.health import Health
from services.runtime.metrics import Metrics
from services.runtime.service import Service
from services.runtime.settings import ServiceSettings
from services.scoring.domain.stage import Scoring


class NotedHealth(Health):
    """Knows in which threads it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_in: list[threading.Thread] = []

    def alive(self) -> list[str]:
        self.asked_in.append(threading.current_thread())
        return super().alive()


class NotedMetrics(Metrics):
    """Knows in which threads they were asked for."""

    def __init__(self) -> None:
        super().__init__("scoring")
        self.asked_in: list[threading.Thread] = []

    def page(self) -> bytes:
        self.asked_in.append(threading.current_thread())
        return super().page()


@pytest.mark.parametrize("path", ["/alive", "/ready", "/metrics"])
async def test_how_it_is_is_told_between_its_steps_and_not_in_the_midst_of_one(path: str) -> None:
    # given a service
    settings = ServiceSettings(
        kafka_servers="broker:9092", mongodb_url="mongodb://database:27017/", master_key_file=Path("master.key")
    )
    service = Service(settings, Scoring)
    health, metrics = NotedHealth(), NotedMetrics()
    service.health, service.metrics = health, metrics

    # when somebody asks it
    status = await asked(service, path)

    # then it answers in the thread in which it works
    assert status == (503 if path == "/ready" else 200)
    assert [*health.asked_in, *metrics.asked_in] == [threading.main_thread()]


async def asked(service: Service[Any], path: str) -> int:
    """Ask a service something; give the status of the answer."""
    said: list[MutableMapping[str, Any]] = []
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    await service.app()(scope, receive, send)
    return int(said[0]["status"])
