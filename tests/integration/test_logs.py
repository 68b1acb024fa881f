"""What services log in JSON while they work and while things go wrong: one object a line, and never what patients said.

A number in a log is the place of a record, a port, or how many there are of something.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from contracts.topics import CASES
from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.distributed import DistributedHome
from services.runtime.brokers import Brokers
from services.runtime.documents import Documents
from services.runtime.keyring.mongo import KEYS
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from tests.support.region import Process, Region, region_of_its_own, wait_until
from tests.support.simulated import cohort, simulated, texts

AWAY: Final = 20.0
LINES_WHILE_AWAY: Final = 30
"""At most: some for the way to the brokers, and one or two for each partition; aiokafka alone would say 1,700."""

FIELDS: Final = {
    "listening": {"host", "port"},
    "serving": {"stage", "log"},
    "stopped": set(),
    "trouble": {"where", "why"},
    "trouble-is-gone": {"where"},
    "partition-set-aside": {"partition", "standing", "why"},
    "facts-unreadable": {"partition", "number"},
    "case-halted": {"stage", "case", "partition", "offset", "reason"},
    "case-halts-again": {"stage", "case", "partition", "offset", "reason"},
}
"""Everything that a service logs, and what stands there besides the event, its level and its time."""

Line = dict[str, Any]


@pytest.fixture
def kafka() -> Iterator[KafkaCluster]:
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka")
        cluster.start()
        yield cluster


@pytest.fixture
def region(tmp_path: Path, kafka: KafkaCluster) -> Iterator[Region]:
    with region_of_its_own(tmp_path, Brokers(kafka.servers)) as region:
        yield region


def lines(process: Process) -> list[Line]:
    """Read a log; each line has to be an object in JSON."""
    return [orjson.loads(line) for line in process.log.read_bytes().splitlines()]


def logged(process: Process, event: str) -> list[Line]:
    return [line for line in lines(process) if line["event"] == event]


def spoil(region: Region) -> tuple[str, int]:
    """Lose the key of a case, write a fact of it again, and a record that is none; give the case and its partition."""

    async def spoiled(home: DistributedHome) -> tuple[str, int]:
        (partition, record), *_ = [
            (partition, record)
            for partition in range(CASES.partitions)
            for record in await home.log.read(CASES, partition, 0, 1)
        ]
        async with Documents(region.server) as documents, KafkaLog(region.brokers) as log:
            await documents.remove_where(KEYS, {"_id": record.key})
            await log.append(CASES, partition, [Record(record.key, record.value)])
            await log.append(CASES, partition, [Record("nobody", "\n".join(texts()).encode())])
        return record.key, partition

    return region.asked(spoiled)


def test_a_service_logs_one_object_a_line_and_never_what_patients_said(
    region: Region, kafka: KafkaCluster, tmp_path: Path
) -> None:
    # given services that have taken in what patients said
    facts = simulated(tmp_path / "facts")
    region.succeeded("provision", "--single-broker", "--log", facts)
    services = region.serve_with(ONTRACK_LOG_FORMAT="json", ONTRACK_LOG_LEVEL="debug")
    for service in services:
        service.wait_until_ready()
    region.succeeded("import", facts)

    # when the key of a case is lost, and a record is no fact
    case, partition = spoil(region)
    scoring, *_ = services
    scoring.wait_until(lambda: bool(logged(scoring, "case-halted")), "the halted case is logged")
    scoring.wait_until(lambda: bool(logged(scoring, "facts-unreadable")), "the unreadable fact is logged")

    # then it is said which case is halted, and why
    (halted,) = logged(scoring, "case-halted")
    assert (halted["case"], halted["reason"], halted["partition"]) == (case, "key-missing", partition)

    # when the broker is dead for a while
    before = [len(lines(service)) for service in services]
    began = time.monotonic()
    kafka.kill()
    wait_until(lambda: time.monotonic() - began > AWAY, f"{AWAY} s gone by")
    during = [len(lines(service)) for service in services]
    kafka.start()
    for service in services:
        service.wait_until_ready()

    # then that is told, and does not flood
    for service, lines_before, lines_during in zip(services, before, during, strict=True):
        assert 0 < lines_during - lines_before <= LINES_WHILE_AWAY
        assert any(
            "does not listen" in line["why"] for line in logged(service, "trouble") if line["where"] == "brokers"
        )
        assert any(line["where"] == "brokers" for line in logged(service, "trouble-is-gone"))

    # and nothing stands in any log but what is known to be no answer, comment or name
    for service in services:
        service.stop()
        log = service.log.read_text()
        for line in lines(service):
            extra = line.keys() - {"event", "level", "timestamp"}
            assert extra == ({"logger"} if "logger" in line else FIELDS[line["event"]]), line
        assert [text for text in texts() if orjson.dumps(text).decode().strip('"') in log] == []
        assert [number for each in cohort() if (number := each.number) in log] == []
