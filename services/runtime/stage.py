"""What a stage is: a pure function over one case's history, and where it reads and writes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from contracts.events.event import Data, Event
from contracts.topics import Topic

StateT = TypeVar("StateT")


class Stage(Protocol[StateT]):
    """One stage. `step` is pure: no clock, no input or output, no randomness.

    name: of its states and positions; also its consumer group
    writes: None for a projection that says nothing
    acts_on: the events that `step` gets; another one is passed on unopened, if `writes` carries its type
    state, schema: the type of a state and the version of its shape, the order of the fields of its tuples included;
        another version is rebuilt by a replay
    """

    @property
    def name(self) -> str:
        """Name of its states and positions."""

    @property
    def reads(self) -> Topic:
        """The one topic it reads."""

    @property
    def writes(self) -> Topic | None:
        """The one topic it writes, if any."""

    @property
    def acts_on(self) -> frozenset[type[Data]]:
        """The events that its step gets."""

    @property
    def state(self) -> type[StateT]:
        """The type of a state."""

    @property
    def schema(self) -> int:
        """The version of the state's shape."""

    def initial(self, case_id: str) -> StateT:
        """Begin a case."""

    def step(self, state: StateT, event: Event[Data]) -> tuple[StateT, Sequence[Event[Data]]]:
        """Take one event; give the new state and what follows."""


def folded(stage: Stage[StateT], case_id: str, events: Iterable[Event[Data]]) -> StateT:
    """Give what a stage would know of a case if these events were all that there are."""
    state = stage.initial(case_id)
    for event in events:
        if type(event.data) in stage.acts_on:
            state, _ = stage.step(state, event)
    return state


StateT_contra = TypeVar("StateT_contra", contravariant=True)


@runtime_checkable
class Timed(Protocol[StateT_contra]):
    """A stage of whose cases something is to be said as time goes by; by whom is not for the stage to say."""

    def due(self, state: StateT_contra) -> datetime | None:
        """Give the first moment at which a case is to be looked at; None if there is none."""
