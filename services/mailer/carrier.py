"""The notices of a case on their way: to whom each goes, who is tried now, and what is recorded of it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError

from services.mailer.desk import Desk
from services.mailer.domain.delivery import (
    Delivery,
    begun,
    begun_again,
    fact_of,
    for_whom,
    given_up,
    settled,
    still_nobody,
    without_recipient,
)
from services.mailer.domain.mailbag import Mailbag, Mailbags, Notice, is_too_late
from services.mailer.ingest import NotRecorded, Told
from services.mailer.outbox.port import OutboxDamaged
from services.mailer.post import Post
from services.mailer.sender import Sender
from services.runtime.keyring.port import Destroyed
from services.runtime.logger import logger
from services.runtime.store.sealed import StateUnreadable, open_states

_BAGS: Final = TypeAdapter(Mailbag)
_MAILBAGS: Final = Mailbags()


@dataclass(frozen=True, slots=True)
class _Errand:
    """A notice that is looked at. notice: as the stage has it; told: what ingest says of it and its case."""

    case_id: str
    id: str
    notice: Notice
    told: Told


class _Turns:
    """What fails at one turn keeps nobody from theirs: the first failure is raised when all have had it."""

    def __init__(self) -> None:
        self._failed: list[NotRecorded | ValidationError] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a turn: what came of it can be refused, and the roster, or a therapist in it, unreadable."""
        try:
            yield
        except (NotRecorded, ValidationError) as why:
            self._failed.append(why)

    def end(self) -> None:
        """Raise what has failed first, if anything has."""
        if self._failed:
            raise self._failed[0]


