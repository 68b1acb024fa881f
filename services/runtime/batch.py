"""A batch of records, stepped through: what comes of it, before anything of that is published or saved."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Generic, NoReturn, TypeVar

from pydantic import TypeAdapter

from contracts.codec import (
    CaseKey,
    Unreadable,
    encode,
    ending,
    glance,
    prepared,
    renumbered,
    subject_of,
    tail,
)
from contracts.definitions.catalogue import DefinitionMissing
from contracts.events.event import DERIVED_ID, Data, Event, name_based_id
from contracts.events.facts import CaseEnrolled
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES
from services.runtime.faults import NEW_HOME, StageStopped, place_of, rebuild
from services.runtime.keyring.port import Destroyed
from services.runtime.log.port import Record, StoredRecord
from services.runtime.reading import event_of
from services.runtime.stage import Stage, Timed
from services.runtime.store.port import Halted, StoredState, Write
from services.runtime.store.sealed import StateUnreadable, open_state

StateT = TypeVar("StateT")

_ENROLMENT: Final = ending(CaseEnrolled)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Case(Generic[StateT]):
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
class Batch(Generic[StateT]):
    """What has come of a batch so far. lacking: where those of the halted cases stand that lack a definition."""

    partition: int
    cases: dict[str, Case[StateT]] = field(default_factory=dict)
    out: list[Record] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    halted: dict[str, Halted] = field(default_factory=dict)
    lacking: dict[str, int] = field(default_factory=dict)
    repeated: int = 0


class Stepper(Generic[StateT]):
    """Steps one stage through batches of records. It has no effect but on the batch that it gives."""

    def __init__(self, stage: Stage[StateT], log_id: str, *, keeps_events: bool, makes_bytes: bool = True) -> None:
        """Step `stage` through records of the log with this identity.

        keeps_events: whether an event is to be kept beside the record that is made of it
        makes_bytes: whether that record is to be published, or compared; else it is the event alone
        """
        self._stage = stage
        self._log_id = log_id
        self._keeps_events = keeps_events
        self._makes_bytes = makes_bytes
        self._timed = stage if isinstance(stage, Timed) else None
        self._states: TypeAdapter[StateT] = TypeAdapter(stage.state)
        self._is_numbered = stage.reads is not CASES
        self._carried = frozenset(stage.writes.events if stage.writes is not None else ())
        self._carried_names = frozenset(kind.wire_name for kind in self._carried)
        passed_over = (kind for kind in stage.reads.events if kind not in stage.acts_on and self._is_numbered)
        self._passed_over = tuple(ending(kind) for kind in passed_over)

    def through(
        self,
        partition: int,
        records: Sequence[StoredRecord],
        keys: Mapping[str, CaseKey | Destroyed],
        states: Mapping[str, StoredState],
        skipped: Collection[str],
        at_hand: Mapping[str, Case[StateT]] = MappingProxyType({}),
    ) -> Batch[StateT]:
        """Step through records in their order; give what comes of them. Raises StageStopped.

        keys, states: of the cases, as far as they have any; skipped: the cases that nothing is taken of
        at_hand: cases as an earlier batch has left them, whose keys and states are not asked for
        """
        batch: Batch[StateT] = Batch(partition)
        self.further(batch, records, keys, states, skipped, at_hand)
        return batch

    def further(
        self,
        batch: Batch[StateT],
        records: Sequence[StoredRecord],
        keys: Mapping[str, CaseKey | Destroyed],
        states: Mapping[str, StoredState],
        skipped: Collection[str],
        at_hand: Mapping[str, Case[StateT]] = MappingProxyType({}),
    ) -> None:
        """Step through the next records of a batch, with what is given to it as a whole. Raises StageStopped."""
        for record in records:
            case_id = record.key
            case = batch.cases.get(case_id)
            if case is None:
                if case_id in skipped or case_id in batch.halted:
                    continue
                case = at_hand.get(case_id)
                if case is None:
                    key = keys.get(case_id)
                    if key is None:
                        self._keyless(batch, record)
                        continue
                    if isinstance(key, Destroyed):
                        continue
                    case = self._taken_up(case_id, key, states.get(case_id), batch.partition)
                batch.cases[case_id] = case
            if record.offset > case.offset and case_id not in batch.halted:
                self._take(batch, record, case)

    def can_begin(self, record: StoredRecord) -> bool:
        """Tell whether a record can be the first of its case on its topic, by its outside."""
        if not self._is_numbered:
            return record.value.endswith(_ENROLMENT)
        seen = glance(record.value)
        return seen is None or seen.sequence <= 1

    def writes(self, batch: Batch[StateT]) -> list[Write]:
        """Give the states that have changed, sealed, each on the condition that it is still the one that was loaded."""
        return [self._write(case_id, case) for case_id, case in batch.cases.items() if case.has_moved]

    def _keyless(self, batch: Batch[StateT], record: StoredRecord) -> None:
        """Halt a case that has no key; a record that is of no case, because it says another one or none, is unreadable.

        Somebody else wrote that: whoever writes facts makes the key first.
        """
        if record.key and subject_of(record.value) == record.key:
            self._halt(batch, record, "key-missing")
        else:
            self._unreadable(batch, record, Unreadable("not-an-event"))

    def _taken_up(self, case_id: str, key: CaseKey, stored: StoredState | None, partition: int) -> Case[StateT]:
        if stored is None:
            return Case(key, self._stage.initial(case_id))
        try:
            state = open_state(self._states, self._stage, case_id, key, stored)
        except StateUnreadable as unreadable:
            self._stop(partition, str(unreadable), rebuild(self._stage.name))
        return Case(key, state, stored.offset, stored.read, stored.written, stored.offset)

    def _take(self, batch: Batch[StateT], record: StoredRecord, case: Case[StateT]) -> None:
        """Take one record: step, number what follows, and keep it for publication."""
        event = record.event
        if event is None:
            if record.value.endswith(self._passed_over) and self._is_passed_on(batch, record, case):
                return
            read = event_of(record, self._stage.reads, case.key)
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
            batch.lacking[record.key] = record.offset
            return
        except Exception as error:  # noqa: BLE001 - whatever a step raises halts its case, and no other
            self._halt(batch, record, f"step-failed {place_of(error)}")
            return
        if not self._is_numbered and state is case.state and not records:
            batch.repeated += 1
        case.state, case.offset, case.read = state, record.offset, sequence
        case.written += len(records)
        batch.out.extend(records)

    def _stepped(self, read: StoredRecord, case: Case[StateT], event: Event[Data]) -> tuple[StateT, list[Record]]:
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
            is_passed_on = outgoing is event and self._makes_bytes
            value = _renumbered(read.value, number) if is_passed_on else None
            records.append(self._record(outgoing, case.key, number, value))
        return state, records

    def _record(self, event: Event[Data], key: CaseKey, number: int, value: bytes | None) -> Record:
        """Make the record of an event; its bytes, if they are there, need not be made."""
        if not self._makes_bytes:
            return Record(event.subject, b"", event.numbered(number))
        if value is not None and not self._keeps_events:
            return Record(event.subject, value)
        ready = prepared(event, key, number)
        return Record(event.subject, value or encode(ready), ready if self._keeps_events else None)

    def _is_passed_on(self, batch: Batch[StateT], record: StoredRecord, case: Case[StateT]) -> bool:
        """Pass an event on unopened, with its new number, if the topic carries such events; False if it is not fit."""
        seen = tail(record.value)
        if seen is None or seen.subject != record.key or seen.sequence < 1:
            return False
        if self._is_next(batch, record, seen.sequence, case):
            if seen.type in self._carried_names:
                case.written += 1
                batch.out.append(Record(record.key, renumbered(record.value, seen, case.written)))
            case.offset, case.read = record.offset, seen.sequence
        return True

    def _is_next(self, batch: Batch[StateT], record: StoredRecord, sequence: int, case: Case[StateT]) -> bool:
        """Tell whether an event continues its case's history; a repeated one does not, and a gap stops the stage."""
        if sequence == case.read + 1:
            return True
        if sequence > case.read:
            why = (
                f"{self._stage.reads.name} has a gap at offset {record.offset}: "
                f"sequence {sequence} of case {record.key} follows {case.read}"
            )
            self._stop(batch.partition, why, NEW_HOME)
        batch.repeated += 1
        return False

    def _unreadable(self, batch: Batch[StateT], record: StoredRecord, unreadable: Unreadable) -> None:
        """Put a fact that cannot be read on record; on a derived topic nothing may be unreadable."""
        topic, partition = self._stage.reads, batch.partition
        if topic is not CASES:
            why = f"{topic.name} cannot be read at offset {record.offset} ({unreadable.reason})"
            self._stop(partition, why, NEW_HOME)
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

    def _halt(self, batch: Batch[StateT], record: StoredRecord, reason: str) -> None:
        batch.halted[record.key] = Halted(record.key, batch.partition, record.offset, reason)

    def _write(self, case_id: str, case: Case[StateT]) -> Write:
        body = case.key.seal(self._states.dump_json(case.state), self._stage.name.encode(), case_id.encode())
        due = None if self._timed is None else self._timed.due(case.state)
        state = StoredState(case.offset, case.read, case.written, self._stage.schema, body, due)
        return Write(case_id, case.loaded, state)

    def _stop(self, partition: int, why: str, mend: str) -> NoReturn:
        raise StageStopped(self._stage.name, partition, why, mend)


def _renumbered(record: bytes, sequence: int) -> bytes | None:
    """Give the record of an event that is said again as it came, with its new number; None if it is not canonical."""
    seen = tail(record)
    return renumbered(record, seen, sequence) if seen is not None else None
