"""A service whose subscriber stops when the process gets SIGUSR1, as FastStream stops one by itself.

Run as a program it is given the name of a service; everything but that signal is as in `ontrack serve`.
"""

import asyncio
import signal
import sys
from typing import Any, Final

from faststream.kafka import KafkaBroker

from services.cli import main
from services.runtime import subscription

STOP: Final = signal.SIGUSR1


class _Stoppable(KafkaBroker):
    """A broker that lets a signal stop its subscribers."""

    def __init__(self, *servers: Any, **options: Any) -> None:
        super().__init__(*servers, **options)
        asyncio.get_running_loop().add_signal_handler(STOP, self._stop_subscribers)

    def _stop_subscribers(self) -> None:
        self._stopping = [asyncio.ensure_future(each.stop()) for each in self.subscribers]


if __name__ == "__main__":
    subscription.KafkaBroker = _Stoppable  # type: ignore[attr-defined] # it is only imported there
    main(["serve", sys.argv[1]])
