"""`ontrack notices`: what mail was sent that a report is waiting, what failed, and what waits."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import click

from contracts.events.event import Data
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.fields import instant
from contracts.events.notices import NoticeRequested
from services.cli.home import run, short_names
from services.cli.notice_events import Notices
from services.cli.output import Format, Row, format_option, say
from services.cli.place import Place, data_option, opened
from services.cli.report_list import short_ids
from services.cli.tables import print_rows
from services.cli.zone import local
from services.home import Home
from services.mailer.domain.standing import Standing, standings
from services.runtime.roster.port import Clinic, Group

COLUMNS: Final = ("requested", "report", "case", "group", "recipient", "outcome", "tries", "at", "why")
KINDS: Final[tuple[type[Data], ...]] = (NoticeRequested, NoticeSent, NoticeFailed)
_REASONS: Final[Mapping[str, str]] = {
    "gave-up": "it was tried for four days",
    "nobody": "for four days there was nobody for it",
    "too-late": "it had happened more than 30 days ago",
    "no-address": "the recipient has no address",
    "no-therapists": "the roster has no therapists of the group",
    "no-supervisors": "the roster has no supervisors of the clinic",
    "smtp-silent": "the mail server did not answer",
    "smtp-broken-off": "the connection broke",
}


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
    therapists of the group, or the supervisors of the clinic. Reports on imported history make no mail.

    Example: ontrack notices --outcome failed --data DIR
    """
    found = run(_rows(place, outcome, form))
    if found or form != "table":
        print_rows(found, COLUMNS, form)
    else:
        say("There is no such notice.")


def in_words(reason: str) -> str:
    """Say in words why a mail failed or waits."""
    return _REASONS.get(reason, reason.replace("smtp-", "the mail server answers "))


async def _rows(place: Place, outcome: str | None, form: Format) -> list[Row]:
    async with await opened(place) as home:
        # Asked first: what is settled meanwhile stands on the log then.
        waiting = await home.outbox.waiting()
        events = await Notices(home).new(*KINDS)
        wanted = [
            replace(each, reason=await _why_nobody(home, each.notice.data)) if _is_open(each) else each
            for each in standings(events, waiting)
            if outcome in (None, each.outcome)
        ]
        names = await short_names(home)
        shown = _for_people if form == "table" else _for_programs
        return list(shown(wanted, names))


def _is_open(each: Standing) -> bool:
    """Tell whether nobody has been found yet."""
    return each.outcome == "waits" and each.recipient is None


async def _why_nobody(home: Home, notice: NoticeRequested) -> str:
    """Say why a notice has no recipient, as far as the roster is the reason."""
    if notice.to == "supervisor":
        clinic = await home.roster.find(Clinic, notice.clinic, notice.clinic)
        return "" if clinic is not None and clinic.supervisors else "no-supervisors"
    group = None if notice.group is None else await home.roster.find(Group, notice.clinic, notice.group)
    return "" if group is not None and group.therapists else "no-therapists"


def _for_people(wanted: list[Standing], names: Mapping[str, str]) -> Iterator[Row]:
    short = short_ids([each.notice.data.report for each in wanted])
    for each, row in zip(wanted, _for_programs(wanted, names), strict=True):
        yield {
            **row,
            "requested": f"{local(each.notice.recordedtime):%Y-%m-%d %H:%M}",
            "report": short[each.notice.data.report],
            "recipient": each.recipient or f"({each.notice.data.to})",
            "at": None if each.at is None else f"{local(each.at):%Y-%m-%d %H:%M}",
            "why": in_words(each.reason),
        }


def _for_programs(wanted: list[Standing], names: Mapping[str, str]) -> Iterator[Row]:
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
