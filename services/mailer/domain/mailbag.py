"""What is to be sent of a case: a projection of its notices, requested minus sent and failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from contracts.events.event import Data, Event
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.notices import NoticeRequested
from contracts.evolution import evolved
from contracts.topics import NOTICES
from services.mailer.domain.delivery import TRIED_FOR

NEWS_FOR: Final = timedelta(days=30)
"""What happened longer ago than this is nothing that anybody must still be told of."""

AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A moment that has come, whatever a clock says."""


def is_too_late(happened: datetime, requested: datetime, now: datetime) -> bool:
    """Tell whether nobody must be told any more of what happened; what was learned of late has its four days."""
    return now - happened > NEWS_FOR and now - requested > TRIED_FOR


@dataclass(frozen=True)
class Notice:
    """A notice that was requested, and has not gone to everybody.

    happened: when that happened of which it tells; requested: when OnTrack learned of that
    recipients: everybody to whom it goes; empty as long as nothing was recorded of any of them
    settled: those of whom was recorded that it was sent to them, or failed
    """

    report: str
    to: Literal["therapists", "supervisor"]
    happened: datetime
    requested: datetime
    recipients: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mailbag:
    """What is to be sent of a case: notice -> what is known of it."""

    notices: Mapping[str, Notice] = field(default_factory=dict)


class Mailbags:
    """A stage that says nothing: it only knows what is to be sent."""

    name = "mailer"
    reads = NOTICES
    writes = None
    acts_on: frozenset[type[Data]] = frozenset({NoticeRequested, NoticeSent, NoticeFailed})
    state = Mailbag
    schema = 2

    def initial(self, case_id: str) -> Mailbag:  # noqa: ARG002 - every case begins with nothing to send
        """Begin a case."""
        return Mailbag()

    def due(self, state: Mailbag) -> datetime | None:
        """Give the moment from which on something is to be sent: at once, since a clock may have been ahead."""
        return AT_ONCE if state.notices else None

    def step(self, state: Mailbag, event: Event[Data]) -> tuple[Mailbag, Sequence[Event[Data]]]:
        """Take a request, or what came of one.

        What had happened long before it was recorded is history that was imported: nobody is told of it.
        """
        match event.data:
            case NoticeRequested(report=report, to=to) if event.recordedtime - event.time <= NEWS_FOR:
                return _with(state, event.id, Notice(report, to, event.time, event.recordedtime)), ()
            case NoticeSent() | NoticeFailed() as outcome if outcome.notice in state.notices:
                return _with(state, outcome.notice, _settled(state.notices[outcome.notice], outcome)), ()
            case _:
                return state, ()


def _settled(notice: Notice, outcome: NoticeSent | NoticeFailed) -> Notice | None:
    """Give what is left to be sent of a notice; None if that is nothing."""
    if outcome.recipient is None:
        return None
    recipients = notice.recipients or outcome.recipients
    settled = {*notice.settled, outcome.recipient}
    if settled.issuperset(recipients):
        return None
    return evolved(notice, recipients=recipients, settled=tuple(sorted(settled)))


def _with(bag: Mailbag, notice_id: str, notice: Notice | None) -> Mailbag:
    others = {each: known for each, known in bag.notices.items() if each != notice_id}
    return Mailbag(others if notice is None else {**others, notice_id: notice})
