"""A network between the services and the broker that stalls, and breaks off."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from tests.failures.storm import SESSION_TIMEOUT, Clinic, Storm, storm
from tests.support.proxy import Line, Proxy
from tests.support.region import region_of_its_own


@pytest.fixture
def behind_a_line(tmp_path: Path, clinic: Clinic, seed: int) -> Iterator[tuple[Storm, Proxy]]:
    """A region whose only way to its broker is a line that can stall."""
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka")
        (broker,) = cluster.brokers
        with Proxy("127.0.0.1", broker.ports.plain) as proxy:
            broker.advertised_port = proxy.port
            cluster.start()
            brokers = Brokers(f"127.0.0.1:{proxy.port}")
            with region_of_its_own(tmp_path, brokers) as region, storm(region, clinic, seed) as weather:
                yield weather, proxy


def test_the_network_can_stall_until_the_group_has_given_the_services_up(behind_a_line: tuple[Storm, Proxy]) -> None:
    # given a region at work
    weather, proxy = behind_a_line
    services = weather.region.serve()
    weather.begin()
    weather.wait_for(weather.chance.moment())

    # when nothing comes through for longer than the group waits
    proxy.set(Line.STALLED)

    # then each service says so
    for service in services:
        service.wait_until_not_alive(saying="brokers: ")
    weather.wait(SESSION_TIMEOUT)

    # and when it comes through again, everything is as if nothing had happened
    proxy.set(Line.OPEN)
    for service in services:
        service.wait_until_ready()
    weather.ends_well()


def test_the_network_can_break_off(behind_a_line: tuple[Storm, Proxy]) -> None:
    # given a region at work
    weather, proxy = behind_a_line
    services = weather.region.serve()
    weather.begin()

    # when its connections break off, twice
    for moment in weather.chance.moments(2):
        weather.wait_for(moment)
        proxy.set(Line.CUT)
        for service in services:
            service.wait_until_not_alive()
        proxy.set(Line.OPEN)

    # then everything is as if nothing had happened
    weather.ends_well()


def test_services_can_be_killed_while_the_network_stalls(behind_a_line: tuple[Storm, Proxy]) -> None:
    # given a region at work
    weather, proxy = behind_a_line
    services = weather.region.serve()
    weather.begin()
    weather.wait_for(weather.chance.moment())

    # when requests come through to the broker no more, and every service is killed with what it has under way
    proxy.set(Line.STALLED)
    for service in services:
        service.wait_until_not_alive()
        service.kill()
    proxy.set(Line.OPEN)
    weather.region.serve()

    # then everything is as if nothing had happened
    weather.ends_well()
