"""A store that is killed, slow, refuses writes, or has lost what it knew."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.topics import CASES, SCORES, TRACKS
from deploy.local.mongodb import MongoStandIn
from deploy.local.scratch import scratch_directory
from services.distributed import DistributedHome
from services.runtime.documents import Documents, Server
from services.runtime.log.port import Record
from services.runtime.store.mongo import HALTED, POSITIONS, states_of
from tests.failures.storm import Clinic, Storm, storm
from tests.support.proxy import Proxy
from tests.support.region import Region, region_of_its_own
from tests.support.servers import FERRETDB_AT_ONCE

A_MINUTE = 60.0


@pytest.fixture
def store() -> Iterator[MongoStandIn]:
    """A store of its own."""
    with scratch_directory() as folder:
        stand_in = MongoStandIn(folder / "mongodb")
        stand_in.start()
        yield stand_in


def server_of(url: str) -> Server:
    return Server(url, at_once=FERRETDB_AT_ONCE)


@pytest.fixture
def weather(tmp_path: Path, store: MongoStandIn, clinic: Clinic, seed: int) -> Iterator[Storm]:
    with region_of_its_own(tmp_path, server=server_of(store.url)) as region, storm(region, clinic, seed) as weather:
        yield weather


def test_the_store_can_be_killed(weather: Storm, store: MongoStandIn) -> None:
    # given a region at work
    weather.region.serve()
    weather.begin()

    # when its store is killed, twice, and starts again
    for moment in weather.chance.moments(2):
        weather.wait_for(moment)
        store.kill()
        store.start()

    # then everything is as if nothing had happened
    weather.ends_well()


@contextmanager
def writes_refused(store: MongoStandIn) -> Iterator[None]:
    store.postgresql.refuse_writes(refused=True)
    try:
        yield
    finally:
        store.postgresql.refuse_writes(refused=False)


def say_again(region: Region) -> None:
    """Write a record of each topic that is read once more, as whoever was killed before it knew that it had."""

    async def said(home: DistributedHome) -> None:
        for topic in (CASES, SCORES, TRACKS):
            partition, *_ = [each for each in range(topic.partitions) if await home.log.end(topic, each)]
            (record,) = await home.log.read(topic, partition, 0, 1)
            await home.log.append(topic, partition, [Record(record.key, record.value)])

    region.asked(said)


def test_the_store_can_refuse_writes_for_a_minute(weather: Storm, store: MongoStandIn) -> None:
    # given a region at work
    services = weather.region.serve()
    weather.begin()
    weather.wait_for(weather.chance.moment(), TRACKS)

    # when its store takes no writes for a minute, and every service has something to write
    with writes_refused(store):
        began = time.monotonic()
        say_again(weather.region)

        # then each service says that it does not go on
        for service in services:
            service.wait_until_not_alive(A_MINUTE, saying="partition")
        services[0].wait_until(lambda: time.monotonic() - began > A_MINUTE, "a minute has gone by")

    # and goes on by itself, and everything is as if nothing had happened
    weather.ends_well()
    for service in services:
        service.wait_until_ready()


def test_the_store_can_be_slow(tmp_path: Path, store: MongoStandIn, small_clinic: Clinic, seed: int) -> None:
    # given a region whose store takes two seconds for each answer
    with (
        Proxy("127.0.0.1", store.ports.plain, delay=2.0) as proxy,
        region_of_its_own(tmp_path, server=server_of(store.url)) as region,
        storm(region, small_clinic, seed) as weather,
    ):
        region.serve_with(ONTRACK_MONGODB_URL=f"mongodb://127.0.0.1:{proxy.port}/")

        # when it works
        weather.begin()

        # then it takes its time, and everything is as always
        weather.ends_well()


def test_a_stage_whose_states_are_lost_says_so_and_is_made_anew(weather: Storm) -> None:
    # given a region at work
    region = weather.region
    services = region.serve()
    weather.begin()
    weather.wait_for(weather.chance.moment())

    # when what the services know of the cases is lost while they work, or all that they had in the store
    stages = ("scoring", "not_detector", "notifier")
    for stage in stages:
        drop(region, states_of(stage))
    for collection in weather.chance.one_of([(), (POSITIONS, HALTED)]):
        drop(region, collection)

    # then each says so, and names the command that makes it anew
    for service, stage in zip(services, stages, strict=True):
        service.wait_until_not_alive(saying=f"ontrack rebuild {stage}")
        assert service.asked("/ready")[0] == 503

    # and does not end by itself, so that command needs it to be stopped first
    for service, stage in zip(services, stages, strict=True):
        refused = region.ontrack("rebuild", stage)
        assert refused.exit_code == 2
        assert "stop" in refused.told
        service.stop()

    # and when that was given for each, everything is as if nothing had happened
    for stage in stages:
        region.succeeded("rebuild", stage)
    region.serve()
    weather.ends_well()


def drop(region: Region, collection: str) -> None:
    async def dropped(_: DistributedHome) -> None:
        async with Documents(region.server) as documents:
            await documents.remove_all(collection)

    region.asked(dropped)
