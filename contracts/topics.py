"""The topics, as one table of data from which provisioning and documentation are made."""

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, get_args

from contracts.events.event import Data
from contracts.events.facts import CaseFact
from contracts.events.notices import NoticeEvent
from contracts.events.publications import CheckpointSigned, FactUnreadable, Publication
from contracts.events.scores import ScoreEvent
from contracts.events.tracks import TrackEvent

PARTITIONS: Final = 12
"""Fixed when a log is founded; a case keeps its partition on every topic."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    of_cases: its events belong to cases, are keyed by case id and sealed under the case's key
    written_by, read_by: the services that do so, each by itself or by its stages
    """

    name: str
    says: str
    events: tuple[type[Data], ...]
    of_cases: bool = True
    partitions: int = PARTITIONS
    written_by: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()

    def type_named(self, name: str) -> type[Data] | None:
        """Find the event type that stands on this topic under a wire name."""
        return _TYPES[self.name].get(name)


CASES: Final = Topic(
    "rom.cases.v1",
    "what happened to a case",
    get_args(CaseFact),
    written_by=("ingest",),
    read_by=("ingest", "scoring"),
)
SCORES: Final = Topic(
    "rom.scores.v1",
    "facts, and the scores computed from them",
    get_args(ScoreEvent),
    written_by=("scoring",),
    read_by=("not_detector",),
)
TRACKS: Final = Topic(
    "rom.tracks.v1",
    "facts, scores, and the status of every session",
    get_args(TrackEvent),
    written_by=("not_detector",),
    read_by=("notifier",),
)
NOTICES: Final = Topic(
    "rom.notices.v1",
    "reports, who must be told, and who was",
    get_args(NoticeEvent),
    written_by=("notifier",),
    read_by=("mailer",),
)
DEFINITIONS: Final = Topic(
    "rom.definitions.v1",
    "the founding of the log, and its definitions",
    get_args(Publication),
    of_cases=False,
    written_by=("ingest",),
    read_by=("ingest", "scoring", "not_detector", "notifier", "mailer"),
)
DEAD_LETTERS: Final = Topic(
    "rom.cases.v1.dlq",
    "records of facts that could not be read",
    (FactUnreadable,),
    of_cases=False,
    written_by=("scoring",),
)
ACCESS: Final = Topic("rom.access.v1", "who read what", (), of_cases=False)
SEALS: Final = Topic("rom.seals.v1", "signed checkpoints of the log", (CheckpointSigned,), of_cases=False)

TOPICS: Final = MappingProxyType(
    {topic.name: topic for topic in (DEFINITIONS, CASES, SCORES, TRACKS, NOTICES, DEAD_LETTERS, ACCESS, SEALS)}
)

_TYPES: Final = {name: {event.type(): event for event in topic.events} for name, topic in TOPICS.items()}


@lru_cache(maxsize=16_384)
def partition_of(key: str, partitions: int = PARTITIONS) -> int:
    """Give the partition of a key, as Kafka's default partitioner does (murmur2 over its UTF-8 bytes)."""
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = (value * multiplier & mask) ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15
