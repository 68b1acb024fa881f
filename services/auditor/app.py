"""The service that signs checkpoints. The only place that wires it.

It reads the log and writes to `rom.seals.v1`, and needs neither the database nor the master key.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from contracts.topics import SEALS
from services.auditor.checkpoint import SEALED
from services.auditor.note import Signer
from services.auditor.sealing import KeyUnusable, Sealer, signer_in
from services.auditor.settings import AuditorSettings
from services.runtime.environment import settings_of
from services.runtime.founding import Founding
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.topics import Cluster
from services.runtime.process import Process
from services.runtime.refusals import SettingsWrong


def now() -> datetime:
    """Read the clock: the only place of this service that does."""
    return datetime.now(UTC)


class AuditorService(Process):
    """A sealer, served."""

    def __init__(self, settings: AuditorSettings, signer: Signer) -> None:
        """Make the service."""
        self._own = settings
        self._signer = signer
        super().__init__(settings, "auditor")

    async def _serve(self) -> None:
        brokers = self._own.brokers()
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(KafkaLog(brokers))
            founding = Founding(log)

            async def begin() -> None:
                await Cluster(brokers).require_topics([*SEALED, SEALS])
                await founding.require()

            await self._until_it_works(begin, lambda: None)
            self.health.waits_for.clear()
            sealer = Sealer(log, founding.log_id, self._signer, self._own.seal_directory, self._own.rhythm(), now)
            await asyncio.create_task(sealer.run(self.health))


def run() -> None:
    """Serve until the process is told to end. Raises SettingsWrong."""
    settings = settings_of(AuditorSettings)
    try:
        signer = signer_in(settings.seal_key_file)
    except KeyUnusable as unusable:
        raise SettingsWrong(f"ONTRACK_SEAL_KEY_FILE: {unusable}") from None
    AuditorService(settings, signer).run()
