"""What the NOT policy promises beyond the examples: readings, options, annotations, episodes, revisions."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.events.event import Data
from contracts.events.facts import (
    BaselineSet,
    CaseClosed,
    OccasionOpened,
    SessionAbsent,
    SessionAttended,
    SessionCancelled,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.scores import FactSetAside, ScoreComputed
from contracts.events.tracks import TrackEvaluated, TrackRevised
from tests.support.clinic import (
    FIRST_DAY,
    MISSED,
    NOT,
    ON,
    UNKNOWN,
    Case,
    a_case,
    instrument,
    policy_like,
    protocol_like,
    rule,
    two_versions,
)

WHO5 = {"instrument": instrument("who-5")[0], "scale": "total", "healthy": "screen-positive"}
READINGS = ("gryesten-2023", "gryesten-2023-baseline", "gryesten-2023-window")


def only(*rules: dict[str, Any], **changes: Any) -> str:
    return policy_like(rules=list(rules), **changes)


def who5(each: int) -> dict[str, int]:
    """Give answers to WHO-5 that are all the same; the total is twenty times as high."""
    return {item.id: each for item in instrument("who-5")[1].items}


def a_who5_case(policy: str, *values: int) -> Case:
    """Enrol a case that answered WHO-5 at sessions 0, 1, 2 …."""
    case = Case(policy).enrolled()
    for session, value in enumerate(values):
        case.answered(session, who5(value), name="who-5")
    return case


@pytest.mark.parametrize(
    ("baseline", "scores", "alone"),
    [
        (14, (13, 12, 11), "gryesten-2023"),
        (10, (9, 8, 7), "gryesten-2023"),
        (12, (13, 11, 13), "gryesten-2023-baseline"),
        (8, (7, 9, 7), "gryesten-2023-baseline"),
        (14, (10, 10, 10), "gryesten-2023-window"),
        (15, (9, 8, 9), "gryesten-2023-window"),
    ],
)
def test_each_reading_of_no_change_has_cases_in_which_it_alone_fires(
    baseline: int, scores: tuple[int, ...], alone: str
) -> None:
    fired = {reading for reading in READINGS if a_case(baseline, reading).scored(*scores).statuses[-1] == NOT}
    assert fired == {alone}


class TestDeterioration:
    @pytest.mark.parametrize(("score", "status"), [(14, ON), (15, NOT), (16, NOT)])
    def test_fires_at_the_limit_and_beyond(self, score: int, status: str) -> None:
        assert a_case(12).scored(score).statuses == [status]

    def test_says_by_how_much_from_where(self) -> None:
        decision = a_case(12).scored(16).decision(1)
        assert decision.baseline is not None
        assert decision.baseline.value == 12
        assert (decision.rules[0].threshold, decision.rules[0].changes) == (Decimal(3), (Decimal(4),))

    def test_can_compare_with_the_measured_session_before(self) -> None:
        previous = only(rule("deterioration/1", compared_with="previous"))
        assert a_case(10, previous).scored(8, MISSED, 11).statuses == [ON, UNKNOWN, NOT]

    def test_compares_the_first_session_with_the_baseline_if_there_is_none_before(self) -> None:
        previous = only(rule("deterioration/1", compared_with="previous"))
        assert a_case(10, previous).scored(13).statuses == [NOT]
        assert a_case(None, previous).scored(13, 13).statuses == [UNKNOWN, ON]

    def test_looks_at_the_last_of_several_measured_sessions_before(self) -> None:
        previous = only(rule("deterioration/1", compared_with="previous"))
        assert a_case(10, previous).scored(8, 5, 8).statuses == [ON, ON, NOT]

    def test_knows_that_lower_is_worse_on_other_scales(self) -> None:
        case = a_who5_case(only(rule("deterioration/1", at_least=10), primary=WHO5), 3, 3, 2)
        assert case.statuses == [ON, NOT]


class TestNoChange:
    def test_needs_three_measured_sessions(self) -> None:
        assert a_case(12).scored(12, 12).statuses == [ON, ON]

    def test_a_missed_session_neither_breaks_nor_lengthens_a_row(self) -> None:
        assert a_case(12).scored(12, MISSED, 12, MISSED, 12).statuses == [ON, UNKNOWN, ON, UNKNOWN, NOT]

    def test_a_missed_session_can_break_the_row(self) -> None:
        breaking = only(rule("no_change/1", missing="break"))
        assert a_case(12, breaking).scored(12, 12, MISSED, 12, 12).statuses == [ON, ON, UNKNOWN, ON, ON]
        assert a_case(12, breaking).scored(MISSED, 12, 12, 12).statuses[-1] == NOT

    def test_a_session_that_was_asked_beyond_the_protocol_and_missed_can_break_the_row(self) -> None:
        asks = [{"instrument": instrument("odsis")[0], "sessions": [1, 2, 4]}]
        breaking = only(rule("no_change/1", missing="break"))
        case = a_case(12, breaking, protocol_like(asks=asks)).scored(12, 12, MISSED, 12)
        assert case.statuses == [ON, ON, UNKNOWN, ON]
        not_asked = a_case(12, breaking, protocol_like(asks=asks)).scored(12, 12)
        not_asked.answered(4, 12)
        assert not_asked.statuses == [ON, ON, NOT]

    def test_can_spare_those_who_are_in_the_healthy_range(self) -> None:
        sparing = only(rule("no_change/1", unless_healthy=True))
        assert a_case(5, sparing).scored(5, 5, 5).statuses == [ON, ON, ON]
        assert a_case(9, sparing).scored(9, 9, 9).statuses == [ON, ON, NOT]

    def test_looks_at_the_healthy_range_at_the_last_session_of_the_row_alone(self) -> None:
        sparing = only(rule("no_change/1", unless_healthy=True))
        assert a_case(8, sparing).scored(8, 8, 7).statuses[-1] == ON
        assert a_case(7, sparing).scored(7, 7, 8).statuses[-1] == NOT

    def test_says_how_far_each_session_lies_from_the_first_of_a_window(self) -> None:
        window = a_case(15, only(rule("no_change/1", compared_with="window"))).scored(10, 11, 10)
        assert window.decision(3).rules[0].changes == tuple(map(Decimal, (0, 1, 0)))

    def test_does_not_look_ahead_when_a_session_is_judged_again(self) -> None:
        case = a_case(12).scored(12, 12, 12, 20)
        case.corrected(1, 13)
        assert case.statuses == [ON, ON, NOT, NOT]
        assert case.fired(3) == ["no_change/1 previous"]

    def test_does_not_count_what_came_before_the_course(self) -> None:
        case = a_case(12, only(rule("no_change/1"), baseline="explicit"))
        case.baseline_set(12)
        assert case.scored(12, 12, 12).statuses == [ON, ON, NOT]

    def test_is_false_whatever_the_baseline_if_a_later_change_is_large(self) -> None:
        assert a_case(None, only(rule("no_change/1"))).scored(10, 15, 15).statuses == [ON, ON, ON]

    def test_cannot_be_said_without_a_baseline_if_only_that_is_missing(self) -> None:
        assert a_case(None, only(rule("no_change/1"))).scored(10, 10, 10, 10).statuses == [ON, ON, UNKNOWN, NOT]


class TestBaseline:
    def test_is_the_last_valid_score_before_session_1(self) -> None:
        case = Case(protocol="group-cbt-depression-14").enrolled()
        case.answered(0, 15, at=FIRST_DAY)
        case.answered("individual-1", 12, at=FIRST_DAY.replace(hour=12))
        case.scored(15)
        baseline = case.decision(1).baseline
        assert baseline is not None
        assert (baseline.value, baseline.session, baseline.how) == (Decimal(12), "individual-1", "before_first_session")

    def test_of_the_same_moment_is_the_one_that_stands_later_in_the_protocol(self) -> None:
        for first, second in ((0, "individual-1"), ("individual-1", 0)):
            case = Case(protocol="group-cbt-depression-14").enrolled()
            for session in (first, second):
                case.answered(session, 12 if session == 0 else 15, at=FIRST_DAY)
            case.scored(15)
            baseline = case.decision(1).baseline
            assert baseline is not None
            assert baseline.session == "individual-1"

    def test_is_the_last_in_time_whatever_came_first(self) -> None:
        case = Case(protocol="group-cbt-depression-14").enrolled()
        case.answered("individual-1", 9, at=FIRST_DAY.replace(hour=12))
        case.answered(0, 15, at=FIRST_DAY.replace(hour=14))
        baseline = case.scored(15).decision(1).baseline
        assert baseline is not None
        assert baseline.value == 15

    def test_can_be_the_first_valid_score_even_before_the_course(self) -> None:
        case = a_case(16, policy_like(baseline="first_valid")).scored(12, 12, 12)
        baseline = case.decision(3).baseline
        assert baseline is not None
        assert (baseline.session, case.statuses) == (0, [ON, ON, ON])

    def test_the_first_valid_score_that_arrives_late_judges_every_session_again(self) -> None:
        case = a_case(None, policy_like(baseline="first_valid"))
        case.answered(2, 12)
        case.answered(3, 14)
        assert case.statuses == [UNKNOWN, ON, ON]
        case.answered(1, 10)
        assert case.statuses == [ON, ON, NOT]

    def test_can_be_the_first_valid_score_which_is_then_no_measured_session(self) -> None:
        first = policy_like(baseline="first_valid")
        case = a_case(None, first).scored(12, 12, 12, 12)
        assert case.statuses == [ON, ON, ON, NOT]
        assert case.decision(4).rules[0].sessions == (2, 3, 4)

    def test_can_be_left_to_people(self) -> None:
        case = a_case(12, policy_like(baseline="explicit")).scored(16)
        assert case.statuses == [UNKNOWN]
        case.baseline_set(12)
        assert case.statuses == [NOT]

    def test_set_by_hand_goes_before_the_rule_and_judges_every_session_again(self) -> None:
        case = a_case(12).scored(13, 14, 13)
        assert case.statuses == [ON, ON, NOT]
        case.baseline_set(10)
        assert case.statuses == [NOT, NOT, NOT]
        assert [decision.session for decision in case.told(TrackRevised)] == [1, 2, 3]
        baseline = case.decision(2).baseline
        assert baseline is not None
        assert baseline.how == "set_by_hand"

    def test_set_by_hand_holds_for_its_own_scale_alone(self) -> None:
        case = a_case(12)
        other = policy_like(id="who-5-rules", primary=WHO5, rules=[rule("deterioration/1", at_least=10)])
        case.policy_changed(other, from_session=2)
        case.baseline_set(10)
        case.says(BaselineSet(instrument="who-5", scale="total", value=Decimal(60), reason="known", by="therapist:1"))
        case.scored(13)
        case.answered(2, who5(2), name="who-5")
        assert [case.fired(session) for session in (1, 2)] == [["deterioration/1 baseline"]] * 2

    def test_set_by_hand_can_be_any_value_of_the_scale(self) -> None:
        case = a_case().scored(12)
        for value in (0, 20):
            case.baseline_set(value)
            baseline = case.decision(1).baseline
            assert baseline is not None
            assert baseline.value == value
        case.baseline_set(-1)
        assert [aside.reason for aside in case.told(FactSetAside)] == ["outside_scale"]

    def test_that_is_another_session_after_a_withdrawal_judges_every_session_again(self) -> None:
        case = a_case(None, policy_like(baseline="first_valid")).scored(MISSED, 12, 14)
        case.withdrawn(2)
        baseline = case.decision(1).baseline
        assert baseline is not None
        assert baseline.session == 3

    def test_that_is_withdrawn_is_gone_for_every_policy_that_stood_on_it(self) -> None:
        case = Case(policy_like(baseline="first_valid")).enrolled()
        other = policy_like(id="who-5-rules", primary=WHO5, baseline="first_valid")
        case.policy_changed(other, from_session=3)
        case.scored(MISSED, 12)
        case.answered(3, who5(3), name="who-5")
        assert case.decision(1).baseline is not None
        case.withdrawn(2)
        assert case.decision(1).baseline is None
        assert case.decision(3).baseline is not None

    def test_of_a_scale_that_no_policy_looks_at_is_set_aside(self) -> None:
        case = a_case(12)
        other = BaselineSet(instrument="phq-9", scale="total", value=Decimal(9), reason="known", by="therapist:1")
        fact = case.says(other)
        assert [(aside.fact, aside.reason) for aside in case.told(FactSetAside)] == [(fact.id, "unknown_scale")]

    def test_that_is_not_on_the_scale_is_set_aside(self) -> None:
        case = a_case(12).scored(12)
        case.baseline_set(21)
        assert [aside.reason for aside in case.told(FactSetAside)] == ["outside_scale"]
        assert case.statuses == [ON]

    def test_that_arrives_late_judges_every_session_again(self) -> None:
        case = a_case().scored(15, 16)
        assert case.statuses == [UNKNOWN, UNKNOWN]
        case.answered(0, 12)
        assert case.statuses == [NOT, NOT]


class TestUnknown:
    def test_missing_is_never_on_track(self) -> None:
        assert a_case(12).scored(8, MISSED).statuses == [ON, UNKNOWN]

    def test_a_gap_is_unknown_once_a_later_session_is_measured(self) -> None:
        case = a_case(12)
        case.answered(1, 9)
        assert case.statuses == [ON]
        case.answered(4, 7)
        assert case.statuses == [ON, UNKNOWN, UNKNOWN, ON]

    @pytest.mark.parametrize(
        "sign",
        [
            SessionDue(session=2, scheduled=FIRST_DAY),
            SessionAttended(session=2),
            SessionAbsent(session=2),
            OccasionOpened(session=2, instrument=instrument("odsis")[0], closes=FIRST_DAY),
        ],
        ids=lambda sign: type(sign).__name__,
    )
    def test_a_session_of_which_there_is_any_sign_had_come_when_the_case_closes(self, sign: Data) -> None:
        case = a_case(12).scored(9)
        case.says(SessionAttended(session=1))
        case.says(sign)
        case.closed()
        assert case.statuses == [ON, UNKNOWN]

    def test_every_session_that_came_is_unknown_once_the_case_closes(self) -> None:
        case = a_case(12)
        for session in (1, 2, 2, 3):
            case.says(SessionAttended(session=session))
        case.closed()
        assert case.statuses == [UNKNOWN, UNKNOWN, UNKNOWN]
        assert case.course.begun == (1, 2, 3)

    def test_a_planned_session_had_come_if_its_time_is_not_after_the_closing(self) -> None:
        end = FIRST_DAY + timedelta(weeks=9)
        case = a_case(12).scored(9)
        case.says(SessionScheduled(session=2, scheduled=end))
        case.says(SessionScheduled(session=3, scheduled=end + timedelta(milliseconds=1)))
        case.says(CaseClosed(reason="completed"), at=end)
        assert sorted(case.course.judged) == [1, 2]

    @pytest.mark.parametrize(("moved_by", "judged"), [(-1, [1, 2]), (1, [1])], ids=["before", "after"])
    def test_a_session_that_was_moved_counts_by_its_new_time(self, moved_by: int, judged: list[int]) -> None:
        end = FIRST_DAY + timedelta(weeks=9)
        case = a_case(12).scored(9)
        case.says(SessionScheduled(session=2, scheduled=end - timedelta(weeks=moved_by)))
        case.says(SessionMoved(session=2, scheduled=end + timedelta(weeks=moved_by)))
        case.says(CaseClosed(reason="completed"), at=end)
        assert sorted(case.course.judged) == judged

    def test_cancelled_sessions_are_not_missing_when_the_case_closes(self) -> None:
        case = a_case(12).scored(9)
        for session in (2, 3):
            case.says(SessionAttended(session=session))
        for session in (2, 3, 3):
            case.says(SessionCancelled(session=session))
        case.closed()
        assert case.statuses == [ON]
        assert case.course.cancelled == (2, 3)

    def test_what_becomes_of_individual_sessions_is_not_judged(self) -> None:
        case = a_case(12, protocol="group-cbt-depression-14").scored(9)
        case.says(SessionScheduled(session="individual-2", scheduled=FIRST_DAY))
        case.says(SessionAttended(session="individual-2"))
        case.says(SessionCancelled(session="individual-3"))
        case.missed("individual-1")
        case.closed()
        assert case.statuses == [ON]
        assert (case.course.begun, case.course.scheduled, case.course.cancelled) == ((), {}, ())

    def test_a_session_at_which_the_primary_instrument_is_not_asked_is_not_missing(self) -> None:
        asks = [{"instrument": instrument("odsis")[0], "sessions": [0, 1, 3]}]
        case = Case(protocol=protocol_like(asks=asks)).enrolled().scored(9)
        case.says(SessionAttended(session=2))
        case.answered(3, 8)
        case.closed()
        assert sorted(case.course.judged) == [1, 3]

    def test_sessions_that_came_are_unknown_once_the_case_closes(self) -> None:
        case = a_case(12).scored(9)
        case.says(SessionScheduled(session=2, scheduled=FIRST_DAY.replace(month=2)))
        case.says(SessionDue(session=2, scheduled=FIRST_DAY.replace(month=2)))
        case.says(SessionScheduled(session=3, scheduled=FIRST_DAY.replace(month=11)))
        case.says(SessionAttended(session=4))
        case.says(CaseClosed(reason="dropped_out"), at=FIRST_DAY.replace(month=3))
        assert (case.statuses, sorted(case.course.judged)) == ([ON, UNKNOWN, UNKNOWN], [1, 2, 4])

    def test_a_cancelled_session_is_not_missing(self) -> None:
        case = a_case(12).scored(9)
        case.says(SessionCancelled(session=2))
        case.answered(3, 8)
        assert sorted(case.course.judged) == [1, 3]

    def test_so_many_in_a_row_are_called_silent(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED)
        assert [decision.silent for decision in case.decisions()] == [False, False, True]
        assert case.decision(3).silent_sessions == (2, 3)

    def test_an_earlier_gap_that_is_judged_late_joins_the_row_of_unknown_sessions(self) -> None:
        case = a_case(12).scored(9)
        case.missed(3)
        case.answered(4, 8)
        assert case.statuses == [ON, UNKNOWN, UNKNOWN, ON]
        assert (case.decision(3).silent_sessions, case.decision(3).silent) == ((2, 3), True)

    def test_a_missed_session_does_not_make_an_earlier_one_unknown(self) -> None:
        case = a_case(12).scored(9)
        case.missed(3)
        assert sorted(case.course.judged) == [1, 3]

    def test_a_session_that_the_course_does_not_have_is_not_missed(self) -> None:
        planned = [{"id": s, "topic": {"en": "a", "da": "b"}, "minutes": 120} for s in (1, 3)]
        course = protocol_like(sessions=planned, asks=[{"instrument": instrument("odsis")[0], "sessions": "every"}])
        case = a_case(12, protocol=course)
        case.answered(1, 9)
        case.answered(3, 7)
        assert sorted(case.course.judged) == [1, 3]

    def test_a_session_that_turns_out_to_be_cancelled_no_longer_counts_as_silence(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED)
        case.says(SessionCancelled(session=2))
        assert (case.decision(2).unknown_because, case.decision(3).silent_sessions) == ("cancelled", (3,))

    def test_a_session_that_takes_place_after_all_counts_again(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED)
        case.says(SessionCancelled(session=2))
        case.says(SessionScheduled(session=2, scheduled=FIRST_DAY.replace(month=2)))
        assert case.decision(3).silent_sessions == (2, 3)

    def test_a_late_cancellation_closes_the_gap_that_broke_a_row(self) -> None:
        case = a_case(12, only(rule("no_change/1", missing="break"))).scored(12, 12)
        case.answered(4, 12)
        assert case.statuses == [ON, ON, UNKNOWN, ON]
        case.says(SessionCancelled(session=3))
        assert case.statuses == [ON, ON, UNKNOWN, NOT]

    def test_a_session_that_came_but_is_told_after_the_end_is_judged_too(self) -> None:
        case = a_case(12).scored(9)
        case.says(CaseClosed(reason="completed"), at=FIRST_DAY.replace(month=3))
        case.says(SessionAttended(session=2), at=FIRST_DAY.replace(month=2))
        assert case.statuses == [ON, UNKNOWN]


class TestEpisodes:
    def test_are_persistent_after_three_sessions(self) -> None:
        case = a_case(10).scored(14, 14, MISSED, 14)
        persistent = [decision.episode is not None and decision.episode.persistent for decision in case.decisions()]
        assert persistent == [False, False, False, True]

    def test_end_at_a_session_that_is_on_track(self) -> None:
        case = a_case(10).scored(14, 11, 14)
        episode = case.decision(3).episode
        assert episode is not None
        assert episode.sessions == (3,)
        assert case.decision(2).episode is None

    def test_leave_their_mark_on_the_case(self) -> None:
        case = a_case(10).scored(9, 8, 14, 10)
        assert [decision.ever_not for decision in case.decisions()] == [False, False, True, True]

    def test_never_end_where_the_policy_says_that_once_not_stays(self) -> None:
        case = a_case(10, policy_like(once_not="stays")).scored(13, 8, MISSED, 4)
        assert case.statuses == [NOT, NOT, UNKNOWN, NOT]
        assert case.fired(4) == ["once_not/1 earlier_session"]

    def test_that_stay_name_the_session_at_which_they_began_where_no_rule_fires(self) -> None:
        case = a_case(10, policy_like(once_not="stays")).scored(9, 6, 13, 14, 8)
        assert case.statuses == [ON, ON, NOT, NOT, NOT]
        assert case.fired(4) == ["deterioration/1 baseline"]
        assert case.decision(5).rules[0].sessions == (3,)


class TestAnnotations:
    def test_say_that_a_case_cannot_improve(self) -> None:
        assert "cannot_improve" in a_case(1).scored(1).annotated(1)
        assert "cannot_improve" not in a_case(2).scored(2).annotated(1)

    def test_name_the_healthy_range_and_its_cut_off(self) -> None:
        found = [a for a in a_case(12).scored(7).decision(1).annotations if a.kind == "healthy_range"]
        assert [(a.cut_off, a.value) for a in found] == [("madsen", Decimal("7.5"))]
        assert "healthy_range" not in a_case(12).scored(8).annotated(1)

    def test_know_measurement_error_only_where_the_clinic_has_figures(self) -> None:
        figures = {"sd": "3.5", "alpha": "0.92", "n": 120, "population": "our patients", "source": "our register"}
        case = a_case(12, policy_like(reliable_change=figures)).scored(10, 9)
        assert "within_measurement_error" in case.annotated(1)
        assert "within_measurement_error" not in case.annotated(2)
        assert "within_measurement_error" not in a_case(12).scored(12).annotated(1)

    @pytest.mark.parametrize(("score", "within"), [(10, True), (9, False), (14, True), (15, False)])
    def test_call_a_change_a_measurement_error_only_if_it_is_smaller(self, score: int, within: bool) -> None:
        figures = {"sd": "1.53", "alpha": "0.5", "n": 120, "population": "our patients", "source": "our register"}
        case = a_case(12, policy_like(reliable_change=figures)).scored(score)
        assert ("within_measurement_error" in case.annotated(1)) == within
        if within:
            (band,) = [a.value for a in case.decision(1).annotations if a.kind == "within_measurement_error"]
            assert band == Decimal("3.00")

    def test_say_nothing_of_numbers_that_are_not_there(self) -> None:
        figures = {"sd": "3.5", "alpha": "0.92", "n": 120, "population": "our patients", "source": "our register"}
        clinic = policy_like(reliable_change=figures)
        assert a_case(None, clinic).scored(12).annotated(1) == set()
        assert a_case(12, clinic).scored(MISSED).annotated(1) == set()
        assert a_case(None).scored(0).annotated(1) == {"healthy_range"}

    def test_call_nothing_healthy_where_the_policy_names_no_cut_off(self) -> None:
        nameless = {"instrument": instrument("odsis")[0], "scale": "total"}
        assert a_case(12, policy_like(primary=nameless)).scored(0).annotated(1) == set()

    def test_know_the_ends_of_a_scale_on_which_lower_is_worse(self) -> None:
        who5_rules = policy_like(primary=WHO5)
        assert "cannot_improve" in a_who5_case(who5_rules, 5, 5).annotated(1)
        assert "cannot_deteriorate" in a_who5_case(who5_rules, 0, 0).annotated(1)
        assert {"cannot_improve", "cannot_deteriorate"} & a_who5_case(who5_rules, 3, 3).annotated(1) == set()

    def test_leave_room_to_deteriorate_where_the_session_before_is_what_counts(self) -> None:
        previous = only(rule("deterioration/1", compared_with="previous"))
        assert "cannot_deteriorate" not in a_case(19, previous).scored(19).annotated(1)

    def test_mark_a_provisional_definition(self) -> None:
        assert "provisional_definition" in a_case(12, policy_like(provisional=True)).scored(9).annotated(1)

    def test_mark_a_policy_that_judges_by_a_provisional_instrument(self) -> None:
        primary = {"instrument": instrument("homework")[0], "scale": "adherence"}
        case = Case(policy_like(primary=primary, provisional=False)).enrolled()
        case.answered(1, {"adherence": 3}, name="homework")
        assert "provisional_definition" in case.annotated(1)


class TestPolicyChanges:
    def test_hold_from_the_session_they_name(self) -> None:
        case = a_case(14).scored(10, 10)
        case.policy_changed("gryesten-2023-window", from_session=4)
        case.scored(10, 10)
        assert case.statuses == [ON, ON, ON, NOT]

    def test_judge_sessions_that_the_new_primary_scale_has_measured_already(self) -> None:
        other = policy_like(id="who-5-rules", primary=WHO5, rules=[rule("deterioration/1", at_least=10)])
        case = a_case(12)
        for session, value in ((0, 3), (2, 1)):
            case.answered(session, who5(value), name="who-5")
        case.answered(1, 12)
        assert sorted(case.course.judged) == [1]
        case.policy_changed(other, from_session=2)
        assert (case.statuses, case.fired(2)) == ([ON, NOT], ["deterioration/1 baseline"])

    def test_judge_sessions_at_which_the_new_primary_instrument_was_missed(self) -> None:
        case = a_case()
        for session in (1, 2):
            case.missed(session, "who-5")
        assert case.statuses == []
        case.policy_changed(policy_like(id="who-5-rules", primary=WHO5), from_session=1)
        assert case.statuses == [UNKNOWN, UNKNOWN]

    def test_leave_no_gap_unseen_before_the_first_session_that_the_new_primary_scale_measures(self) -> None:
        case = a_case(12).scored(12)
        case.policy_changed(policy_like(id="who-5-rules", primary=WHO5), from_session=4)
        case.answered(4, who5(3), name="who-5")
        assert case.statuses == [ON, UNKNOWN, UNKNOWN, UNKNOWN]
        assert (case.decision(3).silent_sessions, case.decision(3).policy) == ((2, 3), case.policy)

    def test_find_the_scores_of_the_new_primary_scale_whatever_was_withdrawn(self) -> None:
        other = policy_like(id="who-5-rules", primary=WHO5, rules=[rule("deterioration/1", at_least=10)])
        case = a_case(12).scored(12)
        for session, value in ((0, 3), (2, 1)):
            case.answered(session, who5(value), name="who-5")
        case.withdrawn(1)
        case.policy_changed(other, from_session=2)
        assert case.statuses == [UNKNOWN, NOT]

    def test_the_last_one_decided_holds(self) -> None:
        case = a_case(14)
        case.policy_changed("gryesten-2023-baseline", from_session=1)
        case.policy_changed("gryesten-2023-window", from_session=1)
        assert case.scored(10, 10, 10).statuses == [ON, ON, NOT]

    def test_leave_judged_sessions_under_the_policy_they_were_judged_by(self) -> None:
        case = a_case(14).scored(10, 10, 10)
        case.policy_changed("gryesten-2023-window", from_session=1)
        assert case.statuses == [ON, ON, ON]
        case.corrected(3, 11)
        assert case.decision(3).policy == case.policy


class TestRevisions:
    def test_a_late_answer_judges_its_session_and_every_later_one_again(self) -> None:
        case = a_case(12).scored(12, MISSED, 12)
        assert case.statuses == [ON, UNKNOWN, ON]
        case.answered(2, 12)
        assert case.statuses == [ON, ON, NOT]
        assert [decision.session for decision in case.told(TrackRevised)] == [2, 3]

    def test_names_what_it_revises(self) -> None:
        case = a_case(10).scored(13)
        case.corrected(1, 11)
        case.corrected(1, 14)
        first, second = case.told(TrackRevised)
        said = [event for event in case.detector.out if isinstance(event.data, TrackEvaluated | TrackRevised)]
        assert [first.revises, second.revises] == [said[0].id, said[1].id]

    def test_a_correction_that_changes_no_decision_announces_none(self) -> None:
        case = a_case(12).scored(9)
        case.corrected(1, 9, comment="as before")
        assert case.told(TrackRevised) == []

    def test_a_decision_names_the_score_that_it_stands_on(self) -> None:
        case = a_case(12).scored(9, MISSED)
        scores = [event.id for event in case.scoring.out if isinstance(event.data, ScoreComputed)]
        assert [case.decision(session).measured_by for session in (1, 2)] == [scores[-1], None]

    def test_a_withdrawn_answer_leaves_its_session_unknown(self) -> None:
        case = a_case(12).scored(16, 9)
        case.withdrawn(1)
        assert case.statuses == [UNKNOWN, ON]

    def test_only_the_last_decision_of_a_cause_says_so(self) -> None:
        case = a_case(12).scored(13, 14, 13)
        case.baseline_set(10)
        assert [decision.last_of_cause for decision in case.told(TrackRevised)] == [False, False, True]


class TestVersionsOfAnInstrument:
    """A case that answered the first version before the course, judged by a policy that looks at the second one."""

    def answered_both(self, name: str, comparable_from: int) -> Case:
        case = Case(two_versions(name, comparable_from)).enrolled()
        case.answered(0, 10, name=f"{name}@1")
        case.answered(1, 13, name=f"{name}@2")
        return case

    def test_are_compared_where_the_newer_one_says_that_they_can_be(self) -> None:
        assert self.answered_both("comparable", comparable_from=1).statuses == [NOT]

    def test_are_not_compared_where_it_does_not(self) -> None:
        case = self.answered_both("incomparable", comparable_from=2)
        assert case.statuses == [UNKNOWN]
        assert case.decision(1).unknown_because == "no_baseline"


def test_who_spares_the_healthy_must_say_who_is_healthy() -> None:
    nameless = {"instrument": instrument("odsis")[0], "scale": "total"}
    sparing = [rule("deterioration/1"), rule("no_change/1", unless_healthy=True)]
    with pytest.raises(ValidationError, match=r"primary\.healthy"):
        policy_like(primary=nameless, rules=sparing)
