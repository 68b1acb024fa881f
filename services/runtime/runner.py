"""The runner around every stage: load, step, publish, save, move on, in this order and in no other.

A crash between any two of these repeats work and changes nothing: a step is deterministic, a state is written on
condition that nobody has written it since, and what is published twice bears the same sequence and is dropped.
"""

import asyncio
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter

from contracts.codec import (
    CaseKey,
    Tail,
    Unreadable,
    decode,
    encode,
    ending,
    prepared,
    renumbered,
    subject_of,
    tail,
)
from contracts.definitions.catalogue import DefinitionMissing
from contracts.events.event import DERIVED_ID, Data, Event, name_based_id
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES, DEAD_LETTERS
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, Record, StoredRecord, next_offset
from services.runtime.stage import Stage
from services.runtime.store.port import Halted, Outcome, Position, StatesLost, Store, StoredState, Write
from services.runtime.store.sealed import StateUnreadable, open_state

StateT = TypeVar("StateT")

BATCH: Final = 2_000
DEAD_LETTERS_AT_MOST: Final = 100
"""More unreadable facts in one partition, in one process, stop the stage: then it is not one record's fault."""

_NEW_HOME: Final = "export the log (ontrack export --output DIR) and import it into an empty home (ontrack import DIR)"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class StageStopped(Exception):
    """A partition cannot go on: what is there contradicts itself. Says why, and what mends it."""

    def __init__(self, stage: str, partition: int, why: str, mend: str) -> None:
        """Name the stage, the partition, the reason and the way out."""
        super().__init__(f"{stage} stops at partition {partition}: {why}. To mend it: {mend}.")
        self.stage = stage
        self.partition = partition


class PartitionLost(Exception):
    """Another runner of the same stage has taken this partition: it is theirs until it is opened again."""


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


@dataclass(slots=True)
class _Case(Generic[StateT]):
    """A case while a batch is worked on; `loaded` is the offset that its state was stored with."""

    key: CaseKey
    state: StateT
    offset: int = -1
    read: int = 0
    written: int = 0
    loaded: int | None = None

    @property
    def has_moved(self) -> bool:
        """Whether something of it was taken."""
        return self.offset > (-1 if self.loaded is None else self.loaded)


@dataclass(slots=True)
class _Batch(Generic[StateT]):
    """What has come of a batch so far."""

    partition: int
    cases: dict[str, _Case[StateT]] = field(default_factory=dict)
    out: list[Record] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    halted: dict[str, Halted] = field(default_factory=dict)
    repeated: int = 0


