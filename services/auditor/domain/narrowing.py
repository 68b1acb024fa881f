"""Which part of a history is looked at: that of some cases, and what had been recorded by a moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, CaseTransferred
from contracts.events.fields import instant
from contracts.topics import CASES, Topic


class Outside(NamedTuple):
    """What can be seen of an event without its key.

    place: among those of its case: of a fact its offset, of what was concluded its number
    fact: that it is, or follows from; cause: the event that it follows from, if any; recorded: as on the wire
    """

    case: str
    place: int
    id: str
    fact: str
    cause: str | None
    recorded: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a history. cases, until: None for all of it.

    overtaken: facts that were recorded by then and stand behind one of their case that was not. A case is told in the
        order of the log, so they are left out with it: else what follows from them would be another thing than it was
    ends: topic and case -> the place of the first event that was not known, where that is told by the order alone: a
        fact can stand there once more, and what it says can wait for another one
    """

    cases: frozenset[str] | None = None
    until: datetime | None = None
    overtaken: frozenset[str] = frozenset()
    ends: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.cases is None and self.until is None

    def has_case(self, case_id: str) -> bool:
        """Tell whether a case is in it."""
        return self.cases is None or case_id in self.cases

    def has(self, topic: Topic, event: Outside) -> bool:
        """Tell whether an event of a topic is in it."""
        if not self.has_case(event.case):
            return False
        end = self.ends.get((topic.name, event.case))
        if end is not None:
            return event.place < end
        return self.until is None or (event.recorded <= instant(self.until) and event.fact not in self.overtaken)


class Then:
    """A moment, and what was known at it of the cases of a partition. What it finds is as in Part."""

    def __init__(self, until: datetime) -> None:
        """Ask about a moment."""
        self.overtaken: set[str] = set()
        self.ends: dict[tuple[str, str], int] = {}
        self._recorded = instant(until)
        self._facts: set[str] = set()
        self._first_out: dict[tuple[str, str], int] = {}
        self._concluded_later: set[str] = set()

    def knew(self, topic: Topic, event: Outside) -> bool:
        """Tell whether an event was known.

        All events of a case have to be asked about, topic by topic as they follow from one another, in the order of the
        log: the first one that was not known ends the case there.
        """
        there, is_in_time = (topic.name, event.case), event.recorded <= self._recorded
        first_out = self._first_out.get(there)
        if first_out is None and is_in_time and not self._follows_from_later(event):
            if topic is CASES:
                self._facts.add(event.fact)
            return True
        if first_out is not None and event.place < first_out:
            return True
        self._first_out.setdefault(there, event.place)
        if is_in_time:
            self._leave_out(topic, event, there)
        return False

    def _follows_from_later(self, event: Outside) -> bool:
        return event.fact in self.overtaken or not self._concluded_later.isdisjoint((event.id, event.cause))

    def _leave_out(self, topic: Topic, event: Outside, there: tuple[str, str]) -> None:
        """Leave out what was recorded by then."""
        if topic is CASES and event.fact not in self._facts:
            self.overtaken.add(event.fact)
        elif event.fact not in self.overtaken:
            self.ends[there] = self._first_out[there]
        if topic is not CASES:
            self._concluded_later.add(event.id)


def known_at(until: datetime | None, events: Sequence[Event[Data]]) -> Sequence[Event[Data]]:
    """Give those of the events of a case that were known at a moment. events: in the order of the log."""
    if until is None:
        return events
    recorded = instant(until)
    return list(takewhile(lambda event: instant(event.recordedtime) <= recorded, events))


def group_of(fact: Event[Data]) -> str | None:
    """Give the group into which a case comes by a fact; None if by it there is none."""
    return fact.data.group if isinstance(fact.data, CaseEnrolled | CaseTransferred) else None
