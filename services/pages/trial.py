"""A policy that was tried, as a page and as a table: what would be otherwise, how often, and how early."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from contracts.definitions.definition import Language
from contracts.events.tracks import RuleKind, Status
from services.pages.drawing import Drawing, Mark
from services.pages.rendering import footer_string, rendered
from services.pages.trial_drawing import (
    FEWEST,
    NARROW,
    WIDE,
    Bar,
    Curve,
    Often,
    Piece,
    Share,
    bars,
    columns,
    curves,
    legend,
)
from services.pages.words import Words, sentence

Head = Literal["now", "against", "tried", "previous", "baseline", "window"]
Origin = Literal["figures", "policies", "asked"]

ENOUGH: Final = 20
"""Of fewer patients, or of fewer who got worse, it is said that they are few."""

ENOUGH_WORSE: Final = 10
PARTS: Final[Mapping[str, Sequence[str]]] = {
    "sessions": (
        "sessions",
        "sessions_not",
        "sessions_unknown",
        "sessions_newly",
        "sessions_no_longer",
        "sessions_otherwise",
    ),
    "cases": ("cases", "cases_not", "cases_newly", "cases_no_longer", "cases_changed"),
    "reports": (
        "reports_not",
        "reports_silent",
        "told",
        "all_a_week",
        "all_busiest",
        "pair_a_week",
        "pair_busiest",
        "therapist_a_week",
        "therapist_busiest",
    ),
    "early": (
        "deteriorated",
        "seen_before",
        "seen_at",
        "not_seen",
        "sessions_before",
        "seen_just_before",
        "not_then_worse",
    ),
}
_MEANS: Final = frozenset({"all_a_week", "pair_a_week", "therapist_a_week", "sessions_before"})


class Number(NamedTuple):
    """A number. of: out of how many, or of how many it is a mean; None where it is neither."""

    value: int | Decimal | None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """What one policy says. numbers: by name; shares: of each session, not on track; weeks: messages -> how many weeks.

    of_groups: whether these weeks are each of one group
    """

    head: Head
    numbers: Mapping[str, Number]
    shares: Mapping[int, Share]
    weeks: Mapping[int, int]
    of_groups: bool

    def number(self, name: str) -> int:
        """Give a whole number; 0 where there is none."""
        found = self.numbers.get(name)
        return 0 if found is None or found.value is None else int(found.value)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A session that changes, as the list has it.

    rules, rules_before: those that fire under the policy that is tried, and those that did; each with its reading
    """

    case: str
    session: int
    score: Decimal | None
    baseline: Decimal | None
    before: Status | None
    after: Status | None
    rules: Sequence[tuple[RuleKind, str]]
    rules_before: Sequence[tuple[RuleKind, str]]


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that is told of a policy that was tried.

    policy, ref: how it is called, and its full reference; rules: in sentences; against: what else it is compared with
    readings: of "no change" that the policy has itself
    columns: the first is what it is compared with, the second what was tried, then other readings of that
    until: the latest event, by the clinic's clock; points, origin: what counts as getting worse, and by whose word
    changed: None if nobody asked which sessions those are
    """

    policy: str
    ref: str
    rules: Sequence[str]
    against: str | None
    columns: Sequence[Column]
    until: datetime
    points: Decimal | None
    origin: Origin
    readings: Sequence[Head]
    knows_therapists: bool
    changed: Sequence[Otherwise] | None


class Row(NamedTuple):
    """A line of the table: what it counts, and the cell of each column."""

    name: str
    cells: Sequence[str]


class Part(NamedTuple):
    """Lines that belong together, under a heading."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in two widths, with its legend."""

    name: str
    title: str
    about: str
    wide: Drawing
    narrow: Drawing
    legend: Sequence[tuple[Mark, str]] = ()


def heads(trial: Trial, words: Words) -> list[str]:
    """Name the columns, shortly."""
    return [words(f"trial.head.{column.head}") for column in trial.columns]


