"""A server's process, which outlives the program that started it, and is known again by the next one."""

import errno
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.places import written

_STATE, _STARTED = 0, 19
"""Where the fields stand in /proc/PID/stat, counted from the one after the command."""

_LOOK_AGAIN = 0.02
_TAIL = 30


class NotAnswering(Exception):
    """A server did not come up. Says what was waited for, and what the server said last."""


@dataclass(frozen=True)
class _Record:
    """What is known of a process: its pid, when it started after which boot, and how long its log was then."""

    pid: int
    started: str
    boot: str
    said: int


class Process:
    """A process, with its log and a record of it in a folder. A signal only ever reaches the process of the record."""

    def __init__(self, name: str, directory: Path) -> None:
        """Name the process; its files are `<name>.log` and `<name>.pid`."""
        self.name = name
        self.directory = directory
        self.log = directory / f"{name}.log"
        self._file = directory / f"{name}.pid"

    def start(
        self, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        """Start the process in a session of its own, as another user if one is named."""
        with self.log.open("ab") as log:
            said = log.tell()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        # It is not ours to wait for: without a code here, forgetting the object would warn of a running child.
        process.returncode = 0
        record = _Record(process.pid, _fields(process.pid)[_STARTED], _boot(), said)
        written(self._file, json.dumps(asdict(record)))

    @property
    def pid(self) -> int | None:
        """The process that runs, if one does."""
        with self._process() as process:
            return None if process is None else process[0]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        with self._process() as process:
            if process is not None:
                signal.pidfd_send_signal(process[1], number)

    def end(self, how: signal.Signals, within: float) -> None:
        """Send a signal that ends the process, and return once it has ended: it is killed when that takes too long."""
        with self._process() as process:
            if process is None:
                return
            pid, descriptor = process
            signal.pidfd_send_signal(descriptor, how)
            if not _ends(descriptor, within):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                _ends(descriptor, None)
            _reap(pid)

    def said(self) -> str:
        """What the server has written since it was started last."""
        record = self._recorded()
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(0 if record is None else record.said)
            return log.read().decode(errors="replace")
        return ""

    def wait(self, until: Callable[[], bool], what: str, within: float) -> None:
        """Wait until something is so. Raises NotAnswering if the process ends, or takes too long and is killed."""
        deadline = time.monotonic() + within
        while not until():
            with self._process() as process:
                if process is None or _ends(process[1], _LOOK_AGAIN):
                    raise NotAnswering(f"{self.name} ended; waited for {what}\n{self._tail()}")
            if time.monotonic() > deadline:
                self.end(signal.SIGKILL, within)
                raise NotAnswering(f"{self.name} ran for {within:g} s; waited for {what} in vain\n{self._tail()}")

    def _tail(self) -> str:
        # Where in its code a server was says nothing here, and would push out what says something.
        lines = [line for line in self.said().splitlines() if not line.startswith("\tat ")][-_TAIL:]
        return "\n".join([f"the end of {self.log}:", *(f"  {line}" for line in lines or ["(nothing)"])])

    def _recorded(self) -> _Record | None:
        try:
            return _Record(**json.loads(self._file.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @contextmanager
    def _process(self) -> Iterator[tuple[int, int] | None]:
        """Hold the process of the record, as a pid and a descriptor that can never come to mean another process."""
        record = self._recorded()
        descriptor = None if record is None or record.boot != _boot() else _descriptor(record.pid)
        if record is None or descriptor is None:
            yield None
            return
        try:
            yield (record.pid, descriptor) if _runs(record) else None
        finally:
            os.close(descriptor)


def _descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError as refused:
        if refused.errno == errno.ENOSYS:
            raise
        return None


def _runs(record: _Record) -> bool:
    """Tell whether the process of the record runs: not another one that has its pid now, nor its remains."""
    fields = _fields(record.pid)
    if not fields or fields[_STARTED] != record.started:
        return False
    if fields[_STATE] == "Z":
        _reap(record.pid)
        return False
    return True


def _fields(pid: int) -> list[str]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return []


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def _ends(descriptor: int, within: float | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if within is None else within * 1000))


def _reap(pid: int) -> None:
    """Let go of an ended process if it was a child of this one."""
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
