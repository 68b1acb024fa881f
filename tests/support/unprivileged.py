"""`ontrack` as somebody runs it who may not write where the data lie, also where the tests run as root.

Run as a program it gives up what root may, and runs a command.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.command import PATIENCE, Ran

_ROOT: Final = Path(__file__).parents[2]
NOBODY: Final = 65_534


@contextmanager
def read_only(files: Iterable[Path]) -> Iterator[Path]:
    """Copy files to a directory in which nobody but root can write."""
    with TemporaryDirectory(prefix="ontrack-read-only-") as place:
        directory = Path(place)
        for file in files:
            _given_away(Path(shutil.copy2(file, directory)))
        _given_away(directory)
        directory.chmod(0o500)
        try:
            yield directory
        finally:
            directory.chmod(0o700)


def _given_away(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def ontrack_unprivileged(*arguments: str | Path) -> Ran:
    """Run a command as a process of its own, without what root may."""
    program = [sys.executable, "-m", "tests.support.unprivileged", *arguments]
    ran = subprocess.run(program, cwd=_ROOT, capture_output=True, timeout=PATIENCE, check=False)
    return Ran(ran.returncode, ran.stdout, ran.stderr.decode())


def _run(arguments: list[str]) -> None:
    # Imported first: the code may lie where only root can read it.
    command = import_module("services.cli.main")
    for name in command.COMMANDS:
        command.main.get_command(None, name)
    for late in ("services.up", "services.runtime.logs", "uvicorn.config", "encodings.unicode_escape"):
        import_module(late)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    command.main(arguments)


if __name__ == "__main__":
    _run(sys.argv[1:])
