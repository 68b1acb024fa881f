"""How several processes share an audit: each reads partitions of its own, and keeps what follows in its own place."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import click

from contracts.topics import PARTITIONS
from services.auditor.domain.narrowing import Part
from services.auditor.rebuilding import Begun, Made, Overtaken, Rebuilt, begin, made
from services.auditor.replay import History
from services.auditor.states import Derived, Together
from services.auditor.verify import Told, partitions_of, told_again
from services.cli.audit.shelf import shelf, shelf_in, shelves
from services.cli.audit.source import Exported, Source, Unpacked, history_of
from services.cli.place import opened
from services.cli.processes import Progress, shared
from services.cli.zone import clinic_zone
from services.embedded import EmbeddedHome
from services.home import Home
from services.runtime.store.port import StatesLost

processes_option = click.option(
    "--processes",
    type=click.IntRange(1, PARTITIONS),
    default=1,
    show_default=True,
    help="How many processes share the work, of a core each; each takes some 300 MB of memory.",
)


_STATES: Final = "states-"


class _Adds(Protocol):
    """What was found in some partitions, to which that of others can be added."""

    def add(self, others: Any, /) -> None: ...  # noqa: ANN401 - what is added is of the same kind


AddsT = TypeVar("AddsT", bound=_Adds)
_Share = Callable[["Reading", Path, Sequence[int], Progress], Coroutine[Any, Any, AddsT]]
"""What one process does, with some partitions and a place of its own for the states that follow."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is audited, for another process to open it too. unpacked: where it is, if it is a bundle."""

    source: Source
    unpacked: Path | None
    part: Part

    @classmethod
    def of(cls, source: Source, home: Home, part: Part) -> "Reading":
        """Name what was opened, and the part of it that is looked at."""
        return cls(source, Path(home.name) if isinstance(home, Unpacked) else None, part)

    @asynccontextmanager
    async def history(self) -> AsyncIterator[History]:
        """Open it."""
        async with await self._opened() as home:
            yield await history_of(self.source, home, self.part)

    async def _opened(self) -> Home:
        if self.unpacked is not None:
            return await EmbeddedHome.open(self.unpacked, zone=clinic_zone())
        if isinstance(self.source, Exported):
            raise TypeError("a bundle is unpacked before")
        return await opened(self.source)


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
    with shelves() as folder:
        found = await _together(_told, reading, folder, partitions_of(cases), processes, progress)
        with states_in(folder) as states:
            yield found, states


async def compared_anew(reading: Reading, folder: Path, processes: int, progress: Progress) -> Rebuilt:
    """Make what every stage knows anew in a folder, to compare it. Raises Unavailable."""
    every = partitions_of(reading.part.cases)
    found = await _together(_made_apart, reading, folder, every, processes, progress)
    return Rebuilt(found.counted, 0, found.contradictions, found.missing, found.ends)


async def made_anew(reading: Reading, begun: Begun, processes: int, progress: Progress) -> Made:
    """Make it anew where a region keeps it. Raises Unavailable, Overtaken, Contradicted."""
    with shelves() as folder:
        making = partial(_made_there, begun)
        return await _together(making, reading, folder, begun.partitions, processes, progress)


@contextmanager
def states_in(folder: Path) -> Iterator[Derived]:
    """Give the states that several processes have put in a folder."""
    with ExitStack() as stack:
        yield Together([stack.enter_context(shelf_in(place)) for place in folder.glob(f"{_STATES}*")])


async def _together(
    share: _Share[AddsT],
    reading: Reading,
    folder: Path,
    partitions: Sequence[int],
    processes: int,
    progress: Progress,
) -> AddsT:
    """Let several processes have their share of some partitions; give what all of them have found."""
    # One has a share of nothing, where there is nothing.
    shares = [some for number in range(processes) if (some := partitions[number::processes]) or not number]
    begun = [partial(share, reading, folder / f"{_STATES}{number}", some) for number, some in enumerate(shares)]
    found, *others = await shared(begun, progress)
    for each in others:
        found.add(each)
    return found


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
            try:
                return await made(history, history.store, empty, progress, replace(begun, partitions=partitions))
            except StatesLost:
                # Another one has put it in place, or has begun it anew.
                raise Overtaken from None
