"""The file of a backup as commands open it and tell of it, and what beside a home belongs to one: key and tokens."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from contracts.topics import CASES, DEFINITIONS, Topic
from services.cli.home import Failure
from services.cli.output import counted, progress
from services.cli.place import Place
from services.cli.token import FILE as TOKENS_FILE
from services.embedded import MASTER_KEY
from services.ingest.access import TOKENS, Tokens, TokensDamaged, TokensUnusable
from services.runtime.backup.archive import Backup, Manifest
from services.runtime.backup.making import DIRECTORY, KEYS, ROSTER
from services.runtime.backup.making import TOKENS as TOKENS_PART
from services.runtime.backup.restoring import require_known
from services.runtime.keyring.master import MasterKey


@contextmanager
def whole(file: Path, master: MasterKey | None = None) -> Iterator[Backup]:
    """Open a backup and make sure of all that it holds, and of its master key if that is at hand.

    Raises BackupUnusable, MasterKeyUnusable.
    """
    with ExitStack() as stack:
        with progress("Reading", file.stat().st_size) as advance:
            backup = stack.enter_context(Backup.opened(file, advance))
        if master is not None:
            backup.require_master(master)
        with progress("Checking", sum(part.items for part in backup.manifest.parts)) as advance:
            backup.check(advance)
        require_known(backup)
        yield backup


def destroyed_in(backup: Backup) -> int:
    """Count the cases of which a backup knows that their key was destroyed. Raises BackupUnusable."""
    return sum(1 for item in backup.items(KEYS) if not item.value)


def told(manifest: Manifest, destroyed: int) -> str:
    """Tell what a backup holds. destroyed: of how many cases it knows that their key was destroyed."""
    facts, definitions = (_items(manifest, topic) for topic in (CASES, DEFINITIONS))
    more = f" (of {counted(destroyed, 'erased case')} the key was destroyed)" if destroyed else ""
    parts = [
        counted(facts, "fact"),
        f"{definitions:,} records of definitions",
        f"the {counted(_count(manifest, KEYS) - destroyed, 'key')} of its cases{more}",
        f"{counted(_count(manifest, DIRECTORY), 'person')} in the directory",
        f"{_count(manifest, ROSTER):,} on the roster",
        "the tokens" if TOKENS_PART in manifest.by_name else "no tokens",
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _items(manifest: Manifest, topic: Topic) -> int:
    return sum(part.items for part in manifest.parts if part.name.startswith(f"{topic.name}/"))


def _count(manifest: Manifest, name: str) -> int:
    part = manifest.by_name.get(name)
    return 0 if part is None else part.items


def sized(size: int) -> str:
    """Write a number of bytes for people."""
    for unit, of_one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= of_one:
            return f"{size / of_one:.1f} {unit}"
    return f"{size} bytes"


def master_key_of(place: Place) -> Path:
    """Give where the master key of a place is."""
    if isinstance(place, Path):
        return place / MASTER_KEY
    # The clients of the servers take a while to load, and most commands work on a directory.
    from services.runtime.environment import region_settings  # noqa: PLC0415

    return region_settings().master_key_file


def tokens_file(place: Place) -> Path | None:
    """Give where the tokens of a place are; None if nobody has said so."""
    if isinstance(place, Path):
        return place / TOKENS
    named = os.environ.get(TOKENS_FILE)
    return Path(named) if named else None


def tokens_of(place: Place) -> bytes | None:
    """Give the file of tokens of a place as it stands; None if there is none. Raises Failure, TokensDamaged."""
    file = tokens_file(place)
    try:
        return file.read_bytes() if file is not None and Tokens(file).all() else None
    except TokensDamaged:
        raise
    except TokensUnusable as wrong:
        raise Failure(str(wrong)) from None
