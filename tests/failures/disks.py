"""A small disk of its own, which can be full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A file system in memory."""

    folder: Path

    def fill(self) -> None:
        """Leave no room on it."""
        with suppress(OSError), (self.folder / "filler").open("wb") as stream:
            while True:
                stream.write(bytes(1 << 16))
                stream.flush()

    def empty(self) -> None:
        """Make room again."""
        (self.folder / "filler").unlink()


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """Lend a small disk, mounted at a folder that is made for it."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own can only be mounted by root: run the tests as root")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
