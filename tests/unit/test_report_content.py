"""What stands in a report: which forms, in which order, which curves, which needs and actions."""

from datetime import timedelta

import pytest

from contracts.definitions.guidance import Guidance
from contracts.events.facts import ProblemNamed, ResponseCorrected
from contracts.events.notices import Curve, ReportContent, ReportRevised
from tests.support.clinic import (
    FIRST_DAY,
    Case,
    a_case,
    definitions,
    instrument,
    instrument_like,
    policy_like,
    protocol_like,
    rule,
    two_versions,
)

WEEK = timedelta(weeks=1)


def content(case: Case, number: int = 0, kind: str = "not") -> ReportContent:
    return ReportContent.model_validate_json(case.reports(kind)[number].content)


def each(name: str, value: int, **others: int) -> dict[str, int]:
    """Give the same answer to every question but those that are named."""
    return {item.id: value for item in instrument(name)[1].items} | others


def names(report: ReportContent) -> list[str]:
    return [form.instrument.partition("@")[0] for form in report.forms]


def scales(report: ReportContent) -> list[str]:
    return [f"{curve.instrument.partition('@')[0]}/{curve.scale}" for curve in report.curves]


class TestForms:
    def test_without_a_flagged_answer_and_without_a_comment_are_left_out(self) -> None:
        case = a_case(10)
        case.answered(1, each("psychlops-2", 0), name="psychlops-2")
        case.answered(1, each("who-5", 0), name="who-5", comment="tired")
        case.answered(1, 14)
        assert sorted(names(content(case))) == ["odsis", "who-5"]

    def test_show_no_context_among_the_flagged_answers(self) -> None:
        case = a_case(10)
        case.answered(1, each("life-events", 0, job=1), name="life-events", comment="I was dismissed")
        case.answered(1, 14)
        (form,) = (form for form in content(case).forms if form.instrument.startswith("life-events"))
        assert (form.flags, form.comment) == ((), "I was dismissed")
        assert [answer.item for answer in content(case).context] == ["job"]

    def test_stand_in_the_order_in_which_they_were_answered_whenever_they_arrive(self) -> None:
        case, morning = a_case(10), FIRST_DAY + WEEK
        case.answered(1, 14, at=morning + timedelta(minutes=2))
        case.answered(1, each("psychlops-2", 5), name="psychlops-2", at=morning + timedelta(minutes=1))
        assert names(content(case)) == ["psychlops-2", "odsis"]

    def test_of_an_earlier_episode_revise_its_report_too(self) -> None:
        case = a_case(10).scored(14, 9, 14)
        case.corrected(1, 14, comment="what I meant")
        assert [form.comment for form in content(case).forms] == ["what I meant"]

    def test_of_other_instruments_revise_the_report_though_their_scales_have_the_same_name(self) -> None:
        case = a_case(10)
        case.answered(1, 14)
        case.answered(1, each("phq-9", 0), name="phq-9", comment="I sleep badly")
        assert names(content(case)) == ["odsis", "phq-9"]

    def test_of_a_version_that_no_decision_rests_on_revise_the_report(self) -> None:
        instrument_like("odsis", id="mood", version=1)
        newer = instrument_like("odsis", id="mood", version=2, comparable_from=2)
        primary = {"instrument": newer, "scale": "total"}
        case = Case(policy_like(primary=primary, silent_after=1)).enrolled()
        case.answered(0, 10, name="mood@2")
        case.missed(1, "mood@2")
        case.answered(1, 5, name="mood@1", comment="on the old form")
        assert [form.comment for form in content(case, kind="silent").forms] == ["on the old form"]

    def test_of_an_individual_session_say_at_once_what_was_meant_if_no_number_changes(self) -> None:
        case = Case(protocol="group-cbt-depression-14").enrolled()
        case.answered("individual-1", 10, comment="at home")
        case.answered(1, 14)
        case.corrected("individual-1", 10, comment="at my mother's home")
        assert [form.comment for form in content(case).forms if form.comment] == ["at my mother's home"]


