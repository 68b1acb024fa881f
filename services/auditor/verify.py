"""Whether a history verifies: running the stages over its facts gives, to the byte, what stands there."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.topics import PARTITIONS, partition_of
from services.auditor.counted import Counted, add_partitions, unsaid
from services.auditor.domain.findings import Finding, Findings, Place
from services.auditor.fold import Keys
from services.auditor.replay import History, Replay
from services.auditor.states import Compared, Comparison, Derived, Standing, cuts
from services.runtime.store.port import Store


@dataclass(slots=True)
class Told:
    """What was found while some partitions were told again.

    counted: topic -> how much of it was read; ends: partition -> where each topic ended then
    """

    findings: Findings = field(default_factory=Findings)
    counted: dict[str, Counted] = field(default_factory=dict)
    ends: dict[int, Mapping[str, int]] = field(default_factory=dict)

    def add(self, others: "Told") -> None:
        """Add what was found in other partitions."""
        self.findings.add_partitions(others.findings)
        add_partitions(self.counted, others.counted)
        self.ends |= others.ends


@dataclass(slots=True)
class Verified:
    """What an audit found. counted: topic -> how much of it was read; states: how those of each stage compare."""

    findings: Findings
    counted: dict[str, Counted]
    states: Sequence[Compared] = field(default_factory=list)

    def unsaid(self, erased: Collection[str]) -> Counter[str]:
        """Count as sealed what is of cases whose key was destroyed though they were not erased; give how much of each.

        erased: the cases of which the log says that they were
        """
        return unsaid(self.counted, erased)


async def verified(
    history: History,
    shelf: Store,
    progress: Callable[[int], None],
    cases: Collection[str] | None = None,
) -> Verified:
    """Verify a history, its states too. Raises Unavailable.

    shelf: empty, and nobody else's; progress: is told how many records were read; cases: only these, if any are named
    """
    told = await told_again(history, shelf, progress, cases, partitions_of(cases))
    return await compared(history, told, shelf, cases)


async def told_again(
    history: History,
    shelf: Store,
    progress: Callable[[int], None],
    cases: Collection[str] | None,
    partitions: Sequence[int],
) -> Told:
    """Tell partitions of a history again; what follows of each case is on the shelf then. Raises Unavailable.

    shelf, progress, cases: as for all of it
    """
    told = Told()
    for number in partitions:
        # One for each: what is told of a partition does not depend on what is wrong in those before it.
        replay = Replay(history, shelf, makes_bytes=True, cases=cases, progress=progress)
        await replay.partition(number)
        for fold in replay.folds.values():
            await fold.put_away()
        _see_halted(history, replay)
        told.add(Told(replay.findings, replay.counted, replay.ends))
    return told


async def compared(
    history: History,
    told: Told,
    derived: Derived,
    cases: Collection[str] | None = None,
    *,
    compares_states: bool = True,
) -> Verified:
    """Compare what the stages know with what followed when a history was told again. Raises Unavailable.

    derived: has that; cases: as for all of it
    compares_states: else only the topics are compared, as where the states are of another moment than the history
    """
    found = Verified(told.findings, told.counted)
    if history.store is not None and compares_states:
        found.findings.add_all(await cuts(history, history.store, partitions_of(cases)))
        standing = Standing(history.store, history.log, history.log_id, told.ends)
        keys = Keys(history.keyring, are_all_here=history.has_all_keys)
        found.states = [
            await Comparison(stage, derived, stage.name, standing, keys, told.findings, cases).made()
            for stage in history.stages
        ]
    return found


def partitions_of(cases: Collection[str] | None) -> Sequence[int]:
    """Give the partitions of some cases; None: of all there can be."""
    return range(PARTITIONS) if cases is None else sorted(set(map(partition_of, cases)))


def _see_halted(history: History, replay: Replay) -> None:
    """Find the cases that cannot be told to their end."""
    for stage in history.stages:
        for case_id, halted in sorted(replay.folds[stage.name].halted.items()):
            place = Place(stage.reads.name, halted.partition, halted.offset, None, case_id, stage.name)
            says = (
                f"{stage.name} cannot conclude from this record ({halted.reason}), and from nothing of the case since"
            )
            replay.findings.add(Finding("halted", place, says))
