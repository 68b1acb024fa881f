"""Whether what there is to read is read, from looking now and then."""

from collections.abc import Mapping
from typing import Final

STUCK: Final = 5.0
"""Seconds after which it is told that a partition does not get on; with two looks below ten."""

GIVEN_UP: Final = 30.0
"""Seconds after which nobody expects any more that it gets on by itself."""


class Progress:
    """How long partitions have been where they are although there is something to read."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._since: dict[int, tuple[int, float]] = {}

    def seen(self, at: float, waiting: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """Look at a moment, in seconds of any clock.

        waiting: partition -> position, of those where the next event would be taken; ends: where partitions end
        """
        before = self._since
        self._since = {
            partition: seen if (seen := before.get(partition, (-1, at)))[0] == position else (position, at)
            for partition, position in waiting.items()
            if position < ends.get(partition, 0)
        }

    def stuck(self, at: float, after: float = STUCK) -> list[int]:
        """Give the partitions that have not got on for so many seconds."""
        return sorted(partition for partition, (_, since) in self._since.items() if at - since >= after)
