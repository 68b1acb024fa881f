"""Whatever dies, is lost or is away, each mail is sent, and hardly ever twice."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.mailer.domain.delivery import FIRST_RETRY, LEASE, Delivery, Fact
from services.mailer.ingest import IngestUnavailable
from services.mailer.outbox.port import Outbox, OutboxUnavailable
from services.up import OwnIngest
from tests.support.editing import edit
from tests.support.mailing import SENT_TO_BOTH, MailingClinic, led_by


class Died(BaseException):
    """The process ended here."""


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
async def test_a_death_at_any_write_costs_one_mail_too_many_at_most(
    clinic: MailingClinic, change: int, *, is_done: bool
) -> None:
    # given a courier that dies at one of the four writes by which two mails are sent
    await clinic.deteriorates()
    with pytest.raises(Died):
        await clinic.round(outbox=DyingOutbox(clinic.outbox, change, is_done=is_done))

    # when another one goes on
    await clinic.round(after=LEASE)

    # then both have their mail, one of them twice at most, and the log says each once
    got = Counter(clinic.office.to)
    assert set(got) == {"anna@north.example", "bo@north.example"}
    assert got.total() <= 3
    assert {(what, whom) for what, whom, _ in await clinic.outcomes()} == {("sent", "anna"), ("sent", "bo")}
    assert (await clinic.outcomes()).total() == 2
    ids = {letter["Message-ID"] for letter in clinic.office.letters}
    assert len(ids) == 2


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_a_death_while_an_outcome_is_recorded_costs_nothing(clinic: MailingClinic, *, is_done: bool) -> None:
    await clinic.deteriorates()
    dying = DyingIngest(clinic.home.cases, clinic.door)
    dying.is_done = is_done
    with pytest.raises(Died):
        await clinic.round(ingest=dying)
    await clinic.round(after=LEASE)
    assert Counter(clinic.office.to) == Counter(["anna@north.example", "bo@north.example"])
    assert {(what, whom) for what, whom, _ in await clinic.outcomes()} == {("sent", "anna"), ("sent", "bo")}


@pytest.mark.parametrize(
    "later", [timedelta(), timedelta(days=5), timedelta(days=40)], ids=["at-once", "days", "weeks"]
)
async def test_an_outbox_that_was_lost_sends_nothing_again(clinic: MailingClinic, later: timedelta) -> None:
    # given mail that was sent, of which only the facts are left, and those are not read yet
    await clinic.deteriorates()
    await clinic.courier().round()
    await clinic.outbox.forget(clinic.clock.time)

    # when a courier comes by before they are, when others lead the group, and after
    clinic.clock.time += later
    await clinic.put(led_by("carl"))
    await clinic.courier().round()
    await clinic.round()
    await clinic.round(after=timedelta(days=1))

    # then nobody gets a mail again, and nothing else is said of it
    assert Counter(clinic.office.to) == Counter(["anna@north.example", "bo@north.example"])
    assert await clinic.outcomes() == SENT_TO_BOTH
    assert await clinic.outbox.waiting() == 0


async def test_what_the_outbox_keeps_of_a_mail_is_made_anew_where_it_was_damaged(clinic: MailingClinic) -> None:
    # given letters that were put off, and of one of them something that cannot be read
    clinic.office.of_letter = lambda _: "451 4.3.0 not now"
    await clinic.deteriorates()
    await clinic.round()
    edit(clinic.home, "UPDATE outbox SET body = substr(body, 2) WHERE recipient = 'anna'")

    # when the mail server takes letters, then both are sent, and of the other one it is known that it was tried before
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)
    assert await clinic.outcomes() == Counter([("sent", "anna", "1"), ("sent", "bo", "2")])


class Mute(OwnIngest):
    """An ingest that tells, and is away when something is to be recorded."""

    async def record(self, _: Fact) -> None:
        raise IngestUnavailable("ingest is away")


async def test_what_was_sent_is_not_sent_again_where_what_is_kept_of_another_mail_was_damaged(
    clinic: MailingClinic,
) -> None:
    # given a mail that was sent and is not recorded yet, and damage where the outbox keeps the other therapist's
    await clinic.deteriorates()
    with pytest.raises(IngestUnavailable):
        await clinic.round(ingest=Mute(clinic.home.cases, clinic.door))
    assert clinic.office.to == ["anna@north.example"]
    edit(clinic.home, "UPDATE outbox SET body = substr(body, 2) WHERE recipient = 'bo'")

    # when ingest is back, then both have one mail
    await clinic.round()
    assert clinic.office.to == ["anna@north.example", "bo@north.example"]
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_states_that_are_made_anew_send_nothing_again(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    await clinic.round()
    await clinic.outbox.forget(clinic.clock.time)
    await clinic.home.rebuild(clinic.home.mailbags, lambda _: None)
    await clinic.round(after=timedelta(days=1))
    assert await clinic.outcomes() == SENT_TO_BOTH
    assert len(clinic.office.letters) == 2


async def test_two_couriers_at_once_send_each_mail_once(clinic: MailingClinic) -> None:
    for number in range(8):
        await clinic.deteriorates(f"case-{number}")
    await asyncio.gather(*(clinic.courier().round() for _ in range(4)))
    await clinic.round(after=LEASE)
    assert Counter(clinic.office.to) == Counter({"anna@north.example": 8, "bo@north.example": 8})
    assert (await clinic.outcomes()).total() == 16


class Forgetful:
    """An outbox that is not there for one of its writes."""

    def __init__(self, outbox: Outbox, call: str, number: int = 1) -> None:
        self._outbox = outbox
        self._call = call
        self._left = number

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._outbox, name)
        return self._sometimes if name == self._call else found

    async def _sometimes(self, *arguments: Any) -> object:
        self._left -= 1
        if self._left == 0:
            raise OutboxUnavailable("the outbox is away")
        return await getattr(self._outbox, self._call)(*arguments)


async def test_an_outbox_that_is_away_when_a_letter_was_taken_is_waited_for(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    await clinic.round(outbox=Forgetful(clinic.outbox, "change", number=2), pause=0.01)
    await clinic.round(after=LEASE)
    assert Counter(clinic.office.to) == Counter(["anna@north.example", "bo@north.example"])
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_an_outbox_that_is_away_before_a_letter_is_sent_is_told_of_at_once(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    with pytest.raises(OutboxUnavailable):
        await clinic.round(outbox=Forgetful(clinic.outbox, "change"), pause=0.01)
    await clinic.round()
    assert await clinic.outcomes() == SENT_TO_BOTH


class Halving:
    """An outbox that writes the first of several deliveries that are begun together, and is away then."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        await self._outbox.begin(deliveries[:1])
        raise OutboxUnavailable("the outbox is away")


async def test_a_notice_that_was_taken_in_hand_by_half_goes_to_everybody(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    with pytest.raises(OutboxUnavailable):
        await clinic.round(outbox=Halving(clinic.outbox))
    await clinic.round()
    assert await clinic.outcomes() == SENT_TO_BOTH
