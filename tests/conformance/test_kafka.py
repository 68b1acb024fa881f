"""The log on Kafka keeps what the port promises."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from contracts.topics import CASES, SCORES, TRACKS
from deploy.local.kafka import KafkaCluster
from deploy.local.scratch import scratch_directory
from services.runtime.brokers import Brokers
from services.runtime.log.kafka import KafkaLog
from services.runtime.log.port import Journal, Log, LogUnavailable
from tests.conformance.away import TakenAway
from tests.conformance.log import LogAwaySuite, LogSuite, as_stored, records
from tests.support.proxy import Line, Proxy
from tests.support.servers import kafka, topics_of_its_own

PATIENCE = 4.0
WITHIN = 40.0
"""Seconds within which a log has gone on: twice as long as the library waits for a broker, and for its metadata."""


@pytest.fixture(scope="module")
def line() -> Iterator[Proxy]:
    """The only way to a broker: it tells its clients to come there."""
    with behind_a_line() as (_, line):
        yield line


@contextmanager
def behind_a_line() -> Iterator[tuple[KafkaCluster, Proxy]]:
    """Start a broker that tells its clients to come by a line."""
    with scratch_directory() as folder:
        cluster = KafkaCluster(folder / "kafka")
        (broker,) = cluster.brokers
        with Proxy("127.0.0.1", broker.ports.plain) as line:
            broker.advertised_port = line.port
            cluster.start()
            yield cluster, line


@pytest.fixture
async def brokers() -> AsyncIterator[Brokers]:
    async with topics_of_its_own(kafka(), [CASES, SCORES, TRACKS]) as brokers:
        yield brokers


class TestLog(LogSuite):
    @pytest.fixture
    async def log(self, brokers: Brokers) -> AsyncIterator[Journal]:
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


@pytest.mark.xdist_group("log away")
class TestLogAway(LogAwaySuite):
    """On a broker that can be taken away: what becomes of a record that is under way then."""

    @pytest.fixture
    async def log(self, line: Proxy) -> AsyncIterator[Journal]:
        async with (
            topics_of_its_own(Brokers(f"127.0.0.1:{line.port}"), [CASES, SCORES, TRACKS]) as brokers,
            KafkaLog(brokers, patience=PATIENCE) as log,
        ):
            yield log

    @pytest.fixture(params=[Line.CUT, Line.STALLED])
    def away(self, line: Proxy, request: pytest.FixtureRequest) -> TakenAway:
        """Breaks the line off, or lets it stall."""

        @contextmanager
        def taken_away() -> Iterator[None]:
            line.set(request.param)
            yield
            line.set(Line.OPEN)

        return taken_away

    async def test_a_record_whose_acknowledgement_is_late_stands_there_once(self, log: Log, line: Proxy) -> None:
        # given a line on which answers are held up
        await log.append(SCORES, 3, records("a"))
        line.set(Line.MUTE)

        # when a record is appended, and again, because it is not known whether it is there
        for _ in range(2):
            with pytest.raises(LogUnavailable, match="no acknowledgement"):
                await log.append(SCORES, 3, records("b"))
        line.set(Line.OPEN)
        await log.append(SCORES, 3, records("b"))
        await log.append(SCORES, 3, records("c"))

        # then it stands there once
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b", "c"))

    async def test_records_that_others_keep_from_being_sent_are_not_sent_later(self, log: Log, line: Proxy) -> None:
        # given records whose acknowledgement is held up
        await log.append(SCORES, 3, records("a"))
        line.set(Line.MUTE)
        with pytest.raises(LogUnavailable, match="no acknowledgement"):
            await log.append(SCORES, 3, records("b"))

        # when others are appended behind them, which somebody is told of in vain
        for name in "cde":
            with pytest.raises(LogUnavailable, match="no acknowledgement"):
                await log.append(SCORES, 3, records(name))
        line.set(Line.OPEN)

        # then they do not stand there: who comes again may bring something else
        await log.append(SCORES, 3, records("b"))
        await log.append(SCORES, 3, records("f"))
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b", "f"))


@pytest.mark.xdist_group("log away")
async def test_what_is_written_beside_a_failure_is_taken_when_the_broker_is_back(line: Proxy) -> None:
    async with topics_of_its_own(Brokers(f"127.0.0.1:{line.port}"), [SCORES, TRACKS]) as brokers:
        # given a broker that has given out numbers of producers: from then on a new one knows no topic at first
        async with KafkaLog(brokers) as before:
            await before.append(SCORES, 3, records("a"))
        async with KafkaLog(brokers, patience=PATIENCE) as log:
            await log.append(SCORES, 3, records("b"))

            # when the line stalls, and one partition of another topic fails while a second one still waits to be sent
            line.set(Line.STALLED)
            for partition in (0, 1):
                with pytest.raises(LogUnavailable):
                    await log.append(TRACKS, partition, records("c"))
            await _until(partial(log.append, TRACKS, 0, records("c")), raises="do not do what they are asked")
            line.set(Line.OPEN)

            # then both are taken
            for partition in (0, 1):
                await _until(partial(log.append, TRACKS, partition, records("c")))
                assert await log.read(TRACKS, partition, 0, 100) == as_stored(records("c"))


@pytest.mark.xdist_group("log away")
async def test_a_log_finds_its_brokers_again_when_all_of_them_have_gone_elsewhere() -> None:
    with behind_a_line() as (cluster, line):
        (broker,) = cluster.brokers
        brokers = Brokers(cluster.servers)
        async with (
            topics_of_its_own(brokers, [SCORES]) as own,
            KafkaLog(own, patience=PATIENCE) as log,
            KafkaLog(own, patience=PATIENCE) as other,
        ):
            # given a log that has written, and whose brokers are not where they were any more
            await log.append(SCORES, 3, records("a"))
            line.set(Line.CUT)

            # when it writes, and another one that has not yet
            for each, partition in ((log, 3), (other, 4)):
                with pytest.raises(LogUnavailable):
                    await each.append(SCORES, partition, records("b"))

            # and the brokers let themselves be found elsewhere
            cluster.stop()
            broker.advertised_port = broker.ports.plain
            cluster.start()

            # then both go on by themselves, and who cannot write yet can read
            assert await other.end(SCORES, 3) == 1
            for each, partition in ((log, 3), (other, 4)):
                await _until(partial(each.append, SCORES, partition, records("b")))
            assert await log.read(SCORES, 3, 0, 100) == as_stored(records("a", "b"))
            assert await other.read(SCORES, 4, 0, 100) == as_stored(records("b"))


async def _until(attempt: Callable[[], Awaitable[None]], raises: str | None = None) -> None:
    """Try again until it succeeds, or raises such words."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                await attempt()
            except LogUnavailable as unavailable:
                if raises is not None and raises in str(unavailable):
                    return
            else:
                assert raises is None
                return


async def test_a_reader_that_has_died_by_itself_gives_way_to_another(brokers: Brokers) -> None:
    async with KafkaLog(brokers, patience=PATIENCE) as log:
        # given a log that was read, and whose reader will never know its brokers again
        await log.append(CASES, 0, records("a"))
        await log.read(CASES, 0, 0, 1)
        client = log._consumers[CASES.name]._client  # noqa: SLF001 - a task of the library has failed
        client._sync_task.cancel()  # noqa: SLF001 - nothing else makes it fail at will
        client.force_metadata_update()

        # when somebody asks for an end, then they are told that it is away
        with pytest.raises(LogUnavailable):
            await log.end(CASES, 0)

        # and the next is answered
        assert await log.end(CASES, 0) == 1
        assert await log.read(CASES, 0, 0, 1) == as_stored(records("a"))
