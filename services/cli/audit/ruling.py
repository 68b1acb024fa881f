"""What each rule of a policy said of a session, by what was known when it was judged: also those that did not fire."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language
from contracts.definitions.policy import Deterioration, NoChange
from contracts.events.event import Data, Event
from contracts.events.tracks import Decision, Evidence
from services.cli.policy_sentences import PolicySentences
from services.not_detector.domain.course import View
from services.not_detector.domain.rules import Silent, apply, healthy_cut_off
from services.not_detector.domain.stage import NotDetector
from services.pages.ruled import Ruled, Silence, once_not
from services.pages.words import Words

_BOUNDLESS: Final = Decimal(1_000_000)
"""A limit that every change reaches, or stays below: with it a rule tells the numbers that it looks at."""


def ruled(
    definitions: Catalogue, events: Sequence[Event[Data]], decision: Event[Decision], language: Language
) -> Iterator[Ruled]:
    """Give what each rule of the policy said of a decision. events: of the case; language: of the rules' sentences."""
    said = decision.data
    view = _view(definitions, events, decision)
    for each in said.rules:
        if each.rule == "once_not/1":
            yield Ruled(each.rule, once_not(Words(language)), each.reading, None, each, fired=True)
    sentences = PolicySentences(view.policy, definitions, language).rules()
    fired = {(evidence.rule, evidence.reading, evidence.threshold): evidence for evidence in said.rules}
    for rule, (kind, says) in zip(view.policy.rules, sentences, strict=True):
        limit = rule.at_least if isinstance(rule, Deterioration) else rule.less_than
        evidence = fired.get((rule.kind, rule.compared_with, limit))
        if evidence is not None:
            looked = _looked_at(rule, view, evidence)
            yield Ruled(kind, says, rule.compared_with, limit, evidence, fired=True, sessions=looked)
            continue
        if view.score(said.session) is None:
            yield Ruled(kind, says, rule.compared_with, limit, silent="no_score")
            continue
        numbers = apply(_without_limit(rule), view, said.session, said.baseline)
        if isinstance(numbers, Evidence):
            numbers = numbers.model_copy(update={"threshold": limit})
            looked = _looked_at(rule, view, numbers)
            yield Ruled(kind, says, rule.compared_with, limit, numbers, sessions=looked)
        else:
            silent = _silence(rule, view, said.session, numbers)
            row, needed = (_row(rule, view, said.session), rule.sessions) if isinstance(rule, NoChange) else ((), 0)
            sessions = tuple(session for session, _ in row)
            yield Ruled(
                kind,
                says,
                rule.compared_with,
                limit,
                silent=silent,
                sessions=sessions,
                measured=len(row),
                needed=needed,
            )


def stood_on(definitions: Catalogue, events: Sequence[Event[Data]], decision: Event[Decision]) -> Sequence[str]:
    """Name the scores that the rules looked at, also those that did not fire, by their events and in their order."""
    looked = {session for rule in ruled(definitions, events, decision, "en") for session in rule.sessions}
    sessions = {decision.data.session, *looked, *(each for rule in decision.data.rules for each in rule.sessions)}
    measured = {
        int(name): each.score for name, each in _view(definitions, events, decision).comparable() if name.isdecimal()
    }
    return [measured[session] for session in sorted(sessions & measured.keys())]


def _view(definitions: Catalogue, events: Sequence[Event[Data]], decision: Event[Decision]) -> View:
    """Give the course as its policy saw it when a session was judged."""
    stage = NotDetector(definitions)
    course = stage.initial(decision.subject)
    for event in events:
        if type(event.data) in stage.acts_on:
            course, _ = stage.step(course, event)
        if event.id == decision.causationid:
            break
    return View(course, decision.data.policy, definitions)


def _looked_at(rule: Deterioration | NoChange, view: View, evidence: Evidence) -> tuple[int, ...]:
    """Give the sessions whose scores a rule looked at, the one before the first too where it compares with that."""
    first = evidence.sessions[0]
    before = [session for session, _ in view.measured_until(first) if session < first]
    return (*(before[-1:] if rule.compared_with == "previous" else ()), *evidence.sessions)


def _without_limit(rule: Deterioration | NoChange) -> Deterioration | NoChange:
    change = {"at_least": -_BOUNDLESS} if isinstance(rule, Deterioration) else {"less_than": _BOUNDLESS}
    return rule.model_copy(update=change)


def _silence(rule: Deterioration | NoChange, view: View, session: int, silent: Silent) -> Silence:
    """Say why a rule could not be looked at."""
    if silent is Silent.NO_BASELINE:
        return "no_baseline"
    if isinstance(rule, NoChange):
        row, cut_off = _row(rule, view, session), healthy_cut_off(view)
        if len(row) < rule.sessions:
            return "too_few"
        if rule.unless_healthy and cut_off is not None and cut_off.is_healthy(row[-1][1]):
            return "healthy"
        return "broken"
    return "nothing"


def _row(rule: NoChange, view: View, session: int) -> Sequence[tuple[int, Decimal]]:
    return view.measured_until(session)[-rule.sessions :]
