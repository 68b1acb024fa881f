"""Topics come from the table and from nowhere else, also on brokers that would make whatever is asked for."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import SCORES, TOPICS
from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.log.topics import Cluster
from services.runtime.refusals import TopicsUnfit
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


def test_of_two_that_make_other_topics_of_the_same_name_at_once_one_is_told(region: Region) -> None:
    # given a region that has nothing yet
    cluster, few = Cluster(region.brokers), replace(SCORES, partitions=6)

    # when two make a topic of it at the same moment, with another number of partitions each
    async def make_both() -> list[Sequence[str] | BaseException]:
        making = (cluster.make_topics(region.safety, [each]) for each in (SCORES, few))
        return await asyncio.gather(*making, return_exceptions=True)

    told = asyncio.run(make_both())

    # then one has made it, and the other one is told that it does not fit
    name = region.brokers.topic(SCORES)
    assert [each for each in told if not isinstance(each, BaseException)] == [[name]]
    (refused,) = (each for each in told if isinstance(each, BaseException))
    assert isinstance(refused, TopicsUnfit)
    assert f"the topic {name} has " in str(refused)


def test_of_two_that_make_the_same_topics_at_once_each_has_them(region: Region) -> None:
    # given a region that has nothing yet
    # when two make its topics at the same moment
    async def make_both() -> list[Sequence[str]]:
        return await asyncio.gather(*(Cluster(region.brokers).make_topics(region.safety) for _ in range(2)))

    one, other = asyncio.run(make_both())

    # then they are there, each made once
    assert topics_of(region) == {topic.name: topic.partitions for topic in TOPICS.values()}
    assert sorted([*one, *other]) == sorted(map(region.brokers.topic, TOPICS.values()))


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
