"""The door: what comes at the same time is judged and recorded together, and each caller is answered by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from services.ingest.intake import Intake, Request, Taken
from services.runtime.unavailable import Unavailable

PATIENCE: Final = 10.0
"""Seconds after which a caller is told to come again."""

WAITING_AT_MOST: Final = 10_000
"""Facts that wait for those before them; more callers are told to come again at once."""

AT_ONCE: Final = 2_000
"""Facts that are recorded together."""

LINGER: Final = 0.002
"""Seconds for which more are waited for when several were recorded together: many are about then, and the first of them
alone would cost the log as much as all of them. Who comes alone is recorded at once."""


class DoorBusy(Unavailable):
    """Too much waits already, or what waits does not get on: nothing was recorded, and the caller may come again."""


@dataclass(slots=True, eq=False)
class _Caller:
    """Who waits to be answered; until: the time of the event loop at which that has taken too long."""

    request: Request
    answer: "asyncio.Future[Taken]"
    until: float

    def told(self, outcome: Taken | Exception) -> None:
        """Answer, unless the caller has gone."""
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class Door:
    """Takes facts of many callers. While some are recorded, those that come wait, and are recorded together then."""

    def __init__(
        self,
        intake: Intake,
        *,
        patience: float = PATIENCE,
        waiting_at_most: int = WAITING_AT_MOST,
        linger: float = LINGER,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        """Record by `intake`. recorded: is called whenever facts have been recorded."""
        self._intake = intake
        self._patience = patience
        self._waiting_at_most = waiting_at_most
        self._linger = linger
        self._recorded = recorded
        self._callers: dict[_Caller, None] = {}
        """Those whose turn it is not yet."""
        self._hopeful: dict[_Caller, None] = {}
        """Those who are not answered yet, in the order in which they came."""
        self._watch: asyncio.TimerHandle | None = None
        self._waiting = 0
        self._came = asyncio.Event()

    async def take(self, request: Request) -> Taken:
        """Record the facts of a request; tell what became of them once they are durable. If one is refused, none is.

        Raises DoorBusy, and nothing was recorded; Unavailable if that is not known, and the same request can come
        again; KeyMissing.
        """
        facts = len(request.facts)
        if self._waiting + facts > self._waiting_at_most:
            raise DoorBusy(f"more than {self._waiting_at_most:,} facts wait to be recorded")
        loop = asyncio.get_running_loop()
        caller = _Caller(request, loop.create_future(), loop.time() + self._patience)
        self._callers[caller] = self._hopeful[caller] = None
        self._waiting += facts
        self._came.set()
        if self._watch is None:
            self._watch = loop.call_at(caller.until, self._see_who_is_late)
        try:
            return await caller.answer
        finally:
            del self._hopeful[caller]
            self._let_go(caller)

    def _see_who_is_late(self) -> None:
        """Tell callers that have waited for too long: nothing was recorded, if it was not their turn yet.

        One timer does for all of them, since they wait equally long: the first who came is the first who is late.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        waited = f"nothing was recorded in {self._patience:.0f} s"
        for caller in self._hopeful:
            if caller.until > now:
                self._watch = loop.call_at(caller.until, self._see_who_is_late)
                return
            is_waiting = caller in self._callers
            caller.told(DoorBusy(waited) if is_waiting else Unavailable(f"{waited}, as far as is known"))
        self._watch = None

    def _let_go(self, caller: _Caller) -> None:
        if caller in self._callers:
            del self._callers[caller]
            self._waiting -= len(caller.request.facts)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Have callers answered for as long as this is entered; who has begun to be answered is answered to the end."""
        closing = asyncio.Event()
        answering = asyncio.create_task(self._answer_until(closing))
        try:
            yield
        finally:
            closing.set()
            self._came.set()
            await asyncio.wait({answering}, timeout=self._patience)
            answering.cancel()

    async def _answer_until(self, closing: asyncio.Event) -> None:
        while not closing.is_set() or self._callers:
            await self._came.wait()
            self._came.clear()
            while callers := self._next():
                await self._answered(callers)
                if len(callers) > 1:
                    await asyncio.sleep(self._linger)

    def _next(self) -> list[_Caller]:
        """Give those whose turn it is: at least one, if anybody waits."""
        callers: list[_Caller] = []
        facts = 0
        for caller in self._callers:
            facts += len(caller.request.facts)
            if callers and facts > AT_ONCE:
                break
            callers.append(caller)
        for caller in callers:
            del self._callers[caller]
        self._waiting -= sum(len(caller.request.facts) for caller in callers)
        return callers

    async def _answered(self, callers: Sequence[_Caller]) -> None:
        """Record what callers bring; what is wrong with the case of one of them is told to nobody else."""
        try:
            taken = await self._intake.take([caller.request for caller in callers])
        except Unavailable as away:
            for caller in callers:
                caller.told(away)
        except Exception as wrong:  # noqa: BLE001 - the others wait to be answered
            if len(callers) == 1:
                callers[0].told(wrong)
                return
            for caller in callers:
                await self._answered([caller])
        else:
            for caller, outcome in zip(callers, taken, strict=True):
                caller.told(outcome)
            self._recorded()