def parts(trial: Trial, words: Words) -> Iterator[Part]:
    """Give the table, part by part; lines of which nothing is known are left out."""
    for part, names in PARTS.items():
        if part == "early" and trial.points is None:
            continue
        rows = [
            Row(words(f"trial.row.{name}"), [_cell(name, column.numbers.get(name), words) for column in trial.columns])
            for name in names
            if any(name in column.numbers for column in trial.columns)
        ]
        yield Part(words(f"trial.part.{part}"), rows)


def _cell(name: str, number: Number | None, words: Words) -> str:
    if number is None or number.value is None:
        return "–"
    if number.of is None:
        return words.number(number.value)
    return words("trial.mean" if name in _MEANS else "trial.of", value=number.value, of=number.of)


def headline(trial: Trial, words: Words) -> str:
    """Say in a sentence or two what would be otherwise."""
    tried = trial.columns[1]
    newly, no_longer, otherwise = (tried.number(f"sessions_{how}") for how in ("newly", "no_longer", "otherwise"))
    if not newly + no_longer + otherwise:
        return words("trial.says.none")
    patients = words.count("trial.patients", tried.number("cases"))
    some = words(
        "trial.says.some",
        changed=newly + no_longer + otherwise,
        sessions=max(column.number("sessions") for column in trial.columns[:2]),
        cases=tried.number("cases_changed"),
        patients=patients,
    )
    return f"{some} {words('trial.says.how', newly=newly, no_longer=no_longer, otherwise=otherwise)}"


def notes(trial: Trial, words: Words) -> Iterator[str]:
    """Say how everything is counted, and on what it stands."""
    yield words("trial.note.known", until=words.moment(trial.until))
    yield words("trial.note.changed")
    yield words("trial.note.told")
    if not trial.knows_therapists:
        yield words("trial.note.no_therapists")
    if trial.points is None:
        yield words("trial.note.no_points")
    else:
        origin = words(f"trial.note.origin.{trial.origin}")
        yield words("trial.note.early", points=words.count("points", trial.points), origin=origin)
    if trial.readings:
        own = words.listed([words(f"trial.head.{reading}") for reading in trial.readings])
        yield words("trial.note.readings", own=own)
    else:
        yield words("trial.note.no_reading")
    cases, worse = (trial.columns[1].number(name) for name in ("cases", "deteriorated"))
    if cases < ENOUGH or worse < ENOUGH_WORSE:
        yield words("trial.note.few", cases=cases, worse=worse)


def trial_page(trial: Trial, language: Language) -> str:
    """Write it as a page."""
    words = Words(language)
    title = words("trial.title", policy=trial.policy)
    tried = trial.columns[1]
    compared = (
        words("trial.compared.had") if trial.against is None else words("trial.compared.with", policy=trial.against)
    )
    return rendered(
        "trial.html",
        words,
        footer=footer_string(f"OnTrack · {title}"),
        title=title,
        about=words(
            "trial.about",
            patients=words.count("trial.patients", tried.number("cases")),
            sessions=words.count("trial.judged", trial.columns[0].number("sessions")),
        ),
        compared=compared,
        headline=headline(trial, words),
        rules=trial.rules,
        pictures=list(_pictures(trial, words)),
        heads=[(words(f"trial.head.{column.head}"), words(f"trial.named.{column.head}")) for column in trial.columns],
        parts_of_table=list(parts(trial, words)),
        notes=list(notes(trial, words)),
        changed=None if trial.changed is None else [_listed(each, words) for each in trial.changed],
        ref=trial.ref,
    )


def _listed(each: Otherwise, words: Words) -> Mapping[str, str]:
    before = _rules(each.rules_before, words)
    fired = words("trial.list.fired", rules=before) if before else ""
    return {
        "case": each.case,
        "session": sentence(words.session(each.session)),
        "score": f"{_known(each.score, words)} ({_known(each.baseline, words)})",
        "before": words(f"status.{each.before or 'unjudged'}"),
        "after": words(f"status.{each.after or 'unjudged'}"),
        "rule": sentence(_rules(each.rules, words) or fired),
    }


