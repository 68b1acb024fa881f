"""Why a session was judged as it was, as one page to read and to print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language
from contracts.events.tracks import TrackRevised
from services.pages import ruled, sentences, smallprint
from services.pages.answers import Answer
from services.pages.argued import Argued, Argument, Stood
from services.pages.figures import figures
from services.pages.occurred import Occurred, Telling
from services.pages.picture import picture
from services.pages.rendering import footer_string, rendered
from services.pages.ruled import Ruled
from services.pages.subject import Subject
from services.pages.words import Words, sentence


@dataclass(frozen=True, slots=True)
class Basis:
    """A score on the page, with the answers behind it. source: how they came; comment: what the patient wrote there."""

    score: Occurred
    source: Occurred | None
    corrected: bool
    answers: Sequence[Answer]
    comment: str


def argument_page(
    argued: Argued, definitions: Catalogue, *, patient: str, language: Language, zone: tzinfo, reveal: bool
) -> str:
    """Write an argument as a page. Raises DefinitionMissing.

    zone: the clock by which moments are told; reveal: tell answers and words of persons too
    """
    words, of = Words(language), argued.argument
    subject = _without_answers(Subject(argued.content, definitions, words, zone))
    telling = Telling(subject, argued.responses, reveal)
    decision = of.decision.data
    heading = words("argument.heading")
    title = words("title", kind=heading, patient=patient, session=words.session(decision.session))
    return rendered(
        "argument.html",
        words,
        footer=footer_string(f"OnTrack · {title}"),
        title=title,
        heading=heading,
        fields=_fields(argued, subject, patient),
        status=decision.status,
        meaning=sentences.meaning(subject),
        reasons=sentences.reasons(subject),
        notes=sentences.notes(subject),
        decided=telling.occurred(of.decision),
        before=[telling.occurred(event) for event in of.before],
        replaced=[telling.occurred(event) for event in of.later if isinstance(event.data, TrackRevised)],
        picture=picture(subject),
        pictured=words("argument.pictured", moment=subject.moment(of.decision.recordedtime)),
        curves=(),
        figures=figures(subject),
        basis=[_basis(stood, telling) for stood in of.scores],
        reveal=reveal,
        baseline=_baseline(of, subject, telling),
        policy=_policy(subject),
        policy_by=None if of.policy_by is None else telling.occurred(of.policy_by),
        rules=[_rule(each, words) for each in argued.rules],
        sections={
            name: [telling.occurred(event) for event in events]
            for name, events in (
                ("missing", of.missing),
                ("late", of.late),
                ("later", of.later),
                ("told", of.told),
            )
        },
        clock=words("argument.small.clock", zone=str(zone)),
        small=smallprint.definitions_of(subject),
    )


def _without_answers(subject: Subject) -> Subject:
    """Leave what the picture needs: the primary scale, and nothing that a patient has answered or written."""
    primary = tuple(curve for curve in subject.content.curves if subject.is_primary(curve))
    nothing = dict.fromkeys(("forms", "problems", "context", "safety", "needs", "actions"), ())
    return replace(subject, content=subject.content.model_copy(update={**nothing, "curves": primary}))


def _fields(argued: Argued, subject: Subject, patient: str) -> Sequence[tuple[str, str, str]]:
    """Give what identifies the decision: name, value, and what else is to be known of it."""
    words, content, event = subject.words, argued.content, argued.argument.decision
    until = argued.until
    known = words("argument.known.now") if until is None else subject.moment(until, to_the_second=True)
    recorded = words("argument.recorded", moment=subject.moment(event.recordedtime))
    return (
        (words("head.patient"), patient, ""),
        (words("head.group"), content.group or words("head.no_group"), content.clinic),
        (words("head.session"), words.number(event.data.session), ""),
        (words("argument.decided"), subject.moment(event.time), recorded),
        (words("argument.known"), known, ""),
    )


def _basis(stood: Stood, telling: Telling) -> Basis:
    data = None if stood.answers is None else stood.answers.data
    return Basis(
        score=telling.occurred(stood.score),
        source=None if stood.answers is None else telling.occurred(stood.answers),
        corrected=not stood.is_first,
        answers=[] if data is None else telling.answers(stood.score.data.instrument, data.answers),
        comment=(data.comment or "") if data is not None and telling.reveal else "",
    )


def _baseline(of: Argument, subject: Subject, telling: Telling) -> Mapping[str, object]:
    baseline = of.decision.data.baseline
    if baseline is None or subject.primary is None:
        return {"value": "", "origin": sentences.no_baseline(subject), "event": None, "basis": None}
    return {
        "value": subject.primary.of(baseline.value),
        "origin": sentence(sentences.origin(baseline, subject.words)),
        "event": None if of.baseline is None else telling.occurred(of.baseline),
        "basis": None if of.measured is None else _basis(of.measured, telling),
    }


def _policy(subject: Subject) -> Mapping[str, object]:
    policy = subject.policy
    if policy is None:
        return {"title": "", "name": "", "provisional": False}
    title = policy.title.in_language(subject.words.language)
    return {"title": title, "name": f"{policy.id}@{policy.version}", "provisional": policy.provisional}


def _rule(rule: Ruled, words: Words) -> Mapping[str, object]:
    return {
        "kind": rule.kind,
        "says": rule.says,
        "fired": rule.fired,
        "silent": sentence(ruled.why_silent(rule, words)),
        "compared": ruled.compared(rule, words),
        "rows": [(sentence(session), value, change) for session, value, change in ruled.rows(rule, words)],
    }
