"""The courier: looks what is to be sent, hands it to the mail server, and records what came of it.

Whatever dies when, a notice is sent, and at most once more than that for each death: a try is counted before it is
begun, its outcome is noted as soon as the server has spoken, and both before anything is recorded as a fact.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import TypeAdapter

from contracts.evolution import evolved
from services.mailer.domain.delivery import (
    Delivery,
    begun,
    fact_of,
    is_over,
    settled,
    tried,
    undeliverable,
)
from services.mailer.domain.letter import Letterhead, letter
from services.mailer.domain.mailbag import Mailbag, Mailbags, Notice
from services.mailer.ingest import Ingest
from services.mailer.outbox.port import Outbox
from services.mailer.post import Fate, MailServer, Post
from services.runtime.faults import place_of
from services.runtime.health import Health
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.roster.port import Clinic, Group, Roster, Therapist
from services.runtime.store.port import AgendaStore, Appointment
from services.runtime.store.sealed import StateUnreadable, open_states
from services.runtime.unavailable import Unavailable

TICK: Final = 1.0
"""Seconds between two looks at the agenda, unless somebody says that there is something new."""

AWAY_AT_MOST: Final = 60.0
"""Seconds that are waited at most before a mail server that is away is tried again."""

KEPT_FOR: Final = timedelta(days=90)
"""A delivery is forgotten after this: longer than anybody is told of what happened."""

_LOOK_AGAIN: Final = timedelta(minutes=1)
_AT_ONCE: Final = 50
_DOUBLED_AT_MOST: Final = 6
_BAGS: Final = TypeAdapter(Mailbag)
_LOG = structlog.get_logger()

WAITING: Final = "waiting"

Told = Callable[[str, int], None]


def _fault(error: Exception) -> str:
    """Tell of a fault without what it says, which could hold anything."""
    return f"a fault of OnTrack ({place_of(error)})"


def _nobody(_: str, __: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Desk:
    """What a courier works with.

    store, keyring: where the stage keeps what is to be sent
    now: tells the time
    """

    store: AgendaStore
    keyring: Keyring
    roster: Roster
    outbox: Outbox
    ingest: Ingest
    server: MailServer
    head: Letterhead
    now: Callable[[], datetime]


class Courier:
    """Sends what is to be sent. Any number may run: each try is begun by one of them only."""

    def __init__(self, desk: Desk, told: Told = _nobody) -> None:
        """Work at a desk. told: hears the fate of every try, and now and then how many deliveries are `WAITING`."""
        self._at = desk
        self._told = told
        self._new = asyncio.Event()
        self._sending = asyncio.Lock()
        self._tidied: datetime | None = None

    def look(self) -> None:
        """Say that there may be something to send."""
        self._new.set()

    async def run(self, health: Health) -> None:
        """Send what is to be sent, as it comes, and tell what keeps it from that."""
        failures = 0
        while True:
            try:
                faults = await self.round()
                health.set("mail", faults[0] if faults else None)
            except Unavailable as away:
                health.set("mail", str(away))
                failures += 1
                await asyncio.sleep(min(TICK * 2 ** min(failures, _DOUBLED_AT_MOST), AWAY_AT_MOST))
                continue
            except Exception as error:  # noqa: BLE001 - it goes on, and what is wrong is told
                health.set("mail", _fault(error))
            failures = 0
            await self._until_new()

    async def _until_new(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._new.wait()
        self._new.clear()

    async def round(self) -> Sequence[str]:
        """Send what is to be sent by now, once each; give what failed. Raises Unavailable, and goes on there next time.

        What fails for one case keeps no other from its mail: it is tried again a minute later.
        """
        faults: list[str] = []
        await self._tidy()
        name, at = Mailbags.name, self._at
        async with Post(at.server) as post:
            while appointments := await at.store.appointments(name, at.now(), _AT_ONCE):
                # All of them come to their end, so that no letter is left between the mail server and the outbox.
                visits = [self._visited(each, post) for each in appointments]
                for outcome in await asyncio.gather(*visits, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome
                    faults += [] if outcome is None else [outcome]
        return faults

    async def _tidy(self) -> None:
        """Forget what is long over, and count what waits, now and then."""
        now = self._at.now()
        if self._tidied is None or now - self._tidied >= _LOOK_AGAIN:
            self._tidied = now
            await self._at.outbox.forget(now - KEPT_FOR)
            self._told(WAITING, len(await self._at.outbox.waiting()))

    async def _visited(self, appointment: Appointment, post: Post) -> str | None:
        """Send what is to be sent of a case, and note when to look at it again; tell of a fault. Raises Unavailable."""
        fault: str | None = None
        try:
            later = await self._emptied(appointment.case_id, post)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others want their mail, and what is wrong is told
            fault, later = _fault(error), self._at.now() + _LOOK_AGAIN
        await self._at.store.postpone(Mailbags.name, appointment, later)
        return fault

    async def _emptied(self, case_id: str, post: Post) -> datetime | None:
        """Send what is to be sent of a case; give when to come again, None if that is not needed."""
        at = self._at
        bags = await open_states(at.store, at.keyring, _BAGS, Mailbags.name, [case_id])
        if case_id not in bags and not isinstance((await at.keyring.keys([case_id])).get(case_id), Destroyed):
            raise StateUnreadable(f"the key of case {case_id} is missing")
        notices = bags[case_id].notices if case_id in bags else {}
        known: dict[str, list[Delivery]] = defaultdict(list)
        for each in await at.outbox.of(notices):
            known[each.notice].append(each)
        later: list[datetime] = []
        for notice_id, notice in notices.items():
            deliveries = known[notice_id] or await self._begun(case_id, notice_id, notice)
            if not deliveries:
                later.append(at.now() + _LOOK_AGAIN)
            for delivery in deliveries:
                if delivery.recipient not in notice.settled:
                    later.extend(filter(None, [await self._forwarded(notice, delivery, post)]))
        return min(later, default=None)

    async def _begun(self, case_id: str, notice_id: str, notice: Notice) -> Sequence[Delivery]:
        """Take a notice in hand; none as long as there is nobody for it."""
        now = self._at.now()
        ended = undeliverable(case_id, notice_id, notice, now)
        if ended is not None:
            deliveries = [ended]
        else:
            deliveries = begun(case_id, notice_id, notice.recipients or await self._recipients(notice), now)
        if not deliveries:
            return []
        await self._at.outbox.begin(deliveries)
        # Somebody else may have begun it at this moment, for whom the directory had then.
        return await self._at.outbox.of([notice_id])

    async def _recipients(self, notice: Notice) -> Sequence[str]:
        """Give whom a notice is for, as the directory has it now."""
        roster = self._at.roster
        if notice.to == "supervisor":
            clinic = await roster.find(Clinic, notice.clinic, notice.clinic)
            return clinic.supervisors if clinic is not None else ()
        group = None if notice.group is None else await roster.find(Group, notice.clinic, notice.group)
        return group.therapists if group is not None else ()

    async def _forwarded(self, notice: Notice, delivery: Delivery, post: Post) -> datetime | None:
        """Try a delivery if it is time, and record its outcome; give when to come again, None if that is not needed."""
        if delivery.outcome is None and delivery.next_try <= self._at.now():
            if delivery.tries == 0 and await self._at.ingest.has(delivery.case_id, delivery.fact_id):
                # The outbox was lost, and its outcome is on its way here.
                return None
            delivery = await self._tried(notice, delivery, post)
        if delivery.outcome is None:
            return delivery.next_try
        await self._at.ingest.record(fact_of(delivery))
        return None

    async def _tried(self, notice: Notice, delivery: Delivery, post: Post) -> Delivery:
        """Try a delivery once; give how it stands then."""
        at, recipient = self._at, delivery.recipient
        therapist = recipient and await at.roster.find(Therapist, notice.clinic, recipient)
        async with self._sending:
            if therapist:
                await post.open()
            now = at.now()
            counted = tried(delivery, now)
            if not await at.outbox.change(delivery, counted):
                # Somebody else tries it at this moment.
                return counted
            if not therapist:
                return await self._noted(counted, Fate.PUT_OFF, "no-address")
            address, language = therapist.address, therapist.language
            mail = letter(
                at.head,
                delivery_id=delivery.fact_id,
                address=address,
                language=language,
                report=notice.report,
                now=now,
            )
            return await self._noted(counted, *await post.send(mail))

    async def _noted(self, delivery: Delivery, fate: Fate, reason: str) -> Delivery:
        """Note what has come of a try."""
        now = self._at.now()
        match fate:
            case Fate.TAKEN:
                after = settled(delivery, "sent", now)
            case Fate.REFUSED:
                after = settled(delivery, "failed", now, reason)
            case Fate.PUT_OFF if is_over(delivery, now):
                after = settled(delivery, "failed", now, "gave-up")
            case Fate.PUT_OFF:
                after = evolved(delivery, reason=reason)
        await self._at.outbox.change(delivery, after)
        self._told(fate.value, 1)
        _LOG.info("mail", notice=delivery.notice, recipient=delivery.recipient, tries=delivery.tries, fate=fate.value)
        return after
