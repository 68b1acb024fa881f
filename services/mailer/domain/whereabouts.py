"""Where every notice is, for whoever asks: sent, failed, or waiting."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from contracts.events.event import Data, Event
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.notices import NoticeRequested
from services.mailer.domain.delivery import TRIED_FOR, Delivery
from services.mailer.domain.mailbag import NEWS_FOR, is_too_late

IN_HAND: Final = "in-hand"
"""Why a mail waits that is being tried, or was when the mailer died."""

Requested = Event[NoticeRequested]
Settled = Event[NoticeSent] | Event[NoticeFailed]


@dataclass(frozen=True)
class Whereabouts:
    """Where a notice is on its way to one of its recipients.

    recipient: None if it has gone to nobody, or if nobody has taken it in hand yet
    tries: how often it was tried, as far as that is known
    at: when it was sent or given up; of one that waits, when it is tried next, if that is known
    reason: why it failed, or was put off the last time
    """

    notice: Requested
    recipient: str | None
    outcome: Literal["sent", "failed", "waits"]
    tries: int = 0
    at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Correspondence:
    """What the log says of notices. History, of which nobody is told, is left out.

    requests: notice -> that it was asked for, in the order of the requests
    outcomes: notice -> recipient -> what came of it
    """

    requests: Mapping[str, Requested]
    outcomes: Mapping[str, Mapping[str | None, Settled]]

    @classmethod
    def of(cls, events: Iterable[Event[Data]]) -> "Correspondence":
        """Sort what was said; what stands there twice counts once."""
        requests: dict[str, Requested] = {}
        outcomes: dict[str, dict[str | None, Settled]] = defaultdict(dict)
        for event in events:
            match event.data:
                case NoticeRequested() if event.recordedtime - event.time <= NEWS_FOR:
                    requests.setdefault(event.id, event)  # type: ignore[arg-type] # its data was just looked at
                case NoticeSent() | NoticeFailed() as outcome:
                    outcomes[outcome.notice].setdefault(outcome.recipient, event)  # type: ignore[arg-type] # as above
                case _:
                    pass
        in_order = sorted(requests.values(), key=lambda request: (request.recordedtime, request.id))
        return cls({each.id: each for each in in_order}, outcomes)

    @property
    def unsettled(self) -> list[str]:
        """The notices of which the log does not say what came of them, for each of their recipients."""
        return [notice for notice in self.requests if not self._is_over(notice)]

    def _is_over(self, notice: str) -> bool:
        outcomes = self.outcomes.get(notice, {})
        recipients = {each for event in outcomes.values() for each in event.data.recipients}
        return bool(outcomes) and (None in outcomes or outcomes.keys() >= recipients)

    def whereabouts(self, deliveries: Iterable[Delivery], now: datetime) -> Iterator[Whereabouts]:
        """Tell where each notice is. deliveries: what the outbox has of those that are not settled."""
        under_way: dict[str, dict[str | None, Delivery]] = defaultdict(dict)
        for each in deliveries:
            under_way[each.notice][each.recipient] = each
        for notice, request in self.requests.items():
            is_late = is_too_late(request.time, request.recordedtime, now)
            for found in _of(request, self.outcomes.get(notice, {}), under_way[notice], now):
                yield _too_late(found) if is_late and found.outcome == "waits" else found


def _of(
    request: Requested,
    outcomes: Mapping[str | None, Settled],
    deliveries: Mapping[str | None, Delivery],
    now: datetime,
) -> Iterator[Whereabouts]:
    alive = {each: delivery for each, delivery in deliveries.items() if delivery.outcome != "void"}
    named = {each for delivery in alive.values() for each in delivery.recipients} - (deliveries.keys() - alive.keys())
    named |= {each for event in outcomes.values() for each in event.data.recipients}
    recipients = sorted(named | {each for each in outcomes if each is not None})
    for recipient in recipients:
        if recipient in outcomes:
            yield _settled(request, outcomes[recipient])
        elif None not in outcomes:
            yield _under_way(request, recipient, alive.get(recipient), now)
    if None in outcomes:
        yield _settled(request, outcomes[None])
    elif not recipients:
        yield _under_way(request, None, alive.get(None), now)


def _settled(request: Requested, outcome: Settled) -> Whereabouts:
    data = outcome.data
    if isinstance(data, NoticeSent):
        return Whereabouts(request, data.recipient, "sent", data.attempts, outcome.time)
    return Whereabouts(request, data.recipient, "failed", data.attempts, outcome.time, data.reason)


def _too_late(each: Whereabouts) -> Whereabouts:
    """Say of one that waits that it never goes out: it is given up at the next look, if anybody looks."""
    until = max(each.notice.time + NEWS_FOR, each.notice.recordedtime + TRIED_FOR)
    return replace(each, outcome="failed", at=until, reason="too-late")


def _under_way(request: Requested, recipient: str | None, delivery: Delivery | None, now: datetime) -> Whereabouts:
    """Tell of one of which the log says nothing; its outcome may be known and not recorded yet."""
    if delivery is None:
        return Whereabouts(request, recipient, "waits")
    if delivery.outcome == "sent":
        return Whereabouts(request, recipient, "sent", delivery.tries, delivery.at)
    if delivery.outcome == "failed":
        return Whereabouts(request, recipient, "failed", delivery.tries, delivery.at, delivery.reason)
    reason = IN_HAND if delivery.is_in_hand(now) else delivery.reason
    return Whereabouts(request, recipient, "waits", delivery.tries, delivery.next_try, reason)
