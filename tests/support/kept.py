"""What a home holds, to the byte: what a backup keeps of it, and what follows from that."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from contracts.codec import id_of
from contracts.topics import ACCESS, CASES, DEAD_LETTERS, DEFINITIONS, SEALS, Topic
from services.embedded import EmbeddedHome
from services.home import Home
from services.runtime.directory.port import SealedPerson
from services.runtime.roster.port import KINDS, Entry
from services.runtime.store.port import StoredState
from tests.support.opened import DERIVED, kept, records_of

OF_THE_LOG: Final = (DEFINITIONS, CASES, DEAD_LETTERS, ACCESS, SEALS)

T = TypeVar("T")
Place = tuple[str, int]
Records = Sequence[tuple[int, str, bytes]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What cannot be rebuilt. log: topic and partition -> offset, key and bytes of each record."""

    log: Mapping[Place, Records]
    keys: Mapping[str, bytes | None]
    persons: Sequence[SealedPerson]
    roster: Sequence[Entry]

    @property
    def facts(self) -> int:
        """How many facts there are."""
        return sum(len(records) for (topic, _), records in self.log.items() if topic == CASES.name)


@dataclass(frozen=True, slots=True)
class Following:
    """What follows from that.

    histories: derived topic -> case -> the bytes of its events, each once
    states: stage -> case -> its state, sealed, wherever its last event stands: offsets are those of what was published,
        and of an erased case nothing is published again
    halted: stage -> the cases that cannot go on
    """

    histories: Mapping[str, Mapping[str, Sequence[bytes]]]
    states: Mapping[str, Mapping[str, StoredState]]
    halted: Mapping[str, Sequence[str]]


async def kept_of(home: Home) -> Kept:
    """Give what a home holds that cannot be rebuilt."""
    return Kept(
        {(topic.name, each): await _records(home, topic, each) for topic in OF_THE_LOG for each in _partitions(topic)},
        {case_id: wrapped async for case_id, wrapped in home.keyring.wrapped()},
        [person async for person in home.people.sealed()],
        [entry for kind in KINDS for entry in await home.roster.all(kind)],
    )


async def following_of(home: Home) -> Following:
    """Give what a home has made of that."""
    histories: dict[str, dict[str, list[bytes]]] = {topic.name: {} for topic in DERIVED}
    for topic in DERIVED:
        for partition in _partitions(topic):
            histories[topic.name] |= kept(topic, await records_of(home, topic, partition)).histories
    states = {}
    for stage in home.stages:
        known = [case_id async for case_id in home.store.cases(stage.name)]
        stored = await home.store.load(stage.name, known)
        states[stage.name] = {case_id: replace(state, offset=0) for case_id, state in stored.items()}
    halted = {stage.name: [each.case_id for each in await home.store.halted(stage.name)] for stage in home.stages}
    return Following(histories, states, halted)


def but_for(cases: Collection[str], following: Following) -> Following:
    """Leave out what follows from the facts of some cases."""

    def without(by_case: Mapping[str, T]) -> Mapping[str, T]:
        return {case_id: each for case_id, each in by_case.items() if case_id not in cases}

    histories = {topic: without(each) for topic, each in following.histories.items()}
    return Following(histories, {stage: without(each) for stage, each in following.states.items()}, following.halted)


async def both_of(home: Home) -> tuple[Kept, Following]:
    """Give both."""
    return await kept_of(home), await following_of(home)


def both_in(directory: Path) -> tuple[Kept, Following]:
    """Give both of the home in a directory."""

    async def ask() -> tuple[Kept, Following]:
        async with await EmbeddedHome.open(directory) as home:
            return await both_of(home)

    return asyncio.run(ask())


async def _records(home: Home, topic: Topic, partition: int) -> Records:
    return [(record.offset, record.key, record.value) for record in await records_of(home, topic, partition)]


def _partitions(topic: Topic) -> range:
    return range(topic.partitions)


def facts_of(kept: Kept) -> set[str]:
    """Give the ids of the facts."""
    values = (value for (topic, _), records in kept.log.items() if topic == CASES.name for _, _, value in records)
    return {identity for value in values if (identity := id_of(value)) is not None}


def is_beginning_of(found: tuple[Kept, Following], whole: tuple[Kept, Following]) -> bool:
    """Tell whether a home is what another one once was: fails by naming where that went another way."""
    (kept, following), (all_kept, all_following) = found, whole
    for place, records in kept.log.items():
        assert records == all_kept.log[place][: len(records)], f"{place} went another way"
    assert kept.keys.items() <= all_kept.keys.items()
    assert set(kept.persons) <= set(all_kept.persons)
    for topic, histories in following.histories.items():
        for case_id, history in histories.items():
            went = all_following.histories[topic][case_id][: len(history)]
            assert history == went, f"{topic}: case {case_id} went another way"
    return True
