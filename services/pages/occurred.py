"""Events as sentences on a page, in its language: what happened, when, when that was learned, and from whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.definitions.definition import without_hash
from contracts.events.event import Data, Event
from contracts.events.facts import (
    BaselineSet,
    NoticeFailed,
    NoticeSent,
    OccasionOpened,
    PolicyChanged,
    ReportSeen,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionCancelled,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.notices import NoticeRequested, ReportIssued, ReportRevised
from contracts.events.scores import Score
from contracts.events.tracks import Decision, TrackRevised
from services.pages.answers import Answer, answer
from services.pages.measure import measure
from services.pages.subject import Subject
from services.pages.words import sentence

_SOURCE: Final = "urn:ontrack:"
_ID_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Occurred:
    """An event on a page. when: when it happened, when that was learned if it was later, and from whom."""

    id: str
    says: str
    when: str


@dataclass(frozen=True, slots=True)
class Telling:
    """How events are told. responses: by id; reveal: whether answers and words of persons are told too."""

    subject: Subject
    responses: Mapping[str, ResponseSubmitted]
    reveal: bool

    def occurred(self, event: Event[Data]) -> Occurred:
        """Tell an event."""
        return Occurred(event.id, sentence(self.says(event.data)), self.when(event))

    def when(self, event: Event[Data]) -> str:
        """Tell when something happened, when it was learned, and from whom."""
        words, moment = self.subject.words, self.subject.moment
        happened, recorded = moment(event.time), moment(event.recordedtime)
        gaps = {"happened": happened, "by": event.source.removeprefix(_SOURCE)}
        if happened == recorded:
            return words("occurred.when", **gaps)
        return words("occurred.when.later", recorded=recorded, **gaps)

    def says(self, data: Data) -> str:
        """Tell what an event says; what is not known here is told by its name."""
        words, subject = self.subject.words, self.subject
        match data:
            case OccasionOpened(session=session, instrument=ref, closes=closes):
                where = {"session": words.session(session), "form": subject.title_of(ref)}
                return words("occurred.asked", moment=subject.moment(closes), **where)
            case ResponseSubmitted(session=session, instrument=ref, answered_at=answered):
                where = {"session": words.session(session), "form": subject.title_of(ref)}
                return words("occurred.answered", moment=subject.moment(answered), **where)
            case ResponseCorrected(by=by, reason=reason):
                return self._because(words("occurred.corrected", by=by, **self._response(data.response)), reason)
            case ResponseWithdrawn(by=by, reason=reason):
                return self._because(words("occurred.withdrawn", by=by, **self._response(data.response)), reason)
            case PolicyChanged(policy=policy, from_session=first, by=by, reason=reason):
                gaps = {"policy": without_hash(policy), "session": words.session(first), "by": by}
                return self._because(words("occurred.policy", **gaps), reason)
            case BaselineSet(value=value, by=by, reason=reason):
                return self._because(words("occurred.baseline", value=value, by=by), reason)
            case SessionCancelled(session=session):
                return words("occurred.cancelled", session=words.session(session))
            case SessionScheduled() | SessionMoved() as planned:
                moment_of = subject.moment(planned.scheduled)
                return words("occurred.planned", session=words.session(planned.session), moment=moment_of)
            case Score():
                return self._score(data)
            case Decision(session=session, status=status):
                key = "occurred.judged_again" if isinstance(data, TrackRevised) else "occurred.judged"
                return words(key, session=words.session(session), status=words(f"status.{status}"))
            case _:
                return self._of_report(data)

    def _of_report(self, data: Data) -> str:
        words = self.subject.words
        match data:
            case ReportIssued(report=report, content=content):
                return words("occurred.issued", kind=words(f"report.{content.kind}"), report=report[:_ID_SHOWN])
            case ReportRevised(report=report, number=number, changes=changes):
                changed = words.listed([words(f"change.{change}") for change in changes])
                return words("occurred.revised", report=report[:_ID_SHOWN], number=number, changes=changed)
            case NoticeRequested(report=report, reason=reason, to=to):
                why = words(f"notice.{reason}")
                return words("occurred.notice", whom=words(f"notice.to.{to}"), report=report[:_ID_SHOWN], reason=why)
            case NoticeSent(notice=notice, recipient=recipient):
                return words("occurred.sent", notice=notice[:_ID_SHOWN], whom=recipient)
            case NoticeFailed(notice=notice, recipient=recipient, reason=reason):
                whom = recipient or words("notice.to.nobody")
                return words("occurred.failed", notice=notice[:_ID_SHOWN], whom=whom, reason=reason)
            case ReportSeen(report=report, by=by):
                return words("occurred.seen", report=report[:_ID_SHOWN], by=by)
            case _:
                return data.type()

    def _score(self, score: Score) -> str:
        words, decision = self.subject.words, self.subject.content.decision
        wanted = [each for each in score.scales if decision is None or each.scale == decision.scale]
        of = [(measure(self.subject.definitions, score.instrument, each.scale, words), each.value) for each in wanted]
        said = [
            words("occurred.invalid", scale=scale.label) if value is None else f"{scale.label} {scale.of(value)}"
            for scale, value in of
        ]
        return f"{words.session(score.session)}: {words.listed(said)}"

    def _response(self, response: str) -> Mapping[str, str]:
        known = self.responses.get(response)
        if known is None:
            return {"session": "–", "form": response[:_ID_SHOWN]}
        return {"session": self.subject.words.session(known.session), "form": self.subject.title_of(known.instrument)}

    def _because(self, said: str, reason: str) -> str:
        if not self.reveal:
            return said
        return self.subject.words("occurred.because", said=said, reason=self.subject.words.quoted(reason))

    def answers(self, instrument_ref: str, answers: Mapping[str, int]) -> list[Answer]:
        """Give all answers of a questionnaire in its order, if they may be told."""
        if not self.reveal:
            return []
        instrument = self.subject.definitions.instrument(instrument_ref)
        return [
            answer(self.subject, instrument_ref, item, answers[item.id])
            for item in instrument.items
            if item.id in answers
        ]
