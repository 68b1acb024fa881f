"""A service that must not go on says so and why, and goes on by itself when the cause is gone."""

import asyncio
import http
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from contracts.codec import renumbered, tail
from contracts.topics import CASES, DEFINITIONS, SCORES
from services.distributed import DistributedHome
from services.runtime.directory.mongo import DIRECTORY
from services.runtime.documents import Document, Documents, Server
from services.runtime.keyring.mongo import KEYS, MASTER
from services.runtime.log.port import Record
from services.runtime.log.topics import Cluster
from services.runtime.store.port import Position
from tests.support.command import succeeded
from tests.support.contents import same
from tests.support.region import Process, Region
from tests.support.removed import remove_database

PARTITION = 5
PROVISION = ["provision", "--replication", "1", "--min-insync", "1"]
BACKED_UP = (KEYS, MASTER, DIRECTORY)

Backup = Mapping[str, Sequence[Document]]


def worked(region: Region, folder: Path) -> Region:
    """A region that has read a small clinic, and rests."""
    file = folder / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "5", "--output", file)
    region.provision()
    processes = region.serve()
    region.succeeded("import", file, "--enrol")
    for process in processes:
        process.stop()
    return region


def set_position(region: Region, stage: str, partition: int, **changed: object) -> Position:
    """Change where a stage has come to; give where it was."""

    async def change(home: DistributedHome) -> Position:
        position = await home.store.position(stage, partition)
        assert position is not None
        await home.store.set_position(stage, partition, replace(position, **changed))  # type: ignore[arg-type]
        return position

    return region.asked(change)


def refuses(process: Process, *words: str) -> bool:
    """Tell whether a service that was just started comes to say these words, and is not ready."""
    told = f"it says {' … '.join(words)}"
    process.wait_until(lambda: all(word in " ".join(process.why_not("alive")) for word in words), told, 30)
    assert process.asked("/ready")[0] == http.HTTPStatus.SERVICE_UNAVAILABLE
    return True


def test_a_service_does_not_go_on_with_another_log(region: Region, tmp_path: Path) -> None:
    # given a region whose states come from another log
    worked(region, tmp_path)
    before = set_position(region, "not_detector", PARTITION, log="another")

    # when the service starts
    (process,) = region.serve("not-detector")

    # then it says so, and how that is mended
    assert refuses(
        process, f"partition {PARTITION}", "its states come from another log", "ontrack rebuild not_detector"
    )

    # and when it is as it was, the service goes on
    set_position(region, "not_detector", PARTITION, log=before.log)
    process.wait_until_ready()


def test_a_service_does_not_go_on_when_the_log_is_shorter_than_what_it_has_read(region: Region, tmp_path: Path) -> None:
    # given a region whose service has read more than there is
    worked(region, tmp_path)
    before = set_position(region, "notifier", PARTITION, offset=1_000_000)

    # when the service starts
    (process,) = region.serve("notifier")

    # then it says so, and goes on when that is no longer so
    assert refuses(process, f"partition {PARTITION}", "is shorter than what has been read of it")
    set_position(region, "notifier", PARTITION, offset=before.offset)
    process.wait_until_ready()


def test_a_service_does_not_start_on_another_number_of_partitions(region: Region) -> None:
    # given a region in which a topic has another number of partitions
    cluster = Cluster(region.brokers)
    few = replace(SCORES, partitions=6)
    asyncio.run(cluster.make_topics(region.safety, [few]))

    # when it is provisioned
    refused = region.ontrack("provision", "--single-broker")

    # then that is refused, and says which topic and why
    assert refused.exit_code == 1
    name = region.brokers.topic(SCORES)
    assert f"the topic {name} has 6 partitions, 12 were expected" in refused.told

    # and a service does not start on it
    asyncio.run(cluster.make_topics(region.safety, [CASES, DEFINITIONS]))
    region.master_key.touch(mode=0o600)
    (process,) = region.serve("scoring")
    assert refuses(process, f"the topic {name} has 6 partitions, 12 were expected")


