"""The courier on a home, with a real mail server: what is to be sent is sent, whatever refuses, breaks or dies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.definitions.definition import Language
from contracts.events.facts import CaseErased, CaseTransferred, NoticeSent, SessionDue
from contracts.events.notices import NoticeRequested
from contracts.topics import NOTICES
from deploy.local.ports import free_ports
from services.embedded import EmbeddedHome
from services.mailer.domain.delivery import FIRST_RETRY, LEASE, TRIED_FOR, Delivery, Fact
from services.mailer.domain.mailbag import NEWS_FOR, Mailbag, Mailbags
from services.mailer.ingest import IngestUnavailable, NotRecorded, Told
from services.mailer.outbox.port import Outbox, OutboxUnavailable
from services.mailer.post import MailAway
from services.runtime.health import Health
from services.runtime.roster.port import Clinic, Group, Therapist
from services.up import OwnIngest
from tests.support.mailing import ANNA, BO, GROUP, MONDAY, WEEK, MailingClinic, led_by, mailing_clinic
from tests.support.said import said_on


class Died(BaseException):
    """The process ended here."""


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[MailingClinic]:
    async with mailing_clinic(tmp_path) as made:
        yield made


PATIENCE: Final = 30.0
SENT_TO_BOTH: Final = Counter([("sent", "anna", "1"), ("sent", "bo", "1")])


# Who gets mail


async def test_both_therapists_get_one_mail_and_the_log_says_so(clinic: MailingClinic) -> None:
    # given a patient who is not on track
    await clinic.deteriorates()

    # when the courier comes by, and again
    await clinic.round()
    await clinic.round(after=timedelta(days=2))

    # then each of the two has a mail in their language, and a link to the report
    assert sorted(clinic.office.to) == ["anna@north.example", "bo@north.example"]
    subjects = {str(letter["To"]): letter["Subject"] for letter in clinic.office.letters}
    assert subjects["anna@north.example"] == "En rapport venter i OnTrack"
    assert subjects["bo@north.example"] == "A report is waiting in OnTrack"
    (request,) = await said_on(clinic.home.log, clinic.home.keyring, NOTICES, NoticeRequested)
    assert isinstance(request.data, NoticeRequested)
    for letter in clinic.office.letters:
        assert f"https://ontrack.north.example/reports/{request.data.report}" in letter.get_content()

    # and the log says what came of it, on the topic on which it was asked for too
    assert await clinic.outcomes() == SENT_TO_BOTH
    passed_on = await said_on(clinic.home.log, clinic.home.keyring, NOTICES, NoticeSent)
    assert {each.data.recipients for each in passed_on if isinstance(each.data, NoticeSent)} == {("anna", "bo")}
    assert await clinic.waiting() == []


@pytest.mark.parametrize(("clinic_entry", "language"), [(None, "da"), ("en", "en"), ("da", "da")])
async def test_a_therapist_of_whom_no_language_is_said_is_written_to_in_that_of_the_clinic(
    clinic: MailingClinic, clinic_entry: Language | None, language: Language
) -> None:
    # given a therapist who was entered with an address and nothing else
    await clinic.put(Therapist(clinic="north", id="carl", address="carl@north.example"), led_by("carl"))
    if clinic_entry is not None:
        await clinic.put(Clinic(clinic="north", id="north", language=clinic_entry))

    # when there is mail
    await clinic.deteriorates()
    await clinic.round()

    # then it is in the language of the clinic
    (mail,) = clinic.office.letters
    assert mail["Content-Language"] == language


async def test_a_mail_says_nothing_of_whom_it_is_about(clinic: MailingClinic) -> None:
    await clinic.deteriorates("case-9f3a")
    await clinic.round()
    for letter in clinic.office.letters:
        text = letter.as_string()
        assert not [said for said in ("case-9f3a", "north clinic", "mondays", "odsis", "ODSIS") if said in text]


async def test_it_goes_to_those_who_have_the_group_when_it_is_sent(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    await clinic.put(led_by("anna", "carl"))
    await clinic.round()
    assert sorted(clinic.office.to) == ["anna@north.example", "carl@north.example"]


async def test_who_joins_the_group_later_is_not_told_of_what_was_told(clinic: MailingClinic) -> None:
    # given a notice that one got, and the other not yet
    clinic.office.of_recipient = lambda address: "450 4.2.0 later" if "bo@" in address else "250 OK"
    await clinic.deteriorates()
    await clinic.round()

    # when somebody joins the group, and everything but the log is lost
    await clinic.put(led_by("anna", "bo", "carl"))
    await clinic.outbox.forget(clinic.clock.time)
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)

    # then it goes to whom it was for, and to nobody else
    assert clinic.office.to == ["anna@north.example", "bo@north.example"]


async def test_the_supervisor_is_told_of_what_nobody_looked_at(clinic: MailingClinic) -> None:
    # given a report that was announced, and a clinic with a supervisor
    await clinic.put(Clinic(clinic="north", id="north", supervisors=("carl",)))
    await clinic.deteriorates()
    await clinic.round()
    clinic.office.letters.clear()

    # when the next session comes
    clinic.clock.time += WEEK
    await clinic.record("case-1", SessionDue(session=2, scheduled=clinic.clock.time), clinic.clock.time)
    await clinic.home.catch_up()
    await clinic.round()

    # then the supervisor is told
    assert clinic.office.to == ["carl@north.example"]


async def test_a_notice_waits_until_there_is_somebody_for_it(clinic: MailingClinic) -> None:
    # given a group that nobody leads
    await clinic.put(led_by())
    await clinic.deteriorates()
    await clinic.round()
    assert await clinic.waiting() == ["case-1"]

    # when somebody does, even three days later
    await clinic.put(GROUP)
    await clinic.round(after=timedelta(days=3))
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_notice_for_nobody_is_given_up_after_four_days(clinic: MailingClinic) -> None:
    await clinic.home.roster.remove(Group, "north", "mondays")
    await clinic.deteriorates()
    await clinic.round()
    await clinic.was_looked_for(TRIED_FOR)
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == Counter([("failed", None, "nobody")])
    assert await clinic.waiting() == []


async def test_days_in_which_nobody_looked_are_none_of_the_four_in_which_there_is_nobody(
    clinic: MailingClinic,
) -> None:
    # given a group that nobody leads, and a machine that was away for days then, or a clock that was ahead
    await clinic.put(led_by())
    await clinic.deteriorates()
    await clinic.round()
    await clinic.round(after=TRIED_FOR + timedelta(days=1))
    assert await clinic.outcomes() == Counter()

    # when somebody leads it
    await clinic.put(GROUP)
    await clinic.round(after=timedelta(minutes=1))

    # then they are told
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_who_has_no_address_is_waited_for_and_the_other_is_told(clinic: MailingClinic) -> None:
    await clinic.home.roster.remove(Therapist, "north", "bo")
    await clinic.deteriorates()
    await clinic.round()
    assert await clinic.outcomes() == Counter([("sent", "anna", "1")])
    assert [(each.recipient, each.reason) for each in await clinic.under_way()] == [("bo", "no-address")]
    await clinic.put(BO)
    await clinic.round(after=FIRST_RETRY)
    assert await clinic.outcomes() == Counter([("sent", "anna", "1"), ("sent", "bo", "2")])


async def test_a_notice_that_nobody_took_in_hand_for_days_is_sent_when_somebody_does(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    await clinic.round(after=TRIED_FOR + timedelta(hours=1))
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_who_has_left_the_group_before_anything_could_be_sent_is_not_told(clinic: MailingClinic) -> None:
    # given a mail server that is away, and a group whose therapists change meanwhile
    await clinic.deteriorates()
    with pytest.raises(MailAway):
        await clinic.round(server=clinic.office.server(port=1))
    await clinic.put(led_by("anna", "carl"))

    # when it is back
    await clinic.round(after=timedelta(hours=12))

    # then it goes to those who have the group now
    assert sorted(clinic.office.to) == ["anna@north.example", "carl@north.example"]


async def test_who_leads_the_group_by_the_time_that_the_first_mail_goes_out_is_told(clinic: MailingClinic) -> None:
    # given a group of which one therapist was entered by a slip, and a mail server that asks to come back later
    clinic.office.of_recipient = lambda _: "450 4.2.0 later"
    await clinic.put(led_by("ana", "bo"))
    await clinic.deteriorates()
    await clinic.round()
    assert [each.recipient for each in await clinic.under_way()] == ["ana", "bo"]

    # when the slip is mended, and back again, and mended for good
    for therapists in (("anna", "bo"), ("ana", "bo"), ("anna", "bo")):
        await clinic.put(led_by(*therapists))
        await clinic.round(after=timedelta(hours=1))
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=timedelta(hours=4))

    # then both who lead it have one mail, nobody else is said to have, and nothing waits
    assert sorted(clinic.office.to) == ["anna@north.example", "bo@north.example"]
    assert {(what, who) for what, who, _ in await clinic.outcomes()} == {("sent", "anna"), ("sent", "bo")}
    assert (await clinic.waiting(), await clinic.under_way()) == ([], [])


async def test_who_has_left_before_a_letter_was_taken_is_not_written_to_when_the_other_one_is(
    clinic: MailingClinic,
) -> None:
    # given a mail server that asks to come back later, and a group whose therapists change meanwhile
    clinic.office.of_recipient = lambda _: "451 4.7.1 greylisted"
    await clinic.deteriorates()
    await clinic.round()
    await clinic.put(led_by("anna", "carl"))

    # when it takes the letters
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)

    # then both who lead it have one, at once, and nothing waits
    assert sorted(clinic.office.to) == ["anna@north.example", "carl@north.example"]
    assert {(what, who) for what, who, _ in await clinic.outcomes()} == {("sent", "anna"), ("sent", "carl")}
    assert (await clinic.waiting(), await clinic.outbox.waiting()) == ([], 0)


async def test_what_comes_of_a_letter_in_hand_is_noted_though_its_recipient_leaves_meanwhile(
    clinic: MailingClinic,
) -> None:
    # given a mail server that takes its time over a letter
    await clinic.put(led_by("bo"))
    await clinic.deteriorates()
    clinic.office.of_letter = lambda _: "hangs"
    sending = asyncio.create_task(clinic.courier().round())
    async with asyncio.timeout(PATIENCE):
        await clinic.office.asked.wait()

    # when nobody leads the group any more, and another courier comes by before the letter is taken
    await clinic.put(led_by())
    await clinic.courier().round()
    clinic.office.passed.set()
    await sending
    await clinic.home.catch_up()

    # then the letter counts as sent, and nothing waits
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == Counter([("sent", "bo", "1")])
    assert (await clinic.waiting(), clinic.office.to) == ([], ["bo@north.example"])


async def test_nobody_is_written_to_as_long_as_nobody_leads_a_group_any_more(clinic: MailingClinic) -> None:
    # given a mail server that asks to come back later, and a group that nobody leads any more
    clinic.office.of_recipient = lambda _: "451 4.7.1 greylisted"
    await clinic.deteriorates()
    await clinic.round()
    await clinic.put(led_by())
    clinic.office.of_recipient = lambda _: "250 OK"
    for _ in range(3):
        await clinic.round(after=timedelta(hours=4))
    assert clinic.office.to == []

    # when somebody gets it, and leaves, and others get it
    for therapists in (("carl",), (), ("bo", "carl")):
        clinic.office.of_recipient = lambda _: "451 4.7.1 greylisted"
        await clinic.put(led_by(*therapists))
        await clinic.round(after=timedelta(hours=1))
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=timedelta(hours=4))

    # then these are told
    assert sorted(clinic.office.to) == ["bo@north.example", "carl@north.example"]
    assert (await clinic.waiting(), await clinic.outbox.waiting()) == ([], 0)


async def test_who_gets_a_group_when_one_of_its_therapists_was_told_is_not_told_of_that(clinic: MailingClinic) -> None:
    # given a notice that one got, and of which the other one's was put off
    clinic.office.of_recipient = lambda address: "450 4.2.0 later" if "bo@" in address else "250 OK"
    await clinic.deteriorates()
    await clinic.round()

    # when somebody takes the other one's place
    await clinic.put(led_by("anna", "carl"))
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)

    # then nobody is written to: not who has left either
    assert clinic.office.to == ["anna@north.example"]
    assert [(each.recipient, each.reason) for each in await clinic.under_way()] == [("bo", "left")]

    # and who comes back is, since it was for them
    await clinic.put(GROUP)
    await clinic.round(after=timedelta(hours=4))
    assert clinic.office.to == ["anna@north.example", "bo@north.example"]
    assert await clinic.waiting() == []


async def test_a_report_of_a_case_without_a_group_goes_to_those_of_the_group_that_it_comes_to(
    clinic: MailingClinic,
) -> None:
    # given a case that is in no group
    await clinic.deteriorates(group=None)
    await clinic.round()
    assert await clinic.waiting() == ["case-1"]

    # when it is transferred into one
    await clinic.record("case-1", CaseTransferred(group="mondays"), clinic.clock.time)
    await clinic.home.catch_up()
    await clinic.round(after=timedelta(days=1))

    # then its therapists are told of what was issued before
    assert sorted(clinic.office.to) == ["anna@north.example", "bo@north.example"]
    assert await clinic.waiting() == []


async def test_who_has_the_case_when_a_mail_is_sent_is_told_and_not_whom_it_was_taken_from(
    clinic: MailingClinic,
) -> None:
    # given a mail server that asks to come back later
    await clinic.put(Group(clinic="south", id="mondays", sessions={}, therapists=("carl",)))
    await clinic.put(Therapist(clinic="south", id="carl", address="carl@south.example"))
    await clinic.put(Group(clinic="north", id="tuesdays", sessions={}, therapists=("carl",)))
    clinic.office.of_recipient = lambda _: "450 4.2.0 later"
    await clinic.deteriorates("case-1")
    await clinic.deteriorates("case-2")
    await clinic.round()

    # when one case is transferred to another group, and one to another clinic, before it takes a letter
    await clinic.record("case-1", CaseTransferred(group="tuesdays"), clinic.clock.time)
    await clinic.record("case-2", CaseTransferred(group="mondays", clinic="south"), clinic.clock.time)
    await clinic.home.catch_up()
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)

    # then those are told who have these cases now, and nobody else
    assert set(clinic.office.to) == {"carl@north.example", "carl@south.example"}
    assert await clinic.waiting() == []


async def test_who_has_the_case_by_then_is_told_though_its_mail_waited_behind_that_of_others(
    clinic: MailingClinic,
) -> None:
    # given a mail server that takes its time over a letter
    await clinic.put(led_by("bo"), Group(clinic="north", id="tuesdays", sessions={}, therapists=("carl",)))
    await clinic.deteriorates("case-1")
    await clinic.deteriorates("case-2")
    clinic.office.of_letter = lambda _: "hangs"
    sending = asyncio.create_task(clinic.courier().round())
    async with asyncio.timeout(PATIENCE):
        await clinic.office.asked.wait()

    # when both cases are transferred meanwhile
    for case_id in ("case-1", "case-2"):
        await clinic.record(case_id, CaseTransferred(group="tuesdays"), clinic.clock.time)
    clinic.office.of_letter = lambda _: "250 OK"
    clinic.office.passed.set()
    await sending
    await clinic.home.catch_up()

    # then the letter that was in hand is taken, and the other one goes to who has the case by then
    assert clinic.office.to == ["bo@north.example", "carl@north.example"]
    assert await clinic.waiting() == []


async def test_history_makes_no_mail(clinic: MailingClinic) -> None:
    await clinic.deteriorates(since=clinic.clock.time - WEEK - NEWS_FOR - timedelta(hours=1))
    await clinic.round()
    assert clinic.office.letters == []
    assert await clinic.outcomes() == Counter()


async def test_what_was_never_sent_in_a_month_is_not_sent_any_more(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    await clinic.round(after=NEWS_FOR + timedelta(hours=1))
    assert clinic.office.letters == []
    assert await clinic.outcomes() == Counter([("failed", None, "too-late")])


async def test_what_was_recorded_late_is_tried_for_its_four_days(clinic: MailingClinic) -> None:
    # given answers that came nearly a month late, and a mail server that asks to come back later
    clinic.office.of_letter = lambda _: "451 4.7.1 greylisted"
    await clinic.deteriorates(since=clinic.clock.time - WEEK - NEWS_FOR + timedelta(minutes=1))
    await clinic.round()

    # when it takes the letters, then both are told
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)
    assert sorted(clinic.office.to) == ["anna@north.example", "bo@north.example"]


async def test_nobody_is_told_of_a_case_that_was_erased(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    await clinic.record("case-1", CaseErased(ground="asked for", by="admin"), clinic.clock.time)
    await clinic.home.keyring.destroy("case-1")
    await clinic.round()
    await clinic.round(after=timedelta(days=1))
    assert clinic.office.letters == []


class ErasedMeanwhile:
    """An outbox in which a case is erased right before something of it is begun to be kept."""

    def __init__(self, outbox: Outbox, home: EmbeddedHome) -> None:
        self._outbox = outbox
        self._home = home

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    async def begin(self, deliveries: Sequence[Delivery]) -> None:
        await self._home.forget("case-1")
        await self._outbox.begin(deliveries)


async def test_nothing_is_kept_of_a_case_that_is_erased_while_its_mail_is_begun(clinic: MailingClinic) -> None:
    # given a notice that is to be sent
    await clinic.deteriorates()
    notices = list((await clinic.home.state(clinic.home.mailbags, "case-1") or Mailbag()).notices)
    assert notices

    # when the case is erased right before it is taken in hand
    clinic.outbox = ErasedMeanwhile(clinic.home.outbox, clinic.home)
    await clinic.round()

    # then the outbox holds nothing of it
    assert await clinic.home.outbox.of(notices) == []


# A mail server that is difficult


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


async def test_a_letter_is_not_tried_any_more_when_what_it_tells_of_is_a_month_old(clinic: MailingClinic) -> None:
    # given a letter that is put off again and again, and a mailer that was away for a month
    clinic.office.of_letter = lambda _: "451 4.3.0 not now"
    await clinic.deteriorates()
    await clinic.round()
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=NEWS_FOR + timedelta(seconds=1))
    assert clinic.office.letters == []
    assert await clinic.outcomes() == Counter([("failed", "anna", "too-late"), ("failed", "bo", "too-late")])


async def test_a_sender_that_is_refused_costs_no_try(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    clinic.office.sender = "553 5.7.1 not yours"
    for _ in range(3):
        with pytest.raises(MailAway, match="refuses the sender"):
            await clinic.round(after=timedelta(minutes=1))
    assert "sender-refused" in {each.reason for each in await clinic.under_way()}
    clinic.office.sender = "250 OK"
    await clinic.round()
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
    clinic.home._database.connection.execute(  # noqa: SLF001 - what no port does
        "UPDATE outbox SET body = substr(body, 2) WHERE recipient = 'anna'"
    )

    # when the mail server takes letters, then both are sent
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)
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


async def test_an_outbox_that_is_away_when_a_letter_was_taken_is_waited_for(
    clinic: MailingClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.mailer.courier.TICK", 0.01)
    await clinic.deteriorates()
    await clinic.round(outbox=Forgetful(clinic.outbox, "change", number=2))
    await clinic.round(after=LEASE)
    assert Counter(clinic.office.to) == Counter(["anna@north.example", "bo@north.example"])
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


async def test_a_courier_that_is_to_end_finishes_the_letter_in_hand(clinic: MailingClinic) -> None:
    # given a mail server that takes its time over a letter
    await clinic.deteriorates()
    clinic.office.of_letter = lambda _: "hangs"
    courier = clinic.courier()
    running = asyncio.create_task(courier.run(Health()))
    async with asyncio.timeout(30):
        await clinic.office.asked.wait()

    # when the courier is to end, and the server takes the letter then
    ending = asyncio.create_task(courier.end(running))
    await asyncio.sleep(0)
    clinic.office.passed.set()
    await ending

    # then the letter counts as sent, and another courier sends only the other one
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.home.catch_up()
    assert (await clinic.outcomes()).total() == 1
    await clinic.round()
    assert await clinic.outcomes() == SENT_TO_BOTH


class Absent:
    """An outbox in which nothing can be changed until it is back."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.is_back = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outbox, name)

    async def change(self, before: Delivery, after: Delivery) -> bool:
        if not self.is_back:
            raise OutboxUnavailable("the outbox is away")
        return await self._outbox.change(before, after)


