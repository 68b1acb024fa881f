"""`ontrack` as people run it: in this process, where that is quicker, or as a process of its own."""

import re
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from services.cli import main

ONTRACK: Final = Path(sys.executable).parent / "ontrack"
PATIENCE: Final = 300.0
"""Seconds after which a process that has not ended never will: far more than the slowest machine needs."""

_FOLDER: Final = re.compile(r"pytest-\d+")


class StillWaiting(AssertionError):
    """Something did not happen in time. Says what."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: its exit code, what it printed as data, and what it told the person."""

    exit_code: int
    out: bytes
    told: str

    @property
    def said(self) -> str:
        """Everything that it printed."""
        return self.out.decode("utf-8", "replace") + self.told

    def names(self, line: int, field: str) -> bool:
        """Tell whether a fault of this line and field was listed."""
        return any(each.startswith(f"line {line}: {field}: ") for each in self.told.splitlines())

    def gives_away(self, secrets: Collection[str]) -> list[str]:
        """Find the secrets that it printed; the number of the folder that a test runs in is none."""
        said = _FOLDER.sub("", self.said)
        return [secret for secret in secrets if secret in said]


def ontrack(*arguments: str | Path, given: bytes | None = None) -> Ran:
    """Run a command here. An exception that gets out of it is one that a person would see as a traceback.

    given: what stands on its standard input
    """
    runner = CliRunner(env={"ONTRACK_DATA": None})
    result = runner.invoke(main, [str(argument) for argument in arguments], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout_bytes, result.stderr)


def succeeded(*arguments: str | Path, given: bytes | None = None) -> Ran:
    """Run a command here that has to succeed."""
    ran = ontrack(*arguments, given=given)
    assert ran.exit_code == 0, ran.told
    return ran


def started(*arguments: str | Path, directory: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a command as a process of its own, in a group of its own; what it prints is not kept.

    directory: where it runs
    """
    return subprocess.Popen(
        [ONTRACK, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        start_new_session=True,
    )


def run_apart(*arguments: str | Path, given: bytes = b"", directory: Path | None = None) -> Ran:
    """Run a command as a process of its own until it ends."""
    command = [ONTRACK, *arguments]
    try:
        ran = subprocess.run(command, input=given, capture_output=True, cwd=directory, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise StillWaiting(f"ontrack {arguments[0]} had not ended after {PATIENCE:.0f} s") from None
    return Ran(ran.returncode, ran.stdout, ran.stderr.decode())


def ran_apart(*arguments: str | Path) -> Ran:
    """Run a command as a process of its own that has to succeed."""
    ran = run_apart(*arguments)
    assert ran.exit_code == 0, ran.told
    return ran


def ended(process: subprocess.Popen[bytes], what: str) -> int:
    """Wait until a process has ended; give its exit code. what: it does, for the message if it never ends."""
    try:
        return process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=PATIENCE)
        raise StillWaiting(f"{what} had not ended after {PATIENCE:.0f} s") from None


_MEASURED: Final = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def run_measured(*arguments: str | Path) -> tuple[Ran, int]:
    """Run a command as a process of its own; give what it did, and how many bytes of memory it held at most."""
    command = [sys.executable, "-c", _MEASURED, ONTRACK, *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise StillWaiting(f"ontrack {arguments[0]} had not ended after {PATIENCE:.0f} s") from None
    unit = 1 if sys.platform == "darwin" else 1_024
    return Ran(ran.returncode, b"", ran.stderr.decode()), int(ran.stdout) * unit
