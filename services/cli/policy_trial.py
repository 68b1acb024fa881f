"""`ontrack policy try`: what a policy would have said of a whole history, before anybody uses it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import click

from contracts.definitions.catalogue import Catalogue, Entry, entry_of
from contracts.definitions.definition import Language, split_reference
from contracts.definitions.files import library, load_directory
from contracts.definitions.instrument import Scale
from contracts.definitions.policy import NoChange, Policy
from contracts.events.tracks import Decision
from contracts.topics import PARTITIONS, SCORES
from services.auditor.domain.trial import Calendar, Changed, Place, Summary, figures, in_all
from services.auditor.fold import Keys
from services.auditor.trial import Answer, Question, tried
from services.cli.audit.source import Exported, Source, audited, source_options
from services.cli.definitions import language_option, own_option
from services.cli.home import FINDING, Failure, named_or_file, run, short_names
from services.cli.output import Format, Row, counted, emit, format_option, progress, say
from services.cli.policy_prose import PolicyProse
from services.cli.report_files import write_privately
from services.cli.screen import natural, painted, wrapped
from services.cli.zone import local
from services.home import Home
from services.not_detector.domain.rules import measurement_error
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.pages.trial import Column, Head, Number, Origin, Otherwise, Trial, headline, heads, notes, parts, trial_page
from services.pages.trial_drawing import Share
from services.pages.words import Words
from services.runtime.roster.port import Group

READINGS: Final[tuple[Head, ...]] = ("previous", "baseline", "window")
LISTED: Final = ("case", "session", "score", "baseline", "before", "after", "fires", "fired_before")
_LEFT_OUT: Final = {
    "erased": "were erased",
    "sealed": "stay sealed, since their keys are not here",
    "unreadable": "have an event that cannot be read; ontrack audit verify says where",
    "halted": "name a definition that is not known here",
}
_GAP: Final = 2


class _Points(click.ParamType):
    """A number of points."""

    name = "points"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it. Raises click.BadParameter."""
        try:
            points = Decimal(str(value))
        except InvalidOperation:
            points = Decimal(0)
        if not points.is_finite() or points <= 0:
            self.fail("a number of points above 0 was expected, such as 3", param, ctx)
        return points


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked. name: of the policy, or its file; points: that are a deterioration, if somebody says so."""

    name: str
    against: str | None
    own: Path | None
    points: Decimal | None
    is_list: bool
    language: Language


@click.command("try")
@click.argument("name", metavar="FILE|ID")
@source_options
@own_option
@click.option("--against", metavar="ID|FILE", help="Compare with this policy, not with those that the cases had.")
@click.option(
    "--worse-by",
    "points",
    type=_Points(),
    help="So many points worse than the baseline are a deterioration that should be seen early.",
)
@click.option("--list", "is_list", is_flag=True, help="List the sessions that change, with their scores.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as a page with pictures too; scores of patients stand there only with --list.",
)
@language_option
@format_option
def try_(  # noqa: PLR0913 - each is an option of its own
    name: str,
    source: Source,
    own: Path | None,
    against: str | None,
    points: Decimal | None,
    is_list: bool,
    page: Path | None,
    language: Language,
    form: Format,
) -> None:
    """Try a policy on a whole history before it is used: what it would have said, and to whom.

    The stages that judge and tell run again over every case, as if it had had this policy from its beginning. Nothing
    is changed, and the policy need not be published. Compared is what is known in the end, after late answers and
    corrections: each session with how it was really judged, or with --against. Told are the sessions and patients that
    change, what therapists would get in a week, how early patients who got worse would have been seen, and the other
    readings of "no change". The exit code is 1 if there are cases that cannot be looked at.

    Example: ontrack policy try ours.json --data DIR --page trial.html
    """
    wish = Wish(name, against, own, points, is_list, language)
    trial, left_out = run(_tried(source, wish))
    if page is not None:
        write_privately(page, trial_page(trial, language))
        say(f"{page} holds it as a page{', with scores of patients' if is_list else ''}.")
    _print(trial, wish, form)
    for why, number in sorted(left_out.items()):
        say(f"{counted(number, 'case')} left out: they {_LEFT_OUT[why]}.")
    if left_out["unreadable"] or left_out["halted"]:
        raise SystemExit(FINDING)


async def _tried(source: Source, wish: Wish) -> tuple[Trial, Mapping[str, int]]:
    async with await audited(source, knows_cases=True) as home:
        known = _known(home, wish.own)
        asked = await _asked(home, known, wish)
        names = await short_names(home)
        found: list[tuple[str, Changed]] = []

        def take(case_id: str, changed: Mapping[str, Sequence[Changed]]) -> None:
            if wish.is_list:
                found.extend((names.get(case_id, case_id), each) for each in changed["tried"])

        total = sum([await home.log.end(SCORES, number) for number in range(PARTITIONS)])
        keys = Keys(home.keyring, are_all_here=not isinstance(source, Exported))
        with progress("Trying", total) as advance:
            answer = await tried(home.log, keys, asked.question, advance, take)
        if answer.until is None:
            raise Failure(_why_nothing(answer, home), FINDING)
        calendar = Calendar(answer.weeks, await _therapists(home))
        listed = sorted(found, key=lambda each: (natural(each[0]), each[1].session)) if wish.is_list else None
        return _trial(asked, answer, calendar, listed, wish), answer.left_out


def _why_nothing(answer: Answer, home: Home) -> str:
    if answer.left_out:
        why = "; ".join(f"{counted(number, 'case')} {_LEFT_OUT[what]}" for what, number in answer.left_out.items())
        return f"nothing of {home.name} can be looked at: {why}"
    return f"{home.name} holds no case yet: nothing can be tried on it"


def _known(home: Home, own: Path | None) -> Catalogue:
    """Give the definitions of a home, those that ship, and a clinic's own. Raises DefinitionFaults."""
    known = Catalogue([*home.definitions, *library()])
    for entry in load_directory(own, known=list(known)) if own is not None else ():
        known.add(entry)
    return known


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is needed to tell the answer. against: None for the policies that the cases had."""

    question: Question
    definitions: Catalogue
    entry: Entry
    against: Entry | None
    origin: Origin

    @property
    def policy(self) -> Policy:
        """The policy that is tried."""
        return self.definitions.policy(self.entry.ref)


async def _asked(home: Home, known: Catalogue, wish: Wish) -> Asked:
    """Find what is asked. Raises Failure, DefinitionFaults."""
    entry = named_or_file(Policy, wish.name, known)
    known.add(entry)
    against = None if wish.against is None else named_or_file(Policy, wish.against, known)
    if against is not None:
        known.add(against)
    policies: dict[str, str | None] = {"now": None} if against is None else {"against": against.ref}
    policies["tried"] = entry.ref
    policies |= _readings(entry, known)
    policy = known.policy(entry.ref)
    scale = known.instrument(policy.primary.instrument).scale(policy.primary.scale)
    if scale is None:
        raise Failure(f"{wish.name}: a scale of its instrument was expected as primary.scale")
    others = await _in_use(home, known) if against is None else [known.policy(against.ref)]
    points, origin = _points(policy, others, wish.points)
    stages = (NotDetector(known), Notifier(known))
    return Asked(Question(stages, policies, scale, points, local), known, entry, against, origin)


def _readings(entry: Entry, known: Catalogue) -> Mapping[Head, str]:
    """Make the policy known in each other reading of "no change"; give these by what they compare with."""
    found: dict[Head, str] = {}
    for reading in READINGS:
        rules = [
            {**rule, "compared_with": reading} if rule["kind"] == "no_change/1" else rule for rule in entry.body["rules"]
        ]
        other = entry_of({**entry.body, "rules": rules})
        if other.ref != entry.ref:
            known.add(other)
            found[reading] = other.ref
    return found


async def _in_use(home: Home, known: Catalogue) -> list[Policy]:
    """Give the policies that the cases have."""
    names = {state.policy async for _, state in home.states(home.register) if state.policy is not None}
    return [known.policy(ref) for ref in sorted(names) if ref in known]


def _points(policy: Policy, others: Sequence[Policy], asked: Decimal | None) -> tuple[Decimal | None, Origin]:
    """Decide how many points worse than the baseline are a deterioration, for every policy that is compared alike."""
    if asked is not None:
        return asked, "asked"
    alike = [each for each in others if each.primary == policy.primary or _is_of_same_scale(each, policy)]
    for each in (policy, *alike):
        if (band := measurement_error(each)) is not None:
            return band, "figures"
    limits = [limit.at_least for each in (policy, *alike) if (limit := each.limit()) is not None]
    return max(limits, default=None), "policies"


def _is_of_same_scale(one: Policy, other: Policy) -> bool:
    instruments = (split_reference(each.primary.instrument)[0] for each in (one, other))
    return len(set(instruments)) == 1 and one.primary.scale == other.primary.scale


async def _therapists(home: Home) -> Mapping[str, frozenset[Place]]:
    """Give who leads which groups now, as far as the roster says."""
    led: dict[str, set[Place]] = {}
    for group in await home.roster.all(Group):
        for therapist in group.therapists:
            led.setdefault(f"{group.clinic}/{therapist}", set()).add(Place(group.clinic, group.id))
    return {therapist: frozenset(places) for therapist, places in led.items()}


def _trial(
    asked: Asked, answer: Answer, calendar: Calendar, listed: Sequence[tuple[str, Changed]] | None, wish: Wish
) -> Trial:
    if answer.until is None:
        raise ValueError("an answer that stands on something was expected")
    policy = asked.policy
    return Trial(
        policy=policy.title.in_language(wish.language),
        ref=asked.entry.ref,
        rules=list(PolicyProse(policy, asked.definitions, wish.language).rules()),
        against=None if asked.against is None else asked.against.model.title.in_language(wish.language),
        columns=[_column(name, summary, calendar) for name, summary in _by_head(answer.summaries)],
        until=local(answer.until),
        points=asked.question.points,
        origin=asked.origin,
        readings=list(dict.fromkeys(rule.compared_with for rule in policy.rules if isinstance(rule, NoChange))),
        knows_therapists=bool(calendar.therapists),
        changed=None if listed is None else [_otherwise(name, each) for name, each in listed],
    )


def _by_head(summaries: Mapping[str, Summary]) -> Iterator[tuple[Head, Summary]]:
    heads_of: tuple[Head, ...] = ("now", "against", "tried", *READINGS)
    for head in heads_of:
        if head in summaries:
            yield head, summaries[head]


def _column(head: Head, summary: Summary, calendar: Calendar) -> Column:
    shares = {session: Share(summary.not_on_track[session], of) for session, of in summary.measured.items()}
    groups = [week for week in calendar.weeks if week.place.group is not None]
    if groups:
        weeks = Counter(summary.told.get(week, 0) for week in groups)
    else:
        told = in_all(summary.told)
        weeks = Counter(told.get(monday, 0) for monday in {week.monday for week in calendar.weeks})
    numbers = {each.name: Number(each.value, each.of) for each in figures(summary, calendar)}
    return Column(head, numbers, shares, weeks, bool(groups))


def _otherwise(case: str, changed: Changed) -> Otherwise:
    before, after = changed.before, changed.after
    decision = after or before
    score = "–" if decision is None or decision.score is None else f"{decision.score:f}"
    baseline = "–" if decision is None or decision.baseline is None else f"{decision.baseline.value:f}"
    return Otherwise(
        case,
        changed.session,
        f"{score} ({baseline})",
        None if before is None else before.status,
        None if after is None else after.status,
        _fired(after),
        _fired(before),
    )


def _fired(decision: Decision | None) -> str:
    """Name the rules that fired, each with its reading."""
    return "" if decision is None else ", ".join(f"{each.rule} {each.reading}" for each in decision.rules)


def _print(trial: Trial, wish: Wish, form: Format) -> None:
    if wish.is_list:
        emit([_listed(each) for each in trial.changed or ()], LISTED, form)
    elif form == "table":
        for line in _table(trial, Words(wish.language)):
            click.echo(line)
    else:
        rows = [_row(column, trial) for column in trial.columns]
        emit(rows, list(dict.fromkeys(name for row in rows for name in row)), form)


def _listed(each: Otherwise) -> Row:
    score, _, baseline = each.score.partition(" ")
    return {
        "case": each.case,
        "session": each.session,
        "score": None if score == "–" else score,
        "baseline": None if baseline == "(–)" else baseline.strip("()"),
        "before": each.before,
        "after": each.after,
        "fires": each.rules or None,
        "fired_before": each.rules_before or None,
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
    yield from wrapped(words(f"trial.compared.{compared}", **({} if trial.against is None else {"policy": trial.against})))
    yield ""
    yield from wrapped(headline(trial, words))
    found = list(parts(trial, words))
    named = heads(trial, words)
    label = max(len(row.name) for part in found for row in part.rows) + 2
    rows = [row for part in found for row in part.rows]
    widths = [max([len(head), *(len(row.cells[place]) for row in rows)]) for place, head in enumerate(named)]
    gap = " " * _GAP
    yield ""
    yield painted((" " * label + gap + gap.join(h.rjust(w) for h, w in zip(named, widths, strict=True))).rstrip(), bold=True)
    for part in found:
        yield painted(part.name, bold=True)
        for row in part.rows:
            cells = gap.join(cell.rjust(width) for cell, width in zip(row.cells, widths, strict=True))
            yield f"  {row.name}".ljust(label) + gap + cells
    yield ""
    yield painted(words("trial.counted"), bold=True)
    for note in notes(trial, words):
        yield from wrapped(note, first="- ", rest="  ")
    yield ""
    yield f"{words('trial.reference')}:"
    yield trial.ref
