"""A service says within ten seconds what keeps it from going on, and goes on by itself when the cause is gone."""

import asyncio
import http
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES, DEFINITIONS
from deploy.local.kafka import KafkaCluster
from deploy.local.mongodb import MongoStandIn
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.documents import Document, Documents, Server
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.log.topics import Cluster
from services.runtime.process import ENDS_WITHIN
from services.runtime.store.mongo import POSITIONS, states_of
from services.scoring.domain.stage import Scoring
from tests.support.command import succeeded
from tests.support.proxy import Line, Proxy
from tests.support.region import Process, Region, region_of_its_own, wait_until
from tests.support.servers import FERRETDB_AT_ONCE
from tests.support.stoppable import STOP

pytestmark = pytest.mark.xdist_group("health")

WITHIN: Final = 10.0
ASKING: Final = 1.0
"""Seconds that a test takes longer to see it: it asks every 0.05 s, on a machine that has other things to do."""

AT_REST: Final = 12.0
FOREIGN: Final = 99
SUBSCRIBER: Final = b"faststream"
"""How the client of a subscriber calls itself to a broker."""

STOPPABLE: Final = (sys.executable, "-m", "tests.support.stoppable")


@dataclass(frozen=True)
class Watched:
    """A region with one service, on servers of its own behind lines that can stall."""

    region: Region
    service: Process
    kafka: KafkaCluster
    to_kafka: Proxy
    to_store: Proxy

    def change_states(self, schema: int) -> None:
        """Give the states of the cases another shape, as a version that was taken back has left them."""
        self.region.asked(lambda _: shaped(self.region.server, schema))

    def repeat_a_fact_in_each_partition(self) -> None:
        """Let something come that there is to do."""
        asyncio.run(repeated(self.region.brokers))


async def shaped(server: Server, schema: int) -> None:
    async with Documents(server) as documents:
        stored = await documents.find_where(states_of("scoring"), {})
        changed: dict[str, Document] = {each["_id"]: {"schema": schema} for each in stored if "schema" in each}
        await documents.put(states_of("scoring"), changed)


async def repeated(brokers: Brokers) -> None:
    async with KafkaLog(brokers) as log:
        for partition in range(CASES.partitions):
            first = await log.read(CASES, partition, 0, 1)
            await log.append(CASES, partition, [Record(record.key, record.value) for record in first])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A region whose one service has read a small clinic."""
    folder = tmp_path_factory.mktemp("watched")
    with scratch_directory() as scratch:
        kafka, store = KafkaCluster(scratch / "kafka"), MongoStandIn(scratch / "mongodb")
        (broker,) = kafka.brokers
        with (
            Proxy("127.0.0.1", broker.ports.plain) as to_kafka,
            Proxy("127.0.0.1", store.ports.plain) as to_store,
        ):
            broker.advertised_port = to_kafka.port
            kafka.start()
            store.start()
            brokers = Brokers(f"127.0.0.1:{to_kafka.port}")
            server = Server(f"mongodb://127.0.0.1:{to_store.port}/", at_once=FERRETDB_AT_ONCE)
            with region_of_its_own(folder, brokers, server) as region:
                yield Watched(region, served(region, folder), kafka, to_kafka, to_store)


def served(region: Region, folder: Path) -> Process:
    file = folder / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "5", "--output", file)
    region.provision()
    service = region.serve_by(STOPPABLE, "scoring")
    region.succeeded("import", file, "--enrol")
    return service


Act = Callable[[Watched], object]


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong, how that is mended, and what a service says of it."""

    cause: Act
    cure: Act
    says: tuple[str, ...]


def refuse(watched: Watched) -> None:
    watched.change_states(FOREIGN)
    watched.repeat_a_fact_in_each_partition()


def cut_the_subscriber_off(watched: Watched) -> None:
    """Let something come while the connections of the subscriber stall, and of nobody else."""
    watched.to_kafka.set(Line.STALLED, of=SUBSCRIBER)
    watched.repeat_a_fact_in_each_partition()


def nothing(_: Watched) -> None:
    """It mends itself."""


TROUBLES: Final = {
    "the brokers are silent": Trouble(
        lambda on: on.to_kafka.set(Line.STALLED),
        lambda on: on.to_kafka.set(Line.OPEN),
        ("brokers: ", "does not answer: check that it runs, and ONTRACK_KAFKA_SERVERS"),
    ),
    "the brokers hear and do not answer": Trouble(
        lambda on: on.to_kafka.set(Line.MUTE),
        lambda on: on.to_kafka.set(Line.OPEN),
        ("brokers: ", "does not answer: check that it runs, and ONTRACK_KAFKA_SERVERS"),
    ),
    "the brokers are dead": Trouble(
        lambda on: on.kafka.kill(),
        lambda on: on.kafka.start(),
        ("brokers: ", "closes the connection"),
    ),
    "the store is silent": Trouble(
        lambda on: on.to_store.set(Line.STALLED),
        lambda on: on.to_store.set(Line.OPEN),
        ("database: ", "answer"),
    ),
    "the store breaks connections off": Trouble(
        lambda on: on.to_store.set(Line.CUT),
        lambda on: on.to_store.set(Line.OPEN),
        ("database: the database is away: it closes the connection",),
    ),
    "the subscriber has stopped": Trouble(
        lambda on: on.service.send(STOP),
        nothing,
        ("reading: the subscriber has stopped",),
    ),
    "the subscriber gets no answers": Trouble(
        cut_the_subscriber_off,
        lambda on: on.to_kafka.set(Line.OPEN),
        ("reading: events of partitions ", "do not come"),
    ),
    "the stage refuses": Trouble(
        refuse,
        lambda on: on.change_states(Scoring.schema),
        (
            "partition ",
            f"has shape {FOREIGN}, this version knows {Scoring.schema}",
            "To mend it: ontrack rebuild scoring",
        ),
    ),
}


