"""The copies of what a home holds, when a case of it is erased: which of them it is taken out of, and which remain."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import orjson

from services.cli.case_keys import lines_of
from services.cli.home import Failure
from services.cli.output import counted, progress, say
from services.cli.private import UNFINISHED, in_place_of, remove_unfinished
from services.cli.report_files import INDEX, TEMPORARY
from services.runtime.backup.archive import MAGIC, Backup, Writer
from services.runtime.backup.erasing import holds, write_without
from services.runtime.copies.port import Copy, Kind
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.refusals import BackupUnusable

_NAMED: Final[dict[Kind, str]] = {
    "backup": "the backup",
    "keys": "the file of keys",
    "reports": "the reports in",
    "report": "the report in",
    "opened": "what stands open in",
}

_MISSING: Final = "is not there: if it was moved, name where it is by --backups; if it was deleted, say so by --gone"
_PAGES_MISSING: Final = (
    "is not there: if it was moved or its disk is away, delete the pages there; once they are deleted, say so by --gone"
)

Fate = Literal["removed", "remains", "without"]


@dataclass(frozen=True, slots=True)
class Met:
    """What became of a copy.

    fate: the case was taken out of it, or remains, or is not in it; says: that, in words
    left: the copies of this case alone that are to be known as long as they may be there
    """

    path: str
    fate: Fate
    says: str
    left: Sequence[Copy] = ()


@dataclass(frozen=True, slots=True)
class Erased:
    """The case that is erased: of which log, under which master key.

    reports: the ids of its reports; None if nobody knows them
    """

    case_id: str
    log: str
    master: MasterKey
    reports: Collection[str] | None


def given(paths: Iterable[Path]) -> Iterator[Path]:
    """Find the backups that somebody names, each a file, or a directory with any number of them. Raises Failure."""
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file() and _is_one(file))
        elif path.is_file():
            yield path
        else:
            raise Failure(f"--backups {path}: the file of a backup, or a directory with some, was expected")


def require_gone(paths: Sequence[Path]) -> None:
    """Make sure that what is said to be gone is not there. Raises Failure."""
    for path in paths:
        if path.is_file():
            raise Failure(f"--gone {path}: it is there")


def without_gone(copies: Sequence[Copy], gone: Sequence[Path]) -> Sequence[Copy]:
    """Leave those copies out of which somebody says that they are gone for good; one that is here is not there.

    gone: where they were, or a directory above that, behind `HOST:` if that is another machine
    """
    return [copy for copy in copies if not any(_is_gone(copy, path) for path in gone)]


def _is_gone(copy: Copy, place: Path) -> bool:
    if copy.is_here:
        return not os.path.lexists(copy.path) and Path(copy.path).is_relative_to(place.absolute())
    host, _, path = str(place).partition(":")
    return host == copy.host and path != "" and Path(copy.path).is_relative_to(path)


def left_of(met: Iterable[Met]) -> list[Copy]:
    """Give the copies of a case alone that may be there still."""
    return [copy for each in met for copy in each.left]


def pages_taken_out(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
    """Remove the pages of reports.

    Which of a directory are of the case is known as long as that can be read; later, as far as they were noted.
    """
    places = [copy for copy in copies if copy.kind == "reports"]
    pages = [copy for copy in copies if copy.kind == "report" and copy.case == erased.case_id]
    found = [_of_place(erased, place, [page for page in pages if _is_in(page, place)]) for place in places]
    found += [_of_page(page) for page in pages if not any(_is_in(page, place) for place in places)]
    return [met for met in found if met is not None]


def others_taken_out(erased: Erased, copies: Sequence[Copy]) -> list[Met]:
    """Take a case out of files of keys; tell where it stands in the open."""
    found: list[Met] = []
    for copy in copies:
        if copy.kind not in ("keys", "opened") or copy.case not in (None, erased.case_id):
            continue
        if not copy.is_here:
            found.append(_is_elsewhere(copy))
        elif copy.kind == "keys":
            found.append(_of_keys(erased, copy))
        elif Path(copy.path).exists():
            found.append(_remains(copy, "holds its answers in the open: delete it"))
    return found


async def backups_taken_out(
    erased: Erased, copies: Sequence[Copy], others: Sequence[Path], left: Sequence[Copy]
) -> list[Met]:
    """Take a case out of backups, those that are known and others; tell what cannot be reached.

    left: the copies of it alone that may be there still: whoever restores a backup is to know them
    """
    backups = [copy for copy in copies if copy.kind == "backup"]
    here = [Path(copy.path) for copy in backups if copy.is_here]
    known = {file.resolve() for file in here}
    found = [_is_elsewhere(copy) for copy in backups if not copy.is_here]
    for file in [*here, *(file for file in others if file.resolve() not in known)]:
        found += await _of_backup(erased, file, left)
    return found


def _is_elsewhere(copy: Copy) -> Met:
    return _remains(copy, f"is on {copy.host}: {_elsewhere(copy)}")


def _elsewhere(copy: Copy) -> str:
    return f"give the command there too, or once it is deleted, say so by --gone {copy.host}:{copy.path}"


def _is_in(page: Copy, place: Copy) -> bool:
    """Tell whether a page was noted as one of a directory of reports, or as any of them."""
    return page.host == place.host and Path(place.path) in (Path(page.path), Path(page.path).parent)


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
        return _remains(place, f"may be on {place.host} still: {_elsewhere(place)}", pages)
    try:
        if not _is_there(directory):
            return _remains(place, _PAGES_MISSING, pages)
        if any(Path(page.path) == directory for page in pages):
            if not any(directory.glob("*.html")):
                return None
            return _remains(place, "may be of it, and which are cannot be told any more: delete them all", pages)
        there = [Path(page.path) for page in pages if _is_there(Path(page.path))]
        if not there and not noted:
            return None
        # The list goes too: it names the patient, and is written anew with the rest.
        had_list = _is_there(directory / INDEX)
        for file in [directory / INDEX, *there]:
            file.unlink(missing_ok=True)
    except OSError as error:
        return _remains(place, f"cannot be removed ({error.strerror}): delete them, and {INDEX} with them", pages)
    if not there and not had_list:
        return None
    removed = f"{counted(len(there), 'report')} removed from {place.path}, and the list of them"
    return Met(place.path, "removed", f"{removed}: ontrack reports --write makes it anew")


def _of_page(page: Copy) -> Met | None:
    """Remove a page that is about the case alone; None if it is gone anyway."""
    file = Path(page.path)
    if not page.is_here:
        return _remains(page, f"may be on {page.host} still: {_elsewhere(page)}")
    try:
        if not _is_there(file):
            # What was written to be looked at once goes with all that is temporary.
            return None if file.name.startswith(TEMPORARY) else _remains(page, _PAGES_MISSING)
        file.unlink()
    except OSError as error:
        return _remains(page, f"cannot be removed ({error.strerror}): delete it")
    return Met(page.path, "removed", f"1 report removed: {page.path}")


def _is_there(path: Path) -> bool:
    """Tell whether something is there. Raises OSError if that cannot be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


