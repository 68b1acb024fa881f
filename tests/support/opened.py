"""What a home holds of each case, opened, one partition at a time: so that homes of any size can be compared."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from contracts.codec import CaseKey, Unreadable, decode, encode, subject_of
from contracts.topics import CASES, NOTICES, PARTITIONS, SCORES, TRACKS, Topic, partition_of
from services.home import Home
from services.runtime.log.port import StoredRecord, next_offset
from services.runtime.stage import Stage
from services.runtime.store.port import StoredState
from services.runtime.store.sealed import open_state

OF_CASES: Final = (CASES, SCORES, TRACKS, NOTICES)
DERIVED: Final = (SCORES, TRACKS, NOTICES)
OF_A_RUN: Final = ("recordedtime", "keyid")
"""What of an event differs between two homes that were told the same."""

SINCE: Final = "since"
"""What states keep of when an event was recorded."""

_AT_ONCE: Final = 5_000


class Kept(NamedTuple):
    """The records of some cases. histories: case -> its records in order, each once; repeats: case -> how many more."""

    histories: Mapping[str, list[bytes]]
    repeats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Case:
    """What a home holds of one case, without when it was recorded and under which key.

    histories: topic -> its events in the order of its history, each once
    states: stage -> its state
    repeats: how many records stand on a topic more than once
    """

    histories: Mapping[str, list[Any]]
    states: Mapping[str, Any]
    repeats: int

    @property
    def digest(self) -> str:
        """One number for all of it."""
        return sha256(orjson.dumps([self.histories, self.states], option=orjson.OPT_SORT_KEYS)).hexdigest()


def digest_of(cases: Mapping[str, str]) -> str:
    """Make one digest of those of many cases."""
    return sha256(orjson.dumps(cases, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def cases_of(home: Home) -> AsyncIterator[tuple[str, Case]]:
    """Open what a home holds, case by case. Nothing may be missing in between, and what stands twice must be equal.

    States and keys are asked for all at once, as a store may have to look through all of them each time.
    """
    sealed = {stage: await _sealed(home, stage) for stage in home.stages}
    keys = await _keys(home, {case_id for held in sealed.values() for case_id in held})
    adapters: Mapping[str, TypeAdapter[Any]] = {stage.name: TypeAdapter(stage.state) for stage in home.stages}
    for partition in range(PARTITIONS):
        on = {topic.name: kept(topic, await records_of(home, topic, partition)) for topic in OF_CASES}
        ids = {case_id for held in on.values() for case_id in held.histories}
        assert all(partition_of(case_id) == partition for case_id in ids), f"foreign cases in partition {partition}"
        ids |= {case_id for held in sealed.values() for case_id in held if partition_of(case_id) == partition}
        keys |= await _keys(home, ids - keys.keys())
        for case_id in sorted(ids & keys.keys()):
            key = keys[case_id]
            histories = {
                topic.name: _opened(case_id, topic, on[topic.name].histories[case_id], key)
                for topic in OF_CASES
                if case_id in on[topic.name].histories
            }
            states = {
                stage.name: _state(adapters[stage.name], stage, case_id, key, held[case_id])
                for stage, held in sealed.items()
                if case_id in held
            }
            yield case_id, Case(histories, states, sum(held.repeats.get(case_id, 0) for held in on.values()))


def kept(topic: Topic, records: Iterable[StoredRecord]) -> Kept:
    """Give the records of each case, each once. A repeat must be byte-equal, and no number may be missing."""
    histories: dict[str, list[bytes]] = defaultdict(list)
    facts: dict[str, bytes] = {}
    repeats: dict[str, int] = defaultdict(int)
    for record in records:
        if topic is CASES and subject_of(record.value) != record.key:
            continue
        wire, history = orjson.loads(record.value), histories[record.key]
        if topic is CASES:
            place, earlier = len(history) + 1, facts.get(wire["id"])
            facts[wire["id"]] = record.value
        else:
            place = int(wire["sequence"])
            earlier = history[place - 1] if place <= len(history) else None
        if earlier is not None:
            assert earlier == record.value, f"{topic.name}: a repeated event {wire['id']} has other bytes"
            repeats[record.key] += 1
            continue
        assert place == len(history) + 1, f"{topic.name}: case {record.key} has a gap before sequence {place}"
        history.append(record.value)
    return Kept(dict(histories), repeats)


async def records_of(home: Home, topic: Topic, partition: int) -> list[StoredRecord]:
    """Read a partition."""
    found: list[StoredRecord] = []
    offset = 0
    while records := await home.log.read(topic, partition, offset, _AT_ONCE):
        found += records
        offset = next_offset(records)
    return found


async def _keys(home: Home, case_ids: Collection[str]) -> dict[str, CaseKey]:
    """Give the keys of cases, but for those that were destroyed."""
    found = await home.keyring.keys(case_ids)
    assert found.keys() == set(case_ids), "a case has no key"
    return {case_id: key for case_id, key in found.items() if isinstance(key, CaseKey)}


async def _sealed(home: Home, stage: Stage[Any]) -> Mapping[str, StoredState]:
    return await home.store.load(stage.name, [case_id async for case_id in home.store.cases(stage.name)])


def _state(adapter: TypeAdapter[Any], stage: Stage[Any], case_id: str, key: CaseKey, stored: StoredState) -> Any:
    state = open_state(adapter, stage, case_id, key, stored)
    return _timeless(orjson.loads(adapter.dump_json(state)), (*OF_A_RUN, SINCE))


def _opened(case_id: str, topic: Topic, records: Iterable[bytes], key: CaseKey) -> list[Any]:
    """Open the events of a case, without what differs between runs."""
    events = [decode(record, topic, key) for record in records]
    opened = [
        _timeless(orjson.loads(encode(event._replace(sealed=None))))
        for event in events
        if not isinstance(event, Unreadable)
    ]
    assert len(opened) == len(events), f"{topic.name}: case {case_id} has events that cannot be read"
    return opened


def _timeless(value: Any, left_out: Collection[str] = OF_A_RUN) -> Any:
    """Give plain values without the times at which events were recorded, wherever they stand."""
    match value:
        case dict():
            return {name: _timeless(each, left_out) for name, each in value.items() if name not in left_out}
        case list():
            return [_timeless(each, left_out) for each in value]
        case _:
            return value
