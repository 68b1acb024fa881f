"""The real servers that tests share, and a place of its own on them for whoever needs one.

They are those that the environment names, or else those of deploy/local, started when a test first needs them and
stopped when the run ends. Every run has servers and data of its own, which all of its processes share.
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
from typing import Final
from uuid import uuid4

import pytest

from contracts.topics import Topic
from deploy.local.kafka import KafkaCluster
from deploy.local.mongodb import MongoStandIn
from deploy.local.places import locked
from deploy.local.prerequisites import Missing
from services.runtime.brokers import Brokers
from services.runtime.documents import Documents, Server
from services.runtime.log.topics import Cluster, Safety

KAFKA: Final = "ONTRACK_TEST_KAFKA_SERVERS"
MONGODB: Final = "ONTRACK_TEST_MONGODB_URL"
RUN: Final = "ONTRACK_TEST_RUN"
"""Names the folder of a run's servers to all of its processes."""

ONE_BROKER: Final = Safety(replication=1, min_insync=1)
"""How safe topics are on the one broker of everyday tests."""

FERRETDB_AT_ONCE: Final = 10
"""FerretDB deadlocks on a command with more writes than it has free connections to PostgreSQL."""


@contextmanager
def servers_of_a_run() -> Iterator[None]:
    """Name the folder of a run's servers, and stop and remove in the end what was started there."""
    folder = Path(tempfile.mkdtemp(prefix="ontrack-servers-"))
    folder.chmod(0o711)
    os.environ[RUN] = str(folder)
    try:
        yield
    finally:
        if any(folder.iterdir()):
            _kafka().stop()
            _mongodb().stop()
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ[RUN]


@cache
def kafka() -> Brokers:
    """The brokers that tests share."""
    named = os.environ.get(KAFKA)
    if named is None:
        _started(_kafka())
        named = _kafka().servers
    return Brokers(named)


@cache
def mongodb() -> Server:
    """The server that tests share."""
    named = os.environ.get(MONGODB)
    if named is None:
        _started(_mongodb())
        named = _mongodb().url
    return Server(named, at_once=FERRETDB_AT_ONCE)


def both() -> tuple[Brokers, Server]:
    """Both of them, started at the same time."""
    with ThreadPoolExecutor() as together:
        brokers, server = together.submit(kafka), together.submit(mongodb)
        return brokers.result(), server.result()


def _started(servers: KafkaCluster | MongoStandIn) -> None:
    try:
        with locked(_folder() / f"{type(servers).__name__}.lock"):
            servers.start()
    except Missing as missing:
        pytest.skip(str(missing))


def _folder() -> Path:
    return Path(os.environ[RUN])


@cache
def _kafka() -> KafkaCluster:
    return KafkaCluster(_folder() / "kafka")


@cache
def _mongodb() -> MongoStandIn:
    return MongoStandIn(_folder() / "mongodb")


@asynccontextmanager
async def topics_of_its_own(brokers: Brokers, topics: Iterable[Topic]) -> AsyncIterator[Brokers]:
    """Make topics that nobody else uses, and remove them in the end."""
    own = replace(brokers, prefix=f"test-{uuid4().hex[:12]}.")
    wanted = list(topics)
    await Cluster(own).make_topics(ONE_BROKER, wanted)
    try:
        yield own
    finally:
        await Cluster(own).remove_topics(wanted)


@asynccontextmanager
async def database_of_its_own(server: Server) -> AsyncIterator[Server]:
    """Give a database that nobody else uses, and remove it in the end."""
    own = replace(server, database=f"test_{uuid4().hex[:12]}")
    try:
        yield own
    finally:
        async with Documents(own) as documents:
            await documents.drop()
