"""One stage over a history from its beginning: its cases stay open, and those unused for longest go on a shelf."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Generic, TypeVar

from contracts.codec import CaseKey
from contracts.topics import CASES
from services.runtime.batch import Batch, Case, Stepper
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import StoredRecord
from services.runtime.stage import Stage
from services.runtime.store.port import Halted, Outcome, Store, StoredState, Write

StateT = TypeVar("StateT")

OPEN_AT_MOST: Final = 1_000
"""Cases of a stage that are kept open. An open state takes some 100 KB, one on the shelf a fifth of that, on disk."""

_KEYS_AT_MOST: Final = 16 * OPEN_AT_MOST

_FIRST_RANK: Final = 1 << 40
"""Beyond every offset."""


class Keys:
    """The keys of cases, each asked for once: opening one takes longer than a step.

    elsewhere: the cases whose keys are kept by somebody else; what is said of them stays sealed here
    """

    def __init__(self, keyring: Keyring, *, are_all_here: bool = True) -> None:
        """Ask `keyring`. are_all_here: whether every case has its key there, unless that was destroyed."""
        self.elsewhere: set[str] = set()
        self._keyring = keyring
        self._are_all_here = are_all_here
        self._known: dict[str, CaseKey | Destroyed] = {}

    async def of(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of some cases; one that never had a key is absent."""
        unknown = [case_id for case_id in case_ids if case_id not in self._known]
        if unknown:
            if len(self._known) > _KEYS_AT_MOST:
                self._known.clear()
                unknown = list(case_ids)
            found = await self._keyring.keys(unknown)
            self._known.update(found)
            if not self._are_all_here:
                elsewhere = set(unknown) - found.keys()
                self.elsewhere |= elsewhere
                # For whoever asks here, such a case is as one that nobody can read.
                self._known.update(dict.fromkeys(elsewhere, Destroyed.DESTROYED))
        return {case_id: self._known[case_id] for case_id in case_ids if case_id in self._known}


class Fold(Generic[StateT]):
    """A stage, and what it knows so far of every case."""

    def __init__(self, stage: Stage[StateT], log_id: str, keys: Keys, shelf: Store, *, makes_bytes: bool) -> None:
        """Begin with nothing. shelf: takes the states of cases, sealed; makes_bytes: of what the stage concludes."""
        self.stage = stage
        self.halted: dict[str, Halted] = {}
        self._stepper = Stepper(stage, log_id, keeps_events=True, makes_bytes=makes_bytes)
        self._keys = keys
        self._shelf = shelf
        self._open: dict[str, Case[StateT]] = {}
        self._has_shelved = False
        self._rank = None if stage.reads is CASES else _FIRST_RANK
        self._at: dict[str, int] = {}

    async def take(self, partition: int, records: Sequence[StoredRecord]) -> Batch[StateT]:
        """Step through the next records of a partition; give what comes of them."""
        wanted = dict.fromkeys(record.key for record in records)
        absent = [case_id for case_id in wanted if case_id not in self._open]
        states = await self._shelf.load(self.stage.name, absent)
        ranked = records if self._rank is None else self._ranked(records)
        batch = self._stepper.through(partition, ranked, await self._keys.of(absent), states, self.halted, self._open)
        for case_id, case in batch.cases.items():
            self._open.pop(case_id, None)
            self._open[case_id] = case
        if batch.halted:
            stand = dict(zip((each.offset for each in ranked), (each.offset for each in records), strict=True))
            self.halted |= {name: replace(each, offset=stand[each.offset]) for name, each in batch.halted.items()}
        if len(self._open) > OPEN_AT_MOST:
            # Those of this batch are asked about (`state`).
            await self.put_away(len(self._open) - max(OPEN_AT_MOST // 2, len(batch.cases)))
        return batch

    def _ranked(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give records one behind the other: of those that are missing, several stand at the offset of the next one."""
        self._at.update((record.key, record.offset) for record in records)
        first, self._rank = self._rank or 0, (self._rank or 0) + len(records)
        return [StoredRecord(rank, key, value, event) for rank, (_, key, value, event) in enumerate(records, first)]

    def state(self, case_id: str) -> StateT | None:
        """Give what is known of a case that was in the last batch."""
        case = self._open.get(case_id)
        return None if case is None else case.state

    async def put_away(self, number: int | None = None) -> None:
        """Put so many cases on the shelf, or all of them: those first that were not asked for since longest."""
        self._has_shelved = True
        outcomes = await self._shelf.save(self.stage.name, self._closed(list(self._open)[:number]))
        if any(outcome is not Outcome.APPLIED for outcome in outcomes):
            raise RuntimeError("somebody else writes to the shelf")

    def _closed(self, case_ids: Collection[str]) -> list[Write]:
        """Close some cases; give their states as they are written."""
        batch: Batch[StateT] = Batch(0, {case_id: self._open.pop(case_id) for case_id in case_ids})
        writes = self._stepper.writes(batch)
        if self._rank is None:
            return writes
        return [replace(each, state=replace(each.state, offset=self._at.pop(each.case_id))) for each in writes]

    async def handed_over(self, at_once: int) -> AsyncIterator[Mapping[str, StoredState]]:
        """Give the state of every case, so many at once; nothing is known of any then."""
        if self._has_shelved:
            await self.put_away()
            shelved = [case_id async for case_id in self._shelf.cases(self.stage.name)]
            for start in range(0, len(shelved), at_once):
                yield await self._shelf.load(self.stage.name, shelved[start : start + at_once])
            await self._shelf.clear(self.stage.name)
            self._has_shelved = False
        while self._open:
            yield {each.case_id: each.state for each in self._closed(list(self._open)[:at_once])}
