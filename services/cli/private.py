"""Files that hold answers or keys: only their owner may read them, whatever stood there before."""

import os
from pathlib import Path
from typing import IO, Final

from services.cli.home import Failure

PRIVATE: Final = 0o600


def private_file(file: Path) -> IO[bytes]:
    """Open a file for writing that nobody else can read; a link is not followed. Raises Failure."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise Failure(f"{file}: a file that can be written was expected ({error.strerror})") from None
    stream = os.fdopen(descriptor, "wb")
    os.fchmod(descriptor, PRIVATE)
    stream.truncate(0)
    return stream


def private_directory(directory: Path) -> None:
    """Make a directory that nobody else can look into, unless it is there. Raises Failure."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{directory}: a directory that can be written was expected ({error.strerror})") from None
