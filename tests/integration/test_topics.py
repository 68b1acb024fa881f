"""Topics come from the table and from nowhere else, also on brokers that would make whatever is asked for."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import TOPICS
from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.keyring.master import MasterKey
from tests.support.region import Region, region_of_its_own

pytestmark = pytest.mark.xdist_group("topics")


@pytest.fixture(scope="module")
def willing() -> Iterator[Brokers]:
    """A broker as Kafka comes: it makes every topic that somebody speaks of, with one partition."""
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka", properties={"auto.create.topics.enable": "true"})
        cluster.start()
        yield Brokers(cluster.servers)


@pytest.fixture
def region(tmp_path: Path, willing: Brokers) -> Iterator[Region]:
    with region_of_its_own(tmp_path, willing) as region:
        yield region


def topics_of(region: Region) -> dict[str, int]:
    """The topics of a region, and how many partitions each has."""

    async def ask() -> dict[str, int]:
        admin = AIOKafkaAdminClient(**region.brokers.arguments())
        await admin.start()
        try:
            described = await admin.describe_topics()
        finally:
            await admin.close()
        return {
            topic["topic"].removeprefix(region.brokers.prefix): len(topic["partitions"])
            for topic in described
            if topic["topic"].startswith(region.brokers.prefix)
        }

    return asyncio.run(ask())


def test_provision_makes_the_topics_of_the_table(region: Region) -> None:
    # given a region that has nothing yet, on such a broker
    # when it is provisioned
    region.succeeded("provision", "--single-broker")

    # then its topics are those of the table
    assert topics_of(region) == {topic.name: topic.partitions for topic in TOPICS.values()}


def test_what_needs_topics_makes_none(region: Region) -> None:
    # given a region that has nothing yet but a key
    MasterKey.create(region.master_key)

    # when a service and a command find that its topics are missing
    (service,) = region.serve("scoring")
    missing = "is missing; `ontrack provision` makes it"
    service.wait_until(lambda: missing in " ".join(service.why_not("alive")), "it says that topics are missing", 30)
    refused = region.ontrack("tracks")

    # then none was made
    assert refused.exit_code != 0
    assert missing in refused.told
    assert topics_of(region) == {}
