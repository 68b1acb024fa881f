"""Noting the files that are made of a home, so that whoever erases a case finds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from services.cli.output import say
from services.runtime.copies.port import Copies, CopiesUnavailable, Kind, made_here


async def noted(
    copies: Copies, kind: Kind, file: Path, at: datetime, case: str | None = None, home: str | None = None
) -> None:
    """Note that a file is about to be made; where that cannot be, say so.

    case: the only one that it is about; home: which has made it, if it was another one
    """
    copy = made_here(kind, file, at, home or copies.home, case)
    try:
        if kind == "opened" and file.exists():
            # A directory keeps what was written there before, and that can be about others.
            about = {each.case for each in await copies.all() if each.name == copy.name}
            copy = copy if about <= {case} else copy.model_copy(update={"case": None})
        await copies.note(copy)
    except CopiesUnavailable as away:
        say(f"It was not noted that there is {file} ({away}): whoever erases a case has to name it.")


@asynccontextmanager
async def noted_if_made(
    copies: Copies, kind: Kind, file: Path, at: datetime, case: str | None = None
) -> AsyncIterator[None]:
    """Note a file that is about to be made; where that fails, what was noted before stands again.

    Before what goes into it is read: whoever erases a case meanwhile is to know of it. Who is killed meanwhile leaves
    the note: the file may be there.

    case: the only one that it is about
    """
    copy, before = made_here(kind, file, at, copies.home, case), None
    with suppress(CopiesUnavailable):
        before = next((each for each in await copies.all() if each.name == copy.name), None)
    await noted(copies, kind, file, at, case)
    try:
        yield
    except BaseException:
        with suppress(CopiesUnavailable):
            if before is not None:
                await copies.note(before)
            elif not file.exists():
                await copies.forget([copy])
        raise
