"""`ontrack up` as a process of its own."""

import http.client
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from deploy.local.ports import free_ports
from tests.support.command import ONTRACK, PATIENCE
from tests.support.region import wait_until


class Running:
    """A clinic that runs as a process of its own, and what it has printed.

    streams: where a shell sends its streams besides, such as `2>&-`
    """

    def __init__(
        self,
        data: Path,
        port: int,
        environment: Mapping[str, str],
        options: Sequence[str | Path] = (),
        streams: str = "",
    ) -> None:
        self.port = port
        self.data = data
        self.said = data.with_name(f"{data.name}-{port}.txt")
        command: list[str | Path] = [ONTRACK, "up", "--data", data, "--port", str(port), *options]
        with self.said.open("ab") as stream:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f'exec "$@" {streams}', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    @property
    def lines(self) -> list[str]:
        """What it has printed."""
        return self.said.read_text("utf-8").splitlines()

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

    def find(self, number: str, token: str) -> int:
        """Ask for the case of a number."""
        return self.ask("POST", "/v1/cases/find", {"number": number}, token)[0]

    def ask(self, method: str, path: str, body: object, token: str, key: str | None = None) -> tuple[int, Any]:
        """Send a request, whose key is what it says unless one is given: the status and what is answered.

        The status is 0 if no answer comes.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        content = orjson.dumps(body)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key or sha256(path.encode() + content).hexdigest(),
        }
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return answer.status, orjson.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def end(self, number: signal.Signals) -> int:
        """End it; give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(
    data: Path,
    port: int | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    options: Sequence[str | Path] = (),
    streams: str = "",
) -> Iterator[Running]:
    """Run a clinic, and kill it in the end if it still runs."""
    started = Running(data, port or free_ports(1)[0], environment, options, streams)
    try:
        wait_until(started.is_alive, f"it is alive, having said {started.lines}")
        yield started
    finally:
        if started.process.poll() is None:
            started.end(signal.SIGKILL)
