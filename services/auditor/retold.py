"""What a stage knew of some cases when it had read so far."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from contracts.codec import CaseKey
from contracts.topics import partition_of
from services.runtime.batch import Batch, Case, Stepper
from services.runtime.faults import StageStopped
from services.runtime.log.port import Log, after, next_offset
from services.runtime.stage import Stage
from services.runtime.store.port import Halted, StoredState

_AT_ONCE: Final = 2_000

Known = dict[str, StoredState | None]


async def known_at(
    stage: Stage[Any], log: Log, log_id: str, keys: Mapping[str, CaseKey], offsets: Mapping[str, int]
) -> AsyncIterator[Known]:
    """Let a stage read its topic for some cases, of each up to an offset; give what it knows of each then.

    One partition after the other, since all of its cases are open meanwhile. None: it has read nothing of that case. Of
    cases in a partition in which it cannot go on nothing is given: what stands there is not what was derived. Raises
    Unavailable.
    """
    partitions: dict[int, dict[str, int]] = defaultdict(dict)
    for case_id, offset in offsets.items():
        partitions[partition_of(case_id)][case_id] = offset
    for number, theirs in partitions.items():
        try:
            yield await _known_in(stage, log, log_id, number, keys, theirs)
        except StageStopped:
            continue


async def _known_in(
    stage: Stage[Any], log: Log, log_id: str, number: int, keys: Mapping[str, CaseKey], offsets: Mapping[str, int]
) -> Known:
    stepper = Stepper(stage, log_id, keeps_events=False, makes_bytes=False)
    cases: dict[str, Case[Any]] = {}
    halted: dict[str, Halted] = {}
    offset, end = 0, after(max(offsets.values()))
    while offset < end and (records := await log.read(stage.reads, number, offset, min(_AT_ONCE, end - offset))):
        theirs = [record for record in records if record.offset <= offsets.get(record.key, -1)]
        batch = stepper.through(number, theirs, keys, {}, halted, cases)
        cases |= batch.cases
        halted |= batch.halted
        offset = next_offset(records)
    known = {write.case_id: write.state for write in stepper.writes(Batch(number, cases))}
    return {case_id: known.get(case_id) for case_id in offsets}
