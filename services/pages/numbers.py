"""The numbers of the decision, each with its unit and what it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from contracts.definitions.instrument import Item
from contracts.definitions.policy import Deterioration, NoChange
from contracts.events.tracks import Decision
from services.pages.measure import Measure, item_value
from services.pages.sentences import origin
from services.pages.subject import Subject


@dataclass(frozen=True, slots=True)
class Number:
    """One number: its name, the number itself, its unit or range, and what else is to be known of it."""

    name: str
    value: str
    unit: str = ""
    notes: tuple[str, ...] = ()


def numbers(subject: Subject) -> list[Number]:
    """Give the numbers that belong beside the decision."""
    decision, primary = subject.content.decision, subject.primary
    if subject.content.kind == "safety":
        return list(_answers(subject))
    if decision is None or primary is None:
        return []
    return [
        _score(subject, decision, primary),
        _baseline(subject, decision, primary),
        _change(subject, decision, primary),
        _limits(subject, decision, primary),
        _episode(subject, decision),
    ]


def _of(measure: Measure) -> str:
    lowest, highest = measure.bounds
    if lowest == 0:
        return measure.words("unit.of", highest=highest)
    return measure.words("unit.between", lowest=lowest, highest=highest)


def _score(subject: Subject, decision: Decision, primary: Measure) -> Number:
    words = subject.words
    name = words("number.score", session=words.session(decision.session))
    if decision.score is None:
        return Number(name, "–", notes=(words("number.none"), primary.label))
    return Number(name, words.number(decision.score), _of(primary), (primary.label,))


def _baseline(subject: Subject, decision: Decision, primary: Measure) -> Number:
    words, baseline = subject.words, decision.baseline
    if baseline is None:
        return Number(words("number.baseline"), "–", notes=(words("number.no_baseline"),))
    return Number(words("number.baseline"), words.number(baseline.value), _of(primary), (origin(baseline, words),))


def _change(subject: Subject, decision: Decision, primary: Measure) -> Number:
    words, baseline = subject.words, decision.baseline
    if baseline is None or decision.score is None:
        return Number(words("number.change"), "–", notes=(words("number.nothing_to_compare"),))
    worsening = primary.scale.worsening(baseline.value, decision.score)
    way = "not" if worsening == 0 else "worse" if worsening > 0 else "better"
    unit = words(f"unit.{way}", points=words.count("unit.points", abs(worsening)))
    path = f"{words.number(baseline.value)} → {words.number(decision.score)}"
    return Number(words("number.change"), words.number(abs(worsening)), unit, (path,))


def _limits(subject: Subject, decision: Decision, primary: Measure) -> Number:
    words, limits, lines = subject.words, list[str](), list[str]()
    for rule in subject.policy.rules if subject.policy is not None else ():
        match rule:
            case Deterioration():
                limits.append(words("limit.worse", points=rule.at_least))
                if rule.compared_with == "baseline" and decision.baseline is not None:
                    line = primary.worse_by(decision.baseline.value, rule.at_least)
                    lines.append(words("limit.line", value=primary.from_here_on(line)))
            case NoChange():
                still = words("limit.still", points=rule.less_than)
                lines.append(words("limit.or_still", limit=still, sessions=rule.sessions) if limits else still)
                if not limits:
                    limits.append(still)
                    lines[-1] = words("limit.in_a_row", sessions=rule.sessions)
    value, _, unit = (limits[0] if limits else "–").partition(" ")
    return Number(words("number.limit"), value, unit, tuple(lines))


def _episode(subject: Subject, decision: Decision) -> Number:
    words = subject.words
    sessions = decision.silent_sessions if subject.content.kind == "silent" else ()
    name = words("number.silent" if subject.content.kind == "silent" else "number.episode")
    limit = subject.policy.silent_after if subject.policy is not None and sessions else None
    if not sessions and decision.episode is not None and subject.content.kind != "silent":
        sessions = decision.episode.sessions
        limit = subject.policy.persistent_after if subject.policy is not None else None
    unit = words.count("unit.sessions", len(sessions))
    kind = "limit.silent" if subject.content.kind == "silent" else "limit.persistent"
    notes = (words.sessions(sessions),) if sessions else ()
    return Number(
        name, words.number(len(sessions)), unit, notes if limit is None else (*notes, words(kind, limit=limit))
    )


def _answers(subject: Subject) -> Iterator[Number]:
    words = subject.words
    for form in subject.content.forms:
        instrument = subject.definitions.instrument(form.instrument)
        for flag in form.flags:
            if flag.kind == "safety":
                item = instrument.item(flag.item)
                yield _answer(item, flag.value, subject, words.session(form.session), subject.moment(form.answered_at))
    judged = subject.content.judged
    if judged:
        latest = judged[-1]
        yield Number(
            words("number.status"),
            words(f"status.{latest.status}"),
            notes=(words.session(latest.session), *((words("number.another_report"),))),
        )


def _answer(item: Item, value: int, subject: Subject, session: str, moment: str) -> Number:
    words = subject.words
    name = words("number.answer", question=item.label.in_language(words.language))
    if item.answers == "yes_no":
        return Number(name, item_value(item, value, words), notes=(session, moment))
    unit = (
        words("unit.of", highest=item.highest)
        if item.lowest == 0
        else words("unit.between", lowest=Decimal(item.lowest), highest=Decimal(item.highest))
    )
    return Number(name, words.number(value), unit, (session, moment))