def test_a_gap_stops_the_partition_and_no_other(region: Region, tmp_path: Path) -> None:
    # given a region in which a record stands on a topic that is not the next one of its case
    worked(region, tmp_path)

    async def skip(home: DistributedHome) -> tuple[int, int, int]:
        """Put the last record of a partition there once more, with a number further on; tell where, and after which."""
        ends = [await home.log.end(SCORES, partition) for partition in range(SCORES.partitions)]
        partition, end = max(enumerate(ends), key=lambda each: each[1])
        [last] = await home.log.read(SCORES, partition, end - 1, 1)
        its = tail(last.value)
        assert its is not None
        await home.log.append(SCORES, partition, [Record(last.key, renumbered(last.value, its, its.sequence + 2))])
        return partition, end, its.sequence

    partition, offset, number = region.asked(skip)

    # when the service starts
    (process,) = region.serve("not-detector")

    # then it stops there and says where, and every other partition goes on
    gap = f"has a gap at offset {offset}: sequence {number + 2} of case"
    assert refuses(process, f"partition {partition}", gap, f"follows {number}")
    process.wait_until(lambda: process.partitions() == SCORES.partitions - 1, "the other partitions go on")


def test_cases_whose_states_were_lost_halt_and_nothing_else_does(region: Region, tmp_path: Path) -> None:
    # given a region in which a stage has lost what it knew of cases, and has more to read
    worked(region, tmp_path)

    async def lose(home: DistributedHome) -> set[str]:
        """Lose the states of the cases in one partition, and go back by one record; tell whose that is."""
        ends = [await home.log.end(SCORES, partition) for partition in range(SCORES.partitions)]
        partition, end = max(enumerate(ends), key=lambda each: each[1])
        [last] = await home.log.read(SCORES, partition, end - 1, 1)
        await home.store.remove("not_detector", [last.key])
        await home.store.set_position("not_detector", partition, Position(home.log_id, end - 1))
        return {last.key}

    lost = region.asked(lose)

    # when the service starts, then these cases halt, all partitions go on, and the doctor tells of it
    (process,) = region.serve("not-detector")
    halted = partial(region.asked, _halted)
    process.wait_until(lambda: halted() == dict.fromkeys(lost, "state-missing"), "the cases without a state are halted")
    process.wait_until(lambda: process.partitions() == SCORES.partitions, "every partition goes on")
    assert "1 case cannot go on (1: state-missing)" in region.ontrack("doctor").said.replace("\n         ", " ")

    # and what is made anew is what was there
    process.stop()
    region.succeeded("audit", "replay", "--swap")
    assert halted() == {}
    assert "The history verifies" in region.succeeded("audit", "verify").told


async def _halted(home: DistributedHome) -> dict[str, str]:
    return {each.case_id: each.reason for each in await home.halted()}


def test_a_database_that_has_lost_everything_is_not_gone_on_with(region: Region, tmp_path: Path) -> None:
    # given a region that has read a clinic, and a backup of its keys
    worked(region, tmp_path)
    before = region.contents()

    async def taken(_: DistributedHome) -> Backup:
        """Take a backup, and lose the whole database."""
        async with Documents(region.server) as documents:
            backup = {name: await documents.find_where(name, {}) for name in BACKED_UP}
        await remove_database(region.server)
        return backup

    backup = region.asked(taken)

    # when anybody goes on, or makes it ready again
    # then that is refused, with what helps, and nothing is made: old cases would get new keys
    for command in (["import", tmp_path / "cohort.csv", "--enrol"], ["rebuild", "scoring"], PROVISION):
        refused = region.ontrack(*command)
        assert refused.exit_code == 2
        assert "put its collections keys, directory and master back" in refused.told
    (process,) = region.serve("scoring")
    assert refuses(process, "the database has lost its keys")

    # and when the backup is back and what the stages know is made anew, everything is as it was
    asyncio.run(put_back(region.server, backup))
    process.stop()
    for stage in ("register", "scoring", "not_detector", "notifier"):
        region.succeeded("rebuild", stage)
    assert same(region.contents(), before)


def test_a_region_that_has_worked_is_not_founded_again_elsewhere(region: Region, tmp_path: Path) -> None:
    # given a region that has worked, and a slip in the name of its topics
    worked(region, tmp_path)
    other = replace(region, brokers=replace(region.brokers, prefix=f"{region.brokers.prefix}slip."))

    # when it is provisioned
    refused = other.ontrack("provision", "--single-broker")

    # then that is refused, with what to compare, and no topic is made
    assert refused.exit_code == 2
    assert "compare ONTRACK_KAFKA_SERVERS, ONTRACK_KAFKA_PREFIX" in refused.told
    assert not asyncio.run(Cluster(other.brokers).has(DEFINITIONS))


async def put_back(server: Server, backup: Backup) -> None:
    """Write documents again as they were."""
    async with Documents(server) as documents:
        for name, held in backup.items():
            fields = {each["_id"]: {key: value for key, value in each.items() if key != "_id"} for each in held}
            await documents.put_new(name, fields)
