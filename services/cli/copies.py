"""Noting the files that are made of a home, so that whoever erases a case finds them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from services.cli.output import say
from services.cli.private import private_directory
from services.runtime.copies.port import Copies, CopiesUnavailable, Copy, Kind, made_here


async def noted(
    copies: Copies, kind: Kind, file: Path, at: datetime, case: str | None = None, home: str | None = None
) -> None:
    """Note that a file is about to be made; where that cannot be, say so.

    What was made there before and is not there any more was moved, or deleted: it stays noted as such.

    case: the only one that it is about; home: which has made it, if it was another one
    """
    copy = made_here(kind, real(file), at, home or copies.home, case)
    try:
        before, is_missing = await _noted_there(copy, copies), _is_missing(file)
        gone = [each for each in before if not each.going and each.at != at] if is_missing else []
        if not is_missing and any(each.kind == kind and (each.case != case or kind == "report") for each in before):
            # What was written there before can be about others, and is there until this takes its place, or beside it.
            # A page is told of until then, and not removed: it would be written once more.
            copy = copy.model_copy(update={"case": None})
        await copies.forget(gone, instead=[*(each.model_copy(update={"replaced": True}) for each in gone), copy])
    except CopiesUnavailable as away:
        to_do = "name it by --backups" if kind in ("backup", "keys") else "delete it"
        say(f"It was not noted that there is {file} ({away}): whoever erases a case has to {to_do}.")


@asynccontextmanager
async def noted_if_made(
    copies: Copies, kind: Kind, file: Path, at: datetime, case: str | None = None, *, stays: bool = True
) -> AsyncIterator[None]:
    """Note a file that is about to be made; where that fails and changes nothing, what was noted before stands again.

    Before what goes into it is read: whoever erases a case meanwhile is to know of it. Who is killed meanwhile leaves
    the note: the file may be there. It is to be written before this ends.

    case: the only one that it is about; stays: whether it is to be known, and not only to take the place of what was
    """
    async with _noted_unless_refused(copies, kind, file, at, case):
        yield
    copy = made_here(kind, real(file), at, copies.home, case)
    # By now it holds nothing of what was there before.
    with suppress(CopiesUnavailable):
        await copies.forget(await _noted_there(copy, copies), instead=[copy] if stays else [])


async def noted_directory(copies: Copies, kind: Kind, directory: Path, at: datetime, case: str | None = None) -> None:
    """Make a directory, unless it is there, and note that files are about to be made in it. Raises Failure."""
    async with _noted_unless_refused(copies, kind, directory, at, case):
        private_directory(directory)


@asynccontextmanager
async def _noted_unless_refused(
    copies: Copies, kind: Kind, file: Path, at: datetime, case: str | None
) -> AsyncIterator[None]:
    """Note what is about to be made; where that fails and changes nothing, what was noted before stands again."""
    copy, before, was = made_here(kind, real(file), at, copies.home, case), list[Copy](), _seen(file)
    with suppress(CopiesUnavailable):
        before = await _noted_ever(copy, copies)
    await noted(copies, kind, file, at, case)
    try:
        yield
    except BaseException:
        if _seen(file) in (was, None):
            with suppress(CopiesUnavailable):
                await copies.forget(await _noted_ever(copy, copies), instead=before)
        raise


def _is_missing(file: Path) -> bool:
    """Tell whether nothing is there; what nobody may look for can be."""
    try:
        file.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _seen(file: Path) -> tuple[int, int, int] | None:
    """Give by what it is seen that a file was changed; None if none is seen."""
    try:
        there = file.lstat()
    except OSError:
        return None
    return there.st_ino, there.st_size, there.st_mtime_ns


def real(place: Path) -> Path:
    """Give where a directory is, or a file, whatever becomes of the links that lead there.

    A file that is a link itself is not written: what that leads to is none of ours.
    """
    with suppress(PermissionError):
        if place.is_dir():
            return Path(os.path.realpath(place))
    return Path(os.path.realpath(place.parent), place.name)


async def _noted_there(copy: Copy, copies: Copies) -> list[Copy]:
    """Give what is noted at the path of a copy, of whatever kind. Raises CopiesUnavailable."""
    return [each for each in await _noted_ever(copy, copies) if not each.replaced]


async def _noted_ever(copy: Copy, copies: Copies) -> list[Copy]:
    """Give what is noted at the path of a copy, and what was there before that. Raises CopiesUnavailable."""
    return [each for each in await copies.all() if (each.host, each.path) == (copy.host, copy.path)]