def _rules(rules: Sequence[tuple[RuleKind, str]], words: Words) -> str:
    """Name rules that fired, without the version of their kind."""
    return words.listed(
        [words(f"trial.rule.{rule.partition('/')[0]}", reading=words(f"trial.reading.{how}")) for rule, how in rules]
    )


def _known(value: Decimal | None, words: Words) -> str:
    return "–" if value is None else words.number(value)


def _pictures(trial: Trial, words: Words) -> Iterator[Picture]:
    both = trial.columns[:2]
    names = [words(f"trial.named.{column.head}") for column in both]
    yield from _share(both, names, words)
    yield _readings(trial, words)
    if trial.points is not None and trial.columns[1].number("deteriorated") >= FEWEST:
        yield _early(trial, words)
    yield _load(both, names, words)


def _share(both: Sequence[Column], names: Sequence[str], words: Words) -> Iterator[Picture]:
    some = [Curve(name, column.shares) for name, column in zip(names, both, strict=True)]
    points = " ".join(
        words(
            "trial.picture.share.point",
            session=sentence(words.session(session)),
            value=share.value,
            of=share.of,
            policy=curve.name,
        )
        for curve in some
        for session, share in curve.drawn.items()
    )
    title, says = words("trial.picture.share"), words("trial.picture.share.says", points=points)
    wide, narrow = (curves(title, says, some, width) for width in (WIDE, NARROW))
    if wide is not None and narrow is not None:
        about = words("trial.picture.share.about", fewest=FEWEST)
        yield Picture("share", title, about, wide, narrow, list(legend(names)))


def _readings(trial: Trial, words: Words) -> Picture:
    some = [Bar(words(f"trial.named.{column.head}"), list(_kept(column, words))) for column in trial.columns]
    return _of_bars("readings", some, trial.columns[1], words)


def _of_bars(name: str, some: Sequence[Bar], explained: Column, words: Words) -> Picture:
    """Draw bars, with the pieces of one of them as the legend."""
    title, about = words(f"trial.picture.{name}"), words(f"trial.picture.{name}.about")
    pieces = next(bar.pieces for bar in some if bar.name == words(f"trial.named.{explained.head}"))
    signs = [(Mark(0, 0, "square", 5, piece.look), piece.name) for piece in pieces]
    return Picture(name, title, about, bars(title, some, WIDE), bars(title, some, NARROW), signs)


def _kept(column: Column, words: Words) -> Iterator[Piece]:
    newly = column.number("sessions_newly")
    yield Piece(column.number("sessions_not") - newly, "stay", words("trial.bar.stay"))
    if column.numbers["sessions_newly"].value is not None:
        yield Piece(newly, "new", words("trial.bar.new"))
        yield Piece(column.number("sessions_no_longer"), "gone", words("trial.bar.gone"))


def _early(trial: Trial, words: Words) -> Picture:
    looks = {"seen_before": ("new", "before"), "seen_at": ("stay", "at"), "not_seen": ("gone", "never")}
    some = [
        Bar(
            words(f"trial.named.{column.head}"),
            [Piece(column.number(name), look, words(f"trial.bar.{what}")) for name, (look, what) in looks.items()],
        )
        for column in trial.columns
    ]
    return _of_bars("early", some, trial.columns[1], words)


def _load(both: Sequence[Column], names: Sequence[str], words: Words) -> Picture:
    some = [Often(name, column.weeks) for name, column in zip(names, both, strict=True)]
    weeks = words.count("trial.weeks", sum(both[1].weeks.values()))
    key = "trial.picture.load.pair" if both[1].of_groups else "trial.picture.load.all"
    title, axis = words("trial.picture.load"), words("trial.axis.messages")
    wide, narrow = (columns(title, axis, some, width) for width in (WIDE, NARROW))
    return Picture("load", title, words(key, weeks=weeks), wide, narrow, list(legend(names, "square")))
