"""Where a home is made of an imported log, or of a backup, until it is whole: half a history is never taken for one."""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from errno import EACCES
from glob import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from services.cli.home import Failure
from services.cli.output import say
from services.cli.scratch import scratch
from services.embedded import DATABASE, LOCK, UNFINISHED

EXPORTED: Final = "an exported log goes into an empty directory"


def require_empty(directory: Path, goes: str = EXPORTED, but_for: Collection[str] = ()) -> None:
    """Refuse a directory that holds anything but workplaces, and files of some names. Raises Failure.

    goes: what would go there, and into what
    """
    if directory.exists() and not all(file.name in but_for or _is_workplace(file) for file in directory.iterdir()):
        raise Failure(f"{directory} holds something already; {goes}")


@contextmanager
def workplace(directory: Path, *, dry_run: bool) -> Iterator[Path]:
    """Give a place where a home can be made for `directory`; what is still there in the end is removed.

    It lies inside a directory that is there already, which may be a disk of its own, and beside one that is not. That
    of a dry run lies elsewhere. Raises Failure.
    """
    if dry_run:
        with scratch("ontrack-dry-run-") as elsewhere:
            yield elsewhere
        return
    place = directory.resolve()
    try:
        _remove_left(place)
        beside = not place.exists()
        if beside:
            place.parent.mkdir(parents=True, exist_ok=True)
        above = place.parent if beside else place
        work = Path(mkdtemp(prefix=f".{place.name}{UNFINISHED}" if beside else UNFINISHED, dir=above))
    except OSError as error:
        raise Failure(f"{directory}: a directory that can be written was expected ({error.strerror})") from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def moved(work: Path, directory: Path, goes: str = EXPORTED, but_for: Collection[str] = ()) -> None:
    """Move a home that is whole from its workplace to `directory`, unless something came there. Raises Failure.

    A directory that is there already is filled, not replaced: it may be the one in which the command runs. The database
    makes a home of it; by the lock, which comes last, the next one knows a workplace that nobody uses any more.
    """
    place = directory.resolve()
    with _locked(work) as is_ours:
        if not is_ours:
            raise Failure(f"{work}: another command took this place away; nothing was taken, start again")
        require_empty(place, goes, but_for)
        if work.parent != place:
            work.rename(place)
            return
        for file in sorted(work.iterdir(), key=lambda file: (file.name == LOCK, file.name == DATABASE)):
            file.rename(place / file.name)


def remove_left(directory: Path) -> None:
    """Remove what commands that were killed left of their workplaces in a directory that has its home by now.

    Whoever is about to make another one there is refused anyway, so one without a lock is nobody's either.
    """
    for left in _inside(directory.resolve()):
        with _locked(left) as is_nobodys:
            if is_nobodys or not (left / LOCK).exists():
                _remove(left)


def sweep_around(directory: Path) -> Mapping[Path, str]:
    """Remove what commands that were killed left in a directory that has its home, and beside it, for whatever home.

    Cases stand there, with their keys. Gives what cannot be removed, and why.
    """
    place, failed = directory.resolve(), dict[Path, str]()
    own = [*_inside(place), *_beside(place, escape(place.name))]
    for left in dict.fromkeys([*own, *_beside(place, "*")]):
        try:
            with _locked(left) as is_nobodys:
                if is_nobodys or (left.parent == place and not (left / LOCK).exists()):
                    _remove(left)
                elif left in own and not os.access(left, os.R_OK | os.W_OK | os.X_OK):
                    # That of another place may be anybody's.
                    failed[left] = os.strerror(EACCES)
        except OSError as error:
            failed[left] = str(error.strerror)
    return failed


def _remove_left(place: Path) -> None:
    """Remove what commands that make a home in the same place left behind when they were killed."""
    for left in [*_inside(place), *_beside(place, escape(place.name))]:
        with _locked(left) as is_nobodys:
            if is_nobodys:
                _remove(left)


def _inside(place: Path) -> list[Path]:
    return [file for file in place.iterdir() if _is_workplace(file)] if place.is_dir() else []


def _beside(place: Path, name: str) -> list[Path]:
    """Give the workplaces for places beside this one. name: a pattern for how these are called."""
    return list(place.parent.glob(f".{name}{UNFINISHED}*")) if os.access(place.parent, os.R_OK) else []


def _remove(left: Path) -> None:
    shutil.rmtree(left)
    say(f"{left} was left by a command that was killed; it was removed.")


def _is_workplace(file: Path) -> bool:
    return file.name.startswith(UNFINISHED) and file.is_dir()


@contextmanager
def _locked(work: Path) -> Iterator[bool]:
    """Hold the lock of the home in a workplace; tell whether that was possible: nobody else makes a home there."""
    try:
        descriptor = os.open(work / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
