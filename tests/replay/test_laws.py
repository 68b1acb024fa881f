"""The laws that every history obeys, over generated ones."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.codec import CaseKey, encode, prepared
from contracts.events.event import Data, Event
from contracts.events.facts import OccasionClosed, OccasionOpened, SessionCancelled, SessionScheduled
from contracts.events.notices import ReportContent, ReportRevised
from contracts.events.scores import FactSetAside
from tests.replay.histories import TOTALS, histories
from tests.support.clinic import MISSED, Case, Fold, a_case

KEY = CaseKey(bytes(range(64)))
laws = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def retold(facts: Sequence[Event[Data]]) -> Case:
    """Tell facts to a system that knows nothing."""
    told = Case()
    for fact in facts:
        told.hears(fact)
    return told


def folds(case: Case) -> tuple[Fold, ...]:
    return case.scoring, case.detector, case.notifier


def written(fold: Fold) -> list[bytes]:
    return [encode(prepared(event, KEY, number)) for number, event in enumerate(fold.out, 1)]


def state_bytes(fold: Fold) -> bytes:
    adapter: TypeAdapter[Any] = TypeAdapter(fold.stage.state)
    return adapter.dump_json(fold.state)


@laws
@given(histories())
def test_replaying_gives_byte_identical_events_and_states(case: Case) -> None:
    again = retold(case.facts)
    for live, replayed in zip(folds(case), folds(again), strict=True):
        assert written(replayed) == written(live)
        assert state_bytes(replayed) == state_bytes(live)


@laws
@given(histories())
def test_a_state_that_was_stored_and_read_back_goes_on_as_if_it_had_not_been(case: Case) -> None:
    again = Case()
    for fact in case.facts:
        for fold in folds(again):
            adapter: TypeAdapter[Any] = TypeAdapter(fold.stage.state)
            fold.state = adapter.validate_json(adapter.dump_json(fold.state))
        again.hears(fact)
    for live, stored in zip(folds(case), folds(again), strict=True):
        assert written(stored) == written(live)
        assert state_bytes(stored) == state_bytes(live)


@laws
@given(histories(), st.data())
def test_any_duplication_of_facts_changes_nothing(case: Case, data: st.DataObject) -> None:
    facts: list[Event[Data]] = []
    for fact in case.facts:
        facts.append(fact)
        repeated = data.draw(st.lists(st.sampled_from(facts), max_size=2))
        facts.extend(repeated)
    again = retold(facts)
    for live, replayed in zip(folds(case), folds(again), strict=True):
        assert written(replayed) == written(live)
        assert state_bytes(replayed) == state_bytes(live)


@laws
@given(histories(), st.data())
def test_the_same_id_with_other_content_is_set_aside_and_has_no_other_effect(case: Case, data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=1, max_value=len(case.facts)))
    victim = data.draw(st.sampled_from(case.facts[:place]))
    other = victim._replace(time=victim.time.replace(year=2030))
    again = retold([*case.facts[:place], other, *case.facts[place:]])
    extra = [
        event for event in again.scoring.out if event.causationid == victim.id and isinstance(event.data, FactSetAside)
    ]
    before = [
        event for event in case.scoring.out if event.causationid == victim.id and isinstance(event.data, FactSetAside)
    ]
    assert len(extra) == len(before) + 1
    assert state_bytes(again.detector) == state_bytes(case.detector)
    assert state_bytes(again.notifier) == state_bytes(case.notifier)


def conclusions(case: Case) -> Any:
    """Everything that a therapist would see now, without where it came from.

    A session that was judged before its cancellation was known stays unknown; otherwise it is not judged at all. For
    the therapist both say the same: it did not take place.
    """
    course = case.course
    cancelled = {s for s, judged in course.judged.items() if s in course.cancelled and judged.score is None}
    reports = [
        (report.kind, report.sessions, without_origins(report.content, cancelled))
        for report in case.dossier.reports.values()
        if not report.retracted
    ]
    values = {session: measured.values for session, measured in course.measured.get("odsis", {}).items()}
    decided = {
        s: (j.status, j.score, j.rules, j.episode, j.silent, j.ever_not)
        for s, j in sorted(course.judged.items())
        if s not in cancelled
    }
    return sorted(values.items()), decided, sorted(reports, key=str)


def without_origins(content: str, cancelled: set[int]) -> Any:
    report = ReportContent.model_validate_json(content).model_dump(mode="json")
    report["judged"] = [judged for judged in report["judged"] if judged["session"] not in cancelled]
    for form in (*report["forms"], *report["safety"]):
        del form["response"]
    if report["decision"] is not None:
        del report["decision"]["measured_by"], report["decision"]["last_of_cause"]
        if report["decision"]["baseline"] is not None:
            del report["decision"]["baseline"]["origin"]
    return report


@laws
@given(
    st.none() | TOTALS,
    st.lists(TOTALS | st.just(MISSED), min_size=1, max_size=8),
    st.data(),
)
def test_a_correction_gives_the_same_conclusions_as_if_it_had_been_right_at_once(
    baseline: int | None, scores: list[int | None], data: st.DataObject
) -> None:
    measured = [place for place, score in enumerate(scores) if score is not None]
    if not measured:
        return
    place = data.draw(st.sampled_from(measured))
    wrong = data.draw(TOTALS)
    right_at_once = a_case(baseline).scored(*scores)
    corrected = a_case(baseline).scored(*[wrong if at == place else score for at, score in enumerate(scores)])
    said = len(corrected.scoring.out)
    corrected.corrected(place + 1, scores[place] or 0)
    assert conclusions(corrected) == conclusions(right_at_once)
    assert len(corrected.scoring.out) == said + 2


@laws
@given(histories())
def test_a_report_is_open_for_every_episode_and_for_nothing_else(case: Case) -> None:
    for kind in ("not", "silent"):
        episodes = case.dossier.runs(kind)
        live = [
            report.sessions for report in case.dossier.reports.values() if report.kind == kind and not report.retracted
        ]
        assert sorted(live) == sorted(episodes)


@laws
@given(histories())
def test_every_event_has_an_id_of_its_own_on_its_topic(case: Case) -> None:
    for fold in folds(case):
        ids = [event.id for event in fold.out]
        assert len(set(ids)) == len(ids)


@laws
@given(histories(commuting=True), st.randoms(use_true_random=False))
def test_the_order_in_which_facts_arrive_does_not_matter_for_what_is_concluded(case: Case, random: Any) -> None:
    enrolment, *rest = case.facts
    again = retold([enrolment, *shuffled(rest, random)])
    assert conclusions(again) == conclusions(case)


def shuffled(facts: list[Event[Data]], random: Any) -> list[Event[Data]]:
    """Put facts into another order; what was said of one occasion or one session's plan keeps its own."""
    order = sorted(facts, key=lambda _: random.random())
    chains: dict[str, list[Event[Data]]] = {}
    for fact in facts:
        chains.setdefault(_chain(fact), []).append(fact)
    return [chains[_chain(fact)].pop(0) for fact in order]


def _chain(fact: Event[Data]) -> str:
    match fact.data:
        case OccasionOpened(session=session) | OccasionClosed(session=session):
            return f"occasion {session}"
        case SessionScheduled(session=session) | SessionCancelled(session=session):
            return f"plan {session}"
        case _:
            return fact.id


@laws
@given(histories())
def test_a_fact_revises_a_report_with_a_decision_at_most_once(case: Case) -> None:
    revised = Counter(
        (event.correlationid, event.data.report)
        for event in case.notifier.out
        if isinstance(event.data, ReportRevised) and event.data.content.kind != "safety"
    )
    assert [each for each, times in revised.items() if times > 1] == []


@laws
@given(histories())
def test_a_report_that_waits_for_a_decision_gets_it_with_the_same_fact(case: Case) -> None:
    again = Case()
    for fact in case.facts:
        again.hears(fact)
        assert again.dossier.changed_from is None
