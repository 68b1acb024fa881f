"""How a report is put together from what is known: composition `not_report/1`.

Never changes under a history: another way of putting it together is another version, named by the protocol.
"""

from collections.abc import Iterable, Iterator

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import id_of
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Scale
from contracts.events.notices import (
    AnsweredForm,
    ContextAnswer,
    Curve,
    JudgedSession,
    Point,
    Problem,
    ReportContent,
    ReportKind,
    SuggestedNeed,
)
from contracts.events.scores import ScoreComputed, ScoreRevised
from contracts.events.tracks import Decision
from services.notifier.domain.dossier import Dossier

Score = ScoreComputed | ScoreRevised


def compose(
    dossier: Dossier,
    definitions: Catalogue,
    *,
    kind: ReportKind,
    session: int | str,
    response: str | None = None,
) -> ReportContent:
    """Put a report together as of a session; a safety report speaks of one response. Raises DefinitionMissing."""
    protocol = definitions.protocol(dossier.protocol or "")
    guidance = definitions.guidance(protocol.guidance)
    until = session if isinstance(session, int) else max(dossier.decisions, default=0)
    scores = sorted(dossier.scores.values(), key=lambda score: (score.answered_at, score.response))
    known = [score for score in scores if _belongs(score, definitions, until) or score.response == response]
    if response is not None:
        shown = [score for score in known if score.response == response]
    else:
        shown = [score for score in known if _is_of_the_morning(score, definitions, until)]
    decision = None if kind == "safety" else dossier.decisions.get(until)
    forms = tuple(form for score in shown if (form := _form(score)) is not None)
    context = tuple(_context(known))
    needs = tuple(_needs(guidance, forms, [answer for answer in context if answer.session in (session, until)]))
    offered = {offer.action for offer in protocol.offers}
    return ReportContent(
        composition=protocol.report,
        kind=kind,
        clinic=dossier.clinic,
        group=dossier.group,
        protocol=dossier.protocol or "",
        guidance=protocol.guidance,
        session=session,
        decision=decision,
        judged=tuple(_judged(dossier.decisions[s]) for s in sorted(dossier.decisions) if s <= until),
        forms=forms,
        curves=tuple(_curves(known, definitions, dossier.latest())),
        problems=tuple(
            Problem(problem=number, series=series, text=text)
            for number, texts in sorted(dossier.problems.items())
            for series, text in enumerate(texts, 1)
        ),
        context=context,
        safety=tuple(_safety(scores, session)),
        needs=needs,
        actions=tuple(
            action.id
            for action in guidance.actions
            if (not offered or action.id in offered)
            and (not needs or not action.needs or {need.need for need in needs} & set(action.needs))
        ),
    )


def _belongs(score: Score, definitions: Catalogue, until: int) -> bool:
    """Tell whether a form was known before `until`'s session: the form after it belongs to the next report."""
    if not isinstance(score.session, int):
        return False
    after = definitions.instrument(score.instrument).asked == "after_session"
    return score.session < until if after else score.session <= until


def _is_of_the_morning(score: Score, definitions: Catalogue, session: int) -> bool:
    """Tell whether a form is one of the morning of the session, or the one right after the session before."""
    after = definitions.instrument(score.instrument).asked == "after_session"
    return score.session == (session - 1 if after else session)


def _form(score: Score) -> AnsweredForm | None:
    flags = tuple(flag for flag in score.flags if flag.kind != "context")
    if not flags and not score.comment:
        return None
    return AnsweredForm(
        response=score.response,
        session=score.session,
        instrument=score.instrument,
        flags=flags,
        comment=score.comment,
        answered_at=score.answered_at,
    )


def _safety(scores: Iterable[Score], session: int | str) -> Iterator[AnsweredForm]:
    """Give the safety answers so far, also of individual sessions: no report may be read without them."""
    for score in scores:
        if isinstance(session, int) and isinstance(score.session, int) and score.session > session:
            continue
        flags = tuple(flag for flag in score.flags if flag.kind == "safety")
        if flags:
            yield AnsweredForm(
                response=score.response,
                session=score.session,
                instrument=score.instrument,
                flags=flags,
                comment=None,
                answered_at=score.answered_at,
            )


def _context(scores: Iterable[Score]) -> Iterator[ContextAnswer]:
    for score in scores:
        for flag in score.flags:
            if flag.kind == "context":
                yield ContextAnswer(session=score.session, instrument=score.instrument, flag=flag.flag, item=flag.item)


def _judged(decision: Decision) -> JudgedSession:
    return JudgedSession(
        session=decision.session,
        status=decision.status,
        score=decision.score,
        rules=tuple(evidence.rule for evidence in decision.rules),
    )


def _curves(scores: Iterable[Score], definitions: Catalogue, latest: Decision | None) -> list[Curve]:
    """Draw every scale over the course; the primary one, which the decisions rest on, first."""
    points: dict[tuple[str, str, int | None], list[Point]] = {}
    refs: dict[tuple[str, str, int | None], str] = {}
    order: dict[tuple[str, str, int | None], tuple[bool, str, int, int]] = {}
    primary = None if latest is None else (id_of(latest.instrument), latest.scale)
    for score in scores:
        instrument = definitions.instrument(score.instrument)
        for number, value in enumerate(score.scales):
            if value.value is None or _is_context(instrument.scale(value.scale)):
                continue
            key = (instrument.id, value.scale, value.series)
            points.setdefault(key, []).append(Point(session=score.session, value=value.value))
            refs[key] = score.instrument
            order[key] = ((instrument.id, value.scale) != primary, instrument.id, number, value.series or 0)
    return [
        Curve(instrument=refs[key], scale=key[1], series=key[2], points=tuple(sorted(points[key], key=_session_of)))
        for key in sorted(points, key=lambda key: order[key])
    ]


def _is_context(scale: Scale | None) -> bool:
    return scale is None or scale.formula == "count/1"


def _session_of(point: Point) -> int:
    return point.session if isinstance(point.session, int) else 0


def _needs(
    guidance: Guidance, forms: Iterable[AnsweredForm], context: Iterable[ContextAnswer]
) -> Iterator[SuggestedNeed]:
    flags = {f"{id_of(form.instrument)}/{flag.flag}" for form in forms for flag in form.flags}
    flags |= {f"{id_of(answer.instrument)}/{answer.flag}" for answer in context}
    for need in guidance.needs:
        because = tuple(sign for sign in need.signs if sign in flags)
        if because:
            yield SuggestedNeed(need=need.id, because=because)
