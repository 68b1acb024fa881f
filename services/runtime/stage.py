"""What a stage is: a pure function over one case's history, and where it reads and writes."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from contracts.events.event import Data, Event
from contracts.topics import Topic

StateT = TypeVar("StateT")


class Stage(Protocol[StateT]):
    """One stage. `step` is pure: no clock, no input or output, no randomness.

    name: of its states and positions; also its consumer group
    writes: None for a projection that says nothing
    state, schema: the type of a state and the version of its shape; another version is rebuilt by a replay
    """

    @property
    def name(self) -> str: ...
    @property
    def reads(self) -> Topic: ...
    @property
    def writes(self) -> Topic | None: ...
    @property
    def state(self) -> type[StateT]: ...
    @property
    def schema(self) -> int: ...

    def initial(self, case_id: str) -> StateT:
        """Begin a case."""

    def step(self, state: StateT, event: Event[Data]) -> tuple[StateT, Sequence[Event[Data]]]:
        """Take one event; give the new state and what follows."""
