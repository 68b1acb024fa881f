"""A service that its group does not let join says so, and joins when it may."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES
from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.log.port import LogUnavailable
from services.runtime.log.topics import Cluster
from services.runtime.process import Process
from services.runtime.settings import ServiceSettings
from services.runtime.subscription import Batches, Subscription
from tests.support.servers import topics_of_its_own

pytestmark = pytest.mark.xdist_group("joining")

COPIES: Final = "offsets.topic.replication.factor"
WITHIN: Final = 60.0


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    """A broker that keeps no groups, since there are fewer brokers than there are to be copies."""
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka", properties={COPIES: "3"})
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.kill()


@dataclass
class Reader:
    """Knows whether it has joined."""

    has_joined: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, _: Iterable[int]) -> None:
        self.has_joined.set()

    async def give_up(self, _: Iterable[int]) -> None:
        pass

    async def handle(self, _: Batches) -> None:
        pass


class Joining(Process):
    """A process that joins a group, and does nothing else. tries: how often it has begun to."""

    tries_again_after = looks_after = 0.1

    def __init__(self, brokers: Brokers) -> None:
        super().__init__(
            ServiceSettings(
                kafka_servers=brokers.servers,
                mongodb_url="mongodb://database:27017/",
                master_key_file=Path("master.key"),
            ),
            "joining",
        )
        self.reader = Reader()
        self.tries = 0
        self._subscription = Subscription(brokers, brokers.named("joining"), brokers.topic(CASES), self.reader)
        self._subscription.joins_within = 3.0

    async def _serve(self) -> None:
        try:
            await self._until_it_works(self._join, lambda: None)
            await asyncio.Event().wait()
        finally:
            await self._subscription.leave()

    async def _join(self) -> None:
        self.tries += 1
        try:
            await self._subscription.start()
        except BaseException:
            await self._subscription.leave()
            raise


async def test_a_service_whose_group_nobody_keeps_says_so_and_joins_when_somebody_does(cluster: KafkaCluster) -> None:
    async with topics_of_its_own(Brokers(cluster.servers), [CASES]) as brokers:
        # given brokers and a group that nobody keeps
        service = Joining(brokers)
        async with service.running(service.app()):
            # when a service tries to join it, again and again
            async with asyncio.timeout(WITHIN):
                while not service.health.alive():  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)

                # then it says so for as long as it tries
                tries = service.tries
                while service.tries < tries + 2:
                    assert service.health.alive() == ["start: its group has not let it join within 3 s"]
                    await asyncio.sleep(0.05)

            # and so does who counts its members
            with pytest.raises(LogUnavailable, match="keep no groups"):
                await Cluster(brokers).members("joining")

            # and it joins when somebody does
            await asyncio.to_thread(cluster.stop)
            for broker in cluster.brokers:
                broker.properties[COPIES] = "1"
            await asyncio.to_thread(cluster.start)
            async with asyncio.timeout(WITHIN):
                await service.reader.has_joined.wait()
                while service.health.alive():  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
