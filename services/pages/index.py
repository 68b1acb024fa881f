"""The list of reports that stand together in a directory, as a page of the same look."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote

from contracts.definitions.definition import Language
from contracts.events.fields import Session
from contracts.events.notices import ReportKind
from services.pages.rendering import footer_string, rendered
from services.pages.words import Words, sentence

URGENCY: Final[tuple[ReportKind, ...]] = ("safety", "not", "silent")


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One report in the list.

    why: in one line, in the language of the list
    issued_at: when its latest revision was issued
    file: its page, as a path from the directory of the list
    """

    patient: str
    group: str | None
    kind: ReportKind
    session: Session
    status: Literal["on_track", "not_on_track", "unknown"] | None
    state: Literal["open", "retracted"]
    why: str
    issued_at: datetime
    file: str


def index_page(rows: Iterable[ReportRow], language: Language) -> str:
    """Write the list: open reports before retracted ones, the most urgent kind and the latest first."""
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


def _urgency(row: ReportRow) -> tuple[bool, int, float, str]:
    return row.state == "retracted", URGENCY.index(row.kind), -row.issued_at.timestamp(), row.patient
