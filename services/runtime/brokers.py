"""How the brokers of a distributed home are reached, and what every producer and consumer is told."""

import ssl
from dataclasses import dataclass
from typing import Any, Final

from contracts.topics import Topic

REQUEST_TIMEOUT: Final = 10.0
"""Seconds within which a broker answers one request; then the connection is given up and another one is made."""


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
    password: str | None = None

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
