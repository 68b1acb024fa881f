"""A bare hop as a process of its own: what is read from one topic is written to the next, and nothing else is done."""

import asyncio
import sys
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.runtime.brokers import Brokers

MAX_RECORDS = 2_000


async def hop(brokers: Brokers, source: str, target: str) -> None:
    """Hop until the process is ended; say on standard output when it has begun."""
    consumer = AIOKafkaConsumer(source, **brokers.arguments(), group_id=source, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(**brokers.arguments(), acks="all", enable_idempotence=True)
    await consumer.start()
    await producer.start()
    await consumer.getmany(timeout_ms=0)
    print("begun", flush=True)
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=5, max_records=MAX_RECORDS)
            for place, records in fetched.items():
                sent = [
                    await producer.send(target, record.value, key=record.key, partition=place.partition)
                    for record in records
                ]
                await asyncio.gather(*sent)
                await consumer.commit({place: records[-1].offset + 1})
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    servers, *topics = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(hop(Brokers(servers), *topics))
