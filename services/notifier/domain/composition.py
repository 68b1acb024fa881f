"""How a report is put together from what is known: composition `not_report/1`.

Never changes under a history: another way of putting it together is another version, named by the protocol.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil, inf
from operator import attrgetter
from typing import NamedTuple

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import id_of
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Instrument, Scale
from contracts.definitions.protocol import Protocol
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
from contracts.events.scores import FlaggedAnswer, Score
from contracts.events.tracks import Decision
from services.notifier.domain.dossier import Dossier, series_at


class _Placed(NamedTuple):
    """A form, the place of its session in the course, and its instrument."""

    place: float
    score: Score
    instrument: Instrument


_CurveKey = tuple[tuple[str, int], str, int | None]
"""Which values share a curve: those of comparable versions of an instrument, of one scale, of one series."""


@dataclass(slots=True)
class _Line:
    """A curve while it grows: the scale and the instrument of its latest form, and its values."""

    instrument: str
    number: int
    sessions: list[Session] = field(default_factory=list)
    values: list[Decimal] = field(default_factory=list)


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
    scores = sorted(dossier.scores.values(), key=lambda score: (score.answered_at, score.response))
    until = protocol.place(session)
    sheet = _Sheet(scores, definitions, protocol, until, response)
    forms = tuple(_forms(sheet.shown))
    needs = tuple(_needs(guidance, forms, _context(sheet.shown)))
    offered = {offer.action for offer in protocol.offers}
    return ReportContent(
        composition=protocol.report,
        kind=kind,
        clinic=dossier.clinic,
        group=dossier.group,
        protocol=dossier.protocol or "",
        guidance=protocol.guidance,
        session=session,
        decision=None if kind == "safety" or isinstance(session, str) else dossier.decisions.get(session),
        judged=tuple(_judged(dossier.decisions[s]) for s in sorted(dossier.decisions) if s <= until),
        forms=forms,
        curves=tuple(_curves(sheet.known, dossier, definitions, until)),
        problems=tuple(
            Problem(problem=number, series=series, text=wording.text)
            for number in sorted(dossier.problems)
            for series, wording in enumerate(dossier.wordings(number), 1)
        ),
        context=tuple(_context(placed.score for placed in sheet.known)),
        safety=tuple(_safety(scores)),
        needs=needs,
        actions=tuple(
            action.id
            for action in guidance.actions
            if (not offered or action.id in offered)
            and (not needs or not action.needs or {need.need for need in needs} & set(action.needs))
        ),
    )


def is_held(instrument: Instrument, place: float, until: float) -> bool:
    """Tell whether a report as of the place `until` holds the form of an instrument at `place`.

    It holds what was known before the session; the form right after it belongs to the next report.
    """
    return place < until if instrument.asked == "after_session" else place <= until


class _Sheet:
    """The forms that a report as of a session holds (`known`, oldest first), and those of them that it shows.

    It shows the forms of the session's morning, those that came after the group session before it, and what lies
    between the two; a report about one response shows that one.
    """

    def __init__(
        self, scores: Iterable[Score], definitions: Catalogue, protocol: Protocol, until: float, response: str | None
    ) -> None:
        self.known: list[_Placed] = []
        self.shown: list[Score] = []
        # A report about one response can be about a session that has no place in an open course.
        before = ceil(until) - 1 if response is None else -inf
        instruments: dict[str, Instrument] = {}
        for score in scores:
            if (instrument := instruments.get(score.instrument)) is None:
                instrument = instruments[score.instrument] = definitions.instrument(score.instrument)
            place = protocol.place(score.session)
            holds = is_held(instrument, place, until)
            if response is not None:
                shows = score.response == response
            elif instrument.asked == "after_session":
                shows = place == before
            else:
                shows = holds and place > before
            if holds or shows:
                self.known.append(_Placed(place, score, instrument))
            if shows:
                self.shown.append(score)


def _forms(scores: Iterable[Score]) -> Iterator[AnsweredForm]:
    for score in scores:
        flags = tuple(flag for flag in score.flags if flag.kind != "context")
        if flags or score.comment:
            yield _form(score, flags, score.comment)


def _safety(scores: Iterable[Score]) -> Iterator[AnsweredForm]:
    """Give every safety answer there is, later ones too: no report may be read without them."""
    for score in scores:
        flags = tuple(flag for flag in score.flags if flag.kind == "safety")
        if flags:
            yield _form(score, flags, None)


def _form(score: Score, flags: tuple[FlaggedAnswer, ...], comment: str | None) -> AnsweredForm:
    return AnsweredForm(
        response=score.response,
        session=score.session,
        instrument=score.instrument,
        flags=flags,
        comment=comment,
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


def _curves(known: Iterable[_Placed], dossier: Dossier, definitions: Catalogue, until: float) -> Iterator[Curve]:
    """Draw every scale over the course; the primary one, which the decisions rest on, first.

    Values that cannot be compared do not share a curve: those of versions of an instrument outside its declared range,
    and those of a problem before and after it got other words.
    """
    latest = dossier.latest(until)
    primary = None if latest is None else (_range(definitions.instrument(latest.instrument)), latest.scale)
    named_at = {problem: [wording.named_at for wording in dossier.wordings(problem)] for problem in dossier.problems}
    drawn: dict[str, list[tuple[int, Scale, _CurveKey]]] = {}
    lines: dict[_CurveKey, _Line] = {}
    for _, score, instrument in sorted(known, key=attrgetter("place")):
        ref = score.instrument
        if (scales := drawn.get(ref)) is None:
            scales = drawn[ref] = list(_drawn(instrument, primary))
        for number, scale, of_scale in scales:
            value = score.scales[number].value
            if value is None:
                continue
            key = of_scale
            if scale.problem is not None:
                key = (*key[:2], series_at(named_at.get(scale.problem, ()), score.answered_at))
            if (line := lines.get(key)) is None:
                line = lines[key] = _Line(ref, number)
            line.instrument, line.number = ref, number
            line.sessions.append(score.session)
            line.values.append(value)
    order = {key: (key[:2] != primary, key[0], line.number, key[1], key[2] or 0) for key, line in lines.items()}
    for key in sorted(lines, key=order.__getitem__):
        line = lines[key]
        at, measured = tuple(line.sessions), tuple(line.values)
        yield Curve(instrument=line.instrument, scale=key[1], series=key[2], sessions=at, values=measured)


def _drawn(
    instrument: Instrument, primary: tuple[tuple[str, int], str] | None
) -> Iterator[tuple[int, Scale, _CurveKey]]:
    """Give the scales of an instrument that are drawn: what is counted only is not, unless decisions rest on it."""
    for number, scale in enumerate(instrument.scales):
        if scale.formula != "count/1" or (_range(instrument), scale.id) == primary:
            yield number, scale, (_range(instrument), scale.id, None)


def _range(instrument: Instrument) -> tuple[str, int]:
    """Name the versions of an instrument that can be compared with this one."""
    return instrument.id, instrument.comparable_from


def _needs(
    guidance: Guidance, forms: Iterable[AnsweredForm], context: Iterable[ContextAnswer]
) -> Iterator[SuggestedNeed]:
    flags = {f"{id_of(form.instrument)}/{flag.flag}" for form in forms for flag in form.flags}
    flags |= {f"{id_of(answer.instrument)}/{answer.flag}" for answer in context}
    for need in guidance.needs:
        because = tuple(sign for sign in need.signs if sign in flags)
        if because:
            yield SuggestedNeed(need=need.id, because=because)
