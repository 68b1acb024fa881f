"""`ontrack reports`: the list of reports, and reports as pages to read."""

import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from contracts.definitions.definition import Language
from contracts.events.notices import ReportKind
from services.cli.definitions import language_option
from services.cli.home import Failure, run, short_names
from services.cli.naming_cases import case_named
from services.cli.output import Format, Row, counted, format_option, progress, say
from services.cli.place import Place, data_option, opened
from services.cli.reports.files import write_one, write_reports
from services.cli.reports.listing import Listed, Selection, listed, named, short_ids
from services.cli.screen import day
from services.cli.tables import print_rows
from services.home import Home

COLUMNS: Final = ("report", "kind", "case", "group", "session", "status", "as_of", "latest", "now", "why")
NEWEST: Final = "newest"


@click.command("reports")
@data_option
@click.option("--case", "number", metavar="NUMBER", help="Only those of this case, by its number.")
@click.option("--kind", type=click.Choice(["not", "safety", "silent"]), help="Only those of this kind.")
@click.option("--all", "with_retracted", is_flag=True, help="Those too that were retracted or merged into another.")
@click.option(
    "--open",
    "chosen",
    metavar="[ID]",
    is_flag=False,
    flag_value=NEWEST,
    help="Open a report in the browser, by the beginning of its id; the newest if none is named.",
)
@click.option(
    "--write",
    "target",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write every listed report, and a page that lists them, as HTML into DIR.",
)
@click.option("--reveal", is_flag=True, help="Tell in the list what a safety report is about too.")
@language_option
@format_option
def reports(
    place: Place,
    number: str | None,
    kind: ReportKind | None,
    with_retracted: bool,
    chosen: str | None,
    target: Path | None,
    reveal: bool,
    language: Language,
    form: Format,
) -> None:
    """List the reports, the newest first; or open one, or write them as HTML.

    Status: open (nobody has looked yet), seen, overdue (nobody had looked by the next session), closed; retracted,
    or merged into another report. Why: what the report says of its session; now: the status of the latest judged
    session, whatever the report says. The list says of a safety answer only that there is one, unless --reveal is
    given; a report that is opened or written holds everything.

    Example: ontrack reports --data DIR --open
    """
    if chosen is not None and target is not None:
        raise Failure("either --open or --write was expected, not both")
    # Written ones include the retracted: a page that was written before they were must say so now.
    wish = Wish(number, kind, with_retracted or chosen not in (None, NEWEST) or target is not None, language)
    if chosen is not None:
        _open(run(_written(place, wish, chosen)))
    elif target is not None:
        click.echo(run(_all_written(place, wish, target)))
    else:
        _print(run(_rows(place, wish, reveal=reveal)), form)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which reports are asked for, and in which language."""

    number: str | None
    kind: ReportKind | None
    with_retracted: bool
    language: Language


_ANY: Final = Wish(None, None, with_retracted=True, language="en")


async def _entries(home: Home, wish: Wish) -> list[Listed]:
    """List what was asked for."""
    if wish.number is not None:
        cases = [await case_named(home, wish.number)]
    else:
        cases = [case_id async for case_id in home.store.cases(home.notifier.name)]
    selection = Selection(cases, wish.kind, with_retracted=wish.with_retracted)
    with progress("Reading reports", len(cases)) as advance:
        return await listed(home, selection, wish.language, advance)


async def _rows(place: Place, wish: Wish, *, reveal: bool) -> list[Row]:
    async with await opened(place) as home:
        entries = await _entries(home, wish)
        if not entries:
            say("There is no such report." if await _entries(home, _ANY) else "No reports yet.")
        names = await short_names(home)
        # Whose case was erased before the names were read is nobody any more.
        return list(_as_rows([entry for entry in entries if entry.case_id in names], names, reveal=reveal))


def _as_rows(entries: Sequence[Listed], names: Mapping[str, str], *, reveal: bool) -> Iterator[Row]:
    for entry in entries:
        yield {
            "report": entry.id,
            "kind": entry.kind,
            "case": names[entry.case_id],
            "group": entry.group,
            "session": entry.session,
            "status": entry.standing,
            "as_of": day(entry.issued_at),
            "latest": None if entry.now is None else entry.now.session,
            "now": None if entry.now is None else entry.now.status,
            "why": entry.why if reveal else entry.discreetly,
        }


def _print(rows: Sequence[Row], form: Format) -> None:
    if form == "table":
        short = short_ids([str(row["report"]) for row in rows])
        rows = [{**row, "report": short[str(row["report"])]} for row in rows]
    print_rows(rows, COLUMNS, form)


async def _written(place: Place, wish: Wish, name: str) -> Path:
    async with await opened(place) as home:
        entries = await _entries(home, wish)
        if not entries:
            raise Failure("there is no such report to open; ontrack reports --all lists them")
        return await write_one(home, entries[0] if name == NEWEST else named(entries, name), wish.language)


async def _all_written(place: Place, wish: Wish, target: Path) -> Path:
    async with await opened(place) as home:
        entries = await _entries(home, wish)
        try:
            with progress("Writing reports", len(entries)) as advance:
                index = await write_reports(home, target, wish.language, advance, entries)
        except OSError as error:
            raise Failure(f"{target}: a directory that can be written was expected ({error.strerror})") from None
    say(f"{counted(len(entries), 'report')} written. What is there holds answers: delete it when it has been read.")
    return index


def _open(file: Path) -> None:
    click.echo(file)
    say("It holds answers and comments: delete it when it has been read.")
    if not webbrowser.open(file.as_uri()):
        say("No browser was found: open the file yourself.")
