"""The decision in sentences: what it means, why it was made, what a reader must know of it."""

from collections.abc import Iterator
from decimal import Decimal

from contracts.definitions.policy import Deterioration, NoChange
from contracts.events.tracks import Annotation, Baseline, Decision, Evidence
from services.pages import safety
from services.pages.measure import Measure, item_value, moved
from services.pages.subject import Subject
from services.pages.words import Words, sentence


def meaning(subject: Subject) -> str:
    """Say what the report means, in one line."""
    content, words = subject.content, subject.words
    if content.kind == "safety":
        return _safety_meaning(subject)
    decision = content.decision
    if decision is None:
        return words("meaning.no_decision")
    if content.kind == "silent" and decision.status == "unknown":
        return _silent_meaning(subject)
    if decision.status != "not_on_track":
        return words(f"meaning.{decision.status}", session=words.session(decision.session))
    persistent = decision.episode is not None and decision.episode.persistent
    status = words("meaning.persistent" if persistent else "meaning.not_on_track")
    return words("meaning.because", status=status, causes=words.listed([_cause(e, words) for e in decision.rules]))


def discreet_meaning(subject: Subject) -> str:
    """Say what the report means, and of a safety answer only that there is one."""
    told = meaning(subject)
    if subject.content.kind != "safety" or told == subject.words("meaning.safety.no_answer"):
        return told
    return subject.words("report.safety.about")


def _silent_meaning(subject: Subject) -> str:
    """Say why the sessions are unknown: each has a reason of its own."""
    words, scores = subject.words, list(subject.unknown_sessions().values())
    unanswered = scores.count(None)
    spelled = words.spelled(len(scores))
    if unanswered == len(scores):
        return words.count("meaning.silent", len(scores), spelled=spelled)
    if not unanswered:
        return words.count("meaning.no_baseline", len(scores), spelled=spelled)
    return words("meaning.mixed", spelled=spelled, unjudged=len(scores) - unanswered, unanswered=unanswered)


def _cause(evidence: Evidence, words: Words) -> str:
    match evidence.rule:
        case "deterioration/1":
            return words(f"cause.deterioration.{evidence.reading}")
        case "no_change/1":
            sessions = evidence.sessions
            in_a_row = sessions == tuple(range(sessions[0], sessions[-1] + 1))
            key = f"cause.no_change.{evidence.reading}" + ("" if in_a_row else ".measured")
            points = words.count("points", _threshold(evidence))
            return words.count(key, len(sessions), spelled=words.spelled(len(sessions)), points=points)
        case "once_not/1":
            return words("cause.once_not")


def _safety_meaning(subject: Subject) -> str:
    """Say which answer the report is about; the sentences below name the others."""
    words = subject.words
    for form, flag, item in safety.told_of(subject):
        question = words.quoted(item.label.in_language(words.language))
        return words("meaning.safety", question=question, limit=_limit_of(subject, form.instrument, flag.flag))
    return words("meaning.safety.no_answer")


def _limit_of(subject: Subject, instrument_ref: str, name: str) -> str:
    words = subject.words
    flag = next((flag for flag in subject.definitions.instrument(instrument_ref).flags if flag.id == name), None)
    if flag is None:
        return words("limit.marked")
    if flag.at_most is not None:
        return words("limit.at_most", value=flag.at_most)
    return words("limit.above", value=(flag.at_least or 0) - 1)


def reasons(subject: Subject) -> list[str]:
    """Say why the report was made, with every number that it stands on."""
    content, words = subject.content, subject.words
    if content.kind == "safety":
        return [*_safety_reasons(subject), words("safety.whatever")]
    decision, primary = content.decision, subject.primary
    if decision is None or primary is None:
        return []
    if decision.status == "unknown":
        return [*_gaps(subject, primary), *_silence(subject, decision)]
    return [
        *(said for evidence in decision.rules for said in _evidence(evidence, decision, primary)),
        *_episode(subject, decision),
    ]


