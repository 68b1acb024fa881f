"""How much of each topic was read, and how much of that nobody can open here."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counted:
    """How much of a topic was read.

    repeated: stand there once more; to_come: follow from the facts, and the stage has not come to them yet
    erased: case whose key was destroyed -> how many of it; sealed: of cases whose key is elsewhere
    unreadable: facts that cannot be read
    """

    events: int = 0
    repeated: int = 0
    to_come: int = 0
    erased: Counter[str] = field(default_factory=Counter)
    sealed: int = 0
    unreadable: int = 0

    def leave(self, case_id: str, number: int, *, is_elsewhere: bool) -> None:
        """Leave events of a case sealed, because nobody can open them, or nobody here."""
        if is_elsewhere:
            self.sealed += number
        else:
            self.erased[case_id] += number

    def add(self, others: "Counted") -> None:
        """Count what was read of it in other partitions."""
        self.events += others.events
        self.repeated += others.repeated
        self.to_come += others.to_come
        self.erased += others.erased
        self.sealed += others.sealed
        self.unreadable += others.unreadable


def add_partitions(counted: dict[str, Counted], others: Mapping[str, Counted]) -> None:
    """Count what was read of each topic in other partitions."""
    for topic, of in others.items():
        counted.setdefault(topic, Counted()).add(of)


def unsaid(counted: Mapping[str, Counted], erased: Collection[str]) -> Counter[str]:
    """Count as sealed what is of cases whose key was destroyed though they were not erased; give how much of each.

    A key can be taken away by whoever has altered what it sealed.

    erased: the cases of which the log says that they were
    """
    found = Counter[str]()
    for of in counted.values():
        for case_id in of.erased.keys() - erased:
            number = of.erased.pop(case_id)
            of.sealed += number
            found[case_id] += number
    return found
