"""A clock for tests."""

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Clock:
    """A clock that is set by hand."""

    time: datetime

    def __call__(self) -> datetime:
        return self.time
