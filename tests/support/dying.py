"""Commands that end themselves, by SIGKILL, right before the n-th thing that they would do to their home.

Run as a program it is given numbers and the arguments of a command, in which `{n}` stands for the number. It forks a
process for each number, and stops at the first that ends by itself because there are fewer moments than that.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.support.command import PATIENCE, StillWaiting

_ROOT: Final = Path(__file__).parents[2]
_CHANGES: Final = ("os.mkdir", "os.link", "os.remove", "os.rename", "os.rmdir")
_STATEMENTS: Final = ("BEGIN", "COMMIT", "PRAGMA")
"""What is done between two of these is done by the second or not at all."""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed: how many moments it saw, and what it was about to do."""

    moment: int
    before: str


def deaths(moments: Sequence[int], *arguments: str | Path) -> Iterator[Death]:
    """Kill a command at each of some moments (from 1), each time with its own arguments: `{n}` is the moment."""
    numbers = ",".join(str(moment) for moment in moments)
    program = [sys.executable, "-m", "tests.support.dying", numbers, *(str(argument) for argument in arguments)]
    try:
        ran = subprocess.run(program, cwd=_ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise StillWaiting(f"the deaths of ontrack {arguments[0]} had not ended after {PATIENCE:.0f} s") from None
    assert ran.returncode == 0, ran.stderr
    for line in ran.stdout.splitlines():
        moment, _, before = line.partition(" ")
        yield Death(int(moment), before)


class _Fate:
    """Counts moments and ends the process at one of them."""

    def __init__(self, home: str, last: int, told: int) -> None:
        self._home = home
        self._told = told
        self._last = last
        self._seen = 0

    def hears(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count what is done to the files of the home."""
        if event in _CHANGES or (event == "open" and (arguments[2] or 0) & os.O_CREAT):
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
            if path.startswith(self._home):
                self._counts(f"{event} {path.removeprefix(self._home)}")

    def reads(self, statement: str) -> None:
        """Count what is done to the database."""
        word = statement.split(None, 1)[0].upper()
        if word in _STATEMENTS:
            self._counts(" ".join(statement.split())[:60])

    def _counts(self, what: str) -> None:
        self._seen += 1
        if self._seen == self._last:
            os.write(self._told, f"{self._last} {what}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


def _live(moment: int, arguments: Sequence[str]) -> NoReturn:
    """Run a command until its moment comes."""
    given = [argument.replace("{n}", str(moment)) for argument in arguments]
    directory = given[given.index("--data") + 1]
    # What the command prints is nothing to whoever counts deaths.
    fate = _Fate(directory, moment, os.dup(sys.stdout.fileno()))
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    place = Path(directory).resolve().parent.as_uri()
    """Where the home is, or is made before it is moved to its place."""
    connect = sqlite3.connect

    def watched(database: str, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(database, **options)
        if database.startswith(place):
            connection.set_trace_callback(fate.reads)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]
    sys.addaudithook(fate.hears)
    try:
        import_module("services.cli").main(given)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(0)


def _die_at_each(numbers: str, arguments: Sequence[str]) -> None:
    import_module("services.cli.imports.command")
    for number in numbers.split(","):
        child = os.fork()
        if child == 0:
            _live(int(number), arguments)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return


if __name__ == "__main__":
    _die_at_each(sys.argv[1], sys.argv[2:])
