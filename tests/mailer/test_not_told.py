"""The courier tells nobody of what is long past, or of a case that was erased."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from contracts.events.facts import CaseErased
from services.embedded import EmbeddedHome
from services.mailer.domain.delivery import Delivery
from services.mailer.domain.mailbag import NEWS_FOR, Mailbag
from services.mailer.outbox.port import Outbox
from tests.support.mailing import WEEK, MailingClinic


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


async def test_a_letter_is_not_tried_any_more_when_what_it_tells_of_is_a_month_old(clinic: MailingClinic) -> None:
    # given a letter that is put off again and again, and a mailer that was away for a month
    clinic.office.of_letter = lambda _: "451 4.3.0 not now"
    await clinic.deteriorates()
    await clinic.round()
    clinic.office.of_letter = lambda _: "250 OK"
    await clinic.round(after=NEWS_FOR + timedelta(seconds=1))
    assert clinic.office.letters == []
    assert await clinic.outcomes() == Counter([("failed", "anna", "too-late"), ("failed", "bo", "too-late")])
