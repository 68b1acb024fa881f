"""One broker, which is a controller as well, and the folder that holds all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.building import run
from deploy.local.kafka.jars import classpath
from deploy.local.places import made, written
from deploy.local.ports import HOST, exchange, require_free
from deploy.local.prerequisites import JAVA, require
from deploy.local.server import Server
from deploy.local.tls import Tls

_LOGGING = Path(__file__).parent / "log4j2.properties"
_STARTED = "Kafka Server started"
"""Said once the broker is registered and may lead partitions."""

_API_VERSIONS = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
_ANSWER, _NO_ERROR = bytes.fromhex("00000001 0000"), slice(4, 10)
"""What stands in the answer after its length: the number of the request, and no error."""


@dataclass(frozen=True)
class BrokerPorts:
    """Where a broker listens: to plain clients, to clients with TLS and a password, to brokers, to controllers."""

    plain: int
    secure: int
    brokers: int
    controller: int


@dataclass(frozen=True)
class Security:
    """What the secure listener needs. The users, each a name and a password, are made with the cluster, not later."""

    tls: Tls
    users: Mapping[str, str] = field(repr=False)


class Broker(Server):
    """A broker of a cluster.

    From its next start on it listens as `security` says, tells plain clients to come to `advertised_port`, where a
    proxy may stand before it, and goes by `properties` before all that is set here.
    """

    def __init__(self, directory: Path, number: int, cluster: str, ports: BrokerPorts, heap: int) -> None:
        """Name the broker's folder, its number, the id of its cluster, its ports, and its heap in MB."""
        super().__init__(f"kafka-{number}", directory, ports.plain)
        self.number = number
        self.ports = ports
        self.properties: dict[str, str] = {"log.dirs": str(directory / "data")}
        self.advertised_port = ports.plain
        self.security: Security | None = None
        self._cluster = cluster
        self._heap = heap

    @property
    def secure_address(self) -> str:
        """Where clients with TLS and a password find it."""
        return f"{HOST}:{self.ports.secure}"

    def answers(self) -> bool:
        """Tell whether it has started and answers just now."""
        if self.pid is None or _STARTED not in self._process.said():
            return False
        answer = exchange(self.ports.plain, _API_VERSIONS, _NO_ERROR.stop)
        return answer[_NO_ERROR] == _ANSWER

    def _launch(self) -> None:
        made(self.directory)
        properties = self._listeners() | self.properties
        lines = [f"{name}={value}\n" for name, value in properties.items()]
        file = written(self.directory / "server.properties", "".join(lines))
        self._format(file, properties)
        require_free(*self._listening())
        self._process.start(self._java("kafka.Kafka", file))

    def _listening(self) -> list[int]:
        plain = [self.ports.plain, self.ports.brokers, self.ports.controller]
        return plain if self.security is None else [*plain, self.ports.secure]

    def _listeners(self) -> dict[str, str]:
        """The properties that say where it listens, and to whom."""
        secure = {} if self.security is None else {"SECURE": self.ports.secure}
        others = secure | {"BROKERS": self.ports.brokers}
        return {
            "listeners": _named({"PLAIN": self.ports.plain, "CONTROLLER": self.ports.controller} | others),
            "advertised.listeners": _named({"PLAIN": self.advertised_port} | others),
            "listener.security.protocol.map": (
                "PLAIN:PLAINTEXT,SECURE:SASL_SSL,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "BROKERS",
            "controller.listener.names": "CONTROLLER",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            **({} if self.security is None else self._secure(self.security.tls)),
        }

    def _secure(self, tls: Tls) -> dict[str, str]:
        store = written(
            self.directory / "key-store.pem", f"{tls.key.read_text('utf-8')}\n{tls.certificate.read_text('utf-8')}"
        )
        properties = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        }
        if tls.client_authority is not None:
            properties |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(tls.client_authority)}
            properties |= {"ssl.client.auth": "required"}
        return {f"listener.name.secure.{name}": value for name, value in properties.items()}

    def _format(self, file: Path, properties: Mapping[str, str]) -> None:
        """Format the folders of the data that are new."""
        folders = properties["log.dirs"].split(",")
        if all((Path(folder) / "meta.properties").exists() for folder in folders):
            return
        arguments: list[str | Path] = ["format", "--cluster-id", self._cluster, "--config", file, "--ignore-formatted"]
        for name, password in ({} if self.security is None else self.security.users).items():
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        run(self._java("kafka.tools.StorageTool", *arguments), within=self.directory)

    def _java(self, program: str, *arguments: str | Path) -> Sequence[str | Path]:
        (java,) = require(JAVA)
        memory = ["-Xms64M", f"-Xmx{self._heap}M", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
        settings = ["-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={_LOGGING}"]
        return [java, *memory, *settings, "-cp", classpath(), program, *arguments]


def _named(listeners: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items())
