"""What the clock says of a case: that a session's time has come, and that a questionnaire is asked for, or no longer.

It says what follows from the schedule, the protocol and the time, and nothing else: so two clocks say the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from contracts.definitions.definition import id_of
from contracts.definitions.protocol import Edge, Protocol
from contracts.events.event import FACT_ID, Data, Event, name_based_id, new_fact
from contracts.events.facts import OccasionClosed, OccasionOpened, SessionDue
from contracts.events.fields import instant, session_of
from services.ingest.domain.register import Opened, Registered, occasion_key

SOURCE: Final = "urn:ontrack:clock"

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(microsecond=999_000, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """A questionnaire of a session, and when it can be answered: from `opens` on, and no longer at `closes`."""

    session: int | str
    starts: datetime
    instrument: str
    opens: datetime
    closes: datetime

    @property
    def key(self) -> str:
        """Name its occasion as the register does."""
        return occasion_key(self.session, id_of(self.instrument))

    def is_open(self, now: datetime) -> bool:
        """Tell whether it can be answered."""
        return self.opens <= now < self.closes


def asked(case: Registered, protocol: Protocol, zone: tzinfo) -> Iterator[Asked]:
    """Give every questionnaire that is asked around a session which has a time, answered or not."""
    for name, starts in case.scheduled.items():
        session = session_of(name)
        minutes = protocol.minutes(session)
        for ask in protocol.asks:
            if ask.window is not None and ask.is_at(session):
                opens, closes = (moment(edge, starts, minutes, zone) for edge in (ask.window.opens, ask.window.closes))
                yield Asked(session, starts, ask.instrument, opens, closes)


def moment(edge: Edge, starts: datetime, minutes: int, zone: tzinfo) -> datetime:
    """Give the moment of an edge of a session that starts then and takes so many minutes.

    A time of day that comes twice, as clocks go back, is the first one; one that does not come, as they go forward, is
    as long after midnight as on any other day. A moment beyond the years 1 to 9999 is the last one on that side.
    """
    try:
        return _moment(edge, starts, minutes, zone)
    except OverflowError:
        return _FIRST if starts < _FIRST + timedelta(days=366) else _LAST


def _moment(edge: Edge, starts: datetime, minutes: int, zone: tzinfo) -> datetime:
    if edge.at is None:
        begins = starts + timedelta(minutes=minutes) if edge.after == "end" else starts
        return begins + timedelta(minutes=edge.minutes)
    day = starts.astimezone(zone).date() + timedelta(days=edge.days)
    return datetime.combine(day, time.fromisoformat(edge.at), zone).astimezone(UTC)


def due(case_id: str, case: Registered, protocol: Protocol, zone: tzinfo, now: datetime) -> list[Event[Data]]:
    """Give what is to be said of a case by now and has not been, in the order of its times.

    What could not be answered while it should have been, because nobody said so in time, is not asked: it is neither
    opened late nor closed. That holds for the new time of a session that was moved too, though it was opened before.
    What was opened while it should have been by the new time too was asked, and is closed, also if that is over.
    """
    facts: list[Event[Data]] = []
    if not case.enrolled or case.erased:
        return facts
    for name, starts in case.scheduled.items():
        if starts <= now and case.came.get(name) != starts:
            data = SessionDue(session=session_of(name), scheduled=starts)
            facts.append(_fact(case_id, case, data, starts, name, starts))
    for each in asked(case, protocol, zone):
        stands = case.open.get(each.key)
        if each.key in case.answered:
            continue
        # Who gives a clinic another zone has the same session asked until another moment.
        before = "" if stands is None else stands.by
        names = str(each.session), each.instrument, each.starts, each.closes, before
        if each.is_open(now) and (stands is None or stands.closes != each.closes):
            opened = OccasionOpened(session=each.session, instrument=each.instrument, closes=each.closes)
            facts.append(_fact(case_id, case, opened, each.opens, *names))
        elif stands is not None and now >= each.closes and _was_asked(stands, each):
            closed = OccasionClosed(session=each.session, instrument=stands.instrument)
            facts.append(_fact(case_id, case, closed, each.closes, *names))
    return sorted((fact for fact in facts if not _has_ended(case, fact.time)), key=lambda fact: fact.time)


def _was_asked(stands: Opened, each: Asked) -> bool:
    """Tell whether what was opened was asked as it is to be now, and not only by another time of its session."""
    return stands.closes == each.closes or each.opens <= stands.since < each.closes


def next_moment(case: Registered, protocol: Protocol, zone: tzinfo, now: datetime) -> datetime | None:
    """Give the next moment after now at which something may be to be said of a case; None if there is none."""
    if not case.enrolled or case.erased:
        return None
    moments = list(case.scheduled.values())
    for each in asked(case, protocol, zone):
        if each.key not in case.answered:
            moments += [each.opens, each.closes]
    return min((at for at in moments if at > now and not _has_ended(case, at)), default=None)


def first_moment(case: Registered, protocol: Protocol, zone: tzinfo) -> datetime | None:
    """Give the first moment at which something may be to be said of a case, as far as can be told without the time.

    It can be long gone: whoever looks finds that there is nothing to say, and when to look again.
    """
    if not case.enrolled or case.erased:
        return None
    moments = [starts for name, starts in case.scheduled.items() if case.came.get(name) != starts]
    for each in asked(case, protocol, zone):
        stands = case.open.get(each.key)
        was_asked = stands is not None and _was_asked(stands, each)
        is_over = not was_asked and case.spoken is not None and each.closes <= case.spoken
        if each.key not in case.answered and not is_over:
            is_said = stands is not None and stands.closes == each.closes
            moments.append(each.closes if is_said else each.opens)
    return min((at for at in moments if not _has_ended(case, at)), default=None)


def open_now(case: Registered, protocol: Protocol, zone: tzinfo, now: datetime) -> list[Asked]:
    """Give what a patient whose course goes on is asked for now: what the clock has opened and nobody has answered."""
    if _has_ended(case, now):
        return []
    return [
        each
        for each in asked(case, protocol, zone)
        if each.is_open(now) and each.key in case.open and each.key not in case.answered
    ]


def _has_ended(case: Registered, at: datetime) -> bool:
    return case.closed_at is not None and at > case.closed_at


def _fact(
    case_id: str, case: Registered, data: Data, at: datetime, session: str, *about: str | datetime
) -> Event[Data]:
    """Say something; the same of the same session at the same time is the same fact, whoever says it.

    Of a session that was moved and moved back it is another one: the earlier ones were overtaken.
    """
    names = [instant(each) if isinstance(each, datetime) else each for each in (session, *about)]
    names.append(case.planned_by.get(session, ""))
    return new_fact(
        data,
        case_id=case_id,
        fact_id=name_based_id(FACT_ID, case_id, data.wire_name, *names),
        source=SOURCE,
        happened=at,
    )