async def test_a_courier_that_is_to_end_waits_for_an_outbox_that_is_away_for_a_moment(
    clinic: MailingClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.mailer.courier.TICK", 0.05)
    # given a mail server that takes its time over a letter, and a courier that is to end meanwhile
    await clinic.deteriorates()
    clinic.office.of_letter = lambda _: "hangs"
    outbox = Absent(clinic.outbox)
    courier = clinic.courier(outbox=outbox)
    running = asyncio.create_task(courier.run(Health()))
    async with asyncio.timeout(30):
        await clinic.office.asked.wait()
    ending = asyncio.create_task(courier.end(running))
    await asyncio.sleep(0)

    # when the outbox is away as the server takes the letter, and is back a little later
    outbox.is_back = False
    asyncio.get_running_loop().call_later(0.5, setattr, outbox, "is_back", True)
    clinic.office.passed.set()
    await ending

    # then the letter counts as sent: nobody gets it twice
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=LEASE)
    assert Counter(clinic.office.to) == Counter(["anna@north.example", "bo@north.example"])


class Refusing(OwnIngest):
    """An ingest that does not record what came of the mail to somebody."""

    async def record(self, fact: Fact) -> None:
        if fact.data.recipient == "anna":
            raise NotRecorded("ingest does not record it")
        await super().record(fact)


