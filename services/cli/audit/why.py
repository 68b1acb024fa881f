"""`ontrack audit why`: why a session was judged as it was, as an argument that can be followed step by step."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from contracts.definitions.definition import Language
from contracts.events.event import Data, Event
from contracts.events.facts import ResponseSubmitted
from contracts.events.notices import ReportContent, ReportIssued, ReportKind
from contracts.events.tracks import Decision
from services.auditor.domain.argument import NothingDecided, argument
from services.cli.audit.argument_text import Why, lines, row
from services.cli.audit.narrowing import as_of_option
from services.cli.audit.ruling import ruled, stood_on
from services.cli.copies import noted_if_made
from services.cli.definitions import language_option
from services.cli.history import history
from services.cli.home import FINDING, Failure, in_words, run, short_names
from services.cli.naming import Naming
from services.cli.naming_cases import case_named
from services.cli.output import Format, emit, format_option, say
from services.cli.reports.files import write_page
from services.cli.screen import as_given
from services.cli.source import Source, audited, source_options
from services.cli.zone import clinic_zone
from services.home import Home
from services.notifier.domain.composition import compose
from services.notifier.domain.stage import Notifier
from services.pages.argued import Argued
from services.pages.argument import argument_page
from services.runtime.stage import folded

COLUMNS: Final = ("case", "session", "status", "decision", "says")


@click.command("why", short_help="Tell why a session was judged as it was.")
@click.argument("number", metavar="CASE")
@source_options
@click.option("--session", type=int, help="The session that was judged.")
@click.option("--report", metavar="ID", help="Or the report that speaks of it, by the beginning of its id.")
@as_of_option
@click.option("--reveal", is_flag=True, help="Tell answers, comments and other words of persons too.")
@click.option(
    "--write",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as a page to read and to print, such as why.html.",
)
@language_option
@format_option
def why(
    number: str,
    source: Source,
    session: int | None,
    report: str | None,
    until: datetime | None,
    reveal: bool,
    file: Path | None,
    language: Language,
    form: Format,
) -> None:
    """Tell why a session was judged as it was: on which scores, by which rules and numbers, and what was not known.

    Rules that did not fire are told with their numbers too, so it says as well why a patient was not flagged. What
    came later stands apart from what the decision stood on. With --write it is a page, with the picture of the course
    as it was known then, in the language of --language; only you can read the file. There is no --case and no --group,
    since it is of one case.

    Example: ontrack audit why P0001 --session 3 --data DIR --write why.html
    """
    if (session is None) == (report is None):
        raise Failure("either --session or --report was expected")
    if form == "csv":
        raise Failure("--format: table, json or ndjson was expected: an argument is no row")
    found = run(_why(source, number, session, report, until, file, language, reveal=reveal))
    if file is not None:
        click.echo(file)
        say(f"It holds {'answers' if reveal else 'scores'} of a patient: delete it when it has been read.")
        return
    with in_words():
        if form == "table":
            for line in lines(found):
                click.echo(line)
        else:
            emit([row(found)], COLUMNS, form)


async def _why(
    source: Source,
    number: str,
    session: int | None,
    report: str | None,
    until: datetime | None,
    file: Path | None,
    language: Language,
    *,
    reveal: bool,
) -> Why:
    """Find the argument, and write its page, if there is to be one. Raises Failure."""
    async with await audited(source, knows_cases=True) as home, AsyncExitStack() as noting:
        case_id = await case_named(home, number)
        if file is not None:
            note = noted_if_made(home.copies, "report", file, home.clock(), case_id)
            await noting.enter_async_context(note)
        events = await history(home, case_id)
        wanted = session if session is not None else _session_of(events, report or "")
        try:
            found = argument(events, wanted, until, lambda decision: stood_on(home.definitions, events, decision))
        except NothingDecided:
            by_then = "" if until is None else f" by {as_given(until)}"
            raise Failure(f"session {wanted} of {number} was not judged{by_then}", FINDING) from None
        name = (await short_names(home)).get(case_id, number)
        rules = list(ruled(home.definitions, events, found.decision, "en"))
        told = Why(name, found, rules, until, Naming(events, home.definitions, reveal=reveal))
        if file is not None:
            write_page(file, _page(home, events, told, language))
        return told


def _page(home: Home, events: Sequence[Event[Data]], told: Why, language: Language) -> str:
    """Write the page of an argument."""
    decision = told.argument.decision
    argued = Argued(
        told.argument,
        list(ruled(home.definitions, events, decision, language)),
        _as_it_was_known(home, events, decision),
        {event.id: event.data for event in events if isinstance(event.data, ResponseSubmitted)},
        told.until,
    )
    return argument_page(
        argued, home.definitions, patient=told.case, language=language, zone=clinic_zone(), reveal=told.naming.reveal
    )


def _session_of(events: Sequence[Event[Data]], report: str) -> int:
    """Give the session that a report was issued for. Raises Failure."""
    begun = {event.data.report: event.data.content for event in events if isinstance(event.data, ReportIssued)}
    found = [content for name, content in begun.items() if name.startswith(report)]
    if not report or not found:
        raise Failure(f"--report {report!r}: the beginning of the id of a report of this case was expected", FINDING)
    if len(found) > 1:
        raise Failure(f"--report {report!r}: {len(found)} reports of this case begin so; give more of the id", FINDING)
    if (decision := found[0].decision) is not None:
        return decision.session
    raise Failure(f"{report}: this report was not issued for a decision on a session", FINDING)


def _as_it_was_known(home: Home, events: Sequence[Event[Data]], decision: Event[Decision]) -> ReportContent:
    """Give what a report would have said of a session when it was judged: the course as it was known then."""
    until = next(number for number, event in enumerate(events, 1) if event.id == decision.id)
    dossier = folded(Notifier(home.definitions), decision.subject, events[:until])
    kind: ReportKind = "silent" if decision.data.silent else "not"
    return compose(dossier, home.definitions, kind=kind, session=decision.data.session)
