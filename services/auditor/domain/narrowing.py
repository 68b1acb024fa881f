"""Which part of a history is looked at: that of some cases, and what had been recorded by a moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, CaseTransferred
from contracts.events.fields import instant
from contracts.topics import CASES


class Outside(NamedTuple):
    """What can be seen of an event without its key. fact: that it is, or follows from; recorded: as on the wire."""

    case: str
    fact: str
    recorded: str


def outside_of(event: Event[Data]) -> Outside:
    """Give the outside of an event."""
    return Outside(event.subject, event.correlationid, instant(event.recordedtime))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a history. cases, until: None for all of it.

    overtaken: facts that were recorded by then and stand behind one of their case that was not. A case is told in the
        order of the log, so they are left out with it: else what follows from them would be another thing than it was
    """

    cases: frozenset[str] | None = None
    until: datetime | None = None
    overtaken: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.cases is None and self.until is None

    def has_case(self, case_id: str) -> bool:
        """Tell whether a case is in it."""
        return self.cases is None or case_id in self.cases

    def has(self, event: Outside) -> bool:
        """Tell whether an event is in it."""
        if not self.has_case(event.case):
            return False
        return self.until is None or (event.recorded <= instant(self.until) and event.fact not in self.overtaken)


class Then:
    """A moment, and what was known at it."""

    def __init__(self, until: datetime | None) -> None:
        """Ask about `until`; None: about whatever is known now."""
        self._until = until
        self._recorded = "" if until is None else instant(until)
        self._late: set[str] = set()
        self._overtaken: set[str] = set()

    def knew(self, fact: Outside) -> bool:
        """Tell whether a fact was known. All facts of a case have to be asked about, in the order of the log."""
        if self._until is None:
            return True
        if fact.recorded > self._recorded:
            self._late.add(fact.case)
        elif fact.case in self._late:
            self._overtaken.add(fact.fact)
        else:
            return True
        return False

    def part(self, cases: frozenset[str] | None = None) -> Part:
        """Give what was known, by the facts that were asked about. cases: of these alone, if any are named."""
        return Part(cases, self._until, frozenset(self._overtaken))


def known_by(until: datetime | None, facts: Iterable[Outside]) -> Part:
    """Give what was known at a moment. facts: in the order of the log."""
    then = Then(until)
    for fact in facts:
        then.knew(fact)
    return then.part()


def known_at(until: datetime | None, events: Sequence[Event[Data]]) -> list[Event[Data]]:
    """Give those of the events of a case that were known at a moment. events: in the order of the log."""
    if until is None:
        return list(events)
    part = known_by(until, (outside_of(event) for event in events if isinstance(event.data, CASES.events)))
    return [event for event in events if part.has(outside_of(event))]


def group_of(fact: Event[Data]) -> str | None:
    """Give the group into which a case comes by a fact; None if by it there is none."""
    return fact.data.group if isinstance(fact.data, CaseEnrolled | CaseTransferred) else None
