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


def test_provision_refuses_topics_that_are_kept_less_safely_than_it_is_asked_for(region: Region) -> None:
    # given a region on one broker
    region.succeeded("provision", "--single-broker")
    assert region.succeeded("provision", "--single-broker").told.strip() == "Everything is there."

    # when it is provisioned as for three
    refused = region.ontrack("provision")

    # then it says in what each topic differs
    assert refused.exit_code == 1
    for topic in TOPICS.values():
        name = region.brokers.topic(topic)
        assert f"the topic {name} has replication=1, replication=3 was expected: " in refused.told
        assert f"the topic {name} has min.insync.replicas=1, min.insync.replicas=2 was expected: " in refused.told


def test_provision_for_three_brokers_names_what_is_for_one(region: Region) -> None:
    # given a cluster of one broker
    # when topics with three copies are asked for
    refused = region.ontrack("provision")

    # then it says how they are asked for with one
    assert refused.exit_code == 1
    assert "for one broker there is --single-broker" in refused.told
    assert topics_of(region) == {}


def test_what_needs_topics_makes_none(region: Region) -> None:
    # given a region that has nothing yet
    # when a service and a command find that its topics are missing
    (service,) = region.serve("scoring")
    missing = "topics are missing; `ontrack provision` makes them: "
    service.wait_until(lambda: missing in " ".join(service.why_not("alive")), "it says that topics are missing", 30)
    refused = region.ontrack("tracks")

    # then none was made
    assert refused.exit_code != 0
    assert missing in refused.told
    assert topics_of(region) == {}
