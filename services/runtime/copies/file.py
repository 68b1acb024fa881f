"""The copies of an embedded home, in a file beside its database: they are made while somebody else writes that."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from platform import node
from typing import Final

from pydantic import ValidationError

from services.runtime.copies.port import CopiesUnavailable, Copy

COPIES: Final = "copies.ndjson"
MEND: Final = (
    "put its last good copy there, or move it away; then whoever erases a case has to name backups and files of keys "
    "by --backups, and to delete what else was made"
)
"""What to do where the file is damaged."""


class CopiesInFile:
    """`Copies` in the file `copies.ndjson` of a directory, one a line.

    What lies in the directory itself goes where that goes, moved or copied: its path stands there from it on.
    """

    def __init__(self, directory: Path) -> None:
        """Use a directory."""
        self._directory = directory.absolute()
        self._file = directory / COPIES

    @property
    def home(self) -> str:
        """How the home is known among others: where its directory is."""
        return os.path.realpath(self._directory)

    async def note(self, copy: Copy) -> None:
        """Note a copy; what was noted before in its place is replaced."""
        await self.forget((), instead=[copy])

    async def all(self) -> Sequence[Copy]:
        """Give what was noted, by kind, machine and path."""
        with self._held(fcntl.LOCK_SH):
            return list(self._read().values())

    async def forget(self, copies: Sequence[Copy], instead: Sequence[Copy] = ()) -> None:
        """Forget copies, and note others in their place, at once."""
        gone, noted = set(copies), {copy.name: copy for copy in instead}
        with self._held(fcntl.LOCK_EX) as directory:
            known = self._read()
            after = {name: copy for name, copy in known.items() if copy not in gone} | noted
            if after != known:
                self._write(after)
                os.fsync(directory)

    @contextmanager
    def _held(self, how: int) -> Iterator[int]:
        """Hold the directory, so that nobody else changes the file. Raises CopiesUnavailable."""
        try:
            directory = os.open(self._directory, os.O_RDONLY)
            try:
                fcntl.flock(directory, how)
                yield directory
            finally:
                os.close(directory)
        except OSError as error:
            raise CopiesUnavailable(f"{COPIES} cannot be used ({error.strerror})") from None
        except ValidationError:
            raise CopiesUnavailable(
                f"{COPIES} cannot be read, so it was damaged, or is of another version: {MEND}"
            ) from None

    def _read(self) -> dict[str, Copy]:
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        copies = (self._found(Copy.model_validate_json(line)) for line in lines)
        return {copy.name: copy for copy in sorted(copies, key=lambda copy: copy.name)}

    def _kept(self, copy: Copy) -> Copy:
        """Give a copy as it is kept."""
        inside = self._inside(Path(copy.path)) if copy.is_here and copy.home == self.home else None
        return copy if inside is None else copy.model_copy(update={"path": inside})

    def _found(self, kept: Copy) -> Copy:
        """Give a copy as it was kept, wherever the directory is now."""
        path = self._directory / kept.path
        # What is a link by now leads to what another home may have made.
        is_own = not Path(kept.path).is_absolute() and self._inside(path) is not None
        own = {"host": node(), "home": self.home} if is_own else {}
        return kept.model_copy(update={"path": str(path), **own})

    def _inside(self, path: Path) -> str | None:
        """Give a path from the directory on, if that is where it leads."""
        real = os.path.realpath(path)
        return os.path.relpath(real, self.home) if Path(real).is_relative_to(self.home) else None

    def _write(self, copies: Mapping[str, Copy]) -> None:
        unfinished = self._file.with_name(f"{COPIES}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as stream:
            if os.geteuid() == 0:
                # A file that root has made would keep out whoever has the directory: nothing more would be noted.
                owner = self._directory.stat()
                os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
            stream.writelines(f"{self._kept(copy).model_dump_json()}\n".encode() for copy in copies.values())
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.rename(self._file)
