"""A region in containers: brought up by its compose file on an engine of the tests' own, crashed, and asked."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from deploy.local.places import home
from tests.containers.compose_program import compose
from tests.containers.debian import DEBOOTSTRAP
from tests.containers.engine import Engine, engine_of_its_own
from tests.containers.ontrack_image import ontrack
from tests.containers.stand_ins import mail, stand_ins
from tests.support.region import wait_until

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
WITHIN: Final = 240.0
"""Seconds within which everything comes up, and goes on after a crash."""

BROKERS: Final = ("kafka-1", "kafka-2", "kafka-3")
STAGES: Final = ("scoring", "not-detector", "notifier")
SERVICES: Final = ("ingest", *STAGES)
API: Final = "https://127.0.0.1:8443"

FITTED: Final = {
    "ONTRACK_KAFKA_HEAP": "320m",
    "ONTRACK_KAFKA_MEMORY": "900m",
    "ONTRACK_MONGODB_MEMORY": "1g",
    "ONTRACK_SERVICE_MEMORY": "400m",
    # FerretDB bears no more.
    "ONTRACK_MONGODB_AT_ONCE": "10",
}
"""What fits the machine of tests, and the stand-in for MongoDB."""


@dataclass
class Deployment:
    """What compose files bring up.

    folder: holds its secrets, and is where commands are typed
    named: what stands in their environment besides
    """

    engine: Engine
    client: Any
    folder: Path
    images: Mapping[str, str]
    files: Sequence[str | Path] = ("compose.yaml",)
    named: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> Path:
        """Where the secrets are."""
        return self.folder / "secrets"

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.folder / "checkpoints"

    @property
    def environment(self) -> dict[str, str]:
        """What the commands are given, `docker compose` among them."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("ONTRACK_", "COMPOSE_"))}
        own = {
            "COMPOSE_FILE": ":".join(str(DEPLOY / file) for file in self.files),
            "DOCKER_CONFIG": str(_with_compose(self.folder)),
            "DOCKER_HOST": self.engine.host,
            "ONTRACK_SECRETS_DIR": str(self.secrets),
            "ONTRACK_CHECKPOINTS_DIR": str(self.checkpoints),
        }
        return {**outer, **own, **self.images, **FITTED, **self.named}

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `docker compose`."""
        return self.typed(["docker", "compose", *arguments])

    def succeeded(self, *arguments: str) -> str:
        """Run `docker compose`, which has to succeed; give what it printed."""
        done = self.compose(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def typed(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder, where what is published can be reached."""
        return subprocess.run(
            self.engine.inside([str(part) for part in command]),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * WITHIN,
            check=False,
        )

    def ontrack(self, *arguments: str, volume: str = "") -> str:
        """Give a command as people do, with a folder of this machine if one is named; it has to succeed."""
        mounted = ["--volume", volume] if volume else []
        return self.succeeded("run", "--rm", *mounted, "ontrack", *arguments)

    def container(self, service: str) -> Any:
        """Give the container of a service."""
        labels = ["com.docker.compose.project=ontrack", f"com.docker.compose.service={service}"]
        (found,) = self.client.containers.list(all=True, filters={"label": labels})
        return found

    def logged(self, service: str) -> list[str]:
        """Give the lines that a service has written; Compose adds to them what clears a terminal."""
        lines: list[str] = self.container(service).logs().decode().splitlines()
        return lines

    def state(self, service: str) -> Mapping[str, Any]:
        """Tell how the container of a service is."""
        state: Mapping[str, Any] = self.container(service).attrs["State"]
        return state

    def is_healthy(self, service: str) -> bool:
        """Tell whether a service says that it is well."""
        return bool(self.state(service).get("Health", {}).get("Status") == "healthy")

    def wait_until_healthy(self, *services: str) -> None:
        """Wait until services are well."""
        for service in services:
            self.wait_until(partial(self.is_healthy, service), f"{service} healthy")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds, and show what was logged last if it never does."""
        try:
            wait_until(holds, what, WITHIN)
        except AssertionError as waiting:
            waiting.add_note(self.compose("ps", "--all").stdout)
            waiting.add_note("\n".join(self._ailing()))
            waiting.add_note(self.compose("logs", "--no-color", "--tail", "20").stdout)
            raise

    def _ailing(self) -> Iterator[str]:
        """Tell what each container that is not well has said of it last."""
        for container in self.client.containers.list(filters={"label": "com.docker.compose.project=ontrack"}):
            health = container.attrs["State"].get("Health", {})
            if health.get("Status", "healthy") != "healthy" or health.get("FailingStreak"):
                yield f"{container.name}: {[each['Output'] for each in health['Log'][-1:]]}"

    def crash(self, service: str) -> None:
        """Kill the first process of a container, as if it had crashed: whoever runs it starts it again."""
        os.kill(self.state(service)["Pid"], signal.SIGKILL)

    def was_started_again(self, service: str) -> bool:
        """Tell whether the engine started a container again."""
        return bool(self.container(service).attrs["RestartCount"] > 0)

    def asked(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Send a request to the API: the status and what the answer says; status 0 if none comes."""
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        said = self.typed(
            [
                *("curl", "--silent", "--max-time", "30", "--cacert", self.secrets / "authority/ca.pem"),
                *(part for name, text in sent.items() for part in ("--header", f"{name}: {text}")),
                *([] if body is None else ["--data", json.dumps(body)]),
                *("--request", method, "--write-out", "\n%{http_code}", f"{API}{path}"),
            ]
        )
        content, _, status = said.stdout.rpartition("\n")
        return int(status), json.loads(content) if content else None


