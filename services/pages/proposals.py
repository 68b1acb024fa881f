"""What can be done: needs worth asking about, sentences that open a talk, and actions."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.guidance import Action, Need
from contracts.definitions.instrument import Flag, Instrument
from services.pages.measure import item_value
from services.pages.subject import Subject
from services.pages.words import Words, within

OPENERS_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class ProposedNeed:
    """A need worth asking about. because: what the patient answered that points to it; none: nothing does."""

    title: str
    about: str
    because: tuple[str, ...]
    openers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """Something that can be done. origin: where the idea comes from; needs: which ones it answers.

    hours: nothing where the protocol gives none
    """

    title: str
    about: str
    origin: str
    hours: str
    needs: tuple[str, ...]


def needs(subject: Subject) -> list[ProposedNeed]:
    """Give the suggested needs; where no answer points to one, the first of the guidance."""
    guidance = subject.guidance
    by_id = {need.id: need for need in guidance.needs}
    suggested = [
        _need(by_id[suggestion.need], tuple(_signs(suggestion.because, subject)), subject.words)
        for suggestion in subject.content.needs
        if suggestion.need in by_id
    ]
    return suggested or [_need(need, (), subject.words) for need in guidance.needs[:1]]


def _need(need: Need, because: tuple[str, ...], words: Words) -> ProposedNeed:
    language = words.language
    return ProposedNeed(
        title=need.title.in_language(language),
        about=need.about.in_language(language),
        because=because,
        openers=tuple(_openers(need, words)),
    )


def _openers(need: Need, words: Words) -> list[str]:
    """Take openers from every theme in turn, so that each side of a need has one before any has two."""
    rounds = zip_longest(*(theme.openers for theme in need.themes))
    texts = [opener for together in rounds for opener in together if opener is not None]
    return [text.in_language(words.language) for text in texts[:OPENERS_AT_MOST]]


def _signs(signs: tuple[str, ...], subject: Subject) -> Iterator[str]:
    """Say of each flag which answer it marked."""
    for sign in signs:
        instrument, _, flag = sign.partition("/")
        yield _answered(instrument, flag, subject) or _labelled(instrument, flag, subject.definitions, subject.words)


def _answered(instrument_id: str, name: str, subject: Subject) -> str | None:
    words = subject.words
    for form in subject.content.forms:
        instrument = subject.definitions.instrument(form.instrument)
        for flag in form.flags if instrument.id == instrument_id else ():
            if flag.flag == name:
                item = instrument.item(flag.item)
                return words(
                    "because.answer",
                    question=item.label.in_language(words.language),
                    value=item_value(item, flag.value, words),
                )
    for answer in reversed(subject.content.context):
        instrument = subject.definitions.instrument(answer.instrument)
        if instrument.id == instrument_id and answer.flag == name:
            question = subject.wording(answer.instrument, instrument.item(answer.item))
            kind = "because.event" if subject.is_events(instrument) else "because.stated"
            return words(kind, question=question, session=words.session(answer.session))
    return None


def _labelled(instrument_id: str, name: str, definitions: Catalogue, words: Words) -> str:
    entry = definitions.named(Instrument, instrument_id)
    instrument = entry.model if entry is not None else None
    if not isinstance(instrument, Instrument):
        return f"{instrument_id}/{name}"
    flag: Flag | None = next((flag for flag in instrument.flags if flag.id == name), None)
    items = flag.items if flag is not None else ()
    labels = [instrument.item(item).label.in_language(words.language) for item in items]
    return words.listed(labels) or f"{instrument_id}/{name}"


def actions(subject: Subject) -> list[ProposedAction]:
    """Give the actions that are proposed, with where they come from and what they cost."""
    by_id = {action.id: action for action in subject.guidance.actions}
    return [_action(by_id[name], subject) for name in subject.content.actions if name in by_id]


def _action(action: Action, subject: Subject) -> ProposedAction:
    words = subject.words
    titles = {need.id: need.title.in_language(words.language) for need in subject.guidance.needs}
    offer = next((offer for offer in subject.protocol.offers if offer.action == action.id), None)
    return ProposedAction(
        title=action.title.in_language(words.language),
        about=action.about.in_language(words.language),
        origin=words(f"action.{action.origin}"),
        hours=words.count("hours", offer.hours) if offer is not None else "",
        needs=tuple(titles[need] for need in action.needs if need in titles),
    )


def hours_in_all(subject: Subject) -> str:
    """Say how many hours the protocol has for one patient."""
    hours = subject.protocol.clinician_hours_at_most
    return "" if hours is None else subject.words("hours.at_most", hours=subject.words.count("hours", hours))


def next_step(subject: Subject) -> str:
    """Say in one sentence what can be done."""
    words, content = subject.words, subject.content
    if content.kind == "safety":
        return words("next.safety")
    if content.kind == "silent":
        return _end_of_silence(subject)
    if not content.needs:
        return words("next.open")
    return words("next.needs", needs=words.listed([within(need.title) for need in needs(subject)]))


def _end_of_silence(subject: Subject) -> str:
    """Say what would make the status known: a baseline first where one is missing, and answers where they are."""
    words, decision, scores = subject.words, subject.content.decision, list(subject.unknown_sessions().values())
    unanswered = scores.count(None)
    if unanswered == len(scores) or decision is None or decision.baseline is not None:
        return words("next.silent")
    return words.count("next.mixed", unanswered) if unanswered else words("next.no_baseline")
