"""What follows from one event: reports issued, revised and retracted, and who must be told."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

from contracts.codec import canonical
from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import id_of
from contracts.events.event import DERIVED_ID, Data, Derivation, Event, name_based_id
from contracts.events.facts import (
    ActionChosen,
    CaseTransferred,
    NeedsStated,
    ProblemNamed,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
)
from contracts.events.notices import (
    NoticeReason,
    NoticeRequested,
    ReportChange,
    ReportContent,
    ReportIssued,
    ReportKind,
    ReportOverdue,
    ReportRevised,
)
from contracts.events.scores import FactSetAside, ScaleValue, ScoreComputed, ScoreRevised, ScoreWithdrawn
from contracts.events.tracks import Decision, TrackEvaluated, TrackRevised
from contracts.evolution import evolved
from services.notifier.domain.composition import compose, is_held
from services.notifier.domain.dossier import Dossier, ProblemText, Report

Run = Literal["not", "silent"]


class Telling:
    """What follows from one event: the dossier as it becomes, and what is said on the way."""

    def __init__(self, dossier: Dossier, cause: Event[Data], definitions: Catalogue) -> None:
        self.dossier = dossier
        self.said: list[Event[Data]] = []
        self._cause = cause
        self._derivation = Derivation("notifier", cause)
        self._definitions = definitions

    def transferred(self, transfer: CaseTransferred) -> None:
        """Know where the case is now: its reports are read there."""
        clinic = transfer.clinic or self.dossier.clinic
        self.dossier = evolved(self.dossier, clinic=clinic, group=transfer.group)
        for report in self._standing_reports():
            self._revise(report, report.sessions)

    def problem_named(self, problem: ProblemNamed) -> None:
        """Know a problem in the patient's words, since when it stands so; scores go with the words of their time."""
        named = ProblemText(self._cause.time, problem.text)
        self.dossier = self.dossier.with_problem(problem.problem, named)
        for report in self._standing_reports():
            self._revise(report, report.sessions)

    def scored(self, score: ScoreComputed | ScoreRevised) -> None:
        """Take the score of a response, new or corrected."""
        before = self.dossier.scores.get(score.response)
        self.dossier = evolved(self.dossier, scores={**self.dossier.scores, score.response: score})
        about_safety = _is_about_safety(before) or _is_about_safety(score)
        self._response_changed(score, score.scales, is_about_safety=about_safety)

    def withdrawn(self, score: ScoreWithdrawn) -> None:
        """Forget the score of a response that was withdrawn."""
        before = self.dossier.scores.get(score.response)
        scores = {response: held for response, held in self.dossier.scores.items() if response != score.response}
        self.dossier = evolved(self.dossier, scores=scores)
        self._response_changed(score, (), is_about_safety=_is_about_safety(before))

    def _response_changed(
        self,
        score: ScoreComputed | ScoreRevised | ScoreWithdrawn,
        scales: Sequence[ScaleValue],
        *,
        is_about_safety: bool,
    ) -> None:
        """Revise the reports that hold this response; all of them, if a safety answer changed.

        Where a decision rests on a number that is now another, the next event decides anew, and the report is revised
        with that: never does it show the new answers beside the old decision.
        """
        self._safety(score.response, score.session)
        standing = self._standing_reports()
        if not standing:
            return
        values = {scale.scale: scale.value for scale in scales}
        decisions = self._decisions_by(score.instrument)
        if self._is_judged_now(score) or any(self._rests_on_another(each, score, values) for each in decisions):
            dossier = self.dossier.changed(self._place(score.session))
            self.dossier = evolved(dossier, safety_changed=dossier.safety_changed or is_about_safety)
            return
        instrument, place = self._definitions.instrument(score.instrument), self._place(score.session)
        for report in standing:
            if is_about_safety or is_held(instrument, place, self._place(self._session_of(report))):
                self._revise(report, report.sessions)

    def _standing_reports(self) -> list[Report]:
        """Give the reports that hold."""
        return [report for report in self.dossier.reports.values() if not report.retracted]

    def _session_of(self, report: Report) -> int | str:
        """Give the session that a report speaks of last; that of its response, for a safety report."""
        if report.response is not None:
            return self.dossier.scores[report.response].session
        return report.sessions[-1]

    def _place(self, session: int | str) -> float:
        return self._definitions.protocol(self.dossier.protocol or "").place(session)

    def _decisions_by(self, ref: str) -> Iterator[Decision]:
        """Give the decisions by an instrument, or by another version of it that can be compared with this one."""
        comparable = {ref: True}
        for decision in self.dossier.decisions.values():
            by = decision.instrument
            if by not in comparable:
                instrument = self._definitions.instrument
                comparable[by] = id_of(by) == id_of(ref) and instrument(by).comparable_with(instrument(ref))
            if comparable[by]:
                yield decision

    def _is_judged_now(self, score: ScoreComputed | ScoreRevised | ScoreWithdrawn) -> bool:
        """Tell whether a session is judged for the first time since its policy's instrument has been answered at it."""
        session = score.session
        if isinstance(session, str) or session < 1 or session in self.dossier.decisions:
            return False
        policy = self._definitions.policy(self.dossier.policy_for(session))
        return id_of(policy.primary.instrument) == id_of(score.instrument)

    def _rests_on_another(
        self,
        decision: Decision,
        score: ScoreComputed | ScoreRevised | ScoreWithdrawn,
        values: Mapping[str, Decimal | None],
    ) -> bool:
        """Tell whether a decision stands on a number of a response that has another value now.

        It stands on the score of its session, on its baseline, and on the scores that its rules name.
        """
        value, baseline = values.get(decision.scale), decision.baseline
        if decision.session == score.session:
            return decision.score != value
        if baseline is not None and baseline.session == score.session and baseline.value != value:
            return True
        if not isinstance(score, ScoreWithdrawn) and value is not None and self._moves_baseline(decision, score):
            return True
        return any(
            session == score.session and stood != value
            for evidence in decision.rules
            for session, stood in zip(evidence.sessions, evidence.values, strict=False)
        )

    def _moves_baseline(self, decision: Decision, score: ScoreComputed | ScoreRevised) -> bool:
        """Tell whether a valid score is now the baseline of a decision, in place of another one or of none."""
        how, baseline = self._definitions.policy(decision.policy).baseline, decision.baseline
        if how == "explicit" or (baseline is not None and baseline.how == "set_by_hand"):
            return False
        place = self._place(score.session)
        if place >= 1 and (how == "before_first_session" or not isinstance(score.session, int)):
            return False
        if baseline is None or baseline.session is None:
            return True
        held_at = self._place(baseline.session)
        if place >= 1 or held_at >= 1:
            return place < held_at
        held = (self._answered_at(baseline.session, decision.instrument), held_at)
        new = (score.answered_at, place)
        return new > held if how == "before_first_session" else new < held

    def _answered_at(self, session: int | str, instrument: str) -> datetime:
        """Give when an instrument was answered at a session."""
        return next(
            score.answered_at
            for score in self.dossier.scores.values()
            if score.session == session and id_of(score.instrument) == id_of(instrument)
        )

    def judged(self, decision: TrackEvaluated | TrackRevised) -> None:
        """Take a decision; when it is the last one of its cause, see what there is to report now."""
        dossier = self.dossier.changed(decision.session)
        new = (decision.session,) if isinstance(decision, TrackEvaluated) else ()
        self.dossier = evolved(
            dossier,
            decisions={**dossier.decisions, decision.session: _as_decision(decision)},
            new_sessions=(*dossier.new_sessions, *new),
        )
        if not decision.last_of_cause:
            return
        for kind in get_args(Run):
            self._reconcile(kind)
        for report in self._standing_reports():
            if report.kind == "safety" and self._place(self._session_of(report)) >= (self.dossier.changed_from or 0):
                self._revise(report, report.sessions)
        told = self.dossier.standing()
        self.dossier = evolved(self.dossier, told=told, new_sessions=(), changed_from=None, safety_changed=False)

    def session_due(self, session: int | str, scheduled: datetime) -> None:
        """Tell the supervisor of reports that nobody has looked at by this session, of those that were there by then.

        A session can be told of when it is long over: after an outage, or since it was entered late.
        """
        for report in list(self.dossier.reports.values()):
            waiting = not (report.retracted or report.seen or report.overdue or report.closed)
            if waiting and report.since < scheduled and _is_before(self._session_of(report), session):
                self._say(ReportOverdue(report=report.id, session=session))
                self.dossier = self.dossier.with_report(evolved(report, overdue=True))
                self._notice(report, "overdue", "supervisor")

    def touched(self, fact: ReportSeen | ReportDiscussed | ActionChosen | NeedsStated | ReportClosed) -> None:
        """Know that somebody has dealt with a report."""
        if fact.report is None:
            return
        report = self.dossier.reports.get(fact.report)
        if report is None:
            self._say(FactSetAside(fact=self._cause.id, reason="report_unknown"))
            return
        by_patient = isinstance(fact, NeedsStated) and fact.seen_by == "patient"
        closed = report.closed or isinstance(fact, ReportClosed)
        self.dossier = self.dossier.with_report(evolved(report, seen=report.seen or not by_patient, closed=closed))

    def _reconcile(self, kind: Run) -> None:
        """Bring the reports of a kind into line with what there is to report: one report a run."""
        reports = [report for report in self.dossier.reports.values() if report.kind == kind]
        runs = self.dossier.runs(kind)
        claimed: dict[tuple[int, ...], Report] = {}
        for report in sorted(reports, key=lambda report: report.retracted):
            home = max(runs, key=lambda run: len(set(run) & set(report.sessions)), default=())
            if not set(home) & set(report.sessions):
                self._retract(report, None)
            elif home in claimed:
                self._retract(report, claimed[home].id)
            else:
                claimed[home] = report
        held = [report for report in reports if not report.retracted and self.dossier.is_known(report)]
        told = {session: report.told_by for report in held for session in report.sessions}
        for run in runs:
            report = self._go_on(claimed[run], run, told) if run in claimed else self._issue(kind, run, told)
            report = self.dossier.reports[report.id]
            # Its run is known by the notice of another report, of which it was a part, or which was merged into it.
            if run[-1] in told and self.dossier.is_open(kind, run) and not self.dossier.is_known(report):
                self.dossier = self.dossier.with_report(evolved(report, told_by=told[run[-1]]))

    def _issue(self, kind: Run, run: tuple[int, ...], told: Collection[int]) -> Report:
        """Issue the report of a run; its id comes from the first session announced in it. told: as of `_is_news`."""
        content = compose(self.dossier, self._definitions, kind=kind, session=run[-1])
        report = self._new_report(kind, str(run[0]), content, sessions=run, response=None)
        if self._is_news(kind, run, told):
            self._notice(report, "issued")
        return report

    def _go_on(self, report: Report, run: tuple[int, ...], told: Collection[int]) -> Report:
        """Revise the report of a run, if anything that it speaks of changed; with a notice if that is news.

        told: as of `_is_news`
        """
        kind: Run = "silent" if report.kind == "silent" else "not"
        unchanged = run[-1] < (self.dossier.changed_from or 0) and not self.dossier.safety_changed
        is_again = not self.dossier.new_sessions and self._is_news(kind, run, told)
        # By another report, which is retracted now: that alone would say that nothing goes on.
        was_known = report.told_by is not None and not self.dossier.is_known(report) and self.dossier.is_open(kind, run)
        if report.sessions == run and not report.retracted and unchanged and not (is_again or was_known):
            return report
        further = [s for s in self.dossier.new_sessions if s in run and s not in report.sessions]
        revised = self._revise(report, run)
        if report.retracted:
            if self._is_news(kind, run, told):
                self._notice(revised, "issued")
        elif kind == "silent":
            # One that is merely longer is not told again.
            if run[-1] not in self.dossier.new_sessions and self._is_news(kind, run, told):
                self._notice(revised, "status_changed")
        elif further and not was_known:
            policy = self._definitions.policy(self.dossier.decisions[run[-1]].policy)
            if policy.notify == "every_not_session" and self._is_news(kind, run, told):
                self._notice(revised, "further_session")
        elif was_known or (self._stands_otherwise() and self._is_about_now(report, run)):
            self._notice(revised, "status_changed")
        return revised

    def _is_news(self, kind: Run, run: tuple[int, ...], told: Collection[int]) -> bool:
        """Tell whether a run that goes on is not yet what therapists know.

        That is so of a silence, if they were not told of its last session; of an episode, if a session of it is new, or
        if the case stands otherwise than when they were last told. The past alone makes no notice (clinical rules, NOT
        report).

        told: the sessions of the reports that they know of and that had held
        """
        if not self.dossier.is_open(kind, run):
            return False
        if kind == "silent":
            return run[-1] not in told
        return any(session in run for session in self.dossier.new_sessions) or self._stands_otherwise()

    def _stands_otherwise(self) -> bool:
        """Tell whether the latest session, its status, or whether an episode goes on is other than it was told."""
        return self.dossier.standing() != self.dossier.told

    def _is_about_now(self, report: Report, run: tuple[int, ...]) -> bool:
        """Tell whether a report speaks of how the case stands now, or did until now."""
        latest = self.dossier.latest()
        spoke_of_it = latest is not None and latest.session in report.sessions
        return spoke_of_it or self.dossier.is_open("not", run)

    def _retract(self, report: Report, merged_into: str | None) -> None:
        """Say that a report no longer holds; with a notice to whom had been told of it, unless it is merged.

        Who was told that is told no more of it, until it has been announced again.
        """
        if report.retracted:
            return
        changes: tuple[ReportChange, ...] = ("merged",) if merged_into else ("retracted",)
        content, is_known = ReportContent.model_validate_json(report.content), self.dossier.is_known(report)
        revised = self._revision(report, content, report.content, changes, retracted=True, merged_into=merged_into)
        if merged_into is not None:
            return
        if is_known:
            self._notice(revised, "retracted")
        elif report.overdue:
            self._notice(revised, "retracted", "supervisor")
        known = evolved(self.dossier.reports[report.id], told_by=None, overdue=False)
        self.dossier = self.dossier.with_report(known)

    def _safety(self, response: str, session: int | str) -> None:
        """Issue, revise or retract the safety report of a response, whatever the status."""
        report = next((r for r in self.dossier.reports.values() if r.response == response), None)
        if not _is_about_safety(self.dossier.scores.get(response)):
            if report is not None:
                self._retract(report, None)
            return
        content = compose(self.dossier, self._definitions, kind="safety", session=session, response=response)
        _, text = _written(content)
        if report is None:
            sessions = (session,) if isinstance(session, int) else ()
            self._notice(self._new_report("safety", response, content, sessions=sessions, response=response), "issued")
        elif report.retracted:
            self._notice(self._revision(report, content, text, ("reinstated",), retracted=False), "issued")
        elif report.content != text:
            self._revision(report, content, text, ("answers_changed",), retracted=False)

    def _new_report(
        self, kind: ReportKind, about: str, content: ReportContent, *, sessions: tuple[int, ...], response: str | None
    ) -> Report:
        report_id = self._report_id(kind, about)
        event = self._say(ReportIssued(report=report_id, content=content))
        _, text = _written(content)
        since = self._cause.recordedtime
        report = Report(report_id, kind, sessions, response, number=1, event=event.id, content=text, since=since)
        self.dossier = self.dossier.with_report(report)
        return report

    def _report_id(self, kind: ReportKind, about: str) -> str:
        """Make the id of a report from the case and what it is about; a second one about the same has its own."""
        ordinal = 0
        while True:
            report_id = name_based_id(DERIVED_ID, self._cause.subject, "report", kind, about, str(ordinal))
            if report_id not in self.dossier.reports:
                return report_id
            ordinal += 1

    def _revise(self, report: Report, run: tuple[int, ...]) -> Report:
        """Put a report together anew; say so if it reads otherwise."""
        session = self._session_of(report) if report.kind == "safety" else run[-1]
        content = compose(self.dossier, self._definitions, kind=report.kind, session=session, response=report.response)
        plain, text = _written(content)
        if report.sessions == run and not report.retracted and report.content == text:
            return report
        changes = _changes(report, run, json.loads(report.content), plain)
        return self._revision(evolved(report, sessions=run), content, text, changes, retracted=False)

    def _revision(
        self,
        report: Report,
        content: ReportContent,
        text: str,
        changes: tuple[ReportChange, ...],
        *,
        retracted: bool,
        merged_into: str | None = None,
    ) -> Report:
        event = self._say(
            ReportRevised(
                report=report.id,
                number=report.number + 1,
                revises=report.event,
                changes=changes,
                state="retracted" if retracted else "open",
                merged_into=merged_into,
                content=content,
            )
        )
        revised = evolved(
            report,
            number=report.number + 1,
            event=event.id,
            content=text,
            retracted=retracted,
            merged_into=merged_into,
        )
        self.dossier = self.dossier.with_report(revised)
        return revised

    def _notice(
        self, report: Report, reason: NoticeReason, to: Literal["therapists", "supervisor"] = "therapists"
    ) -> None:
        """Ask that somebody be told; what is told to therapists is open and unseen again."""
        dossier = self.dossier
        self._say(
            NoticeRequested(
                report=report.id, kind=report.kind, reason=reason, to=to, clinic=dossier.clinic, group=dossier.group
            )
        )
        if to == "therapists":
            known = evolved(dossier.reports[report.id], since=self._cause.recordedtime, told_by=report.id)
            self.dossier = dossier.with_report(evolved(known, seen=False, overdue=False, closed=False))

    def _say(self, data: Data) -> Event[Data]:
        event = self._derivation.event(data)
        self.said.append(event)
        return event


