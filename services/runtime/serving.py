"""One stage as a member of its consumer group: it runs the partitions that the group gives it, and gives them up."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final, Generic, TypeVar

from services.runtime.brokers import Brokers
from services.runtime.faults import PartitionLost, StageStopped, place_of
from services.runtime.lanes import Lanes, Work
from services.runtime.log.port import StoredRecord, next_offset
from services.runtime.logger import logger
from services.runtime.runner import Done, Runner
from services.runtime.store.port import Halted
from services.runtime.subscription import DRAIN, MAX_RECORDS, Batches, Subscription
from services.runtime.unavailable import Unavailable

StateT = TypeVar("StateT")

BATCH_WITHIN: Final = 30.0
RECORD_WITHIN: Final = 0.2
"""Seconds that a batch is given, and more for each of its records: a store that is slow, by two seconds for each of a
dozen operations and for each write of ten states, is no fault."""

ENOUGH: Final = MAX_RECORDS // 5
"""Records that are worth a batch: nothing is waited for to come beside them."""

RETRY_AWAY: Final = 1.0
RETRY_STOPPED: Final = 5.0

Recall = Callable[[int, Sequence[StoredRecord]], Sequence[StoredRecord]]


def _as_read(_: int, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
    return records


class Standing(Enum):
    """How it stands with a partition that this process has."""

    OPENING = "opening"
    RUNNING = "running"
    AWAY = "away"
    STOPPED = "stopped"


@dataclass(slots=True)
class Share:
    """A partition that this process has.

    position: the next offset, None until the store has said it; goal: the end of the partition when it was taken up
    why: what keeps it from going on; it stays until something was processed, or until there is nothing to process
    try_at: on the monotonic clock, when it is taken up (again)
    is_taken_up: whether that is being done
    """

    standing: Standing = Standing.OPENING
    position: int | None = None
    goal: int = 0
    why: str = ""
    try_at: float = 0.0
    is_taken_up: bool = False

    @property
    def waits(self) -> bool:
        """Whether it is to be taken up when its time comes."""
        return self.standing is not Standing.RUNNING and not self.is_taken_up

    @property
    def has_caught_up(self) -> bool:
        """Whether everything has been read that was there when it was taken up."""
        return self.standing is Standing.RUNNING and self.position is not None and self.position >= self.goal


class Serving(Generic[StateT]):
    """A stage, served.

    shares: the partitions that this process has; lost: how often one was given up because another had written there
    has_joined: whether the group has said which partitions it gets, and has not begun to divide them anew
    turns: how often records were read; is_free: whether they are processed, so that the next can be read
    pause: seconds after each time that few records were read, so that more are read together, where nobody waits
    recalled: gives records with what this process knows of them already
    batch_within: seconds that a batch is given, besides those for each of its records
    drains_within: seconds that a batch in hand has to be finished when its partition is given up

    A partition that is given to this process is paused, taken up where the store says that it was left, and let run.
    Whatever goes wrong with it, it is paused again and taken up anew after a while; nothing is skipped meanwhile.
    """

    def __init__(
        self,
        brokers: Brokers,
        group: str,
        topic: str,
        runner: Runner[StateT],
        heard: Callable[[int, Done, float], None],
        halts_again: Callable[[Halted], None] = lambda _: None,
    ) -> None:
        """Run `runner` on `topic` as a member of `group`.

        heard: is told of every batch: its partition, what became of it, and the seconds that it took
        halts_again: is told of every case that was tried again in vain
        """
        self.shares: dict[int, Share] = {}
        self.lost = 0
        self.has_joined = False
        self.turns = 0
        self.is_free = True
        self.pause = 0.0
        self.recalled: Recall = _as_read
        self.batch_within, self.drains_within = BATCH_WITHIN, DRAIN
        self._runner = runner
        self._heard = heard
        self._halts_again = halts_again
        self._lanes = Lanes()
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._taking_up: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[None] | None = None
        self._subscription = Subscription(brokers, group, topic, self)

    # Life

    async def start(self) -> None:
        """Join the group. What the libraries raise if that fails, they raise here; it can be tried again."""
        try:
            await self._subscription.start()
        except BaseException:
            await self._leave_group()
            raise
        self._keeper = self._keeper or asyncio.create_task(self._keep())

    def start_again(self) -> None:
        """Let the subscriber leave the group and join it anew; nothing happens if that is under way."""
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._started_again())

    async def _started_again(self) -> None:
        await self._leave_group()
        # Whatever is in the way, the loop that reads is not there then, so this is asked for again.
        with suppress(Exception):
            await self.start()

    async def _leave_group(self) -> None:
        await self.give_up(list(self.shares))
        await self._subscription.leave()
        # The group may have given it some until the very end.
        await self.give_up(list(self.shares))

    async def stop(self) -> None:
        """Take nothing up any more, finish what is in hand, within bounds, and leave the group; in this order."""
        ending = [task for task in (self._starting, self._keeper) if task is not None]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        await self._leave_group()
        await self._subscription.stop()

    @property
    def is_reading(self) -> bool:
        """Whether the loop that reads is there."""
        return self._subscription.is_reading

    @property
    def waiting(self) -> Mapping[int, int]:
        """The positions of the partitions that run: what comes there next is taken when the loop that reads is free."""
        return {
            each: share.position
            for each, share in self.shares.items()
            if share.standing is Standing.RUNNING and share.position is not None
        }

    @property
    def late(self) -> Collection[int]:
        """The partitions with a batch in hand for longer than one takes."""
        return self._lanes.late

    # Partitions come and go

    def take(self, partitions: Iterable[int]) -> None:
        """Have partitions from now on; nothing is read of them before they are taken up."""
        for partition in partitions:
            self._subscription.pause(partition)
            self.shares[partition] = Share()
        self.has_joined = True
        self._wanted.set()

    async def give_up(self, partitions: Iterable[int]) -> None:
        """Have partitions no longer, and be no member until some are taken, even none.

        Nothing is begun there any more. The batches in hand are finished; one that takes too long is broken off.
        """
        self.has_joined = False
        gone = list(partitions)
        for partition in gone:
            self._subscription.pause(partition)
            self.shares.pop(partition, None)
        await self._lanes.finish(self.drains_within)
        for partition in gone:
            self._runner.leave(partition)

    async def _keep(self) -> None:
        """Take up, for ever, the partitions whose time it is; one of which that takes long keeps no other waiting."""
        while True:
            due = [share for share in self.shares.values() if share.waits]
            wait = min((each.try_at for each in due), default=time.monotonic() + RETRY_STOPPED) - time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), max(wait, 0))
            self._wanted.clear()
            now = time.monotonic()
            for partition, share in self.shares.items():
                if share.waits and share.try_at <= now:
                    share.is_taken_up = True
                    taking_up = asyncio.create_task(self._taken_up(partition, share))
                    self._taking_up.add(taking_up)
                    taking_up.add_done_callback(self._taking_up.discard)

    async def _taken_up(self, partition: int, share: Share) -> None:
        """Take a partition up in its turn."""
        try:
            await self._in_order(partition, partial(self._take_up, partition, share))
        finally:
            share.is_taken_up = False
            self._wanted.set()

    async def _take_up(self, partition: int, share: Share) -> None:
        """Go to where the store says that a partition was left, and let it run, unless it is given up meanwhile."""
        if not self._has(partition, share):
            return
        goal = await self._runner.open(partition)
        if not self._has(partition, share):
            return
        await self._resume(partition)
        position = self._runner.position(partition)
        if not self._has(partition, share):
            return
        if not self._subscription.read_on(partition, position):
            share.try_at = time.monotonic() + RETRY_AWAY
            return
        share.standing, share.position, share.goal = Standing.RUNNING, position, goal
        if share.has_caught_up:
            share.why = ""

    def stands_on(self, states: str) -> bool:
        """Tell whether the states of every partition that runs here are at a place. states: names it."""
        return self._runner.stands_on(states)

    async def try_again(self) -> None:
        """Try halted cases again in every partition that runs; one whose states were replaced is taken up anew."""
        for partition in list(self.shares):
            await self._in_order(partition, partial(self._try_again, partition))

    async def _try_again(self, partition: int) -> None:
        if self.runs(partition):
            await self._runner.require_states(partition)
            await self._resume(partition)

    async def _resume(self, partition: int) -> None:
        for halted in await self._runner.resume_halted(partition):
            self._halts_again(halted)

    # Batches

    async def handle(self, batches: Batches) -> None:
        """Process what was read. Nothing is raised: the records of a partition that failed come again."""
        self.turns += 1
        self.is_free = False
        try:
            await asyncio.gather(*(self._processed(each, records) for each, records in batches.items()))
        finally:
            self.is_free = True
        await self._subscription.tell_group(self._read(batches))
        if sum(map(len, batches.values())) < ENOUGH:
            await asyncio.sleep(self.pause)

    def runs(self, partition: int) -> bool:
        """Tell whether a partition runs here."""
        share = self.shares.get(partition)
        return share is not None and share.standing is Standing.RUNNING

    def _has(self, partition: int, share: Share | None) -> bool:
        """Tell whether a share is still had: a partition that was given up may have come back as another one."""
        return share is not None and self.shares.get(partition) is share

    async def _processed(self, partition: int, records: Sequence[StoredRecord]) -> None:
        within = self.batch_within + RECORD_WITHIN * len(records)
        await self._in_order(partition, partial(self._process, partition, records), within)

    async def _process(self, partition: int, records: Sequence[StoredRecord]) -> None:
        if not self.runs(partition):
            return
        began = time.perf_counter()
        done = await self._runner.process(partition, self.recalled(partition, records))
        share = self.shares.get(partition)
        if share is not None:
            share.position, share.why = next_offset(records), ""
        self._heard(partition, done, time.perf_counter() - began)

    def _read(self, batches: Batches) -> Mapping[int, int]:
        """Give how far the partitions are that went on by a whole batch."""
        ends = {partition: next_offset(records) for partition, records in batches.items()}
        return {each: end for each, end in ends.items() if self.runs(each) and self.shares[each].position == end}

    async def _in_order(self, partition: int, work: Work, within: float | None = None) -> None:
        """Do something on a partition when its turn comes; if it fails there, the partition is set aside."""
        failed = partial(self._failed, partition, self.shares.get(partition))
        await self._lanes.do(partition, work, failed, within)

    def _failed(self, partition: int, share: Share | None, error: BaseException) -> None:
        """Pause a partition where something has failed, and say when it is taken up again."""
        if not self._has(partition, share):
            return
        match error:
            case PartitionLost():
                self.lost += 1
                self._set_aside(partition, Standing.OPENING, str(error), 0)
            case Unavailable():
                self._set_aside(partition, Standing.AWAY, str(error), RETRY_AWAY)
            case StageStopped():
                self._set_aside(partition, Standing.STOPPED, str(error), RETRY_STOPPED)
            case asyncio.CancelledError():
                self._set_aside(partition, Standing.OPENING, "it was broken off", RETRY_AWAY)
            case _:
                # A fault of ours. Its message could hold what a patient wrote, so only its kind is told.
                self._set_aside(partition, Standing.STOPPED, f"unexpected {place_of(error)}", RETRY_STOPPED)

    def _set_aside(self, partition: int, standing: Standing, why: str, after: float) -> None:
        self._subscription.pause(partition)
        self._runner.leave(partition)
        share = self.shares.get(partition)
        if share is None:
            return
        if share.why != why:
            logger.warning("partition-set-aside", partition=partition, standing=standing.value, why=why)
        share.why = "" if standing is Standing.OPENING else why
        share.standing, share.try_at = standing, time.monotonic() + after
        self._wanted.set()
