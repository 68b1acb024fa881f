"""The file for lines that an import leaves out. They hold answers: whoever erases a case has to know of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from services.cli.copies import noted_if_made, real
from services.cli.home import Failure
from services.cli.output import say
from services.cli.private import private_file
from services.home import Home
from services.ingest.reading import Skipped
from services.runtime.copies.port import CopiesUnavailable, made_here


def file_for(source: str, named: Path | None) -> Path:
    """Give the file for the lines of a source that are left out, as somebody has named it or beside it. Raises Failure.

    source: - is standard input
    """
    if named is None:
        stem = "skipped" if source == "-" else f"{source.removesuffix('.gz')}.skipped"
        names = (Path(f"{stem}{number}.csv") for number in ("", *(f"-{n}" for n in range(2, 1_000))))
        return next(name for name in names if not name.exists())
    if source != "-" and named.exists() and named.samefile(source):
        raise Failure(f"--skipped {named}: another file than the one that is imported was expected")
    return named


@asynccontextmanager
async def left_out(home: Home, file: Path | None) -> AsyncIterator[Skipped | None]:
    """Give where lines that are left out are written, if they are. It is noted first, and not any more if none was.

    Only its owner may read the file.
    """
    if file is None:
        yield None
        return
    copy, skipped = made_here("lines", real(file), home.clock(), home.copies.home), None
    try:
        async with noted_if_made(home.copies, "lines", file, copy.at):
            with private_file(file) as stream, TextIOWrapper(stream, encoding="utf-8", newline="") as text:
                say(f"Rows with faults go to {file}. It holds answers and comments: delete it when it has been mended.")
                skipped = Skipped(text)
                yield skipped
    finally:
        if skipped is not None and not skipped.count:
            with suppress(CopiesUnavailable):
                await home.copies.forget([copy])
