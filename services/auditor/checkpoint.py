"""Checkpoints: what stood on a log at some moment, in a signed note that somebody else keeps.

A Merkle tree over each partition says which records stood there, in which order. Whoever has an earlier checkpoint and
the log can see that what was there is there still, without asking anybody.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from contracts.codec import decode, encode
from contracts.events.event import FACT_ID, Event, name_based_id
from contracts.events.fields import instant
from contracts.events.publications import CheckpointSigned, Frontier, Hash
from contracts.topics import ACCESS, SEALS, TOPICS, Topic
from services.auditor.domain.findings import Finding, Place
from services.auditor.domain.merkle import Tree, inclusion, is_included, leaf_hash, root_of
from services.auditor.note import NoteInvalid, Signer, Verifier
from services.runtime.log.port import Log, Record, StoredRecord
from services.runtime.reading import chunks

SEALED: Final[Sequence[Topic]] = [topic for topic in TOPICS.values() if topic not in (SEALS, ACCESS)]
"""The topics that a checkpoint speaks of. Those that it stands on itself it cannot."""

_KIND: Final = "ontrack.checkpoint.v1"
_LEAF: Final = b"ontrack.record.v1"
_AT_ONCE: Final = 2_000
WHOLE_EVERY: Final = 20
"""Checkpoints of which one has the trees of all partitions beside it; the others have those that grew since."""

_NOTES_AT_ONCE: Final = WHOLE_EVERY
"""Checkpoints that are read at a time: one takes up to 50 KB."""

_PARTITION: Final = 0

RESTORED_OR_CHANGED: Final = (
    "if the log was restored from a backup, tell whoever keeps checkpoints, and sign with another key into another "
    "directory from now on; if not, ask who has changed it: ontrack audit verify --checkpoint tells where"
)
"""What to do about a log that is not what was sealed."""


class Line(NamedTuple):
    """What a checkpoint says of one partition. root: of the tree over its first records, in hexadecimal digits."""

    topic: str
    partition: int
    size: int
    root: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What stood on a log. log: its identity; at: when that was said; lines: of every partition that has records."""

    log: str
    at: datetime
    lines: tuple[Line, ...]

    @property
    def records(self) -> int:
        """How many records it speaks of."""
        return sum(line.size for line in self.lines)

    def line_of(self, topic: str, partition: int) -> Line | None:
        """Give what it says of a partition; None if that had no records."""
        return next((line for line in self.lines if line[:2] == (topic, partition)), None)

    def text(self) -> str:
        """Write it, as it is signed."""
        lines = (f"{line.topic} {line.partition} {line.size} {line.root}" for line in self.lines)
        return "".join(f"{line}\n" for line in (f"{_KIND} {self.log}", instant(self.at), *lines))

    @classmethod
    def read(cls, text: str) -> "Checkpoint":
        """Read one. Raises NoteInvalid."""
        (first, at), lines = (text.splitlines() + [""] * 2)[:2], text.splitlines()[2:]
        kind, _, log = first.partition(" ")
        if kind != _KIND or not log:
            raise NoteInvalid(f"a checkpoint was expected, which begins with {_KIND}")
        try:
            checkpoint = cls(log, datetime.fromisoformat(at), tuple(_line(line) for line in lines))
            is_as_written = checkpoint.text() == text
        except (ValueError, OverflowError):
            raise NoteInvalid(
                "a checkpoint was expected: a time, and lines of topic, partition, size and root"
            ) from None
        if not is_as_written:
            raise NoteInvalid("a checkpoint was expected as it is written")
        return checkpoint

    @classmethod
    def said_in(cls, note: str) -> "Checkpoint":
        """Read what a note says, whoever has signed it. Raises NoteInvalid."""
        return cls.read(note.rpartition("\n\n")[0] + "\n")


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that a record stood on a log when a checkpoint was signed: with it, the record and the public key.

    key: of the record; hashes: the roots of all that stands beside it in the tree of its partition
    """

    note: str
    topic: str
    partition: int
    offset: int
    key: str
    hashes: tuple[Hash, ...]

    def shows(self, record: bytes, verifier: Verifier) -> Checkpoint:
        """Give the checkpoint at which a record stood there. Raises NoteInvalid if that is not shown."""
        checkpoint = Checkpoint.read(verifier.opened(self.note))
        topic, line = TOPICS.get(self.topic), checkpoint.line_of(self.topic, self.partition)
        if topic is None or line is None:
            raise NoteInvalid("a proof was expected of a partition that its checkpoint speaks of")
        stored = StoredRecord(self.offset, self.key, record)
        hashed = leaf(checkpoint.log, topic, self.partition, stored)
        path = [bytes.fromhex(each) for each in self.hashes]
        if not is_included(hashed, self.offset, line.size, path, bytes.fromhex(line.root)):
            raise NoteInvalid("this event did not stand at that place when the checkpoint was signed")
        return checkpoint


def _line(text: str) -> Line:
    topic, partition, size, root = text.split(" ")
    return Line(topic, int(partition), int(size), root)


def leaf(log_id: str, topic: Topic, partition: int, record: StoredRecord) -> bytes:
    """Give the hash by which a record stands in the tree of its partition.

    Salted with its place and its log: the same record elsewhere has another one, so no hash tells that two are equal.
    """
    key = record.key.encode()
    place = f"{log_id} {topic.name} {partition} {record.offset} {len(key)} ".encode()
    return leaf_hash(sha256(_LEAF + b" " + place + key + record.value).digest())


Trees = Mapping[tuple[str, int], Tree]


async def grown(log: Log, log_id: str, trees: Trees) -> dict[tuple[str, int], Tree]:
    """Let the trees of all partitions grow to the ends of the log. Raises Unavailable, NoteInvalid."""
    found: dict[tuple[str, int], Tree] = {}
    for topic in SEALED:
        for partition in range(topic.partitions):
            before = trees.get((topic.name, partition), Tree())
            tree = Tree(before.size, before.frontier)
            end = await log.end(topic, partition)
            if since(topic, partition, tree.size, end):
                await _require_last(log, log_id, topic, partition, tree)
            await grow(log, log_id, topic, partition, tree, end)
            if tree.size:
                found[topic.name, partition] = tree
    return found


def since(topic: Topic, partition: int, sealed: int, end: int) -> int:
    """Count the records that stand behind those that were sealed. Raises NoteInvalid if these are not all there."""
    if end < sealed:
        raise NoteInvalid(
            f"{topic.name} has {end:,} records in partition {partition}, and {sealed:,} were sealed: nothing is signed "
            f"over this log; {RESTORED_OR_CHANGED}"
        )
    return end - sealed


async def _require_last(log: Log, log_id: str, topic: Topic, partition: int, tree: Tree) -> None:
    """Make sure that what was sealed last stands there still. Raises Unavailable, NoteInvalid.

    Looked at are the records of the smallest full tree, which are few: the last one is among them, so a log that was
    cut is recognised also where others have come since.
    """
    span = range(tree.size - (tree.size & -tree.size), tree.size)
    there = Tree()
    async for each in _leaves(log, log_id, topic, partition, span):
        there.add(each)
    if there.frontier != tree.frontier[-1:]:
        raise NoteInvalid(
            f"{topic.name} has other records in partition {partition}, up to offset {tree.size - 1:,}, than those that "
            f"were sealed: nothing is signed over this log; {RESTORED_OR_CHANGED}"
        )


async def grow(log: Log, log_id: str, topic: Topic, partition: int, tree: Tree, size: int) -> None:
    """Let a tree grow by the records that stand there, up to a size, as far as there are any.

    Raises Unavailable, and NoteInvalid of a hole.
    """
    async for each in _leaves(log, log_id, topic, partition, range(tree.size, size)):
        tree.add(each)


async def _leaves(log: Log, log_id: str, topic: Topic, partition: int, span: range) -> AsyncIterator[bytes]:
    """Give the leaves of the records at some offsets, as far as there are any. Raises Unavailable, NoteInvalid."""
    while span:
        records = await log.read(topic, partition, span.start, min(_AT_ONCE, len(span)))
        if not records:
            return
        for offset, record in zip(span, records, strict=False):
            if record.offset != offset:
                raise NoteInvalid(f"{topic.name} has no offset {offset} in partition {partition}")
            yield leaf(log_id, topic, partition, record)
        span = span[len(records) :]
        # A log in a file is read without a wait: others have their turn here.
        await asyncio.sleep(0)


def checkpoint_of(log_id: str, trees: Trees, at: datetime) -> Checkpoint:
    """Say what stands on a log."""
    lines = (Line(topic, partition, tree.size, tree.root.hex()) for (topic, partition), tree in sorted(trees.items()))
    return Checkpoint(log_id, at, tuple(lines))


class Sealed(NamedTuple):
    """A checkpoint that was signed.

    trees: what it was made of; behind: how many checkpoints before it have some of them beside them, and it has not
    """

    checkpoint: Checkpoint
    note: str
    trees: Trees
    behind: int


async def signed(log: Log, log_id: str, signer: Signer, at: datetime, before: Sealed | None) -> Sealed:
    """Sign what stands on a log, and put that on the log. Raises Unavailable, NoteInvalid.

    before: the last that was signed: only what is new since is read
    """
    trees = await grown(log, log_id, {} if before is None else before.trees)
    checkpoint = checkpoint_of(log_id, trees, at)
    note = signer.signed(checkpoint.text())
    # It can be more than that where another one signs with the same key.
    behind = 0 if before is None or before.behind + 1 >= WHOLE_EVERY else before.behind + 1
    there = before.trees if before is not None and behind else {}
    frontiers = tuple(
        Frontier(topic=topic, partition=partition, size=tree.size, hashes=tuple(each.hex() for each in tree.frontier))
        for (topic, partition), tree in sorted(trees.items())
        if (topic, partition) not in there or there[topic, partition].size < tree.size
    )
    event = Event(
        id=name_based_id(FACT_ID, log_id, CheckpointSigned.type(), note),
        source="urn:ontrack:auditor",
        subject="log",
        time=at,
        recordedtime=at,
        correlationid=log_id,
        causationid=None,
        data=CheckpointSigned(note=note, frontiers=frontiers),
    )
    await log.append(SEALS, _PARTITION, [Record("log", encode(event))])
    return Sealed(checkpoint, note, trees, behind)


async def notes(log: Log) -> AsyncIterator[CheckpointSigned]:
    """Give every checkpoint that stands on a log. Raises Unavailable."""
    async for records in chunks(log, SEALS, _PARTITION, at_once=_NOTES_AT_ONCE):
        for signed_then in _checkpoints(records):
            yield signed_then


def _checkpoints(records: Sequence[StoredRecord]) -> Iterator[CheckpointSigned]:
    """Give the checkpoints among some records; what is none says nothing, and proves nothing."""
    for record in records:
        event = decode(record.value, SEALS, None)
        if isinstance(event, Event) and isinstance(event.data, CheckpointSigned):
            yield event.data


async def last_said(log: Log) -> CheckpointSigned | None:
    """Give the last checkpoint on a log, believed or not, if there is one. Raises Unavailable."""
    async for said in _notes_backwards(log):
        return said
    return None


async def last_signed(log: Log, verifier: Verifier) -> Sealed | None:
    """Give the last checkpoint on a log that a key has signed, if there is one. Raises Unavailable, NoteInvalid.

    The trees that it was made of stand beside it, or if they have not grown since beside one before it: what its note
    says of them has to go with them. Where two sign with one key, trees of another size can stand in between: one has
    looked at the log before the other one did, and put its checkpoint there after.
    """
    note, said, behind = "", None, 0
    sizes: dict[tuple[str, int], int] = {}
    frontiers: dict[tuple[str, int], Frontier] = {}
    async for each in _notes_backwards(log):
        if verifier.is_named_in(each.note):
            if said is None:
                note, said = each.note, Checkpoint.read(verifier.opened(each.note))
                sizes = {line[:2]: line.size for line in said.lines}
            else:
                behind += 1
            beside = {(of.topic, of.partition): of for of in each.frontiers}
            frontiers = {place: of for place, of in beside.items() if of.size == sizes.get(place)} | frontiers
            if frontiers.keys() == sizes.keys():
                break
    if said is None:
        return None
    with suppress(ValueError):
        trees = {place: Tree(of.size, map(bytes.fromhex, of.hashes)) for place, of in frontiers.items()}
        if checkpoint_of(said.log, trees, said.at) == said:
            return Sealed(said, note, trees, behind)
    raise NoteInvalid(f"the last checkpoint on {SEALS.name} does not go with the trees that stand beside it")


async def _notes_backwards(log: Log) -> AsyncIterator[CheckpointSigned]:
    """Give every checkpoint that stands on a log, the last one first. Raises Unavailable."""
    end = await log.end(SEALS, _PARTITION)
    while end > 0:
        start = max(0, end - _NOTES_AT_ONCE)
        for each in reversed(list(_checkpoints(await log.read(SEALS, _PARTITION, start, end - start)))):
            yield each
        end = start


async def proof(log: Log, note: str, checkpoint: Checkpoint, topic: Topic, partition: int, offset: int) -> Proof:
    """Prove that a record stood at a place when a checkpoint was signed. Raises Unavailable, NoteInvalid."""
    line = checkpoint.line_of(topic.name, partition)
    if line is None or not 0 <= offset < line.size:
        raise NoteInvalid("the event was recorded after the checkpoint was signed")
    leaves: list[bytes] = []
    key = ""
    while len(leaves) < line.size:
        records = await log.read(topic, partition, len(leaves), min(_AT_ONCE, line.size - len(leaves)))
        if not records or records[0].offset != len(leaves):
            break
        leaves += [leaf(checkpoint.log, topic, partition, record) for record in records]
        key = next((record.key for record in records if record.offset == offset), key)
    if root_of(leaves).hex() != line.root:
        raise NoteInvalid("the log is not what was sealed any more: ontrack audit verify --checkpoint says where")
    hashes = tuple(each.hex() for each in inclusion(leaves, offset))
    return Proof(note, topic.name, partition, offset, key, hashes)


async def compare(log: Log, log_id: str, checkpoint: Checkpoint) -> Sequence[Finding]:
    """Find where a log does not begin with what a checkpoint says.

    Nothing is believed that stands on the log: each tree is made anew. Raises Unavailable.
    """
    if checkpoint.log != log_id:
        says = f"the checkpoint is of another log: {checkpoint.log} was sealed, and this is {log_id}"
        return [Finding("checkpoint", Place(), f"{says}; nothing was compared")]
    found = [await _compared(log, log_id, line, checkpoint.at) for line in checkpoint.lines]
    return [each for each in found if each is not None]


async def _compared(log: Log, log_id: str, line: Line, at: datetime) -> Finding | None:
    place, topic = Place(line.topic, line.partition), TOPICS.get(line.topic)
    if topic is None or line.partition not in range(topic.partitions):
        what = "topic" if topic is None else "partition"
        return Finding("checkpoint", place, f"the checkpoint speaks of a {what} that this version does not know")
    tree, when = Tree(), f"when it was sealed at {instant(at)}"
    try:
        await grow(log, log_id, topic, line.partition, tree, line.size)
    except NoteInvalid as hole:
        return Finding("checkpoint", place, f"{line.size:,} records stood there {when}, and {hole}")
    if tree.size < line.size:
        return Finding("checkpoint", place, f"{line.size:,} records stood there {when}, now there are {tree.size:,}")
    if tree.root.hex() != line.root:
        says = f"the first {line.size:,} records are not those that stood there {when}"
        return Finding("checkpoint", place, says)
    return None
