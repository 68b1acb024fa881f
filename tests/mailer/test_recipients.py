"""The courier on a home, with a real mail server: who gets mail, and who does not any more."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Final

import pytest

from contracts.definitions.definition import Language
from contracts.events.facts import CaseTransferred, NoticeSent, SessionDue
from contracts.events.notices import NoticeRequested
from contracts.topics import NOTICES
from services.mailer.domain.delivery import FIRST_RETRY, TRIED_FOR
from services.mailer.post import MailAway
from services.runtime.roster.port import Clinic, Group, Therapist
from tests.support.mailing import BO, GROUP, SENT_TO_BOTH, WEEK, MailingClinic, led_by
from tests.support.said import said_on

PATIENCE: Final = 30.0


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
    assert len(clinic.office.letters) == 2
    for letter in clinic.office.letters:
        text = "\n".join([*map(str, letter.values()), letter.get_content()])
        assert not [said for said in ("case-9f3a", "mondays", "odsis", "ODSIS") if said in text]


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

    # when they are entered after hours in which they were looked for, then they are told within a minute
    for _ in range(12):
        await clinic.round(after=timedelta(minutes=30))
    await clinic.put(BO)
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_who_has_no_address_for_four_days_is_given_up(clinic: MailingClinic) -> None:
    # given a therapist without an address, and a machine that was away for days
    await clinic.home.roster.remove(Therapist, "north", "bo")
    await clinic.deteriorates()
    await clinic.round()
    await clinic.round(after=TRIED_FOR + timedelta(days=1))
    assert await clinic.outcomes() == Counter([("sent", "anna", "1")])

    # when four days have passed in which they were looked for
    await clinic.was_looked_for(TRIED_FOR)
    await clinic.round(after=timedelta(minutes=1))

    # then it has failed
    assert await clinic.outcomes() == Counter([("sent", "anna", "1"), ("failed", "bo", "gave-up:no-address")])


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
    await clinic.round()

    # then the letter that was in hand is taken, and the other one goes to who has the case by then
    assert clinic.office.to == ["bo@north.example", "carl@north.example"]
    assert await clinic.waiting() == []


async def test_who_has_the_case_by_then_is_told_though_a_mail_to_one_who_had_it_has_failed_for_good(
    clinic: MailingClinic,
) -> None:
    # given a notice of which one mail has failed, and the other one's was put off
    await clinic.put(Group(clinic="north", id="tuesdays", sessions={}, therapists=("carl",)))
    clinic.office.of_recipient = lambda address: "550 5.1.1 nobody here" if "bo@" in address else "451 4.7.1 greylisted"
    await clinic.deteriorates()
    await clinic.round()

    # when the case is transferred before anybody was told
    await clinic.record("case-1", CaseTransferred(group="tuesdays"), clinic.clock.time)
    await clinic.home.catch_up()
    clinic.office.of_recipient = lambda _: "250 OK"
    await clinic.round(after=FIRST_RETRY)

    # then who has it now is, and nothing waits for who had it
    assert clinic.office.to == ["carl@north.example"]
    assert await clinic.outcomes() == Counter([("sent", "carl", "1")])
    assert (await clinic.waiting(), await clinic.outbox.waiting()) == ([], 0)


@pytest.mark.parametrize(
    ("answer", "outcomes"),
    [
        ("250 OK", [("failed", "anna", "smtp-550"), ("sent", "carl", "1")]),
        ("550 5.1.1 nobody here", [("failed", "anna", "smtp-550"), ("failed", "carl", "smtp-550")]),
    ],
    ids=["told", "told-nobody"],
)
async def test_a_mail_that_has_failed_is_recorded_when_it_is_known_to_whom_the_notice_goes(
    clinic: MailingClinic, answer: str, outcomes: list[tuple[str, str, str]]
) -> None:
    # given a notice of which one mail has failed, and somebody who takes the place of the other therapist
    clinic.office.of_recipient = lambda address: (
        "550 5.1.1 nobody here" if "anna@" in address else "451 4.7.1 greylisted"
    )
    await clinic.deteriorates()
    await clinic.round()
    assert await clinic.outcomes() == Counter()
    await clinic.put(led_by("anna", "carl"))

    # when there is an outcome for them too, then both are recorded, and nobody else is waited for
    clinic.office.of_recipient = lambda _: answer
    await clinic.round(after=FIRST_RETRY)
    assert await clinic.outcomes() == Counter(outcomes)
    assert (await clinic.waiting(), await clinic.outbox.waiting()) == ([], 0)