class TestSafetyReports:
    def test_show_the_response_that_they_are_about_and_no_other(self) -> None:
        case = a_case(12)
        case.answered(1, 16, comment="not here")
        response = case.answered(1, each("phq-9", 0, self_harm=2), name="phq-9")
        assert [form.response for form in content(case, kind="safety").forms] == [response]

    def test_show_it_also_if_it_was_given_after_the_session(self) -> None:
        instrument_like("phq-9", id="phq-9-after", asked="after_session")
        case = a_case(12)
        response = case.answered(1, each("phq-9", 0, self_harm=2), name="phq-9-after")
        assert [form.response for form in content(case, kind="safety").forms] == [response]

    def test_are_revised_when_the_status_beside_them_changes(self) -> None:
        case = a_case(12)
        case.answered(1, each("phq-9", 0, self_harm=2), name="phq-9")
        case.answered(1, 9)
        assert [judged.status for judged in content(case, kind="safety").judged] == ["on_track"]


class TestCurves:
    def of(self, case: Case, scale: str) -> list[Curve]:
        return [curve for curve in content(case).curves if curve.scale == scale]

    def test_are_in_the_order_of_the_definitions_after_the_primary_one(self) -> None:
        case = a_case(10)
        case.answered(1, each("psychlops-2", 1), name="psychlops-2")
        case.answered(1, each("homework", 1), name="homework")
        case.answered(1, 14)
        assert scales(content(case)) == [
            "odsis/total",
            "homework/adherence",
            "psychlops-2/problem-1",
            "psychlops-2/problem-2",
        ]

    def test_go_through_the_sessions_in_their_order_whenever_the_answers_arrive(self) -> None:
        case = a_case(10)
        case.answered(3, 14)
        case.answered(1, 10, at=FIRST_DAY + 4 * WEEK)
        assert [point.session for point in content(case).curves[0].points] == [0, 1, 3]

    def test_are_drawn_only_of_what_has_a_value_and_is_no_count_of_events(self) -> None:
        case = a_case(10)
        case.answered(1, each("life-events", 1), name="life-events")
        case.answered(1, {"problem_1": 3}, name="psychlops-2")
        case.answered(1, 14)
        assert scales(content(case)) == ["odsis/total", "psychlops-2/problem-1"]

    def test_are_drawn_of_a_count_that_the_policy_judges_by(self) -> None:
        worse = rule("deterioration/1", at_least="2")
        primary = {"instrument": instrument("life-events")[0], "scale": "count"}
        case = Case(policy_like(primary=primary, rules=[worse])).enrolled()
        case.answered(0, each("life-events", 0), name="life-events")
        case.answered(1, each("life-events", 0, job=1, housing=1), name="life-events")
        (curve,) = content(case).curves
        drawn = [(point.session, int(point.value)) for point in curve.points]
        assert (curve.scale, drawn) == ("count", [(0, 0), (1, 2)])

    def test_of_a_problem_belong_to_its_first_words_until_others_are_said(self) -> None:
        case = a_case(10)
        case.answered(1, each("psychlops-2", 3), name="psychlops-2")
        case.says(ProblemNamed(problem=1, text="sleep"), at=FIRST_DAY + WEEK)
        case.says(ProblemNamed(problem=1, text="my brother"), at=FIRST_DAY + 2 * WEEK)
        case.answered(2, each("psychlops-2", 3), name="psychlops-2", at=FIRST_DAY + 2 * WEEK)
        case.answered(2, 14)
        found = [(curve.series, [point.session for point in curve.points]) for curve in self.of(case, "problem-1")]
        assert found == [(1, [1]), (2, [2])]

    def test_of_scales_without_words_of_their_own_have_no_series(self) -> None:
        case = a_case(10).scored(14)
        assert [curve.series for curve in content(case).curves] == [None]

    @pytest.mark.parametrize(("comparable_from", "drawn"), [(1, [[0, 1, 2]]), (2, [[0, 2], [1]])])
    def test_join_versions_of_an_instrument_that_can_be_compared_and_no_others(
        self, comparable_from: int, drawn: list[list[int]]
    ) -> None:
        name = f"drawn-from-{comparable_from}"
        case = Case(two_versions(name, comparable_from)).enrolled()
        case.answered(0, 10, name=f"{name}@2")
        case.answered(1, 10, name=f"{name}@1")
        case.answered(2, 14, name=f"{name}@2")
        assert [[point.session for point in curve.points] for curve in self.of(case, "total")] == drawn

    def test_stand_in_the_order_of_the_version_that_they_name(self) -> None:
        scales = instrument("gq-12")[1].scales
        instrument_like("gq-12", id="turned", version=1)
        turned = [scale.model_dump(mode="json") for scale in reversed(scales)]
        newer = instrument_like("gq-12", id="turned", version=2, scales=turned)
        case = a_case(10)
        case.answered(0, each("gq-12", 3), name="turned@1")
        case.answered(1, each("gq-12", 3), name="turned@2")
        case.answered(2, 14)
        drawn = [curve.scale for curve in content(case).curves if curve.instrument == newer]
        assert drawn == [scale.id for scale in reversed(scales)]

    def test_begin_with_the_scale_that_the_session_of_the_report_was_judged_by(self) -> None:
        primary = {"instrument": instrument("who-5")[0], "scale": "total"}
        other = policy_like(id="who-5-rules", primary=primary, rules=[rule("deterioration/1", at_least=10)])
        case = a_case(10)
        case.answered(0, each("who-5", 3), name="who-5")
        case.answered(1, 14)
        case.answered(2, 9)
        case.policy_changed(other, from_session=3)
        case.answered(3, each("who-5", 1), name="who-5")
        case.corrected(1, 14, comment="what I meant")
        assert [scales(content(case, number))[0] for number in (0, 1)] == ["odsis/total", "who-5/total"]


