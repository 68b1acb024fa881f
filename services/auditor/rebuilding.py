"""What every stage knows, made anew from the log in a fresh place, partition by partition."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from contracts.topics import PARTITIONS
from services.auditor.counted import Counted, add_partitions
from services.auditor.domain.findings import What
from services.auditor.fresh import MADE_OF, Purpose, made_ready, note_done, taken_over
from services.auditor.replay import History, Replay
from services.runtime.keyring.port import Destroyed
from services.runtime.store.port import FRESH, Outcome, Position, Store, StoredState, Write

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Begun:
    """What is to be made anew, in a place that is ready for it. owner: by this name all of it was taken.

    partitions: those that are not there yet; there: how many are, as an earlier try had done them
    goes_on: whether something of this log can be there, of an earlier try
    """

    purpose: Purpose
    owner: str
    partitions: Sequence[int]
    there: int
    goes_on: bool


@dataclass(slots=True)
class Made:
    """What was read for some partitions. counted: topic -> how much; ends: partition -> where each topic ended then.

    contradictions: how many conclusions stand there that do not follow from the facts, of each kind
    missing: how many conclusions, and dead letters, follow from the facts and do not stand there
    """

    counted: dict[str, Counted] = field(default_factory=dict)
    contradictions: Counter[What] = field(default_factory=Counter)
    missing: int = 0
    ends: dict[int, Mapping[str, int]] = field(default_factory=dict)

    def add(self, others: "Made") -> None:
        """Add what was read for other partitions."""
        add_partitions(self.counted, others.counted)
        self.contradictions += others.contradictions
        self.missing += others.missing
        self.ends |= others.ends


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made anew, and what was read for that, as in Made.

    there: partitions that an earlier try had done; ends: how far each topic was read, by whoever did that
    """

    counted: dict[str, Counted]
    there: int
    contradictions: Counter[What]
    missing: int
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
    """Make what every stage knows anew, in a fresh place. Raises Unavailable, StatesLost, Contradicted, Overtaken.

    What was done is kept there, so a try that was broken off goes on with the partition in which that was. Of two at
    once the one that began later goes on with what the other has done, and that one is overtaken.

    shelf: empty, and nobody else's; progress: is told how many records were read
    purpose: to "compare" it, conclusions on the log may be other ones of the same type at the same place, which takes a
        fifth less time; to "keep" it, they have to be what follows to the byte, and what an earlier try has done counts
        only if it was done of what stands on the log now; to "replace" what is there with it, what follows and is not
        on the log is put there too, and what came since that try is for whoever goes on from there; to "prepare" that,
        nothing is put on the log yet: what was refused has changed nothing there
    partitions: only these
    """
    begun = await begin(history, fresh, purpose, partitions)
    return await finished(history, fresh, begun, await made(history, fresh, shelf, progress, begun))


async def begin(
    history: History, fresh: Store, purpose: Purpose, partitions: Iterable[int] = range(PARTITIONS)
) -> Begun:
    """Make the fresh place ready, and take the partitions. Raises Unavailable, StatesLost, Overtaken."""
    goes_on = await made_ready(history, fresh)
    owner, wanted = uuid4().hex, list(partitions)
    done = set[int]() if purpose == "compare" else await taken_over(history, fresh, wanted, purpose, owner)
    left = [number for number in wanted if number not in done]
    return Begun(purpose, owner, left, len(done), goes_on)


async def made(history: History, fresh: Store, shelf: Store, progress: Callable[[int], None], begun: Begun) -> Made:
    """Make the partitions that are not there yet; several processes can each make some of what was begun.

    Raises Unavailable, StatesLost, Contradicted, Overtaken.
    """
    purpose = begun.purpose
    publishes, makes_bytes = purpose == "replace", purpose != "compare"
    # What stages know tells what they have not come to yet: that is not missing, but is put in the place of what is.
    store = None if purpose in ("prepare", "replace") else history.store
    of = History(history.log, history.keyring, history.log_id, history.stages, store, is_whole=history.is_whole)
    replay = Replay(of, shelf, makes_bytes, publishes=publishes, progress=progress)
    for number in begun.partitions:
        before = _unlike(replay)
        await replay.partition(number)
        await _put_down(history, replay, fresh, number)
        # One that is not what follows is made once more by the next try: it has to tell of that too, or to mend it.
        if purpose != "compare" and _unlike(replay) == before:
            await note_done(history, fresh, number, replay.ends[number], begun.owner)
    return Made(replay.counted, replay.findings.contradictions, _missing(replay), replay.ends)


async def finished(history: History, fresh: Store, begun: Begun, told: Made) -> Rebuilt:
    """End what was begun, once all of it was made. Raises Unavailable."""
    if begun.goes_on:
        for stage in history.stages:
            await _forget_erased(history, fresh, FRESH + stage.name)
    ends = await _read(history, fresh)
    return Rebuilt(told.counted, begun.there, told.contradictions, told.missing, ends)


def _unlike(replay: Replay) -> int:
    """Count what stands on the log and does not follow, and what follows and does not stand there."""
    return replay.findings.contradictions.total() + _missing(replay)


def _missing(replay: Replay) -> int:
    return replay.findings.counts["missing"] + replay.findings.counts["dead-letter-missing"]


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
    await store.clear(MADE_OF)
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
