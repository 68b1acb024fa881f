"""How several processes share an audit: each reads partitions of its own, and keeps what follows in its own place."""

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from contracts.topics import PARTITIONS
from services.auditor.domain.narrowing import Part
from services.auditor.rebuilding import Begun, Made, Rebuilt, begin, made
from services.auditor.replay import History
from services.auditor.states import Derived, Together
from services.auditor.verify import Told, partitions_of, told_again
from services.cli.place import opened
from services.cli.processes import Progress, shared
from services.cli.scratch import scratch
from services.cli.shelf import shelf, shelf_in
from services.cli.source import Exported, Source, Unpacked, history_of
from services.cli.zone import clinic_zone
from services.embedded import EmbeddedHome
from services.home import Home

processes_option = click.option(
    "--processes",
    type=click.IntRange(1, PARTITIONS),
    default=1,
    show_default=True,
    help="How many processes share the work, of a core each; each takes 100 to 300 MB of memory.",
)

_STATES: Final = "states-"
"""Begins the name of the place where a process keeps the states that follow."""

T = TypeVar("T")
_Share = Callable[["Reading", Path, Sequence[int], Progress], Coroutine[Any, Any, T]]
"""What one process does, with some partitions and a place of its own for the states that follow."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is audited, for another process to open it too.

    part: that of it which is looked at; stages: those that are told again, by their names
    unpacked: where it is, if it is a bundle
    """

    source: Source
    part: Part
    stages: Sequence[str]
    unpacked: Path | None

    @classmethod
    def of(cls, source: Source, home: Home, history: History, part: Part) -> "Reading":
        """Name what was opened here."""
        unpacked = Path(home.name) if isinstance(home, Unpacked) else None
        return cls(source, part, [stage.name for stage in history.stages], unpacked)

    @asynccontextmanager
    async def history(self) -> AsyncIterator[History]:
        """Open it."""
        async with await self._opened() as home:
            history = await history_of(self.source, home, self.part)
            # Meanwhile the first mail can have been sent.
            yield replace(history, stages=[stage for stage in home.every_stage if stage.name in self.stages])

    async def _opened(self) -> Home:
        if self.unpacked is not None:
            return await EmbeddedHome.open(self.unpacked, zone=clinic_zone())
        if isinstance(self.source, Exported):
            raise TypeError("a bundle is unpacked before")
        return await opened(self.source)


async def records_of(history: History, cases: Collection[str] | None = None) -> int:
    """Count the records that there are to be read. cases: only in their partitions, if any are named."""
    return sum([await history.log.end(topic, number) for topic in history.topics for number in partitions_of(cases)])


@asynccontextmanager
async def told_by(
    history: History, reading: Reading, processes: int, progress: Progress
) -> AsyncIterator[tuple[Told, Derived]]:
    """Tell a history again; give what was found, and where the states are that follow. Raises Unavailable."""
    cases = reading.part.cases
    if processes == 1:
        async with shelf() as empty:
            yield await told_again(history, empty, progress, cases, partitions_of(cases)), empty
        return
    told = Told()
    with scratch("ontrack-audit-") as folder:
        for each in await _shared(_told, reading, folder, partitions_of(cases), processes, progress):
            told.add(each)
        with states_in(folder) as states:
            yield told, states


async def compared_anew(reading: Reading, folder: Path, processes: int, progress: Progress) -> Rebuilt:
    """Make what every stage knows anew in a folder, to compare it. Raises Unavailable."""
    every, found = partitions_of(reading.part.cases), Made()
    for each in await _shared(_made_apart, reading, folder, every, processes, progress):
        found.add(each)
    return Rebuilt(found.counted, 0, found.contradictions, found.missing, found.ends)


async def made_anew(reading: Reading, begun: Begun, processes: int, progress: Progress) -> Made:
    """Make it anew where a region keeps it. Raises Unavailable, StatesLost, Overtaken, Contradicted."""
    found = Made()
    with scratch("ontrack-audit-") as folder:
        making = partial(_made_there, begun)
        for each in await _shared(making, reading, folder, begun.partitions, processes, progress):
            found.add(each)
    return found


@contextmanager
def states_in(folder: Path) -> Iterator[Derived]:
    """Give the states that several processes have put in a folder."""
    with ExitStack() as stack:
        yield Together([stack.enter_context(shelf_in(place)) for place in folder.glob(f"{_STATES}*")])


async def _shared(
    share: _Share[T], reading: Reading, folder: Path, partitions: Sequence[int], processes: int, progress: Progress
) -> Sequence[T]:
    """Let several processes have their share of some partitions; give what each has found."""
    # Where nothing is left to do, one says what was found by doing nothing.
    shares = [some for number in range(processes) if (some := partitions[number::processes]) or not number]
    begun = [partial(share, reading, folder / f"{_STATES}{number}", some) for number, some in enumerate(shares)]
    return await shared(begun, progress)


async def _told(reading: Reading, place: Path, partitions: Sequence[int], progress: Progress) -> Told:
    async with reading.history() as history:
        with shelf_in(place) as empty:
            return await told_again(history, empty, progress, reading.part.cases, partitions)


async def _made_apart(reading: Reading, place: Path, partitions: Sequence[int], progress: Progress) -> Made:
    async with reading.history() as history:
        with shelf_in(place.with_name(f"open-{place.name}")) as empty, shelf_in(place) as fresh:
            begun = await begin(history, fresh, "compare", partitions)
            return await made(history, fresh, empty, progress, begun)


async def _made_there(
    begun: Begun, reading: Reading, place: Path, partitions: Sequence[int], progress: Progress
) -> Made:
    async with reading.history() as history:
        if history.store is None:
            raise TypeError("what is read alone has no place for that")
        with shelf_in(place) as empty:
            return await made(history, history.store, empty, progress, replace(begun, partitions=partitions))
