"""`rom.definitions.v1` and `rom.cases.v1.dlq`: what a log says about itself."""

from typing import Any

from contracts.events.event import Data
from contracts.events.fields import DefinitionRef, EventId, Name


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

    partition: int
    offset: int
    reason: Name


Publication = LogFounded | DefinitionPublished