async def _of_backup(erased: Erased, file: Path, left: Sequence[Copy]) -> list[Met]:
    """Write a backup anew without a case, if it has it."""
    try:
        file = file.resolve()
        remove_unfinished(file)
        if not file.exists():
            return [Met(str(file), "remains", f"the backup {file} {_MISSING}")]
        with Backup.opened(file) as backup:
            if backup.manifest.log != erased.log:
                return [Met(str(file), "without", f"the backup {file} is of another log")]
            backup.require_master(erased.master)
            if not holds(backup, erased.case_id, left, erased.master):
                return [Met(str(file), "without", f"the backup {file} does not hold it")]
            with in_place_of(file) as (stream, unfinished):
                items = sum(part.items for part in backup.manifest.parts)
                with progress(f"Writing {file.name} anew", items) as advance:
                    await write_without(backup, erased.case_id, left, Writer(stream), erased.master, advance)
                stream.flush()
                with Backup.opened(unfinished) as written:
                    written.require_master(erased.master)
                    written.check(lambda _: None)
    except (BackupUnusable, MasterKeyUnusable, Failure, OSError) as failed:
        return [Met(str(file), "remains", f"the backup {file} could not be written anew: {failed}")]
    return [Met(str(file), "removed", f"the backup {file} was written anew without it")]


def _of_keys(erased: Erased, copy: Copy) -> Met:
    """Write a file of keys anew without that of a case, if it has it."""
    try:
        file = Path(copy.path).resolve()
        if not file.exists():
            return _remains(copy, _MISSING)
        lines = [line for _, line in lines_of(file)]
        after = [_without_key(line, erased.case_id) for line in lines]
        if after == lines:
            return Met(copy.path, "without", f"the file of keys {file} does not hold it")
        with in_place_of(file) as (stream, _):
            stream.writelines(line + b"\n" for line in after)
    except (Failure, OSError, ValueError) as failed:
        return _remains(copy, f"could not be written anew: {failed}")
    return Met(copy.path, "removed", f"the file of keys {file} was written anew: it says that the key was destroyed")


def _without_key(line: bytes, case_id: str) -> bytes:
    entry = orjson.loads(line)
    if not isinstance(entry, dict) or entry.get("case") != case_id or entry.get("key") is None:
        return line
    return orjson.dumps({"case": case_id, "key": None})


def _is_one(file: Path) -> bool:
    """Tell whether a file among others is a backup. Other archives are left alone; a backup that was cut looks so."""
    if file.suffix == UNFINISHED and file.with_suffix("").exists():
        # It goes when that is looked at.
        return False
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return False
    try:
        with Backup.opened(file):
            return True
    except BackupUnusable as unusable:
        say(f"Passed over: {unusable}.")
        return False


def _remains(copy: Copy, why: str, left: Sequence[Copy] = ()) -> Met:
    of_case = [copy] if copy.case is not None else []
    return Met(copy.path, "remains", f"{_NAMED[copy.kind]} {copy.path} {why}", left or of_case)
