"""`ontrack audit verify` takes nothing that comes while it runs for a finding."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.topics import CASES, NOTICES, SCORES, TRACKS, partition_of
from services.auditor.replay import History
from services.auditor.verify import verified
from services.cli.shelf import shelf
from services.cli.source import history_of
from services.embedded import EmbeddedHome
from services.runtime.log.port import after
from services.runtime.store.port import Store, StoredState
from tests.auditor.moments import AMomentAgo, ends_before_the_last_fact
from tests.auditor.tampering import Tampering


def _all_of_it(ends: Mapping[str, int]) -> Mapping[str, int]:
    return ends


def _conclusions(ends: Mapping[str, int]) -> Mapping[str, int]:
    return {topic: end for topic, end in ends.items() if topic != CASES.name}


def _whole_cases(ends: Mapping[str, int]) -> Mapping[str, int]:
    return dict.fromkeys(ends, 0)


@pytest.mark.parametrize("since", [_all_of_it, _conclusions, _whole_cases], ids=lambda since: since.__name__)
async def test_what_comes_while_a_history_is_verified_is_no_finding(
    sound: Path, p1: str, since: Callable[[Mapping[str, int]], Mapping[str, int]]
) -> None:
    async with await EmbeddedHome.open(sound) as home, shelf() as empty:
        # given a fact, what is concluded from it, or cases that come after it was asked how far the log reaches
        partition = partition_of(p1)
        ends = since(await ends_before_the_last_fact(home.log, partition))
        history = await history_of(sound, home)

        # when the history is verified
        ago = replace(history, log=AMomentAgo(home.log, partition, ends))
        found = await verified(ago, empty, lambda _: None)

        # then nothing is found, and each state is as derived, or has read what came since
        assert found.findings.kept == []
        assert [each.equal + each.moved for each in found.states] == [8, 8, 8, 8]
        assert any(each.moved for each in found.states) is (CASES.name in ends)


def before_its_partition(history: History, case_id: str) -> History:
    """A history of which the partition of a case came since it was asked how far the log reaches."""
    nothing = dict.fromkeys((topic.name for topic in (CASES, SCORES, TRACKS, NOTICES)), 0)
    return replace(history, log=AMomentAgo(history.log, partition_of(case_id), nothing))


class GoneOn:
    """A store in which a stage has read on with a case when it is looked at once more."""

    def __init__(self, store: Store, stage: str, case_id: str, times: int) -> None:
        self._store = store
        self._of = stage, case_id
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        found = dict(await self._store.load(stage, case_ids, states))
        if stage == self._of[0] and self._of[1] in found:
            self._left -= 1
            if self._left < 0:
                found[self._of[1]] = replace(found[self._of[1]], offset=after(found[self._of[1]].offset))
        return found


@pytest.mark.parametrize(
    ("times", "fields"), [(99, ["written"]), (1, [])], ids=["as it was", "gone on since it was looked at"]
)
async def test_what_is_known_by_what_came_since_is_compared_too(
    tampering: Tampering, p1: str, times: int, fields: Sequence[str]
) -> None:
    # given a state that was altered, of a case of which the stage has read more since
    tampering.do("UPDATE states SET written = written + 1 WHERE stage = 'not_detector' AND case_id = ?", p1)
    async with await EmbeddedHome.open(tampering.home) as home, shelf() as empty:
        history = await history_of(tampering.home, home)
        assert history.store is not None
        goes_on = replace(history, store=GoneOn(history.store, "not_detector", p1, times))

        # when the history is verified, then that is found, with its fields if that state stands there still
        (found,) = (await verified(before_its_partition(goes_on, p1), empty, lambda _: None)).findings.kept
        assert (found.what, found.place.stage, found.place.case) == ("state-altered", "not_detector", p1)
        assert [each.path for each in found.differences] == fields


async def test_where_a_stage_cannot_go_on_what_it_knows_by_what_came_since_is_counted(
    tampering: Tampering, p1: str
) -> None:
    # given a record that came since and cannot be read by the stage that has read it
    tampering.put(SCORES, p1, 1, b"x")
    async with await EmbeddedHome.open(tampering.home) as home, shelf() as empty:
        history = before_its_partition(await history_of(tampering.home, home), p1)
        found = await verified(history, empty, lambda _: None)

        # then nothing is claimed of its states, and none is left out
        assert "state-altered" not in found.findings.counts
        assert [each.equal + each.moved for each in found.states] == [8, 8, 8, 8]
