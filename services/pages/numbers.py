"""The numbers of the decision, each with its unit and what it is compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from contracts.definitions.instrument import Item
from contracts.definitions.policy import Deterioration, NoChange
from contracts.events.tracks import Decision
from services.pages.measure import Measure, item_value
from services.pages.safety import earlier, told_of
from services.pages.sentences import origin
from services.pages.subject import Subject
from services.pages.words import Words, sentence


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
        _run(subject, decision),
    ]


def _unit(lowest: Decimal | int, highest: Decimal | int, words: Words) -> str:
    if lowest == 0:
        return words("unit.of", highest=highest)
    return words("unit.between", lowest=lowest, highest=highest)


def _score(subject: Subject, decision: Decision, primary: Measure) -> Number:
    words = subject.words
    name = words("number.score", session=words.session(decision.session))
    if decision.score is None:
        return Number(name, "–", notes=(words("number.none"), primary.label))
    return Number(name, words.number(decision.score), _unit(*primary.bounds, words), (primary.label,))


def _baseline(subject: Subject, decision: Decision, primary: Measure) -> Number:
    words, baseline = subject.words, decision.baseline
    if baseline is None:
        return Number(words("number.baseline"), "–", notes=(words("number.no_baseline"),))
    unit, how = _unit(*primary.bounds, words), origin(baseline, words)
    return Number(words("number.baseline"), words.number(baseline.value), unit, (how,))


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
    """Give the limit towards worse, as far as there is one, and what the rule on no change says beside it."""
    words, policy = subject.words, subject.policy
    rules = policy.rules if policy is not None else ()
    baseline, limit = decision.baseline, policy.limit() if policy is not None else None
    line = policy.not_line(primary.scale, baseline.value) if policy is not None and baseline is not None else None
    worse = limit or next((rule for rule in rules if isinstance(rule, Deterioration)), None)
    still = next((rule for rule in rules if isinstance(rule, NoChange)), None)
    name = words("number.limit")
    if worse is None:
        points = still.less_than if still is not None else Decimal(0)
        unit = words("unit.change", points=words.count("unit.points", points))
        notes = (words("limit.in_a_row", sessions=still.sessions),) if still is not None else ()
        return Number(name, words.number(points), unit, notes)
    lines = []
    if worse.compared_with == "previous":
        lines.append(words("limit.than_before"))
    elif line is not None:
        lines.append(words("limit.line", value=primary.from_here_on(line)))
    if still is not None:
        key = "limit.still.previous" if still.compared_with == "previous" else "limit.still"
        lines.append(words(key, points=still.less_than, sessions=still.sessions))
    unit = words("unit.worse", points=words.count("unit.points", worse.at_least))
    return Number(name, words.number(worse.at_least), unit, tuple(lines))


def _run(subject: Subject, decision: Decision) -> Number:
    """Give the run of sessions that the report is about."""
    words, policy, silent = subject.words, subject.policy, subject.content.kind == "silent"
    if silent:
        sessions = decision.silent_sessions
        limit = words("limit.silent", limit=policy.silent_after) if policy is not None else ""
    else:
        sessions = decision.episode.sessions if decision.episode is not None else ()
        limit = words("limit.persistent", limit=policy.persistent_after) if policy is not None else ""
    name = words("number.silent" if silent else "number.episode")
    notes = (words.sessions(sessions), limit) if sessions else ()
    return Number(name, words.number(len(sessions)), words.count("unit.sessions", len(sessions)), notes)


def _answers(subject: Subject) -> Iterator[Number]:
    words = subject.words
    for form, flag, item in told_of(subject):
        when = (words.session(form.session), subject.moment(form.answered_at))
        yield _answer(item, flag.value, words, earlier(subject, form, flag), when)
    judged = subject.content.judged
    if judged:
        latest = judged[-1]
        yield Number(
            words("number.status"),
            "",
            sentence(words(f"status.{latest.status}")),
            notes=(words.session(latest.session), words("number.another_report")),
        )


def _answer(item: Item, value: int, words: Words, before: str, when: tuple[str, str]) -> Number:
    name = item.label.in_language(words.language)
    if item.answers == "yes_no":
        notes = (words("safety.earlier", earlier=before), *when) if before else when
        return Number(name, item_value(item, value, words), notes=notes)
    unit = _unit(item.lowest, item.highest, words)
    return Number(name, words.number(value), f"{unit}; {before}" if before else unit, when)
