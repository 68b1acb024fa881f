"""`ontrack up` as a process of its own."""

import http.client
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson

from deploy.local.ports import free_ports
from tests.support.command import ONTRACK, PATIENCE
from tests.support.region import wait_until


class Running:
    """A clinic that runs as a process of its own, and what it has printed."""

    def __init__(self, data: Path, port: int) -> None:
        self.port = port
        self._said = data.with_name(f"{data.name}-{port}.txt")
        with self._said.open("wb") as stream:
            self.process = subprocess.Popen(
                [ONTRACK, "up", "--data", data, "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def lines(self) -> list[str]:
        """What it has printed."""
        return self._said.read_text("utf-8").splitlines()

    @property
    def token(self) -> str:
        """The token that it has printed."""
        return next(line for line in self.lines if line.startswith("ontrack_"))

    def is_alive(self) -> bool:
        """Whether it answers that it is alive."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/alive")
            return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def request(self, path: str, body: object, token: str, key: str | None = None) -> tuple[int, Any]:
        """Post something to its API: the status and what is answered; status 0 if no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            connection.request("POST", path, orjson.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, orjson.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def find(self, number: str, token: str) -> int:
        """Ask for the case of a number."""
        return self.request("/v1/cases/find", {"number": number}, token)[0]

    def end(self, number: signal.Signals) -> int:
        """End it; give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(data: Path, port: int | None = None) -> Iterator[Running]:
    """Run a clinic, and kill it in the end if it still runs."""
    started = Running(data, port or free_ports(1)[0])
    try:
        wait_until(started.is_alive, f"it is alive, having said {started.lines}")
        yield started
    finally:
        if started.process.poll() is None:
            started.end(signal.SIGKILL)
