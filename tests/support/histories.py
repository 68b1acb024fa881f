"""Histories of cases, told fact by fact."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Final, Self

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.definition import Definition
from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event, fact_id
from contracts.events.facts import (
    CaseClosed,
    CaseEnrolled,
    NeedsStated,
    OccasionClosed,
    OccasionOpened,
    ProblemNamed,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionAbsent,
    SessionAttended,
    SessionScheduled,
)

START: Final = datetime(2024, 3, 4, 9, tzinfo=UTC)


def reference(kind: type[Definition], name: str) -> str:
    """The full reference of a definition of the library."""
    entry = Catalogue(library()).named(kind, name)
    assert entry is not None, f"{name} is not in the library"
    return entry.ref


ODSIS: Final = reference(Instrument, "odsis")
HOMEWORK: Final = reference(Instrument, "homework")
OPEN_ENDED: Final = reference(Protocol, "open-ended")
GRYESTEN: Final = reference(Policy, "gryesten-2023")

ODSIS_ITEMS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")


class History:
    """The facts of one case, in the order in which they are told; each happens a minute after the one before."""

    def __init__(self, case_id: str) -> None:
        self.case_id = case_id
        self.events: list[Event[Data]] = []

    def say(self, data: Data, *, named: str | None = None) -> Self:
        """Tell any fact. named: under which id, for facts that others refer to; the same name is the same id."""
        number = len(self.events)
        event_id = self.id_of(named or str(number))
        at = START + timedelta(minutes=number)
        self.events.append(
            Event(
                id=event_id,
                source="urn:ontrack:ingest",
                subject=self.case_id,
                time=at,
                recordedtime=at + timedelta(seconds=1),
                correlationid=event_id,
                causationid=None,
                data=data,
            )
        )
        return self

    def id_of(self, name: str) -> str:
        """The id of a fact that is told under a name."""
        return fact_id("clinic", self.case_id, name)

    def again(self, place: int = -1) -> Self:
        """Tell a fact a second time, as it was."""
        self.events.append(self.events[place])
        return self

    def enrolled(self) -> Self:
        return self.say(CaseEnrolled(clinic="clinic", group="g1", protocol=OPEN_ENDED, policy=GRYESTEN))

    def closed(self) -> Self:
        return self.say(CaseClosed(reason="completed"))

    def scheduled(self, session: int) -> Self:
        return self.say(SessionScheduled(session=session, scheduled=START + timedelta(weeks=session)))

    def attended(self, session: int) -> Self:
        return self.say(SessionAttended(session=session))

    def absent(self, session: int) -> Self:
        return self.say(SessionAbsent(session=session, reason=None))

    def asked(self, session: int, instrument: str = ODSIS) -> Self:
        return self.say(OccasionOpened(session=session, instrument=instrument, closes=START + timedelta(weeks=session)))

    def no_longer_asked(self, session: int, instrument: str = ODSIS) -> Self:
        return self.say(OccasionClosed(session=session, instrument=instrument))

    def answered(self, session: int, *values: int, comment: str | None = None) -> Self:
        """Answer the ODSIS before a session."""
        answers = dict(zip(ODSIS_ITEMS, values or (2, 2, 2, 2, 2), strict=True))
        return self._responded(session, ODSIS, answers, comment)

    def did_homework(self, session: int, adherence: int = 2) -> Self:
        """Answer the question about homework before a session."""
        return self._responded(session, HOMEWORK, {"adherence": adherence}, None)

    def _responded(self, session: int, instrument: str, answers: dict[str, int], comment: str | None) -> Self:
        response = ResponseSubmitted(
            session=session,
            instrument=instrument,
            answers=answers,
            comment=comment,
            answered_at=START + timedelta(weeks=session),
            entered_by="patient",
        )
        return self.say(response, named=f"answers to {session}")

    def corrected(self, session: int, *values: int) -> Self:
        return self.say(
            ResponseCorrected(
                response=self.id_of(f"answers to {session}"),
                answers=dict(zip(ODSIS_ITEMS, values, strict=True)),
                comment="as it should have been",
                reason="a slip",
                by="t1",
            )
        )

    def withdrawn(self, session: int) -> Self:
        response = self.id_of(f"answers to {session}")
        return self.say(ResponseWithdrawn(response=response, reason="another patient", by="t1"))

    def named_a_problem(self, text: str) -> Self:
        return self.say(ProblemNamed(problem=1, text=text))

    def in_need(self, text: str) -> Self:
        return self.say(NeedsStated(seen_by="patient", needs=("motivation",), text=text, by="p1"))


def in_turn(*histories: History) -> list[Event[Data]]:
    """The facts of several cases, one of each in turn."""
    rounds = zip_longest(*(history.events for history in histories))
    return [event for each in rounds for event in each if event is not None]


def numbered(events: list[Event[Data]]) -> Iterator[Event[Data]]:
    """The events as the stage before would have numbered them: 1, 2, 3 … for each case."""
    last: dict[str, int] = {}
    for event in events:
        last[event.subject] = last.get(event.subject, 0) + 1
        yield event._replace(sequence=last[event.subject])
