"""A backup without a case that was erased since: its key is destroyed in it, and nobody knows who it was."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from services.runtime.backup.archive import AT_ONCE, Backup, Item, Progress, Writer, chunked
from services.runtime.backup.copies import COPIES, copies_in, sealed_copies
from services.runtime.backup.making import DIRECTORY, KEYS
from services.runtime.copies.port import Copy
from services.runtime.keyring.master import MasterKey

Changed = Callable[[Item], Item | None]


def holds(backup: Backup, case_id: str, left: Sequence[Copy], master: MasterKey) -> bool:
    """Tell whether a backup has the key of a case, or knows who it is, or other copies of it alone than are left.

    Raises BackupUnusable.
    """
    # All of it is read, so that it is known to be whole.
    keys = [item.value for item in list(backup.items(KEYS)) if item.key == case_id]
    persons = [item for item in list(backup.items(DIRECTORY)) if item.key == case_id]
    copies = copies_in(backup, master) or ()
    of_case = {copy for copy in copies if copy.case == case_id}
    return any(keys) or bool(persons) or not of_case <= set(left)


async def write_without(
    backup: Backup,
    case_id: str,
    left: Sequence[Copy],
    into: Writer,
    master: MasterKey,
    progress: Progress = lambda _: None,
) -> None:
    """Write a backup as it is, without a case. Raises BackupUnusable.

    The facts of the case stay: they are sealed, and a backup has to be the beginning of its log. So do the copies of it
    alone that are left: whoever restores the backup is to know them.

    progress: is told how many items were read
    """
    others = [copy for copy in copies_in(backup, master) or () if copy.case != case_id]
    changes: dict[str, Changed] = {
        KEYS: lambda item: item._replace(value=b"") if item.key == case_id else item,
        DIRECTORY: lambda item: None if item.key == case_id else item,
        COPIES: lambda _: sealed_copies([*others, *left], master)[0],
    }
    manifest = backup.manifest
    for part in manifest.parts:
        await into.add(part.name, _chunks(_changed(backup.items(part.name), changes.get(part.name)), progress))
    into.finish(manifest.log, manifest.began, manifest.ended, master)


def _changed(items: Iterator[Item], change: Changed | None) -> Iterator[Item]:
    for item in items:
        after = item if change is None else change(item)
        if after is not None:
            yield after


async def _chunks(items: Iterator[Item], progress: Progress) -> AsyncIterator[Sequence[Item]]:
    for chunk in chunked(items, AT_ONCE):
        yield chunk
        progress(len(chunk))
