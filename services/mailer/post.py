"""The way to the mail server: one connection with TLS, over which letters go one after the other."""

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from services.runtime.unavailable import Unavailable

Tls = Literal["starttls", "implicit"]

STEP_WITHIN: Final = 30.0
"""Seconds within which the server answers each step of a connection, and each step before the letter itself. Some let
strangers wait before they greet, or ask elsewhere whether there is such a mailbox."""

TAKES_WITHIN: Final = 600.0
"""Seconds within which the server takes a letter; some look for viruses first (RFC 5321, 4.5.3.2.6). What is given up
before the server has spoken may have been taken, and goes out again, at each try."""

_PERMANENT: Final = 500
BROKEN_OFF: Final = "smtp-broken-off"
"""Why a letter waits in the middle of which the connection broke."""

_CLOSING: Final = 421
_LOGIN_WANTED: Final = 530
NO_SUCH_MAILBOX: Final = re.compile(r"5\.(1\.(1|2|3|6|10)|2\.1)\b")
"""RFC 3463: what is wrong is the recipient's address. Any other answer can be about us, or pass."""
SENDER_AT_FAULT: Final = re.compile(r"[45]\.1\.[78]\b")
"""RFC 3463: what is wrong is the sender's address. Many servers say so only once they hear a recipient, and some ask
only where that one's mailbox is."""


class MailAway(Unavailable):
    """No letter can be sent just now, whomever it is for: the server is away, or refuses us. Says what to check."""


class SenderRefused(MailAway):
    """A letter is not taken from us. Nearly always that holds whomever it is for; it can be said of one recipient."""


class Fate(Enum):
    """What the server has made of a letter."""

    TAKEN = "taken"
    PUT_OFF = "put_off"
    REFUSED = "refused"


class Answer(NamedTuple):
    """What the server has made of a letter, and the reason if it was not taken, as a `Name`."""

    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. tls: from the start (`implicit`), or as the first thing that is asked for.

    ca_file: certificates of who vouches for it, read for each connection: they are replaced while it runs; without
    them whom the system trusts
    """

    host: str
    port: int
    tls: Tls
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Post:
    """Sends letters over one connection, which is made anew after it broke, until no other one can be had."""

    def __init__(
        self, server: MailServer, *, step_within: float = STEP_WITHIN, takes_within: float = TAKES_WITHIN
    ) -> None:
        """Send by a server, which is waited for no longer than so many seconds at each step, and over each letter."""
        self._server = server
        self._step_within = step_within
        self._takes_within = takes_within
        self._connection: SMTP | None = None
        self._away: MailAway | None = None

    async def open(self) -> None:
        """Make sure that there is a connection. Raises MailAway, at once if that has been found out already."""
        if self._away is not None:
            raise self._away
        if self._connection is None or not self._connection.is_connected:
            try:
                self._connection = await self._connected()
            except MailAway as away:
                self._away = away
                raise

    async def ask(self, sender: str) -> None:
        """Ask over the open connection whether the server takes letters of a sender. Raises MailAway if it does not."""
        await self._begin(sender)
        await self._begin_anew()

    async def send(self, letter: EmailMessage) -> Answer:
        """Hand a letter to the server, over the open connection. Raises MailAway: it says nothing of this letter."""
        # Not as its headers are read: an address of ours is one mailbox, and goes out as it stands.
        await self._begin(str(letter["From"]))
        connection = self._opened
        try:
            await connection.rcpt(str(letter["To"]), timeout=self._step_within)
            async with asyncio.timeout(self._takes_within):
                await connection.data(letter.as_bytes(), timeout=None)
        except SMTPRecipientRefused as refused:
            await self._begin_anew()
            if SENDER_AT_FAULT.match(refused.message):
                raise SenderRefused(f"{self._named} {_why_not_from_us(refused.code)}") from None
            is_address = refused.code >= _PERMANENT and NO_SUCH_MAILBOX.match(refused.message)
            return Answer(Fate.REFUSED if is_address else Fate.PUT_OFF, f"smtp-{refused.code}")
        except SMTPResponseException as refused:
            self._let_go()
            return Answer(Fate.PUT_OFF, f"smtp-{refused.code}")
        except TimeoutError:
            self._let_go()
            return Answer(Fate.PUT_OFF, "smtp-silent")
        except (SMTPException, OSError):
            self._let_go()
            return Answer(Fate.PUT_OFF, BROKEN_OFF)
        return Answer(Fate.TAKEN)

    async def _begin(self, sender: str) -> None:
        """Begin a letter by its sender: whatever comes of that is said of all letters. Raises MailAway."""
        try:
            await self._opened.mail(sender, timeout=self._step_within)
        except SMTPSenderRefused as refused:
            self._let_go()
            why = _why_not_from_us(refused.code) if refused.code >= _PERMANENT else _why(refused)
            # That a connection ends, such as after so many letters, is said of none.
            raise (MailAway if refused.code == _CLOSING else SenderRefused)(f"{self._named} {why}") from None
        except (SMTPException, OSError) as failed:
            self._let_go()
            raise MailAway(f"{self._named} {_why(failed)}") from None

    async def _begin_anew(self) -> None:
        """Let the server forget the letter that it has begun to hear of."""
        try:
            await self._opened.rset(timeout=self._step_within)
        except (SMTPException, OSError):
            self._let_go()

    async def _connected(self) -> SMTP:
        server = self._server
        try:
            context = ssl.create_default_context(cafile=server.ca_file)
        except OSError as unusable:
            is_read = isinstance(unusable, ssl.SSLError)
            why = "holds no certificates" if is_read else f"cannot be read ({unusable.strerror})"
            raise MailAway(
                f"{self._named} is known by nobody: {server.ca_file} {why}: check ONTRACK_SMTP_CA_FILE"
            ) from None
        connection = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            tls_context=context,
            username=server.username,
            password=server.password,
            local_hostname=socket.gethostname(),
            timeout=self._step_within,
        )
        try:
            await connection.connect()
        except (SMTPException, OSError, ValueError) as failed:
            connection.close()
            raise MailAway(f"{self._named} {_why(failed)}") from None
        return connection

    @property
    def _opened(self) -> SMTP:
        if self._connection is None:
            raise ValueError("a connection that is not open")
        return self._connection

    @property
    def _named(self) -> str:
        return f"the mail server at {self._server.host}:{self._server.port}"

    def expires(self) -> datetime:
        """Tell until when the server's certificate holds; it must be open."""
        shown = self._opened.get_transport_info("peercert")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)

    def _let_go(self) -> None:
        """Break the connection off: what it is in the middle of is not known."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Self:
        """Use the connection."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take leave of the server; where an error has led here, without waiting for what it says to that."""
        connection, self._connection = self._connection, None
        if connection is not None and kind is not None:
            connection.close()
        elif connection is not None:
            try:
                await connection.quit()
            except (SMTPException, OSError):
                connection.close()


