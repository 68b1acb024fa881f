"""How a server is looked at from outside, without asking anything of it."""

import asyncio
import ssl
from datetime import datetime
from typing import Final

from cryptography.x509 import load_der_x509_certificate

ANSWERS_WITHIN: Final = 5.0
"""Seconds within which a server shows its certificate."""

_MONGODB_PORT: Final = 27_017


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":") if ":" in server else (server, "", str(_MONGODB_PORT))
    return host.strip("[]"), int(port)


async def listens(server: str) -> bool:
    """Tell whether somebody listens there."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            _, writer = await asyncio.open_connection(*_address(server))
            writer.close()
    except OSError:
        return False
    return True


async def expires(server: str) -> datetime:
    """Read until when a server's certificate holds, also one that nobody would trust: nothing is told to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(ANSWERS_WITHIN):
        _, writer = await asyncio.open_connection(*_address(server), ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return load_der_x509_certificate(shown).not_valid_after_utc
