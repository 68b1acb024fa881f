"""What is checked of a data directory: its files, who may read them, and the disk under them."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from services.cli.doctor.checked import Checked, disk, ill, looked, unknown, well
from services.cli.doctor.of_home import of_home
from services.cli.output import counted
from services.cli.sealing import Sealing
from services.embedded import DATABASE, LOCK, MASTER_KEY, EmbeddedHome, lacking_in
from services.ingest.access import TOKENS, Tokens, TokensUnusable
from services.runtime.copies.file import COPIES, MEND, CopiesInFile
from services.runtime.copies.port import CopiesUnavailable
from services.runtime.database import Database, writer_of
from services.runtime.faults import MEND_DAMAGE, StageStopped
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.permission import require_writing
from services.runtime.refusals import NotAHome, NotPermitted
from services.runtime.unavailable import Unavailable


async def of_directory(directory: Path, *, sends_mail: bool, sealing: Sealing) -> AsyncIterator[Checked]:
    """Check a data directory. What cannot be opened is a finding, and what stands in it is not checked then."""
    try:
        lacking = lacking_in(directory)
    except NotPermitted as refused:
        yield _not_permitted(refused)
        return
    if lacking is not None:
        yield ill("directory", lacking.says, lacking.do)
        return
    usage = shutil.disk_usage(directory)
    yield disk(
        "disk", usage.free, usage.total, "make room, or move the directory: no answer can be taken on a full disk"
    )
    yield _permission(directory)
    yield _process(directory)
    yield _master_key(directory)
    yield _tokens(directory)
    yield await _known_copies(directory)
    integrity = _integrity(directory)
    yield integrity
    if integrity.verdict != "ok":
        return
    try:
        home = await EmbeddedHome.open(directory)
    except (NotAHome, NotPermitted, MasterKeyUnusable, StageStopped, Unavailable) as wrong:
        yield ill("home", f"it cannot be opened: {wrong}", "mend that, and check again")
        return
    async with home:
        yield well("home", f"log {home.log_id}")
        for check in of_home(home, sends_mail=sends_mail, sealing=sealing):
            yield await looked(check)


def _permission(directory: Path) -> Checked:
    """See whether who asks could run a clinic there: that is who has to, for the others do not know."""
    try:
        for file in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK, COPIES):
            require_writing(directory / file)
    except NotPermitted as refused:
        return _not_permitted(refused)
    return well("permission", "this user may write the database")


def _process(directory: Path) -> Checked:
    process = writer_of(directory / DATABASE)
    if process is None:
        says = "none is seen to run here: before ontrack up does, nothing is answered, asked or mailed"
        return unknown("process", says)
    if _is_stopped(process):
        return ill("process", f"{process} has the directory, and was stopped", f"run kill -CONT {process}")
    return well("process", f"{process} runs here")


def _is_stopped(process: int) -> bool:
    """Tell whether a process was stopped, as by Ctrl-Z, in place of ended."""
    with suppress(OSError):
        *_, told = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(") ")
        return told.startswith(("T", "t"))
    return False


def _not_permitted(refused: NotPermitted) -> Checked:
    says, _, do = str(refused).partition(": ")
    return ill("permission", says, do)


def _master_key(directory: Path) -> Checked:
    try:
        MasterKey.read(directory / MASTER_KEY)
    except MasterKeyUnusable as wrong:
        what, _, do = str(wrong).partition(": ")
        return ill("master key", what, do)
    return well("master key", "it is there, and only its owner may read it. Keep a copy elsewhere")


def _tokens(directory: Path) -> Checked:
    try:
        number = len(Tokens(directory / TOKENS).all())
    except TokensUnusable as wrong:
        what, _, do = str(wrong).partition(": ")
        return ill("tokens", what, do)
    if not number:
        return well("tokens", "there are none, so nobody is let in over HTTP; ontrack token make makes one")
    return well("tokens", "1 lets a client in" if number == 1 else f"{number} let clients in")


async def _known_copies(directory: Path) -> Checked:
    try:
        number = len(await CopiesInFile(directory).all())
    except CopiesUnavailable as wrong:
        what, _, do = str(wrong).partition(": ")
        return ill("known copies", f"{what}; nothing is noted there, and no case can be erased", do or MEND)
    return well("known copies", f"{counted(number, 'place')} with what was made of this data")


def _integrity(directory: Path) -> Checked:
    """Let SQLite look through the whole file."""
    try:
        database = Database.open(directory / DATABASE, write=False)
        try:
            (said,) = database.connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            database.close()
    except (NotAHome, NotPermitted, Unavailable) as wrong:
        return ill("database", f"it cannot be opened: {wrong}", "mend that, and check again")
    except sqlite3.DatabaseError as damaged:
        said = str(damaged)
    if said != "ok":
        return ill("database", f"it is damaged ({_damage(said)})", MEND_DAMAGE)
    return well("database", "SQLite finds no damage")


def _damage(said: str) -> str:
    """Take from what SQLite finds the first that it says of it, below its headings."""
    found = [line for line in said.splitlines() if line and not line.startswith("***")]
    return found[0] if found else "it does not say how"
