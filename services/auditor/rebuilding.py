"""What every stage knows, made anew from the log in a fresh place, partition by partition."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from contracts.topics import PARTITIONS
from services.auditor.domain.findings import What
from services.auditor.replay import Counted, History, Replay
from services.runtime.keyring.port import Destroyed
from services.runtime.store.port import Outcome, Position, Store, StoredState, Write

FRESH: Final = "fresh."
"""Begins the names under which stages are kept in a fresh place."""

Purpose = Literal["compare", "keep", "replace"]
"""What something is made anew for."""

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was read for that. counted: topic -> how much; there: partitions that an earlier try had done.

    contradictions: how many conclusions stand there that do not follow from the facts, of each kind
    ends: partition -> how far each topic was read, by whoever did that
    """

    counted: dict[str, Counted]
    there: int
    contradictions: Counter[What]
    ends: Mapping[int, Mapping[str, int]]


async def rebuilt(
    history: History,
    fresh: Store,
    shelf: Store,
    progress: Callable[[int], None],
    *,
    purpose: Purpose = "compare",
    partitions: Iterable[int] = range(PARTITIONS),
) -> Rebuilt:
    """Make what every stage knows anew, in a fresh place. Raises Unavailable, StatesLost, Contradicted.

    What was done is kept there, so a try that was broken off goes on with the partition in which that was. Two at once
    do the same twice, and neither undoes what the other has done.

    shelf: empty, and nobody else's; progress: is told how many records were read
    purpose: to "compare" it, conclusions on the log may be other ones of the same type at the same place, which takes a
        fifth less time; to "keep" it, they have to be what follows to the byte; to "replace" what is there with it,
        what follows and is not on the log is put there too
    partitions: only these; several processes can each make some
    """
    facts_alone = History(history.log, history.keyring, history.log_id, history.stages)
    replay = Replay(
        facts_alone, shelf, makes_bytes=purpose != "compare", progress=progress, publishes=purpose == "replace"
    )
    await _begun(history, fresh)
    there = 0
    for number in partitions:
        if await _is_there(history, fresh, number):
            there += 1
            continue
        await replay.partition(number)
        await _put_down(history, replay, fresh, number)
    if there:
        for stage in history.stages:
            await _forget_erased(history, fresh, FRESH + stage.name)
    ends = await _read(history, fresh)
    return Rebuilt(replay.counted, there, replay.findings.contradictions, ends)


async def _begun(history: History, fresh: Store) -> None:
    """Make the fresh place, and see that nothing of another log is there."""
    first = history.stages[0]
    of_whom = await fresh.position(FRESH + first.name, 0)
    is_of_this_log = of_whom is not None and of_whom.log == history.log_id
    for stage in history.stages:
        # Positions without states would say that these are there.
        if not is_of_this_log or await fresh.place(FRESH + stage.name) is None:
            await fresh.clear(FRESH + stage.name)
        await fresh.begin(FRESH + stage.name)
    if not is_of_this_log:
        await fresh.set_position(FRESH + first.name, 0, Position(history.log_id, 0))


async def _is_there(history: History, fresh: Store, number: int) -> bool:
    return await fresh.position(FRESH + history.stages[-1].name, number) is not None


async def _read(history: History, fresh: Store) -> Mapping[int, Mapping[str, int]]:
    """Give how far each topic was read for what is there."""
    ends: dict[int, dict[str, int]] = defaultdict(dict)
    for stage in history.stages:
        for number in range(PARTITIONS):
            position = await fresh.position(FRESH + stage.name, number)
            ends[number][stage.reads.name] = 0 if position is None else position.offset
    return ends


async def _put_down(history: History, replay: Replay, fresh: Store, number: int) -> None:
    """Keep in the fresh place what stages know of a partition."""
    for stage in history.stages:
        fold, name = replay.folds[stage.name], FRESH + stage.name
        async for states in fold.handed_over(_AT_ONCE):
            await _keep(fresh, name, states)
        halted = [each for each in fold.halted.values() if each.partition == number]
        if halted:
            await fresh.halt(name, halted)
        # The last stage comes last: where it has a position, the others have theirs.
        position = Position(history.log_id, replay.ends[number].get(stage.reads.name, 0))
        await fresh.set_position(name, number, position)


async def _keep(fresh: Store, name: str, states: Mapping[str, StoredState]) -> None:
    """Keep states, but where another replay has come further with a case since: its position may be there already."""
    left = states
    while left:
        standing = {case_id: state.offset for case_id, state in (await fresh.load(name, left)).items()}
        writes = [
            Write(case_id, standing.get(case_id), state)
            for case_id, state in left.items()
            if standing.get(case_id, -1) <= state.offset
        ]
        outcomes = zip(writes, await fresh.save(name, writes), strict=True)
        left = {write.case_id: write.state for write, outcome in outcomes if outcome is Outcome.LOST}


async def put_in_place(history: History, store: Store) -> bool:
    """Put what was made anew in the place of what stages know, in a store that has both. Raises Unavailable.

    False: it was not all there any more, because another replay has put it in place.
    """
    is_all = True
    # From the end of the chain to its beginning: no stage is ever further than the next one has been told.
    for stage in reversed(history.stages):
        positions: dict[int, Position] = {}
        for number in range(PARTITIONS):
            position = await store.position(FRESH + stage.name, number)
            if position is not None:
                positions[number] = position
        if len(positions) < PARTITIONS:
            is_all = False
        else:
            await store.take_place(stage.name, FRESH + stage.name, positions)
            await _forget_erased(history, store, stage.name)
    return is_all


async def _forget_erased(history: History, store: Store, stage: str) -> None:
    """Remove what was made anew of cases that were erased meanwhile.

    Whoever erases one destroys its key before its states are removed: so either they see what was put there, or the key
    is seen to be gone here.
    """
    case_ids = [case_id async for case_id in store.cases(stage)]
    for start in range(0, len(case_ids), _AT_ONCE):
        keys = await history.keyring.keys(case_ids[start : start + _AT_ONCE])
        if erased := [case_id for case_id, key in keys.items() if isinstance(key, Destroyed)]:
            await store.remove(stage, erased)
