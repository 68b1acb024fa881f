"""What an audit finds: where, what was expected there and what stands there, without a word of what a patient said."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from heapq import merge
from hmac import digest
from typing import Final, Literal

from contracts.codec import CaseKey, canonical
from contracts.topics import CASES

KEPT: Final = 1_000
"""Findings that are kept to be told; the others are counted."""

What = Literal[
    "unreadable",
    "not-canonical",
    "gap",
    "misplaced",
    "altered",
    "missing",
    "underivable",
    "repeated-otherwise",
    "cause-missing",
    "correlation-wrong",
    "definition-missing",
    "definition-altered",
    "definition-ambiguous",
    "key-missing",
    "key-destroyed",
    "other-key",
    "erasure-unfinished",
    "halted",
    "log-cut",
    "state-altered",
    "state-ahead",
    "state-missing",
    "state-underivable",
    "dead-letter-missing",
    "dead-letter-underivable",
    "checkpoint",
    "parts-differ",
]
CONTRADICTIONS: Final[frozenset[What]] = frozenset({"altered", "underivable", "gap", "misplaced", "repeated-otherwise"})
"""What is found where a log lacks records that nobody can add, or conclusions on it do not follow from its facts; what
merely follows from them and is missing can be added."""

_HASHED: Final = 16


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not what it should be. expected, found: its value as canonical JSON; None where there is none.

    path: its name, and below it those within it, joined by dots
    """

    path: str
    expected: bytes | None
    found: bytes | None

    def hashed(self, key: CaseKey | None) -> "Difference":
        """Give hashes in the place of the values.

        Under the key of the case: an answer is one of few numbers, and its plain hash would tell which.
        """
        return Difference(self.path, self._hash(self.expected, key), self._hash(self.found, key))

    def _hash(self, value: bytes | None, key: CaseKey | None) -> bytes | None:
        if value is None:
            return None
        message = self.path.encode() + b"\x1f" + value
        hashed = sha256(message).digest() if key is None else digest(key.secret, message, "sha256")
        return hashed.hex()[:_HASHED].encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands, or a state; what is not known is None. stage: whose state it is."""

    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    event: str | None = None
    case: str | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. says: what, in words; differences: the fields that are other ones."""

    what: What
    place: Place
    says: str
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Findings:
    """What was found so far: the first ones, of facts and others, and how many there are of each kind."""

    counts: Counter[What] = field(default_factory=Counter)
    of_facts: list[Finding] = field(default_factory=list)
    others: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Find something."""
        self.counts[finding.what] += 1
        found = self.of_facts if finding.place.topic == CASES.name else self.others
        if len(found) < KEPT:
            found.append(finding)

    def add_partitions(self, found: "Findings") -> None:
        """Find what was found in other partitions; all is told in the order of the partitions."""
        self.counts += found.counts
        self.of_facts = list(merge(self.of_facts, found.of_facts, key=_partition))[:KEPT]
        self.others = list(merge(self.others, found.others, key=_partition))[:KEPT]

    def withdraw(self, finding: Finding) -> None:
        """Take back what turned out to be something else."""
        self.counts -= Counter([finding.what])
        for found in (self.of_facts, self.others):
            if finding in found:
                found.remove(finding)

    @property
    def kept(self) -> list[Finding]:
        """What is to be told: first what was found of facts, since all else follows from them."""
        return [*self.of_facts, *self.others][:KEPT]

    @property
    def contradictions(self) -> Counter[What]:
        """How many conclusions do not follow from the facts, of each kind."""
        return Counter({what: number for what, number in self.counts.items() if what in CONTRADICTIONS})

    def add_all(self, findings: Iterable[Finding]) -> None:
        """Find several things."""
        for finding in findings:
            self.add(finding)


def _partition(finding: Finding) -> int:
    return finding.place.partition or 0


def differences(expected: object, found: object, path: str = "") -> Iterator[Difference]:
    """Compare two plain values, field by field."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(expected.keys() | found.keys()):
            below = f"{path}.{name}" if path else str(name)
            if name not in found or name not in expected:
                yield Difference(below, _named(expected, name), _named(found, name))
            else:
                yield from differences(expected[name], found[name], below)
    elif expected != found:
        yield Difference(path, canonical(expected), canonical(found))


def _named(value: dict[str, object], name: str) -> bytes | None:
    return canonical(value[name]) if name in value else None
