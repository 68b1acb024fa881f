"""Which copies a home knows, as a backup holds it: sealed, since a path may be named after a patient."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from pydantic import ValidationError

from services.runtime.backup.archive import Backup, Item
from services.runtime.copies.port import Copies, Copy
from services.runtime.keyring.master import MasterKey
from services.runtime.refusals import BackupUnusable

COPIES: Final = "copies"


def sealed_copies(copies: Iterable[Copy], master: MasterKey) -> Sequence[Item]:
    """Give copies as they stand in a backup."""
    lines = b"\n".join(copy.model_dump_json().encode() for copy in copies)
    return [Item(COPIES, master.seal(lines, COPIES.encode()))]


def copies_in(backup: Backup, master: MasterKey) -> Sequence[Copy] | None:
    """Give the copies that a backup knows; None if that could not be told then. Raises BackupUnusable."""
    if COPIES not in backup.manifest.by_name:
        return None
    try:
        sealed = [master.unseal(item.value, COPIES.encode()) for item in backup.items(COPIES)]
        return [Copy.model_validate_json(line) for each in sealed for line in each.splitlines()]
    except (InvalidTag, ValidationError):
        raise BackupUnusable("the backup knows copies in a way that this version does not know") from None


def home_that_made(copies: Iterable[Copy], began: datetime) -> str | None:
    """Give which home has made the backup that knows these copies and began then: it knows itself, wherever it is."""
    return next((copy.home for copy in copies if copy.kind == "backup" and copy.at == began), None)


async def note_all(copies: Iterable[Copy], into: Copies) -> None:
    """Note copies, but for those that are known already. Raises CopiesUnavailable."""
    known = {copy.name for copy in await into.all()}
    for copy in copies:
        if copy.name not in known:
            await into.note(copy)
