"""What a report speaks of, with the definitions that it names at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Instrument, Item
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import PlannedSession, Protocol
from contracts.definitions.wording import Wording
from contracts.events.fields import Session
from contracts.events.notices import Curve, ReportContent
from contracts.events.tracks import Status
from services.pages.clock import by_clock
from services.pages.measure import Measure, measure
from services.pages.words import Words


@dataclass(frozen=True, slots=True)
class Now:
    """How a case stands when a page about it is written.

    session, status: the latest judged session
    over_since: the session that ended what the report tells of; None while that goes on
    on_track_since: every session since then was on track
    """

    session: int
    status: Status
    over_since: int | None = None
    on_track_since: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The content of a report and its definitions.

    zone: the clock that moments are told by; None: as they come
    now: how the case stands now; None if that is not known
    """

    content: ReportContent
    definitions: Catalogue
    words: Words
    zone: tzinfo | None = None
    now: Now | None = None

    @property
    def protocol(self) -> Protocol:
        """The course of treatment."""
        return self.definitions.protocol(self.content.protocol)

    @property
    def guidance(self) -> Guidance:
        """The clinical support tool."""
        return self.definitions.guidance(self.content.guidance)

    @property
    def policy(self) -> Policy | None:
        """The rules of the decision."""
        decision = self.content.decision
        return None if decision is None else self.definitions.policy(decision.policy)

    def unknown_sessions(self) -> Mapping[int, Decimal | None]:
        """Give the unknown sessions that end with the decision, each with its score: None where it has no valid one."""
        decision = self.content.decision
        if decision is None or decision.status != "unknown":
            return {}
        scores = {judged.session: judged.score for judged in self.content.judged}
        scores[decision.session] = decision.score
        return {session: scores.get(session) for session in decision.silent_sessions or (decision.session,)}

    @property
    def primary(self) -> Measure | None:
        """The scale of the decision; without one, the scale of the first curve."""
        decision, curves = self.content.decision, self.content.curves
        if decision is not None:
            return measure(self.definitions, decision.instrument, decision.scale, self.words)
        return self.measure_of(curves[0]) if curves else None

    def measure_of(self, curve: Curve) -> Measure:
        """Give the scale of a curve."""
        return measure(self.definitions, curve.instrument, curve.scale, self.words)

    def is_primary(self, curve: Curve) -> bool:
        """Tell whether a curve is that of the primary scale, in any version of its instrument that can be compared."""
        primary = self.primary
        if primary is None or curve.scale != primary.scale.id:
            return False
        return primary.instrument.comparable_with(self.definitions.instrument(curve.instrument))

    def planned(self, session: Session) -> PlannedSession | None:
        """Find a session in the protocol."""
        return next((planned for planned in self.protocol.planned if planned.id == session), None)

    def planned_count(self) -> int | None:
        """Give the number of counted sessions of the course, if it has one."""
        protocol = self.protocol
        return None if protocol.sessions == "any" else sum(isinstance(each.id, int) for each in protocol.planned)

    def is_events(self, instrument: Instrument) -> bool:
        """Tell whether an instrument only counts what has happened: life events, not needs."""
        return any(scale.formula == "count/1" for scale in instrument.scales)

    def title_of(self, instrument_ref: str) -> str:
        """Name an instrument."""
        return self.definitions.instrument(instrument_ref).title.in_language(self.words.language)

    def wording(self, instrument_ref: str, item: Item) -> str:
        """Give the words of an item: the clinic's own wording where there is one, or the label."""
        language = self.words.language
        for _, wording in reversed(self.definitions.of_kind(Wording)):
            if wording.instrument == instrument_ref and wording.language == language and item.id in wording.items:
                return wording.items[item.id]
        return item.label.in_language(language)

    def moment(self, moment: datetime, *, to_the_second: bool = False) -> str:
        """Tell a moment by the clock of the reader. to_the_second: where it is no whole minute."""
        here = moment if self.zone is None else by_clock(moment, self.zone)
        return self.words.moment(here, to_the_second=to_the_second)

    def day(self, moment: datetime) -> str:
        """Tell a date by the calendar of the reader."""
        return self.words.day(moment if self.zone is None else by_clock(moment, self.zone))
