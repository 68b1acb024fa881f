"""A service that ends by a fault. Run as a program: everything but that is as in any service."""

import asyncio
import sys

from services.runtime.environment import settings_of
from services.runtime.process import Process
from services.runtime.settings import ServiceSettings


class _Ending(Process):
    """Serves until it fails, or is broken off by a library."""

    async def _serve(self) -> None:
        if sys.argv[1] == "fails":
            raise RuntimeError(sys.argv[2])
        raise asyncio.CancelledError(sys.argv[2])


if __name__ == "__main__":
    _Ending(settings_of(ServiceSettings), "ending").run()
