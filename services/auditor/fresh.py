"""The fresh place in which what the stages know is made anew: what is there of which partition, and who makes it."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Final, Literal

from contracts.topics import partition_of
from services.auditor.replay import History
from services.runtime.keyring.port import Destroyed
from services.runtime.log.port import next_offset
from services.runtime.store.port import FRESH, Outcome, Position, Store

Purpose = Literal["compare", "keep", "prepare", "replace"]
"""What something is made anew for."""

MADE_OF: Final = f"{FRESH}of"
"""Under this name it is noted of which records a partition was made that is kept, by whoever took it last."""

_UNDONE: Final = Position("", 0)
"""Noted there once what was kept of a partition is not to be gone on with."""

_ENDED: Final = f"{FRESH}ended"
"""Under this name it is noted that a place that is kept is not to be gone on with."""

_AT_ONCE: Final = 1_000


class PlaceTaken(Exception):
    """A place where something was to be kept has something else. Says what."""


class Overtaken(Exception):
    """Another replay goes on with what this one was making, or has put it in place."""


async def require_room(history: History, kept: Store) -> None:
    """Make sure that nothing is in a place but what was begun over this log and broken off. Raises PlaceTaken."""
    begun = await kept.position(FRESH + history.stages[0].name, 0)
    if begun is not None and begun.log != history.log_id:
        raise PlaceTaken("what was made anew of another log")
    if await kept.position(_ENDED, 0) is not None:
        raise PlaceTaken("a replay that came to its end")


async def leave(history: History, fresh: Store) -> None:
    """Leave nothing of what was made anew and is not to be put in place: it was refused for what it was made of."""
    for name in (MADE_OF, *(FRESH + stage.name for stage in history.stages)):
        await fresh.clear(name)


async def end(history: History, kept: Store) -> None:
    """Say that a place is not to be gone on with: all is there, and was told."""
    await kept.set_position(_ENDED, 0, Position(history.log_id, 0))


async def made_ready(history: History, fresh: Store) -> bool:
    """Make the fresh place, and see that nothing of another log is there; tell whether something of this one may be."""
    first = history.stages[0]
    of_whom = await fresh.position(FRESH + first.name, 0)
    is_of_this_log = of_whom is not None and of_whom.log == history.log_id
    if not is_of_this_log:
        await leave(history, fresh)
    for stage in history.stages:
        # Positions without states would say that these are there.
        if await fresh.place(FRESH + stage.name) is None:
            await fresh.clear(FRESH + stage.name)
        await fresh.begin(FRESH + stage.name)
    if not is_of_this_log:
        await fresh.set_position(FRESH + first.name, 0, Position(history.log_id, 0))
    return is_of_this_log


async def taken_over(
    history: History, fresh: Store, partitions: Collection[int], purpose: Purpose, owner: str
) -> set[int]:
    """Take partitions from whoever has begun them; give those that are done. Of the others nothing is left there.

    Whoever had one can no longer say that it is done, so whatever becomes of this try, or of that one, what is said to
    be done is all there. Raises Overtaken.
    """
    noted = {number: (await fresh.hold(MADE_OF, number, owner)).position for number in partitions}
    done = set[int]()
    for number, made_of in noted.items():
        if made_of is None or made_of == _UNDONE:
            continue
        ends = await _ends(history, fresh, number)
        if ends is None:
            # What is done and has no position is being put in place, by another replay or by one that was killed at
            # that. It may read here yet: it sees where all of it goes, and not where something is taken out.
            await leave(history, fresh)
            await made_ready(history, fresh)
            return await taken_over(history, fresh, partitions, purpose, owner)
        if await _is_there(history, number, made_of, ends, purpose):
            done.add(number)
    for number in noted.keys() - done:
        if noted[number] not in (None, _UNDONE):
            await _note(fresh, number, _UNDONE, owner)
    await _make_room(history, fresh, noted.keys() - done, owner)
    return done


async def _note(fresh: Store, number: int, made_of: Position, owner: str) -> None:
    """Note of which records a partition was made. Raises Overtaken if somebody else has taken it."""
    if await fresh.set_position(MADE_OF, number, made_of, owner) is Outcome.LOST:
        raise Overtaken


async def note_done(history: History, fresh: Store, number: int, ends: Mapping[str, int], owner: str) -> None:
    """Note that a partition was made of what stands on each topic up to some ends. Raises Overtaken."""
    made_of = Position(await _fingerprint(history, number, ends), ends[history.topics[-1].name])
    await _note(fresh, number, made_of, owner)


async def _ends(history: History, fresh: Store, number: int) -> dict[str, int] | None:
    """Give how far each topic that is read was read for what is there of a partition; None: it is not all there."""
    ends: dict[str, int] = {}
    for stage in history.stages:
        position = await fresh.position(FRESH + stage.name, number)
        if position is None:
            return None
        ends[stage.reads.name] = position.offset
    return ends


async def _is_there(
    history: History, number: int, made_of: Position, read: Mapping[str, int], purpose: Purpose
) -> bool:
    """Tell whether a partition was made anew of what still stands there; where that is kept, of nothing else."""
    ends = {**read, history.topics[-1].name: made_of.offset}
    now = {topic.name: await history.log.end(topic, number) for topic in history.topics}
    if any(ends[name] > now[name] for name in now) or (purpose == "keep" and ends != now):
        return False
    return made_of.log == await _fingerprint(history, number, ends)


async def _fingerprint(history: History, number: int, ends: Mapping[str, int]) -> str:
    """Tell a partition by what stands there: another copy of a log has the same name, and can have the same ends.

    And by whose keys are there, and by what shape states have: keys can come back, and another version can go on.
    """
    digest, cases = blake2b(digest_size=16), set[str]()
    for topic in history.topics:
        offset, last = 0, ends[topic.name]
        while offset < last:
            records = await history.log.read(topic, number, offset, min(_AT_ONCE, last - offset))
            for record in records:
                head = f"{topic.name} {record.offset} {record.key} {len(record.value)} "
                digest.update(head.encode() + record.value)
                cases.add(record.key)
            offset = next_offset(records)
    keys = await history.keyring.keys(cases)
    open_here = sorted(case_id for case_id, key in keys.items() if not isinstance(key, Destroyed))
    digest.update(f"{open_here} {[stage.schema for stage in history.stages]}".encode())
    return digest.hexdigest()


async def _make_room(history: History, fresh: Store, partitions: Collection[int], owner: str) -> None:
    """Remove what is there of partitions: it can be of other records, or half of what was to be there.

    Raises Overtaken: whoever has taken one may have put something there by now.
    """
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in (FRESH + stage.name for stage in history.stages):
        halted = [each.case_id for each in await fresh.halted(name)]
        for case_id in [*halted, *[case_id async for case_id in fresh.cases(name)]]:
            if partition_of(case_id) in partitions:
                found[partition_of(case_id)][name].add(case_id)
    for number, by_name in found.items():
        await _note(fresh, number, _UNDONE, owner)
        for name, case_ids in by_name.items():
            await fresh.remove(name, case_ids)
