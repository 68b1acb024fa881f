"""Rows whose last column is a text: as a table that fits the screen, or as data."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import click

from services.cli.output import Format, Row, emit, say
from services.cli.screen import is_terminal, painted, size, wrapped

LEAST_ROOM: Final = 24
"""Columns that a text needs beside the others; with less room it stands below them."""


def print_rows(rows: Iterable[Row], columns: Sequence[str], form: Format, nothing: str | None = None) -> None:
    """Print rows; where a person reads the table, the text in its last column is broken to fit.

    nothing: what is said in place of a table without rows, if that is not printed
    """
    found = list(rows)
    if nothing is not None and form == "table" and not found:
        say(nothing)
    elif form != "table" or not is_terminal():
        emit(found, columns, form)
    else:
        for line in fitted(found, columns, size()[0]):
            click.echo(line)


def fitted(rows: Sequence[Row], columns: Sequence[str], width: int) -> Iterator[str]:
    """Give the lines of a table that is no wider than `width`, as far as its columns allow."""
    *before, text = columns
    widths = [max([len(column), *(len(_cell(row, column)) for row in rows)]) for column in before]
    taken = sum(widths) + 2 * len(widths)
    below = width - taken < max([len(text), *(min(len(_cell(row, text)), LEAST_ROOM) for row in rows)])
    heads = before if below else columns
    yield painted(_joined([(head, width) for head, width in zip(heads, [*widths, 0], strict=False)]), bold=True)
    for row in rows:
        line = _joined([(_cell(row, column), width) for column, width in zip(before, widths, strict=True)])
        if below:
            yield line
            yield from wrapped(_cell(row, text), first=" " * (widths[0] + 2), width=width)
        else:
            yield from wrapped(_cell(row, text), first=line.ljust(taken), rest=" " * taken, width=width)


def _joined(cells: Iterable[tuple[str, int]]) -> str:
    return "  ".join(text.ljust(width) for text, width in cells).rstrip()


def _cell(row: Row, column: str) -> str:
    value = row[column]
    return "" if value is None else str(value)
