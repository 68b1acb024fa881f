"""Real events of `rom.scores.v1`: those of a simulated cohort that was imported, in the order of their times."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from contracts.codec import CaseKey, glance
from contracts.topics import SCORES
from services.embedded import EmbeddedHome
from services.runtime.brokers import Brokers
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record, StoredRecord
from tests.benchmarks.cohorts import imported, write_cohort

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Scores:
    """Events by partition, sealed and numbered; and the keys of their cases."""

    partitions: Mapping[int, list[Record]]
    keys: Mapping[str, CaseKey]

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(map(len, self.partitions.values()))

    @property
    def mean_bytes(self) -> float:
        """How large they are."""
        return sum(len(each.value) for records in self.partitions.values() for each in records) / self.events

    def first(self, events: int) -> "Scores":
        """Give the first ones of each partition, about so many in all."""
        each = -(-events // len(self.partitions))
        return Scores({partition: records[:each] for partition, records in self.partitions.items()}, self.keys)

    async def put(self, brokers: Brokers) -> None:
        """Append them to an empty topic."""
        async with KafkaLog(brokers) as log:
            await asyncio.gather(*(self._put(log, partition) for partition in self.partitions))

    async def _put(self, log: KafkaLog, partition: int) -> None:
        records = self.partitions[partition]
        for start in range(0, len(records), _AT_ONCE):
            await log.append(SCORES, partition, records[start : start + _AT_ONCE])


async def scores_of_a_cohort(folder: Path, *, events: int) -> Scores:
    """Draw and import a cohort whose responses become about so many events; a response becomes two."""
    file = folder / "cohort.csv"
    write_cohort(file, cases=max(events // 40, 12), responses=events // 2, sessions=5)
    partitions: dict[int, list[Record]] = {}
    case_ids: set[str] = set()
    await imported(file, folder / "home")
    async with await EmbeddedHome.open(folder / "home") as home:
        for partition in range(SCORES.partitions):
            stored = await home.log.read(SCORES, partition, 0, 10 * events)
            partitions[partition] = _in_time(stored)
            case_ids |= {record.key for record in stored}
        keys = await home.keyring.keys(case_ids)
    return Scores(partitions, {case_id: key for case_id, key in keys.items() if isinstance(key, CaseKey)})


def _in_time(records: Iterable[StoredRecord]) -> list[Record]:
    """Put records in the order in which a region would have seen them; those of one case keep theirs."""
    last: dict[str, str] = {}
    at: list[tuple[str, Record]] = []
    for record in records:
        seen = glance(record.value)
        assert seen is not None
        last[record.key] = max(seen.time, last.get(record.key, ""))
        at.append((last[record.key], Record(record.key, record.value)))
    return [record for _, record in sorted(at, key=itemgetter(0))]
