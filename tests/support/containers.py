"""Servers in containers: testcontainers starts the images that Kafka and MongoDB publish, or others that act alike.

The containers of a run bear its name, and outlive the process that started them: the other processes of the run use
them too. testcontainers' own remover would take them away with that process, so it is not used.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from docker.utils import parse_host  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient, get_docker_host
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.local.prerequisites import Missing


@dataclass(frozen=True, slots=True)
class Image:
    """An image, the one that a variable of the environment names or else the published one, and its port."""

    variable: str
    published: str
    port: int

    @property
    def name(self) -> str:
        """Its name."""
        return os.environ.get(self.variable, self.published)


KAFKA: Final = Image("ONTRACK_KAFKA_IMAGE", "apache/kafka:4.3.1", 9092)
MONGODB: Final = Image("ONTRACK_MONGODB_IMAGE", "mongo:8.0.17", 27017)
LABEL: Final = "ontrack.test-run"

_STARTED: Final = "containers"
"""A file of this name in the folder of a run says that it has started containers."""

_ANSWERS_WITHIN: Final = 2
"""Seconds; an engine that takes longer is none."""

_LOOK_AGAIN: Final = 0.1

_BROKER: Final = {
    "CLUSTER_ID": "b250cmFjay10ZXN0czAwMQ",
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": f"PLAIN://0.0.0.0:{KAFKA.port},BROKERS://localhost:9093,CONTROLLER://localhost:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAIN:PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKERS",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "3",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "3",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS": "3",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
}

_SCRIPT: Final = "/tmp/ontrack-start.sh"  # noqa: S108 a file of the container, not of this machine
_START_WHEN_TOLD: Final = f"until [ -s {_SCRIPT} ]; do sleep 0.1; done; . {_SCRIPT}"


def kafka(run: Path) -> str:
    """Start a broker for a run, and give its address. Raises Missing.

    A broker tells its clients where it is, which is known once the container runs: only then is it started in there.
    """
    with _container(KAFKA, run) as container:
        container.with_envs(**_BROKER).with_command(["sh", "-c", _START_WHEN_TOLD]).start()
        address = _address(container, KAFKA)
        told = f"export KAFKA_ADVERTISED_LISTENERS=PLAIN://{address},BROKERS://localhost:9093\n"
        container.copy_into_container(f"{told}exec /etc/kafka/docker/run\n".encode(), _SCRIPT)
        _wait(container, "Kafka Server started")
        return address


def mongodb(run: Path) -> str:
    """Start a MongoDB for a run, and give its URL. Raises Missing."""
    with _container(MONGODB, run) as container:
        container.start()
        _wait(container, "(?i)waiting for connections")
        return f"mongodb://{_address(container, MONGODB)}/"


def remove(run: Path) -> None:
    """Remove the containers that a run has started."""
    if (run / _STARTED).exists():
        with closing(DockerClient().client) as client:
            for container in client.containers.list(all=True, filters={"label": f"{LABEL}={run.name}"}):
                container.remove(force=True, v=True)


@contextmanager
def _container(image: Image, run: Path) -> Iterator[DockerContainer]:
    """Give a container that is not started yet."""
    _require_engine()
    testcontainers_config.ryuk_disabled = True
    container = DockerContainer(image.name, ports=[image.port], labels={LABEL: run.name})
    with closing(container.get_docker_client().client):
        _require_image(container)
        (run / _STARTED).touch()
        yield container


def knock(host: str | None) -> None:
    """Connect to an engine for a moment. Raises OSError; docker's own client would leave its socket open then.

    host: as in DOCKER_HOST; only one of this machine is tried
    """
    kind, _, path = parse_host(host).partition("://")
    if kind == "http+unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWERS_WITHIN)
            connection.connect(path)


def _require_engine() -> None:
    try:
        knock(get_docker_host())
        DockerClient(timeout=_ANSWERS_WITHIN).client.close()
    except (DockerException, OSError):
        raise Missing("no Docker engine answers: start one, or name one in DOCKER_HOST") from None


def _require_image(container: DockerContainer) -> None:
    images = container.get_docker_client().client.images
    try:
        images.get(container.image)
    except ImageNotFound:
        try:
            images.pull(container.image)
        except (DockerException, OSError) as refused:
            raise Missing(f"the Docker engine cannot get the image {container.image}: {refused}") from None


def _address(container: DockerContainer, image: Image) -> str:
    return f"{container.get_container_host_ip()}:{container.get_exposed_port(image.port)}"


def _wait(container: DockerContainer, said: str) -> None:
    try:
        LogMessageWaitStrategy(said).with_poll_interval(_LOOK_AGAIN).wait_until_ready(container)
    except RuntimeError as ended:
        ended.add_note(container.get_wrapped_container().logs().decode(errors="replace"))
        raise
