"""What a test has made on real servers, removed: nothing that ships can do that to a log or a database."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import Topic
from services.runtime.brokers import Brokers
from services.runtime.documents import Documents, Server


class _Removable(Documents):
    async def remove(self) -> None:
        await self._client.drop_database(self._database)


async def remove_database(server: Server) -> None:
    """Remove a database with all that is in it."""
    async with _Removable(server) as documents:
        await documents.remove()


async def remove_topics(brokers: Brokers, topics: Iterable[Topic]) -> None:
    """Remove topics and everything on them."""
    admin = AIOKafkaAdminClient(**brokers.arguments())
    await admin.start()
    try:
        await admin.delete_topics([brokers.topic(topic) for topic in topics])
    finally:
        await admin.close()
