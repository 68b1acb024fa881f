"""`rom.notices.v1`: the reports that therapists read, who must be told that one is waiting, and who was."""

from decimal import Decimal
from typing import Literal, NamedTuple

from contracts.events.event import Data
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.fields import CountedSession, DefinitionRef, EventId, Instant, Name, Session, Whole
from contracts.events.scores import FactSetAside, FlaggedAnswer
from contracts.events.tracks import Decision, RuleKind, Status

ReportKind = Literal["not", "safety", "silent"]


class AnsweredForm(Data):
    """What one response adds to a report: its flagged answers and the patient's comment."""

    response: EventId
    session: Session
    instrument: DefinitionRef
    flags: tuple[FlaggedAnswer, ...]
    comment: str | None
    answered_at: Instant


class Point(NamedTuple):
    """One measured value on a curve."""

    session: Session
    value: Decimal


class Curve(Data):
    """One scale over the course: the sessions at which it was measured, and its values there.

    series: which wording of a problem; None elsewhere
    """

    instrument: DefinitionRef
    scale: Name
    series: Whole | None
    sessions: tuple[Session, ...]
    values: tuple[Decimal, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """Give its sessions with their values."""
        return tuple(map(Point, self.sessions, self.values))


class JudgedSession(Data):
    """One session in the row of statuses below the picture."""

    session: CountedSession
    status: Status
    score: Decimal | None
    rules: tuple[RuleKind, ...]


class Problem(Data):
    """A problem in the patient's own words; series counts its wordings."""

    problem: Whole
    series: Whole
    text: str


class ContextAnswer(Data):
    """An answer that is context, never a trigger: a life event, or a need that the patient ticked."""

    session: Session
    instrument: DefinitionRef
    flag: Name
    item: Name


class SuggestedNeed(Data):
    """A need worth asking about, and the flags (`instrument/flag`) that point to it."""

    need: Name
    because: tuple[str, ...]


class ReportContent(Data):
    """The report as the therapist sees it, whole. Names definitions; their labels give the words.

    composition: kind and version of the way it was put together
    session: the latest session it speaks of
    decision: the decision on that session; None in a safety report
    judged: every judged session of the course so far
    forms: the morning's forms of `session`, the form after the session before it, and those of individual sessions
        between the two
    curves: that of the primary scale first
    safety: every form so far with an answer that makes a safety report, with those answers only and no comment
    """

    composition: Literal["not_report/1"]
    kind: ReportKind
    clinic: Name
    group: Name | None
    protocol: DefinitionRef
    guidance: DefinitionRef
    session: Session
    decision: Decision | None
    judged: tuple[JudgedSession, ...]
    forms: tuple[AnsweredForm, ...]
    curves: tuple[Curve, ...]
    problems: tuple[Problem, ...]
    context: tuple[ContextAnswer, ...]
    safety: tuple[AnsweredForm, ...]
    needs: tuple[SuggestedNeed, ...]
    actions: tuple[Name, ...]


class ReportIssued(Data):
    """A report came into being; from here on it is revised, never replaced."""

    report: EventId
    content: ReportContent


ReportChange = Literal[
    "session_added",
    "session_removed",
    "status_changed",
    "decision_revised",
    "answers_changed",
    "context_changed",
    "safety_changed",
    "merged",
    "retracted",
    "reinstated",
]


class ReportRevised(Data):
    """A report reads otherwise than before.

    number: of this revision; the report as issued is 1
    revises: the event that no longer holds
    changes: what is different, in general terms
    state: `retracted` if what it reported has been revised away, or now belongs to `merged_into`
    """

    report: EventId
    number: Whole
    revises: EventId
    changes: tuple[ReportChange, ...]
    state: Literal["open", "retracted"]
    merged_into: EventId | None = None
    content: ReportContent


class ReportOverdue(Data):
    """The next session has come and nobody has looked at a report since it was last announced."""

    report: EventId
    session: Session


NoticeReason = Literal["issued", "further_session", "status_changed", "retracted", "overdue"]


class NoticeRequested(Data):
    """Somebody must be told that a report is waiting; who that is now, the directory knows."""

    report: EventId
    kind: ReportKind
    reason: NoticeReason
    to: Literal["therapists", "supervisor"]
    clinic: Name
    group: Name | None


NoticeEvent = ReportIssued | ReportRevised | ReportOverdue | NoticeRequested | NoticeSent | NoticeFailed | FactSetAside
