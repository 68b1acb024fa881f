"""The checkpoints that stand on a log itself: whether each is one, and whether the log is as long as they say.

No key is needed for that. Where the public key of whoever signs is at hand, their signatures are looked at too.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from contracts.codec import decode, id_of, is_canonical
from contracts.events.event import Event
from contracts.events.fields import instant
from contracts.events.publications import CheckpointSigned
from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, SEALS, TOPICS, partition_of
from services.auditor.checkpoint import RESTORED_OR_CHANGED, Checkpoint
from services.auditor.domain.facts import not_canonical
from services.auditor.domain.findings import Finding, Place
from services.auditor.note import NoteInvalid, Verifier
from services.runtime.erasures import erasures
from services.runtime.keyring.port import Vault
from services.runtime.log.port import Log, StoredRecord, after
from services.runtime.reading import chunks

_UNDERIVED: Final = frozenset(topic.name for topic in (DEFINITIONS, CASES, DEAD_LETTERS))
"""The topics that do not follow from facts."""

Sizes = Mapping[tuple[str, int], int]
"""Topic and partition -> how many records stood there."""

_PARTITION: Final = 0
_AT_ONCE: Final = 20
"""Records that are read at a time: one takes up to 50 KB."""

_Excuse = Literal["erased", "to come"]


class Stood(NamedTuple):
    """What a checkpoint on a log says of a partition: so many records stood there, and when.

    offset: of the checkpoint
    """

    size: int
    at: datetime
    offset: int


class Short(NamedTuple):
    """Where partitions are shorter than a checkpoint says, and where each of these ends.

    lacking: nothing says why; erased: by conclusions, and the log says that a case was erased
    """

    lacking: Mapping[tuple[str, int], int]
    erased: Mapping[tuple[str, int], int]


class Held(NamedTuple):
    """What was found by the checkpoints on a log.

    erased: how many conclusions are not there that were sealed, where the log says that a case was erased
    """

    findings: Sequence[Finding]
    erased: int


async def of_seals(
    log: Log, keyring: Vault, log_id: str, behind: Container[int], verifier: Verifier | None = None
) -> Held:
    """Find what is wrong with the checkpoints on a log, and what the log lacks by them. Raises Unavailable.

    By all of them, of what does not follow from facts; of what does, by the last one: where a backup was restored, it
    was concluded anew, and can be shorter by what stood there more than once. Of erased cases nothing is concluded
    anew, so where the log says that there is one nothing of that is missed.

    behind: the partitions in which not everything is concluded yet
    verifier: of a key whose signatures are looked at
    """
    found: list[Finding] = []
    longest: dict[tuple[str, int], Stood] = {}
    last: dict[tuple[str, int], Stood] = {}
    expected = 0
    records = (record async for some in chunks(log, SEALS, _PARTITION, at_once=_AT_ONCE) for record in some)
    async for record in records:
        place = Place(SEALS.name, _PARTITION, record.offset, id_of(record.value))
        if record.offset > expected:
            found.append(Finding("gap", place, f"offset {expected} was expected before offset {record.offset}"))
        expected = after(record.offset)
        checkpoint = checkpoint_in(record)
        if checkpoint is None:
            found.append(Finding("unreadable", place, "a checkpoint was expected"))
        elif not is_canonical(record.value):
            found.append(not_canonical(place))
        elif checkpoint.log != log_id:
            says = f"a checkpoint of this log was expected, and not of {checkpoint.log}"
            found.append(Finding("checkpoint", place, says))
        elif verifier is not None and (wrong := _unsigned(record, verifier)):
            found.append(Finding("checkpoint", place, wrong))
        else:
            last = {line[:2]: Stood(line.size, checkpoint.at, record.offset) for line in checkpoint.lines}
            for where, each in last.items():
                if where[0] in _UNDERIVED and (where not in longest or longest[where].size < each.size):
                    longest[where] = each
    said = last | longest
    sizes = {where: each.size for where, each in said.items()}
    short = await short_of(log, keyring, sizes, behind)
    for where, end in short.lacking.items():
        size, at, offset = said[where]
        when = f"when it was sealed at {instant(at)} (offset {offset} of {SEALS.name})"
        says = f"{size:,} records stood there {when}, now there are {end:,}"
        if where[0] not in _UNDERIVED:
            says = f"{says}; {RESTORED_OR_CHANGED}"
        found.append(Finding("checkpoint", Place(*where), says))
    return Held(found, sum(sizes[where] - end for where, end in short.erased.items()))


def _unsigned(record: StoredRecord, verifier: Verifier) -> str | None:
    """Tell why a key has not signed a checkpoint that names it; None if it has, or if another one is named."""
    note = _note_in(record)
    try:
        if note is not None and verifier.is_named_in(note):
            verifier.opened(note)
    except NoteInvalid as wrong:
        return f"a checkpoint as it was signed was expected: {wrong}"
    return None


async def short_of(log: Log, keyring: Vault, sizes: Sizes, behind: Container[int]) -> Short:
    """Find the partitions that are shorter than a checkpoint says. Raises Unavailable.

    Asked after the checkpoint was read: what it speaks of was there before it.

    behind: the partitions in which not everything is concluded yet: what is to come there is not missed
    """
    lacking: dict[tuple[str, int], int] = {}
    erased: dict[tuple[str, int], int] = {}
    excuses: dict[int, _Excuse | None] = {}
    for (name, partition), size in sorted(sizes.items()):
        topic = TOPICS.get(name)
        is_known = topic is not None and partition in range(topic.partitions)
        end = await log.end(topic, partition) if topic is not None and is_known else 0
        if end >= size:
            continue
        is_derived = is_known and name not in _UNDERIVED
        if is_derived and partition not in excuses:
            excuses[partition] = await _excuse(log, keyring, partition, is_behind=partition in behind)
        match excuses[partition] if is_derived else None:
            case None:
                lacking[name, partition] = end
            case "erased":
                erased[name, partition] = end
    return Short(lacking, erased)


async def _excuse(log: Log, keyring: Vault, partition: int, *, is_behind: bool) -> _Excuse | None:
    """Tell why conclusions of a partition may not be there, if the log says why. Raises Unavailable.

    Where a key is destroyed and the log does not say that its case was erased, it can have been taken away so that
    nobody can conclude again what was cut off: there each conclusion is missed.
    """
    all_keys = keyring.wrapped()
    keyless = {case_id async for case_id, key in all_keys if key is None and partition_of(case_id) == partition}
    if is_behind and not keyless:
        return "to come"
    # Asked after the keys: a case is said to be erased before its key goes.
    erased = await erasures(log, keyring, [partition])
    if keyless - erased.keys():
        return None
    if is_behind:
        return "to come"
    return "erased" if erased else None


async def strange_lately(log: Log) -> int:
    """Count what is no checkpoint among the last few records where these stand. Raises Unavailable."""
    end = await log.end(SEALS, _PARTITION)
    lately = await log.read(SEALS, _PARTITION, max(0, end - _AT_ONCE), _AT_ONCE)
    return sum(checkpoint_in(record) is None for record in lately)


def checkpoint_in(record: StoredRecord) -> Checkpoint | None:
    """Give the checkpoint that a record holds, believed or not; None if it holds none."""
    note = _note_in(record)
    try:
        return None if note is None else Checkpoint.said_in(note)
    except NoteInvalid:
        return None


def _note_in(record: StoredRecord) -> str | None:
    said = decode(record.value, SEALS, None)
    return said.data.note if isinstance(said, Event) and isinstance(said.data, CheckpointSigned) else None
