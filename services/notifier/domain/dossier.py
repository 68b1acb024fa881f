"""What notifier knows of a case: its forms, its decisions, its reports."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from math import inf
from typing import Literal

from contracts.events.notices import ReportKind
from contracts.events.scores import ScoreComputed, ScoreRevised
from contracts.events.tracks import Decision, Status
from contracts.evolution import evolved

Standing = tuple[int, Status, bool]


def series_at(named_at: Sequence[datetime], moment: datetime) -> int:
    """Count which wording of a problem held at a moment, from 1. named_at: when it got each, oldest first."""
    return max(1, bisect_right(named_at, moment))


@dataclass(frozen=True, slots=True)
class ProblemText:
    """A problem in the patient's words, and since when it stands so."""

    named_at: datetime
    text: str


@dataclass(frozen=True)
class Report:
    """A report as it stands.

    about: the counted sessions it reports, for the kinds `not` and `silent`; the response, for `safety`
    number, event: of the revision that holds
    content: that revision's content as JSON; read only when it is compared or shown
    since: when it came into being, or therapists were last told of it: as what that follows from was recorded
    told_by: the report by whose notice therapists know of this one: itself, or another that told of its run
    seen: somebody has looked since the last notice; overdue: the supervisor has been told that nobody looked
    """

    id: str
    kind: ReportKind
    sessions: tuple[int, ...]
    response: str | None
    number: int
    event: str
    content: str
    since: datetime
    retracted: bool = False
    merged_into: str | None = None
    told_by: str | None = None
    seen: bool = False
    overdue: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Dossier:
    """What notifier knows of a case.

    policies: each with the first session it holds for, in the order in which they were decided
    scores: response id -> the score that holds
    problems: problem -> what it was called, oldest first
    decisions: session -> the decision that holds
    reports: by id, in the order in which they were issued
    told: how the case stood when the last cause was dealt with
    new_sessions: sessions that the cause at hand judged for the first time
    changed_from: the first place in the course at which the cause at hand changed something
    safety_changed: the cause at hand changed a safety answer
    """

    clinic: str = ""
    group: str | None = None
    protocol: str | None = None
    policies: tuple[tuple[int, str], ...] = ()
    scores: Mapping[str, ScoreComputed | ScoreRevised] = field(default_factory=dict)
    problems: Mapping[int, tuple[ProblemText, ...]] = field(default_factory=dict)
    decisions: Mapping[int, Decision] = field(default_factory=dict)
    reports: Mapping[str, Report] = field(default_factory=dict)
    told: Standing | None = None
    new_sessions: tuple[int, ...] = ()
    changed_from: float | None = None
    safety_changed: bool = False

    def policy_for(self, session: int) -> str:
        """Give the policy that a session will be judged by which has not been judged yet."""
        return next(policy for first, policy in reversed(self.policies) if first <= session)

    def changed(self, place: float) -> "Dossier":
        """Know that the cause at hand changed something at a place in the course."""
        first = place if self.changed_from is None else min(place, self.changed_from)
        return evolved(self, changed_from=first)

    def is_known(self, report: Report) -> bool:
        """Tell whether therapists were told of a report, and not since of the retraction of what told them."""
        if report.told_by is None or (told := self.reports[report.told_by]).told_by is None:
            return False
        while told.merged_into is not None:
            told = self.reports[told.merged_into]
        return not told.retracted

    def with_report(self, report: Report) -> "Dossier":
        """Know how a report stands."""
        return evolved(self, reports={**self.reports, report.id: report})

    def with_problem(self, problem: int, named: ProblemText) -> "Dossier":
        """Know a problem's wording, whenever it arrives."""
        ordered = sorted((*self.problems.get(problem, ()), named), key=lambda wording: (wording.named_at, wording.text))
        return evolved(self, problems={**self.problems, problem: tuple(ordered)})

    def wordings(self, problem: int) -> list[ProblemText]:
        """Give a problem's wordings over time, oldest first; the same words said again begin nothing new."""
        return [next(same) for _, same in groupby(self.problems.get(problem, ()), key=lambda wording: wording.text)]

    def series(self, problem: int, at: datetime) -> int:
        """Count which wording of a problem held at a moment, from 1."""
        return series_at([wording.named_at for wording in self.wordings(problem)], at)

    def is_open(self, kind: Literal["not", "silent"], run: tuple[int, ...]) -> bool:
        """Tell whether a run goes on: no session on track after it; for a silent one, none that has a status."""
        later = {decision.status for session, decision in self.decisions.items() if session > run[-1]}
        return later <= {"unknown"} if kind == "silent" else "on_track" not in later

    def standing(self) -> Standing | None:
        """Say how the case stands: its latest session, that session's status, whether an episode goes on."""
        latest = self.latest()
        if latest is None:
            return None
        episodes = self.runs("not")
        return latest.session, latest.status, bool(episodes) and self.is_open("not", episodes[-1])

    def latest(self, until: float = inf) -> Decision | None:
        """Give the decision on the latest judged session, or on the latest one up to a place in the course."""
        judged = [session for session in self.decisions if session <= until]
        return self.decisions[max(judged)] if judged else None

    def runs(self, kind: Literal["not", "silent"]) -> list[tuple[int, ...]]:
        """Find what there is to report: the not-on-track episodes, or the runs of unknown sessions that are too long.

        An episode goes on over unknown sessions and ends at one that is on track.
        """
        found: list[tuple[int, ...]] = []
        if kind == "silent":
            for session in sorted(self.decisions):
                decision = self.decisions[session]
                if decision.silent:
                    if found and found[-1][0] == decision.silent_sessions[0]:
                        found.pop()
                    found.append(decision.silent_sessions)
            return found
        running: tuple[int, ...] = ()
        for session in sorted(self.decisions):
            match self.decisions[session].status:
                case "not_on_track":
                    running = (*running, session)
                case "on_track" if running:
                    found.append(running)
                    running = ()
        return [*found, running] if running else found
