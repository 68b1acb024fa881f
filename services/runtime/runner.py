"""The runner around every stage: load, step, publish, save, move on, in this order and in no other.

A crash between any two of these repeats work and changes nothing: a step is deterministic, a state is written on
condition that nobody has written it since, and what is published twice bears the same sequence and is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from sys import maxsize
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeVar
from uuid import uuid4

from contracts.codec import CaseKey
from contracts.events.event import Event
from contracts.topics import DEAD_LETTERS
from services.runtime.batch import Batch, Stepper
from services.runtime.faults import RECORDS_BACK, PartitionLost, StageStopped, rebuild
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, StoredRecord, next_offset
from services.runtime.reading import event_of
from services.runtime.refusals import DefinitionUnfit
from services.runtime.stage import Stage
from services.runtime.store.port import Halted, Outcome, Position, StatesLost, Store

StateT = TypeVar("StateT")

BATCH: Final = 2_000
AT_A_TIME: Final = 50
"""Records after which whatever else waits in this process has its turn, such as who is to be answered by ingest."""

DEAD_LETTERS_AT_MOST: Final = 100
"""More unreadable facts in one partition, in one process, stop the stage: then it is not one record's fault."""


class Done(NamedTuple):
    """What became of a batch.

    first: the offset of its first record; read: its records; published: the events that came out
    repeated: records that were read although their events had been taken already, and were dropped
    dead_letters: facts that could not be read; halted: cases that could not go on
    """

    first: int
    read: int
    published: int
    repeated: int
    dead_letters: int
    halted: Sequence[Halted]


@dataclass(slots=True)
class _Share:
    """A partition that was taken up: under which name, with which states, and the next offset."""

    owner: str
    states: str
    position: int


async def _nothing_new() -> None:
    """Learn nothing: who publishes definitions, or has learned all before each run, has nobody to ask."""


