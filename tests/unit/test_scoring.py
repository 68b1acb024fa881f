"""What scoring promises: repeated facts dropped, senseless ones set aside, responses scored, corrected, withdrawn."""

from datetime import timedelta
from decimal import Decimal

import pytest

from contracts.events.event import Data
from contracts.events.facts import (
    CaseClosed,
    CaseErased,
    OccasionClosed,
    OccasionOpened,
    ReportSeen,
    ResponseCorrected,
    ResponseSubmitted,
    ResponseWithdrawn,
    SessionAbsent,
    SessionAttended,
    SessionDue,
    SessionMoved,
    SessionScheduled,
)
from contracts.events.scores import (
    FactSetAside,
    OccasionMissed,
    ScoreComputed,
    ScoreRevised,
    ScoreWithdrawn,
)
from tests.support.clinic import FIRST_DAY, MISSED, Case, a_case, instrument, odsis


def reasons(case: Case) -> list[str]:
    return [aside.reason for aside in case.told(FactSetAside)]


def test_a_response_becomes_a_score_with_its_flagged_answers_and_its_comment() -> None:
    case = a_case()
    case.answered(1, {**odsis(0), "frequency": 3, "intensity": 2}, comment="a hard week")
    (score,) = case.told(ScoreComputed)
    assert [(s.scale, s.value) for s in score.scales] == [("total", Decimal(5))]
    assert [(flag.item, flag.value, flag.kind) for flag in score.flags] == [("frequency", 3, "negative")]
    assert score.comment == "a hard week"


def test_an_answer_that_may_be_left_out_is_not_flagged_where_it_was() -> None:
    case = a_case()
    case.answered(1, {"problem_1": 5}, name="psychlops-2")
    (score,) = case.told(ScoreComputed)
    assert [(s.scale, s.value) for s in score.scales] == [("problem-1", Decimal(5)), ("problem-2", None)]
    assert [(flag.item, flag.value) for flag in score.flags] == [("problem_1", 5)]


def test_a_repeated_fact_changes_nothing() -> None:
    case = a_case(12).scored(10)
    before, said = case.scoring.state, len(case.scoring.out)
    for fact in list(case.facts):
        case.hears(fact)
    assert case.scoring.state == before
    assert len(case.scoring.out) == said


def test_the_same_id_with_other_content_is_set_aside() -> None:
    case = a_case()
    case.answered(1, 10, key="r1")
    case.answered(1, 11, key="r1")
    case.answered(1, 12, key="r1")
    for repeated in (10, 11, 12):
        case.answered(1, repeated, key="r1")
    assert [type(event.data) for event in case.scoring.out].count(FactSetAside) == 2
    assert reasons(case) == ["id_reused", "id_reused"]
    assert [score.scales[0].value for score in case.told(ScoreComputed)] == [10]


def test_a_second_answer_to_an_answered_occasion_is_set_aside_and_the_first_stands() -> None:
    case = a_case()
    case.answered(1, 10, key="first")
    case.answered(1, 14, key="second")
    assert reasons(case) == ["occasion_answered"]
    assert [score.scales[0].value for score in case.told(ScoreComputed)] == [10]


@pytest.mark.parametrize(
    ("answers", "what"),
    [({"frequency": 5}, "above the range"), ({"frequency": -1}, "below the range"), ({"mood": 1}, "an unknown item")],
)
def test_answers_that_the_instrument_does_not_have_are_set_aside(answers: dict[str, int], what: str) -> None:
    case = a_case()
    case.answered(1, {**odsis(8), **answers})
    assert reasons(case) == ["invalid_answers"], what


def test_a_missing_item_is_set_aside_unless_the_scale_allows_it() -> None:
    case = a_case()
    answers = odsis(8)
    del answers["frequency"]
    case.answered(1, answers)
    assert reasons(case) == ["invalid_answers"]


def test_facts_before_the_enrolment_and_a_second_enrolment_are_set_aside() -> None:
    case = Case()
    case.answered(0, 12)
    case.enrolled()
    case.says(case.facts[-1].data, key="again")
    assert reasons(case) == ["not_enrolled", "already_enrolled"]


def test_an_answer_dated_after_the_end_is_set_aside_and_a_late_one_from_before_is_not() -> None:
    case = a_case(12).scored(10)
    case.closed()
    case.answered(9, 10, at=FIRST_DAY + timedelta(weeks=30))
    case.answered(2, 9, at=FIRST_DAY + timedelta(days=1))
    assert reasons(case) == ["after_the_end"]
    assert len(case.told(ScoreComputed)) == 3


