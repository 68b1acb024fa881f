"""The log on Kafka keeps what the port promises."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from contracts.topics import CASES, SCORES, TRACKS
from services.runtime.brokers import Brokers
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Log
from tests.conformance.away import TakenAway
from tests.conformance.log import LogSuite
from tests.support.servers import kafka, topics_of_its_own


@pytest.fixture
async def brokers() -> AsyncIterator[Brokers]:
    async with topics_of_its_own(kafka(), [CASES, SCORES, TRACKS]) as brokers:
        yield brokers


class TestLog(LogSuite):
    @pytest.fixture
    async def log(self, brokers: Brokers) -> AsyncIterator[Log]:
        async with KafkaLog(brokers) as log:
            yield log

    @pytest.fixture
    async def connected(self, brokers: Brokers) -> AsyncIterator[Callable[[], Awaitable[Log]]]:
        opened: list[KafkaLog] = []

        async def connect() -> Log:
            opened.append(KafkaLog(brokers))
            return opened[-1]

        yield connect
        for each in opened:
            await each.close()

    @pytest.fixture
    def away(self) -> TakenAway:
        raise NotImplementedError