class Runner(Generic[StateT]):
    """Runs one stage over the partitions of its topic.

    learn: learns the definitions that were published since it was called last, for the stage to step with
    """

    learn: Callable[[], Awaitable[None]] = staticmethod(_nothing_new)

    def __init__(
        self,
        stage: Stage[StateT],
        log: Log,
        store: Store,
        keyring: Keyring,
        log_id: str,
        *,
        dead_letters_at_most: int = DEAD_LETTERS_AT_MOST,
    ) -> None:
        """Run `stage` on these.

        log_id: the identity of the log, by which positions are recognised
        dead_letters_at_most: how many unreadable facts are put aside in one partition before the stage stops there;
            one that writes nothing puts nothing aside and passes them over
        """
        self._stage = stage
        self._log = log
        self._store = store
        self._keyring = keyring
        self._log_id = log_id
        self._dead_letters_at_most = dead_letters_at_most
        self._stepper = Stepper(stage, log_id, keeps_events=log.is_read_here)
        self._shares: dict[int, _Share] = {}
        self._dead_letters: dict[int, int] = {}
        self._stepping = asyncio.Lock()

    async def open(self, partition: int) -> int:
        """Take up a partition where the store says that it was left; give where it ends.

        Raises StageStopped, PartitionLost if somebody else takes it up at that moment, or Unavailable, for a while also
        where other states are put there.
        """
        stage, owner = self._stage, uuid4().hex
        held = await self._store.hold(stage.name, partition, owner)
        # Asked after the position: whoever had the partition until now may have gone on in between.
        end = await self._log.end(stage.reads, partition)
        position, states = held.position, held.states
        if position is None:
            if stage.writes is not None and await self._log.end(stage.writes, partition) > 0:
                why = f"{stage.writes.name} has events, but where it was is not known"
                self._stop(partition, why, rebuild(stage.name))
            await self._store.begin(stage.name)
            position = Position(self._log_id, 0)
            await self._said(partition, position, owner)
            states = (await self._store.hold(stage.name, partition, owner)).states
        if states is None:
            self._stop(partition, str(StatesLost(stage.name)), rebuild(stage.name))
        if position.log != self._log_id:
            self._stop(partition, "its states come from another log", rebuild(stage.name))
        if position.offset > end:
            self._stop(partition, _shorter(stage), RECORDS_BACK)
        self._shares[partition] = _Share(owner, states, position.offset)
        self._dead_letters.setdefault(partition, 0)
        return end

    def leave(self, partition: int) -> None:
        """Give a partition up; nothing is done there until it is opened again."""
        self._shares.pop(partition, None)

    def stands_on(self, states: str) -> bool:
        """Tell whether the states of every partition that was taken up are at a place. states: names it."""
        return all(share.states == states for share in self._shares.values())

    async def require_states(self, partition: int) -> None:
        """Make sure that a partition stands on the states that are there. Raises PartitionLost: others are by now.

        They can have read less, and where nothing comes nobody would see that.
        """
        if await self._store.place(self._stage.name) != self._share(partition).states:
            self.leave(partition)
            raise PartitionLost(f"the states of {self._stage.name} were replaced")

    def position(self, partition: int) -> int:
        """Give how far it has come in a partition. Raises PartitionLost if that was given up, or never opened."""
        return self._share(partition).position

    def _share(self, partition: int) -> _Share:
        share = self._shares.get(partition)
        if share is None:
            raise PartitionLost(f"{self._stage.name} has to take up partition {partition} first")
        return share

    async def resume_halted(self, partition: int) -> Sequence[Halted]:
        """Try halted cases again, each from where it stands; those whose cause is gone go on; give the others."""
        again: list[Halted] = []
        waiting = {halted.case_id: halted for halted in await self._store.halted(self._stage.name, partition)}
        since = {case_id: halted.offset for case_id, halted in waiting.items()}
        offset, end = min(since.values(), default=0), self.position(partition)
        while waiting and offset < end:
            records = await self._log.read(self._stage.reads, partition, offset, min(BATCH, end - offset))
            if not records:
                self._stop(partition, _shorter(self._stage), RECORDS_BACK)
            theirs = [record for record in records if record.offset >= since.get(record.key, end)]
            batch = await self._worked(partition, theirs, resuming=True)
            await self._published_and_saved(batch)
            for case_id in batch.halted:
                del waiting[case_id], since[case_id]
            again.extend(batch.halted.values())
            offset = next_offset(records)
        if waiting:
            await self._store.resume(self._stage.name, list(waiting.values()))
        return again

    async def advance(self, partition: int, limit: int = BATCH) -> int:
        """Read the next records of a partition and process them; give how many there were."""
        records = await self._log.read(self._stage.reads, partition, self.position(partition), limit)
        if records:
            await self.process(partition, records)
        return len(records)

    async def process(self, partition: int, records: Sequence[StoredRecord]) -> Done:
        """Process the next records of an opened partition. Raises StageStopped, PartitionLost, or what the ports raise.

        After any of these nothing has been skipped: the same records come again.
        """
        share = self._share(partition)
        expected = share.position
        if records[0].offset < expected:
            raise PartitionLost(f"{self._stage.name} has read on in partition {partition} by another way")
        if records[0].offset > expected:
            lacks = f"{self._stage.reads.name} goes on with offset {records[0].offset} where {expected} was expected"
            self._stop(partition, lacks, RECORDS_BACK)
        batch = await self._worked(partition, records)
        dead_letters = self._dead_letters[partition] + len(batch.dead)
        if self._stage.writes is not None and dead_letters > self._dead_letters_at_most:
            why = (
                f"{dead_letters} records of {self._stage.reads.name} cannot be read, "
                f"more than the {self._dead_letters_at_most} that are put aside without asking"
            )
            self._stop(partition, why, "find out who writes them, then start again with a higher limit")
        await self._published_and_saved(batch)
        position = next_offset(records)
        await self._said(partition, Position(self._log_id, position), share.owner)
        share.position = position
        self._dead_letters[partition] = dead_letters
        halted = list(batch.halted.values())
        return Done(records[0].offset, len(records), len(batch.out), batch.repeated, len(batch.dead), halted)

    async def _worked(
        self, partition: int, records: Sequence[StoredRecord], *, resuming: bool = False
    ) -> Batch[StateT]:
        """Load the states of the batch's cases and step through its records in order."""
        name, case_ids = self._stage.name, {record.key for record in records}
        place = self._share(partition).states
        try:
            keys, states, waiting = await asyncio.gather(
                self._keyring.keys(case_ids),
                self._store.load(name, case_ids, place),
                self._store.halted(name, partition),
            )
        except StatesLost as lost:
            self._stop(partition, str(lost), rebuild(name))
        if erased := [case_id for case_id in states if isinstance(keys.get(case_id), Destroyed)]:
            await self._store.remove(name, erased)
        skipped = () if resuming else {halted.case_id for halted in waiting}
        without = {case_id: key for case_id, key in keys.items() if isinstance(key, CaseKey) and case_id not in states}
        stateless = await self._stateless(partition, [each for each in records if each.key not in skipped], without)
        left = [record for record in records if record.key not in stateless] if stateless else records
        batch: Batch[StateT] = Batch(partition)
        further = partial(self._stepper.further, batch, keys=keys, states=states, skipped=skipped)
        await self._in_turn(further, left)
        if batch.lacking:
            lacking, batch.lacking = batch.lacking, {}
            # A definition is published before a fact names it, but perhaps after this process last asked for any.
            # Of one that is unfit others tell; here it is missing.
            with suppress(DefinitionUnfit):
                await self.learn()
            for case_id in lacking:
                del batch.halted[case_id]
            await self._in_turn(further, [each for each in left if each.offset >= lacking.get(each.key, maxsize)])
        batch.halted |= stateless
        return batch

    async def _in_turn(
        self, further: Callable[[Sequence[StoredRecord]], None], records: Sequence[StoredRecord]
    ) -> None:
        """Step through records a few at a time, one partition after the other: others wait for no more than these."""
        for start in range(0, len(records), AT_A_TIME):
            async with self._stepping:
                further(records[start : start + AT_A_TIME])
                await asyncio.sleep(0)

    async def _stateless(
        self, partition: int, records: Sequence[StoredRecord], without: Mapping[str, CaseKey]
    ) -> Mapping[str, Halted]:
        """Find the cases whose state was lost: going on from nothing would conclude what does not follow.

        A case begins with its first record. Where another one comes first, and others of it were read before, there was
        a state. The partition is read again for that, which happens at no other time.

        without: the cases that have no state, and their keys
        """
        first: dict[str, StoredRecord] = {}
        for record in records:
            if record.key in without:
                first.setdefault(record.key, record)
        since = {case_id: record.offset for case_id, record in first.items() if not self._stepper.can_begin(record)}
        found: dict[str, Halted] = {}
        offset, topic = 0, self._stage.reads
        while (
            since and offset < max(since.values()) and (before := await self._log.read(topic, partition, offset, BATCH))
        ):
            offset = next_offset(before)
            for record in before:
                at = since.get(record.key, 0)
                if record.offset < at and self._was_read(record, without[record.key]):
                    found[record.key] = Halted(record.key, partition, since.pop(record.key), "state-missing")
        return found

    def _was_read(self, record: StoredRecord, key: CaseKey) -> bool:
        return isinstance(record.event or event_of(record, self._stage.reads, key), Event)

    async def _published_and_saved(self, batch: Batch[StateT]) -> None:
        """Publish what came out, then write the states that it came from."""
        if batch.dead and self._stage.writes is not None:
            await self._log.append(DEAD_LETTERS, batch.partition, batch.dead)
        if batch.out and self._stage.writes is not None:
            await self._log.append(self._stage.writes, batch.partition, batch.out)
        writes = self._stepper.writes(batch)
        if writes and Outcome.LOST in await self._store.save(self._stage.name, writes):
            self._lose(batch.partition)
        if batch.halted:
            await self._store.halt(self._stage.name, list(batch.halted.values()))
        await self._forget_erased([*batch.halted, *(write.case_id for write in writes if write.expected is None)])

    async def _forget_erased(self, begun: Sequence[str]) -> None:
        """Remove what was just begun to be kept of cases that were erased in between.

        Whoever erases one destroys its key before its states are removed: so either they see what was written here, or
        the key is seen to be gone here. A state that was there is not written if it is there no more.
        """
        keys = await self._keyring.keys(begun) if begun else {}
        if erased := [case_id for case_id, key in keys.items() if isinstance(key, Destroyed)]:
            await self._store.remove(self._stage.name, erased)

    async def _said(self, partition: int, position: Position, owner: str) -> None:
        """Say how far it has come in a partition. Raises PartitionLost if that is somebody else's by now."""
        if await self._store.set_position(self._stage.name, partition, position, owner) is Outcome.LOST:
            self._lose(partition)

    def _lose(self, partition: int) -> NoReturn:
        self.leave(partition)
        raise PartitionLost(f"another process runs {self._stage.name} on partition {partition}")

    def _stop(self, partition: int, why: str, mend: str) -> NoReturn:
        raise StageStopped(self._stage.name, partition, why, mend)


def _shorter(stage: Stage[Any]) -> str:
    return f"{stage.reads.name} is shorter than what has been read of it"
