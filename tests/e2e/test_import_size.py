"""However long a line or a row is, it does not fill the memory."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.command import run_measured
from tests.support.contents import counts
from tests.support.desk import Desk, row, table, weekly
from tests.support.faulty import CASE, GOOD, refused

MEGABYTE: Final = 1_000_000


def a_line_without_end(size: int) -> Iterator[bytes]:
    yield table([GOOD])
    yield f"{CASE},2,{weekly(2)},bdi-ii,37,".encode()
    for _ in range(size // MEGABYTE):
        yield b"x" * MEGABYTE


def a_row_without_end(size: int) -> Iterator[bytes]:
    """Each line closes a quote and opens another, so that the row goes on."""
    yield table([GOOD])
    yield f'{CASE},2,{weekly(2)},bdi-ii,37,"Amalie\n'.encode()
    for _ in range(size // MEGABYTE):
        yield b'ringede","\n' * (MEGABYTE // 11)


def written(file: Path, parts: Iterator[bytes]) -> Path:
    zipped = file.suffix == ".gz"
    with gzip.open(file, "wb", compresslevel=1) if zipped else file.open("wb") as stream:
        for part in parts:
            stream.write(part)
    return file


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a line of 100 MB", a_line_without_end(100 * MEGABYTE)),
        ("a line of 100 MB.gz", a_line_without_end(100 * MEGABYTE)),
        ("a row of 50 MB in short lines", a_row_without_end(50 * MEGABYTE)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_does_not_fill_the_memory(known: Desk, name: str, parts: Iterator[bytes]) -> None:
    # given how much memory an import needs, and a file with a line that is as long as many files
    before = counts(known.home)
    usual, needed = run_measured(
        "import", known.file(table([row(CASE, 0, 36, comment="Amalie")])), "--data", known.home
    )
    assert usual.exit_code == 0
    file = written(known.place / name, parts)

    # when it is imported
    ran, memory = run_measured("import", file, "--data", known.home)
    file.unlink()

    # then it is refused at that line, in little more memory
    assert refused(ran, known, before)
    assert any(line.startswith("line 3: ") for line in ran.told.splitlines())
    assert memory < needed + 32 * MEGABYTE
