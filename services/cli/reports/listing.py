"""Which reports there are: how each one stands, why it was made, and when its latest revision was issued."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from contracts.codec import CaseKey, decode, glance
from contracts.definitions.definition import Language
from contracts.events.event import Event
from contracts.events.fields import Session
from contracts.events.notices import ReportChange, ReportContent, ReportKind, ReportRevised
from contracts.topics import NOTICES
from services.cli.home import Failure
from services.home import Home
from services.notifier.domain.dossier import Dossier, Report
from services.pages.index import RowState
from services.pages.report import why_discreetly, why_in_one_line
from services.pages.subject import Now
from services.runtime.reading import chunks

_NOT_KNOWN: Final = datetime.min.replace(tzinfo=UTC)
_SHORTEST: Final = 8


@dataclass(frozen=True, slots=True)
class Selection:
    """Which reports are wanted: of which cases, of which kind (None: of every kind), retracted ones too or not."""

    case_ids: Sequence[str]
    kind: ReportKind | None = None
    with_retracted: bool = False

    def has(self, report: Report) -> bool:
        """Tell whether a report is wanted."""
        return self.kind in (None, report.kind) and (self.with_retracted or not report.retracted)


@dataclass(frozen=True, slots=True)
class Listed:
    """One report in the list.

    now: how its patient stands now, whatever the report says
    why: with what the patient answered, in a safety report; discreetly: without
    place: of the session in the course
    event, revision, issued_at: of the revision that holds
    """

    id: str
    kind: ReportKind
    case_id: str
    group: str | None
    session: Session
    now: Now | None
    standing: RowState
    persistent: bool
    why: str
    discreetly: str
    event: str
    revision: int
    place: float
    issued_at: datetime = _NOT_KNOWN


@dataclass(frozen=True, slots=True)
class Issue:
    """How a revision came out: when, and what it changed."""

    at: datetime
    changes: tuple[ReportChange, ...] = ()


def standing(report: Report) -> RowState:
    """Say how a report stands."""
    if report.merged_into is not None:
        return "merged"
    if report.retracted:
        return "retracted"
    if report.closed:
        return "closed"
    if report.overdue:
        return "overdue"
    return "seen" if report.seen else "open"


def now(dossier: Dossier, report: Report) -> Now | None:
    """Say how the case of a report stands now, and whether what the report tells of is over."""
    latest = dossier.latest()
    if latest is None:
        return None
    since = _over_since(dossier, report)
    statuses = {judged.status for session, judged in dossier.decisions.items() if since and session >= since}
    return Now(latest.session, latest.status, since, on_track_since=statuses == {"on_track"})


def _over_since(dossier: Dossier, report: Report) -> int | None:
    """Find the session that ended an episode or a silence; a safety answer does not end."""
    if report.retracted or report.kind == "safety" or dossier.is_open(report.kind, report.sessions):
        return None
    later = sorted(session for session in dossier.decisions if session > report.sessions[-1])
    ends = ("on_track",) if report.kind == "not" else ("on_track", "not_on_track")
    return next((session for session in later if dossier.decisions[session].status in ends), None)


async def listed(home: Home, selection: Selection, language: Language, advance: Callable[[int], None]) -> list[Listed]:
    """List reports, the newest first; of those revised at once, the one on the latest session.

    advance: is told how many cases were looked at
    """
    found = [entry async for entry in _found(home, selection, language, advance)]
    dates = await issues(home, {entry.event: entry.case_id for entry in found})
    dated = [replace(entry, issued_at=dates[entry.event].at) for entry in found if entry.event in dates]
    return sorted(dated, key=lambda entry: (entry.issued_at, entry.place, entry.id), reverse=True)


def _is_persistent(content: ReportContent) -> bool:
    episode = None if content.decision is None else content.decision.episode
    return episode is not None and episode.persistent


async def _found(
    home: Home, selection: Selection, language: Language, advance: Callable[[int], None]
) -> AsyncIterator[Listed]:
    async for case_id, dossier in home.states(home.notifier, selection.case_ids):
        for report in dossier.reports.values():
            if selection.has(report):
                content = ReportContent.model_validate_json(report.content)
                yield Listed(
                    id=report.id,
                    kind=report.kind,
                    case_id=case_id,
                    group=content.group,
                    session=content.session,
                    now=now(dossier, report),
                    standing=standing(report),
                    persistent=_is_persistent(content),
                    why=why_in_one_line(content, home.definitions, language),
                    discreetly=why_discreetly(content, home.definitions, language),
                    event=report.event,
                    revision=report.number,
                    place=home.definitions.protocol(content.protocol).place(content.session),
                )
        advance(1)


async def issues(home: Home, wanted: Mapping[str, str], *, with_changes: bool = False) -> Mapping[str, Issue]:
    """Find when revisions were issued: by event id. wanted: event id -> case id.

    The outside of a record tells when; what a revision changed is sealed, and opened only if it is asked for.
    """
    keys = await home.keyring.keys(set(wanted.values())) if with_changes else {}
    found: dict[str, Issue] = {}
    for partition in sorted({home.partition(case_id) for case_id in wanted.values()}):
        async for chunk in chunks(home.log, NOTICES, partition):
            for record in chunk:
                outside = glance(record.value)
                event_id = "" if outside is None else outside.id
                if outside is None or event_id not in wanted or event_id in found:
                    continue
                key = keys.get(record.key)
                event = decode(record.value, NOTICES, key) if isinstance(key, CaseKey) else None
                revised = event.data if isinstance(event, Event) else None
                changes = revised.changes if isinstance(revised, ReportRevised) else ()
                found[event_id] = Issue(datetime.fromisoformat(outside.time), changes)
    return found


def short_ids(reports: Collection[str]) -> Mapping[str, str]:
    """Shorten ids as far as they stay apart: id -> its beginning."""
    for length in range(_SHORTEST, 36):
        short = {report: report[:length] for report in reports}
        if len(set(short.values())) == len(short):
            return short
    return {report: report for report in reports}


def named(reports: Sequence[Listed], name: str) -> Listed:
    """Find a report by its id or the beginning of it. Raises Failure."""
    found = [entry for entry in reports if entry.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(f"{name}: the id of a report, or its beginning, was expected; ontrack reports --all lists them")
    raise Failure(f"{name}: more of the id was expected; {len(found)} reports begin like this")
