"""The list of reports that stand together in a directory, as a page of the same look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote

from contracts.definitions.definition import Language
from contracts.events.fields import Session
from contracts.events.notices import ReportKind
from services.pages.afterwards import latest, over
from services.pages.rendering import footer_string, rendered
from services.pages.subject import Now
from services.pages.words import Words

RowState = Literal["open", "seen", "overdue", "closed", "retracted", "merged"]

URGENCY: Final[tuple[ReportKind, ...]] = ("safety", "not", "silent")
TURN: Final[Mapping[RowState, int]] = {"overdue": 0, "open": 0, "seen": 1, "closed": 2}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report in the list.

    session: the one that it speaks of; why: in one line, in the language of the list
    state: how it stands; overdue: the next session has come and nobody has looked
    issued_at: when its latest revision was issued
    file: its page, as a path from the directory of the list
    persistent: it reports that its patient is persistently not on track
    now: how its patient stands now, whatever the report says; None: no session has been judged
    """

    patient: str
    group: str | None
    kind: ReportKind
    session: Session
    state: RowState
    why: str
    issued_at: datetime
    file: str
    persistent: bool = False
    now: Now | None = None


def index_page(rows: Iterable[ReportRow], language: Language) -> str:
    """Write the list: what goes on before what is over; what waits, the most urgent kind and the latest first.

    The reports of one patient stand together, the newest first, where the most urgent of them belongs.
    rows: the newest first; those that are alike keep their order
    """
    words = Words(language)
    ordered = _ordered(list(rows))
    return rendered(
        "index.html",
        words,
        footer=footer_string(f"OnTrack · {words('index.title')}"),
        rows=[
            {
                "patient": row.patient,
                "group": row.group or words("head.no_group"),
                "kind": row.kind,
                "kind_name": words(f"report.{row.kind}"),
                "as_of": words("index.as_of", session=words.session(row.session)),
                "now": "" if row.now is None else latest(row.now, words),
                "now_status": "" if row.now is None else row.now.status,
                "over": "" if row.now is None else over(row.now, words),
                "state": row.state,
                "state_name": words(f"state.{row.state}"),
                "why": row.why,
                "date": words.moment(row.issued_at),
                "link": f"./{quote(row.file)}",
            }
            for row in ordered
        ],
        count=words.count("index.count", len(ordered)),
    )


def _ordered(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """Order the rows: by their part of the list, in it by patient, and of a patient the newest first.

    One answer can revise several reports of a patient at one moment: those stand by their kind.
    """
    first: dict[tuple[int, str], tuple[int, int, bool, float]] = {}
    for row in rows:
        key = _part(row), row.patient
        first[key] = min(first.get(key, _urgency(row)), _urgency(row))
    return sorted(
        rows,
        key=lambda row: (
            _part(row),
            first[_part(row), row.patient],
            row.patient,
            -row.issued_at.timestamp(),
            URGENCY.index(row.kind),
        ),
    )


def _part(row: ReportRow) -> int:
    """Tell what goes on from what is over, and that from what does not hold."""
    if row.state in ("retracted", "merged"):
        return 2
    return 0 if row.now is None or row.now.over_since is None else 1


def _urgency(row: ReportRow) -> tuple[int, int, bool, float]:
    """Tell how urgent a row is; where nothing waits to be done, only the date counts."""
    latest_first = -row.issued_at.timestamp()
    if _part(row):
        return 0, 0, False, latest_first
    persistent = row.kind == "not" and row.persistent
    return TURN[row.state], URGENCY.index(row.kind), not persistent, latest_first
