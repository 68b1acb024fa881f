"""The search on the log for cases that have a key, and no state that the register has put down."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from contracts.codec import CaseKey
from contracts.events.event import Event
from contracts.topics import CASES, partition_of
from services.ingest.tail import Tail
from services.runtime.keyring.port import Keyring
from services.runtime.log.port import Journal, next_offset
from services.runtime.reading import event_of
from services.runtime.unavailable import Unavailable

ABSENT_AT_MOST: Final = 10_000
"""Cases that are remembered to be on no record so far, beside those that are sought: for others some is read again."""

_AT_ONCE: Final = 2_000


class Search:
    """Tells the cases that have just begun from those whose state was lost: of these something stands on the log."""

    def __init__(self, log: Journal, keyring: Keyring, tails: Mapping[int, Tail]) -> None:
        """Look on `log` before the tail of each partition."""
        self._log = log
        self._keyring = keyring
        self._tails = tails
        self._absent: dict[str, int] = {}
        """Cases of which nothing stands on their partition before an offset, as was seen."""
        self._lost: set[str] = set()
        """Cases of which the register has read something, and has no state."""
        self._sought: set[str] = set()
        """Cases without a state of which it is not known yet whether the register has read something."""
        self._seeking: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def forget(self) -> None:
        """Know nothing of what was found: what the register has is another thing now."""
        self._absent.clear()
        self._lost.clear()
        self._sought.clear()

    async def lost_of(
        self, asked: Collection[str], stateless: Mapping[str, CaseKey], batches: int
    ) -> tuple[AbstractSet[str], AbstractSet[str]]:
        """Find the cases without a state of which the register has read something, and those that are to be sought yet.

        What it has read is read again for that, but no further than it was before, and for no case that just begins:
        whoever enrols it has asked for it before it had a key, or its enrolment is kept here.

        asked: the cases that were asked for; those that have a state by now, or have no key, are sought no more
        batches: how many are read for that at most
        """
        suspected: dict[int, dict[str, CaseKey]] = defaultdict(dict)
        for case_id, key in stateless.items():
            tail = self._tails[partition_of(case_id)]
            if case_id not in self._lost and self._absent.get(case_id, 0) < tail.begin and not tail.begins(case_id):
                suspected[partition_of(case_id)][case_id] = key
        sought = set[str]()
        for partition, keys in suspected.items():
            offset: int | None = 0
            while batches > 0 and offset is not None:
                offset = await self._looked_back(partition, keys, offset)
                batches -= 1
            if offset is not None:
                sought |= keys.keys()
        # At once, and not before: who seeks one meanwhile is to find it there.
        self._sought.difference_update(asked)
        self._sought |= sought
        return self._lost & stateless.keys(), sought

    async def seek(self, case_ids: Collection[str], within: float) -> None:
        """Look for cases that are sought, so that it is known of them when they are asked for.

        Others wait for a batch at most. Raises Unavailable, also if it takes longer than so many seconds: who asks
        again goes on from there.
        """
        until = asyncio.get_running_loop().time() + within
        for partition in sorted({partition_of(case_id) for case_id in self._sought.intersection(case_ids)}):
            await self._seek_on(partition, until)

    async def _seek_on(self, partition: int, until: float) -> None:
        """Look for every case that is sought on a partition: whoever seeks another one there need not read it again."""
        too_late = Unavailable(f"cases are being looked for in partition {partition} of {CASES.name}")
        try:
            async with asyncio.timeout_at(until):
                await self._seeking[partition].acquire()
        except TimeoutError:
            raise too_late from None
        try:
            case_ids = [case_id for case_id in self._sought if partition_of(case_id) == partition]
            found = await self._keyring.keys(case_ids)
            keys = {case_id: key for case_id, key in found.items() if isinstance(key, CaseKey)}
            offset: int | None = 0
            while offset is not None:
                offset = await self._looked_back(partition, keys, offset)
                if offset is not None and asyncio.get_running_loop().time() > until:
                    raise too_late
            self._sought.difference_update(case_ids)
        finally:
            self._seeking[partition].release()

    async def _looked_back(self, partition: int, suspected: dict[str, CaseKey], offset: int) -> int | None:
        """Read a batch of what comes before that what is kept here; tell where the next begins, None if there is none.

        suspected: the cases that are looked for; those of which something stands there are noted, and taken out
        offset: where that batch begins at the earliest; not before what was seen to have nothing of any of them
        """
        tail = self._tails.get(partition)
        begin = 0 if tail is None else tail.begin
        offset = max(offset, min((self._absent.get(case_id, 0) for case_id in suspected), default=begin))
        is_more = offset < begin
        records = await self._log.read(CASES, partition, offset, min(_AT_ONCE, begin - offset)) if is_more else ()
        if not records:
            return None
        for record in records:
            key = suspected.get(record.key)
            if key is not None and isinstance(record.event or event_of(record, CASES, key), Event):
                self._lost.add(record.key)
                del suspected[record.key]
        seen = next_offset(records)
        self.note_absent(dict.fromkeys(suspected, seen))
        # A log in a file is read without a wait: others have their turn here.
        await asyncio.sleep(0)
        return seen if suspected else None

    def note_absent(self, seen: Mapping[str, int]) -> None:
        """Note that nothing stands of cases before an offset."""
        for case_id, before in seen.items():
            # What is put back stands last, and what stands first is let go of.
            self._absent[case_id] = max(before, self._absent.pop(case_id, 0))
        if (excess := len(self._absent) - ABSENT_AT_MOST) > 0:
            # Who seeks a case goes on from there, however many are sought.
            for case_id in [each for each in self._absent if each not in self._sought][:excess]:
                del self._absent[case_id]
