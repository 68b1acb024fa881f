"""What `ontrack case` prints: what it means and the picture, the reports, and how it came about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Data, Event
from contracts.events.facts import (
    ActionChosen,
    CaseClosed,
    CaseEnrolled,
    NeedsStated,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
)
from contracts.events.notices import NoticeRequested, ReportContent, ReportIssued, ReportOverdue, ReportRevised
from contracts.events.tracks import Decision, Status
from services.cli.case.picture import drawn, sparkline
from services.cli.case.trajectory import OtherScale, Trajectory
from services.cli.history import is_fact
from services.cli.naming import WORDS, Naming, ranged
from services.cli.reports.listing import standing
from services.cli.screen import cut, day, heading, is_terminal, painted, size, wrapped
from services.cli.telling.conclusions import KINDS
from services.cli.telling.events import told, told_shortly
from services.not_detector.domain.course import Course
from services.notifier.domain.composition import compose
from services.notifier.domain.dossier import Dossier, Report
from services.pages import sentences
from services.pages.subject import Subject

COLOURS: Final[dict[Status, str]] = {"on_track": "green", "not_on_track": "red", "unknown": "yellow"}
FACT: Final = "•"
CONCLUSION: Final = "→"
HAPPENED: Final = f"What happened ({FACT}), and what was concluded from it ({CONCLUSION})"
LABEL: Final = 28
NUMBERS: Final = 22
"""Columns for the name of a scale, and for its first and last value."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One case as it is known: by the log, and by the stages. name: how the clinic calls it."""

    name: str
    events: Sequence[Event[Data]]
    course: Course
    dossier: Dossier
    definitions: Catalogue


def case_screen(file: CaseFile, naming: Naming, *, latest: int | None) -> Iterator[str]:
    """Give the lines of the screen. latest: so many entries of what happened; None: all of them.

    On a terminal the summary and the picture come last, where they stay in sight; elsewhere they come first.
    """
    over = any(isinstance(event.data, CaseClosed) for event in file.events)
    trajectory = Trajectory(file.course, file.dossier, file.definitions, over=over)
    details = [_others(trajectory), _reports(file, naming), _events(file, naming, latest)]
    if is_terminal():
        for lines in reversed(details):
            yield from lines
        yield ""
        yield from _summary(file, trajectory)
    else:
        yield from _summary(file, trajectory)
        for lines in details:
            yield from lines


def _summary(file: CaseFile, trajectory: Trajectory) -> Iterator[str]:
    yield from _heading(file, trajectory)
    yield ""
    yield from _meaning(file, trajectory)
    yield ""
    yield from _picture(trajectory)


def _heading(file: CaseFile, trajectory: Trajectory) -> Iterator[str]:
    group = f" · group {file.dossier.group}" if file.dossier.group else ""
    yield painted(f"Case {file.name}{group}", bold=True)
    parts = [trajectory.view.protocol.title.en]
    for event in file.events:
        match event.data:
            case CaseEnrolled():
                parts.append(f"enrolled {day(event.time)}")
            case CaseClosed(reason=reason):
                parts.append(f"ended {day(event.time)} ({reason.replace('_', ' ')})")
    yield from wrapped(" · ".join(parts))


def _meaning(file: CaseFile, trajectory: Trajectory) -> Iterator[str]:
    """Say how it is going now, why, and what must be known beside it."""
    latest = file.dossier.latest()
    if latest is None:
        yield "No session has been judged yet."
        return
    content = compose(file.dossier, file.definitions, kind="silent" if latest.silent else "not", session=latest.session)
    subject = Subject(content, file.definitions, WORDS)
    for line in wrapped(sentences.meaning(subject)):
        yield painted(line, COLOURS[latest.status], bold=True)
    for sentence in sentences.reasons(subject):
        yield from wrapped(sentence)
    for note in sentences.notes(subject):
        yield from wrapped(note, first="Note: ", rest="      ")
    policy = trajectory.view.policy
    yield from wrapped(f"Judged by: {policy.title.en} ({policy.id}@{policy.version})")


