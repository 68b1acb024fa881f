"""`ontrack audit why`: why a session was judged as it was, as an argument that can be followed step by step."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import click

from contracts.definitions.policy import Deterioration, NoChange
from contracts.events.event import Data, Event
from contracts.events.fields import instant
from contracts.events.notices import ReportIssued
from contracts.events.tracks import Evidence, TrackEvaluated, TrackRevised
from services.auditor.domain.argument import Argument, NothingDecided, Stood, argument
from services.cli.audit.source import Source, audited, source_options
from services.cli.disclosure import shown
from services.cli.history import history
from services.cli.home import FINDING, Failure, run, short_names
from services.cli.moments import moment_option
from services.cli.naming import Naming
from services.cli.naming_cases import case_named
from services.cli.output import Format, emit, format_option
from services.cli.policy_sentences import PolicySentences
from services.cli.screen import minute, painted, wrapped
from services.cli.telling import told
from services.cli.telling_conclusions import STATUSES
from services.home import Home
from services.not_detector.domain.course import View
from services.not_detector.domain.rules import Silent, apply, healthy_cut_off
from services.not_detector.domain.stage import NotDetector
from services.pages.words import sentence

_BOUNDLESS: Final = Decimal(1_000_000)
"""A limit that every change reaches, or stays below: with it a rule tells the numbers that it looks at."""

_BASELINES: Final = {
    "before_first_session": "the last valid score before session 1",
    "first_valid": "the first valid score there is",
    "set_by_hand": "set by hand",
}
_READINGS: Final = {
    "baseline": "the baseline",
    "previous": "the score before",
    "window": "the first of them",
    "earlier_session": "an earlier session",
}
COLUMNS: Final = ("case", "session", "status", "decision", "says")


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a rule of the policy said. evidence: its numbers; why: what kept it from being looked at."""

    kind: str
    says: str
    fired: bool
    evidence: Evidence | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """An argument, and what is needed to tell it."""

    case: str
    argument: Argument
    rules: Sequence[Ruled]
    naming: Naming


@click.command("why")
@click.argument("number", metavar="CASE")
@source_options
@click.option("--session", type=int, help="The session that was judged.")
@click.option("--report", metavar="ID", help="Or the report that speaks of it, by the beginning of its id.")
@moment_option("--as-of", "until", "As it was known then: the facts that had been recorded by that moment.")
@click.option("--reveal", is_flag=True, help="Show answers, comments and other words of persons too.")
@format_option
def why(
    number: str,
    source: Source,
    session: int | None,
    report: str | None,
    until: datetime | None,
    reveal: bool,
    form: Format,
) -> None:
    """Tell why a session was judged as it was: on which scores, by which rules and numbers, and what was not known.

    Rules that did not fire are told with their numbers too, so it says as well why a patient was not flagged. What
    came later stands apart from what the decision stood on.

    Example: ontrack audit why P0001 --session 3 --data DIR
    """
    if (session is None) == (report is None):
        raise Failure("either --session or --report was expected")
    found = run(_why(source, number, session, report, until, reveal=reveal))
    if form == "table":
        for line in _lines(found):
            click.echo(line)
    elif form == "csv":
        raise Failure("--format: table, json or ndjson was expected: an argument is no row")
    else:
        emit([_row(found)], COLUMNS, form)


async def _why(
    source: Source, number: str, session: int | None, report: str | None, until: datetime | None, *, reveal: bool
) -> Why:
    async with await audited(source, knows_cases=True) as home:
        case_id = await case_named(home, number)
        events = await history(home, case_id)
        wanted = session if session is not None else _session_of(events, report or "")
        try:
            found = argument(events, wanted, until)
        except NothingDecided:
            by_then = "" if until is None else f" by {minute(until)}"
            raise Failure(f"session {wanted} of {number} was not judged{by_then}", FINDING) from None
        rules = list(_ruled(home, events, found))
        return Why((await short_names(home))[case_id], found, rules, Naming(events, home.definitions, reveal=reveal))