async def test_an_outcome_that_is_not_recorded_keeps_no_other_mail_of_its_case(clinic: MailingClinic) -> None:
    # given a case of which the outcome of one mail is refused, and told as a fault
    await clinic.deteriorates()
    courier, health = clinic.courier(ingest=Refusing(clinic.home.cases, clinic.door)), Health()
    running = asyncio.create_task(courier.run(health))
    async with asyncio.timeout(PATIENCE):
        while not health.troubles:  # noqa: ASYNC110 - nobody is told of it but who looks
            await asyncio.sleep(0)
    await courier.end(running)
    await clinic.home.catch_up()
    assert health.troubles == {"mail of some cases": "ingest does not record it"}

    # then the other therapist has their mail all the same
    assert Counter(clinic.office.to) == Counter(["anna@north.example", "bo@north.example"])
    assert await clinic.outcomes() == Counter([("sent", "bo", "1")])

    # and the outcome is recorded when it can be, without another mail
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == SENT_TO_BOTH
    assert len(clinic.office.to) == 2


async def test_an_entry_of_a_therapist_that_was_damaged_keeps_no_other_from_their_mail(clinic: MailingClinic) -> None:
    # given a group of which one therapist stands on the roster in a form that cannot be read
    await clinic.deteriorates()
    clinic.home._database.connection.execute(  # noqa: SLF001 - what no port does
        "UPDATE roster SET body = substr(body, 2) WHERE kind = 'therapist' AND id = 'anna'"
    )

    # when there is mail, then the other one is told
    await clinic.round()
    assert clinic.office.to == ["bo@north.example"]

    # and this one as soon as they were entered anew
    await clinic.put(ANNA)
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == SENT_TO_BOTH


