"""Pages and readable exports of a home, when a case of it is erased: which are removed, and which remain."""

import fcntl
import os
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from errno import ELOOP
from pathlib import Path
from typing import Final, Literal

from contracts.topics import TOPICS
from services.cli.export import DIRECTORY
from services.cli.home import Failure
from services.cli.output import counted
from services.cli.private import UNFINISHED
from services.cli.reports.files import INDEX, TEMPORARY, held
from services.cli.screen import exactly
from services.runtime.copies.port import Copy, Kind
from services.runtime.keyring.master import MasterKey

_NAMED: Final[dict[Kind, str]] = {
    "backup": "the backup",
    "keys": "the file of keys",
    "reports": "the reports in",
    "report": "the report in",
    "opened": "what stands open in",
    "trial": "the page",
    "lines": "what an import left out in",
    "home": "the data in",
}

_NAME: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.html")
_PAGES_MISSING: Final = (
    "is not there: if it was moved or its disk is away, delete the pages there; once they are deleted, say so by --gone"
)
_BEING_WRITTEN: Final = "are being written: give the command again once that has ended"
_OPENED: Final[dict[Kind, str]] = {
    "opened": "holds its answers in the open: delete it",
    "trial": "is about the trial of a policy, and can name it with its scores: delete it",
    "lines": "can hold its answers in the open: delete it, mended or not",
    "report": "can be about it: delete it",
}
_OPENED_MISSING: Final = (
    "is not there: if it was moved or its disk is away, delete it there; once it is deleted, say so by --gone"
)
_AS_SOMEBODY: Final = "give the command again as somebody who may look there"

Fate = Literal["removed", "remains", "without"]


@dataclass(frozen=True, slots=True)
class Met:
    """What became of a copy.

    fate: the case was taken out of it, or remains, or is not in it; says: that, in words
    left: the copies of this case alone that are to be known as long as they may be there
    copy: where it was found, if it is to be known from now on; was: where it was known to be, and is not any more
    """

    fate: Fate
    says: str
    left: Sequence[Copy] = ()
    copy: Copy | None = None
    was: Copy | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """The case that is erased: of which log, under which master key, and when that is done.

    home: how the home is known among others, as in what was noted
    reports: the ids of its reports; None if nobody knows them
    """

    case_id: str
    log: str
    home: str
    master: MasterKey
    at: datetime
    reports: Collection[str] | None


def require_gone(paths: Sequence[Path], copies: Sequence[Copy]) -> None:
    """Make sure that what is said to be gone is not there, or was replaced there since. Raises Failure."""
    replaced = {Path(copy.path) for copy in copies if copy.is_here and copy.replaced}
    for path in paths:
        try:
            is_there = path.is_file()
        except OSError as error:
            raise Failure(f"--gone {path}: it cannot be looked for ({error.strerror}): {_AS_SOMEBODY}") from None
        if is_there and replaced.isdisjoint((path.absolute(), Path(os.path.realpath(path)))):
            raise Failure(f"--gone {path}: it is there")


def without_gone(copies: Sequence[Copy], gone: Sequence[Path]) -> Sequence[Copy]:
    """Leave those copies out of which somebody says that they are gone for good; one that is here is not there.

    Of a backup, or a file of keys, nothing may be left either that a command had not finished when it was killed.

    gone: where they were, or a directory above that, behind `HOST:` if that is another machine
    """
    return [copy for copy in copies if not any(_is_gone(copy, path) for path in gone)]


def _is_gone(copy: Copy, place: Path) -> bool:
    if copy.is_here:
        return _is_at(copy, place) and not any(_may_be_there(copy, file) for file in _files_of(copy))
    host, _, path = str(place).partition(":")
    return host == copy.host and path != "" and Path(copy.path).is_relative_to(path)