def _safety_reasons(subject: Subject) -> Iterator[str]:
    words = subject.words
    for form, flag, item in safety.told_of(subject):
        said = words(
            "safety.answer",
            question=words.quoted(subject.wording(form.instrument, item)),
            value=item_value(item, flag.value, words),
            session=words.session(form.session),
            moment=subject.moment(form.answered_at),
        )
        before = safety.earlier(subject, form, flag)
        earlier = f" {words('safety.earlier', earlier=before)}" if before else ""
        yield sentence(said) + earlier


def _evidence(evidence: Evidence, decision: Decision, primary: Measure) -> Iterator[str]:
    words = primary.words
    match evidence.rule:
        case "deterioration/1":
            yield _deterioration(evidence, primary, words)
        case "no_change/1":
            yield _no_change(evidence, primary, words)
            if evidence.reading == "previous":
                yield from _overall(evidence, decision.baseline, primary)
        case "once_not/1":
            yield words("why.once_not", sessions=words.sessions(evidence.sessions))


def _deterioration(evidence: Evidence, primary: Measure, words: Words) -> str:
    value, change = evidence.values[-1], evidence.changes[-1]
    return words(
        f"why.deterioration.{evidence.reading}",
        points=words.count("points", change),
        path=primary.path([primary.scale.worse_by(value, -change), value]),
        limit=_threshold(evidence),
    )


def _no_change(evidence: Evidence, primary: Measure, words: Words) -> str:
    values, changes = evidence.values, evidence.changes
    reference = primary.scale.worse_by(values[0], -changes[0])
    said = words(
        f"why.no_change.{evidence.reading}",
        sessions=words.sessions(evidence.sessions),
        path=primary.path([reference, *values] if evidence.reading == "previous" else values),
        changes=words.listed([moved(change, words) for change in changes]),
        reference=reference,
        spread=words.count("points", max(values) - min(values)),
        limit=words.count("points", _threshold(evidence)),
    )
    return sentence(said)


def _overall(evidence: Evidence, baseline: Baseline | None, primary: Measure) -> Iterator[str]:
    """Say how far small steps led, if they led anywhere; they are an improvement only from the baseline on."""
    words, last = primary.words, evidence.values[-1]
    before = primary.scale.worse_by(evidence.values[0], -evidence.changes[0])
    worsening = primary.scale.worsening(before, last)
    if worsening == 0:
        return
    moved = _led(before, last, words.count("points", abs(worsening)), primary)
    if baseline is None or baseline.value == before:
        said = words("why.overall", moved=moved)
    else:
        since_start = words.number(abs(primary.scale.worsening(baseline.value, last)))
        said = words("why.overall.start", moved=moved, start=_led(baseline.value, last, since_start, primary))
    if worsening > 0:
        yield f"{said} {words('why.overall.worse')}"
    elif baseline is not None and primary.scale.worsening(baseline.value, last) < 0:
        yield f"{said} {words('why.overall.better')}"
    else:
        yield said


def _led(first: Decimal, last: Decimal, points: str, primary: Measure) -> str:
    words, worsening = primary.words, primary.scale.worsening(first, last)
    path = f"{words.number(first)} → {words.number(last)}"
    if worsening == 0:
        return words("overall.not", path=path)
    return words("overall.worse" if worsening > 0 else "overall.better", points=points, path=path)


def _threshold(evidence: Evidence) -> Decimal:
    return Decimal(0) if evidence.threshold is None else evidence.threshold


def _episode(subject: Subject, decision: Decision) -> Iterator[str]:
    episode, policy, words = decision.episode, subject.policy, subject.words
    if episode is None or policy is None:
        return
    if episode.persistent or len(episode.sessions) > 1:
        sessions = words.sessions(episode.sessions)
        yield words.count("episode", len(episode.sessions), sessions=sessions, limit=policy.persistent_after)


