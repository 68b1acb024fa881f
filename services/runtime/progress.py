"""Whether what there is to read is read, from looking now and then."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

STUCK: Final = 5.0
"""Seconds after which it is told that a partition does not get on; with two looks below ten."""

GIVEN_UP: Final = 30.0
"""Seconds after which nobody expects any more that it gets on by itself."""

STILL: Final = 120.0
"""Seconds after which it is told that a partition has not got on, whatever keeps it from that."""

PASSED_OVER: Final = 100
"""Times that others are read before a partition whose events are all fetched: more of them do not fit in what is
fetched of all partitions at once."""


@dataclass(frozen=True, slots=True)
class _Stay:
    """Where a partition is, since when, how often others had been read then, and since when nothing was in hand."""

    position: int
    since: float
    turns: int
    quiet_since: float | None


class Progress:
    """How long partitions have been where they are although there is something to read."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._stays: dict[int, _Stay] = {}
        self._turns = 0

    def seen(
        self, at: float, waiting: Mapping[int, int], ends: Mapping[int, int], turns: int = 0, *, is_free: bool = True
    ) -> None:
        """Look at a moment, in seconds of any clock.

        waiting: partition -> position, of those where the next event would be taken; ends: where partitions end
        turns: how often something was read, of any partition; is_free: whether the next can be read
        """
        self._turns = turns
        before = self._stays
        self._stays = {}
        for partition, position in waiting.items():
            if position >= ends.get(partition, 0):
                continue
            stay, quiet_since = before.get(partition), at if is_free else None
            if stay is None or stay.position != position:
                stay = _Stay(position, at, turns, quiet_since)
            elif not is_free or stay.quiet_since is None:
                stay = replace(stay, quiet_since=quiet_since)
            self._stays[partition] = stay

    def stuck(self, at: float, after: float = STUCK) -> list[int]:
        """Give the partitions that have not got on for so many seconds, while nothing was in hand, or always others."""
        return sorted(partition for partition, stay in self._stays.items() if self._is_stuck(stay, at, after))

    def still(self, at: float, after: float) -> list[int]:
        """Give the partitions that have not got on for so many seconds, whatever was in hand."""
        return sorted(partition for partition, stay in self._stays.items() if at - stay.since >= after)

    def _is_stuck(self, stay: _Stay, at: float, after: float) -> bool:
        is_passed_over = self._turns - stay.turns >= PASSED_OVER and at - stay.since >= after
        return is_passed_over or (stay.quiet_since is not None and at - stay.quiet_since >= after)
