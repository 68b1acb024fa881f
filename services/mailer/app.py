"""The service: the stage that knows what is to be sent, and beside it the courier. The only place that wires them."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from contracts.definitions.catalogue import Catalogue
from services.mailer.client import IngestOverHttp
from services.mailer.courier import WAITING, Courier
from services.mailer.desk import Desk
from services.mailer.domain.mailbag import Mailbag, Mailbags
from services.mailer.outbox.mongo import MongoOutbox
from services.mailer.settings import MailerSettings
from services.runtime.environment import settings_of
from services.runtime.roster.mongo import MongoRoster
from services.runtime.runner import Done
from services.runtime.service import Ground, Service


def now() -> datetime:
    """Read the clock: the only place of this service that does."""
    return datetime.now(UTC)


class MailerService(Service[Mailbag]):
    """The mailbags as a stage, and the courier beside it."""

    def __init__(self, settings: MailerSettings) -> None:
        """Make the service."""
        self._own = settings
        self._courier: Courier | None = None
        super().__init__(settings, _mailbags)

    async def begin_beside(self, ground: Ground, stack: AsyncExitStack) -> None:
        """Set the courier to work."""
        own = self._own
        context = ssl.create_default_context(cafile=own.ingest_ca_file)
        ingest = IngestOverHttp(own.ingest_url, own.ingest_token.get_secret_value(), context)
        await stack.enter_async_context(ingest)
        desk = Desk(
            store=ground.store,
            keyring=ground.keyring,
            roster=MongoRoster(ground.documents),
            outbox=MongoOutbox(ground.documents),
            ingest=ingest,
            server=own.mail_server(),
            head=own.letterhead(),
            now=now,
        )
        self._courier = Courier(desk, self._measured)
        stack.push_async_callback(self._courier.end, asyncio.create_task(self._courier.run(self.health)))

    def heard(self, partition: int, done: Done, seconds: float) -> None:
        """Hear of a batch that is done: there may be something to send."""
        super().heard(partition, done, seconds)
        if self._courier is not None:
            self._courier.look()

    def _measured(self, what: str, number: int) -> None:
        """Measure what the courier tells."""
        if what == WAITING:
            self.metrics.set("ontrack_mail_waiting", number)
        else:
            self.metrics.add("ontrack_mail_tries_total", number, fate=what)


def _mailbags(_: Catalogue) -> Mailbags:
    return Mailbags()


def run() -> None:
    """Serve until the process is told to end. Raises SettingsWrong."""
    MailerService(settings_of(MailerSettings)).run()
