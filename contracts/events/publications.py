"""`rom.definitions.v1`, `rom.cases.v1.dlq` and `rom.seals.v1`: what a log says about itself."""

from typing import Annotated, Any

from pydantic import Field

from contracts.events.event import Data
from contracts.events.fields import DefinitionRef, EventId, Name, Whole


class LogFounded(Data):
    """The first record of a log. Its id is the log's identity, by which positions are recognised."""

    log: EventId


class DefinitionPublished(Data):
    """An instrument, protocol, policy, guidance or wording is on the log and can be named by facts.

    body: the definition itself; the hash in `ref` is over its canonical JSON
    """

    ref: DefinitionRef
    body: dict[str, Any]


class FactUnreadable(Data):
    """A record of `rom.cases.v1` could not be read. It stays where it is; this says where and why."""

    partition: Whole
    offset: Whole
    reason: Name


Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 hash."""


class Frontier(Data):
    """A Merkle tree over the records of a partition (RFC 6962), as far as it is needed to go on with it.

    size: how many records it has, from the first one on
    hashes: the roots of the full trees that it is made of, the largest first
    """

    topic: Name
    partition: Whole
    size: Whole
    hashes: tuple[Hash, ...]


class CheckpointSigned(Data):
    """A checkpoint of the log was signed: what stood there then can be shown to stand there still.

    note: the checkpoint, a signed note (C2SP): the size and the root of each partition's tree, and who vouches for it
    frontiers: the trees themselves, to go on with; of a partition that has no new records it can stand beside an
        earlier checkpoint
    """

    note: str
    frontiers: tuple[Frontier, ...]


Publication = LogFounded | DefinitionPublished
