"""How responses stand after what was said of them since: as scoring takes it, so that an export says the same."""

from decimal import Decimal
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.event import fact_id
from contracts.events.facts import ResponseCorrected, ResponseWithdrawn
from contracts.events.scores import ScoreComputed, ScoreRevised, ScoreWithdrawn
from services.ingest.domain.responses import standing
from tests.support.clinic import Case, a_case, odsis

KEYS: Final = ("r1", "r2", "r3")


def test_a_corrected_response_has_the_answers_and_the_comment_of_its_correction() -> None:
    # given a response with a comment, corrected twice
    case = a_case()
    case.answered(1, 10, comment="a hard week")
    for total in (11, 12):
        case.corrected(1, total)

    # then the last correction holds, whole, and when it was answered is still known
    (found,) = standing(case.facts)
    assert (found.answers, found.comment) == (odsis(12), None)
    assert (found.is_corrected, found.is_withdrawn) == (True, False)
    assert found.said.answers == odsis(10)
    assert found.changed == case.facts[-1].time > found.said.answered_at


def test_a_withdrawn_response_stands_as_such_beside_the_one_that_took_its_place() -> None:
    case = a_case()
    case.answered(1, 10, key="somebody else's")
    case.withdrawn(1)
    case.answered(1, 4)
    assert [(found.answers, found.is_withdrawn) for found in standing(case.facts)] == [
        (odsis(10), True),
        (odsis(4), False),
    ]


def test_nothing_changes_a_response_that_was_withdrawn() -> None:
    # given a response that was withdrawn, and then corrected and withdrawn by somebody who did not know
    case = a_case()
    response = case.answered(1, 10)
    case.withdrawn(1)
    before = standing(case.facts)
    case.says(ResponseCorrected(response=response, answers=odsis(4), reason="a slip", by="nurse:1"))
    case.says(ResponseWithdrawn(response=response, reason="another's", by="nurse:1"))

    # then it stands as it did
    assert standing(case.facts) == before


def test_a_second_answer_to_an_answered_occasion_does_not_stand() -> None:
    case = a_case()
    first = case.answered(1, 10, key="first")
    case.answered(1, 14, key="second")
    assert [found.id for found in standing(case.facts)] == [first]


MOVES: Final = st.lists(
    st.one_of(
        st.tuples(st.just("answered"), st.sampled_from(KEYS), st.integers(1, 2), st.integers(0, 20)),
        st.tuples(st.just("corrected"), st.sampled_from(KEYS), st.just(0), st.integers(0, 20)),
        st.tuples(st.just("withdrawn"), st.sampled_from(KEYS), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@given(MOVES)
def test_what_stands_is_what_was_scored_whatever_happens(moves: list[tuple[str, str, int, int]]) -> None:
    # given anything that can be said of responses, in any order, repetitions included
    case = a_case()
    for move, key, session, total in moves:
        response = fact_id("c1", "test", key)
        match move:
            case "answered":
                case.answered(session, total, key=key)
            case "corrected":
                case.says(ResponseCorrected(response=response, answers=odsis(total), reason="a slip", by="nurse:1"))
            case _:
                case.says(ResponseWithdrawn(response=response, reason="another's", by="nurse:1"))

    # then as much stands as has a score, with the answers that were scored last
    found = {each.id: Decimal(sum(each.answers.values())) for each in standing(case.facts) if not each.is_withdrawn}
    assert found == scores(case)


def scores(case: Case) -> dict[str, Decimal | None]:
    """The totals that hold, by response."""
    found: dict[str, Decimal | None] = {}
    for event in case.scoring.out:
        match event.data:
            case ScoreComputed(response=response, scales=scales) | ScoreRevised(response=response, scales=scales):
                found[response] = scales[0].value
            case ScoreWithdrawn(response=response):
                del found[response]
            case _:
                pass
    return found
