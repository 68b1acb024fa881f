"""Which records count as events of their case, for whoever reads a log."""

from contracts.codec import CaseKey, Unreadable, decode
from contracts.events.event import Data, Event
from contracts.topics import CASES, Topic
from services.runtime.log.port import StoredRecord


def event_of(record: StoredRecord, topic: Topic, key: CaseKey) -> Event[Data] | Unreadable:
    """Read a record of a case: it has to say that it is about that case, and to be numbered where records are."""
    event = decode(record.value, topic, key)
    if isinstance(event, Unreadable):
        return event
    belongs = event.subject == record.key and (event.sequence is None) == (topic is CASES)
    return event if belongs else Unreadable("not-an-event")
