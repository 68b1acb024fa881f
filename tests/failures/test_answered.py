"""What was answered is on the log, whatever is killed next: with clients that keep a list of their own."""

import asyncio
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from contracts.events.event import Data, Event
from deploy.local.kafka import KafkaCluster
from deploy.local.mongodb import MongoStandIn
from deploy.local.ports import free_ports
from deploy.local.scratch import scratch_directory
from services.embedded import EmbeddedHome
from services.ingest.access import TOKENS, Client, Tokens
from services.runtime.brokers import Brokers
from services.runtime.documents import Server
from services.runtime.log.topics import Safety
from tests.failures.seeds import ALWAYS, ROUNDS, Chance
from tests.failures.visitors import Visitors, on_log
from tests.support.region import Region, region_of_its_own, wait_until
from tests.support.requests import Requests
from tests.support.running import Running
from tests.support.servers import FERRETDB_AT_ONCE

RECORDS: Final = Client("records", "ehr", "north")
ENROLLED: Final = 6
KILLS: Final = 10
KILLS_OF_TORTURE: Final = 100


def kills_of(seed: int) -> int:
    """Give how often something is killed: as often as was asked for once, and in all rounds of a torture together."""
    return KILLS if seed == ALWAYS else -(-KILLS_OF_TORTURE // ROUNDS)


class Servers:
    """A region on servers of its own, with two processes of ingest, and what can be killed of it."""

    def __init__(self, region: Region, cluster: KafkaCluster, store: MongoStandIn, chance: Chance) -> None:
        self._region = region
        self._cluster = cluster
        self._store = store
        self._chance = chance
        self._services = region.serve("ingest", "ingest")
        self.doors = [Requests(service.api_port) for service in self._services]
        for service in self._services:
            service.wait_until_ready()

    def kill(self, visitors: Visitors) -> None:
        """Kill something and start it again, while visitors come."""
        match self._chance.one_of(("service", "service", "broker", "store")):
            case "service":
                place = self._chance.one_of(range(len(self._services)))
                self._services[place].kill()
                (self._services[place],) = self._region.serve("ingest")
                self.doors[place] = Requests(self._services[place].api_port)
            case "broker":
                broker = self._chance.one_of(self._cluster.brokers)
                broker.kill()
                visitors.wait_for(5)
                broker.start()
            case _:
                self._store.kill()
                self._store.start()


@pytest.fixture
def region(tmp_path: Path) -> Iterator[tuple[Region, KafkaCluster, MongoStandIn]]:
    with scratch_directory() as scratch:
        cluster, store = KafkaCluster(scratch / "kafka", 3), MongoStandIn(scratch / "mongodb")
        with ThreadPoolExecutor() as together:
            for started in [together.submit(each.start) for each in (cluster, store)]:
                started.result()
        server = Server(store.url, at_once=FERRETDB_AT_ONCE)
        safety = Safety(replication=3, min_insync=2)
        with region_of_its_own(tmp_path, Brokers(cluster.servers), server, safety) as region:
            yield region.provision(), cluster, store


@pytest.mark.in_all_rounds
def test_what_a_region_has_answered_is_on_the_log_whatever_is_killed(
    region: tuple[Region, KafkaCluster, MongoStandIn], seed: int
) -> None:
    # given clients that bring one fact after the other
    chance, (place, *_) = Chance(seed), region
    token = Tokens(place.tokens).make(RECORDS, datetime.now(UTC))
    servers = Servers(*region, chance)
    visitors = Visitors(servers.doors, token, seed)
    visitors.enrol(ENROLLED)
    with visitors.coming():
        # when a service, a broker or the store is killed, again and again, at some moment
        for _ in range(kills_of(seed)):
            visitors.wait_for(chance.one_of(range(1, 60)))
            servers.kill(visitors)
        visitors.wait_for(10)

    # and what was not answered comes again
    visitors.settle()

    # then everything that was answered is on the log, once, and nothing else is
    visitors.require_kept(place.asked(on_log))


@pytest.mark.in_all_rounds
def test_what_one_process_has_answered_is_on_the_log_whenever_it_is_killed(tmp_path: Path, seed: int) -> None:
    # given a clinic in one process, and clients that bring one fact after the other
    chance, data, (port,) = Chance(seed), tmp_path / "live", free_ports(1)
    clinic = Running(data, port, {})
    wait_until(clinic.is_alive, "it is alive")
    visitors = Visitors([Requests(port)], Tokens(data / TOKENS).make(RECORDS, datetime.now(UTC)), seed)
    visitors.enrol(ENROLLED)
    try:
        with visitors.coming():
            # when it is killed, again and again, at some moment: while it works, or while it starts
            for _ in range(kills_of(seed)):
                if chance.one_of((True, True, False)):
                    visitors.wait_for(chance.one_of(range(1, 60)))
                else:
                    wait(chance.moment(0.05, 1.5))
                clinic.end(signal.SIGKILL)
                clinic = Running(data, port, {})
            visitors.wait_for(10)

        # and what was not answered comes again
        visitors.settle()
        assert clinic.end(signal.SIGTERM) == 0
    finally:
        clinic.end(signal.SIGKILL)

    # then everything that was answered is on the log, once, and nothing else is
    visitors.require_kept(asyncio.run(held(data)))


async def held(data: Path) -> Sequence[Event[Data]]:
    async with await EmbeddedHome.open(data) as home:
        return await on_log(home)


def wait(seconds: float) -> None:
    """Wait until some time has gone by: only for a process that starts, which nothing tells about."""
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > seconds, f"{seconds} s gone by")