def _is_before(about: int | str, session: int | str) -> bool:
    """Tell whether a report is about an earlier session: of counted and individual ones only their times tell that."""
    return about < session if isinstance(about, int) and isinstance(session, int) else about != session


def _is_about_safety(score: ScoreComputed | ScoreRevised | None) -> bool:
    return score is not None and any(flag.kind == "safety" for flag in score.flags)


def _as_decision(event: TrackEvaluated | TrackRevised) -> Decision:
    """Keep what was decided, whichever event said it: a decision read back from the store is equal to it."""
    return Decision(**{name: getattr(event, name) for name in Decision.model_fields})


def _written(content: ReportContent) -> tuple[Mapping[str, Any], str]:
    """Write a content as it will stand in its event: in plain values, and as the text that a report keeps."""
    plain = content.model_dump(mode="json")
    return plain, canonical(plain).decode()


def _changes(
    report: Report, run: tuple[int, ...], before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[ReportChange, ...]:
    """Name what is different between two revisions, by their contents as they are written."""
    found: list[ReportChange] = []
    if report.retracted:
        found.append("reinstated")
    if set(run) - set(report.sessions):
        found.append("session_added")
    if set(report.sessions) - set(run):
        found.append("session_removed")
    statuses = [(judged["session"], judged["status"]) for judged in before["judged"]]
    if [(judged["session"], judged["status"]) for judged in after["judged"]][: len(statuses)] != statuses:
        found.append("status_changed")
    if before["session"] == after["session"] and before["decision"] != after["decision"]:
        found.append("decision_revised")
    if before["session"] == after["session"] and before["forms"] != after["forms"]:
        found.append("answers_changed")
    if before["safety"] != after["safety"]:
        found.append("safety_changed")
    return tuple(found) or ("context_changed",)
