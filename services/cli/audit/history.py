"""`ontrack audit history`: one case as it was known at any moment, with who said what, and when that was learned."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from contracts.events.event import Data, Event
from contracts.events.facts import NoticeFailed, NoticeSent, ReportDiscussed, ReportSeen
from contracts.events.fields import instant
from contracts.events.notices import NoticeRequested
from services.auditor.domain.narrowing import known_at
from services.cli.audit.narrowing import as_of_option
from services.cli.case.screen import CONCLUSION, FACT, HAPPENED, CaseFile, case_screen
from services.cli.disclosure import shown
from services.cli.history import history as events_of
from services.cli.history import is_fact
from services.cli.home import FINDING, Failure, in_words, run, short_names
from services.cli.naming import Naming
from services.cli.naming_cases import case_named
from services.cli.output import Format, Row, counted, emit, format_option
from services.cli.screen import as_given, by_whose_clock, heading, minute, painted, wrapped
from services.cli.source import Source, audited, source_options
from services.cli.telling.events import told
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.pages.words import sentence
from services.runtime.stage import folded

COLUMNS: Final = ("time", "recorded", "by", "is", "event", "says", "id", "follows_from", "data")
_TOLD: Final = (NoticeRequested, NoticeSent, NoticeFailed, ReportSeen, ReportDiscussed)
_SOURCE: Final = "urn:ontrack:"
_INDENT: Final = " " * 20


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a case. left_out: how many events were learned later."""

    file: CaseFile
    left_out: int


@click.command("history", short_help="Tell a case in order, as of now or of a moment before.")
@click.argument("number", metavar="CASE")
@source_options
@as_of_option
@click.option("--reveal", is_flag=True, help="Show answers, comments and other words of persons too.")
@format_option
def history(number: str, source: Source, until: datetime | None, reveal: bool, form: Format) -> None:
    """Tell a case in order: every fact and what was concluded from it, who said it, and when it was learned.

    With --as-of it is the case as it stood then: what had happened and was not known yet is left out, and so is all
    that followed from it; what follows from a fact counts as known with it. What the therapists had been told by then,
    and had seen, stands apart. There is no --case and no --group, since it is of one case.

    Example: ontrack audit history P0001 --as-of 2026-03-02T09:00 --data DIR
    """
    known = run(_read(source, number, until))
    with in_words():
        naming = Naming(known.file.events, known.file.definitions, reveal=reveal)
        if form == "table":
            for line in _lines(known, naming, until):
                click.echo(line)
        else:
            emit([_row(event, naming, form) for event in known.file.events], COLUMNS, form)


async def _read(source: Source, number: str, until: datetime | None) -> Known:
    async with await audited(source, knows_cases=True) as home:
        case_id = await case_named(home, number)
        every = await events_of(home, case_id)
        events = known_at(until, every)
        if not events and until is not None:
            raise Failure(f"nothing was known of {number} by {as_given(until)}", FINDING)
        definitions = home.definitions
        course = folded(NotDetector(definitions), case_id, events)
        dossier = folded(Notifier(definitions), case_id, events)
        file = CaseFile((await short_names(home))[case_id], events, course, dossier, definitions)
        return Known(file, len(every) - len(events))


def _lines(known: Known, naming: Naming, until: datetime | None) -> Iterator[str]:
    if until is not None:
        yield painted(f"As it was known at {as_given(until)}", bold=True)
        if known.left_out:
            yield f"{counted(known.left_out, 'event')} left out: recorded later."
    yield by_whose_clock()
    yield ""
    yield from case_screen(known.file, naming, latest=0)
    events = known.file.events
    yield from heading("What the therapists had been told, and had seen")
    said = [event for event in events if isinstance(event.data, _TOLD)]
    for event in said:
        yield from _entry(event, naming)
    yield from wrapped(_nothing_of(events))
    yield from heading(HAPPENED)
    for event in events:
        yield from _entry(event, naming)


def _nothing_of(events: Sequence[Event[Data]]) -> str:
    """Say what did not come about: that somebody is to be told does not say that anybody was."""
    kinds = {type(event.data) for event in events}
    lacking = [
        says
        for kind, says in ((NoticeSent, "no notice had been sent"), (ReportSeen, "no report seen"))
        if kind not in kinds
    ]
    return f"{sentence(', and '.join(lacking))}." if lacking else ""


def _entry(event: Event[Data], naming: Naming) -> Iterator[str]:
    """Tell an event: when it happened, what it says; below it when that was learned, and from whom."""
    mark = FACT if is_fact(event) else CONCLUSION
    yield from wrapped(told(event, naming), first=f"{minute(event.time):16}  {mark} ", rest=_INDENT)
    recorded = minute(event.recordedtime)
    learned = f"recorded {recorded}, " if recorded != minute(event.time) else ""
    yield from wrapped(f"{learned}by {_by(event)}", first=_INDENT, rest=_INDENT)


def _by(event: Event[Data]) -> str:
    return event.source.removeprefix(_SOURCE)


def _row(event: Event[Data], naming: Naming, form: Format) -> Row:
    data = shown(event.data, reveal=naming.reveal)
    return {
        "time": instant(event.time),
        "recorded": instant(event.recordedtime),
        "by": _by(event),
        "is": "fact" if is_fact(event) else "conclusion",
        "event": event.type,
        "says": told(event, naming),
        "id": event.id,
        "follows_from": event.causationid,
        "data": json.dumps(data, ensure_ascii=False) if form == "csv" else data,
    }
