"""What the log says of notices, read as it comes: that they were asked for, and what came of them."""

from collections import Counter
from typing import cast

from contracts.codec import CaseKey, decode
from contracts.events.event import DataT, Event
from contracts.topics import NOTICES
from services.cli.history import chunks
from services.home import Home
from services.runtime.log.port import next_offset


class Notices:
    """A reader of notices that remembers how far it has come."""

    def __init__(self, home: Home) -> None:
        """Read from the beginning of the log."""
        self._home = home
        self._offsets: Counter[int] = Counter()

    async def new(self, *kinds: type[DataT]) -> list[Event[DataT]]:
        """Give the events of some kinds that came since the last time, by partition."""
        found: list[Event[DataT]] = []
        for partition in range(NOTICES.partitions):
            async for chunk in chunks(self._home, NOTICES, partition, self._offsets[partition]):
                keys = await self._home.keyring.keys({record.key for record in chunk})
                for record in chunk:
                    key = keys.get(record.key)
                    event = decode(record.value, NOTICES, key) if isinstance(key, CaseKey) else None
                    if isinstance(event, Event) and isinstance(event.data, kinds):
                        found.append(cast("Event[DataT]", event))
                self._offsets[partition] = next_offset(chunk)
        return found
