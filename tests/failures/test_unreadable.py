"""Records on the topic of facts that nobody can read."""

import orjson

from contracts.topics import CASES
from services.distributed import DistributedHome
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Record
from services.runtime.runner import DEAD_LETTERS_AT_MOST
from services.runtime.subscription import MAX_RECORDS
from tests.failures.storm import Storm
from tests.support.region import Region


def put(region: Region, partition: int, records: list[Record]) -> None:
    """Write records past the intake, as somebody does who may write the topic and does not know how."""

    async def written(_: DistributedHome) -> None:
        async with KafkaLog(region.brokers) as log:
            await log.append(CASES, partition, records)

    region.asked(written)


def test_a_full_batch_of_unreadable_records_stops_its_partition_and_loses_nothing(weather: Storm) -> None:
    # given a region at work
    region = weather.region
    services = {process.name: process for process in region.serve()}
    weather.begin()
    weather.wait_for(weather.chance.moment())
    partition = weather.chance.one_of(range(CASES.partitions))

    # when somebody writes more unreadable records than a stage reads at a time
    put(
        region,
        partition,
        [Record(f"nobody-{number}", b"not a fact %d" % number) for number in range(MAX_RECORDS + 100)],
    )

    # then scoring stops there and says why, and nowhere else
    why = services["scoring"].wait_until_not_alive(60)
    assert len(why) == 1
    assert f"partition {partition}: " in why[0]
    assert f"more than the {DEAD_LETTERS_AT_MOST} that are put aside without asking" in why[0]
    assert "not a fact" not in services["scoring"].log.read_text()

    # and when it is started with a higher limit, everything is as if they were not there
    services["scoring"].stop()
    region.serve_with("scoring", ONTRACK_DEAD_LETTERS_AT_MOST="10000")
    weather.ends_well()

    # and each of them is put aside
    letters = orjson.loads(region.succeeded("dlq", "list", "--format", "json").out)
    assert len(letters) == MAX_RECORDS + 100
    assert {letter["reason"] for letter in letters} == {"not-an-event"}
