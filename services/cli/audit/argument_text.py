"""An argument for a decision as text, and as data. As a page it is written by `services.pages.argument`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts.events.event import Data, Event
from contracts.events.fields import instant
from contracts.events.tracks import Baseline
from services.auditor.domain.argument import Argument, Stood
from services.cli.disclosure import shown
from services.cli.naming import WORDS, Naming
from services.cli.screen import as_given, by_whose_clock, heading, minute, painted, wrapped
from services.cli.telling.conclusions import STATUSES
from services.cli.telling.events import told
from services.pages.measure import moved
from services.pages.ruled import Ruled, why_silent
from services.pages.words import sentence

_BASELINES: Final = {
    "before_first_session": "the last valid score before session 1",
    "first_valid": "the first valid score there is",
    "set_by_hand": "set by hand",
}


@dataclass(frozen=True, slots=True)
class Why:
    """An argument, and what is needed to tell it. case: how the clinic calls it; until: as of when it is told."""

    case: str
    argument: Argument
    rules: Sequence[Ruled]
    until: datetime | None
    naming: Naming


def lines(found: Why) -> Iterator[str]:
    """Tell it as a text."""
    naming, of = found.naming, found.argument
    decision = of.decision.data
    yield painted(f"Case {found.case}, session {decision.session}: {STATUSES[decision.status]}", bold=True)
    if found.until is not None:
        yield f"As it was known at {as_given(found.until)}."
    yield by_whose_clock()
    yield from wrapped(f"{sentence(told(of.decision, naming))}.")
    yield from wrapped(_when("Decided", of.decision))
    for earlier in of.before:
        yield from wrapped(_when(f"Before that it was {STATUSES[earlier.data.status]}; decided", earlier))
    yield from heading(WORDS("argument.stood"))
    for stood in of.scores:
        for line in _stood(stood, naming):
            yield from wrapped(line, first="  ", rest="    ")
    if not of.scores:
        yield "  no score"
    for line in (f"Baseline: {_baseline(of, naming)}", *_answered(of.measured, naming)):
        yield from wrapped(line, first="  ", rest="    ")
    yield from heading(f"Rules of {naming.short(decision.policy)}")
    if of.policy_by is not None:
        yield from wrapped(_when(told(of.policy_by, naming), of.policy_by), first="  ", rest="    ")
    for rule in found.rules:
        mark = "FIRED" if rule.fired else "did not fire"
        yield from wrapped(f"{mark}: {_numbers(rule)}", first="  ", rest="    ")
        yield from wrapped(f"{rule.kind}: {rule.says}", first="    ", rest="    ")
    for name, events in _sections(of).items():
        yield from heading(WORDS(f"argument.{name}"))
        for event in events:
            yield from wrapped(_when(told(event, naming), event), first="  ", rest="    ")
        if not events:
            yield "  nothing"


def _sections(of: Argument) -> Mapping[str, Sequence[Event[Data]]]:
    return {"missing": of.missing, "late": of.late, "later": of.later, "told": of.told}


def _when(what: str, event: Event[Data]) -> str:
    recorded = f", recorded {minute(event.recordedtime)}" if minute(event.recordedtime) != minute(event.time) else ""
    return f"{what}: {minute(event.time)}{recorded} (event {event.id})"


def _stood(stood: Stood, naming: Naming) -> Iterator[str]:
    score = stood.score
    yield _when(f"{naming.session(score.data.session)}: {told(score, naming)}", score)
    yield from _answered(stood, naming)


def _answered(stood: Stood | None, naming: Naming) -> Iterator[str]:
    if stood is not None and stood.answers is not None:
        first = "" if stood.is_first else "the answers as they were corrected by then; "
        yield _when(f"from {first}{told(stood.answers, naming)}", stood.answers)


def _baseline(of: Argument, naming: Naming) -> str:
    baseline = of.decision.data.baseline
    if baseline is None:
        return "none"
    where = "" if baseline.session is None else f", {naming.session(baseline.session)}"
    says = f"{naming.number(baseline.value)}, {_BASELINES[baseline.how]}{where}"
    return f"{says} (event {baseline.origin})" if of.baseline is None else _when(says, of.baseline)


def _numbers(rule: Ruled) -> str:
    evidence, limit = rule.evidence, "" if rule.limit is None else f", limit {WORDS.number(rule.limit)}"
    reading = f"compared with {WORDS(f'reading.{rule.reading}')}{limit}"
    if evidence is None:
        return f"{why_silent(rule, WORDS)}; {reading}"
    if not evidence.values:
        return reading
    pairs = zip(evidence.sessions, evidence.values, evidence.changes, strict=True)
    each = (f"session {session}: {WORDS.number(value)} ({moved(change, WORDS)})" for session, value, change in pairs)
    return f"{', '.join(each)}, {reading}"


def row(found: Why) -> dict[str, Any]:
    """Give it as data."""
    of, naming, until = found.argument, found.naming, found.until

    def stood_of(stood: Stood | None) -> dict[str, Any]:
        if stood is None:
            return {"answers": None, "corrected": False}
        return {"answers": data_of(stood.answers), "corrected": not stood.is_first}

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
        "as_of": None if until is None else instant(until),
        "status": of.decision.data.status,
        "decision": data_of(of.decision),
        "before": [data_of(event) for event in of.before],
        "scores": [{"score": data_of(each.score), **stood_of(each)} for each in of.scores],
        "baseline": _how(of.decision.data.baseline, {**(data_of(of.baseline) or {}), **stood_of(of.measured)}),
        "policy": of.decision.data.policy,
        "policy_changed_by": data_of(of.policy_by),
        "rules": [_rule(rule) for rule in found.rules],
        **{name: [data_of(event) for event in events] for name, events in _sections(of).items()},
    }


def _how(baseline: Baseline | None, by: dict[str, Any]) -> dict[str, Any] | None:
    """Give a baseline, how it came about, and the event that it came from, with the answers behind it."""
    if baseline is None:
        return None
    return {"value": str(baseline.value), "how": baseline.how, "session": baseline.session, **by}


def _rule(rule: Ruled) -> dict[str, Any]:
    return {
        "rule": rule.kind,
        "says": rule.says,
        "fired": rule.fired,
        "reading": rule.reading,
        "limit": None if rule.limit is None else str(rule.limit),
        "numbers": None if rule.evidence is None else json.loads(rule.evidence.model_dump_json()),
        "not_looked_at": why_silent(rule, WORDS) or None,
    }
