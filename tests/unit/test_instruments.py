"""What an instrument promises: how answers become numbers, which answers it takes, and which versions compare."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.definitions.catalogue import entry_of
from contracts.definitions.instrument import CutOff, Instrument


def text(words: str) -> dict[str, str]:
    return {"en": words, "da": words}


def body(questions: int, /, *scales: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Give a questionnaire of so many questions, each from 0 to 8."""
    return {
        "kind": "instrument",
        "id": "of-the-test",
        "version": 1,
        "title": text("Of the test"),
        "sources": ["the test"],
        "licence": "none",
        "languages": ["en"],
        "asked": "before_session",
        "items": [{"id": f"q{n}", "label": text(f"Q{n}"), "lowest": 0, "highest": 8} for n in range(1, questions + 1)],
        "scales": list(scales),
    } | changes


def scale(formula: str, questions: int, /, **changes: Any) -> dict[str, Any]:
    """Give a scale over the first questions."""
    names = [f"q{n}" for n in range(1, questions + 1)]
    return {"id": "total", "label": text("Total"), "formula": formula, "items": names, "worse": "higher"} | changes


def questionnaire(questions: int, /, *scales: dict[str, Any], **changes: Any) -> Instrument:
    model = entry_of(body(questions, *scales, **changes)).model
    assert isinstance(model, Instrument)
    return model


def answers(*values: int | None) -> dict[str, int]:
    """Answer the questions in their order; None leaves one out."""
    return {f"q{number}": value for number, value in enumerate(values, 1) if value is not None}


def value(instrument: Instrument, *values: int | None) -> Decimal | None:
    return instrument.value(instrument.scales[0], answers(*values))


class TestFormulas:
    @pytest.mark.parametrize(("total", "mean"), [(1, "0.12"), (3, "0.38"), (5, "0.62"), (7, "0.88"), (4, "0.50")])
    def test_a_mean_is_rounded_to_hundredths_half_to_even(self, total: int, mean: str) -> None:
        instrument = questionnaire(8, scale("mean/1", 8))
        assert str(value(instrument, total, *[0] * 7)) == mean

    @pytest.mark.parametrize(("total", "made_up"), [(1, "1.12"), (3, "3.38"), (8, "9.00")])
    def test_a_sum_is_made_up_in_proportion_and_rounded_half_to_even(self, total: int, made_up: str) -> None:
        instrument = questionnaire(9, scale("sum/1", 9, missing_at_most=1))
        assert str(value(instrument, total, *[0] * 7, None)) == made_up

    def test_a_sum_of_which_nothing_is_missing_is_a_whole_number(self) -> None:
        instrument = questionnaire(3, scale("sum/1", 3, missing_at_most=1))
        assert str(value(instrument, 1, 2, 4)) == "7"

    def test_what_is_made_up_is_multiplied_as_the_sum_is(self) -> None:
        instrument = questionnaire(4, scale("sum/1", 4, times=4, missing_at_most=2))
        assert value(instrument, 1, 2, 3, 4) == 40
        assert value(instrument, 1, 2, None, None) == 24

    def test_a_mean_is_taken_over_the_answers_that_are_there(self) -> None:
        instrument = questionnaire(4, scale("mean/1", 4, missing_at_most=2))
        assert value(instrument, 1, 4, None, None) == Decimal("2.50")

    @pytest.mark.parametrize("formula", ["sum/1", "mean/1", "count/1"])
    def test_there_is_no_value_if_more_is_missing_than_the_scale_allows(self, formula: str) -> None:
        instrument = questionnaire(4, scale(formula, 4, missing_at_most=2))
        assert value(instrument, 1, 1, None, None) is not None
        assert value(instrument, 1, None, None, None) is None

    def test_there_is_no_value_of_nothing_whatever_the_scale_allows(self) -> None:
        instrument = questionnaire(2, scale("mean/1", 2, missing_at_most=2))
        assert value(instrument, None, None) is None

    def test_a_count_tells_how_many_answers_are_above_nought(self) -> None:
        assert value(questionnaire(4, scale("count/1", 4)), 0, 1, 8, 0) == 2

    @pytest.mark.parametrize(
        ("formula", "items", "times", "bounds"),
        [("sum/1", 3, 1, (0, 24)), ("sum/1", 3, 4, (0, 96)), ("mean/1", 3, 1, (0, 8)), ("count/1", 3, 1, (0, 3))],
    )
    def test_a_scale_knows_its_ends(self, formula: str, items: int, times: int, bounds: tuple[int, int]) -> None:
        instrument = questionnaire(items, scale(formula, items, times=times))
        assert instrument.bounds(instrument.scales[0]) == tuple(map(Decimal, bounds))
        assert value(instrument, *[8] * items) == bounds[1]


class TestDirection:
    @pytest.mark.parametrize(("worse", "change"), [("higher", 3), ("lower", -3)])
    def test_is_known_to_the_scale(self, worse: str, change: int) -> None:
        (found,) = questionnaire(1, scale("item/1", 1, worse=worse)).scales
        assert found.worsening(Decimal(2), Decimal(5)) == change
        assert found.worse_by(Decimal(2), Decimal(change)) == 5

    @pytest.mark.parametrize(
        ("ill", "healthy"),
        [
            ("at_least", [True, False, False]),
            ("more_than", [True, True, False]),
            ("at_most", [False, False, True]),
            ("less_than", [False, True, True]),
        ],
    )
    def test_of_a_cut_off_says_to_which_side_its_own_value_belongs(self, ill: str, healthy: list[bool]) -> None:
        cut_off = CutOff.model_validate(
            {
                "id": "limit",
                "scale": "total",
                "value": 5,
                "ill": ill,
                "meaning": text("ill"),
                "population": "the test's",
                "source": "the test",
            }
        )
        assert [cut_off.is_healthy(Decimal(score)) for score in (4, 5, 6)] == healthy


