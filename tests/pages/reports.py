"""Reports for the tests: contents as the notifier would put them together, from a course told in a few words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from contracts.definitions.catalogue import Catalogue, entry_of
from contracts.definitions.definition import Definition
from contracts.definitions.files import library
from contracts.events.fields import Session
from contracts.events.notices import (
    AnsweredForm,
    ContextAnswer,
    Curve,
    JudgedSession,
    Problem,
    ReportContent,
    ReportKind,
    SuggestedNeed,
)
from contracts.events.scores import FlaggedAnswer
from contracts.events.tracks import Annotation, Baseline, Decision, Episode, Evidence, RuleKind, Status

ORIGIN: Final = "00000000-0000-4000-8000-000000000001"
MONDAY: Final = datetime(2026, 1, 5, 7, 12, tzinfo=UTC)


def shipped() -> Catalogue:
    """The definitions that ship with OnTrack."""
    return Catalogue(library())


def ref(name: str) -> str:
    """The full reference of a definition that ships."""
    entry = shipped().named(Definition, name)
    assert entry is not None, name
    return entry.ref


def definitions_with(*rules: dict[str, object], instrument: str = "odsis", healthy: str | None = None) -> Catalogue:
    """The library and a policy `own` for one more instrument, or with other rules."""
    definitions = shipped()
    body = {
        "kind": "policy",
        "id": "own",
        "version": 1,
        "title": {"en": "Our own", "da": "Vores egne"},
        "summary": {"en": "Our own", "da": "Vores egne"},
        "sources": ["the clinic"],
        "primary": {"instrument": ref(instrument), "scale": "total", "healthy": healthy},
        "rules": rules,
    }
    definitions.add(entry_of(body))
    return definitions


def own_policy(definitions: Catalogue) -> str:
    """The full reference of the policy `own`."""
    return next(entry.ref for entry in definitions if entry.model.id == "own")


def numbers(*values: str | int) -> tuple[Decimal, ...]:
    return tuple(Decimal(value) for value in values)


def worse(value: str, by: str, *, session: int = 3, at_least: str = "3") -> Evidence:
    """Evidence of the deterioration rule."""
    return Evidence(
        rule="deterioration/1",
        reading="baseline",
        threshold=Decimal(at_least),
        sessions=(session,),
        values=numbers(value),
        changes=numbers(by),
    )


def still(
    values: Mapping[int, str],
    changes: Sequence[str],
    *,
    reading: Literal["baseline", "previous", "window"] = "previous",
) -> Evidence:
    """Evidence of the no-change rule."""
    return Evidence(
        rule="no_change/1",
        reading=reading,
        threshold=Decimal(2),
        sessions=tuple(values),
        values=numbers(*values.values()),
        changes=numbers(*changes),
    )


def decided(
    session: int,
    score: str | None,
    *evidence: Evidence,
    baseline: str | None = "12",
    baseline_at: Session | None = 0,
    annotations: Sequence[Annotation] = (),
    episode: Sequence[int] = (),
    silent: Sequence[int] = (),
    policy: str = "gryesten-2023",
    instrument: str = "odsis",
    scale: str = "total",
) -> Decision:
    """A decision; not on track where there is evidence, unknown where there is no score or no baseline."""
    known = score is not None and baseline is not None
    status: Status = "not_on_track" if evidence else "on_track" if known else "unknown"
    return Decision(
        session=session,
        status=status,
        policy=policy if "#" in policy else ref(policy),
        instrument=ref(instrument),
        scale=scale,
        score=None if score is None else Decimal(score),
        measured_by=None if score is None else ORIGIN,
        baseline=_baseline(baseline, baseline_at),
        rules=tuple(evidence),
        unknown_because=None if status != "unknown" else "not_measured" if score is None else "no_baseline",
        annotations=tuple(annotations),
        episode=Episode(sessions=tuple(episode or (session,)), persistent=len(episode) >= 3) if evidence else None,
        silent_sessions=tuple(silent),
        silent=len(silent) >= 2,
        ever_not=bool(evidence),
        last_of_cause=True,
    )


def _baseline(value: str | None, session: Session | None) -> Baseline | None:
    if value is None:
        return None
    how: Literal["before_first_session", "set_by_hand"] = "set_by_hand" if session is None else "before_first_session"
    return Baseline(value=Decimal(value), how=how, session=session, origin=ORIGIN)


def judged(scores: Mapping[int, str | None], not_at: Sequence[int] = ()) -> tuple[JudgedSession, ...]:
    """The row of statuses: on track where there is a score, unless said otherwise; unknown where there is none."""
    rules: tuple[RuleKind, ...] = ("deterioration/1",)
    return tuple(
        JudgedSession(
            session=session,
            status="not_on_track" if session in not_at else "unknown" if score is None else "on_track",
            score=None if score is None else Decimal(score),
            rules=rules if session in not_at else (),
        )
        for session, score in scores.items()
        if session > 0
    )


def curve(
    values: Mapping[Session, str | None] | Mapping[int, str | None],
    instrument: str,
    scale: str,
    series: int | None = None,
) -> Curve:
    """A curve through the sessions that have a value."""
    measured = {session: Decimal(value) for session, value in values.items() if value is not None}
    return Curve(
        instrument=ref(instrument),
        scale=scale,
        series=series,
        sessions=tuple(measured),
        values=tuple(measured.values()),
    )


def form(
    instrument: str,
    session: Session,
    flags: Mapping[str, tuple[str, int]] | None = None,
    *,
    comment: str | None = None,
    kind: Literal["negative", "safety"] = "negative",
    answered_at: datetime | None = None,
) -> AnsweredForm:
    """A form with flagged answers: flag -> item and value."""
    weeks = session if isinstance(session, int) else 0
    return AnsweredForm(
        response=ORIGIN,
        session=session,
        instrument=ref(instrument),
        flags=tuple(
            FlaggedAnswer(flag=flag, kind=kind, item=item, value=value) for flag, (item, value) in (flags or {}).items()
        ),
        comment=comment,
        answered_at=answered_at or MONDAY + timedelta(weeks=weeks),
    )


def worrying(session: Session, value: int, answered_at: datetime | None = None) -> AnsweredForm:
    """A form with nothing but an answer that makes a safety report."""
    flags = {"thoughts-of-self-harm": ("self_harm", value)}
    return form("phq-9", session, flags, kind="safety", answered_at=answered_at)


def event(session: int, item: str, instrument: str = "life-events") -> ContextAnswer:
    """A life event, or a need that the patient ticked."""
    return ContextAnswer(session=session, instrument=ref(instrument), flag=item.replace("_", "-"), item=item)


def report(
    decision: Decision | None,
    scores: Mapping[int, str | None] | None = None,
    *,
    kind: ReportKind = "not",
    session: Session | None = None,
    not_at: Sequence[int] = (),
    protocol: str = "group-cbt-depression-14",
    forms: Sequence[AnsweredForm] = (),
    curves: Sequence[Curve] = (),
    problems: Mapping[int, Sequence[str]] | None = None,
    context: Sequence[ContextAnswer] = (),
    safety: Sequence[AnsweredForm] = (),
    needs: Mapping[str, Sequence[str]] | None = None,
    actions: Sequence[str] = ("status-check-talk", "none"),
) -> ReportContent:
    """A report on a course of scores on the decision's scale (without a decision: of the ODSIS)."""
    known: Mapping[int, str | None] = scores or {}
    instrument, scale = ("odsis", "total") if decision is None else (decision.instrument, decision.scale)
    primary = [curve(known, instrument, scale)] if any(score is not None for score in known.values()) else []
    latest = decision.session if decision is not None else max(known, default=0)
    return ReportContent(
        composition="not_report/1",
        kind=kind,
        clinic="ballerup",
        group="tuesday",
        protocol=ref(protocol),
        guidance=ref("study-needs"),
        session=latest if session is None else session,
        decision=decision,
        judged=judged(known, not_at),
        forms=tuple(forms),
        curves=(*primary, *curves),
        problems=tuple(
            Problem(problem=problem, series=series, text=text)
            for problem, texts in (problems or {}).items()
            for series, text in enumerate(texts, 1)
        ),
        context=tuple(context),
        safety=tuple(safety),
        needs=tuple(SuggestedNeed(need=need, because=tuple(signs)) for need, signs in (needs or {}).items()),
        actions=tuple(actions),
    )


