"""`ontrack audit` on a region: its history verifies while its services work, and what is done to it is found."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import orjson

from contracts.topics import CASES, TRACKS
from services.distributed import DistributedHome
from services.runtime.documents import Documents
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.store.mongo import POSITIONS, states_of
from tests.auditor.tampering import renamed
from tests.support.command import succeeded
from tests.support.region import Region, wait_until

SOME: Final = 400
LOST: Final = ("register", "scoring", "not_detector", "notifier")
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


async def dropped(region: Region, stages: Sequence[str]) -> None:
    """Take away what stages know, and how far they have come."""
    async with Documents(region.server) as documents:
        for stage in stages:
            await documents.remove_all(states_of(stage))
            await documents.remove_where(POSITIONS, {"stage": stage})


def test_what_stages_have_lost_is_made_anew(region: Region, tmp_path: Path) -> None:
    # given a region with the history of a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "6", "--output", cohort)
    region.provision()
    services = region.serve()
    for process in services:
        process.wait_until_ready()
    region.succeeded("import", cohort, "--enrol")
    wait_until(lambda: region.asked(lambda home: home.left()) == 0, "everything processed")

    # when its services run, nothing is replaced
    ran = region.ontrack("audit", "replay", "--swap")
    assert (ran.exit_code, "stop them first" in ran.told) == (2, True)

    # when they are stopped, what they know is dropped from the database, and made anew
    for process in services:
        process.stop()
    asyncio.run(dropped(region, LOST))
    told = region.succeeded("audit", "replay", "--swap", "--format", "json").out
    assert {row["now"] for row in orjson.loads(told)} == {"replaced"}

    # then all is as if nothing had been lost, and services go on from there
    verified = region.succeeded("audit", "verify").told
    assert "The history verifies" in verified
    for stage in LOST:
        assert f"{stage}: 8 states as derived; digest" in verified
    for process in region.serve():
        process.wait_until_ready()


def test_a_region_says_the_same_as_a_home_that_is_made_of_its_bundle(region: Region, tmp_path: Path) -> None:
    # given a region with the history of a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "7", "--output", cohort)
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    region.succeeded("import", cohort, "--enrol")
    wait_until(lambda: region.asked(lambda home: home.left()) == 0, "everything processed")

    # when a home is made of its bundle, and both are exported
    one, other, keys = tmp_path / "region.zip", tmp_path / "home.zip", tmp_path / "keys"
    told = region.succeeded("audit", "export", "--output", one, "--keys", keys).told
    succeeded("import", one, "--keys", keys, "--data", tmp_path / "home")
    again = succeeded("audit", "export", "--data", tmp_path / "home", "--output", other).told

    # then they say the same, to the byte, and with the same digest
    assert told.partition("digest ")[2].split()[0] == again.partition("digest ")[2].split()[0]
    assert one.read_bytes() == other.read_bytes()
    assert "The history verifies" in succeeded("audit", "verify", "--bundle", one, "--keys", keys).told

    # and a region says so of itself
    assert "Both say the same." in region.succeeded("audit", "diff", "region", tmp_path / "home").told

    # and a policy that is tried says the same of both
    tried = ("policy", "try", "gryesten-2023-window", "--format", "json")
    assert orjson.loads(region.succeeded(*tried).out) == orjson.loads(
        succeeded(*tried, "--data", tmp_path / "home").out
    )


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
