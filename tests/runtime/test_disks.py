"""What is made of a broker whose Kafka is too old to tell how full its disk is."""

import asyncio
import struct
from collections.abc import Sequence
from typing import Final

import pytest
from aiokafka.protocol.admin import ApiVersionResponse_v0

from services.runtime.brokers import Brokers
from services.runtime.log.disks import BrokerDisk, disk_of
from services.runtime.log.port import LogUnavailable

VERSIONS: Final = 18
DISKS: Final = 35


def asked_of_a_broker_that_knows(versions: Sequence[tuple[int, int, int]]) -> BrokerDisk:
    """Ask a broker that says which requests it knows, and closes the connection when it is asked anything else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while header := await reader.read(4):
            request = await reader.readexactly(struct.unpack(">i", header)[0])
            kind, _, number = struct.unpack(">hhi", request[:8])
            if kind != VERSIONS:
                break
            reply = struct.pack(">i", number) + ApiVersionResponse_v0(0, list(versions)).encode()
            writer.write(struct.pack(">i", len(reply)) + reply)
        writer.close()
        await writer.wait_closed()
        is_over.set()

    async def ask() -> BrokerDisk:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                return await disk_of(Brokers(place), place)
            finally:
                await is_over.wait()

    is_over = asyncio.Event()
    return asyncio.run(ask())


def test_a_kafka_older_than_3_3_is_told() -> None:
    assert asked_of_a_broker_that_knows([(VERSIONS, 0, 3), (DISKS, 0, 3)]) == BrokerDisk(is_too_old=True)


def test_a_broker_that_breaks_off_is_told_without_its_words() -> None:
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:\d+ does not say how full its disk is \(KafkaConn"):
        asked_of_a_broker_that_knows([(VERSIONS, 0, 3), (DISKS, 1, 5)])