def _files_of(copy: Copy) -> list[Path]:
    """Give the files of which one is there as long as a copy is; the directory of an export can be for other things."""
    path = Path(copy.path)
    if copy.kind == "opened":
        return [path / DIRECTORY, *(path / f"{topic}.ndjson" for topic in TOPICS)]
    return [path, Path(f"{path}{UNFINISHED}")] if copy.kind in ("backup", "keys") else [path]


def _is_at(copy: Copy, place: Path) -> bool:
    """Tell whether a copy was noted at a place or below it, by whatever name that has here."""
    return any(Path(copy.path).is_relative_to(name) for name in (place.absolute(), os.path.realpath(place)))


def left_of(met: Iterable[Met]) -> list[Copy]:
    """Give the copies of a case alone that may be there still."""
    return [copy for each in met for copy in each.left]


def about(case_id: str, copies: Sequence[Copy]) -> list[Copy]:
    """Give the copies that may hold a case: those of it alone, and those of many."""
    return [copy for copy in copies if copy.case in (None, case_id)]


def in_place(copies: Iterable[Copy]) -> list[Copy]:
    """Give the copies that were made here, and that no other one has replaced at their path."""
    return [copy for copy in copies if copy.is_here and not copy.replaced]


def pages_to_remove(erased: Erased, copies: Sequence[Copy]) -> list[Path]:
    """Give the pages that are of a case, and the lists of them."""
    copies = in_place(copies)
    places = [copy for copy in copies if copy.kind == "reports"]
    pages = [copy for copy in copies if copy.kind == "report" and copy.case == erased.case_id]
    found = [Path(page.path) for page in pages]
    for place in places:
        directory = Path(place.path)
        known = [directory / f"{report}.html" for report in erased.reports or ()]
        may_be_listed = [*known, *(Path(page.path) for page in pages if _is_in(page, place))]
        if any(map(os.path.lexists, may_be_listed)) or _is_listed(may_be_listed, directory):
            found += [directory / INDEX, *known]
    return [path for path in dict.fromkeys(found) if os.path.lexists(path)]


def about_to_go(erased: Erased, copies: Sequence[Copy]) -> list[Copy]:
    """Give the pages about a case alone that are there to be removed, as they are noted before that is done."""
    pages = [copy for copy in in_place(copies) if copy.kind == "report" and copy.case == erased.case_id]
    return [page.model_copy(update={"going": True}) for page in pages if os.path.lexists(page.path)]


