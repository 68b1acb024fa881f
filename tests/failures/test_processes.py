"""Services that are killed, stopped and joined while they work."""

import http
import signal
import struct
import time
from urllib.parse import urlsplit

from contracts.topics import NOTICES, SCORES
from services.runtime.store.mongo import states_of
from services.runtime.subscription import DRAIN
from tests.failures.seeds import ALWAYS
from tests.failures.storm import Storm
from tests.support.proxy import Line, Proxy
from tests.support.region import STAGES


def test_services_that_are_killed_while_they_work_lose_and_repeat_nothing(weather: Storm) -> None:
    # given a region at work
    services = {process.name: process for process in weather.region.serve()}
    weather.begin()

    # when each of its services is killed, at some moment, and started again
    for moment, name in zip(weather.chance.moments(3), weather.chance.in_some_order(STAGES), strict=True):
        weather.wait_for(moment)
        services[name].kill()
        (services[name],) = weather.region.serve(name)

    # then everything is as if nothing had happened
    weather.ends_well()


def test_a_service_that_is_told_to_end_finishes_its_batch(weather: Storm) -> None:
    # given a region at work
    services = {process.name: process for process in weather.region.serve()}
    weather.begin()

    for moment, name in zip(weather.chance.moments(3), weather.chance.in_some_order(STAGES), strict=True):
        # when a service is told to end in the middle of it
        weather.wait_for(moment)
        began = time.monotonic()
        code = services[name].stop()

        # then it does so in time and in order
        assert code == 0, services[name].log.read_text()
        assert time.monotonic() - began < DRAIN + 5
        (services[name],) = weather.region.serve(name)

    # and everything is as if nothing had happened
    weather.ends_well()


def writing(collection: str) -> bytes:
    """How a command begins that changes documents of a collection."""
    name = collection.encode() + b"\0"
    return b"\x02update\0" + struct.pack("<i", len(name)) + name


def test_of_two_owners_of_a_partition_only_one_writes(weather: Storm, seed: int) -> None:
    # given a region at work, with two of one service, each round of another one, and the way of one of them to the
    # store in our hands
    name, region = STAGES[(seed - ALWAYS) % len(STAGES)], weather.region
    where = urlsplit(region.server.url)
    assert where.port is not None
    with Proxy("127.0.0.1", where.port) as way_to_the_store:
        region.serve(*(stage for stage in STAGES if stage != name))
        (one,) = region.serve_with(name, ONTRACK_MONGODB_URL=f"mongodb://127.0.0.1:{way_to_the_store.port}/")
        one.wait_until_ready()
        (other,) = region.serve(name)
        half = SCORES.partitions // 2
        other.wait_until(lambda: one.partitions() == other.partitions() == half, "each has half of the partitions")
        weather.begin()
        weather.wait_for(weather.chance.moment())

        # when one of them stands still right before it writes states, until the other has all partitions and goes on
        way_to_the_store.stall_at(writing(states_of(name.replace("-", "_"))))
        one.wait_until(lambda: way_to_the_store.has_stalled, "it is about to write")
        one.send(signal.SIGSTOP)
        other.wait_until(lambda: other.partitions() == SCORES.partitions, "the other has every partition")
        other.wait_until(lambda: other.asked("/ready")[0] == http.HTTPStatus.OK, "the other has gone on")
        weather.wait_for(0.8)

        # and then finds that it can write
        way_to_the_store.set(Line.OPEN)
        one.send(signal.SIGCONT)
        one.wait_until_ready()

        # then everything is as if nothing had happened
        weather.ends_well()


def test_services_that_join_and_leave_while_they_work_lose_and_repeat_nothing(weather: Storm) -> None:
    # given a region at work
    weather.region.serve()
    weather.begin()
    first, second, third = weather.chance.moments(3)
    weather.wait_for(first)

    # when a second and a third of each service join
    joined = weather.region.serve(*STAGES)
    weather.wait_for(second)
    joined += weather.region.serve(*STAGES)
    weather.wait_for(third, NOTICES)

    # and leave again
    for process in weather.chance.in_some_order(joined):
        assert process.stop() == 0

    # then everything is as if nothing had happened
    weather.ends_well()
