"""What was brought together goes to the brokers in one batch, so that it is there whole or not at all."""

from itertools import chain
from random import Random
from typing import Final

from aiokafka import AIOKafkaProducer

from services.runtime.log.kafka import BATCH_BYTES, packed
from services.runtime.log.port import GROUP_BYTES, Record

MANY: Final = 500


def groups_of(chance: Random) -> list[list[Record]]:
    """Groups of records of all sizes, each as large as one can be, or smaller."""
    groups: list[list[Record]] = []
    for number in range(40):
        group: list[Record] = []
        room = chance.choice((1_000, 20_000, GROUP_BYTES))
        while len(group) < MANY:
            record = Record(f"case-{number}", bytes(chance.choice((0, 300, 20_000))))
            room -= record.size
            if room < 0:
                break
            group.append(record)
        groups.append(group)
    return groups


async def test_a_group_is_in_one_batch_of_the_brokers() -> None:
    producer = AIOKafkaProducer(max_batch_size=BATCH_BYTES)
    groups = groups_of(Random(1))
    packs = list(packed(groups))

    # then all are there in their order, none is in two packs, and a pack fits into a batch
    assert list(chain.from_iterable(packs)) == [(each.key, each.value) for each in chain.from_iterable(groups)]
    places = [{place for place, pack in enumerate(packs) if f"case-{n}" in dict(pack)} for n in range(len(groups))]
    assert all(len(found) <= 1 for found in places)
    assert 1 < len(packs) < len(groups)
    await producer.stop()
    for pack in packs:
        batch = producer.create_batch()
        assert all(batch.append(key=key.encode(), value=value, timestamp=None) for key, value in pack)
