"""`ontrack policy try`: what a policy would have said of a whole history, before anybody uses it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import click

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Language
from contracts.definitions.files import library, load_directory
from contracts.topics import PARTITIONS, SCORES
from services.auditor.domain.trial import Calendar, Changed, Place
from services.auditor.fold import Keys
from services.auditor.trial import Answer, LeftOut, tried
from services.cli.copies import noted_if_made
from services.cli.definitions import language_option, own_option
from services.cli.home import FINDING, Failure, run, short_names
from services.cli.output import Format, counted, format_option, progress, say
from services.cli.policy.question import question_of
from services.cli.policy.trial_table import print_trial, trial_of
from services.cli.reports.files import write_page
from services.cli.screen import natural
from services.cli.source import Exported, Source, audited, source_options
from services.home import Home
from services.pages.trial import Trial, trial_page
from services.runtime.roster.port import Group

_LEFT_OUT: Final[Mapping[LeftOut, str]] = {
    "erased": "whose key was destroyed",
    "sealed": "without a key here",
    "damaged": "with an event that is missing or cannot be read (ontrack audit verify says where)",
    "halted": "at which a stage halts",
}


class _Points(click.ParamType[Decimal]):
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


@click.command("try", short_help="Try a policy on a whole history before it is used.")
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
def try_(
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
    readings of "no change". The exit code is 1 if there are cases that cannot be looked at here, as without their keys;
    not for those that were erased, which nobody can look at any more. How many were left out, and why, is said.

    Example: ontrack policy try ours.json --data DIR --page trial.html
    """
    wish = Wish(name, against, own, points, is_list, language)
    trial, left_out = run(_tried(source, wish, page))
    if page is not None:
        say(f"{page} holds it as a page{', with scores of patients' if is_list else ''}.")
    print_trial(trial, form, language)
    for why, number in sorted(left_out.items()):
        say(f"Left out: {counted(number, 'case')} {_LEFT_OUT[why]}.")
    if left_out.total() > left_out["erased"]:
        raise SystemExit(FINDING)


async def _tried(source: Source, wish: Wish, page: Path | None) -> tuple[Trial, Counter[LeftOut]]:
    async with await audited(source, knows_cases=True) as home, AsyncExitStack() as noting:
        if page is not None:
            # Where none are listed it holds no case, but takes the place of a page that may have been moved.
            note = noted_if_made(home.copies, "trial", page, home.clock(), stays=wish.is_list)
            await noting.enter_async_context(note)
        known = _known(home, wish.own)
        asked = await question_of(home, known, wish.name, wish.against, wish.points)
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
            raise Failure(_why_nothing(answer, source.file if isinstance(source, Exported) else home.name), FINDING)
        calendar = Calendar(answer.weeks, await _therapists(home))
        listed = sorted(found, key=lambda each: (natural(each[0]), each[1].session)) if wish.is_list else None
        trial = trial_of(asked, answer, calendar, listed, wish.language)
        if page is not None:
            write_page(page, trial_page(trial, wish.language))
        return trial, answer.left_out


def _why_nothing(answer: Answer, of: str | Path) -> str:
    if answer.left_out:
        why = "; ".join(f"{counted(number, 'case')} {_LEFT_OUT[what]}" for what, number in answer.left_out.items())
        return f"nothing of {of} can be looked at: {why}"
    return f"{of} holds no case yet: nothing can be tried on it"


def _known(home: Home, own: Path | None) -> Catalogue:
    """Give the definitions of a home, those that ship, and a clinic's own. Raises DefinitionFaults."""
    known = Catalogue([*home.definitions, *library()])
    for entry in load_directory(own, known=list(known)) if own is not None else ():
        known.add(entry)
    return known


async def _therapists(home: Home) -> Mapping[str, frozenset[Place]]:
    """Give who leads which groups now, as far as the roster says."""
    led: dict[str, set[Place]] = {}
    for group in await home.roster.all(Group):
        for therapist in group.therapists:
            led.setdefault(f"{group.clinic}/{therapist}", set()).add(Place(group.clinic, group.id))
    return {therapist: frozenset(places) for therapist, places in led.items()}
