"""What a broker, PostgreSQL and FerretDB have in common: a process that can be ended, halted and asked."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.ports import HOST
from deploy.local.processes import NotAnswering, Process

_STARTS_WITHIN = 90.0
_STOPS_WITHIN = 30.0


class Server(ABC):
    """A server. It can be started, killed, stopped, paused and started again, on the same data."""

    asks_to_end = signal.SIGTERM
    """The signal at which the server ends in good order."""

    def __init__(self, name: str, directory: Path, port: int) -> None:
        """Name the server, the folder of its files and its port."""
        self.name = name
        self.directory = directory
        self.address = f"{HOST}:{port}"
        self._process = Process(name, directory)

    @property
    def pid(self) -> int | None:
        """Its process, if it runs."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """The file of what it says."""
        return self._process.log

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it has started and answers just now."""

    @abstractmethod
    def _launch(self) -> None:
        """Start the process, which does not run."""

    def start(self, *, wait: bool = True) -> None:
        """Start it, unless it runs, and wait until it answers. Raises NotAnswering, PortTaken."""
        ours = self.pid is None
        if ours:
            self._launch()
        self.unpause()
        if wait:
            try:
                self.wait()
            except NotAnswering:
                if ours:
                    raise
                # It was ending just then, or will never answer again and has been killed.
                self.start()

    def wait(self) -> None:
        """Wait until it answers. Raises NotAnswering if it ends, or takes too long and is killed."""
        self._process.wait(self.answers, f"an answer at {self.address}", _STARTS_WITHIN)

    def kill(self) -> None:
        """Kill it."""
        self._process.end(signal.SIGKILL, _STOPS_WITHIN)

    def stop(self) -> None:
        """Ask it to end in good order; kill it if it does not."""
        self.unpause()
        self._process.end(self.asks_to_end, _STOPS_WITHIN)

    def pause(self) -> None:
        """Halt it where it is: its connections stay open and nobody answers."""
        self._process.send(signal.SIGSTOP)

    def unpause(self) -> None:
        """Let it go on."""
        self._process.send(signal.SIGCONT)


def at_once(acts: Sequence[Callable[[], None]]) -> None:
    """Do something with several servers at the same time, with each to its end."""
    with ThreadPoolExecutor() as together:
        for done in [together.submit(act) for act in acts]:
            done.result()
