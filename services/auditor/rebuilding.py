"""What every stage knows, made anew from the log in a fresh place, partition by partition."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Final

from contracts.topics import PARTITIONS, partition_of
from services.auditor.replay import Counted, History, Replay
from services.runtime.keyring.port import Destroyed
from services.runtime.store.port import Position, Store

FRESH: Final = "fresh."
"""Begins the names under which stages are kept in a fresh place."""

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was read for that. counted: topic -> how much; there: partitions that an earlier try had done."""

    counted: dict[str, Counted]
    there: int


async def rebuilt(
    history: History,
    fresh: Store,
    progress: Callable[[int], None],
    *,
    publishes: bool = False,
    partitions: Iterable[int] = range(PARTITIONS),
) -> Rebuilt:
    """Make what every stage knows anew, in a fresh place. Raises Unavailable.

    What was done is kept there, so a try that was broken off goes on with the partition in which that was.

    progress: is told how many records were read
    publishes: whether what follows from the facts and is not on the log is put there, as for a fresh place that is used
    partitions: only these; several processes can each make some, each in a fresh place of its own
    """
    facts_alone = History(history.log, history.keyring, history.log_id, history.stages)
    replay = Replay(facts_alone, fresh, makes_bytes=False, fresh=FRESH, progress=progress, publishes=publishes)
    for stage in history.stages:
        if await fresh.place(FRESH + stage.name) is None:
            # Positions without states would say that these are there.
            await fresh.clear(FRESH + stage.name)
        await fresh.begin(FRESH + stage.name)
    wanted = set(partitions)
    left = {number for number in wanted if not await _is_there(history, fresh, number)}
    await _forget_halves(history, fresh, left)
    for number in sorted(left):
        await replay.partition(number)
        await _put_down(history, replay, fresh, number)
    return Rebuilt(replay.counted, len(wanted) - len(left))


async def _is_there(history: History, fresh: Store, number: int) -> bool:
    last = history.stages[-1]
    position = await fresh.position(FRESH + last.name, number)
    return position is not None and position.log == history.log_id


async def _forget_halves(history: History, fresh: Store, left: Container[int]) -> None:
    """Remove what a try that was broken off has made of partitions that it did not come to the end of."""
    for stage in history.stages:
        name = FRESH + stage.name
        halves = [case_id async for case_id in fresh.cases(name) if partition_of(case_id) in left]
        for start in range(0, len(halves), _AT_ONCE):
            await fresh.remove(name, halves[start : start + _AT_ONCE])


async def _put_down(history: History, replay: Replay, fresh: Store, number: int) -> None:
    """Say of a partition what stages know of it beside its cases: which ones halt, and how far it was read."""
    for stage in history.stages:
        fold, name = replay.folds[stage.name], FRESH + stage.name
        halted = [each for each in fold.halted.values() if each.partition == number]
        if halted:
            await fresh.halt(name, halted)
        # The last stage comes last: where it has a position, the others have theirs.
        position = Position(history.log_id, replay.ends[number].get(stage.reads.name, 0))
        await fresh.set_position(name, number, position)


async def put_in_place(history: History, store: Store) -> None:
    """Put what was made anew in the place of what stages know, in a store that has both. Raises Unavailable."""
    # From the end of the chain to its beginning: no stage is ever further than the next one has been told.
    for stage in reversed(history.stages):
        positions: dict[int, Position] = {}
        for number in range(PARTITIONS):
            position = await store.position(FRESH + stage.name, number)
            if position is not None:
                positions[number] = position
        if len(positions) == PARTITIONS:
            await store.take_place(stage.name, FRESH + stage.name, positions)
            await _forget_erased(history, store, stage.name)


async def _forget_erased(history: History, store: Store, stage: str) -> None:
    """Remove what was put in place of cases that were erased meanwhile.

    Whoever erases one destroys its key before its states are removed: so either they see what was put there, or the key
    is seen to be gone here.
    """
    case_ids = [case_id async for case_id in store.cases(stage)]
    for start in range(0, len(case_ids), _AT_ONCE):
        keys = await history.keyring.keys(case_ids[start : start + _AT_ONCE])
        if erased := [case_id for case_id, key in keys.items() if isinstance(key, Destroyed)]:
            await store.remove(stage, erased)