def _why_not_from_us(code: int) -> str:
    if code == _LOGIN_WANTED:
        return "asks who sends (530): check ONTRACK_SMTP_USERNAME and ONTRACK_SMTP_PASSWORD"
    return f"refuses the sender ({code}): check ONTRACK_MAIL_FROM"


def _why(failed: Exception) -> str:
    """Say why there is no connection, and what to check; what the server said can quote, and is not repeated."""
    cause = failed.__cause__ if isinstance(failed.__cause__, ssl.SSLError) else failed
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted ({cause.verify_message}): check ONTRACK_SMTP_CA_FILE, and that "
            "ONTRACK_SMTP_HOST names it as its certificate does"
        )
    if isinstance(cause, ssl.SSLError):
        return "does not speak TLS at this port: check ONTRACK_SMTP_PORT and ONTRACK_SMTP_TLS"
    match failed:
        case SMTPAuthenticationError(code=code):
            return f"does not let the user in ({code}): check ONTRACK_SMTP_USERNAME and ONTRACK_SMTP_PASSWORD"
        case SMTPConnectTimeoutError() | SMTPTimeoutError() | TimeoutError():
            return "does not answer: check that it runs, ONTRACK_SMTP_HOST, ONTRACK_SMTP_PORT and ONTRACK_SMTP_TLS"
        case SMTPResponseException(code=code):
            return f"takes no mail just now ({code})"
        case SMTPServerDisconnected() | SMTPConnectError() | OSError():
            return "cannot be reached: check that it runs, ONTRACK_SMTP_HOST, ONTRACK_SMTP_PORT and ONTRACK_SMTP_TLS"
        case _:
            return "offers no STARTTLS, or no way to log in: mail is sent with TLS only; check ONTRACK_SMTP_TLS"
