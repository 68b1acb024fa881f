"""The real servers that tests share, and a place of its own on them for whoever needs one.

Every run has servers and data of its own, which all of its processes share: they are sought, and if need be started,
when a test first needs them, and stopped when the run ends. See sources.py for where they are sought.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pymongo import MongoClient

from contracts.topics import Topic
from deploy.local.kafka import KafkaCluster
from deploy.local.mongodb import MongoStandIn
from services.runtime.brokers import Brokers
from services.runtime.documents import AT_ONCE, Server
from services.runtime.log.topics import Cluster, Safety
from tests.support import containers
from tests.support.removed import remove_database, remove_topics
from tests.support.sources import Local, Shared, found, stopped

RUN: Final = "ONTRACK_TEST_RUN"
"""Names the folder of a run's servers to all of its processes."""

ONE_BROKER: Final = Safety(replication=1, min_insync=1)
"""How safe topics are on the one broker of everyday tests."""

FERRETDB_AT_ONCE: Final = 10
"""FerretDB deadlocks on a command with more writes than it has free connections to PostgreSQL."""


def _local_kafka(folder: Path) -> tuple[Local, str]:
    cluster = KafkaCluster(folder)
    return cluster, cluster.servers


def _local_mongodb(folder: Path) -> tuple[Local, str]:
    stand_in = MongoStandIn(folder)
    return stand_in, stand_in.url


KAFKA: Final = Shared("Kafka", "ONTRACK_TEST_KAFKA_SERVERS", containers.kafka, _local_kafka)
MONGODB: Final = Shared("MongoDB", "ONTRACK_TEST_MONGODB_URL", containers.mongodb, _local_mongodb)


@contextmanager
def servers_of_a_run() -> Iterator[None]:
    """Name the folder of a run's servers, and stop and remove in the end what was started for it."""
    folder = Path(tempfile.mkdtemp(prefix="ontrack-servers-"))
    folder.chmod(0o711)
    os.environ[RUN] = str(folder)
    try:
        yield
    finally:
        for shared in (KAFKA, MONGODB):
            stopped(shared, folder)
        containers.remove(folder)
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ[RUN]


@cache
def kafka() -> Brokers:
    """The brokers that tests share."""
    return Brokers(found(KAFKA, _run()))


@cache
def mongodb() -> Server:
    """The server that tests share."""
    url = found(MONGODB, _run())
    return Server(url, at_once=FERRETDB_AT_ONCE if _is_ferretdb(url) else AT_ONCE)


def both() -> tuple[Brokers, Server]:
    """Both of them, started at the same time."""
    with ThreadPoolExecutor() as together:
        brokers, server = together.submit(kafka), together.submit(mongodb)
        return brokers.result(), server.result()


def _run() -> Path:
    return Path(os.environ[RUN])


def _is_ferretdb(url: str) -> bool:
    with MongoClient[dict[str, Any]](url) as client:
        return "ferretdbVersion" in client.admin.command("buildInfo")


@asynccontextmanager
async def topics_of_its_own(brokers: Brokers, topics: Iterable[Topic]) -> AsyncIterator[Brokers]:
    """Make topics that nobody else uses, and remove them in the end."""
    own = replace(brokers, prefix=f"test-{uuid4().hex[:12]}.")
    wanted = list(topics)
    await Cluster(own).make_topics(ONE_BROKER, wanted)
    try:
        yield own
    finally:
        await remove_topics(own, wanted)


@asynccontextmanager
async def database_of_its_own(server: Server) -> AsyncIterator[Server]:
    """Give a database that nobody else uses, and remove it in the end."""
    own = replace(server, database=f"test_{uuid4().hex[:12]}")
    try:
        yield own
    finally:
        await remove_database(own)
