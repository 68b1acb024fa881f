"""Brokers that are killed and start again, one of one and one of three, and one whose disk is full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.log.topics import Safety
from tests.failures.disks import small_disk
from tests.failures.storm import Clinic, Storm, storm
from tests.support.region import region_of_its_own
from tests.support.servers import ONE_BROKER

THREE_BROKERS = Safety(replication=3, min_insync=2)


@pytest.fixture
def one(tmp_path: Path, clinic: Clinic, seed: int) -> Iterator[tuple[Storm, KafkaCluster]]:
    """A region on a broker of its own."""
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka")
        cluster.start()
        with region_of_its_own(tmp_path, Brokers(cluster.servers)) as region, storm(region, clinic, seed) as weather:
            yield weather, cluster


@pytest.fixture
def three(tmp_path: Path, clinic: Clinic, seed: int) -> Iterator[tuple[Storm, KafkaCluster]]:
    """A region on three brokers of its own, each record on all of them and acknowledged by two."""
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka", 3)
        cluster.start()
        brokers = Brokers(cluster.servers)
        with (
            region_of_its_own(tmp_path, brokers, safety=THREE_BROKERS) as region,
            storm(region, clinic, seed) as weather,
        ):
            yield weather, cluster


def test_the_only_broker_can_be_killed(one: tuple[Storm, KafkaCluster]) -> None:
    # given a region at work on one broker
    weather, cluster = one
    weather.region.serve()
    weather.begin()

    # when that is killed, twice, and starts again
    for moment in weather.chance.moments(2):
        weather.wait_for(moment)
        cluster.kill()
        cluster.start()

    # then everything is as if nothing had happened
    weather.ends_well()


def test_each_of_three_brokers_can_be_killed(three: tuple[Storm, KafkaCluster]) -> None:
    # given a region at work on three brokers
    weather, cluster = three
    weather.region.serve()
    weather.begin()

    # when each is killed in turn, so that the controller and the leader of every partition are among them
    for moment, broker in zip(weather.chance.moments(3), weather.chance.in_some_order(cluster.brokers), strict=True):
        weather.wait_for(moment)
        broker.kill()

        # then work goes on without it
        weather.wait_for(moment + 0.1)
        broker.start()

    # and everything is as if nothing had happened
    weather.ends_well()


def test_the_disk_of_the_broker_can_be_full_for_a_while(tmp_path: Path, small_clinic: Clinic, seed: int) -> None:
    # given a region at work on a broker with a small disk
    with scratch_directory() as folder, small_disk(folder / "disk", megabytes=96) as disk:
        cluster = KafkaCluster(folder / "kafka", properties={"log.dirs": str(disk.folder / "data")})
        cluster.start()
        with (
            region_of_its_own(tmp_path, Brokers(cluster.servers), safety=ONE_BROKER) as region,
            storm(region, small_clinic, seed) as weather,
        ):
            services = region.serve()
            for service in services:
                service.wait_until_ready()

            weather.begin()
            weather.wait_for(weather.chance.moment(0, 0.4))

            # when that is full
            disk.fill()
            (broker,) = cluster.brokers
            services[0].wait_until(lambda: broker.pid is None, "the broker has given up for want of room")
            for service in services:
                service.wait_until_not_alive()
            # and has room again
            disk.empty()
            cluster.start()

            # then everything is as if nothing had happened
            weather.ends_well()
