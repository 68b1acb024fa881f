"""What an erasure changes outside the place of a home, and whose that is: told before anybody is asked to confirm it.

A home that was copied knows what the other one has made. Whether it is a copy, or was moved or restored and so stands
for the other one, nothing in it can tell: somebody has to say so.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from contracts.codec import CaseKey
from services.cli.erase.copies import Erased, Met, about, in_place, is_elsewhere, pages_to_remove, remains
from services.cli.erase.files import files_to_write
from services.cli.home import Failure, in_words
from services.cli.place import Place
from services.cli.workplace import sweep_around
from services.embedded import EmbeddedHome, holds_database
from services.runtime.copies.port import Copies, Copy, made_here
from services.runtime.refusals import NotPermitted

_LEFT_ALONE: Final = "was left alone: it is of the home at {}, where the case has to be erased too"
_HALF: Final = "what a command that was killed has left in {} cannot be removed ({}): delete it"
_NOT_ERASED: Final = "from which this was moved or restored is there still: erase the case there too, or delete it"
_NOT_LOOKED_AT: Final = (
    "from which this was moved or restored is there still: nobody can tell whether the case was erased there ({}), so "
    "delete it"
)
_NOT_THERE: Final = (
    "from which this was moved or restored is not there: if its disk is away, bring it back and give the command "
    "again; once it is deleted, with its directory, say so by --gone"
)


@dataclass(frozen=True, slots=True)
class Origins:
    """What somebody says of the homes that have noted copies: which this one stands for, and which go on beside it."""

    moved: frozenset[str] = frozenset()
    copied: frozenset[str] = frozenset()

    @classmethod
    def given(cls, moved: Iterable[str], copied: Iterable[str]) -> "Origins":
        """Take them as they are given, directories by any of their names. Raises Failure."""
        said = cls(_named(moved), _named(copied))
        for home in moved:
            if home in said.copied:
                raise Failure(f"{home}: either --moved-from or --copied-from was expected")
        return said

    def with_moved(self, home: str) -> "Origins":
        """Say that this home was moved or restored from another place."""
        return replace(self, moved=self.moved | {home})

    def with_copied(self, home: str) -> "Origins":
        """Say that this home is a copy."""
        return replace(self, copied=self.copied | {home})

    def unsaid(self, erased: Erased, copies: Sequence[Copy]) -> Mapping[str, Sequence[str]]:
        """Name what lies here of homes of which nothing is said, and may hold the case, with all that would change."""
        known = {erased.home} | self.moved | self.copied
        there = [copy for copy in in_place(about(erased.case_id, copies)) if os.path.lexists(copy.path)]
        others = {home: [copy for copy in there if copy.home == home] for home in sorted({copy.home for copy in there})}
        return {
            home: sorted({*(copy.path for copy in some), *map(str, changed(erased, some, ()))})
            for home, some in others.items()
            if home not in known
        }

    def reached(self, copies: Sequence[Copy]) -> Sequence[Copy]:
        """Give the copies but for those of homes that go on."""
        return [copy for copy in copies if copy.home not in self.copied]

    def left_alone(self, copies: Sequence[Copy]) -> Sequence[Met]:
        """Tell of the copies of homes that go on."""
        return [remains(copy, _LEFT_ALONE.format(copy.home)) for copy in copies if copy.home in self.copied]

    def others(self, files: Sequence[Path], copies: Sequence[Copy]) -> Sequence[Path]:
        """Give files that somebody has named but for the copies of homes that go on."""
        kept = {os.path.realpath(copy.path) for copy in copies if copy.home in self.copied}
        return [file for file in files if os.path.realpath(file) not in kept]


async def taken_over(copies: Copies, origins: Origins, at: datetime) -> None:
    """Note what was made of homes that this one stands for as its own, and where one of them is there still.

    Raises CopiesUnavailable.
    """
    for copy in await copies.all():
        if copy.home in origins.moved and copy.home != copies.home:
            await copies.note(copy.model_copy(update={"home": copies.home}))
    for home in sorted({os.path.realpath(home) for home in origins.moved} - {copies.home}):
        if _may_hold_data(Path(home)):
            await copies.note(made_here("home", Path(home), at, copies.home))


async def left_behind(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
    """Tell of data that this home stands for, but for those in which the case is erased."""
    homes = [copy for copy in copies if copy.kind == "home" and os.path.realpath(copy.path) != erased.home]
    found = [await _of_home(erased, copy) if copy.is_here else is_elsewhere(copy) for copy in homes]
    return [met for met in found if met is not None]


async def _of_home(erased: Erased, copy: Copy) -> Met | None:
    directory = Path(copy.path)
    if not _may_hold_data(directory):
        return remains(copy, _NOT_THERE)
    try:
        with in_words():
            async with await EmbeddedHome.open(directory) as home:
                key = (await home.keyring.keys([erased.case_id])).get(erased.case_id)
                return remains(copy, _NOT_ERASED) if isinstance(key, CaseKey) else None
    except Failure as failed:
        return remains(copy, _NOT_LOOKED_AT.format(failed))


def _may_hold_data(directory: Path) -> bool:
    """Tell whether there are data in a directory, or nobody may look whether there are."""
    try:
        return holds_database(directory)
    except NotPermitted:
        return True


def left_by_killed(directory: Path) -> list[Met]:
    """Remove what imports and restores that were killed left around a home: half of one, with its keys.

    Tells of what cannot be removed.
    """
    failed = sweep_around(directory)
    return [Met("remains", _HALF.format(left, why)) for left, why in failed.items()]


def changed(erased: Erased, copies: Sequence[Copy], others: Sequence[Path]) -> Sequence[Path]:
    """Give the files that are removed or written anew."""
    return [*pages_to_remove(erased, copies), *files_to_write(erased, copies, others)]


def outside(files: Iterable[Path], place: Place) -> Sequence[str]:
    """Name the files that do not lie in a directory; all of them, if a home is no directory."""
    return sorted({str(file) for file in files if not _is_inside(file, place)})


def _named(homes: Iterable[str]) -> frozenset[str]:
    return frozenset(name for home in homes for name in (home, os.path.realpath(home)))


def _is_inside(path: Path, place: Place) -> bool:
    """Tell whether a file lies in a directory, and does not only seem so by a link."""
    if not isinstance(place, Path):
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(place))
