"""The end of a partition of facts: those that the register may not have read yet."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from contracts.codec import ending
from contracts.events.facts import CaseEnrolled
from services.runtime.log.port import StoredRecord, next_offset

_ENROLMENT: Final = ending(CaseEnrolled)
_offset: Final = attrgetter("offset")


@dataclass(slots=True)
class Tail:
    """The facts of a partition that the register may lack, from one offset on to that of the next fact to come."""

    begin: int
    position: int
    count: int = 0
    by_case: dict[str, list[StoredRecord]] = field(default_factory=lambda: defaultdict(list))

    def add(self, records: Sequence[StoredRecord]) -> None:
        """Keep the facts that come next."""
        for record in records:
            self.by_case[record.key].append(record)
        self.count += len(records)
        self.position = next_offset(records)

    def begins(self, case_id: str) -> bool:
        """Tell whether what is kept of a case is all there is, by its outside: a case begins with its enrolment."""
        records = self.by_case.get(case_id, [])
        return bool(records) and records[0].value.endswith(_ENROLMENT)

    def since(self, case_id: str, offset: int) -> Sequence[StoredRecord]:
        """Give the facts of a case after an offset."""
        records = self.by_case.get(case_id, ())
        return records[bisect_right(records, offset, key=_offset) :]

    def known(self, read: StoredRecord) -> StoredRecord:
        """Give a record that was read as it is kept here, with what it says at hand; itself if it is not kept here."""
        records = self.by_case.get(read.key, ())
        place = bisect_left(records, read.offset, key=_offset)
        kept = records[place] if place < len(records) else read
        return kept if (kept.offset, kept.value) == (read.offset, read.value) else read

    def forget_before(self, offset: int) -> None:
        """Keep none that stand before an offset."""
        self.begin = max(self.begin, offset)
        for case_id, records in list(self.by_case.items()):
            kept = [record for record in records if record.offset >= offset]
            self.count -= len(records) - len(kept)
            if kept:
                self.by_case[case_id] = kept
            else:
                del self.by_case[case_id]
