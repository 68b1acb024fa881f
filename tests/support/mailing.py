"""A clinic that sends mail: a home with a real mail server, whose time is set by hand."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, fact_id, new_fact
from contracts.events.facts import CaseEnrolled, NoticeFailed, NoticeSent, ResponseSubmitted
from contracts.topics import CASES
from services.embedded import EmbeddedHome
from services.ingest.door import Door
from services.ingest.intake import Request
from services.mailer.courier import Courier
from services.mailer.desk import Desk
from services.mailer.domain.delivery import Delivery
from services.mailer.domain.letter import Letterhead
from services.mailer.outbox.port import Outbox
from services.runtime.roster.port import Clinic, Group, Therapist
from services.up import OwnIngest
from tests.support.clinic import odsis
from tests.support.clock import Clock
from tests.support.post_office import PostOffice, post_office
from tests.support.said import said_on

MONDAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEEK: Final = timedelta(days=7)
HEAD: Final = Letterhead("ontrack@north.example", "https://ontrack.north.example")
ANNA, BO, CARL = (
    Therapist(clinic="north", id=name, address=f"{name}@north.example", language="en" if name == "bo" else "da")
    for name in ("anna", "bo", "carl")
)
GROUP: Final = Group(clinic="north", id="mondays", sessions={}, therapists=("anna", "bo"))
SENT_TO_BOTH: Final = Counter([("sent", "anna", "1"), ("sent", "bo", "1")])


class MailingClinic:
    """A home with a mail server, and couriers."""

    def __init__(self, home: EmbeddedHome, office: PostOffice, clock: Clock) -> None:
        self.home = home
        self.clock = clock
        self.office = office
        self.door = Door(home.intake)
        self.ingest = OwnIngest(home.cases, self.door)
        self.outbox: Outbox = home.outbox

    def courier(self, **changes: object) -> Courier:
        """Someone new, who knows nothing of what was done before."""
        desk = Desk(
            store=self.home.store,
            keyring=self.home.keyring,
            roster=self.home.roster,
            outbox=self.outbox,
            ingest=self.ingest,
            server=self.office.server(),
            head=HEAD,
            now=self.clock,
        )
        return Courier(replace(desk, **changes))  # type: ignore[arg-type] # each is a port of the desk

    async def put(self, *entries: Clinic | Group | Therapist) -> None:
        for entry in entries:
            await self.home.roster.put(entry)

    async def record(self, case_id: str, data: Data, happened: datetime) -> None:
        name = f"{case_id}{data.type()}{data.model_dump_json()}"
        fact = new_fact(
            data, case_id=case_id, fact_id=fact_id("north", "test", name), source="urn:test", happened=happened
        )
        taken = await self.door.take(Request([fact]))
        assert not taken.refused

    async def deteriorates(
        self, case_id: str = "case-1", *, since: datetime | None = None, group: str | None = "mondays"
    ) -> None:
        """Let a case be not on track in its first session, which is now."""
        definitions, first = self.home.definitions, since or self.clock.time - WEEK
        refs = [definitions.named(*each) for each in ((Protocol, "open-ended"), (Policy, "gryesten-2023"))]
        protocol, policy = (entry.ref for entry in refs if entry is not None)
        await self.record(case_id, CaseEnrolled(clinic="north", group=group, protocol=protocol, policy=policy), first)
        for session, total in ((0, 4), (1, 14)):
            await self.answers(case_id, session=session, total=total, at=first + WEEK * session)

    async def answers(self, case_id: str = "case-1", *, session: int, total: int, at: datetime | None = None) -> None:
        """Let a patient answer the ODSIS of a session, with so many points; now, if nothing else is said."""
        instrument, at = self.home.definitions.named(Instrument, "odsis"), at or self.clock.time
        assert instrument is not None
        await self.record(
            case_id,
            ResponseSubmitted(
                session=session, instrument=instrument.ref, answers=odsis(total), answered_at=at, entered_by="patient"
            ),
            at,
        )
        await self.home.catch_up()

    async def round(self, after: timedelta = timedelta(), **changes: object) -> None:
        """Let a courier make a round some time later, and the stages take what came of it."""
        self.clock.time += after
        try:
            await self.courier(**changes).round()
        finally:
            await self.home.catch_up()

    async def outcomes(self) -> Counter[tuple[str, str | None, str]]:
        """What the log says of mails: sent or failed, for whom, and after how many tries or why."""
        found = await said_on(self.home.log, self.home.keyring, CASES, NoticeSent, NoticeFailed)
        return Counter(
            ("sent", each.data.recipient, str(each.data.attempts))
            if isinstance(each.data, NoticeSent)
            else ("failed", each.data.recipient, each.data.reason)
            for each in found
            if isinstance(each.data, NoticeSent | NoticeFailed)
        )

    async def under_way(self) -> Sequence[Delivery]:
        """The deliveries without an outcome."""
        notices = [notice async for _, bag in self.home.states(self.home.mailbags) for notice in bag.notices]
        return [each for each in await self.home.outbox.of(notices) if each.outcome is None]

    async def was_looked_for(self, time: timedelta) -> None:
        """Let somebody have been looked for, for so much longer, to whom each mail can go that waits."""
        for each in await self.under_way():
            longer = replace(each, begun=each.begun - time, revision=each.revision + 1)
            assert await self.outbox.change(each, longer)

    async def waiting(self) -> Sequence[str]:
        """The cases of which something is to be sent."""
        return [case_id async for case_id, bag in self.home.states(self.home.mailbags) if bag.notices]


@asynccontextmanager
async def mailing_clinic(folder: Path, time: datetime = MONDAY) -> AsyncIterator[MailingClinic]:
    """Open a clinic with a group of two therapists, and somebody else; its home is in `home`."""
    clock = Clock(time)
    async with (
        post_office(folder) as office,
        await EmbeddedHome.found(folder / "home", mails=True, clock=clock) as home,
    ):
        made = MailingClinic(home, office, clock)
        async with made.door.opened():
            await made.put(ANNA, BO, CARL, GROUP)
            yield made


def led_by(*therapists: str) -> Group:
    """The group, led by others."""
    return Group(clinic="north", id="mondays", sessions={}, therapists=therapists)