def _session_of(events: Sequence[Event[Data]], report: str) -> int:
    """Give the session that a report was issued for. Raises Failure."""
    for event in events:
        if isinstance(event.data, ReportIssued) and event.data.report.startswith(report):
            decided = next((each.data for each in events if each.id == event.causationid), None)
            if isinstance(decided, TrackEvaluated | TrackRevised):
                return decided.session
            raise Failure(f"{report}: this report was not issued for a decision on a session", FINDING)
    raise Failure(f"{report}: the beginning of the id of a report of this case was expected", FINDING)


def _ruled(home: Home, events: Sequence[Event[Data]], found: Argument) -> Iterator[Ruled]:
    """Give what each rule of the policy said, by what was known when the session was judged."""
    decision = found.decision.data
    stage, course = NotDetector(home.definitions), NotDetector(home.definitions).initial(found.decision.subject)
    for event in events:
        if type(event.data) in stage.acts_on:
            course, _ = stage.step(course, event)
        if event.id == found.decision.causationid:
            break
    view = View(course, decision.policy, home.definitions)
    for each in decision.rules:
        if each.rule == "once_not/1":
            yield Ruled(each.rule, "Once not on track, a measured session stays so.", fired=True, evidence=each)
    sentences = PolicySentences(view.policy, home.definitions, "en").rules()
    fired = {(evidence.rule, evidence.threshold): evidence for evidence in decision.rules}
    for rule, (kind, says) in zip(view.policy.rules, sentences, strict=True):
        limit = rule.at_least if isinstance(rule, Deterioration) else rule.less_than
        evidence = fired.get((rule.kind, limit))
        if evidence is not None:
            yield Ruled(kind, says, fired=True, evidence=evidence)
            continue
        numbers = apply(_without_limit(rule), view, decision.session, decision.baseline)
        if isinstance(numbers, Evidence):
            yield Ruled(kind, says, fired=False, evidence=numbers.model_copy(update={"threshold": limit}))
        else:
            yield Ruled(kind, says, fired=False, evidence=None, why=_why_silent(rule, view, decision.session, numbers))


def _without_limit(rule: Deterioration | NoChange) -> Deterioration | NoChange:
    change = {"at_least": -_BOUNDLESS} if isinstance(rule, Deterioration) else {"less_than": _BOUNDLESS}
    return rule.model_copy(update=change)


def _why_silent(rule: Deterioration | NoChange, view: View, session: int, silent: Silent) -> str:
    """Say why a rule could not be looked at."""
    if view.score(session) is None:
        return "the session has no valid score"
    if silent is Silent.NO_BASELINE:
        return "there was no baseline to compare with"
    if isinstance(rule, NoChange):
        row = view.measured_until(session)[-rule.sessions :]
        if len(row) < rule.sessions:
            return f"{len(row)} of {rule.sessions} measured sessions"
        cut_off = healthy_cut_off(view)
        if rule.unless_healthy and cut_off is not None and cut_off.is_healthy(row[-1][1]):
            return "the score is in the healthy range"
        return "a session without a valid score breaks the row"
    return "there was no score to compare"


def _lines(found: Why) -> Iterator[str]:
    """Tell it as a text."""
    naming, of = found.naming, found.argument
    decision = of.decision.data
    yield painted(f"Case {found.case}, session {decision.session}: {STATUSES[decision.status]}", bold=True)
    yield from wrapped(f"{sentence(told(of.decision, naming))}.")
    yield from wrapped(_when("Decided", of.decision))
    for earlier in of.before:
        yield from wrapped(_when(f"Before that it was {STATUSES[earlier.data.status]}; decided", earlier))
    yield ""
    yield painted("It stood on", bold=True)
    for stood in of.scores:
        for line in _stood(stood, naming):
            yield from wrapped(line, first="  ", rest="    ")
    if not of.scores:
        yield "  no score"
    yield from wrapped(f"Baseline: {_baseline(of, naming)}", first="  ", rest="    ")
    yield ""
    yield painted(f"Rules of {naming.short(decision.policy)}", bold=True)
    if of.policy_by is not None:
        yield from wrapped(_when(told(of.policy_by, naming), of.policy_by), first="  ", rest="    ")
    for rule in found.rules:
        mark = "FIRED" if rule.fired else "did not fire"
        yield from wrapped(f"{mark}: {_numbers(rule, naming)}", first="  ", rest="    ")
        yield from wrapped(f"{rule.kind}: {rule.says}", first="    ", rest="    ")
    for name, events in _sections(of).items():
        yield ""
        yield painted(name, bold=True)
        for event in events:
            yield from wrapped(_when(told(event, naming), event), first="  ", rest="    ")
        if not events:
            yield "  nothing"