class TestAnswers:
    two_scales = questionnaire(
        4, scale("sum/1", 3, missing_at_most=1), scale("mean/1", 2, id="strict"), id="two-scales"
    )

    @pytest.mark.parametrize("given", [answers(0, 0, 0, 0), answers(8, 8, 8, 8), answers(1, 2, None, 4)])
    def test_from_end_to_end_of_their_range_are_taken_and_what_may_be_missing_may_be(
        self, given: dict[str, int]
    ) -> None:
        assert self.two_scales.accepts(given)
        assert list(self.two_scales.faults_in(given)) == []

    @pytest.mark.parametrize(
        ("given", "faults"),
        [
            (answers(9, 1, 1, 1), [("q1", "a whole number from 0 to 8 was expected")]),
            (answers(1, -1, 1, 1), [("q2", "a whole number from 0 to 8 was expected")]),
            (answers(None, 1, 1, 1), [("q1", "missing; a whole number from 0 to 8 was expected")]),
            (answers(1, 1, 1, None), [("q4", "missing; a whole number from 0 to 8 was expected")]),
            (answers(1, 1, 1, 1, 1), [("q5", "no such item; two-scales has q1, q2, q3, q4")]),
            (answers(1, 1, 1, 1) | {"q1": "1"}, [("q1", "a whole number from 0 to 8 was expected")]),
            (answers(1, 1, 1, 1) | {"q1": True}, [("q1", "a whole number from 0 to 8 was expected")]),
            (
                answers(9, None, 1, 1),
                [
                    ("q1", "a whole number from 0 to 8 was expected"),
                    ("q2", "missing; a whole number from 0 to 8 was expected"),
                ],
            ),
        ],
    )
    def test_that_cannot_be_taken_are_named_each_with_what_was_expected(
        self, given: dict[str, Any], faults: list[tuple[str, str]]
    ) -> None:
        assert [(fault.field, fault.expected) for fault in self.two_scales.faults_in(given)] == faults

    def test_are_refused_if_any_of_them_cannot_be_taken(self) -> None:
        for given in (answers(9, 1, 1, 1), answers(1, -1, 1, 1), answers(1, 1, 1, None), answers(1, 1, 1, 1, 1)):
            assert not self.two_scales.accepts(given)

    def test_may_be_left_out_up_to_what_the_scale_allows(self) -> None:
        lenient = questionnaire(3, scale("sum/1", 3, missing_at_most=1))
        assert lenient.accepts(answers(1, None, 1))
        (fault,) = lenient.faults_in(answers(1, None, None))
        assert (fault.field, fault.expected) == ("total", "at most 1 items of this scale may be missing")


class TestVersions:
    @pytest.mark.parametrize(
        ("older", "newer", "comparable_from", "comparable"),
        [(1, 2, 1, True), (1, 2, 2, False), (1, 3, 2, False), (2, 3, 2, True)],
    )
    def test_are_compared_as_far_back_as_the_newer_one_says(
        self, older: int, newer: int, comparable_from: int, comparable: bool
    ) -> None:
        before = questionnaire(1, version=older)
        after = questionnaire(1, version=newer, comparable_from=comparable_from)
        assert after.comparable_with(before) == comparable
        assert before.comparable_with(after) == comparable

    def test_of_other_instruments_are_never_compared(self) -> None:
        assert not questionnaire(1).comparable_with(questionnaire(1, id="another"))


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "two questions of one name": body(1, items=body(1)["items"] * 2),
    "no question": body(0),
    "a range that is empty": body(1, items=[{"id": "q1", "label": text("Q1"), "lowest": 3, "highest": 3}]),
    "a scale without a question": body(1, scale("sum/1", 0)),
    "a scale that counts a question twice": body(1, scale("sum/1", 1, items=["q1", "q1"])),
    "a scale of a question that is not there": body(1, scale("sum/1", 2)),
    "two scales of one name": body(1, scale("sum/1", 1), scale("mean/1", 1)),
    "the answer to two questions": body(2, scale("item/1", 2)),
    "a sum taken no times": body(1, scale("sum/1", 1, times=0)),
    "fewer than no answers missing": body(1, scale("sum/1", 1, missing_at_most=-1)),
    "a cut-off of a scale that is not there": body(
        1,
        cut_offs=[
            {
                "id": "limit",
                "scale": "total",
                "value": 5,
                "ill": "at_least",
                "meaning": text("ill"),
                "population": "the test's",
                "source": "the test",
            }
        ],
    ),
    "a version that compares with later ones": body(1, comparable_from=2),
    **{
        f"a flag with {limits or 'no limit'}": body(
            1, flags=[{"id": "flag", "kind": "negative", "items": ["q1"], "source": "the test"} | limits]
        )
        for limits in ({}, {"at_least": 1, "at_most": 2}, {"at_least": 9}, {"at_most": -1})
    },
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_a_definition_that_contradicts_itself_is_refused(contradiction: str) -> None:
    with pytest.raises(ValidationError):
        entry_of(CONTRADICTIONS[contradiction])


@pytest.mark.parametrize(("limits", "marked"), [({"at_least": 8}, [False, True]), ({"at_most": 0}, [True, False])])
def test_a_flag_marks_answers_from_its_limit_on_to_the_end_of_the_range(
    limits: dict[str, int], marked: list[bool]
) -> None:
    flag = {"id": "flag", "kind": "negative", "items": ["q1"], "source": "the test"} | limits
    (found,) = questionnaire(1, flags=[flag]).flags
    assert [found.marks(answer) for answer in (0, 8)] == marked
