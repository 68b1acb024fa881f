"""What every failure test ends in can fail: what is missing, repeated or told otherwise is found."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from contracts.topics import CASES, NOTICES, SCORES, TRACKS
from services.runtime.log.port import StoredRecord
from tests.failures.storm import Clinic
from tests.support.contents import Contents, same
from tests.support.digests import Digests, alike
from tests.support.episodes import episodes, episodes_of_all, reported
from tests.support.opened import digest_of, kept

ANNA = "anna"


def numbered(*numbers: int, said: str = "this") -> list[StoredRecord]:
    """Records of a case with these numbers, one after the other."""
    values = [
        orjson.dumps({"id": f"event-{number}", "subject": ANNA, "sequence": number, "said": said}) for number in numbers
    ]
    return [StoredRecord(offset, ANNA, value) for offset, value in enumerate(values)]


def test_a_history_with_repeats_is_kept_once() -> None:
    # given a history in which a part stands twice, as after a crash
    records = numbered(1, 2, 3, 2, 3, 4)

    # when it is read, then each event is there once, and the repeats are counted
    found = kept(SCORES, records)
    assert found.histories == {ANNA: [record.value for record in numbered(1, 2, 3, 4)]}
    assert found.repeats == {ANNA: 2}


@pytest.mark.parametrize("numbers", [(2, 3), (1, 3), (1, 2, 1, 2, 4)])
def test_a_gap_is_found(numbers: Sequence[int]) -> None:
    with pytest.raises(AssertionError, match="has a gap before sequence"):
        kept(SCORES, numbered(*numbers))


def test_a_repeat_with_other_bytes_is_found() -> None:
    with pytest.raises(AssertionError, match="a repeated event event-2 has other bytes"):
        kept(SCORES, [*numbered(1, 2), *numbered(2, said="that")])


def test_a_repeated_fact_with_other_bytes_is_found() -> None:
    with pytest.raises(AssertionError, match="a repeated event event-1 has other bytes"):
        kept(CASES, [*numbered(1, 2), *numbered(1, said="that")])


def track(session: int, status: str, kind: str = "evaluated") -> dict[str, Any]:
    """A decision."""
    return {"type": f"ontrack.track-{kind}.v1", "data": {"session": session, "status": status}}


def notice(kind: str, report: str, sessions: Sequence[int], state: str = "open") -> dict[str, Any]:
    """A report, as it is issued or revised."""
    content = {"kind": "not", "decision": {"episode": {"sessions": list(sessions)}}}
    return {"type": f"ontrack.report-{kind}.v1", "data": {"report": report, "content": content, "state": state}}


NOT, ON, UNKNOWN = "not_on_track", "on_track", "unknown"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], []),
        ([ON, ON], []),
        ([ON, NOT, NOT], [(2, 3)]),
        ([NOT, UNKNOWN, NOT, ON], [(1, 3)]),
        ([NOT, ON, NOT], [(1,), (3,)]),
        ([UNKNOWN, NOT, UNKNOWN], [(2,)]),
    ],
)
def test_episodes_are_runs_of_sessions_not_on_track(statuses: list[str], expected: list[tuple[int, ...]]) -> None:
    assert episodes(track(session, status) for session, status in enumerate(statuses, 1)) == expected


def test_an_episode_is_what_the_last_decisions_say() -> None:
    # given a session that was judged again, after a later one
    tracks = [track(1, NOT), track(2, ON), track(3, NOT), track(2, NOT, "revised")]

    # then what holds counts
    assert episodes(tracks) == [(1, 2, 3)]


def test_a_report_that_was_retracted_is_none() -> None:
    notices = [notice("issued", "a", (1,)), notice("issued", "b", (3,)), notice("revised", "b", (3,), "retracted")]
    assert reported(notices) == [(1,)]


@pytest.mark.parametrize(
    "notices",
    [
        pytest.param([], id="none"),
        pytest.param([notice("issued", "a", (1, 2)), notice("issued", "b", (1, 2))], id="two"),
        pytest.param([notice("issued", "a", (1, 2)), notice("issued", "a", (1, 2))], id="one, issued twice"),
        pytest.param([notice("issued", "a", (1,))], id="one that stopped half-way"),
        pytest.param([notice("issued", "a", (1, 2)), notice("revised", "a", (1, 2), "retracted")], id="one, retracted"),
        pytest.param([notice("revised", "a", (1, 2))], id="one that was never issued"),
    ],
)
def test_an_episode_without_its_one_report_is_found(notices: list[dict[str, Any]]) -> None:
    # given an episode of two sessions
    tracks = [track(1, NOT), track(2, NOT)]

    # when its reports are other than one about both of them, then that is found
    with pytest.raises(AssertionError, match="report"):
        episodes_of_all({TRACKS.name: {ANNA: tracks}, NOTICES.name: {ANNA: notices}})


def without_last(contents: Contents, topic: str) -> Contents:
    """What a home would hold if the last event of a case were missing."""
    history = dict(contents.histories[topic])
    case_id, events = max(history.items(), key=lambda each: len(each[1]))
    return replace(contents, histories={**contents.histories, topic: {**history, case_id: events[:-1]}})


def with_another_state(contents: Contents) -> Contents:
    case_id, *_ = contents.states["scoring"]
    return replace(contents, states={**contents.states, "scoring": {**contents.states["scoring"], case_id: {}}})


def with_another_digest(contents: Contents) -> Contents:
    case_id, *_ = contents.digests
    return replace(contents, digests={**contents.digests, case_id: "0"})


def with_a_stranger(contents: Contents) -> Contents:
    return replace(contents, numbers={**contents.numbers, "stranger": "P9999"})


@pytest.mark.parametrize(
    "changed",
    [
        *(
            lambda contents, topic=topic: without_last(contents, topic.name)
            for topic in (CASES, SCORES, TRACKS, NOTICES)
        ),
        with_another_state,
        with_another_digest,
        with_a_stranger,
    ],
)
def test_a_home_that_holds_something_else_is_found(
    small_clinic: Clinic, changed: Callable[[Contents], Contents]
) -> None:
    # given what a home holds, and one that holds something else
    held = small_clinic.expected
    assert same(held, held)

    # when they are compared, then that is found
    with pytest.raises(AssertionError):
        same(changed(held), held)


def test_a_clinic_has_episodes(small_clinic: Clinic) -> None:
    # given the smaller of the clinics that are imported in storms, then its NOT episodes have one report each
    assert episodes_of_all(small_clinic.expected.histories) >= 2


def test_digests_tell_which_case_differs() -> None:
    # given two homes, of which one holds something else of a case
    one = Digests({ANNA: "A1", "bo": "B1"}, {ANNA: "1", "bo": "2"}, {}, {}, 1)
    other = replace(one, cases={ANNA: "1", "bo": "3"})

    # when they are compared, then that case is named
    assert alike(one, one)
    with pytest.raises(AssertionError, match="1 cases differ, bo first"):
        alike(one, other)
    assert digest_of(one.cases) != digest_of(other.cases)
