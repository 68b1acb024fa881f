"""How it stands with every notice, for whoever asks: what was sent, what failed, and what waits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.events.event import Data, Event
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.notices import NoticeRequested
from services.mailer.domain.delivery import Delivery
from services.mailer.domain.mailbag import NEWS_FOR

Said = Event[Data]


@dataclass(frozen=True)
class Standing:
    """How it stands with a notice for one of its recipients.

    recipient: None if it has gone to nobody, or if nobody has taken it in hand yet
    tries: how often it was tried, as far as that is known
    at: when it was sent or given up; of one that waits, when it is tried next, if that is known
    reason: why it failed, or was put off the last time
    """

    notice: Event[NoticeRequested]
    recipient: str | None
    outcome: Literal["sent", "failed", "waits"]
    tries: int = 0
    at: datetime | None = None
    reason: str = ""


def standings(events: Iterable[Said], waiting: Iterable[Delivery]) -> Iterator[Standing]:
    """Tell how it stands with the notices that were requested, in the order of their requests.

    What is history, and so told to nobody, is left out. waiting: the deliveries that the outbox has
    """
    requests: dict[str, Event[NoticeRequested]] = {}
    outcomes: dict[str, dict[str | None, Event[NoticeSent] | Event[NoticeFailed]]] = defaultdict(dict)
    deliveries: dict[str, dict[str | None, Delivery]] = defaultdict(dict)
    for event in events:
        match event.data:
            case NoticeRequested() if event.recordedtime - event.time <= NEWS_FOR:
                requests.setdefault(event.id, event)  # type: ignore[arg-type] # its data was just looked at
            case NoticeSent() | NoticeFailed() as outcome:
                outcomes[outcome.notice].setdefault(outcome.recipient, event)  # type: ignore[arg-type]
            case _:
                pass
    for each in waiting:
        deliveries[each.notice][each.recipient] = each
    for request in sorted(requests.values(), key=lambda request: (request.recordedtime, request.id)):
        yield from _of(request, outcomes[request.id], deliveries[request.id])


def _of(
    request: Event[NoticeRequested],
    outcomes: dict[str | None, Event[NoticeSent] | Event[NoticeFailed]],
    deliveries: dict[str | None, Delivery],
) -> Iterator[Standing]:
    recipients = {each for event in outcomes.values() for each in event.data.recipients} | deliveries.keys()
    for recipient in sorted(filter(None, recipients | outcomes.keys())):
        if recipient in outcomes:
            yield _settled(request, outcomes[recipient])
        elif None not in outcomes:
            delivery = deliveries.get(recipient)
            if delivery is None:
                yield Standing(request, recipient, "waits")
            else:
                yield Standing(request, recipient, "waits", delivery.tries, delivery.next_try, delivery.reason)
    if None in outcomes:
        yield _settled(request, outcomes[None])
    elif not outcomes and not deliveries:
        yield Standing(request, None, "waits")


def _settled(request: Event[NoticeRequested], outcome: Event[NoticeSent] | Event[NoticeFailed]) -> Standing:
    data = outcome.data
    if isinstance(data, NoticeSent):
        return Standing(request, data.recipient, "sent", data.attempts, outcome.time)
    return Standing(request, data.recipient, "failed", data.attempts, outcome.time, data.reason)
