"""How a suite takes away what is behind a port, and asks for everything while it is not there."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from services.runtime.unavailable import Unavailable

TakenAway = Callable[[], AbstractContextManager[None]]
"""Takes what is behind a port away for as long as it is entered."""


async def is_told_at_every_call(
    away: TakenAway, unavailable: type[Unavailable], calls: Sequence[Callable[[], Awaitable[object]]]
) -> bool:
    """Tell whether every call says that it cannot be made just now, and can be made afterwards."""
    with away():
        for call in calls:
            with pytest.raises(unavailable):
                await call()
    for call in calls:
        await call()
    return True
