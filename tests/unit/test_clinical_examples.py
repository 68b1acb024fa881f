"""The examples that must hold: one table, one test. Raw ODSIS under `gryesten-2023`."""

import pytest

from tests.support.clinic import MISSED, NOT, ON, UNKNOWN, a_case

EXAMPLES = [
    (12, (12, 13, 15, 11), (ON, ON, NOT, ON), {3: ["deterioration/1 baseline"]}),
    (12, (12, 11, 12), (ON, ON, NOT), {3: ["no_change/1 previous"]}),
    (14, (12, 10, 9, 9, 8), (ON, ON, ON, ON, NOT), {5: ["no_change/1 previous"]}),
    (12, (11, MISSED, 12, 12), (ON, UNKNOWN, ON, NOT), {4: ["no_change/1 previous"]}),
    (12, (12, 12, 12, MISSED, 12), (ON, ON, NOT, UNKNOWN, NOT), {}),
    (19, (20, 20), (ON, ON), {}),
    (17, (20,), (NOT,), {1: ["deterioration/1 baseline"]}),
    (None, (10, 10), (UNKNOWN, UNKNOWN), {}),
    (None, (10, 10, 10, 10), (UNKNOWN, UNKNOWN, UNKNOWN, NOT), {4: ["no_change/1 previous"]}),
]


@pytest.mark.parametrize(("baseline", "scores", "statuses", "fired"), EXAMPLES)
def test_the_examples_of_the_clinical_rules_hold(
    baseline: int | None, scores: tuple[int | None, ...], statuses: tuple[str, ...], fired: dict[int, list[str]]
) -> None:
    given = a_case(baseline=baseline)
    when = given.scored(*scores)
    assert when.statuses == list(statuses)
    assert {session: when.fired(session) for session in fired} == fired


def test_two_not_sessions_around_a_missed_one_are_one_episode_of_two() -> None:
    when = a_case(baseline=12).scored(12, 12, 12, MISSED, 12)
    episode = when.decision(5).episode
    assert episode is not None
    assert episode.sessions == (3, 5)
    assert len(when.reports()) == 1


def test_a_plateau_without_a_baseline_names_the_sessions_it_stands_on() -> None:
    when = a_case().scored(10, 10, 10, 10)
    evidence = when.decision(4).rules[0]
    assert (evidence.sessions, [int(change) for change in evidence.changes]) == ((2, 3, 4), [0, 0, 0])


def test_a_case_near_the_ceiling_says_that_it_cannot_deteriorate() -> None:
    assert "cannot_deteriorate" in a_case(baseline=19).scored(20, 20).annotated(2)
    assert "cannot_deteriorate" not in a_case(baseline=17).scored(20).annotated(1)


def test_a_correction_revises_the_decision_and_both_stay_on_the_log() -> None:
    given = a_case(baseline=10).scored(13)
    assert given.statuses == [NOT]
    given.corrected(1, 11)
    assert given.statuses == [ON]
    assert [decision.status for decision in given.decisions()] == [NOT, ON]
    assert [type(decision).__name__ for decision in given.decisions()] == ["TrackEvaluated", "TrackRevised"]
