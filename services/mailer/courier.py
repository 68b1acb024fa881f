"""The courier: looks what is to be sent, hands it to the mail server, and records what came of it.

Whatever dies when, a notice is sent, and at most once more than that for each death: a try is counted before it is
begun, its outcome is noted as soon as the server has spoken, and both before anything is recorded as a fact.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from services.mailer.domain.delivery import (
    FARTHEST,
    Delivery,
    begun,
    begun_again,
    fact_of,
    for_whom,
    given_back,
    given_up,
    not_there,
    put_off,
    settled,
    still_nobody,
    tried,
    without_recipient,
)
from services.mailer.domain.letter import Letterhead, letter
from services.mailer.domain.mailbag import Mailbag, Mailbags, Notice, is_too_late
from services.mailer.ingest import Ingest, NotRecorded, Told
from services.mailer.outbox.port import Outbox, OutboxDamaged, OutboxUnavailable
from services.mailer.post import BROKEN_OFF, Answer, Fate, MailAway, MailServer, Post, SenderRefused
from services.runtime.faults import fault_of_ours
from services.runtime.health import Health
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.roster.port import Clinic, Group, Roster, Therapist, language_of
from services.runtime.store.port import AgendaStore, Appointment
from services.runtime.store.sealed import StateUnreadable, open_states
from services.runtime.unavailable import Unavailable

TICK: Final = 1.0
"""Seconds between two looks at the agenda, unless somebody says that there is something new."""

AWAY_AT_MOST: Final = 60.0
"""Seconds that are waited at most before a mail server that is away is tried again."""

ENDS_WITHIN: Final = 15.0
"""Seconds that the letter in hand is given when the courier is to end."""

SLOW_AFTER: Final = 60.0
"""Seconds after which it is told that the mail server is not done with a letter. One is in hand at a time, so that a
death sends one again at most: all others wait for it."""

NOTED_WITHIN: Final = 60
"""How often a second is waited for an outbox that is away, to note what the mail server has said."""

KEPT_FOR: Final = timedelta(days=90)
"""A delivery is forgotten after this: longer than anybody is told of what happened."""

_LOOK_AGAIN: Final = timedelta(minutes=1)
_FAULT_OF: Final = 2 * _LOOK_AGAIN
_REFUSED_FOR: Final = 3 * _LOOK_AGAIN
_AT_ONCE: Final = 20
_DOUBLED_AT_MOST: Final = 6
_NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_BAGS: Final = TypeAdapter(Mailbag)
_MAILBAGS: Final = Mailbags()
_LOG = structlog.get_logger()

SENDER_REFUSED: Final = "sender-refused"
"""Why a letter waits that the mail server does not take from us, whomever it is for."""

WAITING: Final = "waiting"
GIVEN_UP: Final = "given_up"

Measured = Callable[[str, int], None]


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


@dataclass(frozen=True, slots=True)
class _Errand:
    """A notice that is looked at. notice: as the stage has it; told: what ingest says of it and its case."""

    case_id: str
    id: str
    notice: Notice
    told: Told


class Courier:
    """Sends what is to be sent. Any number may run: each try is begun by one of them only."""

    def __init__(self, desk: Desk, measured: Measured = _nobody) -> None:
        """Work at a desk. measured: hears the fate of every try, and now and then how many deliveries are `WAITING`."""
        self._at = desk
        self._measured = measured
        self._new = asyncio.Event()
        self._ending = asyncio.Event()
        self._sending = asyncio.Lock()
        self._tidied: datetime | None = None
        self._faults: dict[str, tuple[str, datetime]] = {}
        self._health = Health()

    def look(self) -> None:
        """Say that there may be something to send."""
        self._new.set()

    async def run(self, health: Health) -> None:
        """Send what is to be sent, as it comes, and tell what keeps it from that, until it is to end."""
        self._health, failures = health, 0
        while not self._ending.is_set():
            is_server_away = False
            try:
                await self.round()
                why, failures = None, 0
            except SenderRefused as refused:
                # Others can have their mail meanwhile, and do not say that this is over.
                health.set("sender of mail", str(refused), is_elsewhere=True, lasts=_REFUSED_FOR.total_seconds())
                why = None
                failures += 1
            except Unavailable as away:
                why = str(away)
                is_server_away = isinstance(away, MailAway)
                failures += 1
            except Exception as error:  # noqa: BLE001 - it goes on, and what is wrong is told
                why = fault_of_ours(error)
                failures += 1
            # Who starts again what is not alive would end a clinic, or a mailer, of which nothing is wrong.
            health.set("mail", why, is_elsewhere=is_server_away)
            of_a_case = next((fault for fault, _ in self._faults.values()), None)
            health.set("mail of some cases", of_a_case, is_elsewhere=True)
            if failures:
                await _until(self._ending, min(TICK * 2 ** min(failures, _DOUBLED_AT_MOST), AWAY_AT_MOST))
            else:
                await _until(self._new, TICK)
                self._new.clear()

    async def end(self, running: "asyncio.Task[None]") -> None:
        """Let a running courier end: what the mail server is being told is finished first, if that is done in time."""
        self._ending.set()
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

    async def _visited(self, appointment: Appointment, post: Post) -> None:
        """Send what is to be sent of a case, and note when to look at it again. Raises Unavailable."""
        case_id = appointment.case_id
        try:
            later = await self._emptied(case_id, post)
            self._faults.pop(case_id, None)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others want their mail, and what is wrong is told
            why = str(error) if isinstance(error, NotRecorded | StateUnreadable) else fault_of_ours(error)
            self._faults[case_id] = why, self._at.now()
            later = self._at.now() + _LOOK_AGAIN
        await self._at.store.postpone(Mailbags.name, appointment, later)

    async def _emptied(self, case_id: str, post: Post) -> datetime | None:
        """Send what is to be sent of a case; give when to come again, None if that is not needed."""
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
        failed: list[NotRecorded | ValidationError] = []
        for notice_id, notice in notices.items():
            try:
                told = await at.ingest.told(case_id, notice_id)
                if not told.is_over:
                    # Else its outcome is on its way here.
                    later += await self._carried(_Errand(case_id, notice_id, notice, told), known[notice_id], post)
            except (NotRecorded, ValidationError) as why:
                # The other notices want their mail, be what came of this one refused, or the roster unreadable.
                failed.append(why)
        if failed:
            raise failed[0]
        return min(later, default=None)

    async def _carried(self, errand: _Errand, known: Sequence[Delivery], post: Post) -> Sequence[datetime]:
        """Bring a notice to whom it is for, as far as it is time; give when to come again."""
        later: list[datetime] = []
        failed: list[NotRecorded | ValidationError] = []
        for delivery in await self._in_hand(errand, known, post):
            if delivery.recipient not in errand.told.settled:
                try:
                    later.extend(filter(None, [await self._forwarded(errand, delivery, post)]))
                except (NotRecorded, ValidationError) as why:
                    # The others want their mail, be what came of this one refused, or its therapist unreadable.
                    failed.append(why)
        for delivery in await self._given_up(errand):
            try:
                await self._at.ingest.record(fact_of(delivery, self._at.now()))
            except NotRecorded as why:
                failed.append(why)
        if failed:
            raise failed[0]
        return later

    async def _known(self, case_id: str, notices: Collection[str]) -> Sequence[Delivery]:
        """Give what the outbox keeps of the notices of a case; what cannot be read is lost, and is made anew."""
        outbox = self._at.outbox
        try:
            return await outbox.of(notices)
        except OutboxDamaged as damaged:
            _LOG.warning("outbox-damaged", case=case_id, why=str(damaged))
            await outbox.forget_damaged(notices)
            return await outbox.of(notices)

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
        async with self._sending:
            # Whom it is for is asked when it can be sent.
            await post.open()
        everybody = errand.told.recipients or await self._by_roster(errand.notice, errand.told)
        if not everybody:
            return [await self._kept(nobody, still_nobody(nobody, now))]
        if is_looked_for:
            await self._left_out(nobody)
        return await self._begun(errand, known, everybody)

    async def _sorted_out(self, errand: _Errand, known: Sequence[Delivery]) -> tuple[Sequence[Delivery], Sequence[str]]:
        """Leave those out to whom a notice goes no more; give its deliveries then, and to whom it goes, if to anybody.

        As long as it was taken in hand for nobody, that is asked elsewhere.
        """
        if not any(each.recipients for each in known if each.outcome != "void"):
            return known, ()
        now, leads = self._at.now(), await self._by_roster(errand.notice, errand.told)
        everybody = for_whom(known, errand.told.recipients, leads)
        found = [
            # Who is being written to at this moment was to be, and what comes of that has to be noted.
            each
            if each.recipient in everybody or each.outcome in ("sent", "void") or each.is_in_hand(now)
            else await self._left_out(each)
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
                await self._changed(void, begun_again(void, each))
        # Somebody else may have begun it at this moment, for whom the directory had then.
        return await self._at.outbox.of([errand.id])

    async def _left_out(self, delivery: Delivery) -> Delivery:
        """Leave out one to whom a notice goes no more; give how that stands then."""
        gone = settled(delivery, "void", self._at.now())
        return gone if await self._changed(delivery, gone) else delivery

    async def _kept(self, before: Delivery, after: Delivery) -> Delivery:
        """Keep how it stands with a notice that has nobody; give that, or what somebody else has kept."""
        await self._begin(before.case_id, [before])
        return after if await self._changed(before, after) else before

    async def _begin(self, case_id: str, deliveries: Sequence[Delivery]) -> None:
        """Keep deliveries, unless the case is erased meanwhile: its key is destroyed before what is kept is removed."""
        await self._at.outbox.begin(deliveries)
        if isinstance((await self._at.keyring.keys([case_id])).get(case_id), Destroyed):
            await self._at.outbox.forget_case(case_id)

    async def _by_roster(self, notice: Notice, told: Told) -> Sequence[str]:
        """Give whom a notice is for, as the roster has it now of where the case is."""
        roster = self._at.roster
        if notice.to == "supervisor":
            clinic = await roster.find(Clinic, told.clinic, told.clinic)
            return clinic.supervisors if clinic is not None else ()
        group = None if told.group is None else await roster.find(Group, told.clinic, told.group)
        return group.therapists if group is not None else ()

    async def _forwarded(self, errand: _Errand, delivery: Delivery, post: Post) -> datetime | None:
        """Try a delivery if it is time, and record that it was sent; give when to come again, if that is needed."""
        is_due = delivery.recipient is not None and delivery.is_due(self._at.now())
        if delivery.outcome is None and is_due:
            delivery = await self._tried(errand, delivery, post)
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

    async def _tried(self, errand: _Errand, delivery: Delivery, post: Post) -> Delivery:
        """Try a delivery once; give how it stands then."""
        at, recipient = self._at, delivery.recipient
        async with self._sending:
            now = at.now()
            if self._ending.is_set():
                return delivery
            if is_too_late(errand.notice.happened, errand.notice.requested, now):
                return await self._noted(delivery, settled(delivery, "failed", now, "too-late"), GIVEN_UP)
            # It can have waited for long behind the letters of others, and its case be elsewhere by now.
            told = await at.ingest.told(errand.case_id, errand.id)
            leads = await self._by_roster(errand.notice, told)
            everybody = for_whom(await at.outbox.of([errand.id]), told.recipients, leads)
            if recipient is None or recipient not in everybody:
                return await self._left_out(delivery)
            is_theirs = recipient in leads
            therapist = await at.roster.find(Therapist, told.clinic, recipient) if is_theirs else None
            if not therapist:
                after = not_there(delivery, now, "no-address" if is_theirs else "left")
                if after.outcome is not None:
                    return await self._noted(delivery, after, GIVEN_UP)
                return after if await self._changed(delivery, after) else delivery
            language = await language_of(at.roster, therapist)
            await post.open()
            counted = tried(delivery, now, everybody)
            if not await at.outbox.change(delivery, counted):
                # Somebody else tries it at this moment.
                return counted
            mail = letter(
                at.head,
                delivery_id=delivery.fact_id,
                address=therapist.address,
                language=language,
                report=errand.notice.report,
                now=now,
            )
            try:
                with self._told_if_slow():
                    answer = await post.send(mail)
            except SenderRefused:
                # That can be said of one recipient, and others are tried first.
                await self._changed(counted, given_back(delivery, counted, SENDER_REFUSED, at.now() + _LOOK_AGAIN))
                raise
            except MailAway:
                await self._changed(counted, given_back(delivery, counted, BROKEN_OFF, delivery.next_try))
                raise
            return await self._answered(counted, answer)

    @contextmanager
    def _told_if_slow(self) -> Iterator[None]:
        """Tell of a letter over which the mail server takes long, until it is done with it."""
        server, health = self._at.server, self._health
        why = f"the mail server at {server.host}:{server.port} is not done with a letter: all mail waits for that"
        telling = asyncio.get_running_loop().call_later(
            SLOW_AFTER, partial(health.set, "letter in hand", why, is_elsewhere=True)
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
                return await self._put_off(delivery, answer.reason)

    async def _put_off(self, delivery: Delivery, reason: str) -> Delivery:
        after = put_off(delivery, self._at.now(), reason)
        return await self._noted(delivery, after, Fate.PUT_OFF.value if after.outcome is None else GIVEN_UP)

    async def _noted(self, before: Delivery, after: Delivery, fate: str) -> Delivery:
        """Note what has come of a try."""
        await self._changed(before, after)
        self._measured(fate, 1)
        _LOG.info("mail", notice=after.notice, recipient=after.recipient, tries=after.tries, fate=fate)
        return after

    async def _changed(self, before: Delivery, after: Delivery) -> bool:
        """Change a delivery that nobody else has; wait for an outbox that is away, since a letter cannot be unsent."""
        for _ in range(NOTED_WITHIN):
            with suppress(OutboxUnavailable):
                return await self._at.outbox.change(before, after)
            # When it is to end, too: what is not noted goes out again.
            await asyncio.sleep(TICK)
        return await self._at.outbox.change(before, after)


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for something, but no longer than so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
