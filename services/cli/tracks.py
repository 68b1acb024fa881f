"""`ontrack tracks`: the status of every session of every case, as rows."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import click

from services.cli.home import run, short_names
from services.cli.interruption import heed
from services.cli.naming_cases import case_named
from services.cli.output import Format, Row, emit_as_found, format_option, progress, say
from services.cli.place import Place, data_option, opened
from services.cli.screen import is_terminal, natural
from services.home import Home
from services.not_detector.domain.course import Course

COLUMNS: Final = ("case", "session", "score", "status", "rules")
AT_ONCE: Final = 200
"""Cases that are read at a time: what memory holds, however many there are."""


@click.command("tracks")
@data_option
@click.option("--case", "number", metavar="NUMBER", help="Only this case, by its number.")
@format_option
def tracks(place: Place, number: str | None, form: Format) -> None:
    """List the status of every session of every case.

    A session without a valid score has no score here and is unknown. The rules are those that fired, by their kind
    and version.

    Example: ontrack tracks --data DIR --format csv > tracks.csv
    """
    run(_list(place, number, form))


async def _list(place: Place, number: str | None, form: Format) -> None:
    async with await opened(place) as home:
        names = await _names(home, number)
        with progress("Reading cases", len(names)) as advance:
            # A bar would stand between the rows where both are written to a terminal.
            shown = form in ("table", "json") or not is_terminal()
            rows = _rows(home, names, advance if shown else lambda _: heed())
            found = await emit_as_found(rows, COLUMNS, form)
    if not found:
        say("No session has been judged yet.")


async def _names(home: Home, number: str | None) -> Mapping[str, str]:
    """Give the cases to list, in the order of their numbers: case id -> number."""
    if number is not None:
        return {await case_named(home, number): number}
    names = await short_names(home)
    return dict(sorted(names.items(), key=lambda entry: natural(entry[1])))


async def _rows(home: Home, names: Mapping[str, str], advance: Callable[[int], None]) -> AsyncIterator[list[Row]]:
    """Give the rows, some cases at a time."""
    case_ids = list(names)
    for start in range(0, len(case_ids), AT_ONCE):
        some = case_ids[start : start + AT_ONCE]
        yield [
            row async for case_id, course in home.states(home.not_detector, some) for row in _of(names[case_id], course)
        ]
        advance(len(some))


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
