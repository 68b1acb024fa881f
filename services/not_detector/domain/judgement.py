"""The judgement on each session: its status, the evidence for it, and how it continues what came before."""

import hashlib
from typing import Literal

from contracts.events.event import Data, Derivation, Event
from contracts.events.tracks import Decision, Episode, Evidence, Status, TrackEvaluated, TrackRevised
from contracts.evolution import evolved
from services.not_detector.domain.course import Course, Judged, View, Views
from services.not_detector.domain.rules import Silent, annotations, apply

_PROVENANCE = {"measured_by": True, "baseline": {"origin": True}, "last_of_cause": True}


def judge(course: Course, session: int, view: View) -> Decision:
    """Judge one session by what is known of the course up to it, as its policy sees it."""
    score = view.score(session)
    baseline = view.baseline
    earlier = _before(course, session)
    evidence: tuple[Evidence, ...] = ()
    unknown_because: Literal["not_measured", "no_baseline", "cancelled"] | None = None
    status: Status
    if score is None:
        status = "unknown"
        unknown_because = "cancelled" if session in course.cancelled else "not_measured"
    else:
        outcomes = [apply(rule, view, session, baseline) for rule in view.policy.rules]
        evidence = tuple(outcome for outcome in outcomes if isinstance(outcome, Evidence))
        if not evidence and view.policy.once_not == "stays" and earlier is not None and earlier.ever_not:
            evidence = (_stays(course),)
        if evidence:
            status = "not_on_track"
        elif Silent.NO_BASELINE in outcomes:
            status, unknown_because = "unknown", "no_baseline"
        else:
            status = "on_track"
    episode = _episode(earlier, session, status)
    silent = earlier.silent if earlier is not None else ()
    if status != "unknown":
        silent = ()
    elif unknown_because != "cancelled":
        silent = (*silent, session)
    return Decision(
        session=session,
        status=status,
        policy=view.policy_ref,
        instrument=view.policy.primary.instrument,
        scale=view.scale.id,
        score=None if score is None else score[0],
        measured_by=None if score is None else score[1].score,
        baseline=baseline,
        rules=evidence,
        unknown_because=unknown_because,
        annotations=annotations(view, None if score is None else score[0], baseline),
        episode=Episode(sessions=episode, persistent=len(episode) >= view.policy.persistent_after) if episode else None,
        silent_sessions=silent,
        silent=len(silent) >= view.policy.silent_after,
        ever_not=status == "not_on_track" or (earlier is not None and earlier.ever_not),
        last_of_cause=False,
    )


def _before(course: Course, session: int) -> Judged | None:
    earlier = max((s for s in course.judged if s < session), default=None)
    return None if earlier is None else course.judged[earlier]


def _episode(earlier: Judged | None, session: int, status: Status) -> tuple[int, ...]:
    """Continue the run of not-on-track sessions: unknown neither ends nor lengthens it, on track ends it."""
    running = earlier.episode if earlier is not None else ()
    match status:
        case "not_on_track":
            return (*running, session)
        case "unknown":
            return running
        case "on_track":
            return ()


def _stays(course: Course) -> Evidence:
    """Once not on track, always: the reading of "at any point" as sticky."""
    first = min(session for session, judged in course.judged.items() if judged.status == "not_on_track")
    return Evidence(
        rule="once_not/1", reading="earlier_session", threshold=None, sessions=(first,), values=(), changes=()
    )


def judged_again(
    course: Course, sessions: set[int], cause: Event[Data], views: Views
) -> tuple[Course, list[Event[Data]]]:
    """Judge sessions in their order; give the decisions that are new or differ from those that held."""
    derivation = Derivation("not_detector", cause)
    said: list[tuple[Decision, str | None]] = []
    for session in sorted(sessions):
        decision = judge(course, session, views.of(course.policy_for(session)))
        digest = _digest(decision)
        before = course.judged.get(session)
        if before is not None and before.digest == digest:
            continue
        said.append((decision, None if before is None else before.event))
        course = _with_judged(course, decision, digest)
    events: list[Event[Data]] = []
    for number, (decision, revises) in enumerate(said, 1):
        fields = {**vars(decision), "last_of_cause": number == len(said)}
        if revises is None:
            event: Event[Data] = derivation.event(TrackEvaluated(**fields))
        else:
            event = derivation.event(TrackRevised(**fields, revises=revises))
        judged = course.judged[decision.session]._replace(event=event.id)
        course = evolved(course, judged={**course.judged, decision.session: judged})
        events.append(event)
    return course, events


def _with_judged(course: Course, decision: Decision, digest: str) -> Course:
    """Know what was decided on a session; the event that says so is made once all decisions of its cause are known."""
    judged = Judged(
        event="",
        digest=digest,
        policy=decision.policy,
        status=decision.status,
        score=decision.score,
        rules=tuple(evidence.rule for evidence in decision.rules),
        episode=decision.episode.sessions if decision.episode is not None else (),
        silent=decision.silent_sessions,
        ever_not=decision.ever_not,
    )
    return evolved(course, judged={**course.judged, decision.session: judged})


def _digest(decision: Decision) -> str:
    """Give a digest of what a decision says; which event a number came from is not part of it."""
    said = decision.model_dump_json(exclude=_PROVENANCE)  # type: ignore[arg-type]
    return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()
