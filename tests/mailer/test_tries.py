"""The courier tries what a mail server puts off again and again, for four days, whatever clocks say."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from services.mailer.domain.delivery import (
    FIRST_RETRY,
    LOOK_AGAIN,
    TRIED_FOR,
    Fact,
    begun,
    given_back,
    not_there,
    tried,
)
from services.mailer.domain.mailbag import NEWS_FOR
from services.mailer.ingest import NotRecorded
from services.mailer.post import MailAway
from services.up import OwnIngest
from tests.support.mailing import GROUP, MONDAY, SENT_TO_BOTH, WEEK, MailingClinic, led_by


async def test_a_letter_that_is_put_off_is_tried_again_later_each_time(clinic: MailingClinic) -> None:
    # given a mailbox whose server asks to come back later
    clinic.office.of_recipient = lambda address: "451 4.7.1 greylisted" if "bo@" in address else "250 OK"
    await clinic.deteriorates()
    await clinic.round()
    assert await clinic.outcomes() == Counter([("sent", "anna", "1")])

    # when it is time, and before
    tries = []
    for minutes in (1, 1, 2, 2, 4, 4):
        await clinic.round(after=timedelta(minutes=minutes))
        (delivery,) = await clinic.under_way()
        tries.append(delivery.tries)
    assert tries == [1, 2, 2, 3, 3, 4]
    assert delivery.reason == "smtp-451"

    # then it is taken in the end, and the other one is left alone
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=timedelta(minutes=16))
    assert await clinic.outcomes() == Counter([("sent", "anna", "1"), ("sent", "bo", "5")])
    assert clinic.office.to == ["anna@north.example", "bo@north.example"]


async def test_an_address_that_is_refused_is_given_up_at_once(clinic: MailingClinic) -> None:
    clinic.office.of_recipient = lambda address: "550 5.1.1 nobody here" if "bo@" in address else "250 OK"
    await clinic.deteriorates()
    await clinic.round()
    assert await clinic.outcomes() == Counter([("sent", "anna", "1"), ("failed", "bo", "smtp-550")])
    assert await clinic.waiting() == []


async def test_what_is_put_off_for_four_days_is_given_up(clinic: MailingClinic) -> None:
    clinic.office.of_letter = lambda _: "451 4.3.0 not now"
    await clinic.deteriorates()
    started = clinic.clock.time
    while await clinic.waiting():
        await clinic.round(after=timedelta(minutes=30))
    assert TRIED_FOR <= clinic.clock.time - started < TRIED_FOR + timedelta(hours=5)
    gave_up = "gave-up:smtp-451"
    assert await clinic.outcomes() == Counter([("failed", "anna", gave_up), ("failed", "bo", gave_up)])


async def test_days_in_which_nothing_was_tried_are_none_of_the_four(clinic: MailingClinic) -> None:
    # given a letter that was put off once, and a machine that was away for days then
    clinic.office.of_letter = lambda _: "451 4.3.0 not now"
    await clinic.deteriorates()
    await clinic.round()
    await clinic.round(after=TRIED_FOR + timedelta(days=1))
    assert await clinic.outcomes() == Counter()

    # when the server takes letters again
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=timedelta(hours=4))

    # then it is sent
    assert {(what, who) for what, who, _ in await clinic.outcomes()} == {("sent", "anna"), ("sent", "bo")}


async def test_what_was_recorded_late_is_tried_for_its_four_days(clinic: MailingClinic) -> None:
    # given answers that came nearly a month late, and a mail server that asks to come back later
    clinic.office.of_letter = lambda _: "451 4.7.1 greylisted"
    await clinic.deteriorates(since=clinic.clock.time - WEEK - NEWS_FOR + timedelta(minutes=1))
    await clinic.round()

    # when it takes the letters, then both are told
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)
    assert sorted(clinic.office.to) == ["anna@north.example", "bo@north.example"]


async def test_a_server_that_was_away_for_a_night_puts_nothing_off(clinic: MailingClinic) -> None:
    # given a server that is away
    await clinic.deteriorates()
    for _ in range(20):
        with pytest.raises(MailAway, match="cannot be reached"):
            await clinic.round(after=timedelta(minutes=30), server=clinic.office.server(port=1))

    # when it is back
    await clinic.round()

    # then everything goes at once, at the first try
    assert await clinic.outcomes() == SENT_TO_BOTH


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("553 5.7.1 not yours", "refuses the sender"),
        ("452 4.3.1 insufficient system storage", "takes no mail just now"),
    ],
)
async def test_a_sender_that_is_refused_costs_no_try(clinic: MailingClinic, said: str, why: str) -> None:
    await clinic.deteriorates()
    clinic.office.sender = said
    for _ in range(3):
        with pytest.raises(MailAway, match=why):
            await clinic.round(after=timedelta(minutes=1))
    assert "sender-refused" in {each.reason for each in await clinic.under_way()}
    clinic.office.sender = "250 OK"
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_connection_that_ends_before_the_recipient_is_named_costs_no_try(clinic: MailingClinic) -> None:
    # given a mail server that breaks off before it has heard for whom a letter is, for more than four days
    await clinic.deteriorates()
    clinic.office.sender = "drops"
    started = clinic.clock.time
    while clinic.clock.time - started < TRIED_FOR:
        with pytest.raises(MailAway, match="cannot be reached"):
            await clinic.round(after=timedelta(hours=4))

    # when it goes on, then everything goes out at once, at the first try
    clinic.office.sender = "250 OK"
    await clinic.round()
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_sender_that_is_refused_for_one_recipient_keeps_no_other_mail_waiting(clinic: MailingClinic) -> None:
    # given a mail server that takes nothing from us for one mailbox
    said = "550 5.1.8 sender rejected"
    clinic.office.of_recipient = lambda address: said if "anna@" in address else "250 OK"
    await clinic.deteriorates()
    with pytest.raises(MailAway, match="refuses the sender"):
        await clinic.round()

    # when the courier comes by again, then the other therapist is told, and the mail that waits was never tried
    await clinic.round()
    assert clinic.office.to == ["bo@north.example"]
    assert [(each.recipient, each.tries, each.reason) for each in await clinic.under_way()] == [
        ("anna", 0, "sender-refused")
    ]

    # and it is sent once it is taken
    said = "250 OK"
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_notice_of_a_clock_that_was_ahead_is_sent_at_once(clinic: MailingClinic) -> None:
    # given a report that was made when the clock was some hours ahead
    true = clinic.clock.time
    clinic.clock.time += timedelta(hours=3)
    await clinic.deteriorates(since=true - WEEK)

    # when the clock is set right
    clinic.clock.time = true
    await clinic.round()

    # then nobody waits for hours
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_letter_that_was_put_off_while_the_clock_was_ahead_is_tried_again_soon(clinic: MailingClinic) -> None:
    # given letters that were put off when the clock was some days ahead, and a group without therapists then
    true = clinic.clock.time
    await clinic.deteriorates("case-1")
    clinic.office.of_letter = lambda _: "451 4.3.0 not now"
    courier = clinic.courier()
    clinic.clock.time += timedelta(days=20)
    await courier.round()
    await clinic.put(led_by())
    await clinic.deteriorates("case-2", since=true - WEEK)
    await courier.round()

    # when the clock is set right, and the server takes letters
    clinic.clock.time = true + timedelta(minutes=5)
    await clinic.put(GROUP)
    clinic.office.of_letter = lambda _: "250 OK"
    await courier.round()
    await clinic.home.catch_up()

    # then everything is sent
    assert Counter(clinic.office.to) == Counter({"anna@north.example": 2, "bo@north.example": 2})
    assert await clinic.waiting() == []


class Strict(OwnIngest):
    """An ingest with a clock of its own, which records nothing that is yet to happen."""

    time = MONDAY

    async def record(self, fact: Fact) -> None:
        if fact.time > self.time:
            raise NotRecorded("a moment that has come was expected")
        await super().record(fact)


async def test_what_came_of_a_mail_while_the_clock_was_ahead_is_recorded_when_it_is_right(
    clinic: MailingClinic,
) -> None:
    # given a mailer whose clock is some days ahead of that of ingest
    true = clinic.clock.time
    await clinic.deteriorates()
    ingest = Strict(clinic.home.cases, clinic.door)
    await clinic.round(after=timedelta(days=3), ingest=ingest)
    assert await clinic.outcomes() == Counter()

    # when its clock is set right, then what came of its mails is recorded at the next look
    clinic.clock.time = ingest.time = true + timedelta(minutes=5)
    await clinic.round(ingest=ingest)
    assert await clinic.outcomes() == SENT_TO_BOTH
    assert len(clinic.office.to) == 2


def test_an_address_is_looked_for_for_four_days_also_after_the_sender_was_refused_for_longer() -> None:
    # given a letter that the mail server has refused from us for five days
    (delivery,) = begun(str(uuid4()), str(uuid4()), ["anna"], MONDAY)
    now = MONDAY + timedelta(days=5)
    waiting = given_back(delivery, tried(delivery, now), "sender-refused", now)

    # when its recipient has no address, then it waits for one
    looked_for = not_there(waiting, now, "no-address")
    assert looked_for.outcome is None

    # and is given up four days later
    for _ in range(TRIED_FOR // LOOK_AGAIN):
        assert looked_for.outcome is None
        now = looked_for.next_try
        looked_for = not_there(looked_for, now, "no-address")
    assert (looked_for.outcome, looked_for.reason) == ("failed", "gave-up:no-address")