SCORES = {0: "12", 1: "13", 2: "12", 3: "16"}
DETERIORATED = decided(3, "16", worse("16", "4"))
BOTH = decided(
    9,
    "17",
    worse("17", "5", session=9),
    still({7: "16", 8: "16", 9: "17"}, ["1", "0", "1"], reading="window"),
    episode=(7, 8, 9),
    annotations=[
        Annotation(kind="within_measurement_error", value=Decimal("5.25")),
        Annotation(kind="provisional_definition"),
    ],
)
SILENT = decided(4, None, silent=(3, 4))


def full_report() -> ReportContent:
    return report(
        DETERIORATED,
        SCORES,
        not_at=[3],
        forms=[
            form("odsis", 3, {"frequency": ("frequency", 3), "social-life": ("social_life", 4)}, comment="Bad week."),
            form("gq-12", 2, {"working-2": ("working_2", 2)}),
            form("homework", 3, {"adherence": ("adherence", 0)}),
        ],
        curves=[
            curve({1: "5.25", 2: "3.5"}, "gq-12", "positive-working"),
            curve({1: "2", 2: "4.75"}, "gq-12", "negative-relationship"),
            curve({1: "4", 2: "2", 3: "0"}, "homework", "adherence"),
        ],
        context=[event(2, "job"), event(3, "finances"), event(3, "agreement_on_tasks", "needs-check")],
        needs={
            "life-outside-therapy": ["life-events/finances", "odsis/social-life"],
            "agreement-on-tasks": ["homework/adherence", "needs-check/agreement-on-tasks"],
        },
        actions=["therapeutic-assessment", "adjusted-homework", "another-programme"],
    )
