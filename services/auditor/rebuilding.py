"""What every stage knows, made anew from the log in a fresh place, partition by partition."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from contracts.topics import PARTITIONS
from services.auditor.replay import Counted, History, Replay
from services.runtime.keyring.port import Destroyed
from services.runtime.store.port import Outcome, Position, Store, StoredState, Write

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
    shelf: Store,
    progress: Callable[[int], None],
    *,
    publishes: bool = False,
    partitions: Iterable[int] = range(PARTITIONS),
) -> Rebuilt:
    """Make what every stage knows anew, in a fresh place. Raises Unavailable.

    What was done is kept there, so a try that was broken off goes on with the partition in which that was.

    shelf: empty, and nobody else's; progress: is told how many records were read
    publishes: whether what follows from the facts and is not on the log is put there, as for a fresh place that is used
    partitions: only these; several processes can each make some
    """
    facts_alone = History(history.log, history.keyring, history.log_id, history.stages)
    replay = Replay(facts_alone, shelf, makes_bytes=False, progress=progress, publishes=publishes)
    there = 0
    for stage in history.stages:
        if await fresh.place(FRESH + stage.name) is None:
            # Positions without states would say that these are there.
            await fresh.clear(FRESH + stage.name)
        await fresh.begin(FRESH + stage.name)
    for number in partitions:
        if await _is_there(history, fresh, number):
            there += 1
            continue
        await replay.partition(number)
        await _put_down(history, replay, fresh, number)
    return Rebuilt(replay.counted, there)


async def _is_there(history: History, fresh: Store, number: int) -> bool:
    last = history.stages[-1]
    position = await fresh.position(FRESH + last.name, number)
    return position is not None and position.log == history.log_id


async def _put_down(history: History, replay: Replay, fresh: Store, number: int) -> None:
    """Move what stages know of the cases of a partition from the shelf to the fresh place."""
    for stage in history.stages:
        fold, name = replay.folds[stage.name], FRESH + stage.name
        case_ids = [case_id async for case_id in fold.cases()]
        for start in range(0, len(case_ids), _AT_ONCE):
            some = case_ids[start : start + _AT_ONCE]
            states, standing = await replay.shelf.load(stage.name, some), await fresh.load(name, some)
            writes = [Write(case_id, _offset(standing.get(case_id)), state) for case_id, state in states.items()]
            if Outcome.LOST in await fresh.save(name, writes):
                raise RuntimeError("somebody else writes to the fresh place")
        halted = [each for each in fold.halted.values() if each.partition == number]
        if halted:
            await fresh.halt(name, halted)
        await replay.shelf.clear(stage.name)
        # The last stage comes last: where it has a position, the others have theirs.
        position = Position(history.log_id, replay.ends[number].get(stage.reads.name, 0))
        await fresh.set_position(name, number, position)


def _offset(state: StoredState | None) -> int | None:
    return None if state is None else state.offset


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
