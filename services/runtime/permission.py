"""What the system lets this user do with the files of a home; where it does not, whose they are, and what to do."""

import os
import pwd
from contextlib import suppress
from pathlib import Path

from services.runtime.refusals import NotPermitted


def require_reading(file: Path) -> None:
    """Make sure that this user may read a file, if it is there. Raises NotPermitted."""
    for above in reversed(file.absolute().parents):
        _require(above, os.X_OK, "look into")
    _require(file, os.R_OK, "read")


def require_writing(file: Path) -> None:
    """Make sure that this user may write a file and beside it, as far as these are there. Raises NotPermitted."""
    require_reading(file)
    for each in (file, file.parent):
        _require(each, os.W_OK, "write")


def _require(path: Path, right: int, what: str) -> None:
    if path.exists() and not os.access(path, right):
        # What was there a moment ago may be gone: whoever has the database takes away what stands beside it.
        with suppress(FileNotFoundError):
            raise NotPermitted(_refused(path, what))


def _refused(path: Path, what: str) -> str:
    """Say that this user may not do something with a file, and what to do."""
    if what == "write" and os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} lies on a disk that is mounted to be read only: mount it to be written"
    me, owner = _name(os.geteuid()), _name(path.stat().st_uid)
    if me == owner:
        return f"user {me} may not {what} {path}, although it is theirs: run chmod u+rwX {path}"
    return f"user {me} may not {what} {path}, which belongs to {owner}: run this as {owner}"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