def _sections(of: Argument) -> Mapping[str, Sequence[Event[Data]]]:
    return {
        "Asked for, and not answered then": of.missing,
        "Answered by then, and not here yet": of.late,
        "Since then": of.later,
        "What was told of it": of.told,
    }


def _when(what: str, event: Event[Data]) -> str:
    recorded = f", recorded {minute(event.recordedtime)}" if minute(event.recordedtime) != minute(event.time) else ""
    return f"{what}: {minute(event.time)}{recorded} (event {event.id})"


def _stood(stood: Stood, naming: Naming) -> Iterator[str]:
    score = stood.score
    yield _when(f"{naming.session(score.data.session)}: {told(score, naming)}", score)
    if stood.answers is not None:
        first = "" if stood.is_first else "the answers as they were corrected by then; "
        yield _when(f"from {first}{told(stood.answers, naming)}", stood.answers)


def _baseline(of: Argument, naming: Naming) -> str:
    baseline = of.decision.data.baseline
    if baseline is None:
        return "none"
    where = "" if baseline.session is None else f", {naming.session(baseline.session)}"
    return f"{naming.number(baseline.value)}, {_BASELINES[baseline.how]}{where} (event {baseline.origin})"


def _numbers(rule: Ruled, naming: Naming) -> str:
    evidence = rule.evidence
    if evidence is None:
        return rule.why
    pairs = zip(evidence.sessions, evidence.values, evidence.changes, strict=True)
    told_each = (
        f"session {session} {naming.number(value)} ({_worse(change, naming)})" for session, value, change in pairs
    )
    limit = "" if evidence.threshold is None else f", limit {naming.number(evidence.threshold)}"
    return f"{', '.join(told_each)}, compared with {_READINGS[evidence.reading]}{limit}"


def _worse(change: Decimal, naming: Naming) -> str:
    if change == 0:
        return "the same"
    return f"{naming.number(abs(change))} {'worse' if change > 0 else 'better'}"


def _row(found: Why) -> dict[str, Any]:
    """Give it as data."""
    of, naming = found.argument, found.naming

    def data_of(event: Event[Data] | None) -> dict[str, Any] | None:
        if event is None:
            return None
        return {
            "id": event.id,
            "event": event.type,
            "time": instant(event.time),
            "recorded": instant(event.recordedtime),
            "says": told(event, naming),
            "data": shown(event.data, reveal=naming.reveal),
        }

    return {
        "case": found.case,
        "session": of.decision.data.session,
        "status": of.decision.data.status,
        "decision": data_of(of.decision),
        "before": [data_of(event) for event in of.before],
        "scores": [{"score": data_of(each.score), "answers": data_of(each.answers)} for each in of.scores],
        "baseline": data_of(of.baseline),
        "policy": of.decision.data.policy,
        "policy_changed_by": data_of(of.policy_by),
        "rules": [
            {
                "rule": rule.kind,
                "says": rule.says,
                "fired": rule.fired,
                "numbers": None if rule.evidence is None else json.loads(rule.evidence.model_dump_json()),
                "not_looked_at": rule.why or None,
            }
            for rule in found.rules
        ],
        "missing": [data_of(event) for event in of.missing],
        "late": [data_of(event) for event in of.late],
        "later": [data_of(event) for event in of.later],
        "told": [data_of(event) for event in of.told],
    }
