"""`ontrack audit` on a region: its history verifies while its services work, and what is done to it is found."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import orjson

from contracts.topics import CASES, TRACKS
from services.distributed import DistributedHome
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from tests.auditor.tampering import renamed
from tests.support.command import succeeded
from tests.support.region import Region, wait_until

SOME: Final = 400
PARTITIONS: Final = range(CASES.partitions)


async def recorded(home: DistributedHome) -> int:
    return sum((await home.log.ends(CASES, PARTITIONS)).values())


async def last(home: DistributedHome) -> tuple[int, Record]:
    """The last record of a partition of the tracks, and its number."""
    ends = await home.log.ends(TRACKS, PARTITIONS)
    partition = next(partition for partition in PARTITIONS if ends[partition])
    (record,) = await home.log.read(TRACKS, partition, ends[partition] - 1, 1)
    return partition, Record(record.key, record.value)


async def appended(region: Region, partition: int, record: Record) -> None:
    async with KafkaLog(region.brokers) as log:
        await log.append(TRACKS, partition, [record])


def test_the_history_of_a_region_verifies_while_its_services_work(region: Region, tmp_path: Path) -> None:
    # given a region whose services work on the history of a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "3", "--seed", "5", "--output", cohort)
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    with ThreadPoolExecutor() as beside:
        importing = beside.submit(region.succeeded, "import", cohort, "--enrol")
        wait_until(lambda: region.asked(recorded) >= SOME, "facts that are recorded")

        # when it is verified meanwhile, and when everything was worked on
        meanwhile = region.succeeded("audit", "verify").told
        importing.result()
    wait_until(lambda: region.asked(lambda home: home.left()) == 0, "everything processed")
    told = region.succeeded("audit", "verify").told

    # then nothing is found, and in the end every state is as derived
    assert "The history verifies" in meanwhile
    for stage in ("register", "scoring", "not_detector", "notifier"):
        assert f"{stage}: 24 states as derived; digest" in told

    # and an event that somebody has put there is found, where it is
    partition, record = region.asked(last)
    sequence = int(orjson.loads(record.value)["sequence"])
    asyncio.run(appended(region, partition, Record(record.key, renamed(record.value, sequence=str(sequence + 1)))))
    ran = region.ontrack("audit", "verify", "--format", "json")
    first, *_ = orjson.loads(ran.out)
    assert (ran.exit_code, first["finding"], first["topic"]) == (1, "underivable", TRACKS.name)
    assert (first["partition"], first["case"]) == (partition, record.key)
