"""Checkpoints that are signed by themselves: after so many records, or so much time, whichever comes first."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from contracts.events.fields import instant
from contracts.topics import TOPICS
from services.auditor.checkpoint import SEALED, Checkpoint, Sealed, last_signed, signed, since
from services.auditor.note import NoteInvalid, Signer, Verifier, parted
from services.runtime.faults import fault_of_ours
from services.runtime.health import Health
from services.runtime.log.port import Journal, Log
from services.runtime.logger import logger
from services.runtime.unavailable import Unavailable

RECORDS: Final = 10_000
TIME: Final = timedelta(hours=1)

FETCH_AGAIN: Final = (
    "put it there again as whoever keeps checkpoints has it, or delete it, and the log is held to the one before: "
    "nothing is signed until then"
)
"""What to do about a kept checkpoint that cannot be read."""


class KeyUnusable(Exception):
    """The file with the private key cannot be used. Says why."""


class CheckpointUnusable(NoteInvalid):
    """A file with a checkpoint cannot be read as one. Says which, and why."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a checkpoint is signed: after so many records, or so much time if there are any at all.

    look: seconds between two looks at how much has been recorded since
    """

    records: int = RECORDS
    time: timedelta = TIME
    look: float = 2.0


class Kept(NamedTuple):
    """A checkpoint that is kept. is_of_key: whether it is of the key by which that was asked."""

    checkpoint: Checkpoint
    is_of_key: bool


class Sealer:
    """Signs checkpoints of a log, puts them on it, and keeps each in a directory too, for somebody else to fetch."""

    def __init__(
        self, log: Journal, log_id: str, signer: Signer, kept: Path, rhythm: Rhythm, now: Callable[[], datetime]
    ) -> None:
        """Sign with `signer`. kept: the directory; now: tells the time."""
        self._log = log
        self._log_id = log_id
        self._signer = signer
        self._kept = kept
        self._rhythm = rhythm
        self._now = now
        self._last: Sealed | None = None
        self._has_begun = False

    async def run(self, health: Health) -> None:
        """Sign for ever, and tell what is in the way."""
        while True:
            health.set("seals", await self._why_not(), is_elsewhere=True)
            await asyncio.sleep(self._rhythm.look)

    async def _why_not(self) -> str | None:
        try:
            await self.look()
        except (Unavailable, NoteInvalid) as wrong:
            return str(wrong)
        except OSError as error:
            return f"{self._kept}: a directory that can be written was expected ({error.strerror})"
        except Exception as error:  # noqa: BLE001 - it goes on, and what is wrong is told
            return fault_of_ours(error)
        return None

    async def look(self) -> bool:
        """Sign, if it is time to; tell whether it was. Raises Unavailable, NoteInvalid, OSError."""
        if not self._has_begun:
            await require_kept(self._log, self._log_id, self._signer.verifier, self._kept)
            self._last = await last_signed(self._log, self._signer.verifier)
            self._has_begun = True
        self._keep()
        if not await self._is_time():
            return False
        self._last = await signed(self._log, self._log_id, self._signer, self._now(), self._last)
        logger.info("sealed", records=self._last.checkpoint.records)
        self._keep()
        return True

    async def _is_time(self) -> bool:
        sealed = {} if self._last is None else {place: tree.size for place, tree in self._last.trees.items()}
        new = 0
        for topic in SEALED:
            for partition, end in (await self._log.ends(topic, range(topic.partitions))).items():
                new += since(topic, partition, sealed.get((topic.name, partition), 0), end)
        is_late = self._last is None or self._now() - self._last.checkpoint.at >= self._rhythm.time
        return new >= self._rhythm.records or (new > 0 and is_late)

    def _keep(self) -> None:
        """Put the last checkpoint in the directory, unless it is there. It is on the log; here it is to be fetched."""
        if self._last is None:
            return
        file = self._kept / file_name(self._last.checkpoint)
        if file.exists():
            return
        unfinished = file.with_suffix(".new")
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(self._last.note)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.rename(file)


def file_name(checkpoint: Checkpoint) -> str:
    """Name the file of a checkpoint: by name they are in the order in which they were signed."""
    return f"checkpoint-{instant(checkpoint.at).replace(':', '')}.txt"


def newest_in(kept: Path) -> Path | None:
    """Give the newest checkpoint that is kept in a directory."""
    return max(_all_in(kept), default=None)


def _all_in(kept: Path) -> Iterator[Path]:
    return iter(kept.glob("checkpoint-*.txt"))


async def require_kept(log: Log, log_id: str, verifier: Verifier, kept: Path) -> None:
    """Make sure that a log has all that the checkpoints speak of that are kept in a directory, to the newest of a key.

    Those on the log could have been taken away with what they speak of. A newer one of another key counts too: it can
    be one of this key, of which just that cannot be read any more. Raises Unavailable, NoteInvalid, and
    CheckpointUnusable with what to do.
    """
    sizes: dict[tuple[str, int], int] = {}
    for file in sorted(_all_in(kept), reverse=True):
        try:
            said = kept_in(file, verifier)
        except CheckpointUnusable as unusable:
            raise CheckpointUnusable(f"{unusable}; {FETCH_AGAIN}") from None
        if said.checkpoint.log != log_id:
            continue
        for topic, partition, size, _ in said.checkpoint.lines:
            sizes[topic, partition] = max(size, sizes.get((topic, partition), 0))
        if said.is_of_key:
            break
        # There can be years of another key: others have their turn here.
        await asyncio.sleep(0)
    for (topic, partition), size in sizes.items():
        if topic in TOPICS and partition in range(TOPICS[topic].partitions):
            since(TOPICS[topic], partition, size, await log.end(TOPICS[topic], partition))


def kept_in(file: Path, verifier: Verifier | None) -> Kept:
    """Read a checkpoint that is kept. Raises CheckpointUnusable.

    verifier: of the key; None: whoever has signed it
    """
    try:
        return _said_in(file.read_text("utf-8"), verifier)
    except (OSError, UnicodeDecodeError):
        raise CheckpointUnusable(f"{file}: a checkpoint that can be read was expected") from None
    except NoteInvalid as wrong:
        raise CheckpointUnusable(f"{file}: {wrong}") from None


def _said_in(note: str, verifier: Verifier | None) -> Kept:
    text, _ = parted(note)
    is_of_key = verifier is None or verifier.is_named_in(note)
    return Kept(Checkpoint.read(text if verifier is None or not is_of_key else verifier.opened(note)), is_of_key)


def signer_in(file: Path) -> Signer:
    """Read the private key that a file holds. Raises KeyUnusable."""
    try:
        if file.stat().st_mode & 0o077:
            raise KeyUnusable(f"{file} is open to others: run chmod 600 {file}")
        return Signer.read(file.read_text("utf-8"))
    except OSError as error:
        raise KeyUnusable(f"{file}: a file that can be read was expected ({error.strerror})") from None
    except UnicodeDecodeError:
        raise KeyUnusable(f"{file}: a private key was expected") from None
    except NoteInvalid as wrong:
        raise KeyUnusable(f"{file}: {wrong}") from None
