"""What is known of the files that commands have made of a home, so that whoever erases a case finds them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from platform import node
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from contracts.events.fields import Instant, instant
from services.runtime.unavailable import Unavailable

Kind = Literal["backup", "keys", "reports", "report", "opened", "trial", "lines", "home"]


class CopiesUnavailable(Unavailable):
    """What is known of copies cannot be reached, read or written just now; the same call can be tried again."""


class Copy(BaseModel):
    """A file or directory that was made. It is noted before it is made, so it need not be there.

    kind: a backup; a file of keys; a directory of reports, or a page about a case; what else stands open, as an export;
        a page about the trial of a policy, where cases can stand with their scores; lines that an import has left
        out; a home from which this one was moved or restored
    path: from the root; host: the machine that it is on
    case: the only case that it is about, if there is one
    home: which home noted it; what a home knows is copied with it, and restored from its backups
    going: whether it is about to be removed, as a page of a case that is erased; where it is missing then, it was
    replaced: whether another one was made at its path since, where it was not any more: it was moved, or deleted
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    path: Annotated[str, Field(min_length=1)]
    host: str
    at: Instant
    case: str | None = None
    home: str
    going: bool = False
    replaced: bool = False

    @property
    def is_here(self) -> bool:
        """Whether it was made on this machine."""
        return self.host == node()

    @property
    def name(self) -> str:
        """Tell it apart from all others."""
        where = f"{self.kind}:{self.host}:{self.path}"
        if not self.replaced:
            return where
        # A backup says itself which one it is; of others it is enough that there was one, and about whom.
        return f"{where}:{instant(self.at) if self.kind == 'backup' else self.case}"


def made_here(kind: Kind, path: Path, at: datetime, home: str, case: str | None = None) -> Copy:
    """Describe a copy that is about to be made on this machine, of a home."""
    return Copy(kind=kind, path=str(path.absolute()), host=node(), at=at, case=case, home=home)


class Copies(Protocol):
    """What was noted. Every call can raise CopiesUnavailable."""

    @property
    def home(self) -> str:
        """How the home is known among others: where it is."""

    async def note(self, copy: Copy) -> None:
        """Note a copy; what was noted before in its place is replaced."""

    async def all(self) -> Sequence[Copy]:
        """Give what was noted, by kind, machine and path."""

    async def forget(self, copies: Sequence[Copy], instead: Sequence[Copy] = ()) -> None:
        """Forget copies, and note others in their place, of which one can have the name of one that is forgotten.

        A copy of the same name that was noted since stays.
        """
