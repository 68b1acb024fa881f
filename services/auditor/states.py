"""What the stages know of their cases, compared with what they know after the history was told again."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import product
from typing import Any, Final, NamedTuple, Protocol

import orjson
from cryptography.exceptions import InvalidTag

from contracts.codec import CaseKey
from contracts.events.fields import instant
from contracts.topics import PARTITIONS, partition_of
from services.auditor.domain.findings import Difference, Finding, Findings, Place, What, differences
from services.auditor.fold import Keys
from services.auditor.replay import History
from services.auditor.retold import known_at
from services.runtime.keyring.port import Destroyed
from services.runtime.log.port import Log
from services.runtime.stage import Stage
from services.runtime.store.port import UNREADABLE, Store, StoredState

_AT_ONCE: Final = 500

_APART_AT_ONCE: Final = 1_000 * PARTITIONS
"""States of another moment that are compared together: for all of them the log is read once more, and a thousand of a
partition are open then."""

_CLOCKS_APART: Final = timedelta(hours=26)
"""At most, between a clinic and the region: the moments that were derived are those of the region's clock."""


class Derived(Protocol):
    """Where the states are that were derived."""

    def cases(self, stage: str) -> AsyncIterator[str]:
        """Give the cases that there is a state of, in order."""

    async def load(self, stage: str, case_ids: Collection[str]) -> Mapping[str, StoredState]:
        """Give the states of some cases; a case without one is absent."""


@dataclass(frozen=True, slots=True)
class Together:
    """States that were derived in several places, those of a case in one of them."""

    places: Sequence[Derived]

    async def cases(self, stage: str) -> AsyncIterator[str]:
        """Give the cases that there is a state of, in order."""
        left = [place.cases(stage) for place in self.places]
        first = {
            number: case_id for number, each in enumerate(left) if (case_id := await anext(each, None)) is not None
        }
        while first:
            number = min(first, key=first.__getitem__)
            yield first.pop(number)
            if (case_id := await anext(left[number], None)) is not None:
                first[number] = case_id

    async def load(self, stage: str, case_ids: Collection[str]) -> Mapping[str, StoredState]:
        """Give the states of some cases; a case without one is absent."""
        found: dict[str, StoredState] = {}
        for place in self.places:
            found.update(await place.load(stage, case_ids))
        return found


