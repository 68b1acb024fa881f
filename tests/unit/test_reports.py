"""What notifier promises: one report an episode, revised and retracted, and notices when there is news."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import pytest

from contracts.events.event import Data
from contracts.events.facts import (
    ActionChosen,
    CaseTransferred,
    NeedsStated,
    ProblemNamed,
    ReportClosed,
    ReportDiscussed,
    ReportSeen,
    ResponseCorrected,
    SessionCancelled,
    SessionDue,
)
from contracts.events.notices import NoticeRequested, ReportContent, ReportIssued, ReportOverdue, ReportRevised
from contracts.events.scores import FactSetAside
from services.notifier.domain.dossier import Report
from tests.support.clinic import FIRST_DAY, MISSED, Case, a_case, definitions, instrument, odsis, policy_like


def content(report: Report) -> ReportContent:
    return ReportContent.model_validate_json(report.content)


def psychlops(first: int, second: int = 0) -> dict[str, int]:
    return {"problem_1": first, "problem_2": second}


def gq(value: int) -> dict[str, int]:
    return {item.id: value for item in instrument("gq-12")[1].items}


class TestEpisodes:
    def test_one_episode_is_one_report_with_a_revision_for_each_further_session(self) -> None:
        case = a_case(10).scored(14, 14, MISSED, 14)
        (report,) = case.reports()
        assert report.sessions == (1, 2, 4)
        assert [revised.changes for revised in case.told(ReportRevised)] == [("session_added",), ("session_added",)]
        assert case.notices() == ["not issued", "not further_session", "not further_session"]

    def test_two_episodes_are_two_reports(self) -> None:
        case = a_case(10).scored(14, 10, 14)
        assert [report.sessions for report in case.reports()] == [(1,), (3,)]

    def test_a_policy_can_ask_for_a_notice_at_the_first_session_only(self) -> None:
        case = a_case(10, policy_like(notify="first_of_episode")).scored(14, 14, 14)
        assert case.notices() == ["not issued"]

    def test_the_id_of_a_report_stays_when_an_earlier_session_joins_the_episode(self) -> None:
        case = a_case(10).scored(8, MISSED, 14)
        (before,) = case.reports()
        case.answered(2, 14)
        (after,) = case.reports()
        assert (after.id, after.sessions) == (before.id, (2, 3))

    def test_a_second_report_about_the_same_session_has_an_id_of_its_own(self) -> None:
        case = a_case(10).scored(14, 10, 14)
        case.corrected(2, 14)  # one episode 1-3, the second report is merged
        case.corrected(1, 10)  # 2-3
        case.corrected(2, 10)  # 3
        case.corrected(1, 14)  # 1 and 3
        ids = [report.id for report in case.reports()]
        assert len(set(ids)) == len(ids)
        live = sorted(report.sessions for report in case.reports() if not report.retracted)
        assert live == [(1,), (3,)]

    def test_episodes_that_merge_leave_one_report_and_the_other_says_where_it_went(self) -> None:
        case = a_case(10).scored(14, 10, 14)
        first, second = case.reports()
        case.corrected(2, 14)
        kept, merged = case.reports()
        assert (kept.id, kept.sessions, kept.retracted) == (first.id, (1, 2, 3), False)
        assert (merged.id, merged.retracted, merged.merged_into) == (second.id, True, first.id)
        (last,) = (revised for revised in case.told(ReportRevised) if revised.report == second.id)
        assert (last.state, last.changes, last.merged_into) == ("retracted", ("merged",), first.id)
        assert case.notices() == ["not issued", "not issued"]

    def test_of_two_reports_of_an_episode_the_one_that_still_holds_goes_on(self) -> None:
        case = a_case(10).scored(14, 9, 14)
        earlier, later = case.reports()
        case.corrected(1, 9)  # the earlier report is retracted
        case.corrected(2, 14)  # 2-3
        case.corrected(1, 14)  # 1-3
        assert [(report.id, report.retracted, report.merged_into) for report in case.reports()] == [
            (earlier.id, True, None),
            (later.id, False, None),
        ]
        assert case.reports()[1].sessions == (1, 2, 3)

    def test_a_report_goes_with_the_part_that_it_shares_most_sessions_with(self) -> None:
        case = a_case(10).scored(14, 14, 14, 14)
        case.corrected(2, 10)
        assert [report.sessions for report in case.reports()] == [(3, 4), (1,)]

    def test_an_episode_that_falls_apart_keeps_its_report_and_gets_a_second_one(self) -> None:
        case = a_case(10).scored(14, 14, 14)
        (report,) = case.reports()
        case.corrected(2, 10)
        kept, new = case.reports()
        assert (kept.id, kept.sessions, new.sessions) == (report.id, (1,), (3,))

    def test_is_revised_once_by_an_answer_at_an_earlier_session_that_was_not_judged(self) -> None:
        case = a_case(10).scored(9)
        case.says(SessionCancelled(session=2))
        case.answered(3, 14)
        case.answered(2, 12)
        (revised,) = case.told(ReportRevised)
        assert [judged.session for judged in revised.content.judged] == [1, 2, 3]
        assert revised.content.curves[0].sessions == (0, 1, 2, 3)

    def test_is_revised_by_an_answer_that_the_policy_of_its_session_does_not_judge_by(self) -> None:
        case = a_case(10).scored(9)
        primary = {"instrument": instrument("who-5")[0], "scale": "total", "healthy": "screen-positive"}
        case.policy_changed(policy_like(id="who-5-rules", primary=primary), from_session=2)
        case.says(SessionCancelled(session=2))
        for session in (3, 4):
            case.missed(session, "who-5")
        case.answered(2, 12)
        (revised,) = case.told(ReportRevised)
        assert sorted(case.course.judged) == [1, 3, 4]
        assert [curve.sessions for curve in revised.content.curves] == [(0, 1, 2)]


class TestRetraction:
    def test_a_report_whose_episode_is_revised_away_is_retracted_with_a_notice(self) -> None:
        case = a_case(10).scored(14)
        case.corrected(1, 11)
        (report,) = case.reports()
        assert report.retracted
        assert case.notices() == ["not issued", "not retracted"]

    def test_keeps_the_content_that_it_had(self) -> None:
        case = a_case(10).scored(14)
        before = content(case.reports()[0])
        case.corrected(1, 11)
        (revised,) = case.told(ReportRevised)
        assert (revised.state, revised.changes, revised.content) == ("retracted", ("retracted",), before)

    def test_comes_back_under_its_own_id(self) -> None:
        case = a_case(10).scored(14)
        case.corrected(1, 11)
        case.corrected(1, 15)
        (report,) = case.reports()
        assert "reinstated" in case.told(ReportRevised)[-1].changes
        assert (report.retracted, report.sessions) == (False, (1,))
        assert case.notices() == ["not issued", "not retracted", "not issued"]

    def test_is_taken_back_though_the_report_reads_as_before(self) -> None:
        case = a_case(10).scored(14)
        case.corrected(1, 11)
        case.corrected(1, 14)
        assert [revised.state for revised in case.told(ReportRevised)] == ["retracted", "open"]

    def test_is_said_once(self) -> None:
        case = a_case(10).scored(14)
        case.corrected(1, 11)
        case.scored(10, 8)
        assert [revised.changes for revised in case.told(ReportRevised)] == [("retracted",)]

    def test_of_the_part_that_goes_on_of_what_was_announced_makes_a_notice(self) -> None:
        case = a_case(10).scored(14, 14, 14)
        case.corrected(2, 10)
        before = case.notices()
        case.corrected(3, 10)
        assert [(report.sessions, report.retracted) for report in case.reports()] == [((1,), False), ((3,), True)]
        assert case.notices() == [*before, "not retracted"]

    def test_of_the_report_by_which_an_episode_was_known_makes_a_notice_of_what_goes_on(self) -> None:
        case = a_case(10).scored(14, 14, 14)
        for session in (2, 1):
            case.corrected(session, 10)
        assert [(report.sessions, report.retracted) for report in case.reports()] == [((1,), True), ((3,), False)]
        assert case.notices()[3:] == ["not retracted", "not status_changed"]

        # which is known by itself from then on
        case.corrected(3, 7)
        assert case.notices()[5:] == ["not retracted"]

    def test_of_a_report_into_which_an_announced_one_was_merged_makes_a_notice(self) -> None:
        case = a_case(10).scored(9, 8)
        case.corrected(1, 14)  # an episode that is over
        case.scored(14)
        case.corrected(2, 14)  # one episode 1-3, the second report is merged
        assert case.notices() == ["not issued"]
        case.baseline_set(12)
        assert all(report.retracted for report in case.reports())
        assert case.notices() == ["not issued", "not retracted"]

    def test_of_what_the_report_that_told_of_an_episode_was_merged_into_makes_a_notice_of_what_goes_on(self) -> None:
        # given an announced report that was merged into one of the past, and an episode that falls apart again
        case = a_case(10, policy_like(notify="first_of_episode")).scored(9, 8)
        case.corrected(1, 14)
        case.scored(14)
        case.corrected(2, 14)
        case.scored(14)
        case.corrected(3, 10)
        assert [report.sessions for report in case.reports() if not report.retracted] == [(1, 2), (4,)]

        # when the report is retracted that the announced one was merged into, then what goes on is told
        for session in (2, 1):
            case.corrected(session, 10)
        assert [report.retracted for report in case.reports()] == [True, True, False]
        assert case.notices() == ["not issued", "not retracted", "not status_changed"]

    def test_of_a_report_that_was_never_announced_makes_no_notice(self) -> None:
        case = a_case(10).scored(10, 9)
        case.corrected(1, 14)
        case.corrected(1, 10)
        (report,) = case.reports()
        assert report.retracted
        assert case.notices() == []


class TestNotices:
    def test_a_revision_of_the_past_makes_one_only_if_the_current_status_changes(self) -> None:
        case = a_case(10).scored(10, 9)
        case.corrected(1, 14)
        assert (len(case.reports()), case.notices()) == (1, [])
        case.corrected(2, 15)
        assert case.notices() == ["not status_changed"]

    def test_go_to_the_group_that_the_patient_is_in_now(self) -> None:
        case = a_case(10).scored(14)
        case.says(CaseTransferred(group="g2"))
        case.scored(14)
        assert [notice.group for notice in case.told(NoticeRequested)] == ["g1", "g2"]

    def test_are_none_of_a_transfer_and_standing_reports_name_the_new_group(self) -> None:
        case = a_case(10).scored(14)
        case.says(CaseTransferred(group="g2"))
        assert content(case.reports()[0]).group == "g2"
        assert case.told(ReportRevised)[-1].changes == ("context_changed",)
        assert case.notices() == ["not issued"]

    def test_go_to_another_clinic_if_the_patient_is_there_now(self) -> None:
        case = a_case(10).scored(14)
        case.says(CaseTransferred(clinic="c2", group="g7"))
        case.scored(14)
        case.says(CaseTransferred(group="g8"))
        case.scored(14)
        told = [(notice.clinic, notice.group) for notice in case.told(NoticeRequested)]
        assert told == [("c1", "g1"), ("c2", "g7"), ("c2", "g8")]

    def test_are_made_of_a_second_episode_that_a_late_answer_shows_to_be_going_on(self) -> None:
        case = a_case(10).scored(14, 9, MISSED, MISSED)
        case.answered(3, 14)
        assert case.notices() == ["not issued", "silent issued", "not issued", "silent retracted"]

    def test_are_made_of_the_report_that_speaks_of_now_and_no_earlier_one(self) -> None:
        case = a_case(10).scored(14, 9, 13)
        case.baseline_set(11)
        assert [report.retracted for report in case.reports()] == [False, True]
        assert case.notices() == ["not issued", "not issued", "not retracted"]

    def test_are_not_made_of_a_session_that_was_answered_after_the_episode_was_over(self) -> None:
        case = a_case(10).scored(9)
        case.says(SessionCancelled(session=2))
        case.answered(3, 8)
        case.answered(2, 14)
        assert ([report.sessions for report in case.reports()], case.notices()) == ([(2,)], [])

    def test_are_made_when_a_correction_ends_the_current_episode(self) -> None:
        case = a_case(10).scored(14, 14)
        case.corrected(2, 10)
        assert case.notices() == ["not issued", "not further_session", "not status_changed"]

    def test_are_made_of_an_episode_that_a_late_answer_shows_to_be_going_on(self) -> None:
        case = a_case(10).scored(9, MISSED, MISSED)
        case.answered(2, 14)
        assert case.notices() == ["silent issued", "not issued", "silent retracted"]

    def test_are_made_of_an_episode_that_goes_on_since_the_session_that_ended_it_is_unknown(self) -> None:
        case = a_case(10).scored(9, MISSED, 9)
        case.answered(2, 14)
        assert case.notices() == []
        case.withdrawn(3)
        assert case.notices() == ["not status_changed"]

    def test_are_made_of_a_new_session_that_joins_an_episode_before_the_latest(self) -> None:
        case = a_case(10).scored(14)
        case.missed(3)
        case.answered(2, 14)
        assert case.notices() == ["not issued", "not further_session"]

    def test_are_made_of_a_retraction_only_once_if_the_report_was_not_announced_again(self) -> None:
        case = a_case(10).scored(14, 9)
        for total in (10, 14, 10):
            case.corrected(1, total)
        assert ([report.retracted for report in case.reports()], case.notices()) == (
            [True],
            ["not issued", "not retracted"],
        )

    def test_are_not_made_of_an_episode_that_is_long_over(self) -> None:
        case = a_case(10).scored(9, MISSED, 9)
        case.answered(2, 14)
        assert (len(case.reports()), case.notices()) == (1, [])

    def test_are_not_made_when_a_running_episode_falls_apart(self) -> None:
        case = a_case(10).scored(14, 14, 14)
        before = case.notices()
        case.corrected(2, 10)
        assert case.notices() == before


class TestProblems:
    def named(self, case: Case, text: str, session: int, problem: Literal[1, 2] = 1) -> None:
        at = FIRST_DAY + timedelta(weeks=session, hours=-1)
        case.says(ProblemNamed(problem=problem, text=text), at=at, key=f"{text}/{session}")

    def curves(self, case: Case) -> list[tuple[int | None, list[int | str]]]:
        report = content(case.reports()[0])
        return [
            (curve.series, [point.session for point in curve.points])
            for curve in report.curves
            if curve.scale == "problem-1"
        ]

    def test_new_words_start_a_new_curve_and_the_same_words_do_not(self) -> None:
        case = a_case(10)
        for session, text in ((1, "sleep"), (2, "sleep"), (3, "my brother")):
            self.named(case, text, session)
            case.answered(session, psychlops(3), name="psychlops-2")
        case.answered(3, 14)
        assert self.curves(case) == [(1, [1, 2]), (2, [3])]

    def test_scores_go_with_the_words_of_their_time_in_whatever_order_these_came(self) -> None:
        case = a_case(10)
        for session in (1, 2):
            case.answered(session, psychlops(3), name="psychlops-2")
        case.answered(2, 14)
        self.named(case, "my brother", 2)
        self.named(case, "sleep", 1)
        assert self.curves(case) == [(1, [1]), (2, [2])]
        texts = [problem.text for problem in content(case.reports()[0]).problems]
        assert texts == ["sleep", "my brother"]


class TestContent:
    def a_not_case(self) -> Case:
        case = a_case(10, protocol="group-cbt-depression-14")
        case.says(ProblemNamed(problem=1, text="I lie awake"), at=FIRST_DAY)
        monday = FIRST_DAY + timedelta(weeks=2)
        case.answered(1, 10)
        case.answered(1, gq(2), name="gq-12", comment="nobody asked me", at=monday - timedelta(days=7))
        case.answered(2, 15, comment="it got worse", at=monday)
        case.answered(2, psychlops(5), name="psychlops-2", at=monday + timedelta(minutes=1))
        case.answered(2, {"adherence": 0}, name="homework", at=monday + timedelta(minutes=2))
        case.answered(2, gq(2), name="gq-12", comment="after the session", at=monday + timedelta(hours=3))
        return case

    def test_holds_the_negative_answers_of_the_morning_and_of_the_form_after_the_last_session(self) -> None:
        case = self.a_not_case()
        forms = content(case.reports()[0]).forms
        assert [(form.session, form.instrument.partition("@")[0]) for form in forms] == [
            (1, "gq-12"),
            (2, "odsis"),
            (2, "psychlops-2"),
            (2, "homework"),
        ]

    def test_holds_the_comments_of_those_forms_and_no_other(self) -> None:
        case = self.a_not_case()
        comments = [form.comment for form in content(case.reports()[0]).forms if form.comment]
        assert comments == ["nobody asked me", "it got worse"]

    def test_names_what_fired_with_its_numbers_policy_and_reading(self) -> None:
        decision = content(self.a_not_case().reports()[0]).decision
        assert decision is not None
        evidence = decision.rules[0]
        assert (evidence.rule, evidence.reading, int(evidence.changes[0])) == ("deterioration/1", "baseline", 5)
        assert decision.policy.startswith("gryesten-2023@1#")

    def test_holds_the_trajectory_with_the_primary_scale_first_and_the_problem_in_own_words(self) -> None:
        report = content(self.a_not_case().reports()[0])
        primary = report.curves[0]
        assert (primary.instrument.partition("@")[0], primary.scale) == ("odsis", "total")
        assert [(point.session, int(point.value)) for point in primary.points] == [(0, 10), (1, 10), (2, 15)]
        assert [(problem.problem, problem.text) for problem in report.problems] == [(1, "I lie awake")]

    def test_forms_of_the_same_morning_revise_the_report_without_another_notice(self) -> None:
        case = self.a_not_case()
        assert [revised.changes for revised in case.told(ReportRevised)] == [("answers_changed",), ("answers_changed",)]
        assert case.notices() == ["not issued"]

    def test_suggests_needs_that_the_flagged_answers_point_to_and_actions_for_them(self) -> None:
        report = content(self.a_not_case().reports()[0])
        because = {sign for need in report.needs for sign in need.because}
        assert "homework/adherence" in because
        assert "adjusted-homework" in report.actions

    def test_holds_the_forms_of_individual_sessions_since_the_session_before(self) -> None:
        case = a_case(10, protocol="group-cbt-depression-14")
        for session in (7, 8):
            case.answered(session, 14)
            if session == 7:
                case.answered("individual-2", 13, comment="only you", at=FIRST_DAY + timedelta(weeks=7, days=2))
        report = content(case.reports()[0])
        assert [(form.session, form.comment) for form in report.forms if form.comment] == [("individual-2", "only you")]
        assert [point.session for point in report.curves[0].points] == [0, 7, "individual-2", 8]

    def test_of_an_individual_session_does_not_reach_the_report_before_it(self) -> None:
        case = a_case(10, protocol="group-cbt-depression-14")
        case.answered(7, 14)
        case.answered("individual-2", 13, comment="only you", at=FIRST_DAY + timedelta(weeks=7, days=2))
        assert case.told(ReportRevised) == []

    def test_only_what_the_protocol_offers_is_proposed(self) -> None:
        case = self.a_not_case()
        protocol = definitions().protocol(case.protocol)
        assert set(content(case.reports()[0]).actions) <= {offer.action for offer in protocol.offers}

    def test_life_events_are_context_and_never_a_trigger(self) -> None:
        case = a_case(10)
        answers = dict.fromkeys(["finances", "job", "family", "housing", "intimate_relations", "life_situation"], 0)
        case.answered(1, {**answers, "job": 1}, name="life-events")
        case.answered(1, 9)
        assert case.reports() == []
        case.answered(2, 14)
        assert [(answer.session, answer.item) for answer in content(case.reports()[0]).context] == [(1, "job")]

    def test_never_shows_new_answers_beside_an_old_decision(self) -> None:
        case = a_case(10).scored(14, 15)
        case.corrected(2, 16)
        for revised in case.told(ReportRevised):
            decision = revised.content.decision
            assert decision is not None
            assert decision.score == revised.content.curves[0].points[-1].value

    @pytest.mark.parametrize(
        ("baseline", "weeks", "then"),
        [(None, -1, 9), (None, 5, 9), (10, -1, 9), (10, 5, 10)],
        ids=["in place of session 1", "that too, though late", "in place of session 0", "and stays beside it"],
    )
    def test_is_revised_once_when_another_form_of_before_the_course_comes(
        self, baseline: int | None, weeks: int, then: int
    ) -> None:
        # given a case of which the first score is the baseline, and a report
        case = a_case(baseline, policy_like(baseline="first_valid"), "group-cbt-depression-14").scored(10, 14)
        assert len(case.reports()) == 1

        # when another form of before the course comes, which may be the first one by the time when it was answered
        case.answered("individual-1", 9, at=FIRST_DAY + timedelta(weeks=weeks))

        # then the report says once what holds now
        (revised,) = case.told(ReportRevised)
        assert "individual-1" in revised.content.curves[0].sessions
        assert revised.content.decision is not None
        assert revised.content.decision.baseline is not None
        assert revised.content.decision.baseline.value == then

    def test_a_correction_of_a_comment_alone_revises_the_report(self) -> None:
        case = a_case(10).scored(14)
        case.corrected(1, 14, comment="what I meant")
        assert [revised.changes for revised in case.told(ReportRevised)] == [("answers_changed",)]


class TestSafety:
    def phq9(self, last: int) -> dict[str, int]:
        items = [item.id for item in instrument("phq-9")[1].items]
        return dict.fromkeys(items[:-1], 0) | {items[-1]: last}

    def test_a_safety_answer_makes_a_report_of_its_own_whatever_the_status(self) -> None:
        case = a_case(12).scored(9)
        case.answered(1, self.phq9(1), name="phq-9")
        assert (len(case.reports("safety")), case.notices()) == (1, ["safety issued"])

    def test_is_named_in_every_other_report_of_the_patient(self) -> None:
        case = a_case(10)
        case.answered(1, self.phq9(3), name="phq-9", comment="to you only")
        case.scored(14)
        safety = content(case.reports()[0]).safety
        assert [(form.session, form.flags[0].value, form.comment) for form in safety] == [(1, 3, None)]

    def test_none_is_made_of_other_answers(self) -> None:
        case = a_case(12)
        case.answered(1, self.phq9(0), name="phq-9")
        assert case.reports("safety") == []

    @pytest.mark.parametrize("protocol", ["group-cbt-depression-14", "open-ended"])
    def test_is_made_at_individual_sessions_too(self, protocol: str) -> None:
        case = a_case(12, protocol=protocol)
        case.answered("individual-2", self.phq9(2), name="phq-9")
        assert content(case.reports("safety")[0]).session == "individual-2"

    def test_is_named_in_open_reports_whenever_and_wherever_it_is_given(self) -> None:
        case = a_case(10, protocol="group-cbt-depression-14")
        case.answered(1, 14)
        case.answered("individual-2", self.phq9(2), name="phq-9")
        case.answered(2, self.phq9(1), name="phq-9")
        safety = content(case.reports()[0]).safety
        assert [(form.session, form.flags[0].value) for form in safety] == [("individual-2", 2), (2, 1)]
        changes = [revised.changes for revised in case.told(ReportRevised) if revised.report == case.reports()[0].id]
        assert changes == [("safety_changed",)] * 2

    def test_that_is_taken_back_leaves_the_open_reports(self) -> None:
        case = a_case(10)
        case.answered(1, self.phq9(2), name="phq-9")
        case.answered(1, 14)
        case.withdrawn(1, name="phq-9")
        assert content(case.reports()[0]).safety == ()

    def test_the_same_answer_again_is_no_revision(self) -> None:
        case = a_case(12)
        response = case.answered(1, self.phq9(1), name="phq-9")
        same = ResponseCorrected(response=response, answers=self.phq9(1), reason="typed twice", by="nurse:1")
        case.says(same)
        assert case.told(ReportRevised) == []

    def test_speaks_of_no_decision(self) -> None:
        case = a_case(10)
        case.answered(1, 14)
        case.answered(1, self.phq9(2), name="phq-9")
        assert content(case.reports("safety")[0]).decision is None

    def test_comes_back_with_a_notice_when_the_answer_does(self) -> None:
        case = a_case(12)
        response = case.answered(1, self.phq9(1), name="phq-9")
        for last in (0, 2, 3):
            case.says(
                ResponseCorrected(response=response, answers=self.phq9(last), reason="typing", by="nurse:1"),
            )
        changes = [(revised.state, revised.changes) for revised in case.told(ReportRevised)]
        assert changes == [
            ("retracted", ("retracted",)),
            ("open", ("reinstated",)),
            ("open", ("answers_changed",)),
        ]
        assert case.notices() == ["safety issued", "safety retracted", "safety issued"]

    def test_is_retracted_when_the_response_is_withdrawn(self) -> None:
        case = a_case(12)
        case.answered(1, self.phq9(3), name="phq-9")
        case.withdrawn(1, name="phq-9")
        assert case.reports("safety")[0].retracted
        assert case.notices() == ["safety issued", "safety retracted"]


class TestSilence:
    def test_patients_who_stop_answering_do_not_go_unseen(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED)
        (report,) = case.reports("silent")
        assert report.sessions == (2, 3)
        assert case.notices() == ["silent issued"]

    def test_a_longer_silence_revises_the_report_without_another_notice(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED, MISSED)
        assert case.reports("silent")[0].sessions == (2, 3, 4)
        assert case.notices() == ["silent issued"]

    def test_one_missed_session_is_no_silence(self) -> None:
        assert a_case(12).scored(9, MISSED, 9, MISSED, 9).reports("silent") == []

    def test_each_silence_has_a_report_of_its_own(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED, 9, MISSED, MISSED, MISSED)
        assert [report.sessions for report in case.reports("silent")] == [(2, 3), (5, 6, 7)]

    def test_is_one_in_whatever_order_its_sessions_become_known(self) -> None:
        case = a_case(12).scored(9)
        for session in (4, 3, 2):
            case.missed(session)
        (report,) = case.reports("silent")
        assert report.sessions == (2, 3, 4)

    def test_that_is_over_when_it_is_found_makes_no_notice_though_the_patient_is_worse(self) -> None:
        case = a_case(12).scored(9)
        case.answered(4, 20)
        assert [report.sessions for report in case.reports("silent")] == [(2, 3)]
        assert case.notices() == ["not issued"]

    def test_that_goes_on_makes_a_notice_also_where_a_withdrawal_shows_it(self) -> None:
        case = a_case(12).scored(9, MISSED, 9, MISSED)
        case.withdrawn(3)
        assert (case.reports("silent")[0].sessions, case.notices()) == ((2, 3, 4), ["silent issued"])

    def test_that_was_over_when_it_was_found_makes_a_notice_once_it_goes_on(self) -> None:
        case = a_case(12).scored(9)
        case.answered(4, 7)
        case.withdrawn(4)
        assert (case.reports("silent")[0].sessions, case.notices()) == ((2, 3, 4), ["silent status_changed"])

    def test_that_goes_on_after_all_makes_another_notice(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED, 9, MISSED)
        case.withdrawn(4)
        assert case.reports("silent")[0].sessions == (2, 3, 4, 5)
        assert case.notices() == ["silent issued", "silent status_changed"]

    def test_of_which_therapists_know_makes_no_other_notice_when_it_grows_together_and_falls_apart(
        self,
    ) -> None:
        case = a_case(12).scored(9, MISSED, MISSED, 9, MISSED, MISSED)
        before = case.notices()
        assert before == ["silent issued", "silent issued"]
        case.withdrawn(4)
        case.answered(4, 9)
        assert case.notices() == before

    def test_that_a_late_answer_shortens_makes_no_other_notice(self) -> None:
        case = a_case(12).scored(9, *[MISSED] * 6)
        case.answered(5, 9)
        assert case.notices() == ["silent issued"]

    @pytest.mark.parametrize("totals", [(10,), (10, 9), (10, 9, 10)], ids=len)
    def test_that_fell_apart_makes_no_other_notice_by_what_is_corrected_later(self, totals: Sequence[int]) -> None:
        case = a_case(12).scored(9, *[MISSED] * 6)
        case.answered(5, 9)
        for total in totals:
            case.corrected(5, total)
        assert [report.sessions for report in case.reports("silent")] == [(2, 3, 4), (6, 7)]
        assert case.notices() == ["silent issued"]

    def test_that_goes_on_is_told_where_the_report_by_which_it_was_known_is_retracted(self) -> None:
        case = a_case(12).scored(9, *[MISSED] * 6)
        for session in (5, 3):
            case.answered(session, 9)
        assert [(report.sessions, report.retracted) for report in case.reports("silent")] == [
            ((2, 3, 4), True),
            ((6, 7), False),
        ]
        assert case.notices() == ["silent issued", "silent retracted", "silent status_changed"]

    def test_of_which_therapists_know_makes_no_other_notice_under_the_report_that_it_was_merged_into(self) -> None:
        case = a_case(12).scored(9)
        case.answered(4, 7)  # a silence that is over
        for session in (5, 6):
            case.missed(session)
        case.withdrawn(4)
        case.corrected(1, 10)
        assert case.reports("silent")[0].sessions == (2, 3, 4, 5, 6)
        assert case.notices() == ["silent issued"]

    @pytest.mark.parametrize("overdue", [False, True], ids=["told to nobody", "told to the supervisor"])
    def test_that_goes_on_makes_a_notice_where_the_session_after_it_was_cancelled(self, overdue: bool) -> None:
        # given a silence that was over when it was found, before a session that was answered though it was cancelled
        case = a_case(12).scored(9)
        case.says(SessionCancelled(session=4))
        case.answered(4, 7)
        if overdue:
            case.says(SessionDue(session=5, scheduled=FIRST_DAY + timedelta(weeks=5)))
        before = case.notices()

        # when that answer is withdrawn, then therapists are told
        case.withdrawn(4)
        assert case.reports("silent")[0].sessions == (2, 3)
        assert case.notices() == [*before, "silent status_changed"]

    def test_is_not_ended_by_a_session_that_was_cancelled(self) -> None:
        case = a_case(12).scored(9, MISSED, 9, MISSED)
        case.says(SessionCancelled(session=4))
        case.withdrawn(3)
        assert (case.reports("silent")[0].sessions, case.notices()) == ((2, 3), ["silent issued"])

    def test_a_late_answer_retracts_it(self) -> None:
        case = a_case(12).scored(9, MISSED, MISSED)
        case.answered(2, 9)
        assert case.reports("silent")[0].retracted
        assert case.notices() == ["silent issued", "silent retracted"]


class TestOverdue:
    def due(self, case: Case, session: int | str, at: datetime | None = None) -> None:
        at = at or FIRST_DAY + timedelta(weeks=int(session), minutes=30)
        case.says(SessionDue(session=session, scheduled=at), at=at)

    def test_a_report_that_nobody_has_seen_by_the_next_session_is_overdue_and_the_supervisor_is_told(self) -> None:
        case = a_case(10).scored(14)
        self.due(case, 1)
        assert case.told(ReportOverdue) == []
        self.due(case, 2)
        self.due(case, 3)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [2]
        assert [notice.to for notice in case.told(NoticeRequested)] == ["therapists", "supervisor"]

    @pytest.mark.parametrize(
        "dealt_with",
        [
            lambda report: ReportSeen(report=report, by="therapist:1"),
            lambda report: ReportDiscussed(report=report, by="therapist:1"),
            lambda report: NeedsStated(report=report, seen_by="therapist", needs=(), by="therapist:1"),
            lambda report: ActionChosen(report=report, action="none", by="therapist:1", patient_agreed=True),
            lambda report: ReportClosed(report=report, by="therapist:1"),
        ],
        ids=["seen", "discussed", "needs stated", "action chosen", "closed"],
    )
    def test_one_that_somebody_has_dealt_with_is_not(self, dealt_with: Callable[[str], Data]) -> None:
        case = a_case(10).scored(14)
        case.says(dealt_with(case.reports()[0].id))
        self.due(case, 2)
        assert case.told(ReportOverdue) == []

    def test_one_that_was_retracted_is_not(self) -> None:
        case = a_case(10).scored(14)
        case.corrected(1, 11)
        self.due(case, 2)
        assert case.told(ReportOverdue) == []

    def test_one_of_which_the_supervisor_was_told_is_told_again_once_it_was_announced_again(self) -> None:
        case = a_case(10).scored(14)
        self.due(case, 2)
        case.scored(14)
        self.due(case, 3)
        self.due(case, 4)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [2, 3]

    def test_the_retraction_of_what_only_the_supervisor_was_told_of_is_told_to_the_supervisor(self) -> None:
        case = a_case(10).scored(14, 9)
        for total in (10, 14):
            case.corrected(1, total)
        self.due(case, 3)
        case.corrected(1, 10)
        assert [(notice.reason, notice.to) for notice in case.told(NoticeRequested)] == [
            ("issued", "therapists"),
            ("retracted", "therapists"),
            ("overdue", "supervisor"),
            ("retracted", "supervisor"),
        ]

    def test_a_safety_report_of_before_the_course_is_overdue_at_the_first_session(self) -> None:
        case = a_case(12, protocol="group-cbt-depression-14")
        answers = {item.id: 1 for item in instrument("phq-9")[1].items}
        case.answered("individual-1", answers, name="phq-9")
        self.due(case, 1)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [1]

    def test_a_safety_report_is_not_overdue_at_its_own_session(self) -> None:
        case = a_case(12)
        case.answered(1, {item.id: 1 for item in instrument("phq-9")[1].items}, name="phq-9")
        self.due(case, 1)
        self.due(case, 2)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [2]

    def test_an_individual_session_asks_for_it_too(self) -> None:
        case = a_case(10, protocol="group-cbt-depression-14").scored(14)
        self.due(case, "individual-2", FIRST_DAY + timedelta(days=10))
        assert [overdue.session for overdue in case.told(ReportOverdue)] == ["individual-2"]

    def test_a_session_that_was_over_before_the_report_was_there_does_not_ask_for_it(self) -> None:
        # given a report of answers that came when two other sessions were over, which nobody had told of
        case = a_case(10, protocol="group-cbt-depression-14").scored(14)
        came = case.facts[-1].recordedtime
        self.due(case, "individual-2", came - timedelta(days=1))
        self.due(case, 2, came)
        assert case.told(ReportOverdue) == []

        # when a session comes after it, then that one asks for it
        self.due(case, 3, came + timedelta(milliseconds=1))
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [3]

    def test_one_that_is_announced_again_is_overdue_at_the_session_after_that(self) -> None:
        # given a report that is announced again by an answer that comes after the next session
        case = a_case(10).scored(14, 14)
        came = case.facts[-1].recordedtime

        # when that session is told of afterwards, then it asks for nothing
        self.due(case, 3, came - timedelta(minutes=1))
        assert case.told(ReportOverdue) == []

    def test_a_safety_report_is_not_overdue_at_its_own_individual_session(self) -> None:
        case = a_case(12, protocol="group-cbt-depression-14")
        case.answered("individual-2", {item.id: 1 for item in instrument("phq-9")[1].items}, name="phq-9")
        came = case.facts[-1].recordedtime
        self.due(case, "individual-2", came + timedelta(hours=1))
        assert case.told(ReportOverdue) == []
        self.due(case, 3, came + timedelta(hours=2))
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [3]

    def test_a_report_that_made_no_notice_can_be_overdue_too(self) -> None:
        case = a_case(10).scored(10, 9)
        case.corrected(1, 14)
        self.due(case, 3)
        assert case.notices() == ["not overdue"]

    @pytest.mark.parametrize(("scores", "notices"), [((10, 9), []), ((10,), ["not issued"])], ids=["without", "with"])
    def test_one_is_there_when_what_it_follows_from_is_recorded_with_a_notice_or_without(
        self, scores: Sequence[int], notices: list[str]
    ) -> None:
        # given a report that follows from a correction which was recorded some days after it was made
        case = a_case(10).scored(*scores)
        response = case.responses[1, "odsis"]
        correction = ResponseCorrected(response=response, answers=odsis(14), reason="typing", by="nurse:1")
        made = case.states(correction)
        recorded = made.recordedtime + timedelta(days=3)
        case.hears(made._replace(recordedtime=recorded))
        assert case.notices() == notices

        # when it is told of a session in between, then that one does not ask for it, and the next one does
        self.due(case, 3, recorded - timedelta(days=1))
        assert case.told(ReportOverdue) == []
        self.due(case, 4, recorded + timedelta(days=1))
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [4]

    def test_what_the_patient_says_of_it_does_not_make_it_seen(self) -> None:
        case = a_case(10).scored(14)
        said = NeedsStated(report=case.reports()[0].id, seen_by="patient", needs=("agreement-on-tasks",), by="patient")
        case.says(said)
        self.due(case, 2)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [2]

    def test_one_that_was_closed_and_announced_again_is_open_again(self) -> None:
        case = a_case(10).scored(14)
        case.says(ReportClosed(report=case.reports()[0].id, by="therapist:1"))
        case.scored(14)
        self.due(case, 3)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [3]

    def test_one_that_was_announced_again_must_be_seen_again(self) -> None:
        case = a_case(10).scored(14)
        case.says(ReportSeen(report=case.reports()[0].id, by="therapist:1"))
        case.scored(14)
        self.due(case, 3)
        assert [overdue.session for overdue in case.told(ReportOverdue)] == [3]


def test_a_report_is_closed_until_it_is_announced_again() -> None:
    case = a_case(10).scored(14)
    report = case.reports()[0].id
    case.says(ReportSeen(report=report, by="therapist:1"))
    assert not case.reports()[0].closed
    case.says(ReportClosed(report=report, by="therapist:1"))
    case.says(ReportSeen(report=report, by="therapist:1"))
    assert case.reports()[0].closed
    case.scored(14)
    assert not case.reports()[0].closed


def test_needs_can_be_stated_without_a_report() -> None:
    case = a_case(10)
    case.says(NeedsStated(seen_by="patient", needs=("agreement-on-tasks",), by="patient"))
    assert case.told(FactSetAside) == []


def test_what_is_done_with_a_report_that_does_not_exist_is_set_aside() -> None:
    case = a_case(10).scored(14)
    fact = case.says(
        ActionChosen(
            report="00000000-0000-5000-8000-000000000000", action="individual-session", by="t:1", patient_agreed=True
        )
    )
    assert [(aside.fact, aside.reason) for aside in case.told(FactSetAside)] == [(fact.id, "report_unknown")]


def test_a_report_is_issued_once_and_its_revisions_are_numbered() -> None:
    case = a_case(10).scored(14, 15, 16)
    assert len(case.told(ReportIssued)) == 1
    assert [revised.number for revised in case.told(ReportRevised)] == [2, 3]


def test_each_revision_names_the_one_that_it_revises() -> None:
    case = a_case(10).scored(14, 15, 16)
    said = [event.id for event in case.notifier.out if isinstance(event.data, ReportIssued | ReportRevised)]
    assert [revised.revises for revised in case.told(ReportRevised)] == said[:-1]