def _picture(trajectory: Trajectory) -> Iterator[str]:
    view = trajectory.view
    ends = (
        f"Up is better: {WORDS.number(trajectory.best)} is the best score, {WORDS.number(trajectory.worst)} the worst."
    )
    yield from wrapped(f"{view.scale.label.en}. {ends}")
    yield ""
    yield from drawn(trajectory.picture(), *size())
    if why := trajectory.why_no_line():
        yield from wrapped(why)


def _others(trajectory: Trajectory) -> Iterator[str]:
    others = trajectory.others()
    if others:
        yield from heading("The other scales, up is better on each")
    for other in others:
        yield _other(other)
    if any(other.provisional for other in others):
        yield "* by a provisional definition: part of it has no public source"


def _other(other: OtherScale) -> str:
    room = max(size()[0] - LABEL - NUMBERS - 4, 1)
    line = sparkline(other.values[-room:], other.best, other.worst)
    values = [value for value in other.values if value is not None]
    last = ranged(values[-1], *sorted((other.best, other.worst)))
    numbers = f"{WORDS.number(values[0])} → {last}" if len(values) > 1 else last
    label = cut(other.label, LABEL - 2) + (" *" if other.provisional else "")
    return f"{label:{LABEL}}  {line:{min(room, len(other.values))}}  {numbers}"


def _reports(file: CaseFile, naming: Naming) -> Iterator[str]:
    if file.dossier.reports:
        yield from heading("Reports, and what came of them")
    for report in file.dossier.reports.values():
        yield from _report(report, file, naming)


def _report(report: Report, file: CaseFile, naming: Naming) -> Iterator[str]:
    sessions = f", {WORDS.sessions(report.sessions)}" if report.sessions else ""
    state = standing(report)
    merged = f" into {naming.report(report.merged_into)}" if report.merged_into else ""
    yield f"{naming.report(report.id)}  {KINDS[report.kind]}{sessions}: {painted(state + merged, bold=True)}"
    for text in _course_of(report, file, naming):
        yield from wrapped(text, first="          ")


def _course_of(report: Report, file: CaseFile, naming: Naming) -> Iterator[str]:
    """Tell why a report was made, how it went on, and what persons did about it."""
    if report.kind != "safety" or naming.reveal:
        content = ReportContent.model_validate_json(report.content)
        yield f"{sentences.meaning(Subject(content, file.definitions, WORDS))}."
    revisions, notices = 0, 0
    for event in file.events:
        match event.data:
            case ReportIssued(report=report.id):
                yield f"{day(event.time)} issued"
            case ReportRevised(report=report.id):
                revisions += 1
            case NoticeRequested(report=report.id):
                notices += 1
            case ReportOverdue(report=report.id, session=session):
                yield f"{day(event.time)} overdue: nobody had looked again by {naming.session(session)}"
            case (
                ReportSeen(report=report.id)
                | ReportDiscussed(report=report.id)
                | NeedsStated(report=report.id)
                | ActionChosen(report=report.id)
                | ReportClosed(report=report.id)
            ):
                text = told(event, naming).removeprefix(f"report {naming.report(report.id)}").lstrip(", ")
                yield f"{day(event.time)} {text}"
            case _:
                pass
    yield f"{_counted(notices, 'notice')} asked for, {_counted(revisions, 'revision')} made"


def _events(file: CaseFile, naming: Naming, latest: int | None) -> Iterator[str]:
    if latest == 0:
        return
    entries = list(told_shortly(file.events, naming))
    shown = entries if latest is None else entries[-latest:]
    yield from heading(HAPPENED)
    if earlier := len(entries) - len(shown):
        yield f"{earlier} earlier {'entry' if earlier == 1 else 'entries'}: see all with --all-events"
    before = ""
    for event, text in shown:
        date = day(event.time)
        mark = FACT if is_fact(event) else CONCLUSION
        first = f"{'' if date == before else date:10}  {mark} "
        before = date
        lines = wrapped(text, first=first, rest=" " * len(first))
        colour = COLOURS[event.data.status] if isinstance(event.data, Decision) else None
        for line in lines:
            yield painted(line, colour) if colour not in (None, "green") else line


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' if count > 1 else ''}"
