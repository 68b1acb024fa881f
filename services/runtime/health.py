"""How a service is, and why: what it says to whoever asks whether it is alive and ready."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import inf
from time import monotonic

from services.runtime.logger import logger


@dataclass(slots=True)
class Health:
    """How a service is.

    troubles: what keeps it from going on, by where that is
    elsewhere: those of them that concern a part of its work only, and that no restart of it mends
    waits_for: why it is not ready although nothing is wrong
    clock: seconds that only go forward
    """

    troubles: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    waits_for: list[str] = field(default_factory=lambda: ["it has just been started"])
    clock: Callable[[], float] = monotonic
    _until: dict[str, float] = field(default_factory=dict)

    def set(self, where: str, why: str | None, *, is_elsewhere: bool = False, lasts: float = inf) -> None:
        """Say what is wrong somewhere, or that nothing is.

        is_elsewhere: it goes on all the same, but is not ready
        lasts: seconds after which that is over, unless it is said again
        """
        self._until[where] = self.clock() + lasts
        (self.elsewhere.add if is_elsewhere else self.elsewhere.discard)(where)
        if why is None:
            if self.troubles.pop(where, None) is not None:
                logger.info("trouble-is-gone", where=where)
        elif self.troubles.get(where) != why:
            self.troubles[where] = why
            logger.warning("trouble", where=where, why=why)

    def _now(self) -> AbstractSet[str]:
        """Give where something is wrong now; what is over is said to be gone."""
        for where in [where for where in self.troubles if self._until[where] <= self.clock()]:
            self.set(where, None)
        return self.troubles.keys()

    def alive(self) -> list[str]:
        """Tell why it does not go on; nothing if it does."""
        return self._told(self._now() - self.elsewhere)

    def ready(self) -> list[str]:
        """Tell why it is not ready; nothing if it is."""
        return [*self.alive(), *self._told(self._now() & self.elsewhere), *self.waits_for]

    def _told(self, places: Iterable[str]) -> list[str]:
        return [f"{where}: {self.troubles[where]}" for where in sorted(places)]
