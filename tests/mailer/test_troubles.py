"""What keeps one case from its mail keeps no other from it, and what is wrong is told to whom it concerns."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from contracts.events.facts import SessionDue
from contracts.events.fields import instant
from deploy.local.ports import free_ports
from services.embedded import EmbeddedHome
from services.mailer.domain.delivery import Fact
from services.mailer.domain.mailbag import Mailbags
from services.mailer.ingest import IngestUnavailable, NotRecorded, Told
from services.runtime.health import Health
from services.runtime.roster.port import Clinic
from services.up import OwnIngest
from tests.support.editing import edit
from tests.support.mailing import ANNA, MONDAY, SENT_TO_BOTH, WEEK, MailingClinic

PATIENCE: Final = 30.0


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


class Refusing(OwnIngest):
    """An ingest that does not record what came of the mail to somebody."""

    async def record(self, fact: Fact) -> None:
        if fact.data.recipient == "anna":
            raise NotRecorded("ingest does not record it")
        await super().record(fact)


@pytest.mark.parametrize("damaged", ["case_id", '"offset"'])
@pytest.mark.parametrize("due", [MONDAY, datetime(9998, 1, 1, tzinfo=UTC)])
async def test_what_cannot_be_put_off_is_met_again_at_the_next_look_and_not_without_pause(
    clinic: MailingClinic, damaged: str, due: datetime
) -> None:
    # given two cases, of which one state has what is no text in its name or its place, so that nothing finds it by that
    await clinic.deteriorates("case-1")
    await clinic.deteriorates("case-2")
    as_damaged = f"UPDATE states SET due = ?, {damaged} = CAST(x'fe' AS TEXT)"  # noqa: S608 - a name of ours
    edit(clinic.home, f"{as_damaged} WHERE stage = ? AND case_id = 'case-1'", instant(due), Mailbags.name)

    # when the courier comes by, then its round ends, and the other case has its mail
    async with asyncio.timeout(PATIENCE):
        await clinic.courier().round()
    assert set(clinic.office.to) == {"anna@north.example", "bo@north.example"}


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
    edit(clinic.home, "UPDATE roster SET body = substr(body, 2) WHERE kind = 'therapist' AND id = 'anna'")

    # when there is mail, then the other one is told
    await clinic.round()
    assert clinic.office.to == ["bo@north.example"]

    # and this one as soon as they were entered anew
    await clinic.put(ANNA)
    await clinic.round(after=timedelta(minutes=1))
    assert await clinic.outcomes() == SENT_TO_BOTH


async def test_an_entry_of_a_clinic_that_was_damaged_keeps_no_therapist_from_their_mail(clinic: MailingClinic) -> None:
    # given a report that nobody has looked at by the next session, and another one of that
    await clinic.put(Clinic(clinic="north", id="north", supervisors=("carl",)))
    await clinic.deteriorates()
    await clinic.round()
    clinic.office.letters.clear()
    clinic.clock.time += WEEK
    await clinic.record("case-1", SessionDue(session=2, scheduled=clinic.clock.time), clinic.clock.time)
    await clinic.answers(session=2, total=20)

    # when the clinic stands on the roster in a form that cannot be read, then the therapists are told
    edit(clinic.home, "UPDATE roster SET body = substr(body, 2) WHERE kind = 'clinic'")
    await clinic.round()
    assert clinic.office.to == ["anna@north.example", "bo@north.example"]

    # and its supervisor as soon as it was entered anew
    await clinic.put(Clinic(clinic="north", id="north", supervisors=("carl",)))
    await clinic.round(after=timedelta(minutes=1))
    assert clinic.office.to == ["anna@north.example", "bo@north.example", "carl@north.example"]


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


async def test_a_sender_that_is_refused_is_told_though_other_mail_goes_out(clinic: MailingClinic) -> None:
    # given a mail server that takes nothing from us for one mailbox
    clinic.office.of_recipient = lambda address: "550 5.1.8 sender rejected" if "anna@" in address else "250 OK"
    await clinic.deteriorates()

    # when the courier has come by, and again
    courier, health = clinic.courier(), Health(waits_for=[])
    running = asyncio.create_task(courier.run(health))
    async with asyncio.timeout(PATIENCE):
        while not clinic.office.letters:
            courier.look()
            await asyncio.sleep(0.01)
    await courier.end(running)

    # then that is told all the same, and not to whoever starts again what is not alive
    assert clinic.office.to == ["bo@north.example"]
    assert health.alive() == []
    (why,) = health.ready()
    assert why.startswith("sender of mail: the mail server at ")
    assert why.endswith(" refuses the sender (550): check ONTRACK_MAIL_FROM")


async def test_a_letter_over_which_the_mail_server_takes_long_is_told_until_it_is_done_with_it(
    clinic: MailingClinic,
) -> None:
    # given a mail server that says nothing to a letter, so that all others wait
    await clinic.deteriorates()
    clinic.office.of_letter = lambda address: "hangs" if "anna@" in address else "250 OK"
    courier, health = clinic.courier(slow_after=0.01), Health(waits_for=[])
    running = asyncio.create_task(courier.run(health))
    async with asyncio.timeout(PATIENCE):
        while not health.troubles:  # noqa: ASYNC110 - nobody is told of it but who looks
            await asyncio.sleep(0)

    # then that is told, and not to whoever starts again what is not alive
    assert health.alive() == []
    (why,) = health.ready()
    assert why.startswith("letter in hand: the mail server at ")
    assert why.endswith(" is not done with a letter: all mail waits for that")

    # and no more once it has taken the letter, and the others have gone out
    clinic.office.passed.set()
    async with asyncio.timeout(PATIENCE):
        while len(clinic.office.letters) < 2:
            courier.look()
            await asyncio.sleep(0.01)
    await courier.end(running)
    assert health.ready() == []


async def damage(home: EmbeddedHome, case_id: str, body: bytes) -> None:
    """Change a bit of a stored state."""
    edit(
        home,
        "UPDATE states SET body = ? WHERE stage = ? AND case_id = ?",
        bytes([body[0] ^ 1]) + body[1:],
        Mailbags.name,
        case_id,
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
