"""How a command finds its home, and how what goes wrong there is told."""

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from contracts.definitions.catalogue import Catalogue, DefinitionMissing, Entry
from contracts.definitions.definition import Definition
from contracts.definitions.files import DefinitionFaults, library, load
from services.cli.interruption import Interrupted, between_steps, heed
from services.home import Home, StageRuns
from services.ingest.access import TokensUnusable
from services.ingest.cases import KeyMissing
from services.runtime.collector import spare_the_collector
from services.runtime.database import AnotherWriter, is_damage
from services.runtime.faults import MEND_DAMAGE, PartitionLost, StageStopped
from services.runtime.keyring.master import MasterKeyUnusable
from services.runtime.refusals import BackupUnusable, NotAHome, NotPermitted, PlaceInUse, SettingsWrong, TopicsUnfit
from services.runtime.store.sealed import StateUnreadable
from services.runtime.unavailable import Unavailable

T = TypeVar("T")

BAD_USE: Final = 2
FINDING: Final = 1
_ENDS_WITHIN: Final = 2.0
"""Seconds for which is waited for what a broken off command has left to end."""
_REFUSED: Final = (NotAHome, NotPermitted, SettingsWrong, PlaceInUse)


class Failure(click.ClickException):
    """Something that the person in front of the command can mend. exit_code: 2 bad use, 1 a finding."""

    def __init__(self, message: str, exit_code: int = BAD_USE) -> None:
        """Say what was wrong, where, and what to do."""
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click declares it for the class and reads it here


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work, and tell what goes wrong in words."""
    spare_the_collector()
    # Not asyncio.run: that turns Ctrl-C into a request to stop at the next wait, and here nothing waits.
    loop = asyncio.new_event_loop()
    try:
        with in_words(), between_steps():
            heed()
            return loop.run_until_complete(work)
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:
        loop.run_until_complete(_end_generators(loop))
        loop.close()


async def _end_generators(loop: asyncio.AbstractEventLoop) -> None:
    """End what was read in part: a generator, then those that it read, each in a task that the loop begins."""
    until = loop.time() + _ENDS_WITHIN
    await loop.shutdown_asyncgens()
    await asyncio.sleep(0)
    while (ending := asyncio.all_tasks() - {asyncio.current_task()}) and (left := until - loop.time()) > 0:
        await asyncio.wait(ending, timeout=left)
        await asyncio.sleep(0)


@contextmanager
def in_words() -> Iterator[None]:
    """Tell what goes wrong with a home in words. Raises Failure."""
    try:
        yield
    except (*_REFUSED, AnotherWriter, MasterKeyUnusable, KeyMissing, StageRuns, TokensUnusable) as wrong:
        raise Failure(str(wrong)) from None
    except (StageStopped, StateUnreadable, TopicsUnfit, BackupUnusable) as stopped:
        raise Failure(str(stopped), FINDING) from None
    except DefinitionMissing as missing:
        raise Failure(f"{missing}, and an event names it: ontrack audit verify tells which", FINDING) from None
    except DefinitionFaults as faults:
        raise Failure("\n".join(str(fault) for fault in faults.faults)) from None
    except PartitionLost as lost:
        raise Failure(f"{lost}. Nothing is lost; start again when it is done.") from None
    except Unavailable as away:
        raise Failure(f"{away}. Nothing is lost; start again.") from None
    except sqlite3.DatabaseError as damaged:
        if not is_damage(damaged):
            raise
        raise Failure(f"the database is damaged ({damaged}). To mend it: {MEND_DAMAGE}.", FINDING) from None


def named_or_file(kind: type[Definition], name: str, known: Catalogue) -> Entry:
    """Find a definition by id, or read it from a file. Raises Failure, DefinitionFaults."""
    entry = known.named(kind, name)
    if entry is not None:
        return entry
    file = Path(name)
    what = kind.__name__.lower()
    if not file.exists():
        ids = ", ".join(model.id for _, model in known.of_kind(kind))
        raise Failure(f"{name}: the id of a {what} or a file was expected; known are {ids}")
    found = [entry for entry in load([file], known=known) if isinstance(entry.model, kind)]
    if not found:
        raise Failure(f"{name}: kind: {what} was expected")
    return found[0]


def library_catalogue() -> Catalogue:
    """Give the definitions that ship with OnTrack."""
    return Catalogue(library())


async def short_names(home: Home) -> dict[str, str]:
    """Give how each case is called on a screen: its external number, or else its id."""
    names = dict(await home.names())
    async for case_id in home.store.cases(home.register.name):
        names.setdefault(case_id, case_id)
    return names
