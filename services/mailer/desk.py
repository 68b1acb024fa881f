"""What those who send mail work with."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.mailer.domain.delivery import Delivery, settled
from services.mailer.domain.letter import Letterhead
from services.mailer.domain.mailbag import Notice
from services.mailer.ingest import Ingest, Told
from services.mailer.outbox.port import Outbox, OutboxUnavailable
from services.mailer.post import MailServer
from services.runtime.keyring.port import Keyring
from services.runtime.roster.port import Clinic, Group, Roster
from services.runtime.store.port import AgendaStore

NOTED_WITHIN: Final = 60
"""How often an outbox that is away is tried, to note what the mail server has said."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a courier works with.

    store, keyring: where the stage keeps what is to be sent
    now: tells the time
    pause: seconds between two looks at the agenda, or at an outbox that is away
    slow_after: seconds after which it is told that the mail server is not done with a letter
    """

    store: AgendaStore
    keyring: Keyring
    roster: Roster
    outbox: Outbox
    ingest: Ingest
    server: MailServer
    head: Letterhead
    now: Callable[[], datetime]
    pause: float = 1.0
    slow_after: float = 60.0

    async def leads(self, notice: Notice, told: Told) -> Sequence[str]:
        """Give whom a notice is for, as the roster has it now of where the case is."""
        if notice.to == "supervisor":
            clinic = await self.roster.find(Clinic, told.clinic, told.clinic)
            return clinic.supervisors if clinic is not None else ()
        group = None if told.group is None else await self.roster.find(Group, told.clinic, told.group)
        return group.therapists if group is not None else ()

    async def change(self, before: Delivery, after: Delivery) -> bool:
        """Change a delivery, unless somebody else has; tell whether it was done. Raises OutboxUnavailable.

        An outbox that is away is waited for: a letter cannot be unsent, and what is not noted goes out again.
        """
        for _ in range(NOTED_WITHIN):
            with suppress(OutboxUnavailable):
                return await self.outbox.change(before, after)
            # Also by who is to end.
            await asyncio.sleep(self.pause)
        return await self.outbox.change(before, after)

    async def leave_out(self, delivery: Delivery) -> Delivery:
        """Leave out one to whom a notice goes no more; give how that stands then."""
        gone = settled(delivery, "void", self.now())
        return gone if await self.change(delivery, gone) else delivery
