"""Ports that fail on purpose: at a chosen call, before or after it is done, for good or for a while.

A call is named by its port and method: `log.append`, `store.save`, `keyring.keys`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from contracts.codec import CaseKey
from contracts.topics import Topic
from services.runtime.keyring.port import Destroyed, Keyring, KeyringUnavailable
from services.runtime.log.port import Journal, LogUnavailable, Record, StoredRecord
from services.runtime.store.port import (
    AgendaStore,
    Appointment,
    Halted,
    Held,
    Outcome,
    Position,
    StatesLost,
    StatesReplaced,
    StoredState,
    StoreUnavailable,
    Write,
)
from services.runtime.unavailable import Unavailable

When = Literal["before", "after"]

_UNAVAILABLE: Final[Mapping[str, type[Unavailable]]] = {
    "log": LogUnavailable,
    "store": StoreUnavailable,
    "keyring": KeyringUnavailable,
}


class Crash(Exception):
    """Stands for the end of the process; nothing that it tries afterwards succeeds."""


@dataclass
class Trouble:
    """No trouble at all: only remembers which calls were made, in order."""

    calls: list[str] = field(default_factory=list)

    def before(self, call: str) -> None:
        """A call is about to be made."""
        self.calls.append(call)

    def after(self, call: str) -> None:
        """A call was made, and its answer is on the way."""

    @contextmanager
    def around(self, call: str) -> Iterator[None]:
        """Make a call."""
        self.before(call)
        yield
        self.after(call)


@dataclass
class CrashAt(Trouble):
    """The process ends before, or right after, the n-th call (from 1) of one method, or of any."""

    nth: int = 1
    when: When = "before"
    call: str | None = None
    dead: bool = False

    def before(self, call: str) -> None:
        super().before(call)
        if self.when == "before" and self._is_it(call):
            self.dead = True
        if self.dead:
            raise Crash

    def after(self, call: str) -> None:
        if self.when == "after" and self._is_it(call):
            self.dead = True
            raise Crash

    def _is_it(self, call: str) -> bool:
        made = self.calls if self.call is None else [each for each in self.calls if each == self.call]
        return len(made) == self.nth and self.call in (None, call)


@dataclass
class Away(Trouble):
    """One method cannot be reached for its next calls, and then it can.

    when: `after` if the call is done and only its answer is lost
    """

    call: str = ""
    times: int = 1
    when: When = "before"

    def before(self, call: str) -> None:
        super().before(call)
        self._fail("before", call)

    def after(self, call: str) -> None:
        self._fail("after", call)

    def _fail(self, when: When, call: str) -> None:
        if when == self.when and call == self.call and self.times > 0:
            self.times -= 1
            raise _UNAVAILABLE[call.partition(".")[0]](call)


class TroubledLog:
    """A `Log` with trouble around each call."""

    def __init__(self, log: Journal, trouble: Trouble) -> None:
        self._log = log
        self._trouble = trouble

    @property
    def is_read_here(self) -> bool:
        return self._log.is_read_here

    async def append(self, topic: Topic, partition: int, records: Sequence[Record]) -> None:
        with self._trouble.around("log.append"):
            await self._log.append(topic, partition, records)

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        with self._trouble.around("log.read"):
            return await self._log.read(topic, partition, offset, limit)

    async def read_each(self, topic: Topic, spans: Mapping[int, range]) -> Mapping[int, Sequence[StoredRecord]]:
        with self._trouble.around("log.read_each"):
            return await self._log.read_each(topic, spans)

    async def end(self, topic: Topic, partition: int) -> int:
        with self._trouble.around("log.end"):
            return await self._log.end(topic, partition)

    async def ends(self, topic: Topic, partitions: Collection[int]) -> Mapping[int, int]:
        with self._trouble.around("log.ends"):
            return await self._log.ends(topic, partitions)

    async def append_each(
        self, topic: Topic, groups: Mapping[int, Sequence[Sequence[Record]]]
    ) -> Mapping[int, int | LogUnavailable | None]:
        with self._trouble.around("log.append_each"):
            return await self._log.append_each(topic, groups)


class TroubledStore:
    """A `Store` with trouble around each call."""

    def __init__(self, store: AgendaStore, trouble: Trouble) -> None:
        self._store = store
        self._trouble = trouble

    async def begin(self, stage: str) -> str:
        with self._trouble.around("store.begin"):
            return await self._store.begin(stage)

    async def clear(self, stage: str) -> None:
        with self._trouble.around("store.clear"):
            await self._store.clear(stage)

    async def place(self, stage: str) -> str | None:
        with self._trouble.around("store.place"):
            return await self._store.place(stage)

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        with self._trouble.around("store.load"):
            return await self._store.load(stage, case_ids, states)

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        with self._trouble.around("store.save"):
            return await self._store.save(stage, writes)

    def cases(self, stage: str) -> AsyncIterator[str]:
        with self._trouble.around("store.cases"):
            return self._store.cases(stage)

    async def appointments(
        self, stage: str, until: datetime, limit: int, after: Appointment | None = None
    ) -> Sequence[Appointment]:
        with self._trouble.around("store.appointments"):
            return await self._store.appointments(stage, until, limit, after)

    async def postpone(self, stage: str, appointment: Appointment, due: datetime | None) -> None:
        with self._trouble.around("store.postpone"):
            await self._store.postpone(stage, appointment, due)

    async def hold(self, stage: str, partition: int, owner: str) -> Held:
        with self._trouble.around("store.hold"):
            return await self._store.hold(stage, partition, owner)

    async def remove(self, stage: str, case_ids: Collection[str]) -> None:
        with self._trouble.around("store.remove"):
            await self._store.remove(stage, case_ids)

    async def take_place(self, stage: str, fresh: str, positions: Mapping[int, Position]) -> None:
        with self._trouble.around("store.take_place"):
            await self._store.take_place(stage, fresh, positions)

    async def position(self, stage: str, partition: int) -> Position | None:
        with self._trouble.around("store.position"):
            return await self._store.position(stage, partition)

    async def positions(self, stage: str, partitions: Iterable[int]) -> Mapping[int, Position]:
        with self._trouble.around("store.positions"):
            return await self._store.positions(stage, partitions)

    async def set_position(self, stage: str, partition: int, position: Position, owner: str | None = None) -> Outcome:
        with self._trouble.around("store.set_position"):
            return await self._store.set_position(stage, partition, position, owner)

    async def halt(self, stage: str, halted: Sequence[Halted]) -> None:
        with self._trouble.around("store.halt"):
            await self._store.halt(stage, halted)

    async def retry(self, stage: str, case_id: str) -> bool:
        with self._trouble.around("store.retry"):
            return await self._store.retry(stage, case_id)

    async def resume(self, stage: str, halted: Sequence[Halted]) -> None:
        with self._trouble.around("store.resume"):
            await self._store.resume(stage, halted)

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        with self._trouble.around("store.halted"):
            return await self._store.halted(stage, partition)

    async def halted_among(self, stage: str, case_ids: Collection[str]) -> Mapping[str, Halted]:
        with self._trouble.around("store.halted_among"):
            return await self._store.halted_among(stage, case_ids)


class OvertakenStore(TroubledStore):
    """A `Store` on which somebody else does something right before the first call of one method."""

    def __init__(self, store: AgendaStore, meanwhile: Callable[[], Awaitable[None]], call: str = "store.save") -> None:
        super().__init__(store, Trouble())
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile
        self._call = call

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        await self._overtaken("store.save")
        return await super().save(stage, writes)

    async def set_position(self, stage: str, partition: int, position: Position, owner: str | None = None) -> Outcome:
        await self._overtaken("store.set_position")
        return await super().set_position(stage, partition, position, owner)

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        await self._overtaken("store.halted")
        return await super().halted(stage, partition)

    async def halted_among(self, stage: str, case_ids: Collection[str]) -> Mapping[str, Halted]:
        await self._overtaken("store.halted_among")
        return await super().halted_among(stage, case_ids)

    async def _overtaken(self, call: str) -> None:
        if call == self._call and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()


class ReplacedStore(TroubledStore):
    """A `Store` whose states are replaced by somebody, as in a region.

    named: the place of the states that are there
    gone: stages whose states are gone; shut: stages whose states are being replaced, or were when somebody died
    """

    def __init__(self, store: AgendaStore) -> None:
        super().__init__(store, Trouble())
        self.named = "first"
        self.gone: set[str] = set()
        self.shut: set[str] = set()

    async def place(self, stage: str) -> str | None:
        if stage in self.shut:
            raise StatesReplaced(stage)
        return None if stage in self.gone else self.named

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        place = await self.place(stage)
        if place is None or states not in (None, place):
            raise StatesLost(stage)
        return await super().load(stage, case_ids)

    async def take_place(self, stage: str, fresh: str, positions: Mapping[int, Position]) -> None:
        await super().take_place(stage, fresh, positions)
        self.gone.discard(stage)
        self.shut.discard(stage)


class TroubledKeyring:
    """A `Keyring` with trouble around each call."""

    def __init__(self, keyring: Keyring, trouble: Trouble) -> None:
        self._keyring = keyring
        self._trouble = trouble

    async def keys(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        with self._trouble.around("keyring.keys"):
            return await self._keyring.keys(case_ids)

    async def create(self, case_ids: Collection[str]) -> Mapping[str, CaseKey | Destroyed]:
        with self._trouble.around("keyring.create"):
            return await self._keyring.create(case_ids)

    async def adopt(self, keys: Mapping[str, CaseKey]) -> None:
        with self._trouble.around("keyring.adopt"):
            await self._keyring.adopt(keys)

    async def destroy(self, case_id: str) -> None:
        with self._trouble.around("keyring.destroy"):
            await self._keyring.destroy(case_id)

    def case_id(self, clinic: str, number: str) -> str:
        return self._keyring.case_id(clinic, number)

    def disguised(self, text: str) -> str:
        return self._keyring.disguised(text)