@dataclass(slots=True)
class Compared:
    """How the states of a stage compare.

    cases: how many there are; digest: of what was derived, case by case
    moved: cases of which the stage has read what came since the history was told again
    behind: cases of which the stage has not read everything yet
    ahead: cases of which the stage says that it has read what does not stand there
    underivable: cases of which the stage knows something, and nothing leads to it
    """

    stage: str
    cases: int = 0
    digest: str = ""
    equal: int = 0
    moved: int = 0
    behind: int = 0
    ahead: int = 0
    underivable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is compared: the states of a stage in a store, and where on the log it stands by its own account.

    log_id: of the log; ends: partition -> where each topic ended when the history was told again
    """

    store: Store
    log: Log
    log_id: str
    ends: Mapping[int, Mapping[str, int]]

    async def is_behind(self, stage: Stage[Any], case_id: str, offset: int) -> bool:
        """Tell whether a stage has not come to a record of a case yet; not if it has lost where it was."""
        number = partition_of(case_id)
        position = await self.store.position(stage.name, number)
        if position is not None:
            return position.offset <= offset
        return stage.writes is None or await self.log.end(stage.writes, number) == 0

    async def has_moved(self, stage: Stage[Any], case_id: str, offset: int) -> bool:
        """Tell whether a stage can have read a record of a case since: one that came since, and stands there."""
        number = partition_of(case_id)
        # Asked after the state: no stage has read what does not stand there.
        return self.ends[number][stage.reads.name] <= offset < await self.log.end(stage.reads, number)


async def cuts(history: History, store: Store, partitions: Iterable[int]) -> list[Finding]:
    """Find where a stage has read further than its topic reaches. Raises Unavailable."""
    found: list[Finding] = []
    for stage, number in product(history.stages, partitions):
        position, topic = await store.position(stage.name, number), stage.reads
        # Asked after the position: whoever runs the stage goes on meanwhile.
        end = await history.log.end(topic, number)
        if position is not None and position.log == history.log_id and position.offset > end:
            says = f"{stage.name} has read up to offset {position.offset}, so as much was expected to stand there"
            found.append(Finding("log-cut", Place(topic.name, number, end, stage=stage.name), says))
    return found


class Apart(NamedTuple):
    """A state of another moment than that at which the history was told again, as it waits to be compared.

    state: with a digest in the place of its body; has_moved: whether it is of a later moment
    """

    state: StoredState
    has_moved: bool

    @classmethod
    def of(cls, state: StoredState, *, has_moved: bool) -> "Apart":
        """Keep a state."""
        return cls(_digested(state), has_moved)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The states of a stage that were derived, laid beside those that stand in a store.

    derived: where they are kept, under the name `kept_as`; standing: None if there are none to compare with
    cases: only these, if any are named
    """

    stage: Stage[Any]
    derived: Derived
    kept_as: str
    standing: Standing | None
    keys: Keys
    findings: Findings
    cases: Collection[str] | None = None

    async def made(self) -> Compared:
        """Compare them. Raises Unavailable, StatesLost."""
        told, digest, apart = Compared(self.stage.name), blake2b(digest_size=16), dict[str, Apart]()
        async for case_ids in _chunks(self.derived.cases(self.kept_as)):
            derived, standing = await self._both(case_ids)
            known = await self.keys.of(case_ids)
            for case_id in case_ids:
                mine = derived[case_id]
                told.cases += 1
                digest.update(f"{case_id} {mine.read} {mine.written} ".encode() + mine.body)
                where, found = self.standing, standing.get(case_id)
                if where is None:
                    continue
                if found is not None and (is_apart := await self._apart(case_id, mine.offset, found, where)):
                    apart[case_id] = is_apart
                else:
                    await self._compare(case_id, mine, found, known.get(case_id), where, told)
            await self._compare_apart(apart, told, at_least=_APART_AT_ONCE)
        told.digest = digest.hexdigest()
        if self.standing is not None:
            async for case_ids in _chunks(self.standing.store.cases(self.stage.name)):
                await self._see_underivable(case_ids, self.standing, apart, told)
                await self._compare_apart(apart, told, at_least=_APART_AT_ONCE)
        await self._compare_apart(apart, told)
        return told

    async def _apart(self, case_id: str, derived: int, found: StoredState, where: Standing) -> Apart | None:
        """Tell whether a state can be of another moment."""
        if found.offset > derived:
            return Apart.of(found, has_moved=True) if await where.has_moved(self.stage, case_id, found.offset) else None
        is_behind = found.offset < derived and await where.is_behind(self.stage, case_id, derived)
        return Apart.of(found, has_moved=False) if is_behind else None

    async def _compare_apart(self, apart: dict[str, Apart], told: Compared, *, at_least: int = 1) -> None:
        """Compare states of other moments with what follows from as much as they have read, once there are some."""
        where = self.standing
        if where is None or len(apart) < at_least:
            return
        keys = {case_id: key for case_id, key in (await self.keys.of(apart)).items() if isinstance(key, CaseKey)}
        offsets = {case_id: apart[case_id].state.offset for case_id in keys}
        async for known in known_at(self.stage, where.log, where.log_id, keys, offsets):
            differing: dict[str, StoredState] = {}
            for case_id, mine in known.items():
                found, has_moved = apart.pop(case_id)
                if mine is None or mine.offset != found.offset:
                    says = f"a record of the case was expected at offset {found.offset} of {self.stage.reads.name}"
                    self._find("state-altered", case_id, f"{says}, up to which it says it has read")
                elif _is_equal(_digested(mine), found):
                    told.moved += has_moved
                    told.behind += not has_moved
                else:
                    differing[case_id] = mine
            await self._tell_of(differing, keys, where)
        for _, has_moved in apart.values():
            told.moved += has_moved
            told.behind += not has_moved
        apart.clear()

    async def _tell_of(self, expected: Mapping[str, StoredState], keys: Mapping[str, CaseKey], where: Standing) -> None:
        """Tell of states that are not what follows from what they have read, with fields of those that stand yet."""
        standing = await where.store.load(self.stage.name, expected)
        for case_id, mine in expected.items():
            found = standing.get(case_id)
            is_there = found is not None and found.offset == mine.offset
            others = _differences(self.stage, case_id, mine, found, keys[case_id]) if found and is_there else ()
            self._find("state-altered", case_id, "what follows from what it has read was expected", others)

    async def _both(self, case_ids: Collection[str]) -> tuple[Mapping[str, StoredState], Mapping[str, StoredState]]:
        derived = await self.derived.load(self.kept_as, case_ids)
        return derived, {} if self.standing is None else await self.standing.store.load(self.stage.name, case_ids)

    async def _see_underivable(
        self, case_ids: Collection[str], where: Standing, apart: dict[str, Apart], told: Compared
    ) -> None:
        """Find the states that nothing leads to."""
        derived, standing = await self._both(case_ids)
        known = await self.keys.of(case_ids)
        for case_id in sorted(standing.keys() - derived.keys()):
            if self.cases is not None and case_id not in self.cases:
                continue
            if await where.has_moved(self.stage, case_id, standing[case_id].offset):
                apart[case_id] = Apart.of(standing[case_id], has_moved=True)
                continue
            told.underivable.append(case_id)
            is_sealed = isinstance(known.get(case_id), Destroyed)
            why = "the key of the case is destroyed" if is_sealed else "nothing on the log leads to it"
            self._find("state-underivable", case_id, f"no state, since {why}")

    async def _compare(
        self,
        case_id: str,
        derived: StoredState,
        standing: StoredState | None,
        key: CaseKey | Destroyed | None,
        where: Standing,
        told: Compared,
    ) -> None:
        if standing is None:
            if await where.is_behind(self.stage, case_id, derived.offset):
                told.behind += 1
            else:
                self._find("state-missing", case_id, "a state was expected")
        elif standing.offset < derived.offset:
            says = f"the state after offset {derived.offset} was expected, not after {standing.offset}"
            self._find("state-altered", case_id, says)
        elif standing.offset > derived.offset:
            told.ahead += 1
            says = f"the state after offset {derived.offset} of {self.stage.reads.name} was expected"
            more = f"what it says it has read since, up to offset {standing.offset}, does not stand there"
            self._find("state-ahead", case_id, f"{says}: {more}")
        elif _is_equal(derived, standing):
            told.equal += 1
        else:
            others = _differences(self.stage, case_id, derived, standing, key)
            self._find("state-altered", case_id, "what follows from the history was expected", others)

    def _find(self, what: What, case_id: str, says: str, differences: Sequence[Difference] = ()) -> None:
        place = Place(partition=partition_of(case_id), case=case_id, stage=self.stage.name)
        self.findings.add(Finding(what, place, says, tuple(differences)))


