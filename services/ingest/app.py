"""The service: the register, and beside it the door with its API and its clock. The only place that wires them."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from contracts.definitions.catalogue import Catalogue
from services.ingest.access import Access, Tokens
from services.ingest.cases import LOOKS_BACK_FOR, Cases
from services.ingest.clockwork import Clockwork, Timetable
from services.ingest.domain.register import Register, Registered
from services.ingest.door import Door
from services.ingest.following import Following
from services.ingest.http.api import Api
from services.ingest.http.reception import Reception
from services.ingest.intake import Intake
from services.ingest.settings import IngestSettings
from services.ingest.zones import Zones
from services.runtime.directory.mongo import MongoDirectory
from services.runtime.environment import settings_of
from services.runtime.log.port import StoredRecord
from services.runtime.process import Beside, listening_at
from services.runtime.roster.mongo import MongoRoster
from services.runtime.service import Ground, Service


def now() -> datetime:
    """Read the clock: the only place of this service that does."""
    return datetime.now(UTC)


class IngestService(Service[Registered]):
    """The register as a stage, and the API beside it.

    Nobody waits for the register, since `cases.py` knows what it lacks. So it takes the facts of two seconds
    together, and writes the state of a case once for all of them.
    """

    pause = 2.0

    def __init__(self, settings: IngestSettings, access: Access) -> None:
        """Make the service. access: tells who asks."""
        self._own = settings
        self._zones = Zones(settings.zone())
        super().__init__(settings, self._register)
        self._cases: Cases | None = None
        self._reception: Reception | None = None
        self._api = Api(lambda: self._reception, access, self.health)

    def _register(self, definitions: Catalogue) -> Register:
        return Register(Timetable(definitions, self._zones).first_moment)

    def recalled(self, partition: int, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give the facts that the door has recorded as it did: most are its own, and need not be opened again."""
        return records if self._cases is None else self._cases.recalled(partition, records)

    def beside(self) -> Sequence[Beside]:
        """Give the API, at a port of its own: until the servers answer it says that it cannot do anything yet."""
        listening = listening_at(self._own.api_host, self._own.api_port, "ONTRACK_API")
        return [Beside(listening, self._api.app(), self._own.api_tls())]

    async def begin_beside(self, ground: Ground, stack: AsyncExitStack) -> None:
        """Open the door, and start the clock."""
        definitions, roster = ground.founding.definitions, MongoRoster(ground.documents)
        timetable = Timetable(definitions, self._zones)
        cases = self._cases = Cases(ground.log, ground.store, ground.keyring)
        cases.looks_back_for = LOOKS_BACK_FOR
        door = Door(Intake(ground.log, cases, ground.keyring, definitions, now))
        await stack.enter_async_context(door.opened())
        following = Following(cases, roster, door, definitions, now)
        clockwork = Clockwork(ground.store, cases, roster, timetable, door, following, now)
        ticking = asyncio.create_task(clockwork.run(self.health))
        stack.push_async_callback(_stopped, ticking)
        people = MongoDirectory(ground.documents, ground.keyring)
        learn = ground.founding.learn
        self._reception = Reception(
            door, cases, people, roster, definitions, timetable, following, ground.keyring.disguised, now, learn
        )


async def _stopped(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


def run() -> None:
    """Serve until the process is told to end. Raises SettingsWrong."""
    settings = settings_of(IngestSettings)
    IngestService(settings, Tokens(settings.tokens_file)).run()
