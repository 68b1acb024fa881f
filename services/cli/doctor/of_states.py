"""What is checked of the log and of what stages know by it: that nothing is missing, and that all of it can be read."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Set as AbstractSet
from typing import Any, Final

from pydantic import TypeAdapter

from contracts.codec import CaseKey
from services.cli.doctor.checked import LOOK_AGAIN, Checked, ill, well
from services.cli.output import counted
from services.home import Home
from services.runtime.export import cases_on
from services.runtime.faults import RECORDS_BACK, rebuild
from services.runtime.stage import Stage
from services.runtime.store.sealed import StateUnreadable, open_state

_AT_ONCE: Final = 200
"""States that are in memory at a time."""

_EXAMPLES: Final = 3


async def log_is_whole(home: Home) -> Checked:
    """Check that the log has everything that was read of it: what is read again must be what it was."""
    missing: dict[str, Counter[int]] = defaultdict(Counter)
    others: list[str] = []
    for stage in home.every_stage:
        partitions = range(stage.reads.partitions)
        positions = await home.store.positions(stage.name, partitions)
        # Asked after the positions: whoever runs the stage goes on meanwhile.
        ends = await home.log.ends(stage.reads, partitions)
        for partition, position in positions.items():
            if position.log != home.log_id:
                others.append(stage.name)
            elif position.offset > ends[partition]:
                lost = missing[stage.reads.name]
                lost[partition] = max(lost[partition], position.offset - ends[partition])
    if missing:
        told = "; ".join(
            f"the last {counted(lost.total(), 'record')} of {topic}, in {_partitions(sorted(lost))}"
            for topic, lost in missing.items()
        )
        return ill(
            "log",
            f"it lacks what was read of it before: {told}",
            RECORDS_BACK,
        )
    if others:
        names = list(dict.fromkeys(others))
        return ill("log", f"another one was read by {', '.join(names)}", "; ".join(map(rebuild, names)))
    return well("log", "it has everything that was read of it")


def _partitions(numbers: list[int]) -> str:
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


async def states_are_readable(home: Home) -> Checked:
    """Check that what every stage knows of every case is there and can be read, but for those whose key is gone."""
    unreadable: dict[str, list[str]] = {}
    number = 0
    for stage in home.every_stage:
        cases = [case_id async for case_id in home.store.cases(stage.name)]
        number += len(cases)
        found: list[str] = []
        for start in range(0, len(cases), _AT_ONCE):
            found += await _unreadable(home, stage, cases[start : start + _AT_ONCE])
        if found:
            unreadable[stage.name] = found
    if unreadable:
        told = ", ".join(
            f"{len(cases):,} of {stage.replace('_', '-')} ({_some(cases)})" for stage, cases in unreadable.items()
        )
        return ill(
            "states",
            f"what is known of cases cannot be read: {told}",
            f"end what runs there; {'; '.join(map(rebuild, unreadable))}",
        )
    if missing := await _missing(home):
        told = ", ".join(f"{len(cases):,} from {stage.replace('_', '-')} ({_some(cases)})" for stage, cases in missing)
        return ill(
            "states",
            f"what was known of cases is gone: {told}",
            "ontrack audit replay --swap makes it anew from the log",
        )
    return well("states", f"what is known of cases can be read ({number:,})")


async def _missing(home: Home) -> list[tuple[str, list[str]]]:
    """Give the cases of which there are facts, and a stage knows nothing though nothing waits for it."""
    found = [(stage, await _without_state(home, stage)) for stage in home.stages]
    if not any(cases for _, cases in found):
        return []
    # Of a case that is new just now there is a state in a moment.
    await asyncio.sleep(LOOK_AGAIN)
    if await home.waiting(home.stages):
        return []
    again = [(stage.name, cases & await _without_state(home, stage)) for stage, cases in found]
    return [(stage, sorted(cases)) for stage, cases in again if cases]


async def _without_state(home: Home, stage: Stage[Any]) -> AbstractSet[str]:
    """Give the cases with a key and a fact that a stage has no state of, and that are halted nowhere."""
    keyed = {case_id async for case_id, wrapped in home.keyring.wrapped() if wrapped is not None}
    without = keyed - {case_id async for case_id in home.store.cases(stage.name)}
    without -= {halted.case_id for halted in await home.halted()}
    return without & await cases_on(home.log) if without else without


async def _unreadable(home: Home, stage: Stage[Any], cases: list[str]) -> list[str]:
    """Give those of some cases of which the state cannot be read."""
    adapter = TypeAdapter[Any](stage.state)
    stored = await home.store.load(stage.name, cases)
    keys = await home.keyring.keys(stored)
    found = []
    for case_id, state in stored.items():
        key = keys.get(case_id)
        try:
            if isinstance(key, CaseKey):
                open_state(adapter, stage, case_id, key, state)
        except StateUnreadable:
            found.append(case_id)
    return found


def _some(cases: list[str]) -> str:
    left = len(cases) - _EXAMPLES
    return ", ".join(cases[:_EXAMPLES]) + (f" and {left:,} more" if left > 0 else "")
