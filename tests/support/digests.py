"""What a home holds, in few bytes, for homes that are too large to be held opened."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.topics import NOTICES, TRACKS
from services.embedded import EmbeddedHome
from services.home import Home
from tests.support.episodes import reported_episodes
from tests.support.opened import cases_of, digest_of


@dataclass(frozen=True, slots=True)
class Digests:
    """What a home holds, without when it was recorded and under which keys.

    numbers: case -> its external number
    cases: case -> the digest of its events and states
    events: topic -> how many events it has, each counted once; states: stage -> how many cases it knows
    reported: how many cases have a NOT report
    """

    numbers: Mapping[str, str]
    cases: Mapping[str, str]
    events: Mapping[str, int]
    states: Mapping[str, int]
    reported: int

    @property
    def whole(self) -> str:
        """One digest for all events and states."""
        return digest_of(self.cases)


def digests(directory: Path) -> Digests:
    """Open what a directory holds, case by case."""

    async def ask() -> Digests:
        async with await EmbeddedHome.open(directory) as home:
            return await digests_of(home)

    return asyncio.run(ask())


async def digests_of(home: Home) -> Digests:
    """Open what a home holds, case by case; fails unless every NOT episode has one report."""
    cases: dict[str, str] = {}
    events: Counter[str] = Counter()
    states: Counter[str] = Counter()
    with_report = 0
    async for case_id, case in cases_of(home):
        cases[case_id] = case.digest
        events.update({topic: len(history) for topic, history in case.histories.items()})
        states.update(case.states.keys())
        tracks, notices = (case.histories.get(topic.name, ()) for topic in (TRACKS, NOTICES))
        with_report += reported_episodes(case_id, tracks, notices) > 0
    return Digests(dict(await home.names()), cases, events, states, with_report)


def alike(one: Digests, other: Digests) -> bool:
    """Tell whether two homes hold the same; fails by naming the first case that differs."""
    assert one.numbers == other.numbers, "the external numbers differ"
    assert one.events == other.events, f"the numbers of events differ: {one.events}, {other.events}"
    assert one.states == other.states, f"the numbers of states differ: {one.states}, {other.states}"
    assert one.cases.keys() == other.cases.keys(), "the cases differ"
    differing = [case_id for case_id in one.cases if one.cases[case_id] != other.cases[case_id]]
    assert not differing, f"{len(differing)} cases differ, {differing[0]} first"
    return one.whole == other.whole
