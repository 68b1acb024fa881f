"""The courier: looks which cases have something to be sent, and tells what keeps it from that."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from services.mailer.carrier import Carrier
from services.mailer.desk import Desk
from services.mailer.domain.delivery import FARTHEST
from services.mailer.domain.mailbag import Mailbags
from services.mailer.ingest import NotRecorded
from services.mailer.post import MailAway, Post, SenderRefused
from services.mailer.sender import Measured, Sender
from services.runtime.faults import fault_of_ours
from services.runtime.health import Health
from services.runtime.store.port import Appointment
from services.runtime.store.sealed import StateUnreadable
from services.runtime.unavailable import Unavailable

AWAY_AT_MOST: Final = 60.0
"""Seconds that are waited at most before a mail server that is away is tried again."""

ENDS_WITHIN: Final = 15.0
"""Seconds that the letter in hand is given when the courier is to end."""

KEPT_FOR: Final = timedelta(days=90)
"""A delivery is forgotten after this: longer than anybody is told of what happened."""

WAITING: Final = "waiting"

_LOOK_AGAIN: Final = timedelta(minutes=1)
_FAULT_OF: Final = 2 * _LOOK_AGAIN
_REFUSAL_OF: Final = 3 * _LOOK_AGAIN
_AT_ONCE: Final = 20
_DOUBLED_AT_MOST: Final = 6
_NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)


def _nobody(_: str, __: int) -> None:
    return None


class Courier:
    """Sends what is to be sent. Any number may run: each try is begun by one of them only."""

    def __init__(self, desk: Desk, measured: Measured = _nobody) -> None:
        """Work at a desk. measured: hears the fate of every try, and now and then how many deliveries are `WAITING`."""
        self._at = desk
        self._measured = measured
        self._new = asyncio.Event()
        self._ending = asyncio.Event()
        self._sender = Sender(desk, measured)
        self._carrier = Carrier(desk, self._sender)
        self._tidied: datetime | None = None
        self._faults: dict[str, tuple[str, datetime]] = {}

    def look(self) -> None:
        """Say that there may be something to send."""
        self._new.set()

    async def run(self, health: Health) -> None:
        """Send what is to be sent, as it comes, and tell what keeps it from that, until it is to end."""
        self._sender.health, failures, pause = health, 0, self._at.pause
        while not self._ending.is_set():
            failures = 0 if await self._goes_well(health) else failures + 1
            if failures:
                await _until(self._ending, min(pause * 2 ** min(failures, _DOUBLED_AT_MOST), AWAY_AT_MOST))
            else:
                await _until(self._new, pause)
                self._new.clear()

    async def _goes_well(self, health: Health) -> bool:
        """Make a round, and tell what keeps mail from going out; tell whether nothing does."""
        why: str | None = None
        goes_well = is_server_away = False
        try:
            await self.round()
            goes_well = True
        except SenderRefused as refused:
            # Others can have their mail meanwhile, and do not say that this is over.
            health.set("sender of mail", str(refused), is_elsewhere=True, lasts=_REFUSAL_OF.total_seconds())
        except Unavailable as away:
            why, is_server_away = str(away), isinstance(away, MailAway)
        except Exception as error:  # noqa: BLE001 - it goes on, and what is wrong is told
            why = fault_of_ours(error)
        # Who starts again what is not alive would end a clinic, or a mailer, of which nothing is wrong.
        health.set("mail", why, is_elsewhere=is_server_away)
        of_a_case = next((fault for fault, _ in self._faults.values()), None)
        health.set("mail of some cases", of_a_case, is_elsewhere=True)
        return goes_well

    async def end(self, running: "asyncio.Task[None]") -> None:
        """Let a running courier end: what the mail server is being told is finished first, if that is done in time."""
        self._ending.set()
        self._sender.is_ending = True
        self._new.set()
        await asyncio.wait({running}, timeout=ENDS_WITHIN)
        running.cancel()
        await asyncio.wait({running})

    async def round(self) -> None:
        """Send what is to be sent by now, once each. Raises Unavailable, and goes on there next time.

        What fails for one case keeps no other from its mail: it is tried again a minute later.
        """
        await self._tidy()
        name, at = Mailbags.name, self._at
        async with Post(at.server) as post:
            while not self._ending.is_set() and (appointments := await at.store.appointments(name, at.now(), _AT_ONCE)):
                # All of them come to their end, so that no letter is left between the mail server and the outbox.
                visits = [self._visited(each, post) for each in appointments]
                for outcome in await asyncio.gather(*visits, return_exceptions=True):
                    if outcome is not None:
                        raise outcome
                # What stands there damaged may be a name by which it cannot be put off: it is met again at each look.
                if len(appointments) < _AT_ONCE:
                    break

    async def _tidy(self) -> None:
        """Forget what is long over, count what waits, and look at what would wait for too long, now and then."""
        now = self._at.now()
        if self._tidied is None or not timedelta() <= now - self._tidied < _LOOK_AGAIN:
            self._tidied = now
            self._faults = {case: fault for case, fault in self._faults.items() if now - fault[1] <= _FAULT_OF}
            await self._at.outbox.forget(now - KEPT_FOR)
            self._measured(WAITING, await self._at.outbox.waiting())
            await self._brought_forward(now)

    async def _brought_forward(self, now: datetime) -> None:
        """Look now at the cases that were put off for longer than anything is: a clock was ahead then."""
        store, beyond = self._at.store, Appointment(now + FARTHEST, "", 0)
        while far := await store.appointments(Mailbags.name, _NEVER, _AT_ONCE, beyond):
            for each in far:
                await store.postpone(Mailbags.name, each, now)
            if len(far) < _AT_ONCE:
                break

    async def _visited(self, appointment: Appointment, post: Post) -> None:
        """Send what is to be sent of a case, and note when to look at it again. Raises Unavailable."""
        case_id = appointment.case_id
        try:
            later = await self._carrier.emptied(case_id, post)
            self._faults.pop(case_id, None)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others want their mail, and what is wrong is told
            why = str(error) if isinstance(error, NotRecorded | StateUnreadable) else fault_of_ours(error)
            self._faults[case_id] = why, self._at.now()
            later = self._at.now() + _LOOK_AGAIN
        await self._at.store.postpone(Mailbags.name, appointment, later)


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for something, but no longer than so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
