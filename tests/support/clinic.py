"""One builder language for tests: it speaks of cases, sessions and scores, and runs the real stages over them."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar

from contracts.definitions.catalogue import Catalogue, Entry, entry_of
from contracts.definitions.files import library
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import (
    BaselineSet,
    CaseClosed,
    CaseEnrolled,
    OccasionClosed,
    OccasionOpened,
    PolicyChanged,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
)
from contracts.events.notices import NoticeRequested
from contracts.events.tracks import Decision, TrackEvaluated, TrackRevised
from services.not_detector.domain.course import Course
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.dossier import Dossier, Report
from services.notifier.domain.stage import Notifier
from services.runtime.stage import Stage
from services.scoring.domain.stage import Scoring

MISSED: Final = None
ON: Final = "on_track"
NOT: Final = "not_on_track"
UNKNOWN: Final = "unknown"
FIRST_DAY: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
CASE_ID: Final = "0123456789abcdef0123456789abcdef"
DataT = TypeVar("DataT", bound=Data)


@cache
def definitions() -> Catalogue:
    """Give the library."""
    return Catalogue(library())


def _entry(kind: Any, name: str) -> Entry:
    entry = definitions().named(kind, name)
    assert entry is not None
    return entry


def policy_like(base: str = "gryesten-2023", **changes: Any) -> str:
    """Make a policy of the library known with something changed in it; give its reference."""
    return _changed(Policy, base, changes)


def protocol_like(base: str = "group-cbt-depression-14", **changes: Any) -> str:
    """Make a protocol of the library known with something changed in it; give its reference."""
    return _changed(Protocol, base, changes)


def instrument_like(base: str, **changes: Any) -> str:
    """Make an instrument of the library known with something changed in it; give its reference."""
    return _changed(Instrument, base, changes)


def two_versions(name: str, comparable_from: int) -> str:
    """Make two versions of an instrument known, and a policy that looks at the second one; give its reference.

    comparable_from: the first version with whose scores those of the second can be compared
    """
    instrument_like("odsis", id=name, version=1)
    second = instrument_like("odsis", id=name, version=2, comparable_from=comparable_from)
    return policy_like(primary={"instrument": second, "scale": "total", "healthy": "madsen"})


def _changed(kind: Any, base: str, changes: dict[str, Any]) -> str:
    changed = entry_of(deepcopy(dict(_entry(kind, base).body)) | {"id": "of-the-test"} | changes)
    definitions().add(changed)
    return changed.ref


def rule(kind: str, **changes: Any) -> dict[str, Any]:
    """Give a rule of the study's policy with something changed in it."""
    found: dict[str, Any] = next(r for r in _entry(Policy, "gryesten-2023").body["rules"] if r["kind"] == kind)
    return {**found, **changes}


def instrument(name: str) -> tuple[str, Instrument]:
    """Find an instrument of the library with its reference."""
    entry = _entry(Instrument, name)
    assert isinstance(entry.model, Instrument)
    return entry.ref, entry.model


def odsis(total: int) -> dict[str, int]:
    """Give answers to ODSIS that add up to a total."""
    full, rest = divmod(total, 4)
    values = [4] * full + [rest] + [0] * 5
    return {item.id: value for item, value in zip(instrument("odsis")[1].items, values, strict=False)}


