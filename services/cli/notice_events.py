"""What the log says of notices, read as it comes: that they were asked for, and what came of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from contracts.codec import CaseKey, decode
from contracts.events.event import Data, DataT, Event
from contracts.events.facts import NoticeFailed, NoticeSent
from contracts.events.notices import NoticeRequested
from contracts.topics import NOTICES
from services.home import Home
from services.ingest.domain.register import Registered
from services.mailer.domain.whereabouts import IN_HAND, Correspondence, Whereabouts
from services.runtime.log.port import next_offset
from services.runtime.reading import chunks
from services.runtime.roster.port import Clinic, Group

_KINDS: Final[tuple[type[Data], ...]] = (NoticeRequested, NoticeSent, NoticeFailed)
GAVE_UP: Final = "gave-up:"


class Notices:
    """A reader of notices that remembers how far it has come."""

    def __init__(self, home: Home) -> None:
        """Read from the beginning of the log."""
        self._home = home
        self._offsets: Counter[int] = Counter()

    async def new(self, *kinds: type[DataT]) -> list[Event[DataT]]:
        """Give the events of some kinds that came since the last time, by partition."""
        found: list[Event[DataT]] = []
        for partition in range(NOTICES.partitions):
            async for chunk in chunks(self._home.log, NOTICES, partition, self._offsets[partition]):
                keys = await self._home.keyring.keys({record.key for record in chunk})
                for record in chunk:
                    key = keys.get(record.key)
                    event = decode(record.value, NOTICES, key) if isinstance(key, CaseKey) else None
                    if isinstance(event, Event) and isinstance(event.data, kinds):
                        found.append(cast("Event[DataT]", event))
                self._offsets[partition] = next_offset(chunk)
        return found


async def whereabouts(home: Home) -> list[Whereabouts]:
    """Tell where every notice is, as the log and the outbox have it."""
    said = Correspondence.of(await Notices(home).new(*_KINDS))
    found = list(said.whereabouts(await home.outbox.of(said.unsettled), home.clock()))
    cases, _ = await home.cases.readable({each.notice.subject for each in found if _has_nobody(each)})
    return [replace(each, reason=await _why_nobody(home, each, cases)) for each in found]


def _has_nobody(each: Whereabouts) -> bool:
    return each.outcome == "waits" and each.recipient is None


async def _why_nobody(home: Home, each: Whereabouts, cases: Mapping[str, Registered]) -> str:
    """Say why a notice that waits has no recipient, as far as the roster is the reason; else its own reason.

    cases: where those are now of which a notice has none
    """
    case = cases.get(each.notice.subject)
    if not _has_nobody(each) or case is None or case.clinic is None:
        return each.reason
    if each.notice.data.to == "supervisor":
        clinic = await home.roster.find(Clinic, case.clinic, case.clinic)
        return each.reason if clinic is not None and clinic.supervisors else "no-supervisors"
    if case.group is None:
        return "no-group"
    group = await home.roster.find(Group, case.clinic, case.group)
    return each.reason if group is not None and group.therapists else "no-therapists"


_REASONS: Final[Mapping[str, str]] = {
    "nobody": "for four days there was nobody for it",
    "too-late": "it had happened more than 30 days ago",
    "no-address": "the recipient has no address",
    "left": "the case is no longer the recipient's",
    "no-group": "the case is in no group: transfer it into one",
    "no-therapists": "the roster has no therapists of the group",
    "no-supervisors": "the roster has no supervisors of the clinic",
    IN_HAND: "the mail server has not answered yet",
    "sender-refused": "the mail server takes no mail from us",
    "smtp-silent": "the mail server did not answer",
    "smtp-broken-off": "the connection broke",
}


def in_words(reason: str) -> str:
    """Say in words why a mail failed or waits."""
    if reason.startswith(GAVE_UP):
        return f"it was tried for four days: {in_words(reason.removeprefix(GAVE_UP))}"
    return _REASONS.get(reason, reason.replace("smtp-", "the mail server answers "))
