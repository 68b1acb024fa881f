"""What stands on a topic, opened."""

from contracts.codec import CaseKey, decode
from contracts.events.event import Data, Event
from contracts.topics import Topic
from services.runtime.keyring.port import Keyring
from services.runtime.log.port import Log


async def said_on(log: Log, keyring: Keyring, topic: Topic, *kinds: type[Data]) -> list[Event[Data]]:
    """The events on a topic, all or those of some types, partition by partition."""
    found: list[Event[Data]] = []
    for partition in range(topic.partitions):
        for record in await log.read(topic, partition, 0, 100_000):
            key = (await keyring.keys([record.key]))[record.key]
            assert isinstance(key, CaseKey), "the case was erased"
            event = decode(record.value, topic, key)
            assert isinstance(event, Event), event.reason
            found.append(event)
    return [event for event in found if not kinds or isinstance(event.data, kinds)]
