"""The courier on a home, with a real mail server: what is to be sent is sent, whatever refuses, breaks or dies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, fact_id, new_fact
from contracts.events.facts import CaseEnrolled, CaseErased, NoticeFailed, NoticeSent, ResponseSubmitted, SessionDue
from contracts.events.notices import NoticeRequested
from contracts.topics import CASES, NOTICES
from services.embedded import EmbeddedHome
from services.ingest.door import Door
from services.ingest.intake import Request
from services.mailer.courier import Courier, Desk
from services.mailer.domain.delivery import FIRST_RETRY, TRIED_FOR, Delivery, Fact
from services.mailer.domain.letter import Letterhead
from services.mailer.domain.mailbag import NEWS_FOR, Mailbags
from services.mailer.outbox.port import Outbox
from services.mailer.post import MailAway
from services.runtime.roster.port import Clinic, Group, Therapist
from services.runtime.unavailable import Unavailable
from services.up import OwnIngest
from tests.support.clinic import odsis
from tests.support.post_office import PostOffice, post_office
from tests.support.said import said_on

MONDAY: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
WEEK: Final = timedelta(days=7)
HEAD: Final = Letterhead("ontrack@north.example", "https://ontrack.north.example")
ANNA, BO, CARL = (
    Therapist(clinic="north", id=name, address=f"{name}@north.example", language="en" if name == "bo" else "da")
    for name in ("anna", "bo", "carl")
)
GROUP: Final = Group(clinic="north", id="mondays", therapists=("anna", "bo"))


class Died(Exception):
    """The process ended here."""


@dataclass
class Clock:
    """A clock that is set by hand."""

    time: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.time


class Ward:
    """A home with a mail server, and couriers whose time is set by hand."""

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

    async def deteriorates(self, case_id: str = "case-1", *, since: datetime | None = None) -> None:
        """Let a case be not on track in its second session, which is now."""
        definitions, first = self.home.definitions, since or self.clock.time - WEEK
        refs = [definitions.named(*each) for each in ((Protocol, "open-ended"), (Policy, "gryesten-2023"))]
        protocol, policy = (entry.ref for entry in refs if entry is not None)
        instrument = definitions.named(Instrument, "odsis")
        assert instrument is not None
        await self.record(
            case_id, CaseEnrolled(clinic="north", group="mondays", protocol=protocol, policy=policy), first
        )
        for session, total in ((1, 4), (2, 14)):
            at = first + WEEK * (session - 1)
            await self.record(
                case_id,
                ResponseSubmitted(
                    session=session,
                    instrument=instrument.ref,
                    answers=odsis(total),
                    answered_at=at,
                    entered_by="patient",
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

    async def waiting(self) -> Sequence[str]:
        """The cases of which something is to be sent."""
        return [case_id async for case_id, bag in self.home.states(self.home.mailbags) if bag.notices]


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Ward]:
    clock = Clock()
    async with (
        post_office(tmp_path) as office,
        await EmbeddedHome.found(tmp_path / "home", mails=True, clock=clock) as home,
    ):
        made = Ward(home, office, clock)
        async with made.door.opened():
            await made.put(ANNA, BO, CARL, GROUP)
            yield made


SENT_TO_BOTH: Final = Counter([("sent", "anna", "1"), ("sent", "bo", "1")])


# Who gets mail


async def test_both_therapists_get_one_mail_and_the_log_says_so(ward: Ward) -> None:
    # given a patient who is not on track
    await ward.deteriorates()

    # when the courier comes by, and again
    await ward.round()
    await ward.round(after=timedelta(days=2))

    # then each of the two has a mail in their language, and a link to the report
    assert sorted(ward.office.to) == ["anna@north.example", "bo@north.example"]
    subjects = {str(letter["To"]): letter["Subject"] for letter in ward.office.letters}
    assert subjects["anna@north.example"] == "En rapport venter i OnTrack"
    assert subjects["bo@north.example"] == "A report is waiting in OnTrack"
    (request,) = await said_on(ward.home.log, ward.home.keyring, NOTICES, NoticeRequested)
    assert isinstance(request.data, NoticeRequested)
    for letter in ward.office.letters:
        assert f"https://ontrack.north.example/reports/{request.data.report}" in letter.get_content()

    # and the log says what came of it, on the topic on which it was asked for too
    assert await ward.outcomes() == SENT_TO_BOTH
    passed_on = await said_on(ward.home.log, ward.home.keyring, NOTICES, NoticeSent)
    assert {each.data.recipients for each in passed_on if isinstance(each.data, NoticeSent)} == {("anna", "bo")}
    assert await ward.waiting() == []


async def test_a_mail_says_nothing_of_whom_it_is_about(ward: Ward) -> None:
    await ward.deteriorates("case-9f3a")
    await ward.round()
    for letter in ward.office.letters:
        text = letter.as_string()
        assert not [said for said in ("case-9f3a", "north clinic", "mondays", "odsis", "ODSIS") if said in text]


async def test_it_goes_to_those_who_have_the_group_when_it_is_sent(ward: Ward) -> None:
    await ward.deteriorates()
    await ward.put(replaced(GROUP, therapists=("anna", "carl")))
    await ward.round()
    assert sorted(ward.office.to) == ["anna@north.example", "carl@north.example"]


async def test_who_joins_the_group_later_is_not_told_of_what_was_told(ward: Ward) -> None:
    # given a notice that one got, and the other not yet
    ward.office.of_recipient = lambda address: "450 4.2.0 later" if "bo@" in address else "250 OK"
    await ward.deteriorates()
    await ward.round()

    # when somebody joins the group, and everything but the log is lost
    await ward.put(replaced(GROUP, therapists=("anna", "bo", "carl")))
    await ward.outbox.forget(ward.clock.time)
    ward.office.of_recipient = lambda _: "250 OK"
    await ward.round(after=FIRST_RETRY)

    # then it goes to whom it was for, and to nobody else
    assert ward.office.to == ["anna@north.example", "bo@north.example"]


async def test_the_supervisor_is_told_of_what_nobody_looked_at(ward: Ward) -> None:
    # given a report that was announced, and a clinic with a supervisor
    await ward.put(Clinic(clinic="north", id="north", supervisors=("carl",)))
    await ward.deteriorates()
    await ward.round()
    ward.office.letters.clear()

    # when the next session comes
    ward.clock.time += WEEK
    await ward.record("case-1", SessionDue(session=3, scheduled=ward.clock.time), ward.clock.time)
    await ward.home.catch_up()
    await ward.round()

    # then the supervisor is told
    assert ward.office.to == ["carl@north.example"]


async def test_a_notice_waits_until_there_is_somebody_for_it(ward: Ward) -> None:
    # given a group that nobody leads
    await ward.put(replaced(GROUP, therapists=()))
    await ward.deteriorates()
    await ward.round()
    assert await ward.waiting() == ["case-1"]

    # when somebody does, even three days later
    await ward.put(GROUP)
    await ward.round(after=timedelta(days=3))
    assert await ward.outcomes() == SENT_TO_BOTH


async def test_a_notice_for_nobody_is_given_up_after_four_days(ward: Ward) -> None:
    await ward.home.roster.remove(Group, "north", "mondays")
    await ward.deteriorates()
    await ward.round()
    await ward.round(after=TRIED_FOR)
    assert await ward.outcomes() == Counter([("failed", None, "nobody")])
    assert await ward.waiting() == []


async def test_who_has_no_address_is_waited_for_and_the_other_is_told(ward: Ward) -> None:
    await ward.home.roster.remove(Therapist, "north", "bo")
    await ward.deteriorates()
    await ward.round()
    assert await ward.outcomes() == Counter([("sent", "anna", "1")])
    (delivery,) = await ward.outbox.waiting()
    assert (delivery.recipient, delivery.reason) == ("bo", "no-address")
    await ward.put(BO)
    await ward.round(after=FIRST_RETRY)
    assert await ward.outcomes() == Counter([("sent", "anna", "1"), ("sent", "bo", "2")])


async def test_history_makes_no_mail(ward: Ward) -> None:
    await ward.deteriorates(since=ward.clock.time - WEEK - NEWS_FOR - timedelta(hours=1))
    await ward.round()
    assert ward.office.letters == []
    assert await ward.outcomes() == Counter()


async def test_what_was_never_sent_in_a_month_is_not_sent_any_more(ward: Ward) -> None:
    await ward.deteriorates()
    await ward.round(after=NEWS_FOR + timedelta(hours=1))
    assert ward.office.letters == []
    assert await ward.outcomes() == Counter([("failed", None, "too-late")])


async def test_nobody_is_told_of_a_case_that_was_erased(ward: Ward) -> None:
    await ward.deteriorates()
    await ward.record("case-1", CaseErased(ground="asked for", by="admin"), ward.clock.time)
    await ward.home.keyring.destroy("case-1")
    await ward.round()
    await ward.round(after=timedelta(days=1))
    assert ward.office.letters == []


# A mail server that is difficult


async def test_a_letter_that_is_put_off_is_tried_again_later_each_time(ward: Ward) -> None:
    # given a mailbox whose server asks to come back later
    ward.office.of_recipient = lambda address: "451 4.7.1 greylisted" if "bo@" in address else "250 OK"
    await ward.deteriorates()
    await ward.round()
    assert await ward.outcomes() == Counter([("sent", "anna", "1")])

    # when it is time, and before
    tries = []
    for minutes in (1, 1, 2, 2, 4, 4):
        await ward.round(after=timedelta(minutes=minutes))
        (delivery,) = await ward.outbox.waiting()
        tries.append(delivery.tries)
    assert tries == [1, 2, 2, 3, 3, 4]
    assert delivery.reason == "smtp-451"

    # then it is taken in the end, and the other one is left alone
    ward.office.of_recipient = lambda _: "250 OK"
    await ward.round(after=timedelta(minutes=16))
    assert await ward.outcomes() == Counter([("sent", "anna", "1"), ("sent", "bo", "5")])
    assert ward.office.to == ["anna@north.example", "bo@north.example"]


async def test_an_address_that_is_refused_is_given_up_at_once(ward: Ward) -> None:
    ward.office.of_recipient = lambda address: "550 5.1.1 nobody here" if "bo@" in address else "250 OK"
    await ward.deteriorates()
    await ward.round()
    assert await ward.outcomes() == Counter([("sent", "anna", "1"), ("failed", "bo", "smtp-550")])
    assert await ward.waiting() == []


async def test_what_is_put_off_for_four_days_is_given_up(ward: Ward) -> None:
    ward.office.of_letter = lambda _: "451 4.3.0 not now"
    await ward.deteriorates()
    started = ward.clock.time
    while await ward.waiting():
        await ward.round(after=timedelta(minutes=30))
    assert TRIED_FOR <= ward.clock.time - started < TRIED_FOR + timedelta(hours=2)
    assert await ward.outcomes() == Counter([("failed", "anna", "gave-up"), ("failed", "bo", "gave-up")])


async def test_a_server_that_was_away_for_a_night_puts_nothing_off(ward: Ward) -> None:
    # given a server that is away
    await ward.deteriorates()
    for _ in range(20):
        with pytest.raises(MailAway, match="cannot be reached"):
            await ward.round(after=timedelta(minutes=30), server=ward.office.server(port=1))

    # when it is back
    await ward.round()

    # then everything goes at once, at the first try
    assert await ward.outcomes() == SENT_TO_BOTH


# Deaths


class DyingOutbox:
    """An outbox whose process dies before or after one of its changes."""

    def __init__(self, outbox: Outbox, change: int, *, is_done: bool) -> None:
        self._outbox = outbox
        self._left = change
        self._is_done = is_done

    def __getattr__(self, name: str) -> object:
        return getattr(self._outbox, name)

    async def change(self, before: Delivery, after: Delivery) -> bool:
        self._left -= 1
        if self._left:
            return await self._outbox.change(before, after)
        if self._is_done:
            await self._outbox.change(before, after)
        raise Died


class DyingIngest(OwnIngest):
    """An ingest during whose work the courier dies."""

    is_done = False

    async def record(self, fact: Fact) -> None:
        if self.is_done:
            await super().record(fact)
        raise Died


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", range(1, 5))
async def test_a_death_at_any_write_costs_one_mail_too_many_at_most(ward: Ward, change: int, *, is_done: bool) -> None:
    # given a courier that dies at one of the four writes by which two mails are sent
    await ward.deteriorates()
    with pytest.raises(Died):
        await ward.round(outbox=DyingOutbox(ward.outbox, change, is_done=is_done))

    # when another one goes on
    await ward.round(after=FIRST_RETRY)

    # then both have their mail, one of them twice at most, and the log says each once
    got = Counter(ward.office.to)
    assert set(got) == {"anna@north.example", "bo@north.example"}
    assert got.total() <= 3
    assert {(what, whom) for what, whom, _ in await ward.outcomes()} == {("sent", "anna"), ("sent", "bo")}
    assert (await ward.outcomes()).total() == 2
    ids = {letter["Message-ID"] for letter in ward.office.letters}
    assert len(ids) == 2


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_a_death_while_an_outcome_is_recorded_costs_nothing(ward: Ward, *, is_done: bool) -> None:
    await ward.deteriorates()
    dying = DyingIngest(ward.home.cases, ward.door)
    dying.is_done = is_done
    with pytest.raises(Died):
        await ward.round(ingest=dying)
    await ward.round(after=FIRST_RETRY)
    assert Counter(ward.office.to) == Counter(["anna@north.example", "bo@north.example"])
    assert {(what, whom) for what, whom, _ in await ward.outcomes()} == {("sent", "anna"), ("sent", "bo")}


async def test_an_outbox_that_was_lost_sends_nothing_again(ward: Ward) -> None:
    # given mail that was sent, of which only the facts are left, and those are not read yet
    await ward.deteriorates()
    await ward.courier().round()
    await ward.outbox.forget(ward.clock.time)

    # when a courier comes by before and after they are
    await ward.courier().round()
    await ward.round()
    await ward.round(after=timedelta(days=1))

    # then nobody gets a mail again
    assert Counter(ward.office.to) == Counter(["anna@north.example", "bo@north.example"])
    assert await ward.outcomes() == SENT_TO_BOTH


async def test_states_that_are_made_anew_send_nothing_again(ward: Ward) -> None:
    await ward.deteriorates()
    await ward.round()
    await ward.outbox.forget(ward.clock.time)
    await ward.home.rebuild(ward.home.mailbags, lambda _: None)
    await ward.round(after=timedelta(days=1))
    assert await ward.outcomes() == SENT_TO_BOTH
    assert len(ward.office.letters) == 2


async def test_two_couriers_at_once_send_each_mail_once(ward: Ward) -> None:
    for number in range(8):
        await ward.deteriorates(f"case-{number}")
    await asyncio.gather(*(ward.courier().round() for _ in range(4)))
    await ward.round(after=FIRST_RETRY)
    assert Counter(ward.office.to) == Counter({"anna@north.example": 8, "bo@north.example": 8})
    assert (await ward.outcomes()).total() == 16


class Deaf(OwnIngest):
    """An ingest that is away."""

    async def has(self, _: str, __: str) -> bool:
        raise Unavailable("ingest is away")


async def test_nothing_is_sent_as_long_as_ingest_cannot_say_what_was_sent(ward: Ward) -> None:
    await ward.deteriorates()
    with pytest.raises(Unavailable, match="ingest is away"):
        await ward.round(ingest=Deaf(ward.home.cases, ward.door))
    assert ward.office.letters == []
    await ward.round()
    assert await ward.outcomes() == SENT_TO_BOTH


async def test_a_case_that_cannot_be_read_keeps_no_other_from_its_mail(ward: Ward) -> None:
    # given two cases, of which one state was damaged
    await ward.deteriorates("case-1")
    await ward.deteriorates("case-2")
    stored = (await ward.home.store.load(Mailbags.name, ["case-1"]))["case-1"]
    await damage(ward.home, "case-1", stored.body)

    # when the courier comes by
    with pytest.raises(Exception, match="the stored state of case case-1"):
        await ward.round()

    # then the other is told of, and the fault is told
    assert await ward.outcomes() == SENT_TO_BOTH


async def damage(home: EmbeddedHome, case_id: str, body: bytes) -> None:
    """Change a bit of a stored state."""
    home._database.connection.execute(  # noqa: SLF001 - what no port does
        "UPDATE states SET body = ? WHERE stage = ? AND case_id = ?",
        (bytes([body[0] ^ 1]) + body[1:], Mailbags.name, case_id),
    )


def replaced(group: Group, *, therapists: tuple[str, ...]) -> Group:
    """Another group in the place of one."""
    return Group(clinic=group.clinic, id=group.id, sessions=group.sessions, therapists=therapists)
