"""Where the local servers keep what they build and what they store."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """Name the folder of everything local; `ONTRACK_LOCAL` names another one."""
    named = os.environ.get("ONTRACK_LOCAL")
    return Path(named).absolute() if named else Path(__file__).parents[2] / ".local"


def made(directory: Path) -> Path:
    """Make a folder unless it is there. Git sees nothing of the home."""
    directory.mkdir(parents=True, exist_ok=True)
    if directory.is_relative_to(home()):
        ignored = home() / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")
    return directory


def written(file: Path, content: str, *, owner: str | None = None) -> Path:
    """Write a whole file or nothing, which nobody reads but its owner."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(0o600)
    unfinished.write_text(content, encoding="utf-8")
    if owner is not None:
        shutil.chown(unfinished, owner, owner)
    return unfinished.replace(file)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep everybody else who locks the file waiting."""
    made(file.parent)
    with file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
