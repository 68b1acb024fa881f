"""What of an event may be shown as data without asking: numbers and names, never an answer or a person's words."""

from collections.abc import Mapping
from typing import Any, Final

from contracts.events.event import Data
from contracts.events.facts import CaseClosed, NoticeFailed
from contracts.events.notices import NoticeRequested
from contracts.events.scores import FactSetAside

SHOWN: Final = frozenset(
    {
        # facts of the course
        *(
            "clinic",
            "group",
            "protocol",
            "policy",
            "sessions",
            "from_session",
            "by",
            "session",
            "scheduled",
            "instrument",
            "closes",
        ),
        # responses: that they were given, by whom and when
        *("answered_at", "entered_by", "response", "problem", "scale", "value"),
        # what came of reports
        *(
            "report",
            "confirmed_by_patient",
            "seen_by",
            "needs",
            "action",
            "patient_agreed",
            "notice",
            "recipient",
            "recipients",
            "attempts",
        ),
        # scores
        *("fact", "scales", "series", "revises"),
        # decisions
        *(
            "status",
            "score",
            "measured_by",
            "baseline",
            "rules",
            "unknown_because",
            "annotations",
            "episode",
            "silent_sessions",
        ),
        *(
            "silent",
            "ever_not",
            "last_of_cause",
            "rule",
            "reading",
            "threshold",
            "values",
            "changes",
            "how",
            "origin",
            "persistent",
            "kind",
            "cut_off",
        ),
        # reports
        *(
            "content",
            "composition",
            "guidance",
            "decision",
            "judged",
            "curves",
            "points",
            "actions",
            "number",
            "state",
            "merged_into",
            "to",
        ),
    }
)
"""The fields that are shown. One that is not named here is withheld, so a new one is until somebody decides."""

CODED_REASONS: Final = (CaseClosed, NoticeFailed, NoticeRequested, FactSetAside)
"""The events whose reason is one of a list; elsewhere a reason is a person's words."""


def shown(data: Data, *, reveal: bool) -> dict[str, Any]:
    """Give what an event says as plain values; `withheld` names the fields that are left out."""
    plain = data.model_dump(mode="json")
    if reveal:
        return plain
    allowed = SHOWN | {"reason"} if isinstance(data, CODED_REASONS) else SHOWN
    withheld: set[str] = set()
    kept = _kept(plain, allowed, withheld)
    return {**kept, "withheld": sorted(withheld)} if withheld else kept


def _kept(plain: Mapping[str, Any], allowed: frozenset[str], withheld: set[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in plain.items():
        if value in (None, [], {}):
            kept.update({name: value} if name in allowed else {})
            continue
        part = _part(value, allowed, withheld) if name in allowed else None
        if part is None:
            withheld.add(name)
        else:
            kept[name] = part
    return kept


def _part(value: Any, allowed: frozenset[str], withheld: set[str]) -> Any:  # noqa: ANN401 - plain values of any shape
    """Give what may be shown of a value; None if that is nothing."""
    if isinstance(value, dict) and not allowed.isdisjoint(value):
        return _kept(value, allowed, withheld)
    if isinstance(value, list) and isinstance(value[0], dict):
        parts = [_part(part, allowed, withheld) for part in value]
        return None if None in parts else parts
    return None if isinstance(value, dict) and not all(name.isdecimal() for name in value) else value
