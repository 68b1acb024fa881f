"""A real mail server on this machine, which takes letters, and treats them as badly as it is told to."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, Literal, cast

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.mailer.post import MailServer, Tls

OK: Final = "250 OK"
HOST: Final = "127.0.0.1"
_OPENS_WITHIN: Final = 30.0

Treatment = str
"""What becomes of a step: an answer of the server; `hangs` for none, `drops` for a connection that is broken off."""

Choose = Callable[[str], Treatment]


def _well(_: str) -> Treatment:
    return OK


@dataclass
class PostOffice:
    """A mail server: the letters that it has taken, and how it treats those that come.

    of_recipient, of_letter: what becomes of an address, and of a letter to it
    asked: set when the first letter comes; passed: lets go on what hangs
    """

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    of_recipient: Choose = _well
    of_letter: Choose = _well
    sender: Treatment = OK
    passed: asyncio.Event = field(default_factory=asyncio.Event)
    ca_file: Path = Path()
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def to(self) -> list[str]:
        """To whom letters were taken, in order."""
        return [str(letter["To"]) for letter in self.letters]

    def server(self, tls: Tls = "starttls", **changes: Any) -> MailServer:
        """Give how it is reached."""
        return MailServer(**{"host": HOST, "port": self.port, "tls": tls, "ca_file": self.ca_file, **changes})

    async def handle_MAIL(  # noqa: N802 - aiosmtpd names it
        self, server: SMTP, _: Session, envelope: Envelope, address: str, __: list[str]
    ) -> str:
        """Be told the sender."""
        envelope.mail_from = address
        return await self._treated(server, self.sender)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd names it
        self, server: SMTP, _: Session, envelope: Envelope, address: str, __: list[str]
    ) -> str:
        """Be told a recipient."""
        envelope.rcpt_tos.append(address)
        return await self._treated(server, self.of_recipient(address))

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd names it
        """Take a letter."""
        treatment = self.of_letter(envelope.rcpt_tos[0])
        self.asked.set()
        answer = await self._treated(server, treatment)
        if answer == OK and treatment != "drops":
            content = envelope.original_content or b""
            self.letters.append(message_from_bytes(content, policy=policy.default))
        return answer

    async def _treated(self, server: SMTP, treatment: Treatment) -> str:
        if treatment == "hangs":
            await self.passed.wait()
        elif treatment == "drops":
            cast("asyncio.Transport", server.transport).abort()
        return treatment if treatment[0].isdigit() else OK

    def let_in(self, _: SMTP, __: Session, ___: Envelope, mechanism: str, data: object) -> AuthResult:
        """Tell whether a user is known."""
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ontrack", b"letters-91c2")
        return AuthResult(success=known and mechanism in ("PLAIN", "LOGIN"), handled=False)


@asynccontextmanager
async def post_office(
    folder: Path,
    *,
    tls: Literal["starttls", "implicit", "none"] = "starttls",
    asks_who: bool = False,
    expires: datetime | None = None,
) -> AsyncIterator[PostOffice]:
    """Open a mail server; asks_who: whether it lets in known users only; expires: when its certificate does."""
    office, authority = PostOffice(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, not_after=expires).configure_cert(context)
    office.ca_file = folder / "mail-authority.pem"
    authority.cert_pem.write_to_path(str(office.ca_file))

    def served() -> SMTP:
        return SMTP(
            office,
            hostname="mail.example",
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            auth_required=asks_who,
            authenticator=office.let_in,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(served, HOST, 0, ssl=context if tls == "implicit" else None)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        office.passed.set()
        server.close()
        await server.wait_closed()


@contextmanager
def post_office_beside(folder: Path) -> Iterator[PostOffice]:
    """Open a mail server in a thread of its own, for tests that wait themselves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened = post_office(folder)
    try:
        office = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(_OPENS_WITHIN)
        yield office
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(_OPENS_WITHIN)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
