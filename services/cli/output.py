"""What commands print: data on stdout in the format that was asked for, everything else on stderr."""

import csv
import json
import os
import sys
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Final, Literal

import click

from services.cli.interruption import heed

Format = Literal["table", "csv", "json", "ndjson"]
Row = Mapping[str, object]

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "ndjson"]),
    default="table",
    show_default=True,
    help="How to print it.",
)

_A_SECOND: Final = 1.0


async def emit_as_found(chunks: AsyncIterable[Sequence[Row]], columns: Sequence[str], form: Format) -> int:
    """Print rows as they come where the format allows it, else at the end; give how many there were."""
    count, waiting = 0, list[Row]()
    if form == "csv":
        emit((), columns, form)
    async for rows in chunks:
        count += len(rows)
        if form in ("csv", "ndjson"):
            emit(rows, columns, form, heading=False)
        else:
            waiting.extend(rows)
    if form in ("table", "json"):
        emit(waiting, columns, form)
    return count


def emit(rows: Iterable[Row], columns: Sequence[str], form: Format, *, heading: bool = True) -> None:
    """Print rows. A value that is a list stands joined by spaces where the format has no lists.

    heading: whether CSV begins with the names of the columns
    """
    match form:
        case "table":
            _table(list(rows), columns)
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            if heading:
                writer.writerow(columns)
            writer.writerows([_text(row.get(column)) for column in columns] for row in rows)
        case "ndjson":
            for row in rows:
                click.echo(json.dumps(row, ensure_ascii=False, default=str))
        case "json":
            click.echo(json.dumps(list(rows), ensure_ascii=False, indent=2, default=str))


def emit_whole(told: Row) -> None:
    """Print all that a command has to tell as one JSON object."""
    click.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))


def _table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max([len(column), *(len(line[place]) for line in cells)]) for place, column in enumerate(columns)]
    click.secho(
        "  ".join(column.ljust(width) for column, width in zip(columns, widths, strict=True)).rstrip(), bold=True
    )
    for line in cells:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(_text(part) for part in value)
    return str(value)


def counted(number: int, what: str) -> str:
    """Count things in words: `1 group`, `2 groups`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def program() -> str:
    """Give how this command was called, so that the next one can be typed the same way."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.is_absolute() and called.exists() else sys.argv[0]


def say(message: str) -> None:
    """Tell the person something that is not data, if it can be told: the disk on which the words go may be full."""
    is_written(message, "stderr")


def is_written(message: str, where: Literal["stdout", "stderr"]) -> bool:
    """Write a line; tell whether that could be done. From where it could not be nothing is written there any more.

    What a stream keeps of it would be tried again when the process ends, which would then have failed.
    """
    try:
        click.echo(message, err=where == "stderr")
    except OSError:
        setattr(sys, where, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
        return False
    return getattr(sys, where) is not None


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr, if that is a terminal, once the work has taken a second.

    It tells how far the work is, how fast it goes and, where the total is known, how long it still takes. Every step
    that it is told of is one before which the command can be interrupted.

    total: how many steps there are; None: only their number is shown
    """
    began = monotonic()
    done = 0
    bar: click._termui_impl.ProgressBar[int] | None = None
    shown = sys.stderr.isatty()

    def pace(_: object) -> str:
        a_second = done / max(monotonic() - began, _A_SECOND)
        left = (
            "" if total is None or not done else f", {timedelta(seconds=round(max(total - done, 0) / a_second))} left"
        )
        return f"{a_second:,.0f}/s{left}"

    def advance(steps: int) -> None:
        nonlocal done, bar
        heed()
        done += steps
        if not shown or monotonic() - began < _A_SECOND:
            return
        if bar is None:
            bar = click.progressbar(
                count(), length=total, label=label, file=sys.stderr, show_pos=True, show_eta=False, item_show_func=pace
            )
            bar.__enter__()
            bar.update(done - steps)
        bar.update(steps)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
