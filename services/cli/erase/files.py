"""Backups and files of keys, when a case is erased: those that are known, and those that somebody names."""

import os
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from errno import EACCES
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

import orjson

from contracts.codec import CaseKey
from services.cli.case_keys import lines_of
from services.cli.erase.copies import Erased, Met, in_place, is_elsewhere, remains
from services.cli.home import Failure
from services.cli.output import progress, say
from services.cli.private import UNFINISHED, in_place_of, remove_unfinished
from services.runtime.backup.archive import Backup, Writer, begins_like_backup
from services.runtime.backup.erasing import holds, write_without
from services.runtime.copies.port import Copy, made_here
from services.runtime.keyring.master import MasterKeyUnusable
from services.runtime.refusals import BackupUnusable

_BACKUP_MISSING: Final = (
    "is not there: if it was moved, name where it is by --backups; if it was deleted, say so by --gone"
)
_KEYS_MISSING: Final = (
    "is not there: if it was moved, name where it is by --backups; then, or if it was deleted, say by --gone that it "
    "is not here any more"
)
_LONGEST: Final = 10_000
"""Bytes that a line of a file of keys has at most: other files can have longer ones."""


def given(paths: Iterable[Path]) -> tuple[list[Path], list[Met]]:
    """Find what somebody names, each a file, or a directory with any number of backups and files of keys.

    Tells besides of the directories and files that cannot be looked into. Raises Failure.
    """
    found: list[Path] = []
    closed: list[OSError] = []
    for path in paths:
        mode = 0
        with suppress(OSError):
            mode = path.stat().st_mode
        if S_ISDIR(mode):
            found += [file for file in sorted(_below(path, closed.append)) if _is_one(file, closed.append)]
        elif S_ISREG(mode):
            found.append(path)
        else:
            raise Failure(f"--backups {path}: the file of a backup or of keys, or a directory with some, was expected")
    return found, [_of_closed(error) for error in sorted(closed, key=lambda error: str(error.filename))]


