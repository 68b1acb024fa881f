"""Which part of a history a command looks at: one way to say it, and one to find it."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import click

from contracts.topics import CASES, PARTITIONS
from services.auditor.domain.narrowing import Part
from services.auditor.fold import Keys
from services.auditor.narrowed import DERIVED, Known, known
from services.cli.home import FINDING, Failure
from services.cli.moments import moment_option
from services.cli.naming_cases import any_case_named
from services.cli.output import counted, progress
from services.cli.screen import as_given
from services.home import Home

as_of_option = moment_option(
    "As it was known then: only what had been recorded by that moment.", "--as-of", "--until", "until"
)
"""Of one case: what `--until` is of several, under the name that fits better; both are understood."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a history is asked for: one case by its number, those of a group, what was recorded by a moment."""

    number: str | None = None
    group: str | None = None
    until: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of it is asked for."""
        return self == Wish()

    @property
    def names_cases(self) -> bool:
        """Whether it has to be known who a case is, or where it belonged, to find them."""
        return self.number is not None or self.group is not None


def narrowing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command look at a part of a history; it is given which as `wish`."""

    @click.option("--case", "number", metavar="NUMBER", help="Only this case, by its number or id.")
    @click.option("--group", help="Only the cases that were in this group at any time, by enrolment or transfer.")
    @moment_option("Only what had been recorded by then.", "--until", "until")
    @functools.wraps(command)
    def narrowed(
        *args: object, number: str | None, group: str | None, until: datetime | None, **others: object
    ) -> None:
        command(*args, wish=Wish(number, group, until), **others)

    return narrowed


async def part_of(home: Home, wish: Wish) -> Part:
    """Find the part of a history that is asked for. Raises Failure if there is no such case or group."""
    named = None if wish.number is None else frozenset([await any_case_named(home, wish.number)])
    if wish.group is None and wish.until is None:
        return Part(named)
    found = await known_of(home, wish.until)
    if wish.group is None:
        return replace(found.part, cases=named)
    members = found.of_group(wish.group)
    cases = members if named is None else members & named
    if named is not None and named <= found.sealed:
        says = f"--case: in which groups {wish.number} was is sealed, and its key is not here"
        raise Failure(says, FINDING)
    if not members:
        by_then = "" if wish.until is None else f" by {as_given(wish.until)}"
        of_others = (
            f"; of {counted(len(found.sealed), 'case')} that is sealed, without a key here" if found.sealed else ""
        )
        raise Failure(f"--group: no patient was ever in {wish.group}{by_then}{of_others}", FINDING)
    if not cases:
        raise Failure(f"--case: {wish.number} was never in {wish.group}", FINDING)
    return replace(found.part, cases=cases)


async def known_of(home: Home, until: datetime | None) -> Known:
    """Read what the facts of all cases say, as far as they were recorded by a moment."""
    topics = (CASES,) if until is None else (CASES, *DERIVED)
    ends = [await home.log.end(topic, number) for topic in topics for number in range(PARTITIONS)]
    with progress("Reading the facts", sum(ends)) as advance:
        return await known(home.log, Keys(home.keyring), until, advance)


def told_of(part: Part) -> Iterator[str]:
    """Say what was looked at, where that is not everything."""
    if part.cases is not None:
        yield f"Looked at: {counted(len(part.cases), 'case')}, and nothing of the others."
    if part.until is not None:
        yield f"Looked at: what had been recorded by {as_given(part.until)}, and nothing of what was recorded since."