class Carrier:
    """Brings the notices of a case to whom they are for."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        """Work at a desk."""
        self._at = desk
        self._sender = sender

    async def emptied(self, case_id: str, post: Post) -> datetime | None:
        """Send what is to be sent of a case; give when to come again, None if that is not needed.

        Raises Unavailable, StateUnreadable, and NotRecorded or ValidationError once all its notices had their turn.
        """
        at = self._at
        bags = await open_states(at.store, at.keyring, _BAGS, _MAILBAGS, [case_id])
        if case_id not in bags:
            if isinstance((await at.keyring.keys([case_id])).get(case_id), Destroyed):
                await at.outbox.forget_case(case_id)
                return None
            raise StateUnreadable(f"the key of case {case_id} is missing")
        notices = bags[case_id].notices
        known: dict[str, list[Delivery]] = defaultdict(list)
        for each in await self._known(case_id, notices):
            known[each.notice].append(each)
        later: list[datetime] = []
        turns = _Turns()
        for notice_id, notice in notices.items():
            with turns.one():
                told = await at.ingest.told(case_id, notice_id)
                if not told.is_over:
                    # Else its outcome is on its way here.
                    later += await self._carried(_Errand(case_id, notice_id, notice, told), known[notice_id], post)
        turns.end()
        return min(later, default=None)

    async def _known(self, case_id: str, notices: Collection[str]) -> Sequence[Delivery]:
        """Give what the outbox keeps of the notices of a case; what cannot be read is lost, and is made anew."""
        outbox = self._at.outbox
        try:
            return await outbox.of(notices)
        except OutboxDamaged as damaged:
            logger.warning("outbox-damaged", case=case_id, why=str(damaged))
            await outbox.forget_damaged(notices)
            return await outbox.of(notices)

    async def _carried(self, errand: _Errand, known: Sequence[Delivery], post: Post) -> Sequence[datetime]:
        """Bring a notice to whom it is for, as far as it is time; give when to come again."""
        later: list[datetime] = []
        turns = _Turns()
        for delivery in await self._in_hand(errand, known, post):
            if delivery.recipient not in errand.told.settled:
                with turns.one():
                    later.extend(filter(None, [await self._forwarded(errand, delivery, post)]))
        for delivery in await self._given_up(errand):
            with turns.one():
                await self._at.ingest.record(fact_of(delivery, self._at.now()))
        turns.end()
        return later

    async def _forwarded(self, errand: _Errand, delivery: Delivery, post: Post) -> datetime | None:
        """Try a delivery if it is time, and record that it was sent; give when to come again, if that is needed."""
        is_due = delivery.recipient is not None and delivery.is_due(self._at.now())
        if delivery.outcome is None and is_due:
            delivery = await self._sender.tried(delivery, errand.notice, post)
            if delivery.outcome == "void":
                # It goes to others, who are taken in hand at the next look.
                return self._at.now()
        if delivery.outcome is None:
            return delivery.next_try
        if delivery.outcome == "sent":
            await self._at.ingest.record(fact_of(delivery, self._at.now()))
        return None

    async def _given_up(self, errand: _Errand) -> Sequence[Delivery]:
        """Give the deliveries of a notice that have failed, as far as that is to be recorded and is not."""
        told = errand.told
        known = await self._at.outbox.of([errand.id])
        return [each for each in given_up(known, told.recipients) if each.recipient not in told.settled]

    async def _in_hand(self, errand: _Errand, known: Sequence[Delivery], post: Post) -> Sequence[Delivery]:
        """Give the deliveries of a notice; it is taken in hand if it is not, or not for everybody."""
        now = self._at.now()
        known, everybody = await self._sorted_out(errand, known)
        if everybody:
            return await self._begun(errand, known, everybody)
        kept = next((each for each in known if each.recipient is None), None)
        is_looked_for = kept is not None and kept.outcome != "void"
        nobody = kept if kept and is_looked_for else without_recipient(errand.case_id, errand.id, now, kept)
        if is_too_late(errand.notice.happened, errand.notice.requested, now):
            return [await self._kept(nobody, settled(nobody, "failed", now, "too-late"))]
        # Whom it is for is asked when it can be sent.
        await self._sender.reach(post)
        everybody = errand.told.recipients or await self._at.leads(errand.notice, errand.told)
        if not everybody:
            return [await self._kept(nobody, still_nobody(nobody, now))]
        if is_looked_for:
            await self._at.leave_out(nobody)
        return await self._begun(errand, known, everybody)

    async def _sorted_out(self, errand: _Errand, known: Sequence[Delivery]) -> tuple[Sequence[Delivery], Sequence[str]]:
        """Leave those out to whom a notice goes no more; give its deliveries then, and to whom it goes, if to anybody.

        As long as it was taken in hand for nobody, that is asked elsewhere.
        """
        if not any(each.recipients for each in known if each.outcome != "void"):
            return known, ()
        now, leads = self._at.now(), await self._at.leads(errand.notice, errand.told)
        everybody = for_whom(known, errand.told.recipients, leads)
        found = [
            # Who is being written to at this moment was to be, and what comes of that has to be noted.
            each
            if each.recipient in everybody or each.outcome in ("sent", "void") or each.is_in_hand(now)
            else await self._at.leave_out(each)
            for each in known
        ]
        return found, everybody

    async def _begun(self, errand: _Errand, known: Sequence[Delivery], everybody: Sequence[str]) -> Sequence[Delivery]:
        """Take a notice in hand for those of its recipients who lack that, and were not told; give its deliveries."""
        its = {each.recipient: each for each in known}
        missing = [
            each
            for each in begun(errand.case_id, errand.id, everybody, self._at.now())
            if each.recipient not in errand.told.settled
            and (each.recipient not in its or its[each.recipient].outcome == "void")
        ]
        if not missing:
            return known
        await self._begin(errand.case_id, [each for each in missing if each.recipient not in its])
        for each in missing:
            if void := its.get(each.recipient):
                await self._at.change(void, begun_again(void, each))
        # Somebody else may have begun it at this moment, for whom the directory had then.
        return await self._at.outbox.of([errand.id])

    async def _kept(self, before: Delivery, after: Delivery) -> Delivery:
        """Keep how it stands with a notice that has nobody; give that, or what somebody else has kept."""
        await self._begin(before.case_id, [before])
        return after if await self._at.change(before, after) else before

    async def _begin(self, case_id: str, deliveries: Sequence[Delivery]) -> None:
        """Keep deliveries, unless the case is erased meanwhile: its key is destroyed before what is kept is removed."""
        await self._at.outbox.begin(deliveries)
        if isinstance((await self._at.keyring.keys([case_id])).get(case_id), Destroyed):
            await self._at.outbox.forget_case(case_id)