def _below(directory: Path, closed: Callable[[OSError], None]) -> Iterator[Path]:
    """Find all files below a directory, also where links lead to; hand over why one cannot be looked into."""
    seen = set[str]()
    for place, below, names in os.walk(directory, onerror=closed, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            # A link can lead back.
            below.clear()
            continue
        seen.add(real)
        if os.access(place, os.X_OK):
            yield from (Path(place, name) for name in names)
        else:
            # Its names can be read, and nothing that bears them.
            closed(PermissionError(EACCES, os.strerror(EACCES), place))
            below.clear()


def _of_closed(error: OSError) -> Met:
    what = "directory" if Path(error.filename).is_dir() else "file"
    says = f"the {what} {error.filename} cannot be looked into ({error.strerror})"
    say(f"Passed over: {says}.")
    return Met("remains", f"{says}: give the command again as somebody who may")


def files_to_write(erased: Erased, copies: Sequence[Copy], others: Sequence[Path]) -> list[Path]:
    """Give the backups and files of keys that are to be written anew, those that are known and others."""
    known = [copy for copy in in_place(copies) if copy.kind in ("backup", "keys")]
    files = dict.fromkeys([*(Path(copy.path) for copy in known), *_new(others, known)])
    return [file for file in files if _holds(erased, file)]


def _holds(erased: Erased, file: Path) -> bool:
    """Tell whether a case has to be taken out of a file; one that cannot be read is not written either."""
    try:
        if _is_of_keys(file):
            return any(_without_key(number, line, erased.case_id) != line for number, line in lines_of(file))
        with Backup.opened(file) as backup:
            if backup.manifest.log != erased.log:
                return False
            backup.require_master(erased.master)
            return holds(backup, erased.case_id, (), erased.master)
    except (BackupUnusable, MasterKeyUnusable, Failure, OSError):
        return False


def keys_taken_out(erased: Erased, copies: Sequence[Copy], others: Sequence[Path]) -> list[Met]:
    """Take a case out of files of keys, those that are known and others; tell what cannot be reached.

    Nothing in such a file says which one it is, so none is taken for one that is missing.
    """
    known = [copy for copy in copies if copy.kind == "keys" and copy.case in (None, erased.case_id)]
    new = [file for file in _new(others, known) if _is_of_keys(file)]
    named = [made_here("keys", file, erased.at, erased.home, _only_case(erased, file)) for file in new]
    return [_of_keys(erased, copy) if copy.is_here else is_elsewhere(copy) for copy in (*known, *named)]


async def backups_taken_out(
    erased: Erased, copies: Sequence[Copy], others: Sequence[Path], left: Sequence[Copy]
) -> list[Met]:
    """Take a case out of backups, those that are known and others; tell what cannot be reached.

    A backup that is named is taken for one that was made at the same moment and is not where it was: it was moved. One
    that was known at both places was copied, and where the other one went has to be named too. Where another one lies
    than was made there, it has only taken its name: the one that was made there is missing.

    left: the copies of it alone that may be there still: whoever restores a backup is to know them
    """
    known = [copy for copy in copies if copy.kind == "backup"]
    found, others_met, missing = list[Met](), list[Met](), dict[str, Copy]()
    for copy in known:
        if not copy.is_here:
            found.append(is_elsewhere(copy))
        elif _is_missing(copy):
            missing[copy.name] = copy
        elif _is_of(met := await _of_backup(erased, Path(copy.path), left), copy):
            found.append(met)
        else:
            before = copy.model_copy(update={"replaced": True})
            missing[before.name] = before
            others_met.append(replace(met, was=copy))
    named = [file for file in _new(others, known) if not _is_of_keys(file)]
    others_met += [await _of_backup(erased, file, left) for file in named]
    others_met = [_as_moved(met, missing) for met in others_met]
    return [*found, *(replace(remains(copy, _BACKUP_MISSING), copy=copy) for copy in missing.values()), *others_met]


def remove_unfinished_of(copies: Iterable[Copy]) -> None:
    """Remove what is left of files whose making, or writing anew, was broken off; else they are not gone."""
    for copy in copies:
        if copy.kind in ("backup", "keys") and copy.is_here:
            with suppress(Failure, OSError):
                remove_unfinished(Path(copy.path))


def _new(files: Sequence[Path], known: Sequence[Copy]) -> list[Path]:
    """Give the files that are not known, each once and by its own name, though links lead to it too."""
    there = {Path(copy.path).resolve() for copy in in_place(known)}
    return [file for file in dict.fromkeys(file.resolve() for file in files) if file not in there]


def _is_missing(copy: Copy) -> bool:
    try:
        return copy.replaced or not Path(copy.path).exists()
    except OSError:
        return False


def _is_of(met: Met, copy: Copy) -> bool:
    """Tell whether what was met where a backup is known to be is that one, as far as it can be read."""
    return met.copy.at == copy.at if met.copy is not None else met.fate == "remains"


def _as_moved(met: Met, missing: dict[str, Copy]) -> Met:
    """Take a backup for one that is missing, if it is that one, and the only one that is taken for it."""
    was = next((copy for copy in missing.values() if met.copy is not None and copy.at == met.copy.at), None)
    if was is None:
        return met
    del missing[was.name]
    return replace(met, was=was, says=f"{met.says}; before it was {was.path}")


async def _of_backup(erased: Erased, file: Path, left: Sequence[Copy]) -> Met:
    """Write a backup anew without a case, if it has it."""
    copy: Copy | None = None
    try:
        remove_unfinished(file.resolve())
        with Backup.opened(file) as backup:
            if backup.manifest.log != erased.log:
                return Met("without", f"the backup {file} is of another log")
            backup.require_master(erased.master)
            copy = made_here("backup", file, backup.manifest.began, erased.home)
            if not holds(backup, erased.case_id, left, erased.master):
                return Met("without", f"the backup {file} does not hold it", copy=copy)
        await _write_anew(erased, file.resolve(), left)
    except (BackupUnusable, MasterKeyUnusable, Failure, OSError) as failed:
        return Met("remains", f"the backup {file} could not be written anew: {failed}", copy=copy)
    return Met("removed", f"the backup {file} was written anew without it", copy=copy)


async def _write_anew(erased: Erased, file: Path, left: Sequence[Copy]) -> None:
    # Opened once it is held: whoever erased another case meanwhile may have written it anew.
    with in_place_of(file) as (stream, unfinished), Backup.opened(file) as backup:
        items = sum(part.items for part in backup.manifest.parts)
        with progress(f"Writing {file.name} anew", items) as advance:
            await write_without(backup, erased.case_id, left, Writer(stream), erased.master, advance)
        stream.flush()
        with Backup.opened(unfinished) as written:
            written.require_master(erased.master)
            written.check(lambda _: None)


def _of_keys(erased: Erased, copy: Copy) -> Met:
    """Write a file of keys anew without that of a case, if it has it."""
    file = Path(copy.path)
    try:
        if copy.replaced or not file.exists():
            return remains(copy, _KEYS_MISSING)
        remove_unfinished(file.resolve())
        lines = [line for _, line in lines_of(file)]
        if _lines_without(erased, file) == lines:
            # One that somebody names can be that of another home: what names the case is of this one.
            known = copy if any(erased.case_id.encode() in line for line in lines) else None
            return Met("without", f"the file of keys {file} does not hold it", copy=known)
        with in_place_of(file.resolve()) as (stream, _):
            # Read once it is held, as a backup is.
            stream.writelines(line + b"\n" for line in _lines_without(erased, file))
    except (Failure, OSError) as failed:
        return replace(remains(copy, f"could not be written anew: {failed}"), copy=copy)
    says = f"the file of keys {file} was written anew: it says that the key was destroyed"
    return Met("removed", says, copy=copy)


def _lines_without(erased: Erased, file: Path) -> list[bytes]:
    """Give the lines of a file of keys without that of a case. Raises Failure."""
    return [_without_key(number, line, erased.case_id) for number, line in lines_of(file)]


def _only_case(erased: Erased, file: Path) -> str | None:
    """Give the case that is erased if a file has the key of no other one."""
    mark = erased.case_id.encode()
    return erased.case_id if all(mark in line for _, line in lines_of(file)) else None


def _without_key(number: int, line: bytes, case_id: str) -> bytes:
    """Give a line without the key of a case, if it is the case's. Raises Failure."""
    if case_id.encode() not in line:
        # Be it an entry or not: a file that only begins like one of keys is none of ours.
        return line
    try:
        entry = orjson.loads(line)
    except ValueError:
        raise Failure(f"line {number} names the case, and a case and its key were expected there") from None
    if not isinstance(entry, dict) or entry.get("case") != case_id or entry.get("key") is None:
        return line
    if not _is_entry(entry):
        raise Failure(f"line {number} names the case, and says more of it than its key")
    return orjson.dumps({"case": case_id, "key": None})


def _is_entry(entry: Mapping[str, object]) -> bool:
    """Tell whether a file of keys has such an entry: what looks like one can be somebody's own."""
    try:
        key = b64decode(str(entry["key"]), validate=True)
    except ValueError:
        return False
    return len(key) == CaseKey.LENGTH and entry.keys() <= {"case", "key", "clinic", "number"}


def _is_one(file: Path, closed: Callable[[OSError], None]) -> bool:
    """Tell whether a file among others is a backup, be it cut, or one of keys; hand over why it cannot be read."""
    try:
        if not file.is_file():
            return False
        if file.suffix == UNFINISHED and file.with_suffix("").exists():
            # It goes when that is looked at.
            return False
        if _is_of_keys(file):
            return True
        with file.open("rb") as stream:
            return begins_like_backup(stream.read(_LONGEST))
    except OSError as error:
        closed(OSError(error.errno, error.strerror, str(file)))
        return False


def _is_of_keys(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            entry: Any = orjson.loads(stream.readline(_LONGEST))
    except (OSError, ValueError):
        return False
    return isinstance(entry, dict) and {"case", "key"} <= entry.keys()