class Deaf(OwnIngest):
    """An ingest that is away."""

    async def told(self, _: str, __: str) -> Told:
        raise IngestUnavailable("ingest is away")


async def test_nothing_is_sent_as_long_as_ingest_cannot_say_what_was_sent(clinic: MailingClinic) -> None:
    await clinic.deteriorates()
    with pytest.raises(IngestUnavailable, match="ingest is away"):
        await clinic.round(ingest=Deaf(clinic.home.cases, clinic.door))
    assert clinic.office.letters == []
    await clinic.round()
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_case_that_cannot_be_read_keeps_no_other_from_its_mail(clinic: MailingClinic) -> None:
    # given two cases, of which one state was damaged
    await clinic.deteriorates("case-1")
    await clinic.deteriorates("case-2")
    stored = (await clinic.home.store.load(Mailbags.name, ["case-1"]))["case-1"]
    await damage(clinic.home, "case-1", stored.body)

    # when the courier comes by
    courier, health = clinic.courier(), Health()
    await courier.round()
    await clinic.home.catch_up()
    running = asyncio.create_task(courier.run(health))
    async with asyncio.timeout(PATIENCE):
        while not health.troubles:  # noqa: ASYNC110 - nobody is told of it but who looks
            await asyncio.sleep(0)
    await courier.end(running)

    # then the other is told of, and the fault is told to whom no restart would seem to mend it
    assert health.troubles["mail of some cases"].startswith("the stored state of case case-1")
    assert health.alive() == []
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_a_mail_server_that_is_away_is_told_though_a_case_has_a_fault(clinic: MailingClinic) -> None:
    # given two cases, of which one state was damaged, and a mail server that does not listen
    await clinic.deteriorates("case-1")
    await clinic.deteriorates("case-2")
    stored = (await clinic.home.store.load(Mailbags.name, ["case-1"]))["case-1"]
    await damage(clinic.home, "case-1", stored.body)
    (port,) = free_ports(1)
    courier, health = clinic.courier(server=replace(clinic.office.server(), port=port)), Health(waits_for=[])

    # when the courier comes by
    running = asyncio.create_task(courier.run(health))
    async with asyncio.timeout(PATIENCE):
        while len(health.troubles) < 2:  # noqa: ASYNC110 - nobody is told of it but who looks
            await asyncio.sleep(0)
    await courier.end(running)

    # then both are told, and neither to whoever starts again what is not alive
    assert health.alive() == []
    server, case = health.ready()
    assert server.startswith("mail: the mail server at ")
    assert case.startswith("mail of some cases: the stored state of case case-1")


