"""How the brokers of a distributed home are reached, what clients are told, and why one is not let in."""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.api import Request, Response
from aiokafka.protocol.metadata import MetadataRequest

from contracts.topics import Topic

REQUEST_TIMEOUT: Final = 10.0
"""Seconds within which a broker answers one request; then the connection is given up and another one is made."""

KNOCK: Final = 1.5
"""Seconds within which a broker that is asked something by itself has to answer."""


@dataclass(frozen=True, slots=True)
class Brokers:
    """Where the brokers are, and how one proves to them who one is.

    servers: host:port of some of them, separated by commas
    prefix: stands before the name of every topic and group, so that a cluster can be shared
    tls: how connections are encrypted; None: not at all
    username, password: for SASL/SCRAM-SHA-512; None: nobody asks
    """

    servers: str
    prefix: str = ""
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def named(self, name: str) -> str:
        """Give the name of a topic or a group as it stands in the cluster."""
        return f"{self.prefix}{name}"

    def topic(self, topic: Topic) -> str:
        """Give the name of a topic as it stands in the cluster."""
        return self.named(topic.name)

    def arguments(self) -> dict[str, Any]:
        """Give what every client of aiokafka is made with."""
        protocol = ("SASL_" if self.username is not None else "") + ("PLAINTEXT" if self.tls is None else "SSL")
        return {
            "bootstrap_servers": self.servers.split(","),
            "request_timeout_ms": round(REQUEST_TIMEOUT * 1000),
            "security_protocol": protocol,
            "ssl_context": self.tls,
            **self._identity(),
        }

    def _identity(self) -> dict[str, str]:
        if self.username is None or self.password is None:
            return {}
        return {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


async def why_away(brokers: Brokers) -> str | None:
    """Say why no broker lets us in, and what to check; None if one does.

    A client says only that it got no connection, whatever the reason, so each broker is asked as a client would.
    """
    why = None
    for server in brokers.servers.split(","):
        try:
            await asked(brokers, server, MetadataRequest([]))
        except (KafkaError, OSError, TimeoutError) as refused:
            why = f"{server} {_told(brokers, refused)}"
        else:
            return None
    return why


async def asked(brokers: Brokers, server: str, request: Request[Any]) -> Response:
    """Connect to one broker, prove who one is, and ask it something. Raises KafkaError, OSError, TimeoutError.

    Raises NotImplementedError if the broker knows no version of the request that is described here.
    """
    host, _, port = server.rpartition(":")
    own = {"bootstrap_servers", "request_timeout_ms"}
    arguments = {name: value for name, value in brokers.arguments().items() if name not in own}
    connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=round(KNOCK * 1_000), **arguments)
    try:
        return await connection.send(request)
    finally:
        connection.close()


def _told(brokers: Brokers, refused: BaseException) -> str:
    """Say what a broker did, and what to check."""
    match refused:
        case SaslAuthenticationFailed():
            return "does not let the user in: check ONTRACK_KAFKA_USERNAME and ONTRACK_KAFKA_PASSWORD"
        case IllegalSaslStateError() | UnsupportedSaslMechanismError():
            return (
                "takes no password at this port, or none by SCRAM-SHA-512: "
                "check ONTRACK_KAFKA_SERVERS and ONTRACK_KAFKA_USERNAME"
            )
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that is not trusted ({refused.verify_message.rstrip('.')}): check "
                "ONTRACK_KAFKA_CA_FILE, and that ONTRACK_KAFKA_SERVERS names the broker as its certificate does"
            )
        case ssl.SSLError():
            return "does not speak TLS at this port: check ONTRACK_KAFKA_SERVERS and ONTRACK_KAFKA_TLS"
        case ConnectionRefusedError():
            return "does not listen: check that it runs, and ONTRACK_KAFKA_SERVERS"
        case socket.gaierror():
            return "has a name that nobody knows: check ONTRACK_KAFKA_SERVERS"
        case KafkaConnectionError() | ConnectionError():
            return f"closes the connection: check that it runs, and {_missing(brokers)}"
        case TimeoutError():
            return "does not answer: check that it runs, and ONTRACK_KAFKA_SERVERS"
        case _:
            return f"cannot be reached ({type(refused).__name__})"


def _missing(brokers: Brokers) -> str:
    """Say what can be missing, or too much, when a broker closes a connection without a word."""
    if brokers.tls is None:
        return "ONTRACK_KAFKA_TLS, if it requires TLS"
    if brokers.username is None:
        return "ONTRACK_KAFKA_USERNAME, if it requires a user, and ONTRACK_KAFKA_TLS, if it does not speak TLS"
    return "ONTRACK_KAFKA_SERVERS and ONTRACK_KAFKA_TLS, if it does not speak TLS at this port"