class TestTheRowOfSessions:
    def test_is_in_their_order_whenever_they_were_judged(self) -> None:
        case = a_case(10)
        case.missed(3)
        case.answered(2, 14)
        case.answered(3, 14)
        assert [judged.session for judged in content(case).judged] == [1, 2, 3]

    def test_ends_with_the_session_of_the_report(self) -> None:
        case = a_case(10).scored(14, 9, 8)
        case.corrected(1, 15)
        assert [judged.session for judged in content(case).judged] == [1]

    @pytest.mark.parametrize("before", [0, "individual-1"])
    def test_never_shows_another_baseline_than_the_decision(self, before: int | str) -> None:
        primary = {"instrument": instrument("who-5")[0], "scale": "total"}
        case = Case(protocol="group-cbt-depression-14").enrolled()
        case.answered(before, 10)
        case.scored(14)
        case.policy_changed(policy_like(id="who-5-rules", primary=primary), from_session=2)
        case.answered(2, each("who-5", 1), name="who-5")
        case.corrected(before, 9)
        for revised in case.told(ReportRevised):
            decision = revised.content.decision
            assert decision is not None
            if decision.baseline is not None:
                assert decision.baseline.value == revised.content.curves[0].points[0].value


class TestProblems:
    def test_stand_with_every_wording_in_their_order(self) -> None:
        case = a_case(10)
        case.says(ProblemNamed(problem=2, text="money"), at=FIRST_DAY)
        case.says(ProblemNamed(problem=1, text="sleep"), at=FIRST_DAY)
        case.says(ProblemNamed(problem=1, text="my brother"), at=FIRST_DAY + WEEK)
        case.answered(2, 14)
        problems = [(problem.problem, problem.series, problem.text) for problem in content(case).problems]
        assert problems == [(1, 1, "sleep"), (1, 2, "my brother"), (2, 1, "money")]


class TestGuidance:
    def test_needs_follow_from_flagged_answers_and_from_context(self) -> None:
        case = a_case(10)
        case.answered(1, each("life-events", 0, job=1), name="life-events")
        case.answered(1, each("needs-check", 0, agreement_on_tasks=1), name="needs-check")
        case.answered(1, each("odsis", 2, frequency=4, intensity=4))
        because = {need.need: need.because for need in content(case).needs}
        assert because == {
            "life-outside-therapy": ("life-events/job",),
            "extended-assessment": ("odsis/frequency", "odsis/intensity"),
            "agreement-on-tasks": ("needs-check/agreement-on-tasks",),
        }

    def test_only_actions_that_answer_those_needs_are_proposed_and_doing_nothing_further(self) -> None:
        case = a_case(9)
        case.answered(1, each("odsis", 2, work_school_home=3, social_life=3))
        assert [need.need for need in content(case).needs] == ["life-outside-therapy"]
        assert content(case).actions == (
            "network-based-problem-solving",
            "involving-relatives",
            "contact-with-municipality",
            "none",
        )

    def test_without_a_need_everything_is_proposed_that_the_clinic_offers(self) -> None:
        offers = [{"action": action, "hours": 1} for action in ("individual-session", "involving-relatives")]
        offering = Case(protocol=protocol_like(offers=offers)).enrolled()
        anything = a_case()
        for case in (offering, anything):
            case.answered(0, 4)
            case.answered(1, each("odsis", 2))
            assert content(case).needs == ()
        assert content(offering).actions == ("individual-session", "involving-relatives")
        guidance = definitions().guidance(content(anything).guidance)
        assert isinstance(guidance, Guidance)
        assert content(anything).actions == tuple(action.id for action in guidance.actions)