@dataclass
class Fold:
    """One stage over one case, as the runner runs it: what it does not act on is passed on, if its topic carries it."""

    stage: Stage[Any]
    out: list[Event[Data]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.stage.initial(CASE_ID)

    def take(self, event: Event[Data]) -> Sequence[Event[Data]]:
        following: Sequence[Event[Data]]
        if type(event.data) in self.stage.acts_on:
            self.state, following = self.stage.step(self.state, event)
        else:
            passes_on = self.stage.writes is not None and self.stage.writes.type_named(event.type) is not None
            following = [event] if passes_on else []
        self.out.extend(following)
        return following


class Case:
    """A patient's course, told fact by fact; what the system concluded can be asked at any time."""

    def __init__(self, policy: str = "gryesten-2023", protocol: str = "open-ended") -> None:
        catalogue = definitions()
        self.scoring = Fold(Scoring(catalogue))
        self.detector = Fold(NotDetector(catalogue))
        self.notifier = Fold(Notifier(catalogue))
        self.facts: list[Event[Data]] = []
        self.responses: dict[tuple[int | str, str], str] = {}
        self.protocol = _entry(Protocol, protocol).ref
        self.policy = _entry(Policy, policy).ref
        self._session = 0

    def enrolled(self) -> "Case":
        enrolment = CaseEnrolled(clinic="c1", group="g1", protocol=self.protocol, policy=self.policy)
        self.says(enrolment, at=FIRST_DAY - timedelta(days=30), key="enrolled")
        return self

    def states(self, data: Data, *, at: datetime | None = None, key: str | None = None) -> Event[Data]:
        """State a fact, without telling it yet."""
        identity = fact_id("c1", "test", key or f"{data.type()}/{len(self.facts)}")
        happened = at or (self.facts[-1].time + timedelta(minutes=1) if self.facts else FIRST_DAY)
        return new_fact(data, case_id=CASE_ID, fact_id=identity, source="urn:ontrack:c1:test", happened=happened)

    def says(self, data: Data, *, at: datetime | None = None, key: str | None = None) -> Event[Data]:
        """State a fact and let it run through every stage."""
        fact = self.states(data, at=at, key=key)
        self.hears(fact)
        return fact

    def hears(self, fact: Event[Data]) -> None:
        """Let a fact run through every stage."""
        self.facts.append(fact)
        for scored in self.scoring.take(fact):
            for tracked in self.detector.take(scored):
                self.notifier.take(tracked)

    def response(
        self,
        session: int | str,
        answers: int | Mapping[str, int],
        *,
        name: str = "odsis",
        comment: str | None = None,
        at: datetime | None = None,
        key: str | None = None,
    ) -> Event[Data]:
        """State a response, without telling it yet; a number stands for an ODSIS or BDI-II total."""
        if isinstance(answers, int):
            answers = {"total": answers} if name == "bdi-ii" else odsis(answers)
        happened = at or FIRST_DAY + timedelta(weeks=session if isinstance(session, int) else 0)
        data = ResponseSubmitted(
            session=session,
            instrument=instrument(name)[0],
            answers=dict(answers),
            comment=comment,
            answered_at=happened,
            entered_by="patient",
        )
        return self.states(data, at=happened, key=key or f"response/{session}/{name}/{len(self.facts)}")

    def answered(self, session: int | str, answers: int | Mapping[str, int], **how: Any) -> str:
        """Answer an instrument at a session."""
        fact = self.response(session, answers, **how)
        self.hears(fact)
        self.responses.setdefault((session, how.get("name", "odsis")), fact.id)
        return fact.id

    def scored(self, *totals: int | None) -> "Case":
        """Take the next sessions with these ODSIS totals; MISSED opens and closes an occasion without an answer."""
        for total in totals:
            self._session += 1
            if total is None:
                self.missed(self._session)
            else:
                self.answered(self._session, total)
        return self

    def missed(self, session: int | str, name: str = "odsis") -> None:
        ref = instrument(name)[0]
        at = FIRST_DAY + timedelta(weeks=session if isinstance(session, int) else 0)
        self.says(OccasionOpened(session=session, instrument=ref, closes=at), at=at - timedelta(hours=2))
        self.says(OccasionClosed(session=session, instrument=ref), at=at)

    def corrected(self, session: int | str, total: int, *, name: str = "odsis", comment: str | None = None) -> None:
        answers = odsis(total) if name == "odsis" else {"total": total}
        response = self.responses[session, name]
        self.says(ResponseCorrected(response=response, answers=answers, comment=comment, reason="typing", by="nurse:1"))

    def withdrawn(self, session: int | str, *, name: str = "odsis") -> None:
        response = self.responses.pop((session, name))
        self.says(ResponseWithdrawn(response=response, reason="another patient's", by="nurse:1"))

    def baseline_set(self, value: int) -> None:
        data = BaselineSet(instrument="odsis", scale="total", value=Decimal(value), reason="known", by="therapist:1")
        self.says(data)

    def policy_changed(self, policy: str, from_session: int) -> None:
        ref = _entry(Policy, policy).ref
        self.says(PolicyChanged(policy=ref, from_session=from_session, reason="agreed", by="lead:1"))

    def closed(self) -> None:
        self.says(CaseClosed(reason="completed"))

    @property
    def course(self) -> Course:
        course: Course = self.detector.state
        return course

    @property
    def dossier(self) -> Dossier:
        dossier: Dossier = self.notifier.state
        return dossier

    @property
    def statuses(self) -> list[str]:
        """Give the status of every judged session, in the order of the sessions."""
        return [self.course.judged[session].status for session in sorted(self.course.judged)]

    def decisions(self) -> Iterator[TrackEvaluated | TrackRevised]:
        """Give every decision, in the order in which they were announced."""
        for event in self.detector.out:
            if isinstance(event.data, TrackEvaluated | TrackRevised):
                yield event.data

    def decision(self, session: int) -> Decision:
        """Give the decision that holds for a session."""
        return [decision for decision in self.decisions() if decision.session == session][-1]

    def fired(self, session: int) -> list[str]:
        """Name the rules that fired at a session, with their reading."""
        return [f"{evidence.rule} {evidence.reading}" for evidence in self.decision(session).rules]

    def annotated(self, session: int) -> set[str]:
        return {annotation.kind for annotation in self.decision(session).annotations}

    def reports(self, kind: str = "not") -> list[Report]:
        return [report for report in self.dossier.reports.values() if report.kind == kind]

    def told(self, kind: type[DataT]) -> list[DataT]:
        """Give everything of one type that any stage said."""
        said = {event.id: event for fold in (self.scoring, self.detector, self.notifier) for event in fold.out}
        return [event.data for event in said.values() if isinstance(event.data, kind)]

    def notices(self) -> list[str]:
        """Name the notices that were asked for: kind and reason."""
        return [f"{notice.kind} {notice.reason}" for notice in self.told(NoticeRequested)]


def a_case(baseline: int | None = None, policy: str = "gryesten-2023", protocol: str = "open-ended") -> Case:
    """Enrol a case; with a baseline it answered ODSIS before the course."""
    case = Case(policy, protocol).enrolled()
    if baseline is not None:
        case.answered(0, baseline)
    return case