class Caller:
    """A client of the API, which sends each request again until it is answered."""

    def __init__(self, deployment: Deployment) -> None:
        """Get a token as clinic IT does."""
        secret = deployment.ontrack("token", "make", "records", "--role", "admin", "--clinic", "clinic").strip()
        self._deployment = deployment
        self._credential = f"Bearer {secret}"

    def post(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """State something until it is answered; give the answer."""
        return self._asked("POST", path, body, HTTPStatus.CREATED, Idempotency_Key=key)

    def put(self, path: str, **body: Any) -> None:
        """Enter something on the roster."""
        self._asked("PUT", path, body, HTTPStatus.OK)

    def _asked(self, method: str, path: str, body: Mapping[str, Any], done: HTTPStatus, **headers: str) -> Any:
        answers: list[Any] = []

        def is_answered() -> bool:
            status, answer = self._deployment.asked(method, path, body, Authorization=self._credential, **headers)
            assert status in (0, done, HTTPStatus.SERVICE_UNAVAILABLE), answer
            answers[:] = [answer] if status == done else []
            return bool(answers)

        self._deployment.wait_until(is_answered, f"an answer to {method} {path}")
        return answers[0]


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """Lend one that nothing was brought up of yet, and take everything down in the end. Raises Missing."""
    with engine_of_its_own(home() / "docker", DEBOOTSTRAP) as engine, engine.client() as client:
        servers = stand_ins(client)
        images = {
            "ONTRACK_IMAGE": ontrack(client),
            "ONTRACK_KAFKA_IMAGE": servers.kafka,
            "ONTRACK_MONGODB_IMAGE": servers.mongodb,
            "ONTRACK_MAIL_IMAGE": mail(client),
        }
        lent = Deployment(engine, client, folder, images)
        try:
            yield lent
        finally:
            lent.compose("--profile", "*", "down", "--volumes", "--timeout", "1")


def _with_compose(folder: Path) -> Path:
    """Give Docker's command the program that was built."""
    plugin = folder / "docker/cli-plugins/docker-compose"
    if not plugin.exists():
        plugin.parent.mkdir(parents=True)
        plugin.symlink_to(compose())
    return folder / "docker"