class TestChanges:
    """What a revision says of itself."""

    def of_last(self, case: Case, number: int = 0) -> set[str]:
        report = case.reports()[number].id
        return set([revised.changes for revised in case.told(ReportRevised) if revised.report == report][-1])

    def test_name_a_session_that_does_not_belong_to_the_episode_any_more(self) -> None:
        case = a_case(10).scored(14, 14)
        case.corrected(2, 10)
        assert "session_removed" in self.of_last(case)

    def test_name_another_status_of_an_earlier_session(self) -> None:
        case = a_case(10).scored(14, 9, 14)
        case.corrected(1, 9)
        assert self.of_last(case, 1) == {"status_changed"}

    def test_name_another_decision_on_the_same_session(self) -> None:
        case = a_case(10).scored(14)
        case.baseline_set(9)
        assert self.of_last(case) == {"decision_revised"}

    def test_name_what_only_surrounds_the_decision(self) -> None:
        case = a_case(10).scored(9, 14)
        case.answered(1, each("psychlops-2", 1), name="psychlops-2")
        assert self.of_last(case) == {"context_changed"}


class TestABaselineThatComesLate:
    """It changes the decision, so the report waits for that: one revision, with the new answer and the new decision."""

    def revisions(self, case: Case, session: int | str, total: int, days: int) -> list[ReportRevised]:
        """Answer so many days after session 0; give what that made of the reports of sessions not on track."""
        before = len(case.told(ReportRevised))
        case.answered(session, total, at=FIRST_DAY + timedelta(days=days))
        return [revised for revised in case.told(ReportRevised)[before:] if revised.content.kind == "not"]

    def test_is_the_first_one(self) -> None:
        case = a_case(None).scored(10, 10, 10, 10)
        [revised] = self.revisions(case, 0, 10, days=0)
        assert revised.content.decision is not None
        assert revised.content.decision.baseline is not None
        assert revised.content.curves[0].sessions[0] == 0

    def test_takes_the_place_of_an_earlier_one(self) -> None:
        case = a_case(10, protocol="group-cbt-depression-14").scored(14)
        [revised] = self.revisions(case, "individual-1", 9, days=1)
        assert revised.content.decision is not None
        assert revised.content.decision.baseline is not None
        assert revised.content.decision.baseline.session == "individual-1"

    def test_takes_no_place_if_another_one_came_later(self) -> None:
        case = a_case(10, protocol="group-cbt-depression-14").scored(14)
        [revised] = self.revisions(case, "individual-1", 9, days=-1)
        assert revised.content.decision is not None
        assert revised.content.decision.baseline is not None
        assert revised.content.decision.baseline.session == 0
        assert "individual-1" in revised.content.curves[0].sessions

    def test_is_the_first_measured_session_of_a_policy_that_takes_that(self) -> None:
        case = a_case(None, policy_like(id="first", baseline="first_valid"))
        case.answered(2, 10)
        case.answered(3, 14)
        before = len(case.told(ReportRevised))
        case.answered(1, 9, at=FIRST_DAY)
        [revised] = case.told(ReportRevised)[before:]
        assert revised.content.decision is not None
        assert revised.content.decision.baseline is not None
        assert revised.content.decision.baseline.session == 1

    def test_is_not_awaited_where_the_first_measured_session_stays_the_first(self) -> None:
        case = a_case(None, policy_like(id="first", baseline="first_valid")).scored(9, 14)
        case.corrected(2, 14, comment="what I meant")
        assert [form.comment for form in content(case).forms if form.session == 2] == ["what I meant"]


class TestSafetyAnswers:
    def test_that_a_correction_brings_reach_every_report_at_once(self) -> None:
        primary = {"instrument": instrument("phq-9")[0], "scale": "total"}
        case = Case(policy_like(primary=primary, rules=[rule("deterioration/1")])).enrolled()
        for session, first in enumerate((0, 3, 0)):
            case.answered(session, each("phq-9", 0, interest=first), name="phq-9")
        assert len(case.reports()) == 1
        answers = each("phq-9", 0, self_harm=1)
        case.says(
            ResponseCorrected(response=case.responses[2, "phq-9"], answers=answers, reason="typing", by="nurse:1")
        )
        assert (case.reports()[0].sessions, [form.session for form in content(case).safety]) == ((1,), [2])
