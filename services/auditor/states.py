"""What the stages know of their cases, compared with what they know after the history was told again."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag

from contracts.codec import CaseKey
from contracts.topics import partition_of
from services.auditor.domain.findings import Difference, Finding, Findings, Place, What, differences
from services.auditor.fold import Keys
from services.runtime.keyring.port import Destroyed
from services.runtime.stage import Stage
from services.runtime.store.port import Store, StoredState

_AT_ONCE: Final = 500


@dataclass(slots=True)
class Compared:
    """How the states of a stage compare.

    digest: of what was derived, case by case; moved: cases of which the stage has read more since
    behind: cases of which the stage has not read everything yet; erased: states of cases whose key was destroyed
    """

    stage: str
    digest: str = ""
    equal: int = 0
    moved: int = 0
    behind: int = 0
    erased: int = 0


async def compared(
    stage: Stage[Any],
    shelf: Store,
    store: Store,
    keys: Keys,
    findings: Findings,
    cases: Collection[str] | None = None,
) -> Compared:
    """Compare every state of a stage, or those of some cases, with those on the shelf. Raises Unavailable."""
    told = Compared(stage.name)
    digest = blake2b(digest_size=16)
    async for case_ids in _chunks(shelf.cases(stage.name)):
        derived, standing = await shelf.load(stage.name, case_ids), await store.load(stage.name, case_ids)
        known = await keys.of(case_ids)
        for case_id in case_ids:
            mine, its = derived[case_id], standing.get(case_id)
            digest.update(f"{case_id} {mine.read} {mine.written} ".encode() + mine.body)
            await _compare(_Pair(stage, case_id, mine, its, known.get(case_id)), store, told, findings)
    async for case_ids in _chunks(store.cases(stage.name)):
        derived, standing = await shelf.load(stage.name, case_ids), await store.load(stage.name, case_ids)
        known = await keys.of(case_ids)
        for case_id in sorted(standing.keys() - derived.keys()):
            if cases is not None and case_id not in cases:
                continue
            if isinstance(known.get(case_id), Destroyed):
                told.erased += 1
            else:
                _find(findings, "state-underivable", stage, case_id, "no state, since nothing on the log leads to it")
    told.digest = digest.hexdigest()
    return told


@dataclass(frozen=True, slots=True)
class _Pair:
    stage: Stage[Any]
    case_id: str
    derived: StoredState
    standing: StoredState | None
    key: CaseKey | Destroyed | None


async def _compare(pair: _Pair, store: Store, told: Compared, findings: Findings) -> None:
    derived, standing = pair.derived, pair.standing
    if standing is None or standing.offset < derived.offset:
        position = await store.position(pair.stage.name, partition_of(pair.case_id))
        if position is None or position.offset <= derived.offset:
            told.behind += 1
        elif standing is None:
            _find(findings, "state-missing", pair.stage, pair.case_id, "a state was expected")
        else:
            says = f"the state after offset {derived.offset} was expected, not after {standing.offset}"
            _find(findings, "state-altered", pair.stage, pair.case_id, says)
    elif standing.offset > derived.offset:
        told.moved += 1
    elif _outside(standing) == _outside(derived) and standing.body == derived.body:
        told.equal += 1
    else:
        others = tuple(_differences(pair.stage, pair.case_id, derived, standing, pair.key))
        _find(findings, "state-altered", pair.stage, pair.case_id, "what follows from the history was expected", others)


def _differences(
    stage: Stage[Any], case_id: str, derived: StoredState, standing: StoredState, key: CaseKey | Destroyed | None
) -> Sequence[Difference]:
    expected, found = ({**_outside(each), "state": _opened(stage, case_id, each, key)} for each in (derived, standing))
    return list(differences(expected, found))


def _outside(state: StoredState) -> Mapping[str, object]:
    return {"read": state.read, "written": state.written, "schema": state.schema}


def _opened(stage: Stage[Any], case_id: str, state: StoredState, key: CaseKey | Destroyed | None) -> object:
    """Give what a state says; its sealed bytes, if nobody can open it."""
    if isinstance(key, CaseKey):
        try:
            return orjson.loads(key.unseal(state.body, stage.name.encode(), case_id.encode()))
        except (InvalidTag, ValueError):
            pass
    return state.body.hex()


def _find(
    findings: Findings,
    what: What,
    stage: Stage[Any],
    case_id: str,
    says: str,
    differences: Sequence[Difference] = (),
) -> None:
    place = Place(partition=partition_of(case_id), case=case_id, stage=stage.name)
    findings.add(Finding(what, place, says, tuple(differences)))


async def _chunks(case_ids: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    some: list[str] = []
    async for case_id in case_ids:
        some.append(case_id)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some
