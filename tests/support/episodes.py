"""NOT episodes as the decisions on the log tell them, and the reports that must go with them: one each."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.events.notices import ReportIssued, ReportRevised
from contracts.events.tracks import TrackEvaluated, TrackRevised
from contracts.topics import NOTICES, TRACKS

Event = Mapping[str, Any]
Sessions = tuple[int, ...]


def episodes(tracks: Iterable[Event]) -> list[Sessions]:
    """Find the episodes of a case: runs of NOT sessions, ended by on track; unknown neither ends nor lengthens one."""
    decisions = (TrackEvaluated.type(), TrackRevised.type())
    statuses = {event["data"]["session"]: event["data"]["status"] for event in tracks if event["type"] in decisions}
    found: list[Sessions] = [()]
    for session, status in sorted(statuses.items()):
        if status == "not_on_track":
            found[-1] = (*found[-1], session)
        elif status == "on_track" and found[-1]:
            found.append(())
    return [episode for episode in found if episode]


def reported(notices: Iterable[Event]) -> list[Sessions]:
    """Give the sessions of each NOT report of a case that holds, as its last revision says. Each is issued once."""
    reports: dict[str, Event] = {}
    for event in notices:
        match event["type"], event["data"]:
            case kind, {"report": report, "content": {"kind": "not"}} as data if kind == ReportIssued.type():
                assert report not in reports, f"report {report} is issued twice"
                reports[report] = data
            case kind, {"report": report, "content": {"kind": "not"}} as data if kind == ReportRevised.type():
                assert report in reports, f"report {report} is revised before it is issued"
                reports[report] = data
    standing = [report for report in reports.values() if report.get("state") != "retracted"]
    return [tuple(report["content"]["decision"]["episode"]["sessions"]) for report in standing]


def reported_episodes(case_id: str, tracks: Iterable[Event], notices: Iterable[Event]) -> int:
    """Count the episodes of a case; fails unless each has a report, and only one, about exactly its sessions."""
    found, told = Counter(episodes(tracks)), Counter(reported(notices))
    assert told == found, f"case {case_id} has reports about {sorted(told.elements())}, and episodes {sorted(found)}"
    return found.total()


def episodes_of_all(histories: Mapping[str, Mapping[str, Iterable[Event]]]) -> int:
    """Count the episodes of all cases, each with its one report. histories: topic -> case -> its events."""
    tracks, notices = histories[TRACKS.name], histories[NOTICES.name]
    return sum(
        reported_episodes(case_id, tracks.get(case_id, ()), notices.get(case_id, ()))
        for case_id in tracks.keys() | notices.keys()
    )
