#!/usr/bin/env python3
"""A clinic's mail server: it takes mail of a known user over TLS, and prints each letter as a line of JSON."""

import asyncio
import json
import signal
import ssl
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

SECRETS = Path("/run/secrets")
PORT = 10_587


class Postbox:
    """Takes every letter."""

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd names it
        letter = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        said = {"to": envelope.rcpt_tos, "id": letter["Message-ID"], "text": letter.as_string()}
        print(json.dumps(said))
        return "250 OK"


def let_in(_: SMTP, __: Session, ___: Envelope, ____: str, data: object) -> AuthResult:
    password = (SECRETS / "password").read_bytes().strip()
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ontrack", password)
    return AuthResult(success=known, handled=False)


async def main() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(SECRETS / "server.pem")
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    def served() -> SMTP:
        return SMTP(
            Postbox(),
            hostname="mail",
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=let_in,
        )

    server = await loop.create_server(served, "0.0.0.0", PORT)  # noqa: S104 - others ask it
    async with server:
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
