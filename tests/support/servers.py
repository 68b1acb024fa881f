"""The real servers that tests run on, and a place of its own on them for whoever needs one."""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final
from uuid import uuid4

from contracts.topics import Topic
from services.runtime.brokers import Brokers
from services.runtime.documents import Documents, Server
from services.runtime.log.topics import Cluster, Safety

ONE_BROKER: Final = Safety(replication=1, min_insync=1)
"""How safe topics are on the one broker of everyday tests."""


def kafka() -> Brokers:
    """The brokers that tests share."""
    return Brokers(os.environ.get("ONTRACK_TEST_KAFKA_SERVERS", "127.0.0.1:19092"))


def mongodb() -> Server:
    """The server that tests share. It is FerretDB where nothing else is named: that takes few writes at once."""
    return Server(os.environ.get("ONTRACK_TEST_MONGODB_URL", "mongodb://127.0.0.1:27117/"), at_once=10)


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