class Runner(Generic[StateT]):
    """Runs one stage over the partitions of its topic."""

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
        self._states: TypeAdapter[StateT] = TypeAdapter(stage.state)
        self._is_numbered = stage.reads is not CASES
        self._carried = frozenset(stage.writes.events if stage.writes is not None else ())
        passed_over = (kind for kind in stage.reads.events if kind not in stage.acts_on and self._is_numbered)
        self._passed_over = tuple(ending(kind) for kind in passed_over)
        self._rebuild = f"ontrack rebuild {stage.name} makes them anew from the log"
        self._shares: dict[int, _Share] = {}
        self._dead_letters: dict[int, int] = {}

    async def open(self, partition: int) -> int:
        """Take up a partition where the store says that it was left; give where it ends.

        Raises StageStopped, or PartitionLost if somebody else takes it up at that moment.
        """
        stage, owner = self._stage, uuid4().hex
        held = await self._store.hold(stage.name, partition, owner)
        # Asked after the position: whoever had the partition until now may have gone on in between.
        end = await self._log.end(stage.reads, partition)
        position, states = held.position, held.states
        if position is None:
            if stage.writes is not None and await self._log.end(stage.writes, partition) > 0:
                self._stop(partition, f"{stage.writes.name} has events, but where it was is not known", self._rebuild)
            states, position = await self._store.begin(stage.name), Position(self._log_id, 0)
            await self._said(partition, position, owner)
        if states is None:
            self._stop(partition, str(StatesLost(stage.name)), self._rebuild)
        if position.log != self._log_id:
            self._stop(partition, "its states come from another log", self._rebuild)
        if position.offset > end:
            self._stop(partition, _shorter(stage), _NEW_HOME)
        self._shares[partition] = _Share(owner, states, position.offset)
        self._dead_letters.setdefault(partition, 0)
        return end

    def leave(self, partition: int) -> None:
        """Give a partition up; nothing is done there until it is opened again."""
        self._shares.pop(partition, None)

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
                self._stop(partition, _shorter(self._stage), _NEW_HOME)
            theirs = [record for record in records if record.offset >= since.get(record.key, end)]
            batch = await self._worked(partition, theirs, resuming=True)
            await self._published_and_saved(batch)
            for case_id in batch.halted:
                del waiting[case_id], since[case_id]
            again.extend(batch.halted.values())
            offset = next_offset(records)
        for halted in waiting.values():
            await self._store.resume(self._stage.name, halted)
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
            self._stop(partition, lacks, _NEW_HOME)
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
    ) -> _Batch[StateT]:
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
            self._stop(partition, str(lost), self._rebuild)
        skipped = set() if resuming else {halted.case_id for halted in waiting}
        batch: _Batch[StateT] = _Batch(partition)
        for record in records:
            if record.key in skipped or record.key in batch.halted:
                continue
            case = batch.cases.get(record.key)
            if case is None:
                key = keys.get(record.key)
                if key is None:
                    self._keyless(batch, record)
                    continue
                if isinstance(key, Destroyed):
                    skipped.add(record.key)
                    continue
                case = batch.cases[record.key] = self._case(record.key, key, states.get(record.key), partition)
            if record.offset > case.offset:
                self._take(batch, record, case)
        return batch

    def _keyless(self, batch: _Batch[StateT], record: StoredRecord) -> None:
        """Halt a case that has no key; a record that is of no case, because it says another one or none, is unreadable.

        Somebody else wrote that: whoever writes facts makes the key first.
        """
        if record.key and subject_of(record.value) == record.key:
            self._halt(batch, record, "key-missing")
        else:
            self._unreadable(batch, record, Unreadable("not-an-event"))

    def _case(self, case_id: str, key: CaseKey, stored: StoredState | None, partition: int) -> _Case[StateT]:
        if stored is None:
            return _Case(key, self._stage.initial(case_id))
        if stored.schema != self._stage.schema:
            why = f"its states have shape {stored.schema}, this version knows {self._stage.schema}"
            self._stop(partition, why, self._rebuild)
        try:
            state = open_state(self._states, self._stage.name, case_id, key, stored)
        except StateUnreadable as unreadable:
            self._stop(partition, str(unreadable), self._rebuild)
        return _Case(key, state, stored.offset, stored.read, stored.written, stored.offset)

    def _take(self, batch: _Batch[StateT], record: StoredRecord, case: _Case[StateT]) -> None:
        """Take one record: step, number what follows, and keep it for publication."""
        event = record.event
        if event is None:
            seen = tail(record.value) if record.value.endswith(self._passed_over) else None
            if seen is not None and seen.subject == record.key and seen.sequence > 0:
                self._pass_on(batch, record, case, seen)
                return
            read = self._read(record, case.key)
            if isinstance(read, Unreadable):
                self._unreadable(batch, record, read)
                return
            event = read
        sequence = event.sequence or 0
        if self._is_numbered and not self._is_next(batch, record, sequence, case):
            return
        try:
            state, records = self._stepped(record, case, event)
        except DefinitionMissing as missing:
            self._halt(batch, record, f"definition-missing {missing.ref}")
            return
        except Exception as error:  # noqa: BLE001 - whatever a step raises halts its case, and no other
            self._halt(batch, record, f"step-failed {place_of(error)}")
            return
        if not self._is_numbered and state is case.state and not records:
            batch.repeated += 1
        case.state, case.offset, case.read = state, record.offset, sequence
        case.written += len(records)
        batch.out.extend(records)

    def _stepped(self, read: StoredRecord, case: _Case[StateT], event: Event[Data]) -> tuple[StateT, list[Record]]:
        """Step, and number what follows; nothing is changed if that fails."""
        kind, state = type(event.data), case.state
        following: Sequence[Event[Data]] = (event,) if kind in self._carried else ()
        if kind in self._stage.acts_on:
            state, following = self._stage.step(state, event)
        if not self._carried:
            return state, []
        records: list[Record] = []
        for number, outgoing in enumerate(following, case.written + 1):
            if outgoing.subject != read.key:
                raise ValueError("a step speaks of its own case only")
            value = _renumbered(read.value, number) if outgoing is event else None
            records.append(self._record(outgoing, case.key, number, value))
        return state, records

    def _record(self, event: Event[Data], key: CaseKey, number: int, value: bytes | None) -> Record:
        """Make the record of an event; its bytes, if they are there, need not be made."""
        if value is not None and not self._log.is_read_here:
            return Record(event.subject, value)
        ready = prepared(event, key, number)
        return Record(event.subject, value or encode(ready), ready if self._log.is_read_here else None)

    def _read(self, record: StoredRecord, key: CaseKey) -> Event[Data] | Unreadable:
        """Read what a record says."""
        event = decode(record.value, self._stage.reads, key)
        if isinstance(event, Unreadable):
            return event
        belongs = event.subject == record.key and (event.sequence is not None) == self._is_numbered
        return event if belongs else Unreadable("not-an-event")

    def _pass_on(self, batch: _Batch[StateT], record: StoredRecord, case: _Case[StateT], seen: Tail) -> None:
        """Pass an event on unopened, with its new number, if the topic carries such events."""
        if not self._is_next(batch, record, seen.sequence, case):
            return
        if self._stage.writes is not None and self._stage.writes.type_named(seen.type) is not None:
            case.written += 1
            batch.out.append(Record(record.key, renumbered(record.value, seen, case.written)))
        case.offset, case.read = record.offset, seen.sequence

    def _is_next(self, batch: _Batch[StateT], record: StoredRecord, sequence: int, case: _Case[StateT]) -> bool:
        """Tell whether an event continues its case's history; a repeated one does not, and a gap stops the stage."""
        if sequence > case.read + 1:
            why = (
                f"{self._stage.reads.name} has a gap at offset {record.offset}: "
                f"sequence {sequence} of case {record.key} follows {case.read}"
            )
            self._stop(batch.partition, why, _NEW_HOME)
        is_next = sequence == case.read + 1
        batch.repeated += not is_next
        return is_next

    def _unreadable(self, batch: _Batch[StateT], record: StoredRecord, unreadable: Unreadable) -> None:
        """Put a fact that cannot be read on record; on a derived topic nothing may be unreadable."""
        topic, partition = self._stage.reads, batch.partition
        if topic is not CASES:
            why = f"{topic.name} cannot be read at offset {record.offset} ({unreadable.reason})"
            self._stop(partition, why, _NEW_HOME)
        letter = Event(
            id=name_based_id(DERIVED_ID, self._log_id, topic.name, str(partition), str(record.offset)),
            source=f"urn:ontrack:{self._stage.name}",
            subject=topic.name,
            time=_EPOCH,
            recordedtime=_EPOCH,
            correlationid=self._log_id,
            causationid=None,
            data=FactUnreadable(partition=partition, offset=record.offset, reason=unreadable.reason),
        )
        batch.dead.append(Record(record.key, encode(letter)))

    def _halt(self, batch: _Batch[StateT], record: StoredRecord, reason: str) -> None:
        batch.halted[record.key] = Halted(record.key, batch.partition, record.offset, reason)

    async def _published_and_saved(self, batch: _Batch[StateT]) -> None:
        """Publish what came out, then write the states that it came from."""
        if batch.dead and self._stage.writes is not None:
            await self._log.append(DEAD_LETTERS, batch.partition, batch.dead)
        if batch.out and self._stage.writes is not None:
            await self._log.append(self._stage.writes, batch.partition, batch.out)
        writes = [self._write(case_id, case) for case_id, case in batch.cases.items() if case.has_moved]
        if writes and Outcome.LOST in await self._store.save(self._stage.name, writes):
            self._lose(batch.partition)
        for halted in batch.halted.values():
            await self._store.halt(self._stage.name, halted)

    async def _said(self, partition: int, position: Position, owner: str) -> None:
        """Say how far it has come in a partition. Raises PartitionLost if that is somebody else's by now."""
        if await self._store.set_position(self._stage.name, partition, position, owner) is Outcome.LOST:
            self._lose(partition)

    def _lose(self, partition: int) -> NoReturn:
        self.leave(partition)
        raise PartitionLost(f"another process runs {self._stage.name} on partition {partition}")

    def _write(self, case_id: str, case: _Case[StateT]) -> Write:
        body = case.key.seal(self._states.dump_json(case.state), self._stage.name.encode(), case_id.encode())
        state = StoredState(case.offset, case.read, case.written, self._stage.schema, body)
        return Write(case_id, case.loaded, state)

    def _stop(self, partition: int, why: str, mend: str) -> NoReturn:
        raise StageStopped(self._stage.name, partition, why, mend)


def _shorter(stage: Stage[Any]) -> str:
    return f"{stage.reads.name} is shorter than what has been read of it"


def _renumbered(record: bytes, sequence: int) -> bytes | None:
    """Give the record of an event that is said again as it came, with its new number; None if it is not canonical."""
    seen = tail(record)
    return renumbered(record, seen, sequence) if seen is not None else None


def place_of(error: BaseException) -> str:
    """Say what kind of error came from where; its message could hold an answer, so it stays unsaid."""
    frames: Iterable[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    *_, last = frames
    return f"{type(error).__name__} in {last.name}, line {last.lineno}"
