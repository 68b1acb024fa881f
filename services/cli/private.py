"""Files that hold answers or keys: only their owner may read them, whatever stood there before."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EFBIG, ENOENT, ENOSPC
from pathlib import Path
from typing import IO, Final

from services.cli.home import Failure

PRIVATE: Final = 0o600
UNFINISHED: Final = ".unfinished"
"""Ends the name of a file until it is whole: as nobody calls one of their own, which would be written over."""
_NO_ROOM: Final = (ENOSPC, EDQUOT, EFBIG)


@contextmanager
def private_file(file: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that nobody else can read; a link is not followed.

    Raises Failure, also if there is no room for it.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise Failure(f"{file}: a file that can be written was expected ({error.strerror})") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, PRIVATE)
            stream.truncate(0)
            yield stream
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise Failure(f"{file}: room for all of it was expected ({error.strerror}); it is not whole") from None


@contextmanager
def new_file(file: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that nobody else can read; under its name it is there whole, or not at all. Raises Failure.

    Until it is whole it lies beside, with `.unfinished` behind its name; what a killed command left there is written
    over.
    """
    with _unfinished(file, is_new=True) as (stream, _):
        yield stream


@contextmanager
def whole_file(file: Path) -> Iterator[IO[bytes]]:
    """Give a file to write as `new_file` does, which takes the place of what is there by then. Raises Failure."""
    require_open(file)
    with _unfinished(file, is_new=False) as (stream, _):
        yield stream


@contextmanager
def in_place_of(file: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Give a file to write, and where it lies until it takes the place of another one, whole. Raises Failure.

    It is as old as that, since files are thrown away by their age, and belongs to whom that belongs to.
    """
    before = file.stat()
    with _unfinished(file, is_new=False) as (stream, path):
        yield stream, path
        stream.flush()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
        with suppress(PermissionError):
            os.fchown(stream.fileno(), before.st_uid, before.st_gid)


def remove_unfinished(file: Path) -> None:
    """Remove what a command has left beside a file when it was killed. Raises Failure if one is writing there."""
    unfinished = file.with_name(f"{file.name}{UNFINISHED}")
    if unfinished.is_file() and not unfinished.is_symlink():
        with unfinished.open("rb") as stream:
            _lock(stream, unfinished)
            unfinished.unlink(missing_ok=True)


@contextmanager
def _unfinished(file: Path, *, is_new: bool) -> Iterator[tuple[IO[bytes], Path]]:
    unfinished = file.with_name(f"{file.name}{UNFINISHED}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            _lock(stream, unfinished)
            # Asked only now: whoever held the lock may have given the file its name.
            if is_new:
                require_absent(file)
            os.fchmod(descriptor, PRIVATE)
            try:
                stream.truncate(0)
                yield stream, unfinished
                stream.flush()
                os.fsync(descriptor)
                unfinished.rename(file)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        _sync(file.parent)
    except OSError as error:
        raise Failure(f"{file}: a file that can be written was expected ({error.strerror})") from None


def require_open(file: Path) -> None:
    """Refuse a file that cannot be written, or made where it should be. Raises Failure."""
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        error = EACCES if file.parent.exists() else ENOENT
        raise Failure(f"{file}: a file that can be written was expected ({os.strerror(error)})")


def require_absent(file: Path) -> None:
    """Refuse to take the place of a file. Raises Failure."""
    if file.exists() or file.is_symlink():
        raise Failure(f"{file} is there already, and nothing is written over it: name a file that is not there yet")


def _lock(stream: IO[bytes], file: Path) -> None:
    """Hold a file that was opened. Raises Failure if another command does, or has given it its name since."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_held = os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except (BlockingIOError, FileNotFoundError):
        is_held = False
    if not is_held:
        raise Failure(f"{file} is being written by another command; wait until it is done")


def _sync(directory: Path) -> None:
    """See to it that a new name survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def private_directory(directory: Path) -> None:
    """Make a directory that nobody else can look into, unless it is there. Raises Failure, also if it is closed."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        raise Failure(f"{directory}: a directory that can be written was expected ({error.strerror})") from None
