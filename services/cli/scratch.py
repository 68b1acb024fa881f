"""A folder for what is needed only while a command runs, and is not to be found by anybody afterwards."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from services.cli.output import say


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """Give an empty folder in the directory for temporary files; it goes with all that is in it.

    A command that was killed could not see to that, so what such a one has left is removed by the next. Whoever uses a
    folder holds a lock on it, before anything is in it.

    prefix: begins the names of folders for the same use
    """
    _sweep(prefix)
    folder = Path(mkdtemp(prefix=prefix))
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _sweep(prefix: str) -> None:
    """Remove what nobody uses any more."""
    for left in Path(gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):
            if left.lstat().st_uid == os.geteuid() and any(left.iterdir()):
                _remove_unused(left)


def _remove_unused(left: Path) -> None:
    held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left)
        say(f"{left} was left by a command that was killed; it was removed.")
    finally:
        os.close(held)
