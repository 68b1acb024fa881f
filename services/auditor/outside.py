"""What can be seen of the events of a case whose key is not here: their outsides, and how they follow from one another.

Order, numbers and repetitions are seen where all records are laid side by side; here it is that every derived event is
an event at all, and that what it says that it follows from stands before it on the log.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import orjson

from contracts.codec import id_of, is_canonical
from contracts.topics import Topic
from services.auditor.domain.facts import cause_missing, correlation_wrong, not_canonical
from services.auditor.domain.findings import Finding, Findings, Place, What
from services.runtime.export import is_sealed
from services.runtime.log.port import StoredRecord

_IS_THERE: Final = "was expected among the events of the case"


class Outsides:
    """The sealed events of a partition, topic by topic, in the order in which these follow from one another."""

    def __init__(self, number: int, findings: Findings) -> None:
        """Look at a partition."""
        self._number = number
        self._findings = findings
        self._facts: dict[str, set[str]] = defaultdict(set)
        self._before: dict[str, set[str]] = self._facts
        self._here: dict[str, set[str]] = {}

    def facts(self, topic: Topic, records: Sequence[StoredRecord]) -> None:
        """Learn which facts there are, and look at what they say that they follow from."""
        sealed = [record for record in records if is_sealed(record, topic)]
        for record in records:
            said = id_of(record.value)
            if said is not None:
                self._facts[record.key].add(said)
        for record in sealed:
            wire = orjson.loads(record.value)
            place, cause, first = self._place(topic, record), wire.get("causationid"), wire["correlationid"]
            self._see_form(topic, record)
            if cause is not None and cause not in self._facts[record.key]:
                self._findings.add(cause_missing(place, cause))
            if first != wire["id"]:
                self._findings.add(correlation_wrong(place, wire["id"], first))

    def begin(self) -> None:
        """Begin with the next topic: what was looked at last is what its events follow from."""
        self._before, self._here = self._here or self._facts, defaultdict(set)

    def look(self, topic: Topic, records: Sequence[StoredRecord]) -> None:
        """Look at sealed events of a derived topic."""
        for record in records:
            if not is_sealed(record, topic):
                self._find("unreadable", topic, record, f"a sealed event of {topic.name} was expected")
                continue
            self._see_form(topic, record)
            said = orjson.loads(record.value)
            self._here[record.key].add(said["id"])
            cause, first = said.get("causationid"), said["correlationid"]
            if first not in self._facts[record.key]:
                self._find("cause-missing", topic, record, f"the fact that it speaks of, {first}, {_IS_THERE}")
            # An event is passed on as it came, or says what it follows from.
            elif self._before[record.key].isdisjoint((said["id"], cause)):
                self._find("cause-missing", topic, record, f"its cause, {cause}, {_IS_THERE}")

    def _see_form(self, topic: Topic, record: StoredRecord) -> None:
        if not is_canonical(record.value):
            self._findings.add(not_canonical(self._place(topic, record)))

    def _find(self, what: What, topic: Topic, record: StoredRecord, says: str) -> None:
        self._findings.add(Finding(what, self._place(topic, record), says))

    def _place(self, topic: Topic, record: StoredRecord) -> Place:
        return Place(topic.name, self._number, record.offset, id_of(record.value), record.key)
