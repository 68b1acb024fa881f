"""The list of reports that stand together in a directory, as a page of the same look."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote

from contracts.definitions.definition import Language
from contracts.events.fields import Session
from contracts.events.notices import ReportKind
from services.pages.rendering import footer_string, rendered
from services.pages.words import Words, sentence

RowState = Literal["open", "seen", "overdue", "closed", "retracted", "merged"]

URGENCY: Final[tuple[ReportKind, ...]] = ("safety", "not", "silent")
TURN: Final[Mapping[RowState, int]] = {"overdue": 0, "open": 0, "seen": 1, "closed": 2, "retracted": 3, "merged": 3}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report in the list.

    why: in one line, in the language of the list
    state: how it stands; overdue: the next session has come and nobody has looked
    issued_at: when its latest revision was issued
    file: its page, as a path from the directory of the list
    persistent: its patient is persistently not on track
    """

    patient: str
    group: str | None
    kind: ReportKind
    session: Session
    status: Literal["on_track", "not_on_track", "unknown"] | None
    state: RowState
    why: str
    issued_at: datetime
    file: str
    persistent: bool = False


def index_page(rows: Iterable[ReportRow], language: Language) -> str:
    """Write the list: what waits before what was seen and what is over, the most urgent kind and the latest first."""
    words = Words(language)
    ordered = sorted(rows, key=_urgency)
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
                "session": sentence(words.session(row.session)),
                "status": "" if row.status is None else sentence(words(f"status.{row.status}")),
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


def _urgency(row: ReportRow) -> tuple[int, int, bool, float, str]:
    persistent = row.kind == "not" and row.persistent
    return TURN[row.state], URGENCY.index(row.kind), not persistent, -row.issued_at.timestamp(), row.patient
