"""The checkpoints that stand on a log itself: whether each is one, and whether the log is as long as they say.

No key is needed for that, and no signature is looked at: what is found was done to the log or to its checkpoints.
"""

from collections.abc import AsyncIterator, Container, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from contracts.codec import decode, id_of
from contracts.events.event import Event
from contracts.events.fields import instant
from contracts.events.publications import CheckpointSigned
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, SEALS, TOPICS
from services.auditor.checkpoint import RESTORED_OR_CHANGED, Checkpoint
from services.auditor.domain.findings import Finding, Place
from services.auditor.note import NoteInvalid
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, StoredRecord, after, next_offset

_UNDERIVED: Final = frozenset(topic.name for topic in (DEFINITIONS, CASES, DEAD_LETTERS))
"""The topics that do not follow from facts."""

Sizes = Mapping[tuple[str, int], int]
"""Topic and partition -> how many records stood there."""

_PARTITION: Final = 0
_AT_ONCE: Final = 20
"""Records that are read at a time: one takes up to 50 KB."""

_FACTS_AT_ONCE: Final = 2_000


class Stood(NamedTuple):
    """What a checkpoint on a log says of a partition: so many records stood there, and when.

    offset: of the checkpoint
    """

    size: int
    at: datetime
    offset: int


async def of_seals(log: Log, keyring: Keyring, log_id: str, behind: Container[int]) -> Sequence[Finding]:
    """Find what is wrong with the checkpoints on a log, and what the log lacks by them. Raises Unavailable.

    By all of them, of what does not follow from facts; of what does, by the last one: where a backup was restored, it
    was concluded anew, and can be shorter by what stood there more than once. Of erased cases nothing is concluded
    anew, so where there is one nothing of that is missed.

    behind: the partitions in which not everything is concluded yet
    """
    found: list[Finding] = []
    longest: dict[tuple[str, int], Stood] = {}
    last: dict[tuple[str, int], Stood] = {}
    expected = 0
    async for record in _records(log):
        place = Place(SEALS.name, _PARTITION, record.offset, id_of(record.value))
        if record.offset > expected:
            found.append(Finding("gap", place, f"offset {expected} was expected before offset {record.offset}"))
        expected = after(record.offset)
        checkpoint = checkpoint_in(record)
        if checkpoint is None:
            found.append(Finding("unreadable", place, "a checkpoint was expected"))
        elif checkpoint.log != log_id:
            says = f"a checkpoint of this log was expected, and not of {checkpoint.log}"
            found.append(Finding("checkpoint", place, says))
        else:
            last = {line[:2]: Stood(line.size, checkpoint.at, record.offset) for line in checkpoint.lines}
            for where, each in last.items():
                if where[0] in _UNDERIVED and (where not in longest or longest[where].size < each.size):
                    longest[where] = each
    said = last | longest
    sizes = {where: each.size for where, each in said.items()}
    for where, end in (await short_of(log, keyring, sizes, behind)).items():
        size, at, offset = said[where]
        when = f"when it was sealed at {instant(at)} (offset {offset} of {SEALS.name})"
        says = f"{size:,} records stood there {when}, now there are {end:,}"
        if where[0] not in _UNDERIVED:
            says = f"{says}; {RESTORED_OR_CHANGED}"
        found.append(Finding("checkpoint", Place(*where), says))
    return found


async def short_of(
    log: Log, keyring: Keyring | None, sizes: Sizes, behind: Container[int]
) -> Mapping[tuple[str, int], int]:
    """Give where each partition ends that is shorter than a checkpoint says. Raises Unavailable.

    Asked after the checkpoint was read: what it speaks of was there before it.

    keyring: tells where there are cases whose key is destroyed: no conclusion is missed there; None: each one is
    behind: the partitions in which not everything is concluded yet
    """
    found: dict[tuple[str, int], int] = {}
    for (name, partition), size in sorted(sizes.items()):
        topic = TOPICS.get(name)
        is_known = topic is not None and partition in range(topic.partitions)
        end = await log.end(topic, partition) if topic is not None and is_known else 0
        if end >= size:
            continue
        if name in _UNDERIVED or (partition not in behind and not await _has_destroyed(log, keyring, partition)):
            found[name, partition] = end
    return found


async def _has_destroyed(log: Log, keyring: Keyring | None, partition: int) -> bool:
    """Tell whether a partition has a case whose key is destroyed. Raises Unavailable."""
    offset = 0
    while keyring is not None and (facts := await log.read(CASES, partition, offset, _FACTS_AT_ONCE)):
        offset = next_offset(facts)
        keys = await keyring.keys({fact.key for fact in facts})
        if Destroyed.DESTROYED in keys.values():
            return True
    return False


async def strange_lately(log: Log) -> int:
    """Count what is no checkpoint among the last few records where these stand. Raises Unavailable."""
    end = await log.end(SEALS, _PARTITION)
    lately = await log.read(SEALS, _PARTITION, max(0, end - _AT_ONCE), _AT_ONCE)
    return sum(checkpoint_in(record) is None for record in lately)


def checkpoint_in(record: StoredRecord) -> Checkpoint | None:
    """Give the checkpoint that a record holds, believed or not; None if it holds none."""
    said = decode(record.value, SEALS, None)
    if not isinstance(said, Event) or not isinstance(said.data, CheckpointSigned):
        return None
    try:
        return Checkpoint.said_in(said.data.note)
    except NoteInvalid:
        return None


async def _records(log: Log) -> AsyncIterator[StoredRecord]:
    offset = 0
    while records := await log.read(SEALS, _PARTITION, offset, _AT_ONCE):
        offset = next_offset(records)
        for record in records:
            yield record