def _differences(
    stage: Stage[Any], case_id: str, derived: StoredState, standing: StoredState, key: CaseKey | Destroyed | None
) -> Sequence[Difference]:
    expected, found = ({**_outside(each), "state": _opened(stage, case_id, each, key)} for each in (derived, standing))
    if _is_out_of_time(derived, standing):
        expected["due"], found["due"] = _told(derived.due), _told(standing.due)
    return list(differences(expected, found))


def _is_equal(derived: StoredState, standing: StoredState) -> bool:
    is_same = _outside(derived) == _outside(standing) and derived.body == standing.body
    return is_same and not _is_out_of_time(derived, standing)


def _is_out_of_time(derived: StoredState, standing: StoredState) -> bool:
    """Tell whether nobody will look in time at a case that is to be looked at.

    Any earlier moment is right, and any where it has come: whoever looks puts it off, by the clock of the clinic, and
    takes it off where nothing is to come.
    """
    if standing.due == UNREADABLE:
        return derived.due != UNREADABLE
    if derived.due is None or derived.due - datetime.now(UTC) <= _CLOCKS_APART:
        return False
    return standing.due is None or standing.due - derived.due > _CLOCKS_APART


def _digested(state: StoredState) -> StoredState:
    return replace(state, body=blake2b(state.body, digest_size=16).digest())


def _outside(state: StoredState) -> Mapping[str, object]:
    return {"read": state.read, "written": state.written, "schema": state.schema}


def _told(due: datetime | None) -> str | None:
    if due is None:
        return None
    return "unreadable" if due == UNREADABLE else instant(due)


def _opened(stage: Stage[Any], case_id: str, state: StoredState, key: CaseKey | Destroyed | None) -> object:
    """Give what a state says; its sealed bytes, if nobody can open it."""
    if isinstance(key, CaseKey):
        try:
            return orjson.loads(key.unseal(state.body, stage.name.encode(), case_id.encode()))
        except (InvalidTag, ValueError):
            pass
    return state.body.hex()


async def _chunks(case_ids: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    some: list[str] = []
    async for case_id in case_ids:
        some.append(case_id)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some
