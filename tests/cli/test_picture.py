"""The picture itself, over every scale, policy and course that could be drawn."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.cli.case.picture import Picture, Slot, drawn, sparkline
from tests.cli.pictures import read

STATUSES = st.sampled_from(["on_track", "not_on_track", "unknown"])


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    best, worst = draw(st.sampled_from([(0, 20), (0, 63), (0, 27), (100, 0), (7, 1), (0, 4), (0, 1), (0, 997), (3, 3)]))
    lowest, highest = sorted((best, worst))
    values = st.integers(lowest, highest).map(Decimal)
    scores = draw(st.lists(st.none() | values, max_size=100))
    slots = [
        Slot(str(number), score, "unknown" if score is None else "on_track") for number, score in enumerate(scores)
    ]
    baseline = draw(st.none() | st.integers(-50, 1500).map(Decimal))
    not_line = draw(st.none() | values)
    return Picture(Decimal(best), Decimal(worst), slots, baseline, not_line, draw(st.none() | values))


@given(picture=pictures(), width=st.integers(60, 120), height=st.integers(10, 80))
def test_it_fits_and_better_scores_are_never_lower(picture: Picture, width: int, height: int) -> None:
    printed = list(drawn(picture, width, height))

    assert max(map(len, printed)) <= width
    found = read(printed)
    scores = [slot.score for slot in picture.slots if slot.score is not None][-len(found.marks) :]
    by_score = sorted(zip((abs(score - picture.best) for score in scores), found.rows, strict=True))
    assert [row for _, row in by_score] == sorted(row for _, row in by_score)


@given(picture=pictures(), height=st.integers(10, 80))
def test_a_score_is_drawn_above_the_not_line_unless_it_reaches_it(picture: Picture, height: int) -> None:
    found = read(drawn(picture, 120, height))
    line = picture.not_line
    if line is None or line == picture.best or not found.marks:
        return
    row = found.lines["━"]
    scores = [slot.score for slot in picture.slots if slot.score is not None][-len(found.marks) :]
    for score, mark in zip(scores, found.rows, strict=True):
        assert (mark >= row) == picture.reaches_not_line(score)


def test_a_distance_between_baseline_and_not_line_stays_visible_on_a_long_scale() -> None:
    slots = [Slot("0", Decimal(36), None), Slot("1", Decimal(38), "on_track")]
    found = read(drawn(Picture(Decimal(0), Decimal(63), slots, Decimal(36), Decimal(41)), 80, 24))

    assert found.levels["baseline 36"] < found.levels["NOT line 41"]


def test_more_sessions_than_there_is_room_for_lose_the_first_ones_and_that_is_said() -> None:
    slots = [Slot(str(number), Decimal(number % 20), "on_track") for number in range(200)]
    printed = list(drawn(Picture(Decimal(0), Decimal(20), slots), 80, 24))

    assert printed[-1].startswith("The first ")
    assert "195" in read(printed).below["session"]


def test_a_sparkline_rises_towards_better_and_shows_what_is_missing() -> None:
    falling = [Decimal(20), None, Decimal(10), Decimal(0)]

    assert sparkline(falling, Decimal(0), Decimal(20)) == "▁·▅█"
    assert sparkline(falling, Decimal(20), Decimal(0)) == "█·▅▁"
    assert sparkline([None, *falling, None], Decimal(0), Decimal(20)) == " ▁·▅█"
    assert sparkline([None], Decimal(0), Decimal(20)) == ""
    assert sparkline([Decimal(3)], Decimal(3), Decimal(3)) == "█"