async def test_a_mail_server_that_is_away_keeps_it_from_being_ready_and_not_from_being_alive(
    clinic: MailingClinic,
) -> None:
    # given something to send, and a mail server that does not listen
    await clinic.deteriorates()
    (port,) = free_ports(1)
    courier, health = clinic.courier(server=replace(clinic.office.server(), port=port)), Health(waits_for=[])

    # when the courier comes by
    running = asyncio.create_task(courier.run(health))
    async with asyncio.timeout(PATIENCE):
        while "mail" not in health.troubles:  # noqa: ASYNC110 - nobody is told of it but who looks
            await asyncio.sleep(0)
    await courier.end(running)

    # then it is not ready, and says why; whoever starts again what is not alive has no reason to
    assert health.alive() == []
    (why,) = health.ready()
    assert why.startswith("mail: ")

    # and what is wrong with itself is told as before
    health.set("mail", "a fault of OnTrack")
    assert health.alive() == health.ready() == ["mail: a fault of OnTrack"]
    health.set("mail", None)
    assert health.ready() == []


async def damage(home: EmbeddedHome, case_id: str, body: bytes) -> None:
    """Change a bit of a stored state."""
    home._database.connection.execute(  # noqa: SLF001 - what no port does
        "UPDATE states SET body = ? WHERE stage = ? AND case_id = ?",
        (bytes([body[0] ^ 1]) + body[1:], Mailbags.name, case_id),
    )


class Picky(OwnIngest):
    """An ingest that records nothing of one case."""

    async def told(self, case_id: str, notice: str) -> Told:
        if case_id == "case-1":
            raise NotRecorded("ingest does not tell of a notice (busy)")
        return await super().told(case_id, notice)


async def test_a_case_of_which_ingest_does_not_tell_keeps_no_other_from_its_mail(clinic: MailingClinic) -> None:
    for number in (1, 2):
        await clinic.deteriorates(f"case-{number}")
    await clinic.round(ingest=Picky(clinic.home.cases, clinic.door))
    assert await clinic.outcomes() == SENT_TO_BOTH
    await clinic.round(after=timedelta(minutes=1))
    assert (await clinic.outcomes()).total() == 4
