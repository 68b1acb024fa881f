"""A Docker engine that the tests start and end themselves."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import docker  # type: ignore[import-untyped]
from docker.errors import DockerException  # type: ignore[import-untyped]

from deploy.local.places import locked, made
from deploy.local.prerequisites import ROOT, Missing, Program, require
from deploy.local.processes import NotAnswering, Process
from tests.support.containers import knock

_STARTS_WITHIN: Final = 60.0
_STOPS_WITHIN: Final = 30.0
_WORKS_WITHIN: Final = 600
"""Seconds in which the engine says something of what it does: taking in a large image can take a while."""

_WITH_LOOPBACK: Final = 'ip link set lo up && exec dockerd "$@"'


def _on_the_path(name: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        found = shutil.which(name)
        return None if found is None else Path(found)

    return find


_DOCKERD: Final = Program("Docker's engine", "docker.io", _on_the_path("dockerd"))
_IP: Final = Program("ip", "iproute2", _on_the_path("ip"))


class Engine:
    """A Docker engine in a network and a file system view of its own.

    It meets no other engine of the machine and changes nothing of its network; the ports that it publishes are seen
    from inside only. It has no way out, so it can get no image.
    """

    def __init__(self, data: Path, sockets: Path) -> None:
        """Name the folder of what stays, and one with a short name of what does not."""
        self.host = f"unix://{sockets}/docker.sock"
        self._data = data
        self._sockets = sockets
        self._process = Process("dockerd", made(data))

    def start(self) -> None:
        """Start it, and wait until it answers. Raises NotAnswering."""
        self.stop()
        self._process.start(["unshare", "--mount", "--net", "sh", "-c", _WITH_LOOPBACK, "dockerd", *self._settings()])
        self._process.wait(self._answers, f"an answer at {self.host}", _STARTS_WITHIN)

    def stop(self) -> None:
        """End it, also where it was started by somebody who did not come to end it."""
        self._process.end(signal.SIGTERM, _STOPS_WITHIN)

    def inside(self, command: Sequence[str]) -> list[str]:
        """Give the command that runs a command in the network of the engine."""
        return ["nsenter", f"--net=/proc/{self._process.pid}/ns/net", *command]

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Lend a client of it."""
        with closing(docker.DockerClient(base_url=self.host, timeout=_WORKS_WITHIN)) as client:
            yield client

    def _settings(self) -> list[str]:
        files = {"host": self.host, "data-root": f"{self._data}/engine", "exec-root": f"{self._sockets}/exec"}
        named = [f"--{name}={value}" for name, value in files.items()]
        # Where there is no way out no address is translated, and with systemd its groups would be out of reach.
        return [*named, f"--pidfile={self._sockets}/pid", "--iptables=false", "--exec-opt=native.cgroupdriver=cgroupfs"]

    def _answers(self) -> bool:
        try:
            knock(self.host)
            with self.client():
                return True
        except (DockerException, OSError):
            return False


@contextmanager
def engine_of_its_own(data: Path, *also: Program) -> Iterator[Engine]:
    """Lend an engine with what it keeps in a folder, to one process at a time. Raises Missing."""
    _require_debian()
    require(_DOCKERD, _IP, *also)
    with locked(data / "lock"), tempfile.TemporaryDirectory(prefix="ontrack-docker-") as sockets:
        engine = Engine(data, Path(sockets))
        try:
            try:
                engine.start()
            except NotAnswering as waiting:
                raise Missing(f"no Docker engine can be started on this machine: {waiting}") from None
            with engine.client() as client:
                client.containers.prune()
            yield engine
        finally:
            engine.stop()


def _require_debian() -> None:
    if os.geteuid() != ROOT or shutil.which("apt-get") is None:
        raise Missing("an engine of the tests' own is started by root on Debian only: run the tests as root there")
