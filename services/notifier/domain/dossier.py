"""What notifier knows of a case: its forms, its decisions, its reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contracts.events.notices import ReportKind
from contracts.events.scores import ScoreComputed, ScoreRevised
from contracts.events.tracks import Decision
from contracts.evolution import evolved


@dataclass(frozen=True)
class Report:
    """A report as it stands.

    about: the counted sessions it reports, for the kinds `not` and `silent`; the response, for `safety`
    number, event: of the revision that holds
    content: that revision's content as JSON; read only when it is compared or shown
    announced: a notice has been asked for; seen: somebody has looked since the last one
    overdue: somebody has been told that nobody looked
    """

    id: str
    kind: ReportKind
    sessions: tuple[int, ...]
    response: str | None
    number: int
    event: str
    content: str
    retracted: bool = False
    merged_into: str | None = None
    announced: bool = False
    seen: bool = False
    overdue: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Dossier:
    """What notifier knows of a case.

    scores: response id -> the score that holds
    problems: problem -> its wordings, oldest first
    decisions: session -> the decision that holds
    reports: by id, in the order in which they were issued
    status_told: the status of the latest session when the last cause was dealt with
    new_sessions, changed_from: sessions that the cause at hand judged for the first time; the first it changed
    """

    clinic: str = ""
    group: str | None = None
    protocol: str | None = None
    scores: Mapping[str, ScoreComputed | ScoreRevised] = field(default_factory=dict)
    problems: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    decisions: Mapping[int, Decision] = field(default_factory=dict)
    reports: Mapping[str, Report] = field(default_factory=dict)
    status_told: tuple[int, str] | None = None
    new_sessions: tuple[int, ...] = ()
    changed_from: int | None = None

    def with_report(self, report: Report) -> "Dossier":
        """Know how a report stands."""
        return evolved(self, reports={**self.reports, report.id: report})

    def latest(self) -> Decision | None:
        """Give the decision on the latest judged session."""
        return self.decisions[max(self.decisions)] if self.decisions else None

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
