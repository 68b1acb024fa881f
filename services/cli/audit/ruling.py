"""What each rule of a policy said of a session, by what was known when it was judged: also those that did not fire."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language
from contracts.definitions.policy import Deterioration, NoChange
from contracts.events.event import Data, Event
from contracts.events.tracks import Decision, Evidence
from services.cli.home import FINDING, Failure
from services.cli.policy.sentences import PolicySentences
from services.not_detector.domain.course import Course, View
from services.not_detector.domain.rules import Silent, apply, healthy_cut_off
from services.not_detector.domain.stage import NotDetector
from services.pages.ruled import Ruled, Silence, once_not
from services.pages.words import Words

_BOUNDLESS: Final = Decimal(1_000_000)
"""A limit that every change reaches, or stays below: with it a rule tells the numbers that it looks at."""


def ruled(
    definitions: Catalogue, events: Sequence[Event[Data]], decision: Event[Decision], language: Language
) -> Iterator[Ruled]:
    """Give what each rule of the policy said of a decision. Raises Failure if that does not follow from its scores.

    events: of the case; language: of the rules' sentences
    """
    said = decision.data
    view = _view(definitions, events, decision)
    for each in said.rules:
        if each.rule == "once_not/1":
            yield Ruled(each.rule, once_not(each, Words(language)), each.reading, None, each, fired=True)
    sentences = PolicySentences(view.policy, definitions, language).rules()
    for rule, (kind, says) in zip(view.policy.rules, sentences, strict=True):
        limit = rule.at_least if isinstance(rule, Deterioration) else rule.less_than
        if view.score(said.session) is None:
            yield Ruled(kind, says, rule.compared_with, limit, silent="no_score")
            continue
        outcome = apply(rule, view, said.session, said.baseline)
        if isinstance(outcome, Evidence):
            looked = _looked_at(rule, view, outcome)
            yield Ruled(kind, says, rule.compared_with, limit, outcome, fired=True, sessions=looked)
            continue
        numbers = _numbers(rule, view, said, outcome)
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
    """Give the course as its policy saw it as a session was judged. Raises Failure if that does not follow from it."""
    stage = NotDetector(definitions)
    course: Course = stage.initial(decision.subject)
    follows: Sequence[Event[Data]] = ()
    for event in events:
        if type(event.data) in stage.acts_on:
            course, follows = stage.step(course, event)
        if event.id == decision.causationid:
            break
    if all(each.data != decision.data for each in follows):
        says = f"session {decision.data.session}: what stands there as decided is not what follows from its scores"
        raise Failure(f"{says}; ontrack audit verify tells what was altered", FINDING)
    return View(course, decision.data.policy, definitions)


def _looked_at(rule: Deterioration | NoChange, view: View, evidence: Evidence) -> tuple[int, ...]:
    """Give the sessions whose scores a rule looked at, the one before the first too where it compares with that."""
    first = evidence.sessions[0]
    before = [session for session, _ in view.measured_until(first) if session < first]
    return (*(before[-1:] if rule.compared_with == "previous" else ()), *evidence.sessions)


def _numbers(rule: Deterioration | NoChange, view: View, said: Decision, outcome: Silent) -> Evidence | Silent:
    """Give the numbers by which a rule did not fire, or why it has none. outcome: what it gave."""
    if isinstance(rule, Deterioration):
        return apply(rule.model_copy(update={"at_least": -_BOUNDLESS}), view, said.session, said.baseline)
    numbers = apply(rule.model_copy(update={"less_than": _BOUNDLESS}), view, said.session, said.baseline)
    if numbers is Silent.NO_BASELINE and outcome is Silent.NOT_FIRED:
        # The first of its sessions has nothing before it; by how one behind it moved the rule did not fire.
        behind = {"less_than": _BOUNDLESS, "sessions": rule.sessions - 1}
        return apply(rule.model_copy(update=behind), view, said.session, said.baseline)
    return numbers


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
