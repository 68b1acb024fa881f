"""`ontrack notices`: what mail was sent that a report is waiting, what failed, and what waits."""

from collections.abc import Iterator, Mapping
from typing import Final

import click

from contracts.events.fields import instant
from services.cli.home import run, short_names
from services.cli.notice_events import in_words, whereabouts
from services.cli.output import Format, Row, format_option, say
from services.cli.place import Place, data_option, opened
from services.cli.reports.listing import short_ids
from services.cli.screen import minute
from services.cli.tables import print_rows
from services.cli.zone import clinic_zone
from services.mailer.domain.whereabouts import Whereabouts

COLUMNS: Final = ("requested", "report", "case", "group", "recipient", "outcome", "tries", "at", "why")


@click.command("notices")
@data_option
@click.option(
    "--outcome", type=click.Choice(["sent", "failed", "waits"]), help="Only those with which it stands like this."
)
@format_option
def notices(place: Place, outcome: str | None, form: Format) -> None:
    """List the mails that say that a report is waiting: for whom, and whether they went out.

    Outcome: sent (the mail server took it), failed (it is not tried again), waits. At: when that was, or when it is
    tried next. A notice waits without a recipient until the mailer takes it in hand, and finds somebody for it: the
    therapists of the group, or the supervisors of the clinic. Reports on imported history make no mail, and nobody is
    told any more of what happened more than 30 days ago.

    Example: ontrack notices --outcome failed --data DIR
    """
    found = run(_rows(place, outcome, form))
    nothing = "There is no such notice." if outcome else "No notice yet: nobody is to be told of a report by mail."
    print_rows(found, COLUMNS, form, nothing)
    if found and form == "table":
        say(f"Times are those of {clinic_zone().key}. A report stands there once for each who is told of it.")


async def _rows(place: Place, outcome: str | None, form: Format) -> list[Row]:
    async with await opened(place) as home:
        wanted = [each for each in await whereabouts(home) if outcome in (None, each.outcome)]
        names = await short_names(home)
        shown = _for_people if form == "table" else _for_programs
        return list(shown(wanted, names))


def _for_people(wanted: list[Whereabouts], names: Mapping[str, str]) -> Iterator[Row]:
    short = short_ids([each.notice.data.report for each in wanted])
    for each, row in zip(wanted, _for_programs(wanted, names), strict=True):
        yield {
            **row,
            "requested": minute(each.notice.recordedtime),
            "report": short[each.notice.data.report],
            "recipient": each.recipient or f"({each.notice.data.to})",
            "at": None if each.at is None else minute(each.at),
            "why": in_words(each.reason),
        }


def _for_programs(wanted: list[Whereabouts], names: Mapping[str, str]) -> Iterator[Row]:
    for each in wanted:
        notice = each.notice.data
        yield {
            "requested": instant(each.notice.recordedtime),
            "report": notice.report,
            "case": names.get(each.notice.subject, each.notice.subject),
            "group": notice.group,
            "recipient": each.recipient,
            "outcome": each.outcome,
            "tries": each.tries,
            "at": None if each.at is None else instant(each.at),
            "why": each.reason,
        }
