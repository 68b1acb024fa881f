"""Noting the files that are made of a home, so that whoever erases a case finds them."""

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
    try:
        await copies.note(made_here(kind, file, at, home or copies.home, case))
    except CopiesUnavailable as away:
        say(f"It was not noted that there is {file} ({away}): whoever erases a case has to name it.")
