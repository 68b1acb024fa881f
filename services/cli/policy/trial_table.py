"""A policy that was tried, put together for whoever reads it: as a table in words, or as data."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import click

from contracts.definitions.catalogue import Entry
from contracts.definitions.definition import Language
from contracts.definitions.policy import NoChange
from contracts.events.tracks import Decision, RuleKind
from services.auditor.domain.trial import Calendar, Changed, Summary, figures, in_all
from services.auditor.trial import Answer
from services.cli.output import Format, Row, emit, say
from services.cli.policy.prose import PolicyProse
from services.cli.policy.question import READINGS, Asked
from services.cli.screen import heading, painted, wrapped
from services.cli.zone import local
from services.pages.trial import Column, Head, Number, Otherwise, Trial, headline, heads, notes, parts
from services.pages.trial_drawing import Share
from services.pages.words import Words

LISTED: Final = ("case", "session", "score", "baseline", "before", "after", "fires", "fired_before")
_GAP: Final = 2


def print_trial(trial: Trial, form: Format, language: Language) -> None:
    """Print it in the format that was asked for; only the list, if that was asked for."""
    if trial.changed is not None:
        emit([_listed(each) for each in trial.changed], LISTED, form)
        say(headline(trial, Words(language)))
    elif form == "table":
        for line in _table(trial, Words(language)):
            click.echo(line)
    else:
        rows = [_row(column, trial) for column in trial.columns]
        emit(rows, list(dict.fromkeys(name for row in rows for name in row)), form)


def trial_of(
    asked: Asked,
    answer: Answer,
    calendar: Calendar,
    listed: Sequence[tuple[str, Changed]] | None,
    language: Language,
) -> Trial:
    """Put together what is told. listed: the sessions that change, each with the name of its case, if asked for."""
    if answer.until is None:
        raise ValueError("an answer that stands on something was expected")
    policy = asked.policy
    return Trial(
        policy=_called(asked.entry, language),
        ref=asked.entry.ref,
        rules=list(PolicyProse(policy, asked.definitions, language).rules()),
        against=None if asked.against is None else _called(asked.against, language),
        columns=[_column(name, summary, calendar) for name, summary in _by_head(answer.summaries)],
        until=local(answer.until),
        points=asked.question.points,
        origin=asked.origin,
        readings=list(dict.fromkeys(rule.compared_with for rule in policy.rules if isinstance(rule, NoChange))),
        knows_therapists=bool(calendar.therapists),
        changed=None if listed is None else [_otherwise(name, each) for name, each in listed],
    )


def _called(entry: Entry, language: Language) -> str:
    """Name a policy by its title, and by its id: a changed one often bears the title of what it was made of."""
    return f"{entry.model.title.in_language(language)} ({entry.model.id}@{entry.model.version})"


def _by_head(summaries: Mapping[str, Summary]) -> Iterator[tuple[Head, Summary]]:
    heads_of: tuple[Head, ...] = ("now", "against", "tried", *READINGS)
    for head in heads_of:
        if head in summaries:
            yield head, summaries[head]


def _column(head: Head, summary: Summary, calendar: Calendar) -> Column:
    shares = {session: Share(summary.not_on_track[session], of) for session, of in summary.measured.items()}
    if groups := calendar.of_groups:
        weeks = Counter(summary.told.get(week, 0) for week in groups)
    else:
        told = in_all(summary.told)
        weeks = Counter(told.get(monday, 0) for monday in {week.monday for week in calendar.weeks})
    numbers = {each.name: Number(each.value, each.of) for each in figures(summary, calendar)}
    return Column(head, numbers, shares, weeks, bool(groups))


def _otherwise(case: str, changed: Changed) -> Otherwise:
    before, after = changed.before, changed.after
    decision = after or before
    baseline = None if decision is None else decision.baseline
    return Otherwise(
        case,
        changed.session,
        None if decision is None else decision.score,
        None if baseline is None else baseline.value,
        None if before is None else before.status,
        None if after is None else after.status,
        _fired(after),
        _fired(before),
    )


def _fired(decision: Decision | None) -> Sequence[tuple[RuleKind, str]]:
    """Give the rules that fired, each with its reading."""
    return () if decision is None else [(each.rule, each.reading) for each in decision.rules]


def _named(rules: Sequence[tuple[RuleKind, str]]) -> str | None:
    return ", ".join(f"{rule} {reading}" for rule, reading in rules) or None


def _listed(each: Otherwise) -> Row:
    return {
        "case": each.case,
        "session": each.session,
        "score": None if each.score is None else f"{each.score:f}",
        "baseline": None if each.baseline is None else f"{each.baseline:f}",
        "before": each.before,
        "after": each.after,
        "fires": _named(each.rules),
        "fired_before": _named(each.rules_before),
    }


def _row(column: Column, trial: Trial) -> Row:
    """Give a policy as data: its numbers, and beside each of how many it is."""
    row: dict[str, object] = {"policy": column.head}
    for name, number in column.numbers.items():
        row[name] = float(number.value) if isinstance(number.value, Decimal) else number.value
        if number.of is not None:
            row[f"{name}_of"] = number.of
    row["worse_by"] = None if trial.points is None else f"{trial.points:f}"
    row["worse_by_from"] = None if trial.points is None else trial.origin
    return row


def _table(trial: Trial, words: Words) -> Iterator[str]:
    """Tell it as a text: what would be otherwise, every number, and how it was counted."""
    yield painted(words("trial.title", policy=trial.policy), bold=True)
    compared = "had" if trial.against is None else "with"
    yield from wrapped(
        words(f"trial.compared.{compared}", **({} if trial.against is None else {"policy": trial.against}))
    )
    yield ""
    yield from wrapped(headline(trial, words))
    found = list(parts(trial, words))
    named = heads(trial, words)
    label = max(len(row.name) for part in found for row in part.rows) + 2
    rows = [row for part in found for row in part.rows]
    widths = [max([len(head), *(len(row.cells[place]) for row in rows)]) for place, head in enumerate(named)]
    gap = " " * _GAP
    yield ""
    yield painted(
        (" " * label + gap + gap.join(h.rjust(w) for h, w in zip(named, widths, strict=True))).rstrip(), bold=True
    )
    for part in found:
        yield painted(part.name, bold=True)
        for row in part.rows:
            cells = gap.join(cell.rjust(width) for cell, width in zip(row.cells, widths, strict=True))
            yield f"  {row.name}".ljust(label) + gap + cells
    yield from heading(words("trial.counted"))
    for note in notes(trial, words):
        yield from wrapped(note, first="- ", rest="  ")
    yield ""
    yield f"{words('trial.reference')}:"
    yield trial.ref
