"""Whether a history verifies: running the stages over its facts gives, to the byte, what stands there."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from contracts.topics import PARTITIONS, partition_of
from services.auditor.domain.findings import Finding, Findings, Place
from services.auditor.replay import Counted, History, Replay, unsaid
from services.auditor.states import Compared, Comparison, Standing, cuts
from services.runtime.store.port import Store


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
    *,
    compares_states: bool = True,
) -> Verified:
    """Verify a history. Raises Unavailable.

    shelf: empty, and nobody else's; progress: is told how many records were read; cases: only these, if any are named
    compares_states: else only the topics are compared, as where the states are of another moment than the history
    """
    replay = Replay(history, shelf, makes_bytes=True, cases=cases, progress=progress)
    for number in partitions_of(cases):
        await replay.partition(number)
        for fold in replay.folds.values():
            await fold.put_away()
    await _see_halted(history, replay)
    found = Verified(replay.findings, replay.counted)
    if history.store is not None and compares_states:
        found.findings.add_all(await cuts(history, history.store, partitions_of(cases)))
        standing = Standing(history.store, history.log, history.log_id, replay.ends)
        found.states = [
            await Comparison(stage, shelf, stage.name, standing, replay.keys, replay.findings, cases).made()
            for stage in history.stages
        ]
    return found


def partitions_of(cases: Collection[str] | None) -> Sequence[int]:
    """Give the partitions of some cases; None: of all there can be."""
    return range(PARTITIONS) if cases is None else sorted(set(map(partition_of, cases)))


async def _see_halted(history: History, replay: Replay) -> None:
    """Find the cases that cannot be told to their end."""
    for stage in history.stages:
        for case_id, halted in sorted(replay.folds[stage.name].halted.items()):
            place = Place(stage.reads.name, halted.partition, halted.offset, None, case_id, stage.name)
            says = (
                f"{stage.name} cannot conclude from this record ({halted.reason}), and from nothing of the case since"
            )
            replay.findings.add(Finding("halted", place, says))
