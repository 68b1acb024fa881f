"""The servers that a developer works with, at the same ports every day."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from deploy.local.kafka import BrokerPorts, KafkaCluster, jars
from deploy.local.mongodb import MongoPorts, MongoStandIn, program
from deploy.local.places import locked
from deploy.local.ports import PORTS
from deploy.local.prerequisites import JAVA, POSTGRESQL, Program, require
from deploy.local.server import Server, at_once

_BROKER_PORTS = [BrokerPorts(19092 + own, 19192 + own, 19292 + own, 19392 + own) for own in range(3)]
_MONGO_PORTS = MongoPorts(plain=27117, secure=27118, postgresql=27119)

_AT_ONCE = 10
"""FerretDB deadlocks on a command with more writes than it has free connections to PostgreSQL."""

_STOP_THEM = "stop what runs first: python -m deploy.local down"


class OthersUp(Exception):
    """What runs over this data is something else than what is wanted. Says what to do."""


class Everyday:
    """Kafka and the stand-in for MongoDB. The cluster of one and that of three are two, each with its own data."""

    def __init__(self, directory: Path, *, free_ports: bool = False) -> None:
        """Name the folder of the data. With `free_ports` it gets ports of its own, and has them from then on."""
        self._directory = directory
        self._lock = directory / "lock"
        mongodb, one, three = (directory / name for name in ("mongodb", "kafka-1", "kafka-3"))
        own = free_ports or (mongodb / PORTS).exists()
        self._mongodb = MongoStandIn(mongodb, ports=None if own else _MONGO_PORTS)
        self._one = KafkaCluster(one, 1, ports=None if own else _BROKER_PORTS[:1])
        self._three = KafkaCluster(three, 3, ports=None if own else _BROKER_PORTS)

    @classmethod
    def with_free_ports(cls, directory: Path) -> Self:
        """Choose ports for the data of a folder, which has them from then on. What runs at such ports keeps them.

        Raises OthersUp if what runs is at the everyday ports.
        """
        now = cls(directory)
        if now._running():
            if (directory / "mongodb" / PORTS).exists():
                return now
            raise OthersUp(f"these servers run, so they have their ports: {_STOP_THEM}")
        for chosen in directory.glob(f"*/{PORTS}"):
            chosen.unlink()
        return cls(directory, free_ports=True)

    @staticmethod
    def needs() -> list[Program]:
        """What the machine must have for this."""
        return [JAVA, POSTGRESQL, *jars.needs(), *program.needs()]

    def up(self, brokers: Literal[1, 3]) -> list[str]:
        """Bring up what does not answer, and name it; if that fails, nothing more runs than before.

        Raises OthersUp, and whatever keeps a server from starting.
        """
        with locked(self._lock):
            wanted, other = (self._one, self._three) if brokers == 1 else (self._three, self._one)
            if _runs(other):
                number = {1: "one broker", 3: "three brokers"}[len(other.brokers)]
                raise OthersUp(f"a cluster of {number} runs at these ports: {_STOP_THEM}")
            servers = self._servers(wanted)
            missing = [name for name, server in servers.items() if not server.answers()]
            if missing:
                require(*self.needs())
                down = [server for server in servers.values() if server.pid is None]
                try:
                    at_once([wanted.start, self._mongodb.start])
                except BaseException:
                    at_once([server.stop for server in down])
                    raise
            return missing

    def down(self) -> list[str]:
        """Stop everything, and name what ran; what is stored stays."""
        with locked(self._lock):
            running = self._running()
            at_once([self._one.stop, self._three.stop, self._mongodb.stop])
            return running

    def servers(self) -> Mapping[str, Server]:
        """The servers by name."""
        return self._servers(self._kafka())

    def environment(self) -> Mapping[str, str]:
        """The settings of a region that stands on these servers; its master key lies beside their data."""
        kafka = self._kafka()
        return {
            "ONTRACK_KAFKA_SERVERS": kafka.servers,
            "ONTRACK_MONGODB_URL": self._mongodb.url,
            # Each cluster has a log of its own, and what was concluded from one fits no other.
            "ONTRACK_MONGODB_DATABASE": "ontrack" if kafka is self._one else "ontrack-3",
            "ONTRACK_MONGODB_AT_ONCE": str(_AT_ONCE),
            "ONTRACK_MASTER_KEY_FILE": str(self._directory / "master.key"),
        }

    def _running(self) -> list[str]:
        return [name for name, server in self.servers().items() if server.pid is not None]

    def _kafka(self) -> KafkaCluster:
        return self._three if _runs(self._three) else self._one

    def _servers(self, kafka: KafkaCluster) -> Mapping[str, Server]:
        brokers: dict[str, Server] = {broker.name: broker for broker in kafka.brokers}
        return {**brokers, "postgresql": self._mongodb.postgresql, "ferretdb": self._mongodb.ferretdb}


def _runs(kafka: KafkaCluster) -> bool:
    return any(broker.pid is not None for broker in kafka.brokers)