def pages_taken_out(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
    """Remove the pages of reports.

    Which of a directory are of the case is known as long as that can be read; later, as far as they were noted.
    """
    places = [copy for copy in copies if copy.kind == "reports"]
    pages = [copy for copy in copies if copy.kind == "report" and copy.case == erased.case_id]
    found = [_of_place(erased, place, [page for page in pages if _is_in(page, place)]) for place in places]
    found += [_of_page(page) for page in pages if not any(_is_in(page, place) for place in places)]
    return [met for met in found if met is not None]


def left_open(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
    """Tell where a case stands in the open, or may do so: what was moved is as readable as before."""
    removed = ("report", erased.case_id)
    opened = [copy for copy in about(erased.case_id, copies) if copy.kind in _OPENED]
    return [_of_opened(copy) for copy in opened if (copy.kind, copy.case) != removed]


def _of_opened(copy: Copy) -> Met:
    if not copy.is_here:
        return is_elsewhere(copy)
    try:
        is_there = any(_is_there(copy, file) for file in _files_of(copy))
    except OSError as error:
        return remains(copy, f"cannot be looked for ({error.strerror}): {_AS_SOMEBODY}")
    return remains(copy, _OPENED[copy.kind] if is_there else _OPENED_MISSING)


def is_elsewhere(copy: Copy) -> Met:
    """Tell that a copy is on another machine, where nobody looks from here."""
    return remains(copy, f"is on {copy.host}: {_elsewhere(copy)}")


def _elsewhere(copy: Copy) -> str:
    return f"give the command there too, or once it is deleted, say so by --gone {copy.host}:{copy.path}"


def _is_in(page: Copy, place: Copy) -> bool:
    """Tell whether a page was noted as one of a directory of reports, which has an id for a name, or as any of them."""
    path, directory = Path(page.path), Path(place.path)
    is_one = path == directory or (path.parent == directory and _NAME.fullmatch(path.name) is not None)
    return page.host == place.host and page.replaced == place.replaced and is_one


def _of_place(erased: Erased, place: Copy, noted: Sequence[Copy]) -> Met | None:
    """Remove the pages of a case from a directory of reports; None if there are none, and were none."""
    directory = Path(place.path)
    # Nobody can tell which they are: then any of the directory may be one.
    names = [""] if erased.reports is None else [f"{report}.html" for report in erased.reports]
    known = [
        place.model_copy(update={"kind": "report", "path": str(directory / name), "case": erased.case_id})
        for name in names
    ]
    pages = list({page.name: page for page in [*known, *noted]}.values())
    if not pages:
        return None
    if not place.is_here:
        return remains(place, f"may be on {place.host} still: {_elsewhere(place)}", pages)
    try:
        if not _is_there(place, directory):
            return remains(place, _PAGES_MISSING, pages)
        if any(Path(page.path) == directory for page in pages):
            if not any(page.suffix == ".html" for page in directory.iterdir()):
                return None
            return remains(place, "may be of it, and which are cannot be told any more: delete them all", pages)
        with held(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
            there = [Path(page.path) for page in pages if _is_there(page, Path(page.path))]
            if not there and not _is_listed([Path(page.path) for page in pages], directory):
                return None
            # The list goes too: it names the patient, and is written anew with the rest.
            for file in [directory / INDEX, *there]:
                _remove(file)
    except BlockingIOError:
        return remains(place, _BEING_WRITTEN, pages)
    except OSError as error:
        return remains(place, f"cannot be removed ({error.strerror}): delete them, and {INDEX} with them", pages)
    removed = f"{counted(len(there), 'report')} removed from {place.path}, and the list of them"
    return Met("removed", f"{removed}: ontrack reports --write makes it anew")


def _is_listed(pages: Iterable[Path], directory: Path) -> bool:
    """Tell whether the list of a directory of reports may name one of some pages, though that was deleted."""
    try:
        content = (directory / INDEX).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return any(page.stem.encode() in content for page in pages)


def _of_page(page: Copy) -> Met | None:
    """Remove a page that is about the case alone; None if it is gone anyway."""
    file = Path(page.path)
    if not page.is_here:
        return remains(page, f"may be on {page.host} still: {_elsewhere(page)}")
    try:
        if not _is_there(page, file):
            # What was written to be looked at once goes with all that is temporary.
            return None if page.going or file.name.startswith(TEMPORARY) else remains(page, _PAGES_MISSING)
        _remove(file)
    except OSError as error:
        kept = page.model_copy(update={"going": False})
        return remains(kept, f"cannot be removed ({error.strerror}): delete it")
    return Met("removed", f"1 report removed: {page.path}")


def _remove(page: Path) -> None:
    """Remove a page, if it is there. Raises OSError, also of a link: what that leads to can be anybody's."""
    if page.is_symlink():
        raise OSError(ELOOP, f"it is a link to {os.path.realpath(page)}, which holds it")
    page.unlink(missing_ok=True)


def _is_there(copy: Copy, path: Path) -> bool:
    """Tell whether something of a copy is there. Raises OSError if that cannot be told."""
    if copy.replaced:
        return False
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _may_be_there(copy: Copy, path: Path) -> bool:
    """Tell whether something of a copy is there, or nobody can tell."""
    with suppress(OSError):
        return _is_there(copy, path)
    return True


def remains(copy: Copy, why: str, left: Sequence[Copy] = ()) -> Met:
    """Tell that a copy may hold the case still, and why."""
    of_case = [copy] if copy.case is not None else []
    which = f" that was made there before ({exactly(copy.at)})" if copy.replaced else ""
    return Met("remains", f"{_NAMED[copy.kind]} {copy.path}{which} {why}", left or of_case)
