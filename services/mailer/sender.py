"""A letter handed to the mail server, and what that makes of it.

A try is counted before it is begun, and its outcome is noted as soon as the server has spoken: whoever dies in between
costs one letter too many at most, and never one too few.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from services.mailer.desk import Desk
from services.mailer.domain.delivery import Delivery, for_whom, given_back, not_there, put_off, settled, tried
from services.mailer.domain.letter import letter
from services.mailer.domain.mailbag import Notice, is_too_late
from services.mailer.post import BROKEN_OFF, Answer, Fate, MailAway, Post, SenderRefused
from services.runtime.health import Health
from services.runtime.logger import logger
from services.runtime.roster.port import Therapist, language_of

GIVEN_UP: Final = "given_up"

SENDER_REFUSED: Final = "sender-refused"
"""Why a letter waits that the mail server does not take from us, whomever it is for."""

_REFUSED_FOR: Final = timedelta(minutes=1)

Measured = Callable[[str, int], None]


class Sender:
    """Sends letters, one at a time: then a death sends one again at most."""

    def __init__(self, desk: Desk, measured: Measured) -> None:
        """Work at a desk. measured: hears the fate of every try."""
        self._at = desk
        self._measured = measured
        self._one_at_a_time = asyncio.Lock()
        self.health = Health()
        self.is_ending = False

    async def reach(self, post: Post) -> None:
        """Make sure that the mail server can be reached. Raises MailAway."""
        async with self._one_at_a_time:
            await post.open()

    async def tried(self, delivery: Delivery, notice: Notice, post: Post) -> Delivery:
        """Try a delivery once; give how it stands then. Raises MailAway, which says nothing of it."""
        async with self._one_at_a_time:
            if self.is_ending:
                return delivery
            now = self._at.now()
            if is_too_late(notice.happened, notice.requested, now):
                return await self._noted(delivery, settled(delivery, "failed", now, "too-late"), GIVEN_UP)
            return await self._sent(delivery, notice, post)

    async def _sent(self, delivery: Delivery, notice: Notice, post: Post) -> Delivery:
        at, recipient, now = self._at, delivery.recipient, self._at.now()
        # It can have waited for long behind the letters of others, and its case be elsewhere by now.
        told = await at.ingest.told(delivery.case_id, delivery.notice)
        leads = await at.leads(notice, told)
        everybody = for_whom(await at.outbox.of([delivery.notice]), told.recipients, leads)
        if recipient is None or recipient not in everybody:
            return await at.leave_out(delivery)
        is_theirs = recipient in leads
        therapist = await at.roster.find(Therapist, told.clinic, recipient) if is_theirs else None
        if therapist is None:
            return await self._put_aside(delivery, not_there(delivery, now, "no-address" if is_theirs else "left"))
        language = await language_of(at.roster, therapist)
        await post.open()
        counted = tried(delivery, now, everybody)
        # Nothing was sent yet, so an outbox that is away is not waited for.
        if not await at.outbox.change(delivery, counted):
            # Somebody else tries it at this moment.
            return counted
        mail = letter(
            at.head,
            delivery_id=delivery.fact_id,
            address=therapist.address,
            language=language,
            report=notice.report,
            now=now,
        )
        try:
            with self._told_if_slow():
                answer = await post.send(mail)
        except SenderRefused:
            # That can be said of one recipient, and others are tried first.
            await at.change(counted, given_back(delivery, counted, SENDER_REFUSED, at.now() + _REFUSED_FOR))
            raise
        except MailAway:
            await at.change(counted, given_back(delivery, counted, BROKEN_OFF, delivery.next_try))
            raise
        return await self._answered(counted, answer)

    async def _put_aside(self, before: Delivery, after: Delivery) -> Delivery:
        """Wait for a recipient to whom nothing can be sent; give how that stands then."""
        if after.outcome is not None:
            return await self._noted(before, after, GIVEN_UP)
        return after if await self._at.change(before, after) else before

    @contextmanager
    def _told_if_slow(self) -> Iterator[None]:
        """Tell of a letter over which the mail server takes long, until it is done with it."""
        server, health = self._at.server, self.health
        why = f"the mail server at {server.host}:{server.port} is not done with a letter: all mail waits for that"
        telling = asyncio.get_running_loop().call_later(
            self._at.slow_after, partial(health.set, "letter in hand", why, is_elsewhere=True)
        )
        try:
            yield
        finally:
            telling.cancel()
            health.set("letter in hand", None)

    async def _answered(self, delivery: Delivery, answer: Answer) -> Delivery:
        """Note what the mail server has said."""
        now = self._at.now()
        match answer.fate:
            case Fate.TAKEN:
                return await self._noted(delivery, settled(delivery, "sent", now), answer.fate.value)
            case Fate.REFUSED:
                return await self._noted(delivery, settled(delivery, "failed", now, answer.reason), answer.fate.value)
            case Fate.PUT_OFF:
                after = put_off(delivery, now, answer.reason)
                return await self._noted(delivery, after, GIVEN_UP if after.outcome else answer.fate.value)

    async def _noted(self, before: Delivery, after: Delivery, fate: str) -> Delivery:
        """Note what has come of a try."""
        await self._at.change(before, after)
        self._measured(fate, 1)
        logger.info("mail", notice=after.notice, recipient=after.recipient, tries=after.tries, fate=fate)
        return after
