"""The servers that a developer works with, at the same ports every day."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from deploy.local.kafka import BrokerPorts, KafkaCluster, jars
from deploy.local.mongodb import MongoPorts, MongoStandIn, program
from deploy.local.places import locked
from deploy.local.prerequisites import JAVA, POSTGRESQL, require
from deploy.local.server import Server

_BROKER_PORTS = [BrokerPorts(19092 + own, 19192 + own, 19292 + own, 19392 + own) for own in range(3)]
_MONGO_PORTS = MongoPorts(plain=27117, secure=27118, postgresql=27119)


class OthersUp(Exception):
    """The ports belong to a cluster of another size just now. Says what to do."""


class Everyday:
    """Kafka and the stand-in for MongoDB. The cluster of one and that of three are two, each with its own data."""

    def __init__(self, directory: Path) -> None:
        """Name the folder of the data."""
        self._lock = directory / "lock"
        self._mongodb = MongoStandIn(directory / "mongodb", ports=_MONGO_PORTS)
        self._one = KafkaCluster(directory / "kafka-1", 1, ports=_BROKER_PORTS[:1])
        self._three = KafkaCluster(directory / "kafka-3", 3, ports=_BROKER_PORTS)

    def up(self, brokers: Literal[1, 3]) -> list[str]:
        """Bring up what does not answer, and name it. Raises OthersUp, and whatever keeps a server from starting."""
        with locked(self._lock):
            wanted, other = (self._one, self._three) if brokers == 1 else (self._three, self._one)
            if _runs(other):
                raise OthersUp(f"a cluster of {len(other.brokers)} runs at these ports: take it down first")
            missing = [name for name, server in self._servers(wanted).items() if not server.answers()]
            if missing:
                require(JAVA, POSTGRESQL, *jars.needs(), *program.needs())
                with ThreadPoolExecutor() as together:
                    for started in [together.submit(wanted.start), together.submit(self._mongodb.start)]:
                        started.result()
            return missing

    def down(self) -> list[str]:
        """Stop everything, and name what ran; what is stored stays."""
        with locked(self._lock):
            running = [name for name, server in self.servers().items() if server.pid is not None]
            with ThreadPoolExecutor() as together:
                for stopped in [together.submit(each.stop) for each in (self._one, self._three, self._mongodb)]:
                    stopped.result()
            return running

    def servers(self) -> Mapping[str, Server]:
        """The servers by name."""
        return self._servers(self._kafka())

    def environment(self) -> Mapping[str, str]:
        """The variables that name the servers to the services."""
        return {"ONTRACK_KAFKA_SERVERS": self._kafka().servers, "ONTRACK_MONGODB_URL": self._mongodb.url}

    def _kafka(self) -> KafkaCluster:
        return self._three if _runs(self._three) else self._one

    def _servers(self, kafka: KafkaCluster) -> Mapping[str, Server]:
        brokers: dict[str, Server] = {broker.name: broker for broker in kafka.brokers}
        return {**brokers, "postgresql": self._mongodb.postgresql, "ferretdb": self._mongodb.ferretdb}


def _runs(kafka: KafkaCluster) -> bool:
    return any(broker.pid is not None for broker in kafka.brokers)