def _gaps(subject: Subject, primary: Measure) -> Iterator[str]:
    """Say why the unknown sessions are unknown: at most one sentence for each reason, however many they are."""
    words, scores = subject.words, subject.unknown_sessions()
    answered = {session: score for session, score in scores.items() if score is not None}
    missed = [session for session in scores if session not in answered]
    if answered:
        path = primary.path(list(answered.values()))
        yield sentence(words("why.no_baseline", sessions=words.sessions(list(answered)), path=path))
    if missed:
        yield sentence(words("why.not_measured", sessions=words.sessions(missed), scale=primary.label))


def _silence(subject: Subject, decision: Decision) -> Iterator[str]:
    if decision.silent and subject.policy is not None:
        yield subject.words("silent.limit", limit=subject.policy.silent_after)


def no_baseline(subject: Subject) -> str:
    """Say that later scores are compared with nothing, and why; nothing where there is a baseline."""
    decision, policy = subject.content.decision, subject.policy
    if decision is None or policy is None or decision.baseline is not None:
        return ""
    return subject.words(f"no_baseline.{policy.baseline}")


def origin(baseline: Baseline, words: Words) -> str:
    """Say how a baseline came about."""
    if baseline.how == "set_by_hand" or baseline.session is None:
        return words("origin.set_by_hand")
    return words(f"origin.{baseline.how}", session=words.session(baseline.session))


def notes(subject: Subject) -> list[str]:
    """Say everything that a reader of the decision must know beside it."""
    decision, primary = subject.content.decision, subject.primary
    if decision is None or primary is None:
        return []
    return [_note(annotation, decision, subject, primary) for annotation in decision.annotations]


def _note(annotation: Annotation, decision: Decision, subject: Subject, primary: Measure) -> str:
    words, start = subject.words, decision.baseline
    value = Decimal(0) if annotation.value is None else annotation.value
    gaps = {"points": words.count("points", value), "baseline": words.number(start.value) if start else "–"}
    match annotation.kind:
        case "cannot_deteriorate":
            return words(
                "note.cannot_deteriorate",
                worst=primary.worst,
                limit=_limits_beyond(value, subject, Deterioration),
                **gaps,
            )
        case "cannot_improve":
            return words(
                "note.cannot_improve", best=primary.best, limit=_limits_beyond(value, subject, NoChange), **gaps
            )
        case "healthy_range":
            return _healthy(annotation, primary, words)
        case "within_measurement_error":
            return _measurement_error(value, subject)
        case "provisional_definition":
            return words("note.provisional", titles=words.listed(_provisional(subject, primary)))


def _limits_beyond(room: Decimal, subject: Subject, kind: type[Deterioration | NoChange]) -> str:
    """List the limits of the rules for which the baseline leaves no room; what compares with a score has its own."""
    limits = [
        rule.at_least if isinstance(rule, Deterioration) else rule.less_than
        for rule in (subject.policy.rules if subject.policy is not None else ())
        if isinstance(rule, kind) and (isinstance(rule, NoChange) or rule.compared_with == "baseline")
    ]
    return subject.words.listed([subject.words.number(limit) for limit in limits if limit > room]) or "–"


def _healthy(annotation: Annotation, primary: Measure, words: Words) -> str:
    cut_off = primary.cut_off(annotation.cut_off)
    value = Decimal(0) if annotation.value is None else annotation.value
    if cut_off is None:
        return words("note.healthy_range", value=value)
    return words("note.healthy_range.source", value=value, source=cut_off.source, population=cut_off.population)


def _measurement_error(band: Decimal, subject: Subject) -> str:
    words = subject.words
    figures = subject.policy.reliable_change if subject.policy is not None else None
    said = words("note.within_measurement_error", points=words.count("points", band))
    if figures is None:
        return said
    known = {"sd": figures.sd, "alpha": figures.alpha, "n": figures.n}
    return f"{said} {words('note.reliable_change', population=figures.population, source=figures.source, **known)}"


def _provisional(subject: Subject, primary: Measure) -> list[str]:
    used = [primary.instrument, *([] if subject.policy is None else [subject.policy])]
    return [each.title.in_language(subject.words.language) for each in used if each.provisional]
