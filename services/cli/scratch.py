"""A folder for what is needed only while a command runs, and is not to be found by anybody afterwards."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Final, Literal, get_args

from services.cli.output import say

_LOCK: Final = ".lock"

Prefix = Literal["ontrack-audit-", "ontrack-bundle-", "ontrack-dry-run-", "ontrack-verified-"]


@contextmanager
def scratch(prefix: Prefix) -> Iterator[Path]:
    """Give an empty folder in the directory for temporary files; it goes with all that is in it.

    A command that was killed could not see to that, so what such a one has left is removed by the next. Whoever uses a
    folder holds a lock beside it before anything is in it: on the folder itself others lock what stands there.

    prefix: begins the names of folders for the same use
    """
    _sweep(prefix)
    folder = Path(mkdtemp(prefix=prefix))
    lock = folder.with_name(f"{folder.name}{_LOCK}")
    held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(held)


def sweep_all() -> None:
    """Remove all such folders that nobody uses any more: cases stand in them, some with their keys."""
    for prefix in get_args(Prefix):
        _sweep(prefix)


def _sweep(prefix: Prefix) -> None:
    """Remove what nobody uses any more."""
    for lock in Path(gettempdir()).glob(f"{prefix}*{_LOCK}"):
        with suppress(OSError):
            _remove_unused(lock, lock.with_name(lock.name.removesuffix(_LOCK)))


def _remove_unused(lock: Path, folder: Path) -> None:
    """Remove a folder with its lock, unless somebody holds it, or is about to: that one has put nothing there yet."""
    held = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(held).st_uid != os.geteuid() or (folder.exists() and not any(folder.iterdir())):
            return
        if folder.exists():
            shutil.rmtree(folder)
            say(f"{folder} was left by a command that was killed; it was removed.")
        lock.unlink()
    finally:
        os.close(held)
