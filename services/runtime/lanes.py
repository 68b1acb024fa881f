"""Work on partitions: one thing after the other on each of them, any number of them at once."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]
Failed = Callable[[BaseException], None]


@dataclass(slots=True)
class _InHand:
    """Something that is done on a partition. within: the seconds that it is given; since: when it began, if it has."""

    partition: int
    within: float | None
    since: float | None = None

    def is_late(self, now: float) -> bool:
        return self.since is not None and self.within is not None and now - self.since > self.within


class Lanes:
    """One lane for each partition."""

    def __init__(self) -> None:
        """Begin with nothing in hand."""
        self._in_hand: dict[asyncio.Task[None], _InHand] = {}
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def do(self, partition: int, work: Work, failed: Failed, within: float | None = None) -> None:
        """Do something when everything is done that was to be done on a partition before.

        failed: is told what the work raised, or that it was broken off; nothing of that is raised here
        within: the seconds after which it is late, from when it begins

        It goes on if whoever waits for it no longer does.
        """
        in_hand = _InHand(partition, within)
        task = asyncio.create_task(self._alone(in_hand, work))
        self._in_hand[task] = in_hand
        task.add_done_callback(lambda task: self._over(task, failed))
        await asyncio.wait({task})

    async def _alone(self, in_hand: _InHand, work: Work) -> None:
        async with self._locks[in_hand.partition]:
            in_hand.since = time.monotonic()
            await work()

    def _over(self, task: asyncio.Task[None], failed: Failed) -> None:
        del self._in_hand[task]
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            failed(error)

    @property
    def late(self) -> Collection[int]:
        """The partitions where something takes longer than it is given."""
        now = time.monotonic()
        return {each.partition for each in self._in_hand.values() if each.is_late(now)}

    async def finish(self, within: float) -> None:
        """Wait until everything in hand is done; break off what is not after so many seconds."""
        if not self._in_hand:
            return
        _, late = await asyncio.wait(self._in_hand, timeout=within)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
