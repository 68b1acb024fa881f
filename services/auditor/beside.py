"""What was derived of a partition of a topic, laid beside what stands there, event by event of each case."""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from contracts.codec import CaseKey, Glance, Tail, Unreadable, decode, glance, id_of, tail
from contracts.topics import Topic
from services.auditor.domain.findings import Difference, Finding, Findings, Place, What, differences
from services.runtime.keyring.port import Destroyed
from services.runtime.log.port import Record, StoredRecord

AHEAD_AT_MOST: Final = 20_000
"""Events that are read before they were derived, as happens where cases were halted: more are not read ahead."""


class Repeated(NamedTuple):
    """An event that stands there once more."""

    offset: int
    digest: bytes


@dataclass(slots=True)
class _Gap:
    """Numbers of a case that were missing before the next one that stood there.

    finding: says so; offset: where that record stands; late: those of them that stand behind it
    """

    missing: range
    finding: Finding
    offset: int
    late: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Beside:
    """One partition of a derived topic.

    What the next stages are given is what was derived, at the place where it stands: so what was done to a record is
    found there, and not again in all that follows from it.

    events: how many different ones stand there; repeated: how many stand there once more
    unread: how many there are of each case whose key is not here
    unclear: the cases of which nothing can be derived
    """

    topic: Topic
    partition: int
    findings: Findings
    compares_bytes: bool
    events: int = 0
    repeated: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    unclear: set[str] = field(default_factory=set)
    _derived: dict[str, dict[int, Record]] = field(default_factory=dict)
    _expected: int = 0
    _ahead: dict[tuple[str, int], tuple[StoredRecord, str]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _repetitions: dict[tuple[str, int], list[Repeated]] = field(default_factory=lambda: defaultdict(list))
    _gaps: dict[str, list[_Gap]] = field(default_factory=lambda: defaultdict(list))
    _passed: dict[tuple[str, int], Record | None] = field(default_factory=dict)

    @property
    def expected(self) -> int:
        """How many events were derived and not met yet; none, if too much was met that was not derived."""
        return self._expected if len(self._ahead) < AHEAD_AT_MOST else 0

    def derive(self, records: Sequence[Record]) -> list[StoredRecord]:
        """Lay down what was derived; give what was met already, with what it says."""
        met: list[StoredRecord] = []
        for record in records:
            number = _number(record)
            standing = self._ahead.pop((record.key, number), None)
            if standing is None:
                self._derived.setdefault(record.key, {})[number] = record
                self._expected += 1
            else:
                met.append(self._compared(record, *standing))
        return met

    def meet(self, records: Sequence[StoredRecord], keys: Mapping[str, CaseKey | Destroyed]) -> list[StoredRecord]:
        """Lay what stands there beside it; give what was derived of it, with what it says."""
        return [met for record in records for met in self._met(record, keys.get(record.key))]

    def _met(self, record: StoredRecord, key: CaseKey | Destroyed | None) -> Iterator[StoredRecord]:
        seen = _seen(record)
        if seen is None or seen.subject != record.key:
            self._find("unreadable", record, f"a record of {self.topic.name} was expected")
            return
        case_id, number, last = record.key, seen.sequence, self._last.get(record.key, 0)
        is_late = number <= last and self._is_late(record, number)
        if number <= last and not is_late:
            self.repeated += 1
            self._repetitions[case_id, number].append(Repeated(record.offset, _digest(record.value)))
            return
        self.events += 1
        self._last[case_id] = max(number, last)
        if number > last + 1:
            self._see_gap(record, range(last + 1, number))
        if isinstance(key, Destroyed):
            self.unread[case_id] += 1
        elif key is None:
            self._find("key-missing", record, "the key of the case was expected in the keyring, undamaged")
            self.unclear.add(case_id)
        else:
            for lacking in self._between(case_id, last, number):
                if derived := self._taken(case_id, lacking):
                    yield StoredRecord(record.offset, case_id, derived.value, derived.event)
                    self._passed[case_id, lacking] = derived if len(self._passed) < AHEAD_AT_MOST else None
            if derived := self._taken(case_id, number):
                yield self._compared(derived, record, seen.type, key)
            elif (case_id, number) not in self._passed:
                self._ahead[case_id, number] = record, seen.type
            # The next stages were given it where it was missing.
            elif derived := self._passed.pop((case_id, number)):
                self._compared(derived, record, seen.type, key)

    def _between(self, case_id: str, last: int, number: int) -> Sequence[int]:
        """Give what was derived of a case between two numbers: few, though the numbers can be far apart."""
        if number <= last + 1:
            return ()
        return [each for each in self._derived.get(case_id, ()) if last < each < number]

    def _see_gap(self, record: StoredRecord, missing: range) -> None:
        """Find that numbers of a case are missing before a record: gone, or behind it."""
        numbers = f"{missing[0]}" if len(missing) == 1 else f"{missing[0]} to {missing[-1]}"
        finding = self._find("gap", record, f"number {numbers} of the case was expected before number {missing.stop}")
        self._gaps[record.key].append(_Gap(missing, finding, record.offset))

    def _is_late(self, record: StoredRecord, number: int) -> bool:
        """Find a record that stands behind one that comes after it; tell whether it does, and is no repetition."""
        gaps = self._gaps.get(record.key, [])
        place = bisect(gaps, number, key=lambda each: each.missing.start)
        gap = gaps[place - 1] if place else None
        if gap is None or number not in gap.missing or number in gap.late:
            return False
        gap.late.add(number)
        if len(gap.late) == len(gap.missing):
            self.findings.withdraw(gap.finding)
        where = f"before number {gap.missing.stop}, which stands at offset {gap.offset}"
        self._find("misplaced", record, f"number {number} of the case was expected {where}")
        return True

    def _taken(self, case_id: str, number: int) -> Record | None:
        derived = self._derived.get(case_id, {}).pop(number, None)
        self._expected -= derived is not None
        return derived

    def _compared(self, derived: Record, standing: StoredRecord, kind: str, key: CaseKey | None = None) -> StoredRecord:
        """Compare an event with what stands in its place; give it at that place."""
        if self.compares_bytes and derived.value != standing.value:
            others = _differences(self.topic, derived, standing, key)
            stands = "; what stands there cannot be read" if others is None else ""
            self._find("altered", standing, f"what follows from the facts was expected{stands}", others or ())
        elif not self.compares_bytes and (derived.event is None or derived.event.type != kind):
            self._find("altered", standing, "an event of another type was expected")
        return StoredRecord(standing.offset, standing.key, derived.value, derived.event)

    @property
    def cases_expected(self) -> list[str]:
        """The cases of which something was derived that was not met."""
        return [case_id for case_id, records in self._derived.items() if records]

    def end(self, before: int, offset: int, published: Mapping[str, int] | None) -> tuple[list[StoredRecord], int]:
        """Find what was derived and stands nowhere, and what stands there before an offset and was not derived.

        Give what is missing, as if it stood at an offset, and how much is yet to come.

        published: case -> the last number that the stage says it has given; None if nobody says that
        """
        missing: list[StoredRecord] = []
        to_come = 0
        for case_id in self.cases_expected:
            for number, record in self._derived.pop(case_id).items():
                if published is not None and number > published.get(case_id, 0):
                    to_come += 1
                    continue
                missing.append(StoredRecord(offset, case_id, record.value, record.event))
                if number > self._last.get(case_id, 0):
                    kind, event_id = (None, None) if record.event is None else (record.event.type, record.event.id)
                    place = Place(self.topic.name, self.partition, None, event_id, case_id)
                    self.findings.add(Finding("missing", place, f"number {number} of the case ({kind}) was expected"))
        for (case_id, _), (standing, _) in self._ahead.items():
            if case_id not in self.unclear and standing.offset < before:
                self._find("underivable", standing, "nothing was expected, since no fact leads to this event")
        return missing, to_come

    def behind(self) -> list[Record]:
        """Give what was derived and comes after all that stands there of its case."""
        return [
            record
            for case_id, records in self._derived.items()
            for number, record in records.items()
            if number > self._last.get(case_id, 0)
        ]

    @property
    def has_repetitions(self) -> bool:
        """Whether something stands there more than once, and was not compared yet."""
        return bool(self._repetitions)

    def compare_repetitions(self, records: Sequence[StoredRecord]) -> None:
        """Compare what stands there more than once: everything is read once more for that."""
        for record in records:
            seen = _seen(record)
            again = None if seen is None else self._repetitions.pop((record.key, seen.sequence), None)
            first = _digest(record.value) if again else b""
            for each in again or ():
                if each.digest != first:
                    place = Place(self.topic.name, self.partition, each.offset, id_of(record.value), record.key)
                    says = f"the bytes of offset {record.offset} were expected once more"
                    self.findings.add(Finding("repeated-otherwise", place, says))

    def _find(self, what: What, record: StoredRecord, says: str, differences: tuple[Difference, ...] = ()) -> Finding:
        place = Place(self.topic.name, self.partition, record.offset, id_of(record.value), record.key)
        finding = Finding(what, place, says, differences)
        self.findings.add(finding)
        return finding


def _seen(record: StoredRecord) -> Glance | Tail | None:
    """Look at the outside of a record: at its end, where it is canonical, which costs a third."""
    end = tail(record.value)
    return end if end is not None and end.sequence else glance(record.value)


def _number(record: Record) -> int:
    number = None if record.event is None else record.event.sequence
    if number is None:
        raise ValueError("a derived event has its number")
    return number


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def _differences(
    topic: Topic, derived: Record, standing: StoredRecord, key: CaseKey | None
) -> tuple[Difference, ...] | None:
    """Give the fields in which an event is another one than was derived, its data opened if that can be.

    None if it cannot be read: until here only its end was looked at.
    """
    try:
        expected, found = orjson.loads(derived.value), orjson.loads(standing.value)
        for each, record in ((expected, derived.value), (found, standing.value)):
            event = decode(record, topic, key)
            if not isinstance(event, Unreadable):
                each.pop("data_base64", None)
                each["data"] = event.data.model_dump(mode="json")
        return tuple(differences(expected, found))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
