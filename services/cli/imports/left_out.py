"""The file for lines that an import leaves out. They hold answers: whoever erases a case has to know of it."""

import csv
from io import TextIOWrapper
from pathlib import Path

from services.cli.copies import noted_if_made
from services.cli.home import Failure
from services.cli.output import say
from services.cli.private import private_file
from services.home import Home
from services.ingest.reading import Reading


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


async def write_left_out(home: Home, file: Path, reading: Reading) -> None:
    """Write the lines of a file that were left out, as they came, if there are any. Raises Failure.

    Only its owner may read the file. It is written once it is known in which home it is noted: what was only tried, or
    refused, leaves nothing.
    """
    if not reading.spool.count_left_out():
        return
    say(f"Rows with faults go to {file}. It holds answers and comments: delete it when it has been mended.")
    async with noted_if_made(home.copies, "lines", file, home.clock()):
        with private_file(file) as stream, TextIOWrapper(stream, encoding="utf-8", newline="") as text:
            rows = csv.writer(text, delimiter=reading.delimiter, lineterminator="\n")
            rows.writerow(reading.header)
            rows.writerows(raw.fields for raw in reading.spool.left_out())
