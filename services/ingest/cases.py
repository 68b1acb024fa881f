"""What is known of cases, up to the last fact on the log: what the register has of them, and every fact since."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from sys import maxsize
from typing import Final

from pydantic import TypeAdapter

from contracts.codec import CaseKey, Unreadable
from contracts.events.event import Data, Event
from contracts.topics import CASES, partition_of
from services.ingest.domain.register import Register, Registered, Unclear
from services.ingest.search import Search
from services.ingest.tail import Tail
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Journal, Record, StoredRecord
from services.runtime.logger import logger
from services.runtime.reading import chunks, event_of
from services.runtime.store.port import Halted, StatesLost, Store
from services.runtime.store.sealed import StateUnreadable, open_state
from services.runtime.unavailable import Unavailable

CASES_AT_HAND: Final = 2_000
"""Cases that are kept opened: those that were asked for last."""

FACTS_KEPT: Final = 5_000
"""Facts of a partition that are kept before it is asked which of them the register has by now."""

BEHIND_AT_MOST: Final = 50_000
"""Facts of a partition that the register may lack; more would fill the memory."""

LOOKS_AT_ONCE: Final = 4
"""Partitions that are read from their beginning at a time."""

LOOKS_BACK_FOR: Final = 10
"""Batches of 2,000 facts that are read again while others wait, to find out whether a case stands there."""

_AT_ONCE: Final = 2_000
_CASES_AT_ONCE: Final = 200
_HALTED: Final = f"case {{}} is halted in {Register.name}: ontrack halted list says why"
_LOST: Final = f"what {Register.name} knew of case {{}} is gone: ontrack audit replay --swap makes it anew"
_DAMAGED: Final = (
    f"what {Register.name} knows of case {{}} cannot be read: ontrack rebuild {Register.name} makes it anew"
)
_KEYLESS: Final = "the key of case {} is missing; put the last good copy of the data in its place"
_SOUGHT: Final = "whether case {} stands on the log is not known yet"
_STATES: Final = TypeAdapter(Registered)


class KeyMissing(Exception):
    """Cases are on the log and their keys are not in the keyring: nothing of them can be read, and nothing added.

    Says so of the first.
    """

    def __init__(self, case_ids: Sequence[str]) -> None:
        """Name the cases."""
        super().__init__(_KEYLESS.format(case_ids[0]))
        self.case_ids = case_ids


class RegisterBehind(Unavailable):
    """The register has not read for so long that what is missing is too much to be kept. Says so."""


@dataclass(slots=True)
class _AtHand:
    """A case, opened. offset: of the last fact that went into its state."""

    key: CaseKey
    state: Registered
    offset: int


class Cases:
    """What is known of cases. It reads on by itself, so it is never behind what anybody has recorded.

    The register is run elsewhere, in its own time: in the same process or in others. What it lacks is kept here.

    looks_back_for: after so many batches a case that is still looked for on the log is Unclear, until it was sought
    """

    looks_back_for = maxsize

    def __init__(
        self,
        log: Journal,
        store: Store,
        keyring: Keyring,
        *,
        cases_at_hand: int = CASES_AT_HAND,
        facts_kept: int = FACTS_KEPT,
        behind_at_most: int = BEHIND_AT_MOST,
    ) -> None:
        """Know what is on `log`, of which the register has put most into `store`."""
        self._cases_at_hand = cases_at_hand
        self._facts_kept = facts_kept
        self._behind_at_most = behind_at_most
        self._log = log
        self._store = store
        self._keyring = keyring
        self._register = Register()
        self._place: str | None = None
        self._tails: dict[int, Tail] = {}
        self._at_hand: dict[str, _AtHand] = {}
        self._search = Search(log, keyring, self._tails)
        self._told: set[str] = set()
        """Cases of which was logged that not all is known."""
        self._reading = asyncio.Lock()
        self._looking_back = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def registered(self, case_ids: Collection[str]) -> Mapping[str, Registered]:
        """Give what is known of some cases; one of which nothing is known is absent.

        Of a case whose key was destroyed only that is known. One that the register has halted or lost, or of which it
        has what cannot be read, is Unclear.
        Raises KeyMissing, or Unavailable.
        """
        async with self._reading:
            try:
                return await self._registered(set(case_ids))
            except StatesLost:
                self._forget()
                return await self._registered(set(case_ids))

    def _forget(self) -> None:
        """Know nothing of what the register had: others took its place, which may lack what was let go of here."""
        self._place = None
        self._tails.clear()
        self._at_hand.clear()
        self._search.forget()

    async def _registered(self, wanted: Collection[str]) -> Mapping[str, Registered]:
        await self._read_on({partition_of(case_id) for case_id in wanted})
        found = await self._opened([case_id for case_id in wanted if case_id not in self._at_hand])
        for case_id in wanted:
            if (at_hand := self._at_hand.pop(case_id, None)) is not None:
                if not self._brought_up(case_id, at_hand):
                    found[case_id] = self._unclear(case_id, at_hand.state, _HALTED)
                    continue
                self._told.discard(case_id)
                # What is put back stands last, and what stands first is let go of.
                self._at_hand[case_id] = at_hand
                if at_hand.offset >= 0:
                    found[case_id] = at_hand.state
        for case_id in list(self._at_hand)[: max(0, len(self._at_hand) - self._cases_at_hand)]:
            del self._at_hand[case_id]
        return found

    async def readable(self, case_ids: Collection[str]) -> tuple[Mapping[str, Registered], Mapping[str, str]]:
        """Give what is known of some cases, and of those of which that is not all, why. Raises Unavailable."""
        found, why = await self._found(case_ids)
        unclear = {case_id: case.why for case_id, case in found.items() if isinstance(case, Unclear)}
        return {case_id: case for case_id, case in found.items() if case_id not in unclear}, {**why, **unclear}

    async def _found(self, case_ids: Collection[str]) -> tuple[Mapping[str, Registered], Mapping[str, str]]:
        """Give what is known of some cases, and of those whose key is missing, that it is."""
        keyless: dict[str, str] = {}
        while True:
            try:
                return await self.registered([each for each in case_ids if each not in keyless]), keyless
            except KeyMissing as missing:
                keyless |= {case_id: _KEYLESS.format(case_id) for case_id in missing.case_ids}

    async def seek(self, case_ids: Collection[str], within: float) -> None:
        """Look on the log for cases that are Unclear for that alone, as `Search.seek` does. Raises Unavailable."""
        await self._search.seek(case_ids, within)

    def keys_at_hand(self, case_ids: Collection[str]) -> Mapping[str, CaseKey]:
        """Give the keys of those cases that are at hand.

        A key is destroyed after its case was erased by a fact, so whoever goes by what is registered needs to ask no
        keyring again.
        """
        return {case_id: self._at_hand[case_id].key for case_id in case_ids if case_id in self._at_hand}

    async def all(self) -> AsyncIterator[Mapping[str, Registered]]:
        """Give every case that the register has or that has a key, some at a time; one that lacks its key is Unclear.

        Raises Unavailable, at the end at the latest.
        """
        async with self._reading:
            place = await self._store.place(self._register.name)
            if place != self._place:
                self._forget()
            await self._read_on(range(CASES.partitions))
            since = {case_id for tail in self._tails.values() for case_id in tail.by_case}
            since |= {each.case_id for each in await self._store.halted(self._register.name)}
        some: list[str] = []
        async for case_id in self._store.cases(self._register.name):
            since.discard(case_id)
            some.append(case_id)
            if len(some) == _CASES_AT_ONCE:
                yield await self._each_of(some)
                some = []
        yield await self._each_of([*some, *since])
        if await self._store.place(self._register.name) != place:
            raise Unavailable("what the register knows was replaced meanwhile")

    async def _each_of(self, case_ids: Collection[str]) -> Mapping[str, Registered]:
        found, keyless = await self._found(case_ids)
        return {**found, **{case_id: Unclear(why=why) for case_id, why in keyless.items()}}

    async def facts(self, case_id: str) -> AsyncIterator[Event[Data]]:
        """Give the facts of a case from the log, in their order; none of one whose key was destroyed.

        There is no index: the whole partition is read, for a few callers at a time. Raises KeyMissing, or Unavailable.
        """
        key = (await self._keyring.keys([case_id])).get(case_id)
        if not isinstance(key, CaseKey):
            return
        async with self._looking_back:
            async for records in chunks(self._log, CASES, partition_of(case_id)):
                for record in records:
                    if record.key == case_id:
                        event = record.event or event_of(record, CASES, key)
                        if not isinstance(event, Unreadable):
                            yield event
                # A log in a file is read without a wait: others have their turn here.
                await asyncio.sleep(0)

    def recorded(self, partition: int, start: int | None, records: Sequence[Record]) -> None:
        """Learn what was just recorded, so that it need not be read: unless something else stands before it."""
        tail = self._tails.get(partition)
        if tail is not None and tail.position == start:
            tail.add([StoredRecord(offset, *record) for offset, record in enumerate(records, start)])

    def recalled(self, partition: int, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give records of the log with what they say at hand, as far as they were recorded here and are kept."""
        tail = self._tails.get(partition)
        return records if tail is None else [tail.known(record) for record in records]

    async def _read_on(self, partitions: Collection[int]) -> None:
        """Read what has been recorded since."""
        if self._place is None:
            self._place = await self._store.place(self._register.name)
        if self._place is None:
            raise Unavailable("what the register knows is gone: ontrack audit replay --swap makes it anew")
        ends = await self._log.ends(CASES, partitions)
        for partition, end in ends.items():
            tail = self._tails.get(partition)
            if tail is None or tail.count + end - tail.position > self._facts_kept:
                tail = self._shortened(partition, await self._registered_to(partition))
            if tail.count + end - tail.position > self._behind_at_most:
                raise RegisterBehind(
                    f"the register is more than {self._behind_at_most:,} facts behind: see whether it runs"
                )
        while spans := {
            partition: range(tail.position, min(tail.position + _AT_ONCE, end))
            for partition, end in ends.items()
            if (tail := self._tails[partition]).position < end
        }:
            for partition, records in (await self._log.read_each(CASES, spans)).items():
                if not records:
                    raise Unavailable(f"{CASES.name} ends before its end in partition {partition}")
                self._tails[partition].add(records)

    def _shortened(self, partition: int, registered: int) -> Tail:
        """Keep what the register lacks, and no more. registered: the offset of the next fact that it will read."""
        at_hand = {name: case for name, case in self._at_hand.items() if partition_of(name) == partition}
        tail = self._tails.get(partition)
        if tail is None or tail.position < registered:
            # What lies between has not been read here: so the cases at hand may lack it.
            for case_id in at_hand:
                del self._at_hand[case_id]
            tail = self._tails[partition] = Tail(registered, registered)
        for case_id, case in at_hand.items():
            if not self._brought_up(case_id, case):
                del self._at_hand[case_id]
        tail.forget_before(registered)
        return tail

    async def _registered_to(self, partition: int) -> int:
        position = await self._store.position(self._register.name, partition)
        return 0 if position is None else position.offset

    async def _opened(self, case_ids: Collection[str]) -> dict[str, Registered]:
        """Take cases in hand, as the register has them; give those that were erased, or are Unclear."""
        if not case_ids:
            return {}
        # A case that has no key now has no fact before this.
        ends = {case_id: self._tails[partition_of(case_id)].position for case_id in case_ids}
        # Asked before the states: a case that goes on again in between has all that it lacked in its state.
        halted = await self._store.halted_among(self._register.name, case_ids)
        states = await self._store.load(self._register.name, case_ids, self._place)
        keys = await self._keyring.keys(case_ids)
        if keyless := sorted((states.keys() | halted.keys()) - keys.keys()):
            raise KeyMissing(keyless)
        stateless = {name: key for name, key in keys.items() if isinstance(key, CaseKey) and name not in states}
        lost, sought = await self._search.lost_of(case_ids, stateless, self.looks_back_for)
        self._search.note_absent({case_id: end for case_id, end in ends.items() if case_id not in keys})
        found: dict[str, Registered] = {}
        for case_id, key in keys.items():
            if isinstance(key, Destroyed):
                found[case_id] = Registered(erased=True)
                continue
            state, offset = self._register.initial(case_id), -1
            if (stored := states.get(case_id)) is not None:
                offset = stored.offset
                try:
                    state = open_state(_STATES, self._register, case_id, key, stored)
                except StateUnreadable:
                    found[case_id] = self._unclear(case_id, state, _DAMAGED)
                    continue
            if case_id in halted and self._lacks(halted[case_id]):
                found[case_id] = self._unclear(case_id, state, _HALTED)
            elif case_id in lost:
                found[case_id] = self._unclear(case_id, state, _LOST)
            elif case_id in sought:
                found[case_id] = Unclear.of(state, _SOUGHT.format(case_id))
            else:
                self._at_hand[case_id] = _AtHand(key, state, offset)
        return found

    def _unclear(self, case_id: str, state: Registered, why: str) -> Unclear:
        """Say that not all is known of a case; that is logged once, for whoever has to mend it."""
        case = Unclear.of(state, why.format(case_id))
        if case_id not in self._told:
            self._told.add(case_id)
            logger.error("case-unclear", case=case_id, why=case.why)
        return case

    def _lacks(self, halted: Halted) -> bool:
        """Tell whether the register halted a case before what is kept here."""
        return halted.offset < self._tails[partition_of(halted.case_id)].begin

    def _brought_up(self, case_id: str, at_hand: _AtHand) -> bool:
        """Take the facts that are not in a state yet; tell whether that was possible.

        If not, the register halts the case there, or has done so.
        """
        for record in self._tails[partition_of(case_id)].since(case_id, at_hand.offset):
            event = record.event or event_of(record, CASES, at_hand.key)
            if not isinstance(event, Unreadable):
                try:
                    at_hand.state, _ = self._register.step(at_hand.state, event)
                except Exception:  # noqa: BLE001 - whatever a step raises keeps its case from going on, and no other
                    return False
            at_hand.offset = record.offset
        return True
