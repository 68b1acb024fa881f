"""A region of its own for a test: topics, a database and a master key, and services that run as processes."""

import asyncio
import http.client
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

import orjson

from contracts.topics import TOPICS
from deploy.local.ports import free_ports
from services.distributed import DistributedHome, provision
from services.runtime.brokers import Brokers
from services.runtime.documents import Server
from services.runtime.log.topics import Safety
from services.runtime.settings import PREFIX, RegionSettings
from tests.support.command import ONTRACK, PATIENCE, Ran, StillWaiting
from tests.support.contents import Contents, contents_of
from tests.support.removed import remove_database, remove_topics
from tests.support.servers import ONE_BROKER, both

T = TypeVar("T")

STAGES: Final = ("scoring", "not-detector", "notifier")
SERVE: Final = (ONTRACK, "serve")
_LOOK_AGAIN: Final = 0.05
_LOOK_AGAIN_AT_MOST: Final = 1.0
_SHARE: Final = 4


def wait_until(holds: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Wait until something holds. what: it is, for the message if it never does.

    Some looks are a whole command, and what is waited for needs the machine too: between two looks is some times as
    long as the last one took.
    """
    deadline = time.monotonic() + within
    while True:
        began = time.monotonic()
        if holds():
            return
        looked = time.monotonic()
        if looked > deadline:
            raise StillWaiting(f"{what} was not so within {within:.0f} s")
        time.sleep(min(max(_LOOK_AGAIN, _SHARE * (looked - began)), _LOOK_AGAIN_AT_MOST))


class Process:
    """A service as a process of its own."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, program: Sequence[str | Path]) -> None:
        """Start it: `program` is given its name."""
        self.name = name
        self.port, self.api_port = free_ports(2)
        self.log = log
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [*program, name],
                env={
                    **environment,
                    "ONTRACK_HTTP_PORT": str(self.port),
                    "ONTRACK_API_PORT": str(self.api_port),
                },
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def asked(self, path: str) -> tuple[int, bytes]:
        """Ask it something over HTTP: the status and the body; status 0 if it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def request(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Send a request to its API: the status and what the body says; status 0 if no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=30)
        sent = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        try:
            connection.request(method, path, None if body is None else orjson.dumps(body), sent)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, orjson.loads(content) if content else None
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def why_not(self, what: str) -> list[str]:
        """Give the reasons why it is not alive, or not ready; or that it says nothing."""
        status, body = self.asked(f"/{what}")
        return ["it does not answer"] if status == 0 else list(orjson.loads(body)["why"])

    def wait_until_ready(self) -> Self:
        """Wait until it is ready."""
        self.wait_until(lambda: self.asked("/ready")[0] == http.HTTPStatus.OK, f"{self.name} ready")
        return self

    def wait_until_not_alive(self, within: float = 10.0, saying: str = "") -> list[str]:
        """Wait until it says that it does not go on, with such words among the reasons; give these."""
        why: list[str] = []

        def is_told() -> bool:
            status, body = self.asked("/alive")
            why[:] = orjson.loads(body)["why"] if status == http.HTTPStatus.SERVICE_UNAVAILABLE else []
            return any(saying in reason for reason in why)

        self.wait_until(is_told, f"{self.name} not alive, saying {saying!r}", within)
        return why

    def partitions(self) -> int:
        """Count the partitions that it runs."""
        return self.measured(r'ontrack_partitions\{[^}]*standing="running"\}')

    def events_read(self) -> int:
        """Count the events that it has read since it was started."""
        return self.measured(r"ontrack_events_read_total\{[^}]*\}")

    def measured(self, metric: str) -> int:
        """Give one number that it measures; 0 while it does not. metric: a pattern of its name and labels."""
        _, page = self.asked("/metrics")
        found = re.search(rf"^{metric} ([0-9.e+]+)$", page.decode(), re.MULTILINE)
        return int(float(found[1])) if found else 0

    def wait_until(self, holds: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
        """Wait until something holds, and show what it logged if it never does."""
        try:
            wait_until(holds, what, within)
        except StillWaiting as waiting:
            raise StillWaiting(f"{waiting}: {self.why_not('ready')}\n{self.log.read_text()[-3_000:]}") from None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it, as if the power had failed."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end, and wait until it has; give its exit code."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        return self._process.wait(PATIENCE)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None


@dataclass
class Region:
    """A region that nobody else uses."""

    brokers: Brokers
    server: Server
    folder: Path
    safety: Safety = ONE_BROKER
    processes: list[Process] = field(default_factory=list)
    names_tokens: bool = True

    @property
    def master_key(self) -> Path:
        """Where its master key is."""
        return self.folder / "master.key"

    @property
    def tokens(self) -> Path:
        """Where the tokens of its clients are."""
        return self.folder / "tokens.json"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its services and commands."""
        named = {
            "KAFKA_SERVERS": self.brokers.servers,
            "KAFKA_PREFIX": self.brokers.prefix,
            "MONGODB_URL": self.server.url,
            "MONGODB_DATABASE": self.server.database,
            "MONGODB_AT_ONCE": str(self.server.at_once),
            "MONGODB_TIMEOUT": str(self.server.timeout),
            "MASTER_KEY_FILE": str(self.master_key),
            **({"TOKENS_FILE": str(self.tokens)} if self.names_tokens else {}),
        }
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return {**others, **{f"{PREFIX}{name}": value for name, value in named.items()}}

    def settings(self) -> RegionSettings:
        """Its settings."""
        return RegionSettings(
            kafka_servers=self.brokers.servers,
            kafka_prefix=self.brokers.prefix,
            mongodb_url=self.server.url,
            mongodb_database=self.server.database,
            mongodb_at_once=self.server.at_once,
            mongodb_timeout=self.server.timeout,
            master_key_file=self.master_key,
        )

    def provision(self) -> Self:
        """Make what it stands on."""
        asyncio.run(provision(self.settings(), self.safety))
        return self

    def contents(self) -> Contents:
        """Open everything that it holds."""
        return self.asked(contents_of)

    def asked(self, question: Callable[[DistributedHome], Coroutine[Any, Any, T]]) -> T:
        """Open it here and ask something of it."""

        async def ask() -> T:
            async with await DistributedHome.open(self.settings()) as home:
                return await question(home)

        return asyncio.run(ask())

    def serve(self, *names: str) -> list[Process]:
        """Start services; all of them if none is named."""
        return self.serve_with(*names)

    def serve_with(self, *names: str, **environment: str) -> list[Process]:
        """Start services with something else in their environment."""
        return [self.serve_by(SERVE, name, **environment) for name in names or STAGES]

    def serve_by(self, program: Sequence[str | Path], name: str, **environment: str) -> Process:
        """Start a service by a program that is given its name."""
        log = self.folder / f"{name}-{len(self.processes)}.log"
        process = Process(name, self.environment | environment, log, program)
        self.processes.append(process)
        return process

    def wait_until_settled(self) -> None:
        """Wait until the services have worked on everything."""
        wait_until(lambda: self.asked(DistributedHome.left) == 0, "everything processed")

    def ontrack(self, *arguments: str | Path, given: bytes = b"") -> Ran:
        """Run a command on it, as a process of its own."""
        return self.ontrack_with({}, *arguments, given=given)

    def ontrack_with(self, environment: Mapping[str, str], *arguments: str | Path, given: bytes = b"") -> Ran:
        """Run a command with something else in its environment."""
        ran = subprocess.run(
            [ONTRACK, *arguments],
            input=given,
            capture_output=True,
            env={**self.environment, **environment},
            timeout=PATIENCE,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr.decode())

    def succeeded(self, *arguments: str | Path, given: bytes = b"") -> Ran:
        """Run a command on it that has to succeed."""
        ran = self.ontrack(*arguments, given=given)
        assert ran.exit_code == 0, ran.told
        return ran

    def stop(self) -> None:
        """End whatever still runs."""
        for process in self.processes:
            if not process.has_ended:
                process.send(signal.SIGCONT)
                process.kill()


@contextmanager
def region_of_its_own(
    folder: Path, brokers: Brokers | None = None, server: Server | None = None, safety: Safety = ONE_BROKER
) -> Iterator[Region]:
    """Give a region that is not provisioned yet, on the servers that tests share or on others; remove it in the end."""
    if brokers is None or server is None:
        shared_brokers, shared_server = both()
        brokers, server = brokers or shared_brokers, server or shared_server
    name = uuid4().hex[:12]
    own_brokers = replace(brokers, prefix=f"test-{name}.")
    own_server = replace(server, database=f"test_{name}")
    region = Region(own_brokers, own_server, folder, safety)
    try:
        yield region
    finally:
        region.stop()
    asyncio.run(_removed(own_brokers, own_server))


async def _removed(brokers: Brokers, server: Server) -> None:
    await remove_topics(brokers, TOPICS.values())
    await remove_database(server)
