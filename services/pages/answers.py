"""What the patient answered and wrote: flagged answers, comments, problems, events, needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contracts.definitions.instrument import Item
from contracts.events.fields import Session
from contracts.events.notices import AnsweredForm, Curve
from services.pages.measure import item_value
from services.pages.subject import Subject
from services.pages.words import Words, sentence


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. urgent: its flag is one of safety; filled, steps: how far along its range it lies."""

    question: str
    value: str
    urgent: bool
    filled: int
    steps: int


@dataclass(frozen=True, slots=True)
class AnsweredSheet:
    """The flagged answers of one questionnaire."""

    title: str
    when: str
    provisional: bool
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """What the patient wrote on one questionnaire."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class NamedProblem:
    """A problem in the patient's own words. scores: its curve in words; former: earlier wordings of it."""

    name: str
    text: str
    scores: str
    former: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Context answers of one session, or of several that say the same."""

    session: str
    items: tuple[str, ...]


def sheets(subject: Subject) -> list[AnsweredSheet]:
    """Give the flagged answers: those on the primary scale first, those given after the session before last."""

    def place(form: AnsweredForm) -> tuple[bool, bool]:
        instrument = subject.definitions.instrument(form.instrument)
        return (
            subject.primary is None or instrument.id != subject.primary.instrument.id,
            instrument.asked == "after_session",
        )

    return [_sheet(form, subject) for form in sorted(subject.content.forms, key=place) if form.flags]


def _sheet(form: AnsweredForm, subject: Subject) -> AnsweredSheet:
    instrument = subject.definitions.instrument(form.instrument)
    return AnsweredSheet(
        title=subject.title_of(form.instrument),
        when=_when(form, subject),
        provisional=instrument.provisional,
        answers=tuple(
            answer(subject, form.instrument, instrument.item(flag.item), flag.value, is_urgent=flag.kind == "safety")
            for flag in form.flags
        ),
    )


def answer(subject: Subject, instrument_ref: str, item: Item, value: int, *, is_urgent: bool = False) -> Answer:
    """Give an answer as it is shown."""
    return Answer(
        question=subject.wording(instrument_ref, item),
        value=item_value(item, value, subject.words),
        urgent=is_urgent,
        filled=value - item.lowest,
        steps=item.highest - item.lowest,
    )


def _when(form: AnsweredForm, subject: Subject) -> str:
    asked = subject.definitions.instrument(form.instrument).asked
    words = subject.words
    return words(f"when.{asked}", session=words.session(form.session), moment=subject.moment(form.answered_at))


def comments(subject: Subject) -> list[Comment]:
    """Give what the patient wrote, word for word."""
    return [
        Comment(text=form.comment, where=f"{subject.title_of(form.instrument)}, {_when(form, subject)}")
        for form in subject.content.forms
        if form.comment
    ]


def problems(subject: Subject) -> list[NamedProblem]:
    """Give the patient's problems, each in its latest words, with what became of it."""
    wordings: dict[int, list[tuple[int, str]]] = {}
    for problem in subject.content.problems:
        wordings.setdefault(problem.problem, []).append((problem.series, problem.text))
    found = []
    for number, texts in sorted(wordings.items()):
        texts.sort()
        series, text = texts[-1]
        found.append(
            NamedProblem(
                name=subject.words("problem", number=number),
                text=text,
                scores=_course_of(number, series, subject),
                former=tuple(former for _, former in texts[:-1]),
            )
        )
    return found


def problem_curve(subject: Subject, number: int, series: int) -> Curve | None:
    """Find the curve of one wording of a problem."""
    for curve in subject.content.curves:
        if curve.series == series and subject.measure_of(curve).scale.problem == number:
            return curve
    return None


def _course_of(number: int, series: int, subject: Subject) -> str:
    curve = problem_curve(subject, number, series)
    if curve is None or not curve.points:
        return ""
    return subject.measure_of(curve).first_and_last(curve.values)


def events(subject: Subject) -> list[Occurrence]:
    """Give the life events, session by session."""
    return list(_occurrences(subject, events_only=True))


def stated_needs(subject: Subject) -> list[Occurrence]:
    """Give the needs that the patient ticked, session by session."""
    return list(_occurrences(subject, events_only=False))


def _occurrences(subject: Subject, *, events_only: bool) -> Iterator[Occurrence]:
    found: dict[Session, list[str]] = {}
    for answer in subject.content.context:
        instrument = subject.definitions.instrument(answer.instrument)
        if subject.is_events(instrument) == events_only:
            wording = subject.wording(answer.instrument, instrument.item(answer.item))
            items = found.setdefault(answer.session, [])
            if wording not in items:
                items.append(wording)
    yield from _together(found, subject.words)


def _together(found: Mapping[Session, list[str]], words: Words) -> Iterator[Occurrence]:
    """Tell of sessions that follow each other and say the same in one line."""
    runs: list[tuple[list[Session], list[str]]] = []
    for session, items in found.items():
        if runs and runs[-1][1] == items:
            runs[-1][0].append(session)
        else:
            runs.append(([session], items))
    for sessions, items in runs:
        counted = [session for session in sessions if isinstance(session, int)]
        several = len(counted) == len(sessions) > 1
        named = words.sessions(counted) if several else words.listed([words.session(session) for session in sessions])
        yield Occurrence(sentence(named), tuple(items))
