"""A courier that is to end finishes what it has in hand."""

import asyncio
from collections import Counter
from typing import Any

from services.mailer.domain.delivery import LEASE, Delivery
from services.mailer.outbox.port import Outbox, OutboxUnavailable
from services.runtime.health import Health
from tests.support.mailing import SENT_TO_BOTH, MailingClinic


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


async def test_a_courier_that_is_to_end_waits_for_an_outbox_that_is_away_for_a_moment(clinic: MailingClinic) -> None:
    # given a mail server that takes its time over a letter, and a courier that is to end meanwhile
    await clinic.deteriorates()
    clinic.office.of_letter = lambda _: "hangs"
    outbox = Absent(clinic.outbox)
    courier = clinic.courier(outbox=outbox, pause=0.05)
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