def asked(service: Process) -> tuple[int, int]:
    """Ask a service whether it is alive and whether it is ready."""
    return service.asked("/alive")[0], service.asked("/ready")[0]


def is_well(service: Process) -> bool:
    return asked(service) == (http.HTTPStatus.OK, http.HTTPStatus.OK)


def says(service: Process, words: tuple[str, ...]) -> bool:
    """Tell whether a service is neither alive nor ready, and says these words where it is asked for either."""
    told = [" ".join(service.why_not(what)) for what in ("alive", "ready")]
    is_red = asked(service) == (http.HTTPStatus.SERVICE_UNAVAILABLE, http.HTTPStatus.SERVICE_UNAVAILABLE)
    return is_red and all(word in why for why in told for word in words)


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_what_keeps_a_service_from_going_on_is_told_within_ten_seconds_until_it_is_gone(
    watched: Watched, trouble: Trouble
) -> None:
    # given a service that is well
    service = watched.service
    service.wait_until(lambda: is_well(service), "well")

    # when something goes wrong
    trouble.cause(watched)
    try:
        # then it says so, and why
        service.wait_until(lambda: says(service, trouble.says), f"it says {trouble.says}", WITHIN + ASKING)
    finally:
        trouble.cure(watched)

    # and when that is mended, it is well by itself, and works
    service.wait_until(lambda: is_well(service), "well again", 60)
    assert not service.has_ended
    read = service.events_read()
    watched.repeat_a_fact_in_each_partition()
    service.wait_until(lambda: service.events_read() > read, "it reads again")
    assert is_well(service)


def test_a_service_that_has_nothing_to_do_is_alive_and_ready(watched: Watched) -> None:
    # given a service that has read everything
    service = watched.service
    service.wait_until(lambda: is_well(service), "well")

    # when nothing comes for longer than any trouble takes to be told
    began, found = time.monotonic(), set[tuple[int, int]]()

    def rested() -> bool:
        found.add(asked(service))
        return time.monotonic() - began > AT_REST

    wait_until(rested, f"{AT_REST} s gone by")

    # then it is well all the time
    assert found == {(http.HTTPStatus.OK, http.HTTPStatus.OK)}


@pytest.mark.parametrize("server", ["to_kafka", "to_store"])
def test_a_service_that_is_started_while_a_server_is_silent_says_so_and_starts_when_it_answers(
    watched: Watched, server: str
) -> None:
    # given a server that is silent
    line: Proxy = getattr(watched, server)
    line.set(Line.STALLED)
    try:
        # when a service is started
        (service,) = watched.region.serve("notifier")
        service.wait_until(lambda: service.asked("/alive")[0] != 0, "it answers")

        # then it says so
        service.wait_until(lambda: says(service, ("start: ", "answer")), "it says so", WITHIN + ASKING)
    finally:
        line.set(Line.OPEN)

    # and it works when the server answers
    service.wait_until(lambda: is_well(service), "well", 60)
    service.stop()


def test_a_service_that_is_told_to_end_does_so_in_time_although_no_server_answers_any_more(watched: Watched) -> None:
    # given a service that has time for the store, in the midst of a batch
    (service,) = watched.region.serve_with("scoring", ONTRACK_MONGODB_TIMEOUT="300")
    service.wait_until_ready()
    watched.to_store.stall_at(POSITIONS.encode())
    watched.repeat_a_fact_in_each_partition()
    service.wait_until(lambda: watched.to_store.has_stalled, "a batch is in hand")
    watched.to_kafka.set(Line.STALLED)

    # when it is told to end
    began = time.monotonic()
    try:
        code = service.stop()
    finally:
        watched.to_kafka.set(Line.OPEN)
        watched.to_store.set(Line.OPEN)

    # then it does so before anybody kills it, and in order
    assert time.monotonic() - began < ENDS_WITHIN + 4 * ASKING
    assert code == 0, service.log.read_text()


def test_a_service_is_ready_only_when_it_knows_the_definitions(region: Region) -> None:
    # given a region whose log has not said anything yet
    asyncio.run(Cluster(region.brokers).make_topics(region.safety))

    # when a service is started
    (service,) = region.serve("scoring")

    # then it says what is missing, and is ready when it is there
    never_founded = ("start: the log was never founded; `ontrack provision` does that",)
    service.wait_until(lambda: says(service, never_founded), "it says so")
    region.provision()
    service.wait_until(lambda: is_well(service), "well", 60)

    # and when something stands there that is none, it says so
    region.asked(lambda home: home.log.append(DEFINITIONS, 0, [Record("log", b"none")]))
    unreadable = ("definitions: rom.definitions.v1 cannot be read at offset",)
    service.wait_until(lambda: says(service, unreadable), "it says so", WITHIN + ASKING)
