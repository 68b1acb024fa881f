"""A store and a keyring in memory: what is left of a stage's work when they cost next to nothing."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from secrets import token_bytes

from contracts.codec import CaseKey
from services.runtime.keyring.port import Destroyed
from services.runtime.store.port import Appointment, Halted, Held, Outcome, Position, StoredState, Write


class MemoryStore:
    """A `Store` for one process; written counts the states that were written."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, StoredState]] = defaultdict(dict)
        self._positions: dict[tuple[str, int], Position] = {}
        self._owners: dict[tuple[str, int], str] = {}
        self._halted: dict[str, dict[str, Halted]] = defaultdict(dict)
        self.written = 0

    async def begin(self, stage: str) -> str:
        self._states.setdefault(stage, {})
        return "memory"

    async def place(self, stage: str) -> str | None:
        return "memory" if stage in self._states else None

    async def clear(self, stage: str) -> None:
        for held in (self._states, self._halted):
            held.pop(stage, None)
        self._positions = {place: position for place, position in self._positions.items() if place[0] != stage}

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        assert states in (None, "memory")
        held = self._states[stage]
        return {case_id: held[case_id] for case_id in case_ids if case_id in held}

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        states = self._states[stage]
        outcomes = [_outcome(states.get(write.case_id), write) for write in writes]
        for write, outcome in zip(writes, outcomes, strict=True):
            if outcome is Outcome.APPLIED:
                states[write.case_id] = write.state
        self.written += len(writes)
        return outcomes

    async def cases(self, stage: str) -> AsyncIterator[str]:
        for case_id in sorted(self._states[stage]):
            yield case_id

    async def hold(self, stage: str, partition: int, owner: str) -> Held:
        self._owners[stage, partition] = owner
        return Held(self._positions.get((stage, partition)), "memory")

    async def position(self, stage: str, partition: int) -> Position | None:
        return self._positions.get((stage, partition))

    async def positions(self, stage: str, partitions: Iterable[int]) -> Mapping[int, Position]:
        return {each: self._positions[stage, each] for each in partitions if (stage, each) in self._positions}

    async def set_position(self, stage: str, partition: int, position: Position, owner: str | None = None) -> Outcome:
        assert owner in (None, self._owners.get((stage, partition)))
        self._positions[stage, partition] = position
        return Outcome.APPLIED

    async def halt(self, stage: str, halted: Sequence[Halted]) -> None:
        self._halted[stage] |= {each.case_id: each for each in halted}

    async def retry(self, stage: str, case_id: str) -> bool:
        return case_id in self._halted[stage]

    async def resume(self, stage: str, halted: Sequence[Halted]) -> None:
        for each in halted:
            self._halted[stage].pop(each.case_id, None)

    async def appointments(
        self, stage: str, until: datetime, limit: int, after: Appointment | None = None
    ) -> Sequence[Appointment]:
        due = [
            Appointment(state.due, case_id, state.offset) for case_id, state in self._states[stage].items() if state.due
        ]
        return sorted(each for each in due if each.due <= until and (after is None or each > after))[:limit]

    async def postpone(self, stage: str, appointment: Appointment, due: datetime | None) -> None:
        state = self._states[stage][appointment.case_id]
        self._states[stage][appointment.case_id] = replace(state, due=due)

    async def remove(self, stage: str, case_ids: Collection[str]) -> None:
        for held in (self._states, self._halted):
            for case_id in case_ids:
                held[stage].pop(case_id, None)

    async def take_place(self, stage: str, fresh: str, positions: Mapping[int, Position]) -> None:
        await self.clear(stage)
        for held in (self._states, self._halted):
            held[stage] = held.pop(fresh, {})  # type: ignore[assignment]
        self._positions |= {(stage, number): position for number, position in positions.items()}

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        return [each for _, each in sorted(self._halted[stage].items()) if partition in (None, each.partition)]

    async def halted_among(self, stage: str, case_ids: Collection[str]) -> Mapping[str, Halted]:
        return {name: self._halted[stage][name] for name in case_ids if name in self._halted[stage]}


def _outcome(held: StoredState | None, write: Write) -> Outcome:
    offset = None if held is None else held.offset
    if offset == write.expected:
        return Outcome.APPLIED
    return Outcome.ALREADY_APPLIED if offset == write.state.offset else Outcome.LOST


class MemoryKeyring:
    """A `Keyring` for one process."""

    def __init__(self, keys: Mapping[str, CaseKey]) -> None:
        self._keys: dict[str, CaseKey | Destroyed] = dict(keys)

    async def keys(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        return {case_id: self._keys[case_id] for case_id in case_ids if case_id in self._keys}

    async def create(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        self._keys |= {
            case_id: CaseKey(token_bytes(CaseKey.LENGTH)) for case_id in case_ids if case_id not in self._keys
        }
        return await self.keys(case_ids)

    async def adopt(self, keys: Mapping[str, CaseKey]) -> None:
        self._keys |= keys

    async def destroy(self, case_id: str) -> None:
        self._keys[case_id] = Destroyed.DESTROYED

    def case_id(self, clinic: str, number: str) -> str:
        return f"{number}@{clinic}"

    def disguised(self, text: str) -> str:
        return text
