"""`ontrack case`: one patient's course as a picture in the terminal, and everything that happened in it."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

import click

from contracts.events.event import Data, Event
from contracts.events.fields import instant
from services.cli.case.screen import CaseFile, case_screen
from services.cli.disclosure import shown
from services.cli.history import history, is_fact
from services.cli.home import Failure, in_words, run, short_names
from services.cli.naming import Naming
from services.cli.naming_cases import case_named
from services.cli.output import Format, Row, emit, format_option
from services.cli.place import Place, data_option, opened
from services.cli.telling.events import told

COLUMNS: Final = ("time", "is", "event", "says", "id", "follows_from", "data")
LATEST: Final = 20
"""So many entries of what happened are shown unless all are asked for."""


@click.command("case")
@click.argument("number", metavar="NUMBER")
@data_option
@click.option("--events/--no-events", "with_events", default=True, help="List the latest events, or none.")
@click.option("--all-events", "with_all", is_flag=True, help="List every event, not only the latest.")
@click.option("--reveal", is_flag=True, help="Show answers, comments and other words of persons too.")
@format_option
def case(number: str, place: Place, with_events: bool, with_all: bool, reveal: bool, form: Format) -> None:
    """Show one case: its course as a picture, its reports and what came of them, and its latest events.

    NUMBER is the case's number at the clinic. In the picture up is better, whichever way the scale counts; on a
    terminal it comes last, so that it stays in sight. Another format than table gives every event as data. Answers
    and comments are shown with --reveal only.

    Example: ontrack case P0001 --data DIR
    """
    if with_all and not with_events:
        raise Failure("either --all-events or --no-events was expected, not both")
    file = run(_read(place, number))
    with in_words():
        naming = Naming(file.events, file.definitions, reveal=reveal)
        if form == "table":
            latest = None if with_all else LATEST if with_events else 0
            for line in case_screen(file, naming, latest=latest):
                click.echo(line)
        else:
            emit(_rows(file.events, naming, form), COLUMNS, form)


async def _read(place: Place, number: str) -> CaseFile:
    async with await opened(place) as home:
        case_id = await case_named(home, number)
        events = await history(home, case_id)
        course = await home.state(home.not_detector, case_id)
        dossier = await home.state(home.notifier, case_id)
        if course is None or dossier is None:
            raise Failure(f"{number}: nothing was concluded about this case yet; ontrack import takes that up again")
        names = await short_names(home)
        return CaseFile(names[case_id], events, course, dossier, home.definitions)


def _rows(events: Sequence[Event[Data]], naming: Naming, form: Format) -> Iterator[Row]:
    """Give the events as data."""
    for event in events:
        data = shown(event.data, reveal=naming.reveal)
        yield {
            "time": instant(event.time),
            "is": "fact" if is_fact(event) else "conclusion",
            "event": event.type,
            "says": told(event, naming),
            "id": event.id,
            "follows_from": event.causationid,
            "data": json.dumps(data, ensure_ascii=False) if form == "csv" else data,
        }
