"""A policy that is tried: the judgement of the same stages, compared session by session."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.definitions.instrument import Scale
from contracts.events.event import Data, Event
from contracts.events.facts import CaseEnrolled, CaseTransferred, SessionDue
from contracts.topics import SCORES
from services.auditor.domain.trial import (
    Calendar,
    Changed,
    Concluded,
    Figure,
    InWeek,
    Place,
    Seen,
    Summary,
    changes,
    deterioration,
    figures,
    gathered,
    seen,
    under,
    weeks_in_treatment,
)
from services.auditor.trial import concluded
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from tests.auditor.tampering import Tampering
from tests.replay.histories import histories, policies
from tests.support.clinic import (
    CASE_ID,
    FIRST_DAY,
    MISSED,
    NOT,
    ON,
    UNKNOWN,
    Case,
    a_case,
    definitions,
    instrument,
    policy_like,
    rule,
)
from tests.support.command import ontrack
from tests.unit.test_clinical_examples import EXAMPLES

HERE: Final = Place("c1", "g1")
WEEK: Final = date(2026, 1, 5)
STUDY: Final = "gryesten-2023"


def same(moment: datetime) -> datetime:
    return moment


def said(case: Case, policy: str | None) -> list[Event[Data]]:
    """What the stages say of a case, as it was or under a policy."""
    stages = (NotDetector(definitions()), Notifier(definitions()))
    events = case.scoring.out
    return list(concluded(stages, CASE_ID, events if policy is None else under(Case(policy).policy, events)))


def tried(case: Case, policy: str | None) -> Concluded:
    return gathered(said(case, policy), same)


def statuses(of: Concluded) -> list[str | None]:
    return [of.status(session) for session in sorted(of.decisions)]


def odsis_scale() -> Scale:
    scale = instrument("odsis")[1].scale("total")
    assert scale is not None
    return scale


# What is concluded


@settings(deadline=None)
@given(histories(commuting=True))
def test_trying_the_policy_that_a_case_has_changes_nothing(case: Case) -> None:
    assert said(case, case.policy) == said(case, None)
    assert changes(tried(case, None), tried(case, case.policy)) == []


@settings(deadline=None)
@given(histories())
def test_what_is_concluded_as_it_was_is_what_was_announced(case: Case) -> None:
    announced = {event.id: event for fold in (case.detector, case.notifier) for event in fold.out}
    assert {event.id: event for event in said(case, None)} == announced


@settings(deadline=None)
@given(histories(commuting=True), st.sampled_from(policies()))
def test_a_case_under_another_policy_is_judged_as_if_it_had_been_enrolled_with_it(case: Case, policy: str) -> None:
    # given the same facts, told to the stages with another policy from the beginning
    other = Case(policy)
    for fact in case.facts:
        enrols = isinstance(fact.data, CaseEnrolled)
        said_so = fact.data.model_copy(update={"policy": other.policy}) if enrols else fact.data
        other.hears(fact._replace(data=said_so))

    # then trying that policy says the same, event for event
    assert said(case, policy) == said(other, None)


@pytest.mark.parametrize(("baseline", "scores", "expected", "fired"), EXAMPLES)
def test_the_examples_of_the_clinical_rules_hold_for_a_case_that_had_another_policy(
    baseline: int | None, scores: tuple[int | None, ...], expected: tuple[str, ...], fired: dict[int, list[str]]
) -> None:
    case = a_case(baseline, "gryesten-2023-window").scored(*scores)
    found = tried(case, STUDY)
    assert statuses(found) == list(expected)
    for session, rules in fired.items():
        assert [f"{each.rule} {each.reading}" for each in found.decisions[session].rules] == rules


def test_a_policy_change_of_the_case_gives_way_to_what_is_tried() -> None:
    case = a_case(14).scored(13, 12)
    case.policy_changed("gryesten-2023-window", from_session=3)
    case.scored(11)
    assert statuses(tried(case, None)) == [ON, ON, ON]
    assert statuses(tried(case, STUDY)) == [ON, ON, NOT]


# What it is tried on


def told(home: Path) -> tuple[int, list[dict[str, Any]], str]:
    ran = ontrack("policy", "try", "gryesten-2023-window", "--data", home, "--format", "json")
    return ran.exit_code, orjson.loads(ran.out), ran.told


@pytest.mark.parametrize("damage", ["altered", "cut"])
def test_a_case_whose_events_are_not_whole_is_left_out_and_that_is_a_finding(
    damage: str, tampering: Tampering, p1: str
) -> None:
    _, (before, *_), _ = told(tampering.home)
    if damage == "cut":
        tampering.cut(SCORES, p1, 2)
    else:
        tampering.put(SCORES, p1, 2, tampering.record(SCORES, p1, 2).replace(b'"type":"ontrack.', b'"type":"other.'))

    exit_code, (now, *_), said_of_it = told(tampering.home)

    assert (exit_code, now["cases"]) == (1, before["cases"] - 1)
    assert "Left out: 1 case with an event that is missing or cannot be read" in said_of_it


def test_a_case_at_which_a_stage_halts_is_left_out_and_the_others_are_told_of(tampering: Tampering, p1: str) -> None:
    # given a case that names a policy that is not on the log
    _, (before, *_), _ = told(tampering.home)
    place = tampering.place_of(SCORES, p1, CaseEnrolled)
    unknown = "nobodys@1#" + "0" * 64
    tampering.put(SCORES, p1, place, tampering.resealed(SCORES, p1, place, policy=unknown))

    exit_code, (now, *_), said_of_it = told(tampering.home)

    assert (exit_code, now["cases"]) == (1, before["cases"] - 1)
    assert "Left out: 1 case at which a stage halts." in said_of_it


def test_what_stands_there_twice_counts_once(tampering: Tampering, p1: str) -> None:
    before = told(tampering.home)
    tampering.append(SCORES, p1, tampering.record(SCORES, p1, 1))
    assert told(tampering.home) == before


# What changes


def test_changes_are_told_by_their_direction() -> None:
    # given somebody who gets slowly better, and then worse within a plateau
    case = a_case(14).scored(13, 12, 11, MISSED, 11, 11)

    # when the literal reading, which calls slow change none, gives way to that of the window
    found = changes(tried(case, None), tried(case, "gryesten-2023-window"))

    # then the session of the slow change is no longer not on track
    assert [(each.session, each.how) for each in found] == [(3, "no_longer")]
    back = changes(tried(case, "gryesten-2023-window"), tried(case, None))
    assert [(each.session, each.how) for each in back] == [(3, "newly")]


def test_a_change_between_on_track_and_unknown_is_another_one() -> None:
    case = a_case(12).scored(11)
    (found,) = changes(tried(case, None), tried(case, policy_like(baseline="explicit")))
    assert (found.how, found.before and found.before.status, found.after and found.after.status) == (
        "otherwise",
        ON,
        UNKNOWN,
    )


def test_what_is_compared_is_what_is_known_in_the_end() -> None:
    # given a session that was not on track, until its answer was corrected
    case = a_case(10).scored(13)
    case.corrected(1, 11)

    # then no policy is said to change it, though the therapists were told of both
    assert changes(tried(case, None), tried(case, policy_like(rules=[rule("deterioration/1", at_least="4")]))) == []
    assert sum(tried(case, None).told.values()) == 2
    assert sum(tried(case, policy_like(rules=[rule("deterioration/1", at_least="4")])).told.values()) == 0


# How early


@pytest.mark.parametrize(
    ("baseline", "scores", "points", "session"),
    [
        (12, (12, 13, 15, 11), 3, 3),
        (12, (12, 13, 15, 11), 4, None),
        (12, (14, MISSED, 16), 4, 3),
        (19, (20, 20), 3, None),
        (None, (10, 20), 3, None),
    ],
)
def test_a_deterioration_is_the_first_session_worse_than_the_baseline_by_so_many_points(
    baseline: int | None, scores: tuple[int | None, ...], points: int, session: int | None
) -> None:
    case = a_case(baseline).scored(*scores)
    assert deterioration(tried(case, None), odsis_scale(), Decimal(points)) == session


@pytest.mark.parametrize(
    ("scores", "policy", "expected"),
    [
        # A plateau at sessions 3 and 4, then worse: seen two sessions before, and just before.
        ((12, 12, 12, 12, 15), STUDY, Seen(5, 3, just_before=True)),
        # Over in between: seen before, and not just before.
        ((12, 12, 12, 9, 15), STUDY, Seen(5, 3, just_before=False)),
        # The session just before was missed: the measured one before that counts.
        ((12, 12, 12, MISSED, 15), STUDY, Seen(5, 3, just_before=True)),
        # At it only.
        ((10, 12, 15), STUDY, Seen(3, 3, just_before=False)),
        # Not even then: nothing in this policy looks at the baseline.
        ((10, 12, 15), "stepwise", Seen(3, None, just_before=False)),
    ],
)
def test_how_early_a_deterioration_was_seen(scores: tuple[int | None, ...], policy: str, expected: Seen) -> None:
    stepwise = policy_like(id="by-steps", rules=[rule("deterioration/1", compared_with="previous", at_least="5")])
    case = a_case(12).scored(*scores)
    assert seen(tried(case, stepwise if policy == "stepwise" else policy), expected.session) == expected
    assert expected.sessions_before == (2 if expected.first == 3 and expected.session == 5 else 0)


# When it would be told


def test_weeks_count_where_a_session_was_answered_missed_or_due_and_where_the_case_was_then() -> None:
    case = a_case(12).scored(12, MISSED)
    case.says(CaseTransferred(group="g2"), at=FIRST_DAY + timedelta(weeks=2, days=3), key="moved")
    at = FIRST_DAY + timedelta(weeks=3)
    case.says(SessionDue(session=3, scheduled=at), at=at, key="due")
    weeks = sorted((week.place.group, week.monday) for week in weeks_in_treatment(case.scoring.out, same))
    assert weeks == [
        ("g1", WEEK + timedelta(weeks=1)),
        ("g1", WEEK + timedelta(weeks=2)),
        ("g2", WEEK + timedelta(weeks=3)),
    ]


def test_a_week_begins_on_monday_by_the_clock_of_the_clinic() -> None:
    sunday = datetime(2026, 1, 11, 23, 30, tzinfo=UTC)
    case = a_case(12)
    case.answered(1, 16, at=sunday)

    def later(moment: datetime) -> datetime:
        return moment + timedelta(hours=1)

    assert {week.monday for week in weeks_in_treatment(case.scoring.out, same)} == {WEEK}
    assert {week.monday for week in weeks_in_treatment(case.scoring.out, later)} == {date(2026, 1, 12)}
    assert gathered(said(case, None), later).told == {InWeek(HERE, date(2026, 1, 12)): 1}


# The sum of it


def summed(policy: str, *cases: Case) -> tuple[Summary, list[Changed]]:
    summary, found = Summary(), list[Changed]()
    for case in cases:
        session = deterioration(tried(case, policy), odsis_scale(), Decimal(3))
        found += summary.add(tried(case, policy), tried(case, None), session)
    return summary, found


def numbers(summary: Summary, calendar: Calendar) -> dict[str, Figure]:
    return {each.name: each for each in figures(summary, calendar)}


def test_the_sum_tells_every_number_with_how_many_it_is_of() -> None:
    # given one who gets slowly better, one on a plateau at a low level who gets worse, and one who stops answering
    cases = (
        a_case(14).scored(13, 12, 11),
        a_case(15).scored(9, 8, 9, 18),
        a_case(12).scored(11, MISSED, MISSED),
    )
    weeks = {week for case in cases for week in weeks_in_treatment(case.scoring.out, same)}
    calendar = Calendar(weeks, {"anna": frozenset({HERE}), "bo": frozenset({HERE, Place("c1", "g9")})})

    # when the reading of the window is tried
    summary, found = summed("gryesten-2023-window", *cases)
    by_name = numbers(summary, calendar)

    # then everything is told
    assert len(found) == 2
    expected = [
        Figure("sessions", 10),
        Figure("sessions_not", 2, 8),
        Figure("sessions_unknown", 2, 10),
        Figure("sessions_newly", 1),
        Figure("sessions_no_longer", 1),
        Figure("sessions_otherwise", 0),
        Figure("cases", 3),
        Figure("cases_not", 1, 3),
        Figure("cases_newly", 0),
        Figure("cases_no_longer", 1),
        Figure("cases_changed", 2, 3),
        Figure("reports_not", 1),
        Figure("reports_silent", 1),
        Figure("told", 3),
        Figure("all_a_week", Decimal("0.8"), 4),
        Figure("all_busiest", 2),
        Figure("pair_a_week", Decimal("0.8"), 4),
        Figure("pair_busiest", 2),
        Figure("therapist_a_week", Decimal("0.8"), 8),
        Figure("therapist_busiest", 2),
        Figure("deteriorated", 1, 3),
        Figure("seen_before", 1, 1),
        Figure("seen_at", 0, 1),
        Figure("not_seen", 0, 1),
        Figure("sessions_before", Decimal("1.0"), 1),
        Figure("seen_just_before", 1, 1),
        Figure("not_then_worse", 1, 1),
    ]
    assert list(by_name.values()) == expected


def test_a_therapist_of_two_groups_gets_what_both_get() -> None:
    one, other = a_case(10).scored(14), a_case(10)
    other.says(CaseTransferred(group="g2"), key="moved")
    other.scored(15)
    summary, _ = summed(STUDY, one, other)
    weeks = {week for case in (one, other) for week in weeks_in_treatment(case.scoring.out, same)}
    both = Calendar(weeks, {"anna": frozenset({HERE, Place("c1", "g2")})})
    by_name = numbers(summary, both)
    assert (by_name["pair_a_week"], by_name["pair_busiest"].value) == (Figure("pair_a_week", Decimal("1.0"), 2), 1)
    assert (by_name["therapist_a_week"], by_name["therapist_busiest"].value) == (
        Figure("therapist_a_week", Decimal("2.0"), 1),
        2,
    )


def test_without_groups_therapists_and_deteriorations_no_number_is_made_up() -> None:
    summary, _ = summed(STUDY, a_case(12).scored(12))
    summary = replace(summary, is_compared=False)
    by_name = numbers(summary, Calendar(set(), {}))
    assert not {"pair_a_week", "therapist_a_week"} & by_name.keys()
    assert by_name["all_a_week"] == Figure("all_a_week", None, 0)
    assert by_name["sessions_newly"].value is None
    assert by_name["sessions_before"] == Figure("sessions_before", None, 0)