def test_the_moment_of_closing_still_belongs_to_the_course() -> None:
    case = a_case(12)
    end = FIRST_DAY + timedelta(weeks=1)
    case.says(CaseClosed(reason="completed"), at=end)
    case.answered(1, 10, at=end)
    case.answered(2, 10, at=end + timedelta(milliseconds=1))
    assert reasons(case) == ["after_the_end"]
    assert [score.session for score in case.told(ScoreComputed)] == [0, 1]


@pytest.mark.parametrize(
    "fact",
    [
        SessionScheduled(session=2, scheduled=FIRST_DAY),
        SessionMoved(session=2, scheduled=FIRST_DAY),
        SessionDue(session=2, scheduled=FIRST_DAY),
        SessionAttended(session=2),
        SessionAbsent(session=2),
        OccasionOpened(session=2, instrument=instrument("odsis")[0], closes=FIRST_DAY),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_no_session_and_no_occasion_comes_after_the_end(fact: Data) -> None:
    case = a_case(12)
    case.closed()
    case.says(fact)
    assert reasons(case) == ["after_the_end"]


def test_a_mistake_can_be_mended_and_a_report_be_read_after_the_end() -> None:
    case = a_case(12).scored(15, 16)
    end = FIRST_DAY + timedelta(weeks=3)
    case.says(CaseClosed(reason="completed"), at=end)
    case.corrected(1, 9)
    case.withdrawn(2)
    case.says(ReportSeen(report=case.reports()[0].id, by="therapist:1"))
    assert reasons(case) == []
    assert (len(case.told(ScoreRevised)), len(case.told(ScoreWithdrawn))) == (1, 1)


def test_a_case_is_closed_once() -> None:
    case = a_case(12)
    case.closed()
    case.closed()
    assert reasons(case) == ["already_closed"]


def test_a_session_outside_the_protocol_is_set_aside() -> None:
    case = a_case(12, protocol="group-cbt-depression-14")
    case.answered(14, 10)
    case.answered(15, 10)
    assert reasons(case) == ["outside_protocol"]


def test_nothing_counts_after_the_case_was_erased() -> None:
    case = a_case(12)
    case.says(CaseErased(ground="asked for", by="officer:1"))
    case.answered(1, 10)
    assert reasons(case) == ["erased"]


class TestCorrections:
    def test_revise_the_score_and_name_what_they_revise(self) -> None:
        case = a_case(12).scored(10)
        case.corrected(1, 8)
        first = next(e for e in case.scoring.out if isinstance(e.data, ScoreComputed) and e.data.session == 1)
        (revised,) = case.told(ScoreRevised)
        assert (revised.scales[0].value, revised.revises) == (Decimal(8), first.id)

    def test_can_be_corrected_again_and_revise_what_held_last(self) -> None:
        case = a_case(12).scored(10)
        case.corrected(1, 8)
        case.corrected(1, 9)
        first = next(event for event in case.scoring.out if isinstance(event.data, ScoreRevised))
        second = case.told(ScoreRevised)[-1]
        assert (second.scales[0].value, second.revises) == (Decimal(9), first.id)

    def test_with_answers_that_the_instrument_does_not_have_are_set_aside(self) -> None:
        case = a_case(12).scored(10)
        invalid = {**odsis(8), "frequency": 5}
        case.says(ResponseCorrected(response=case.responses[1, "odsis"], answers=invalid, reason="typing", by="n:1"))
        assert reasons(case) == ["invalid_answers"]
        assert case.told(ScoreRevised) == []

    def test_that_come_before_their_response_wait_for_it(self) -> None:
        case = a_case(12)
        response = case.response(1, 10, key="late")
        case.responses[1, "odsis"] = response.id
        case.corrected(1, 8)
        assert case.told(ResponseCorrected) == []
        case.hears(response)
        assert [type(event.data) for event in case.scoring.out[-4:]] == [
            ResponseSubmitted,
            ScoreComputed,
            ResponseCorrected,
            ScoreRevised,
        ]

    def test_that_wait_are_told_in_their_order_and_once(self) -> None:
        case = a_case(12)
        first, second = case.response(1, 10, key="first"), case.response(2, 11, key="second")
        case.responses[1, "odsis"], case.responses[2, "odsis"] = first.id, second.id
        case.corrected(1, 8)
        case.corrected(2, 5)
        case.corrected(1, 9)
        case.hears(first)
        assert [revised.scales[0].value for revised in case.told(ScoreRevised)] == [8, 9]
        case.hears(second)
        assert [revised.scales[0].value for revised in case.told(ScoreRevised)] == [8, 9, 5]

    def test_that_wait_are_judged_when_their_response_comes(self) -> None:
        case = a_case(12)
        response = case.response(1, 10, key="late")
        invalid = {**odsis(8), "frequency": 5}
        case.says(ResponseCorrected(response=response.id, answers=invalid, reason="typing", by="nurse:1"))
        case.says(ResponseWithdrawn(response=response.id, reason="another patient's", by="nurse:1"))
        case.says(ResponseCorrected(response=response.id, answers=odsis(8), reason="typing", by="nurse:1"))
        case.hears(response)
        assert reasons(case) == ["invalid_answers", "response_withdrawn"]
        assert len(case.told(ScoreWithdrawn)) == 1

    def test_that_waited_are_forgotten_once_they_are_told(self) -> None:
        case = a_case(12)
        taken, refused = case.response(1, 10, key="taken"), case.response(1, 11, key="refused")
        for response in (taken, refused):
            case.says(ResponseCorrected(response=response.id, answers=odsis(8), reason="typing", by="nurse:1"))
            case.hears(response)
        assert reasons(case) == ["occasion_answered", "response_set_aside"]
        assert case.scoring.state.waiting == {}

    def test_of_another_response_wait_on_when_one_is_set_aside(self) -> None:
        case = a_case(12).scored(10)
        refused, awaited = case.response(1, 9, key="refused"), case.response(2, 11, key="awaited")
        case.says(ResponseCorrected(response=awaited.id, answers=odsis(8), reason="typing", by="nurse:1"))
        case.hears(refused)
        case.hears(awaited)
        assert [revised.scales[0].value for revised in case.told(ScoreRevised)] == [8]

    def test_of_a_response_that_was_set_aside_are_set_aside_too(self) -> None:
        case = a_case(12).scored(10)
        refused = case.answered(1, 9, key="again")
        case.responses[1, "odsis"] = refused
        case.corrected(1, 8)
        assert reasons(case) == ["occasion_answered", "response_set_aside"]

    def test_that_wait_are_set_aside_with_the_response(self) -> None:
        case = a_case(12).scored(10)
        response = case.response(1, 9, key="again")
        case.responses[1, "odsis"] = response.id
        case.corrected(1, 8)
        case.hears(response)
        assert reasons(case) == ["occasion_answered", "response_set_aside"]

    def test_of_a_withdrawn_response_are_set_aside(self) -> None:
        case = a_case(12).scored(10)
        response = case.responses[1, "odsis"]
        case.withdrawn(1)
        case.responses[1, "odsis"] = response
        case.corrected(1, 8)
        case.withdrawn(1)
        assert reasons(case) == ["response_withdrawn", "response_withdrawn"]
        assert len(case.told(ScoreWithdrawn)) == 1


def test_a_withdrawn_response_leaves_its_occasion_open_for_another() -> None:
    case = a_case(12).scored(10)
    case.withdrawn(1)
    case.answered(1, 9, key="another")
    assert len(case.told(ScoreWithdrawn)) == 1
    assert reasons(case) == []


class TestOccasions:
    def test_that_close_without_an_answer_were_missed(self) -> None:
        case = a_case(12).scored(MISSED)
        assert [missed.session for missed in case.told(OccasionMissed)] == [1]

    def test_that_were_answered_were_not(self) -> None:
        case = a_case(12)
        case.answered(1, 10)
        case.missed(1)
        assert case.told(OccasionMissed) == []

    def test_are_missed_once_however_often_they_close(self) -> None:
        case = a_case(12)
        case.missed(1)
        case.says(OccasionClosed(session=1, instrument=instrument("odsis")[0]))
        assert [missed.session for missed in case.told(OccasionMissed)] == [1]

    def test_that_were_answered_late_are_not_missed_once_more_when_that_is_withdrawn(self) -> None:
        case = a_case(12)
        case.missed(1)
        case.answered(1, 10)
        case.withdrawn(1)
        case.says(OccasionClosed(session=1, instrument=instrument("odsis")[0]))
        assert [missed.session for missed in case.told(OccasionMissed)] == [1]

    def test_know_nothing_of_each_other(self) -> None:
        case = a_case(12)
        closes = FIRST_DAY + timedelta(weeks=1)
        for name in ("odsis", "phq-9"):
            case.says(OccasionOpened(session=1, instrument=instrument(name)[0], closes=closes), at=FIRST_DAY)
        case.answered(1, dict.fromkeys(instrument("phq-9")[1].ranges, 0), name="phq-9")
        for name in ("odsis", "phq-9"):
            case.says(OccasionClosed(session=1, instrument=instrument(name)[0]))
        assert [missed.instrument for missed in case.told(OccasionMissed)] == [instrument("odsis")[0]]

    def test_that_never_opened_were_not_asked(self) -> None:
        case = a_case(12)
        case.says(OccasionClosed(session=1, instrument=instrument("odsis")[0]))
        assert case.told(OccasionMissed) == []
