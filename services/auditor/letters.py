"""Dead letters, laid beside the facts that cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.codec import decode, id_of, is_canonical
from contracts.events.event import Event
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES, DEAD_LETTERS
from services.auditor.domain.facts import not_canonical
from services.auditor.domain.findings import Finding, Findings, Place
from services.runtime.log.port import Log, Record, StoredRecord
from services.runtime.reading import chunks


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters of a partition.

    expected: those that facts lead to which cannot be read; no_events: what is no fact, of cases whose key is not here
    """

    number: int
    findings: Findings
    expected: Sequence[Record]
    no_events: Sequence[StoredRecord]

    async def compare(self, log: Log, end: int) -> list[Record]:
        """See that there is a dead letter for every fact that cannot be read, and none for what is no fact.

        Give those that are not there. end: of the facts that were told again
        """
        there, spoken = await self._those_there(log, end)
        for record in self.no_events:
            if record.offset not in spoken:
                place = Place(CASES.name, self.number, record.offset, id_of(record.value), record.key)
                says = "a sealed fact was expected, or that it is on record as one that cannot be read"
                self.findings.add(Finding("unreadable", place, says))
        lacking = [letter for letter in self.expected if letter.value not in there]
        for letter in lacking:
            self._find_missing(letter)
        return lacking

    async def _those_there(self, log: Log, end: int) -> tuple[set[bytes], set[int]]:
        """Give the dead letters that are there, and the offsets of the facts that they speak of.

        One of a fact that can be read by now is right: it could not be when it was written.
        """
        there, spoken = set[bytes](), set[int]()
        async for records in chunks(log, DEAD_LETTERS, self.number):
            for record in records:
                there.add(record.value)
                fact = _spoken_of(record)
                place = Place(DEAD_LETTERS.name, self.number, record.offset, id_of(record.value))
                if fact is None or fact.partition != self.number or fact.offset >= end:
                    says = "a fact that it speaks of was expected"
                    self.findings.add(Finding("dead-letter-underivable", place, says))
                    continue
                spoken.add(fact.offset)
                if not is_canonical(record.value):
                    self.findings.add(not_canonical(place))
        return there, spoken

    def _find_missing(self, letter: Record) -> None:
        says = "a dead letter was expected for a fact that cannot be read"
        if fact := _spoken_of(letter):
            place = Place(CASES.name, self.number, fact.offset, None, letter.key)
            why = f"a fact that can be read was expected ({fact.reason}), or that it is on record as one that cannot"
            self.findings.add(Finding("unreadable", place, why))
            says = f"{says}, at offset {fact.offset} of {CASES.name}"
        place = Place(DEAD_LETTERS.name, self.number, None, id_of(letter.value), letter.key)
        self.findings.add(Finding("dead-letter-missing", place, says))


def _spoken_of(letter: Record | StoredRecord) -> FactUnreadable | None:
    """Give what a dead letter says; None if it is none."""
    said = decode(letter.value, DEAD_LETTERS, None)
    return said.data if isinstance(said, Event) and isinstance(said.data, FactUnreadable) else None
