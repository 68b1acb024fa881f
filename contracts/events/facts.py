"""`rom.cases.v1`: what happened to a case in the world. Only ingest writes these."""

from typing import Annotated, Final, Literal

from pydantic import Field

from contracts.events.event import Data
from contracts.events.fields import (
    AT_ONCE,
    Answers,
    CountedSession,
    DefinitionRef,
    EnteredBy,
    EventId,
    Instant,
    Name,
    ScoreValue,
    Session,
    SessionName,
    Words,
)

MOST_ATTEMPTS: Final = 9_999


class CaseEnrolled(Data):
    """A course of treatment began."""

    clinic: Name
    group: Name | None = None
    protocol: DefinitionRef
    policy: DefinitionRef


class CaseTransferred(Data):
    """The patient moved to another group.

    sessions: session of the case's own course -> session of the new group, from here on
    """

    group: Name
    clinic: Name | None = None
    sessions: dict[SessionName, CountedSession] = {}
    reason: Words | None = None


class PolicyChanged(Data):
    """Another policy holds for sessions that have not been judged yet, from `from_session` on."""

    policy: DefinitionRef
    from_session: CountedSession
    reason: Words
    by: Name


class CaseClosed(Data):
    """The course ended."""

    reason: Literal["completed", "dropped_out", "referred", "other"]
    note: Words | None = None


class CaseErased(Data):
    """The case's key is destroyed: everything sealed under it can no longer be read.

    It stands open beside its seal, since it is told when nobody has the key any more. So `ground` names no person.
    """

    stands_open = True

    ground: Words
    by: Name


class SessionScheduled(Data):
    """A session of the case has a time."""

    session: Session
    scheduled: Instant


class SessionMoved(Data):
    """A scheduled session has another time."""

    session: Session
    scheduled: Instant
    reason: Words | None = None


class SessionCancelled(Data):
    """A session does not take place; nothing is asked for it."""

    session: Session
    reason: Words | None = None


class SessionDue(Data):
    """The clock says that a session's time has come."""

    session: Session
    scheduled: Instant


class SessionAttended(Data):
    """The patient was there."""

    session: Session


class SessionAbsent(Data):
    """The patient was not there."""

    session: Session
    reason: Words | None = None


class OccasionOpened(Data):
    """A questionnaire is asked for, from now until `closes`."""

    session: Session
    instrument: DefinitionRef
    closes: Instant


class OccasionClosed(Data):
    """A questionnaire is no longer asked for."""

    session: Session
    instrument: DefinitionRef


class ResponseSubmitted(Data):
    """One instrument, answered on one occasion.

    answers: item id -> value, within the ranges of `instrument`
    session: number in the case's course; 0 is before it
    """

    session: Session
    instrument: DefinitionRef
    answers: Answers
    comment: Words | None = None
    answered_at: Instant
    entered_by: EnteredBy


class ResponseCorrected(Data):
    """The answers of an earlier response were wrong; these stand in their place, whole."""

    response: EventId
    answers: Answers
    comment: Words | None = None
    reason: Words
    by: Name


class ResponseWithdrawn(Data):
    """An earlier response does not count; its occasion is unanswered again."""

    response: EventId
    reason: Words
    by: Name


class ProblemNamed(Data):
    """The patient's own words for a PSYCHLOPS problem; new words start a new series of scores."""

    problem: Literal[1, 2]
    text: Words


class BaselineSet(Data):
    """A person set the score that later ones are compared with, in place of the policy's rule."""

    instrument: Name
    scale: Name
    value: ScoreValue
    reason: Words
    by: Name


class ReportSeen(Data):
    """A therapist opened a report."""

    report: EventId
    by: Name


class ReportDiscussed(Data):
    """Therapist and patient talked about a report; the patient can confirm it."""

    report: EventId
    by: Name
    confirmed_by_patient: bool = False


class NeedsStated(Data):
    """What the patient needs, as the patient or the therapist sees it. Both views are kept side by side."""

    report: EventId | None = None
    seen_by: Literal["patient", "therapist"]
    needs: Annotated[tuple[Name, ...], Field(max_length=AT_ONCE)]
    text: Words | None = None
    by: Name


class ActionChosen(Data):
    """What is to be done; whether the patient agreed."""

    report: EventId
    action: Name
    by: Name
    patient_agreed: bool
    note: Words | None = None


class ReportClosed(Data):
    """The loop of a report ended."""

    report: EventId
    by: Name
    note: Words | None = None


class NoticeSent(Data):
    """A notice was handed to a mail server.

    recipients: everybody to whom it goes, as the roster had them when the first of them got it, `recipient` among them
    attempts: how often it was tried for this recipient
    """

    notice: EventId
    recipient: Name
    recipients: tuple[Name, ...]
    attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] = 1


class NoticeFailed(Data):
    """A notice could not be handed over and is not tried again.

    recipient: None if it goes to nobody any more: the directory had nobody for it, or it was too late
    recipients: everybody to whom it goes, as the roster had them when it was first given up or handed over
    reason: `smtp-` with the answer of the mail server, `gave-up:` with the last of several, `nobody` or `too-late`
    """

    notice: EventId
    recipient: Name | None
    recipients: tuple[Name, ...] = ()
    attempts: Annotated[int, Field(ge=0, le=MOST_ATTEMPTS)]
    reason: Name


CaseFact = (
    CaseEnrolled
    | CaseTransferred
    | PolicyChanged
    | CaseClosed
    | CaseErased
    | SessionScheduled
    | SessionMoved
    | SessionCancelled
    | SessionDue
    | SessionAttended
    | SessionAbsent
    | OccasionOpened
    | OccasionClosed
    | ResponseSubmitted
    | ResponseCorrected
    | ResponseWithdrawn
    | ProblemNamed
    | BaselineSet
    | ReportSeen
    | ReportDiscussed
    | NeedsStated
    | ActionChosen
    | ReportClosed
    | NoticeSent
    | NoticeFailed
)
