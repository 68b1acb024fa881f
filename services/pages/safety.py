"""Answers that make a safety report: named in every other report of the patient, and beside later ones like them."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from contracts.definitions.definition import id_of
from contracts.definitions.instrument import Item
from contracts.events.fields import Session
from contracts.events.notices import AnsweredForm
from contracts.events.scores import FlaggedAnswer
from services.pages.measure import item_value
from services.pages.subject import Subject
from services.pages.words import Words, sentence

TOLD_AT_MOST: Final = 2


def told_of(subject: Subject) -> Iterator[tuple[AnsweredForm, FlaggedAnswer, Item]]:
    """Give the safety answers that a report is about, each with its form and its question."""
    for form in subject.content.forms:
        instrument = subject.definitions.instrument(form.instrument)
        for flag in form.flags:
            if flag.kind == "safety":
                yield form, flag, instrument.item(flag.item)


def safety_line(subject: Subject) -> str:
    """Name the latest safety answers in a report of another kind; nothing where there are none."""
    words = subject.words
    forms = [] if subject.content.kind == "safety" else _latest_first(subject)
    if not forms:
        return ""
    first, *others = [_answered(form, subject) for form in forms[:TOLD_AT_MOST]]
    said = [words("safety.line", answered=first), *map(sentence, others)]
    more = len(forms) - TOLD_AT_MOST
    if more > 0:
        said.append(words.count("safety.more", more))
    said.append(words.count("safety.reports", len(forms)))
    return " ".join(said)


def earlier(subject: Subject, form: AnsweredForm, answer: FlaggedAnswer) -> str:
    """Name earlier safety answers to the same question, the latest first; nothing where there are none."""
    words = subject.words
    found: list[tuple[str, Session]] = []
    for other in _latest_first(subject):
        if other.answered_at < form.answered_at and id_of(other.instrument) == id_of(form.instrument):
            instrument = subject.definitions.instrument(other.instrument)
            same = [flag for flag in other.flags if flag.item == answer.item]
            found.extend((item_value(instrument.item(flag.item), flag.value, words), other.session) for flag in same)
    return words.listed(
        [
            words("safety.at", value=value, session=_named([session for _, session in run], words))
            for value, run in groupby(found, key=lambda each: each[0])
        ]
    )


def _latest_first(subject: Subject) -> list[AnsweredForm]:
    return sorted(subject.content.safety, key=lambda form: (form.answered_at, form.response), reverse=True)


def _answered(form: AnsweredForm, subject: Subject) -> str:
    words, instrument = subject.words, subject.definitions.instrument(form.instrument)
    answers = []
    for flag in form.flags:
        item = instrument.item(flag.item)
        question = words.quoted(item.label.in_language(words.language))
        answers.append(words("safety.answered.item", question=question, value=item_value(item, flag.value, words)))
    return words(
        "safety.answered",
        day=subject.day(form.answered_at),
        session=words.session(form.session),
        answers=words.listed(answers),
    )


def _named(latest_first: list[Session], words: Words) -> str:
    """Name sessions in their order, each once."""
    once = list(dict.fromkeys(reversed(latest_first)))
    counted = [session for session in once if isinstance(session, int)]
    if len(counted) == len(once):
        return words.sessions(counted)
    return words.listed([words.session(session) for session in once])
