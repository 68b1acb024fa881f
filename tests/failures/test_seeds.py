"""Chance is drawn by seed: the same one repeats a storm, and another one makes another."""

import pytest

from tests.failures.seeds import ALWAYS, FIRST, MINUTES, ROUNDS, Bound, Chance, how_to_repeat, seeds_of_torture


def drawn(seed: int) -> list[object]:
    chance = Chance(seed)
    return [chance.moment(), chance.moments(3), chance.in_some_order("abc"), chance.one_of("abc")]


def test_a_seed_repeats_what_happens() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_moments_come_one_after_the_other() -> None:
    for seed in range(100):
        # given three moments between two shares of the work, then there is one in each third of it
        first, second, third = Chance(seed).moments(3, 0.3, 0.6)
        assert 0.3 <= first <= 0.4 <= second <= 0.5 <= third <= 0.6


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, range(FIRST, FIRST + ROUNDS)),
        ({"ONTRACK_TORTURE_SEED": "77"}, range(77, 77 + ROUNDS)),
        ({"ONTRACK_TORTURE_SEED": "77", "ONTRACK_TORTURE_ROUNDS": "1"}, [77]),
    ],
)
def test_each_round_of_a_torture_has_a_seed_of_its_own(environment: dict[str, str], expected: list[int]) -> None:
    assert list(seeds_of_torture(environment)) == list(expected)
    assert ALWAYS not in expected


def test_a_seed_says_how_it_is_repeated() -> None:
    assert how_to_repeat("test_it[1]", ALWAYS) == "pytest 'test_it[1]'"
    repeat = how_to_repeat("test_it[1003]", 1003)
    assert repeat == "ONTRACK_TORTURE_SEED=1003 ONTRACK_TORTURE_ROUNDS=1 pytest -m torture 'test_it[1003]'"


def test_rounds_end_in_time() -> None:
    # given the time that all rounds have, which has begun
    bound, began = Bound(), 1_000.0
    assert not bound.is_over(began)

    # when it has gone by, then no round begins any more
    assert not bound.is_over(began + MINUTES * 60)
    assert bound.is_over(began + MINUTES * 60 + 1)
