"""Services that are killed, stopped and joined while they work."""

import signal
import time

import pytest

from contracts.topics import NOTICES, SCORES
from services.runtime.serving import DRAIN
from tests.failures.storm import SESSION_TIMEOUT, Storm
from tests.support.region import STAGES


def test_services_that_are_killed_while_they_work_lose_and_repeat_nothing(weather: Storm) -> None:
    # given a region at work
    services = {process.name: process for process in weather.region.serve()}
    weather.begin()

    # when each of its services is killed, at some moment, and started again
    for share, name in zip((0.1, 0.3, 0.5), weather.random.sample(STAGES, len(STAGES)), strict=True):
        weather.wait_for(share)
        services[name].kill()
        (services[name],) = weather.region.serve(name)

    # then everything is as if nothing had happened
    weather.ends_well()


def test_a_service_that_is_told_to_end_finishes_its_batch(weather: Storm) -> None:
    # given a region at work
    services = {process.name: process for process in weather.region.serve()}
    weather.begin()

    for share, name in zip((0.2, 0.4, 0.6), STAGES, strict=True):
        # when a service is told to end in the middle of it
        weather.wait_for(share)
        began = time.monotonic()
        code = services[name].stop()

        # then it does so in time and in order
        assert code == 0, services[name].log.read_text()
        assert time.monotonic() - began < DRAIN + 5
        (services[name],) = weather.region.serve(name)

    # and everything is as if nothing had happened
    weather.ends_well()


@pytest.mark.parametrize("name", STAGES)
def test_of_two_owners_of_a_partition_only_one_writes(weather: Storm, name: str) -> None:
    # given a region at work, with two of one service
    services = {process.name: process for process in weather.region.serve()}
    (other,) = weather.region.serve(name)
    other.wait_until_ready()
    weather.begin()
    weather.wait_for(0.2)

    # when one of them stands still until the other has taken all of its partitions, and then goes on
    services[name].send(signal.SIGSTOP)
    began = time.monotonic()
    weather.wait_for(0.3)
    other.wait_until(lambda: other.partitions() == SCORES.partitions, "the other has every partition")
    assert time.monotonic() - began > SESSION_TIMEOUT / 2
    services[name].send(signal.SIGCONT)

    # then everything is as if nothing had happened
    weather.ends_well()


def test_services_that_join_and_leave_while_they_work_lose_and_repeat_nothing(weather: Storm) -> None:
    # given a region at work
    weather.region.serve()
    weather.begin()
    weather.wait_for(0.1)

    # when a second and a third of each service join
    joined = weather.region.serve(*STAGES)
    weather.wait_for(0.3)
    joined += weather.region.serve(*STAGES)
    weather.wait_for(0.5, NOTICES)

    # and leave again
    for process in joined:
        assert process.stop() == 0

    # then everything is as if nothing had happened
    weather.ends_well()
