"""One notice on its way to one recipient: when it is tried again, when that ends, and the fact of what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal

from contracts.events.event import FACT_ID, Event, name_based_id, new_fact
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.evolution import evolved

LEASE: Final = timedelta(minutes=20)
"""So long a try belongs to whoever has begun it: longer than a write to the outbox and a letter can take together."""

FIRST_RETRY: Final = timedelta(minutes=2)
LAST_RETRY: Final = timedelta(hours=4)
_DOUBLED_AT_MOST: Final = 7

FARTHEST: Final = LAST_RETRY + LEASE
"""By more than this nothing is put off, but by a clock that was ahead: those of several mailers go nearly alike."""

LOOK_AGAIN: Final = timedelta(minutes=1)

TRIED_FOR: Final = timedelta(days=4)
"""RFC 5321, 4.5.4.1: whoever sends mail gives up after four to five days."""

TRIES: Final = 31
"""Tried so often, at the times that were set, something was tried for four days. Those are counted and not the days:
in some of them this machine or the mail server may have been away."""

SOURCE: Final = "urn:ontrack:mailer"

Outcome = Literal["sent", "failed", "void"]
Fact = Event[NoticeSent | NoticeFailed]


@dataclass(frozen=True)
class Delivery:
    """One notice for one recipient. recipient: None as long as there is nobody for it.

    recipients: everybody to whom the notice goes, this one included
    begun: when it was taken in hand, to be tried at once; where somebody is looked for: later by the time in which
        nobody looked
    tries: how often it was tried
    next_try: when it is to be tried, if it has no outcome by then
    outcome: what has come of it, at `at`; `void` if the notice goes to others by now, of whom none had been told
    reason: why it failed, or why it was put off the last time; nothing while it is being tried
    revision: counts its changes, so that of two that change it at one moment only one does
    """

    __pydantic_config__: ClassVar[Any] = {"hide_input_in_errors": True}

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
    revision: int = 0

    def is_in_hand(self, now: datetime) -> bool:
        """Tell whether somebody may be trying it at this moment."""
        return self.tries > 0 and not self.reason and now < self.next_try <= now + LEASE

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to try it, also where it was put off by a clock that was ahead."""
        return not now < self.next_try <= now + FARTHEST

    @property
    def fact_id(self) -> str:
        """Give the id of the fact of what came of it: the same whatever that was, so that only one can be recorded."""
        return name_based_id(FACT_ID, "mailer", self.notice, self.recipient or "")


def begun(case_id: str, notice_id: str, recipients: Sequence[str], now: datetime) -> list[Delivery]:
    """Take a notice in hand: one delivery for each of its recipients."""
    everybody = tuple(sorted(set(recipients)))
    return [Delivery(case_id, notice_id, each, everybody, begun=now, next_try=now) for each in everybody]


def for_whom(known: Sequence[Delivery], named: Sequence[str], leads: Sequence[str]) -> Sequence[str]:
    """Give to whom a notice goes: who leads the group now, until one of them was told.

    known: its deliveries that are kept; named: its recipients by the log; leads: by the roster
    """
    told = {one for each in known if each.outcome == "sent" for one in each.recipients}
    return sorted(set(named) or told or set(leads))


def given_up(known: Sequence[Delivery], named: Sequence[str]) -> Sequence[Delivery]:
    """Give the deliveries of a notice that have failed, as that is to be recorded.

    What is recorded says for good to whom the notice goes. So as long as none of them was told, and another one can
    be, nothing is: it can go to others yet.

    known, named: as of `for_whom`
    """
    alive = [each for each in known if each.outcome != "void"]
    everybody = for_whom(alive, named, [each.recipient for each in alive if each.recipient is not None])
    is_told = named or any(each.outcome == "sent" for each in alive)
    if not is_told and any(each.outcome is None for each in alive):
        return []
    return [evolved(each, recipients=tuple(everybody)) for each in alive if each.outcome == "failed"]


def without_recipient(case_id: str, notice_id: str, now: datetime, void: Delivery | None = None) -> Delivery:
    """Begin to look for somebody to whom a notice can go. void: what is kept of having found somebody before."""
    return Delivery(case_id, notice_id, None, (), begun=now, next_try=now, revision=void.revision if void else 0)


def still_nobody(delivery: Delivery, now: datetime) -> Delivery:
    """Look again soon for somebody to whom a notice can go; after four days of that it has failed."""
    return _looked_for(delivery, now, "", "nobody")


def not_there(delivery: Delivery, now: datetime, reason: str) -> Delivery:
    """Look again soon for a recipient to whom nothing can be sent; after four days of that it has failed."""
    return _looked_for(delivery, now, reason, f"gave-up:{reason}")


def _looked_for(delivery: Delivery, now: datetime, waits: str, failed: str) -> Delivery:
    # In what passed since it should have been looked again, this machine or the mail server was away. Before another
    # reason to wait, it was not looked for.
    is_again = delivery.reason == waits
    begun = delivery.begun + max(now - delivery.next_try, timedelta()) if is_again else now
    if now - begun >= TRIED_FOR:
        return settled(delivery, "failed", now, failed)
    return _changed(delivery, begun=begun, next_try=now + LOOK_AGAIN, reason=waits)


def begun_again(void: Delivery, delivery: Delivery) -> Delivery:
    """Begin a delivery in the place of one that was void: the notice goes to its recipient after all."""
    return evolved(delivery, revision=void.revision + 1)


def tried(delivery: Delivery, now: datetime, recipients: Sequence[str] = ()) -> Delivery:
    """Count a try before it is begun, and keep others from it; if this process dies, the lease ends by itself.

    recipients: everybody to whom the notice goes now, if that can have changed
    """
    everybody = tuple(recipients) or delivery.recipients
    return _changed(delivery, tries=delivery.tries + 1, next_try=now + LEASE, recipients=everybody, reason="")


def given_back(delivery: Delivery, counted: Delivery, reason: str, next_try: datetime) -> Delivery:
    """Take a try back that says nothing of this delivery, as far as is known."""
    return evolved(delivery, revision=counted.revision + 1, next_try=next_try, reason=reason)


def put_off(delivery: Delivery, now: datetime, reason: str) -> Delivery:
    """Try again later, each time twice as late; after four days of that it has failed."""
    if delivery.tries >= TRIES:
        return settled(delivery, "failed", now, f"gave-up:{reason}")
    # A power without a bound would be more than a timedelta can hold after some tries.
    wait = min(FIRST_RETRY * 2 ** min(delivery.tries - 1, _DOUBLED_AT_MOST), LAST_RETRY)
    return _changed(delivery, next_try=now + wait, reason=reason)


def settled(delivery: Delivery, outcome: Outcome, now: datetime, reason: str = "") -> Delivery:
    """Say what has come of it."""
    return _changed(delivery, outcome=outcome, at=now, reason=reason)


def _changed(delivery: Delivery, **changes: Any) -> Delivery:  # noqa: ANN401 - fields of any type
    return evolved(delivery, revision=delivery.revision + 1, **changes)


def fact_of(delivery: Delivery, now: datetime) -> Fact:
    """State what has come of a delivery, sent or failed; by now, if that was noted by a clock that was ahead."""
    if delivery.at is None or delivery.outcome == "void":
        raise ValueError("a delivery of which nothing has come")
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
    happened = min(delivery.at, now)
    return new_fact(data, case_id=delivery.case_id, fact_id=delivery.fact_id, source=SOURCE, happened=happened)
