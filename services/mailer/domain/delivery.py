"""One notice on its way to one recipient: when it is tried again, when that ends, and the fact of what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from contracts.events.event import FACT_ID, Event, name_based_id, new_fact
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.evolution import evolved
from services.mailer.domain.mailbag import NEWS_FOR, Notice

FIRST_RETRY: Final = timedelta(minutes=2)
"""Longer than one try can take, so that nobody else begins another one meanwhile."""

LAST_RETRY: Final = timedelta(hours=1)
_DOUBLED_AT_MOST: Final = 5

TRIED_FOR: Final = timedelta(days=4)
"""RFC 5321, 4.5.4.1: whoever sends mail gives up after four to five days."""

SOURCE: Final = "urn:ontrack:mailer"

Outcome = Literal["sent", "failed"]
Fact = Event[NoticeSent | NoticeFailed]


@dataclass(frozen=True)
class Delivery:
    """One notice for one recipient. recipient: None for a notice that goes to nobody any more.

    recipients: everybody to whom the notice goes, this one included
    begun: when it was first taken in hand; tries: how often it was begun to be sent
    next_try: when it is to be tried, if it has no outcome by then
    outcome: what has come of it, at `at`; reason: why it failed, or why it was put off the last time
    """

    case_id: str
    notice: str
    recipient: str | None
    recipients: tuple[str, ...]
    begun: datetime
    next_try: datetime
    tries: int = 0
    outcome: Outcome | None = None
    at: datetime | None = None
    reason: str = ""

    @property
    def fact_id(self) -> str:
        """Give the id of the fact of what came of it: the same whatever that was, so that only one can be recorded."""
        return name_based_id(FACT_ID, "mailer", self.notice, self.recipient or "")


def begun(case_id: str, notice_id: str, recipients: Sequence[str], now: datetime) -> list[Delivery]:
    """Take a notice in hand: one delivery for each of its recipients."""
    everybody = tuple(sorted(set(recipients)))
    return [Delivery(case_id, notice_id, each, everybody, begun=now, next_try=now) for each in everybody]


def tried(delivery: Delivery, now: datetime) -> Delivery:
    """Count a try before it is begun. It is put off at once: if this process dies, the next try has its time."""
    # A power without a bound would be more than a timedelta can hold after a day.
    wait = min(FIRST_RETRY * 2 ** min(delivery.tries, _DOUBLED_AT_MOST), LAST_RETRY)
    return evolved(delivery, tries=delivery.tries + 1, next_try=now + wait)


def settled(delivery: Delivery, outcome: Outcome, now: datetime, reason: str = "") -> Delivery:
    """Say what has come of it."""
    return evolved(delivery, outcome=outcome, at=now, reason=reason)


def is_over(delivery: Delivery, now: datetime) -> bool:
    """Tell whether it has been tried for long enough."""
    return now - delivery.begun >= TRIED_FOR


def undeliverable(case_id: str, notice_id: str, notice: Notice, now: datetime) -> Delivery | None:
    """Give up a notice that was not taken in hand yet, if it is too late, or if there was nobody for it for too long.

    None as long as it may wait.
    """
    if now - notice.happened > NEWS_FOR:
        reason = "too-late"
    elif now - notice.requested >= TRIED_FOR:
        reason = "nobody"
    else:
        return None
    nobody = Delivery(case_id, notice_id, None, (), begun=now, next_try=now)
    return settled(nobody, "failed", now, reason)


def fact_of(delivery: Delivery) -> Fact:
    """State what has come of a delivery; it must have an outcome."""
    if delivery.at is None:
        raise ValueError("a delivery that has come to nothing yet")
    data: NoticeSent | NoticeFailed
    if delivery.outcome == "sent" and delivery.recipient is not None:
        data = NoticeSent(
            notice=delivery.notice,
            recipient=delivery.recipient,
            recipients=delivery.recipients,
            attempts=delivery.tries,
        )
    else:
        data = NoticeFailed(
            notice=delivery.notice,
            recipient=delivery.recipient,
            recipients=delivery.recipients,
            attempts=delivery.tries,
            reason=delivery.reason,
        )
    return new_fact(data, case_id=delivery.case_id, fact_id=delivery.fact_id, source=SOURCE, happened=delivery.at)
