"""What happens by chance in a storm, by seed: when something goes wrong, and what; the same seed draws the same.

Each failure test runs once, by one seed. `make torture` runs it in more rounds, each by a seed of its own:

    ONTRACK_TORTURE_SEED    of the first round; the rounds after it have the next ones
    ONTRACK_TORTURE_ROUNDS  how many there are at most
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

ALWAYS: Final = 1
"""The seed of the run that is no torture."""

FIRST: Final = 1_001
ROUNDS: Final = 8
MINUTES: Final = 45
"""No round of a test begins later than this after the first one; a test takes two minutes, five at the worst."""


def seeds_of_torture(environment: Mapping[str, str]) -> range:
    """Give the seeds of the rounds."""
    first = int(environment.get("ONTRACK_TORTURE_SEED", FIRST))
    return range(first, first + int(environment.get("ONTRACK_TORTURE_ROUNDS", ROUNDS)))


def how_to_repeat(test: str, seed: int) -> str:
    """Say how a test is run by the same seed again."""
    if seed == ALWAYS:
        return f"pytest '{test}'"
    return f"ONTRACK_TORTURE_SEED={seed} ONTRACK_TORTURE_ROUNDS=1 pytest -m torture '{test}'"


@dataclass(slots=True)
class Bound:
    """The time that all rounds have together. began: on the monotonic clock, when the first one did."""

    began: float | None = None

    def is_over(self, now: float) -> bool:
        """Tell whether no further round begins; with the first one to ask the time begins."""
        self.began = now if self.began is None else self.began
        return now - self.began > MINUTES * 60


class Chance:
    """What happens by chance."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"storm {seed}")

    def moment(self, earliest: float = 0.1, latest: float = 0.5) -> float:
        """Draw a moment: the share of the work that is done by then."""
        return self._random.uniform(earliest, latest)

    def moments(self, number: int, earliest: float = 0.1, latest: float = 0.6) -> list[float]:
        """Draw moments, one in each of so many equal parts of a time."""
        part = (latest - earliest) / number
        return [self.moment(earliest + part * nth, earliest + part * (nth + 1)) for nth in range(number)]

    def in_some_order(self, things: Sequence[T]) -> list[T]:
        """Draw an order."""
        return self._random.sample(things, len(things))

    def one_of(self, things: Sequence[T]) -> T:
        """Draw one."""
        return self._random.choice(things)
