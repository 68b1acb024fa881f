"""Looking now and then how a service is: its servers, its partitions, and how much there is to do."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from services.runtime.brokers import Brokers, why_away
from services.runtime.documents import Documents
from services.runtime.faults import rebuild
from services.runtime.founding import Founding
from services.runtime.health import Health
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import LogUnavailable
from services.runtime.metrics import Metrics
from services.runtime.progress import GIVEN_UP, STILL, Progress
from services.runtime.refusals import NotAHome
from services.runtime.serving import Serving, Standing
from services.runtime.stage import Stage
from services.runtime.store.port import StatesLost, Store
from services.runtime.subscription import REBALANCE
from services.runtime.unavailable import Unavailable

StateT = TypeVar("StateT")
Why = Callable[[], Awaitable[str | None]]

LOOK: Final = 2.0
"""Seconds between two looks at the brokers, the database and the partitions."""

ANSWER: Final = 4.0
"""Seconds within which brokers and database give a sign of life."""

REASON: Final = 2.0
"""Seconds within which the brokers say why they do not, or how old an event is; with these, LOOK and ANSWER, it takes
ten seconds at most until trouble is told."""


@dataclass(frozen=True, slots=True)
class Watched(Generic[StateT]):
    """What is looked at: a stage that is served, and what it stands on."""

    stage: Stage[StateT]
    serving: Serving[StateT]
    brokers: Brokers
    documents: Documents
    log: KafkaLog
    store: Store
    founding: Founding


class _Ends(NamedTuple):
    """Where the partitions ended at a moment, in seconds since 1970."""

    at: float
    of: Mapping[int, int] = MappingProxyType({})


class Looker(Generic[StateT]):
    """Looks, every other second, how everything is.

    answers_within: seconds within which brokers and database give a sign of life
    joins_within: seconds within which the group lets a member join; still_after: seconds after which is told that
        nothing was done with what there is to read
    """

    def __init__(self, watched: Watched[StateT], health: Health, metrics: Metrics, learned: int = 0) -> None:
        """Look at something; say in `health` how it is, and in `metrics` how much there is to do.

        learned: how much was known of the log when halted cases were tried last
        """
        self.answers_within, self.joins_within, self.still_after = ANSWER, REBALANCE, STILL
        self._on = watched
        self._health = health
        self._metrics = metrics
        self._progress = Progress()
        self._lost = 0
        self._retry = False
        self._resuming: asyncio.Task[None] | None = None
        self._looks: dict[str, asyncio.Task[None]] = {}
        """The looks that are not over, by where they look."""
        self._unjoined_since = self._tried_again_at = time.monotonic()
        self._learned = learned
        self._ends, self._earlier_ends = _Ends(time.time()), _Ends(time.time())

    async def look(self) -> None:
        """Look once."""
        await asyncio.gather(
            self._look_at("brokers", self._look_at_log, lambda: why_no_brokers(self._on.brokers)),
            self._look_at("database", self._look_at_store, self._why_no_database),
        )
        self._look_at_reading()
        self._look_at_shares()
        await self._measure()
        if self._retry and (self._resuming is None or self._resuming.done()):
            self._retry = False
            # What is silent just now keeps it waiting, and that is to be told meanwhile.
            self._resuming = asyncio.create_task(self._on.serving.try_again())

    async def stop(self) -> None:
        """Look no more, and try no halted case any more; what is in hand goes on."""
        ending = [*self._looks.values(), *([] if self._resuming is None else [self._resuming])]
        for each in ending:
            each.cancel()
        if ending:
            await asyncio.wait(ending)

    async def _look_at(self, where: str, look: Callable[[], Coroutine[Any, Any, None]], why_away: Why) -> None:
        """Look at some servers. They are asked why they are away: who waits for them knows only that they are.

        A look that takes long goes on until it gives up by itself: what is broken off may never answer again. That they
        answer too late is told until a look is over in time.
        """
        looking = self._looks.get(where)
        is_late = looking is not None
        if looking is None:
            looking = self._looks[where] = asyncio.create_task(look())
        await asyncio.wait({looking}, timeout=self.answers_within)
        why = f"no answer within {self.answers_within:.0f} s" if is_late or not looking.done() else None
        if looking.done():
            del self._looks[where]
            failed = asyncio.CancelledError() if looking.cancelled() else looking.exception()
            if failed is not None:
                why = str(failed) if isinstance(failed, Unavailable) else type(failed).__name__
        self._health.set(where, why and (await why_away() or why))

    async def _why_no_database(self) -> str | None:
        return self._on.documents.why_away()

    async def _look_at_log(self) -> None:
        """See where the partitions end, and learn new definitions."""
        at, founding = time.time(), self._on.founding
        self._ends = _Ends(at, await self._on.log.ends(self._on.stage.reads, list(self._on.serving.shares)))
        why: str | None = None
        try:
            await founding.learn()
        except NotAHome as unreadable:
            why = str(unreadable)
        self._health.set("definitions", why)
        # Whoever met a definition first may have learned it, which helps those who have waited for it longer.
        self._retry |= founding.learned > self._learned
        self._learned = founding.learned

    async def _measure(self) -> None:
        """Measure how much there is to do."""
        shares, ends = self._on.serving.shares, self._ends.of
        known = {partition: shares[partition].position for partition in ends if partition in shares}
        positions = {partition: position for partition, position in known.items() if position is not None}
        ages = await self._ages(positions)
        for name in ("ontrack_lag_events", "ontrack_lag_seconds"):
            self._metrics.forget(name)
        for partition, position in positions.items():
            self._metrics.set("ontrack_lag_events", max(ends[partition] - position, 0), partition=str(partition))
            self._metrics.set("ontrack_lag_seconds", ages.get(partition, 0.0), partition=str(partition))

    async def _ages(self, positions: Mapping[int, int]) -> Mapping[int, float]:
        """Give the age of the oldest event of each partition that is not processed yet.

        What came since the look before is no older than that; what was there then is asked for.
        """
        ends, earlier = self._ends.of, self._earlier_ends
        self._earlier_ends = self._ends
        behind = {partition: position for partition, position in positions.items() if position < ends[partition]}
        old = {partition: position for partition, position in behind.items() if position < earlier.of.get(partition, 0)}
        since: Mapping[int, float] = {}
        with suppress(LogUnavailable, TimeoutError):
            async with asyncio.timeout(REASON):
                since = await self._on.log.appended_at(self._on.stage.reads, old) if old else {}
        now = time.time()
        return {partition: max(now - since.get(partition, earlier.at), 0.0) for partition in behind}

    async def _look_at_store(self) -> None:
        """See whether the states are there, and are those that are worked with, also when there is nothing to read."""
        stage, store = self._on.stage.name, self._on.store
        states = await store.place(stage)
        self._health.set("states", None if states else f"{StatesLost(stage)}. To mend it: {rebuild(stage)}")
        self._retry |= states is not None and not self._on.serving.stands_on(states)
        halted = await store.halted(stage)
        self._metrics.set("ontrack_halted_cases", len(halted))
        self._retry |= any(each.retry and self._on.serving.runs(each.partition) for each in halted)

    def _look_at_reading(self) -> None:
        """See whether what there is to read is read; a subscriber that does not is told of, then started again."""
        now, serving, troubles = time.monotonic(), self._on.serving, self._health.troubles
        waiting = {} if "brokers" in troubles else serving.waiting
        self._progress.seen(now, waiting, self._ends.of, serving.turns, is_free=serving.is_free)
        if serving.has_joined or "brokers" in troubles:
            self._unjoined_since = now
        why = self._why_not_reading(now)
        if self._is_over(now) and "reading" in troubles and "brokers" not in troubles:
            self._tried_again_at = now
            serving.start_again()
        self._health.set("reading", why)
        # What is in hand may take long, and would do so again after a restart.
        still = self._progress.still(now, self.still_after)
        told = f"nothing was done with the events of partitions {_listed(still)} for {self.still_after:.0f} s"
        self._health.set("progress", told if still else None, is_elsewhere=True)

    def _is_over(self, now: float) -> bool:
        """Tell whether nobody expects any more that the subscriber gets on by itself."""
        joining_since = max(self._unjoined_since, self._tried_again_at)
        is_stuck = bool(self._progress.stuck(now, GIVEN_UP)) or now - joining_since > self.joins_within
        return is_stuck or not self._on.serving.is_reading

    def _why_not_reading(self, now: float) -> str | None:
        if not self._on.serving.is_reading:
            return "the subscriber has stopped"
        if now - self._unjoined_since > self.joins_within:
            return f"its group has not let it join within {self.joins_within:.0f} s"
        stuck = self._progress.stuck(now)
        return f"events of partitions {_listed(stuck)} do not come" if stuck else None

    def _look_at_shares(self) -> None:
        """See how it stands with every partition."""
        serving = self._on.serving
        for where in [each for each in self._health.troubles if each.startswith("partition ")]:
            if int(where.removeprefix("partition ")) not in serving.shares:
                self._health.set(where, None)
        for partition, share in serving.shares.items():
            does_not_end = "a batch does not come to its end" if partition in serving.late else None
            self._health.set(f"partition {partition}", share.why or does_not_end)
        behind = sorted(partition for partition, share in serving.shares.items() if not share.has_caught_up)
        waits = [] if serving.has_joined else ["it has not joined its group yet"]
        if behind:
            waits.append(f"it has not caught up yet in partitions {_listed(behind)}")
        self._health.waits_for = waits
        standings = Counter(share.standing.value for share in serving.shares.values())
        for standing in Standing:
            self._metrics.set("ontrack_partitions", standings[standing.value], standing=standing.value)
        self._metrics.add("ontrack_states_lost_total", serving.lost - self._lost)
        self._lost = serving.lost


async def why_no_brokers(brokers: Brokers) -> str | None:
    """Ask the brokers why they are away; None if they are not, or if that does not come out in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REASON):
            return await why_away(brokers)
    return None


def _listed(partitions: list[int]) -> str:
    return ", ".join(map(str, partitions))
