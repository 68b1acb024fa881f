"""What the stages concluded about a case, as sentences with the numbers that they rest on."""

from functools import singledispatch
from typing import Final

from contracts.events import notices, scores, tracks
from contracts.events.event import Data
from services.cli.naming import WORDS, Naming

STATUSES: Final = {"on_track": "on track", "not_on_track": "NOT on track", "unknown": "unknown"}
KINDS: Final = {"not": "NOT report", "safety": "safety report", "silent": "report on missing answers"}
_UNKNOWN: Final = {
    "not_measured": "no valid score",
    "no_baseline": "no baseline to compare with",
    "cancelled": "did not take place",
}
_NOTES: Final = {
    "cannot_deteriorate": "no room to get worse",
    "cannot_improve": "little room to get better",
    "healthy_range": "in the healthy range",
    "within_measurement_error": "within measurement error",
    "provisional_definition": "by a provisional definition",
}
_NOTICES: Final = {
    "issued": "it was issued",
    "further_session": "a further session is not on track",
    "status_changed": "the status changed",
    "retracted": "it was retracted",
    "overdue": "it is overdue",
}
_SET_ASIDE: Final = {
    "after_the_end": "it is dated after the end of the course",
    "already_closed": "the course had ended already",
    "already_enrolled": "the case was enrolled already",
    "erased": "the case was erased",
    "id_reused": "its id was used before with other content",
    "invalid_answers": "its answers do not fit the instrument",
    "not_enrolled": "the case was not enrolled yet",
    "occasion_answered": "that questionnaire was answered already",
    "outside_protocol": "the protocol has no such session",
    "outside_scale": "its value does not lie on the scale",
    "report_unknown": "there is no such report",
    "response_set_aside": "the response that it is about was set aside",
    "response_withdrawn": "the response that it is about was withdrawn",
    "unknown_scale": "no policy of the case looks at that scale",
}


@singledispatch
def conclusion(data: Data, naming: Naming) -> str:  # noqa: ARG001 - what is not known here is told by its name
    """Tell a conclusion."""
    return data.type()


@conclusion.register
def _(data: scores.ScoreComputed, naming: Naming) -> str:
    return _score(data, naming)


@conclusion.register
def _(data: scores.ScoreRevised, naming: Naming) -> str:
    return f"score revised: {_score(data, naming)}"


def _score(data: scores.Score, naming: Naming) -> str:
    told = [naming.scale(data.instrument, value) for value in data.scales]
    negative = sum(1 for flag in data.flags if flag.kind == "negative")
    if negative:
        told.append("1 answer flagged" if negative == 1 else f"{negative} answers flagged")
    if any(flag.kind == "safety" for flag in data.flags):
        told.append("a SAFETY answer")
    return "; ".join(told) or f"{naming.session(data.session)}: {naming.instrument(data.instrument)} has no scale"


@conclusion.register
def _(data: scores.ScoreWithdrawn, naming: Naming) -> str:
    return f"{naming.session(data.session)}: the score of {naming.instrument(data.instrument)} no longer counts"


@conclusion.register
def _(data: scores.OccasionMissed, naming: Naming) -> str:
    return f"{naming.session(data.session)}: {naming.instrument(data.instrument)} missed, it closed without an answer"


@conclusion.register
def _(data: scores.FactSetAside, naming: Naming) -> str:  # noqa: ARG001 - all are told by one signature
    return f"a fact was set aside: {_SET_ASIDE[data.reason]}"


@conclusion.register
def _(data: tracks.TrackEvaluated, naming: Naming) -> str:
    return _decision(data, naming)


@conclusion.register
def _(data: tracks.TrackRevised, naming: Naming) -> str:
    return f"judged again: {_decision(data, naming)}"


def _decision(data: tracks.Decision, naming: Naming) -> str:
    told = f"{naming.session(data.session)} {STATUSES[data.status]}"
    if data.rules:
        told += ": " + "; ".join(_evidence(evidence, naming) for evidence in data.rules)
    elif data.unknown_because is not None:
        told += f": {_UNKNOWN[data.unknown_because]}"
    if data.episode is not None and data.episode.persistent and data.status == "not_on_track":
        told += f"; persistent (pNOT), {len(data.episode.sessions)} sessions so far"
    if data.silent:
        told += f"; unknown {len(data.silent_sessions)} times in a row"
    notes = ", ".join(_NOTES[annotation.kind] for annotation in data.annotations)
    return f"{told} ({notes})" if notes else told


def _evidence(evidence: tracks.Evidence, naming: Naming) -> str:
    limit = "" if evidence.threshold is None else naming.number(evidence.threshold)
    match evidence.rule:
        case "deterioration/1":
            than = "the baseline" if evidence.reading == "baseline" else "the score before"
            return f"{naming.number(evidence.changes[-1])} worse than {than}, limit {limit}"
        case "no_change/1":
            values = " → ".join(naming.number(value) for value in evidence.values)
            sessions = WORDS.listed([str(session) for session in evidence.sessions])
            return f"no change at {sessions} ({values}), {_compared(evidence)}, limit {limit}"
        case "once_not/1":
            return f"session {evidence.sessions[0]} was, and by the policy that stays"


def _compared(evidence: tracks.Evidence) -> str:
    return {
        "previous": "each compared with the score before",
        "baseline": "each compared with the baseline",
        "window": "compared with each other",
        "earlier_session": "compared with an earlier session",
    }[evidence.reading]


@conclusion.register
def _(data: notices.ReportIssued, naming: Naming) -> str:
    return f"{KINDS[data.content.kind]} {naming.report(data.report)} issued"


@conclusion.register
def _(data: notices.ReportRevised, naming: Naming) -> str:
    changes = WORDS.listed([WORDS(f"change.{change}") for change in data.changes])
    return f"report {naming.report(data.report)}, revision {data.number}: {changes}"


@conclusion.register
def _(data: notices.ReportOverdue, naming: Naming) -> str:
    came = f"{naming.session(data.session)} has come"
    return f"report {naming.report(data.report)} overdue: nobody has looked since it was last announced, and {came}"


@conclusion.register
def _(data: notices.NoticeRequested, naming: Naming) -> str:
    whom = "the therapists" if data.to == "therapists" else "the supervisor"
    return f"{whom} to be told of report {naming.report(data.report)}: {_NOTICES[data.reason]}"
