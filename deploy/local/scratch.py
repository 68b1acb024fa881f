"""Folders for servers that are needed for a test and no longer."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.processes import Process

_ENDS_WITHIN = 10.0


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Lend a new folder that PostgreSQL's user may enter; then kill what still runs in it, and remove it."""
    directory = Path(tempfile.mkdtemp(prefix="ontrack-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        for record in directory.rglob("*.pid"):
            Process(record.stem, record.parent).end(signal.SIGKILL, _ENDS_WITHIN)
        shutil.rmtree(directory)
