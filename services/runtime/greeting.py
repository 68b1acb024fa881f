"""The door of an encrypted port: clients that have connected, and not agreed yet on how that is done.

Each costs memory, and one that says nothing costs it for as long as it likes. So there are so many of them at a time:
one more takes the place of the one that has been there for longest.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from functools import partial
from typing import Final, cast

AT_MOST: Final = 200

WITHIN: Final = 5
"""Seconds within which a client has to agree."""

LEAVES_WITHIN: Final = 1
"""Seconds that a client has to say good-bye when its connection is closed."""

BUFFER: Final = 1 << 16
"""Bytes that are kept for reading from an encrypted connection: asyncio would keep four times as many."""


class Greeting:
    """Makes the protocols of a server's connections: each is encrypted, and then spoken to by another protocol."""

    def __init__(self, context: ssl.SSLContext, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Encrypt by `context`. protocol: makes what speaks to a client that has agreed."""
        self._context = context
        self._protocol = protocol
        self._guests: dict[_Guest, None] = {}

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a client that connects."""
        if len(self._guests) >= AT_MOST:
            longest = next(iter(self._guests))
            del self._guests[longest]
            longest.send_away()
        guest = _Guest(self._encrypted)
        self._guests[guest] = None
        return guest

    def __len__(self) -> int:
        """Count the clients that have not agreed yet."""
        return len(self._guests)

    def _encrypted(self, guest: "_Guest") -> SSLProtocol:
        """Make what encrypts the connection of a guest, and hears when it has agreed, or gone."""
        agreed = asyncio.get_running_loop().create_future()
        agreed.add_done_callback(partial(self._forget, guest))
        return _Encrypted(
            agreed.get_loop(),
            self._protocol(),
            self._context,
            agreed,
            server_side=True,
            ssl_handshake_timeout=WITHIN,
            ssl_shutdown_timeout=LEAVES_WITHIN,
        )

    def _forget(self, guest: "_Guest", agreed: "asyncio.Future[None]") -> None:
        self._guests.pop(guest, None)
        # Why it has not agreed is nothing to be told: whoever knocks may be anybody.
        agreed.exception()


class _Encrypted(SSLProtocol):
    max_size = BUFFER


class _Guest(asyncio.Protocol):
    """A client that has not agreed yet. It costs little until it is its turn: many can come at the same moment."""

    def __init__(self, encrypted: "Callable[[_Guest], SSLProtocol]") -> None:
        self._encrypted = encrypted
        self._transport: asyncio.Transport | None = None
        self._is_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to agree, unless there is no room any more."""
        self._transport = cast("asyncio.Transport", transport)
        if self._is_away:
            self._transport.abort()
            return
        encrypted = self._encrypted(self)
        self._transport.set_protocol(encrypted)
        encrypted.connection_made(self._transport)

    def send_away(self) -> None:
        """Let go of it."""
        self._is_away = True
        if self._transport is not None:
            self._transport.abort()
