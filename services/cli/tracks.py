"""`ontrack tracks`: the status of every session of every case, as rows."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import click

from services.cli.home import case_named, data_option, run, short_names
from services.cli.output import Format, Row, emit, format_option, progress, say
from services.cli.screen import is_terminal, natural
from services.embedded import Home
from services.not_detector.domain.course import Course

COLUMNS: Final = ("case", "session", "score", "status", "rules")
AT_ONCE: Final = 200
"""Cases that are read at a time: what memory holds, however many there are."""


@click.command("tracks")
@data_option
@click.option("--case", "number", metavar="NUMBER", help="Only this case, by its number.")
@format_option
def tracks(directory: Path, number: str | None, form: Format) -> None:
    """List the status of every session of every case.

    A session without a valid score has no score here and is unknown. The rules are those that fired, by their kind
    and version.

    Example: ontrack tracks --data DIR --format csv > tracks.csv
    """
    home = run(Home.open(directory))
    try:
        names = run(_names(home, number))
        emit(_rows(home, names, shows_progress=form in ("table", "json") or not is_terminal()), COLUMNS, form)
    finally:
        home.close()


async def _names(home: Home, number: str | None) -> Mapping[str, str]:
    """Give the cases to list, in the order of their numbers: case id -> number."""
    if number is not None:
        return {await case_named(home, number): number}
    names = await short_names(home)
    return dict(sorted(names.items(), key=lambda entry: natural(entry[1])))


def _rows(home: Home, names: Mapping[str, str], *, shows_progress: bool) -> Iterator[Row]:
    """Give the rows, some cases at a time."""
    case_ids, found = list(names), False
    with progress("Reading cases", len(case_ids)) as advance:
        for start in range(0, len(case_ids), AT_ONCE):
            some = case_ids[start : start + AT_ONCE]
            for row in run(_of_some(home, some, names)):
                found = True
                yield row
            if shows_progress:
                advance(len(some))
    if not found:
        say("No session has been judged yet.")


async def _of_some(home: Home, case_ids: Sequence[str], names: Mapping[str, str]) -> list[Row]:
    return [
        row async for case_id, course in home.states(home.not_detector, case_ids) for row in _of(names[case_id], course)
    ]


def _of(name: str, course: Course) -> Iterator[Row]:
    for session in sorted(course.judged):
        judged = course.judged[session]
        yield {
            "case": name,
            "session": session,
            "score": number(judged.score),
            "status": judged.status,
            "rules": judged.rules,
        }


def number(value: Decimal | None) -> int | float | None:
    """Give a score as a number that every format writes alike: 12, or 3.25."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
