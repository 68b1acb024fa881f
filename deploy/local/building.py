"""What is built once and used by every server: each build is kept below a name that says what it was made from."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.places import home, locked


class BuildFailed(Exception):
    """A build did not come to its end. Says what the builder said."""


def build_folder(name: str, sources: Sequence[Path]) -> Path:
    """Name the folder of a build that is made from some files."""
    made_from = b"".join(hashlib.sha256(source.read_bytes()).digest() for source in sources)
    return home() / "build" / f"{name}-{hashlib.sha256(made_from).hexdigest()[:16]}"


def built(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """Return the folder of a build; fill it first, in one process only, unless that was done from the same sources."""
    folder = build_folder(name, sources)
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            print(f"making {folder}, which is done once and may take minutes", file=sys.stderr)
            build(unfinished)
            unfinished.rename(folder)
    return folder


def run(
    command: Sequence[str | Path],
    *,
    within: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    said: str = "",
) -> str:
    """Run a program that makes something, and return what it said. `said` is what it reads. Raises BuildFailed."""
    done = subprocess.run(
        command,
        cwd=within,
        env={**os.environ, **(environment or {})},
        input=said,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise BuildFailed(f"{shown}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
