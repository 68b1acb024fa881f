"""What the runner needs of a store."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple, Protocol, runtime_checkable

from services.runtime.unavailable import Unavailable

UNREADABLE: Final = datetime.min.replace(tzinfo=UTC)
"""Stands for a moment that was damaged."""

FRESH: Final = "fresh."
"""Begins the names under which stages are kept that are made anew, until they take the place of what is there."""


class StoreUnavailable(Unavailable):
    """The store cannot be reached, read or written just now; the same call can be tried again."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """The state of one case in one stage.

    offset: of the last record that went into it, on the topic that the stage reads
    read, written: the last sequence that was read and the last one that was given
    schema: version of the shape of `body`
    body: sealed under the case's key
    due: when the case is to be looked at, if ever; it stands open. UNREADABLE if it was damaged
    """

    offset: int
    read: int
    written: int
    schema: int
    body: bytes
    due: datetime | None = None


class Appointment(NamedTuple):
    """A case that is to be looked at, and when. offset: that of its state, which says so."""

    due: datetime
    case_id: str
    offset: int


@dataclass(frozen=True, slots=True)
class Write:
    """Replace a state, on condition that its offset is still `expected` (None: that there is none)."""

    case_id: str
    expected: int | None
    state: StoredState


class Outcome(Enum):
    """What became of a conditional write."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stage has come in a partition: the next offset, on which log."""

    log: str
    offset: int


@dataclass(frozen=True, slots=True)
class Held:
    """How a stage stands in a partition that somebody has taken.

    position: None if it never ran there
    states: names the place of its states; another name says that they are others; None: they are gone, or never were
    """

    position: Position | None
    states: str | None


@dataclass(frozen=True, slots=True)
class Halted:
    """A case that a stage could not go on with, and where it goes on when the cause is gone.

    retry: whether somebody has asked for it to be tried again
    mark: tells apart halts of a case at one place, where several processes can write them
    """

    case_id: str
    partition: int
    offset: int
    reason: str
    retry: bool = False
    mark: str = field(default="", compare=False)


class StatesReplaced(StoreUnavailable):
    """The states of a stage are being replaced: nobody can go on with them until that is done. Says so."""

    def __init__(self, stage: str) -> None:
        """Name the stage."""
        super().__init__(f"what {stage} knows is being replaced")


class StatesLost(Exception):
    """The states of a stage are gone: what it knew of its cases is not there any more. Says so."""

    def __init__(self, stage: str) -> None:
        """Name the stage."""
        super().__init__(stage)
        self.stage = stage

    def __str__(self) -> str:
        return f"the states of {self.stage} are gone"


class Store(Protocol):
    """States by stage and case, positions by stage and partition.

    Every write is durable when it returns, and every call can raise StoreUnavailable.
    """

    async def begin(self, stage: str) -> str:
        """Make the place for the states of a stage, unless it is there; name it. From then on it has to be there."""

    async def clear(self, stage: str) -> None:
        """Forget everything of a stage: states, positions and halted cases."""

    async def place(self, stage: str) -> str | None:
        """Name the place for the states of a stage; None if it is not there."""

    async def load(self, stage: str, case_ids: Collection[str], states: str | None = None) -> Mapping[str, StoredState]:
        """Give the states of some cases; a case without one is absent.

        Raises StatesLost if the place for the states of the stage is not there, or is not the one that is named, as
        far as the store can tell.
        """

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write states, each on its condition; the outcomes are in the order of the writes.

        A state that already has the offset that was to be written was written by an earlier try: ALREADY_APPLIED.
        """

    def cases(self, stage: str) -> AsyncIterator[str]:
        """Give the cases that a stage has a state of, in order."""

    async def hold(self, stage: str, partition: int, owner: str) -> Held:
        """Take a partition, under a name that nobody else uses, and give how the stage stands there.

        Whoever had it before can no longer say how far the stage has come.
        """

    async def position(self, stage: str, partition: int) -> Position | None:
        """Give how far a stage has come."""

    async def positions(self, stage: str, partitions: Iterable[int]) -> Mapping[int, Position]:
        """Give how far a stage has come in some partitions; one where it has none is absent."""

    async def set_position(self, stage: str, partition: int, position: Position, owner: str | None = None) -> Outcome:
        """Say how far a stage has come; LOST, and nothing is said, if `owner` is no longer the one who has it."""

    async def halt(self, stage: str, halted: Sequence[Halted]) -> None:
        """Record where cases halt and why; what was recorded of an earlier halt is replaced."""

    async def retry(self, stage: str, case_id: str) -> bool:
        """Ask for a halted case to be tried again; tell whether it is halted."""

    async def resume(self, stage: str, halted: Sequence[Halted]) -> None:
        """Forget that cases were halted, as they were listed; if somebody has halted one again since, that stands."""

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        """Give the cases that are halted, by case."""

    async def halted_among(self, stage: str, case_ids: Collection[str]) -> Mapping[str, Halted]:
        """Give those of some cases that are halted."""

    async def remove(self, stage: str, case_ids: Collection[str]) -> None:
        """Remove the states of some cases, and that they are halted. Positions stay: nothing of them is read again."""

    async def take_place(self, stage: str, fresh: str, positions: Mapping[int, Position]) -> None:
        """Put what was kept under another name in the place of all that is known of a stage, and forget that name.

        Whoever runs the stage meanwhile takes it up anew then, at these positions; until that nobody can take it up. A
        call that was broken off is made again after `fresh` was filled anew, or goes on.

        Raises StatesLost if that was not all there to its end, or if somebody else has replaced the same states
        meanwhile: where something was done, nobody can take the stage up until that is over or this is done again.

        positions: how far the stage has come in each partition, by what is kept under the other name
        """


@runtime_checkable
class Agenda(Protocol):
    """The cases that are to be looked at, by the states of a stage. Every call can raise StoreUnavailable."""

    async def appointments(
        self, stage: str, until: datetime, limit: int, after: Appointment | None = None
    ) -> Sequence[Appointment]:
        """Give the cases that are to be looked at by then, the earliest first, at most so many.

        Those of which the moment cannot be read are passed over: the others have their time all the same.

        after: only those that come after this one, in that order
        """

    async def postpone(self, stage: str, appointment: Appointment, due: datetime | None) -> None:
        """Let a case be looked at later, or no more, unless its state was written since."""


class AgendaStore(Store, Agenda, Protocol):
    """A store that is an agenda too."""
