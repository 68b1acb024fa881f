"""The clock at work: it looks at the cases whose time has come, and records what is to be said of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.definitions.catalogue import Catalogue, DefinitionMissing
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event
from services.ingest.cases import Cases
from services.ingest.domain.admission import Refusal
from services.ingest.domain.clock import Asked, due, first_moment, next_moment, open_now
from services.ingest.domain.register import Register, Registered
from services.ingest.door import Door
from services.ingest.following import Following
from services.ingest.intake import Request
from services.ingest.zones import Zones
from services.runtime.faults import fault_of_ours
from services.runtime.health import Health
from services.runtime.logger import logger
from services.runtime.roster.port import Clinic, Group, Roster, zone_of
from services.runtime.store.port import Agenda, Appointment
from services.runtime.unavailable import Unavailable

TICK: Final = 1.0
"""Seconds between two looks at the agenda."""

_AT_ONCE: Final = 500
_LOOK_AGAIN: Final = timedelta(minutes=1)
_EVER: Final = datetime.max.replace(tzinfo=UTC)
_AT_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN: Final = (
    "the protocol {} of a case is not on the log, or has not come here yet: "
    "ontrack provision publishes it if it ships, else an import with --definitions"
)
_REFUSED: Final = "some of what is to be said of case {} at its time is refused ({})"
_UNCLEAR: Final = "something on the roster of {} cannot be read: ontrack doctor says what"


class Timetable:
    """When cases are to be looked at, by their protocols and the zones of their clinics."""

    def __init__(self, definitions: Catalogue, zones: Zones) -> None:
        """Go by these."""
        self._definitions = definitions
        self.zones = zones

    def first_moment(self, case: Registered) -> datetime | None:
        """Give the first moment at which the clock is to look at a case; at once if its protocol is not known here."""
        protocol = self.protocol(case)
        if protocol is None:
            return None if self.unknown(case) is None else _AT_ANY_TIME
        return first_moment(case, protocol, self.zones.of(case.clinic))

    def unknown(self, case: Registered) -> str | None:
        """Give the protocol of a case that goes on if it is not known here, or not yet; None if it is."""
        is_looked_at = case.protocol is not None and case.closed_at is None and not case.erased
        return case.protocol if is_looked_at and self.protocol(case) is None else None

    def protocol(self, case: Registered) -> Protocol | None:
        """Give the protocol of a case; None if it has none that is known."""
        try:
            return None if case.protocol is None else self._definitions.protocol(case.protocol)
        except DefinitionMissing:
            return None

    def due(self, case_id: str, case: Registered, now: datetime) -> list[Event[Data]]:
        """Give what is to be said of a case by now."""
        protocol = self.protocol(case)
        return [] if protocol is None else due(case_id, case, protocol, self.zones.of(case.clinic), now)

    def next_moment(self, case: Registered, now: datetime) -> datetime | None:
        """Give the next moment at which the clock is to look at a case."""
        protocol = self.protocol(case)
        return None if protocol is None else next_moment(case, protocol, self.zones.of(case.clinic), now)

    def open_now(self, case: Registered, now: datetime) -> list[Asked]:
        """Give what the patient is asked for now."""
        protocol = self.protocol(case)
        return [] if protocol is None else open_now(case, protocol, self.zones.of(case.clinic), now)


@dataclass(slots=True)
class Clockwork:
    """Says that times have come. Any number may run: they say the same, and it is taken once.

    agenda: the cases that are to be looked at; roster: says by whose clock each clinic goes
    following: brings cases to the times of their groups; now: tells the time
    """

    agenda: Agenda
    cases: Cases
    roster: Roster
    timetable: Timetable
    door: Door
    following: Following
    now: Callable[[], datetime]
    _put_off_for: dict[str, tuple[str, datetime]] = field(default_factory=dict, init=False)
    _goes_by_another: bool = field(default=True, init=False)
    """Whether clinics may go by another clock than that by which the agenda was made: at the start nobody knows."""

    async def run(self, health: Health) -> None:
        """Say what is to be said, every second, and tell what keeps it from that."""
        while True:
            try:
                await self.tick()
            except Unavailable as away:
                health.set("clock", str(away))
            except Exception as error:  # noqa: BLE001 - it goes on, and what is wrong is told
                health.set("clock", fault_of_ours(error))
            else:
                health.set("clock", None)
                health.set("clock of some cases", self._of_some_cases(), is_elsewhere=True)
            await asyncio.sleep(TICK)

    async def tick(self) -> int:
        """Say what is to be said by now; give how many facts that were. Raises Unavailable, and goes on next time."""
        clinics, unclear = await self.roster.readable(Clinic)
        zones = {each.clinic: zone for each in clinics if (zone := zone_of(each)) is not None}
        zones |= {clinic: self.timetable.zones.of(clinic) for clinic in unclear}
        now, said = self.now(), 0
        self._goes_by_another |= bool(self.timetable.zones.learn(zones))
        if self._goes_by_another:
            await self._look_again(now)
            self._goes_by_another = False
        while appointments := await self.agenda.appointments(Register.name, now, _AT_ONCE):
            known, unreadable = await self.cases.readable([each.case_id for each in appointments])
            entries, others = await self.roster.readable(Group)
            groups = {(each.clinic, each.id): each for each in entries}
            why_not = dict(unreadable)
            for case_id, case in known.items():
                if case.clinic in unclear | others:
                    why_not[case_id] = _UNCLEAR.format(case.clinic)
                elif (protocol := self.timetable.unknown(case)) is not None:
                    why_not[case_id] = _UNKNOWN.format(protocol)
            kept = [
                self._put_off(each, why_not[each.case_id], now)
                if each.case_id in why_not
                else self._looked_at(each, known.get(each.case_id, Registered()), groups, now)
                for each in appointments
            ]
            # All of them come to their end, so that nothing is left half said when one cannot go on.
            outcomes = await asyncio.gather(*kept, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
                said += outcome
            if len(appointments) < _AT_ONCE:
                break
        return said

    def _of_some_cases(self) -> str | None:
        """Tell why a case was put off lately: one that is looked at no more is kept from nothing."""
        recently = self.now() - 2 * _LOOK_AGAIN
        self._put_off_for = {case: each for case, each in self._put_off_for.items() if each[1] >= recently}
        return next((why for why, _ in self._put_off_for.values()), None)

    async def _look_again(self, now: datetime) -> None:
        """Look at the cases that may have to be looked at before the moment that is noted, by the clocks of clinics.

        These are others from now on, or were when the agenda was made: in another process, before this one was started.
        """
        last: Appointment | None = None
        while some := await self.agenda.appointments(Register.name, _EVER, _AT_ONCE, last):
            # Those that are put to now stand before the others, so that none is met twice.
            last = some[-1]
            known, _ = await self.cases.readable([each.case_id for each in some])
            for each in some:
                case = known.get(each.case_id)
                if each.due > now and case is not None and self._is_earlier(case, each.due):
                    await self.agenda.postpone(Register.name, each, now)
                # Many are looked at without a wait: others have their turn here.
                await asyncio.sleep(0)

    def _is_earlier(self, case: Registered, due: datetime) -> bool:
        """Tell whether a case may have to be looked at before a moment."""
        try:
            first = self.timetable.first_moment(case)
        except Exception:  # noqa: BLE001 - whoever looks at the case tells what is wrong with it, and goes on
            return True
        return first is not None and first < due

    async def _put_off(self, appointment: Appointment, why: str, now: datetime) -> int:
        """Come again to a case that cannot be looked at, and note why: the others have their time all the same."""
        self._put_off_for[appointment.case_id] = why, now
        await self.agenda.postpone(Register.name, appointment, now + _LOOK_AGAIN)
        return 0

    async def _looked_at(
        self, appointment: Appointment, case: Registered, groups: Mapping[tuple[str, str], Group], now: datetime
    ) -> int:
        """Say what is to be said of a case, unless it cannot be; give how many facts that were. Raises Unavailable."""
        self._put_off_for.pop(appointment.case_id, None)
        try:
            return await self._kept(appointment, case, groups, now)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others have their time, and what is wrong is told
            return await self._put_off(appointment, fault_of_ours(error), now)

    async def _kept(
        self, appointment: Appointment, case: Registered, groups: Mapping[tuple[str, str], Group], now: datetime
    ) -> int:
        """Say what is to be said of a case, and note when to look at it again.

        Whoever was to bring it to the times of its group may have been broken off, or overtaken in another process.
        """
        group = groups.get((case.clinic or "", case.group or ""))
        if group is not None:
            case = await self.following.brought(appointment.case_id, case, group)
        facts = self.timetable.due(appointment.case_id, case, now)
        refused = await self._recorded(facts)
        for refusal in refused:
            logger.warning("clock-refused", case=appointment.case_id, why=refusal.code)
        if refused:
            return await self._put_off(appointment, _REFUSED.format(appointment.case_id, refused[0].code), now)
        await self.agenda.postpone(Register.name, appointment, self.timetable.next_moment(case, now))
        return len(facts)

    async def _recorded(self, facts: Sequence[Event[Data]]) -> Sequence[Refusal]:
        """Record what is to be said of a case; what is refused keeps nothing else from being said. Give why it is."""
        if not facts:
            return ()
        refused = (await self.door.take(Request(facts))).refused
        places = {place for place, _ in refused}
        others = [fact for place, fact in enumerate(facts) if place not in places]
        if refused and others:
            await self.door.take(Request(others))
        return [refusal for _, refusal in refused]
