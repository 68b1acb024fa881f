"""Facts that were recorded more than once. They say the same; only when they were recorded may be another moment."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from contracts.codec import content_digest
from contracts.topics import CASES
from services.auditor.domain.facts import lasting, repeated_otherwise
from services.auditor.domain.findings import Findings, Place, differences
from services.runtime.log.port import StoredRecord


class _Met(NamedTuple):
    """A fact. content: a digest of what it says; wire: how it stands there."""

    offset: int
    content: str
    wire: Mapping[str, Any]


class RepeatedFacts:
    """The facts of a partition that stand there again.

    They are counted first, and compared when all is read once more: only of cases that have any something is kept.
    """

    def __init__(self, partition: int, findings: Findings) -> None:
        """Look at a partition."""
        self._partition = partition
        self._findings = findings
        self._met = Counter[str]()
        self._first: dict[tuple[str, str], _Met] = {}
        self.cases: set[str] = set()

    def meet(self, facts: Sequence[StoredRecord], different: Callable[[str], int]) -> None:
        """Count facts, as far as they can be read. different: tells how many different ones of a case there are."""
        met = Counter(fact.key for fact in facts if fact.event is not None)
        self._met.update(met)
        self.cases.update(case_id for case_id in met if different(case_id) < self._met[case_id])

    def compare(self, facts: Sequence[StoredRecord]) -> None:
        """Compare facts of such cases, each with the first one of the same id and the same content."""
        for fact in facts:
            if fact.event is None:
                continue
            met = _Met(fact.offset, content_digest(fact.event), orjson.loads(fact.value))
            first = self._first.setdefault((fact.key, fact.event.id), met)
            # What says something else is no repetition: it was set aside.
            if first is not met and first.content == met.content:
                others = tuple(differences(lasting(first.wire), lasting(met.wire)))
                place = Place(CASES.name, self._partition, fact.offset, fact.event.id, fact.key)
                self._findings.add_all([repeated_otherwise(place, first.offset, others)] if others else ())
