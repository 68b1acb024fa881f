"""A cluster of one broker or of three."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from deploy.local.kafka.broker import Broker, BrokerPorts, Security
from deploy.local.ports import HOST, ports_of
from deploy.local.server import at_once

_PORTS = 4


class KafkaCluster:
    """Brokers in one folder. What they store outlives them: a cluster that is made again there finds it."""

    def __init__(
        self,
        directory: Path,
        brokers: Literal[1, 3] = 1,
        *,
        ports: Sequence[BrokerPorts] | None = None,
        security: Security | None = None,
        properties: Mapping[str, str] | None = None,
        heap: int = 384,
    ) -> None:
        """Choose ports unless they are named. `properties` go before those that are set here; `heap` is in MB."""
        directory = directory.resolve()
        if ports is None:
            chosen = ports_of(directory, _PORTS * brokers)
            ports = [BrokerPorts(*chosen[start : start + _PORTS]) for start in range(0, len(chosen), _PORTS)]
        self.brokers = [
            Broker(directory / f"broker-{number}", number, _cluster_id(directory), own, heap)
            for number, own in zip(range(1, brokers + 1), ports, strict=True)
        ]
        for broker in self.brokers:
            broker.security = security
            broker.properties |= {**self._settings(broker.number), **(properties or {})}

    @property
    def servers(self) -> str:
        """Where plain clients find the cluster."""
        return ",".join(broker.address for broker in self.brokers)

    @property
    def secure_servers(self) -> str:
        """Where clients with TLS and a password find the cluster."""
        return ",".join(broker.secure_address for broker in self.brokers)

    def start(self) -> None:
        """Start the brokers that do not run, all at once, and wait until every one answers; or start none."""
        ours = [broker for broker in self.brokers if broker.pid is None]
        try:
            at_once([broker.start for broker in self.brokers])
        except Exception:
            for broker in ours:
                broker.kill()
            raise

    def answers(self) -> bool:
        """Tell whether every broker answers just now."""
        return all(broker.answers() for broker in self.brokers)

    def stop(self) -> None:
        """Ask all brokers to end."""
        at_once([broker.stop for broker in self.brokers])

    def kill(self) -> None:
        """Kill all brokers."""
        at_once([broker.kill for broker in self.brokers])

    def _settings(self, number: int) -> dict[str, str]:
        """What Kafka is told: its defaults, but for what a small cluster on one machine needs."""
        copies, in_sync = str(len(self.brokers)), str(min(2, len(self.brokers)))
        voters = [f"{broker.number}@{HOST}:{broker.ports.controller}" for broker in self.brokers]
        return {
            "process.roles": "broker,controller",
            "node.id": str(number),
            "controller.quorum.voters": ",".join(voters),
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.num.partitions": "3",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": "3",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": "3",
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            # A broker that died is taken for dead sooner than Kafka's 9 s, and may come back sooner.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "1000",
            # Kafka takes 128 MB of the heap for this, and a small cluster needs little.
            "log.cleaner.dedupe.buffer.size": str(8 << 20),
        }


def _cluster_id(directory: Path) -> str:
    """Name the cluster of a folder. The first letter keeps the name from being taken for an option."""
    return "A" + base64.urlsafe_b64encode(hashlib.sha256(bytes(directory)).digest()).decode()[:21]
