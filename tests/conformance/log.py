"""What every `Log` promises. An adapter's tests inherit `LogSuite` and give it an empty log."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from contracts.codec import encode
from contracts.events.event import Data, Event
from contracts.events.facts import SessionAttended
from contracts.topics import CASES, SCORES, TRACKS
from services.runtime.log.port import Journal, Log, LogUnavailable, Record, StoredRecord
from tests.conformance.away import TakenAway, is_told_at_every_call

EVERY_BYTE = bytes(range(256))


def records(*names: str) -> list[Record]:
    """A few records of one case each."""
    return [Record(name, f"what {name} says".encode()) for name in names]


def as_stored(given: list[Record], start: int = 0) -> list[StoredRecord]:
    """Those records where they stand."""
    return [StoredRecord(offset, record.key, record.value) for offset, record in enumerate(given, start)]


def an_event() -> Event[Data]:
    moment = datetime(2024, 3, 4, 9, tzinfo=UTC)
    data = SessionAttended(session=1)
    event_id = "11111111-2222-3333-4444-555555555555"
    return Event(event_id, "urn:ontrack:ingest", "a", moment, moment, event_id, None, data, sequence=1)


class LogSuite:
    """Behaviour that no adapter may change."""

    @pytest.fixture
    def log(self) -> Journal:
        """An empty log."""
        raise NotImplementedError

    @pytest.fixture
    def connected(self) -> Callable[[], Awaitable[Log]]:
        """Another connection to the same log."""
        raise NotImplementedError

    async def test_a_new_partition_is_empty(self, log: Log) -> None:
        # given an empty log
        # when a partition is read from its start, and its end is asked for
        # then there is nothing, and the first record will have offset 0
        assert list(await log.read(SCORES, 3, 0, 100)) == []
        assert await log.end(SCORES, 3) == 0

    async def test_records_are_read_as_they_were_appended(self, log: Log) -> None:
        # given records with every kind of content
        given = [Record("a", EVERY_BYTE), Record("æ/1", b""), Record("a", b"{}"), Record("a", EVERY_BYTE * 400)]

        # when they are appended and read
        await log.append(SCORES, 3, given)

        # then they are there, byte for byte, in order, from offset 0
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(given)

    async def test_offsets_go_on_without_a_gap(self, log: Log) -> None:
        # given several appends
        given = records("a", "b", "c", "d", "e", "f")
        for start, end in ((0, 1), (1, 4), (4, 6)):
            # when each is done
            await log.append(SCORES, 3, given[start:end])

            # then the end is the offset that comes next
            assert await log.end(SCORES, 3) == end

        # and all stand one after the other
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(given)

    async def test_appending_nothing_changes_nothing(self, log: Log) -> None:
        # given a partition with a record, and one without
        await log.append(SCORES, 3, records("a"))

        # when nothing is appended to either
        await log.append(SCORES, 3, [])
        await log.append(SCORES, 4, [])

        # then they are as they were
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(records("a"))
        assert [await log.end(SCORES, 3), await log.end(SCORES, 4)] == [1, 0]

    async def test_reading_gives_as_many_as_asked_for_and_fewer_only_at_the_end(self, log: Log) -> None:
        # given seven records
        given = records(*"abcdefg")
        await log.append(SCORES, 3, given)
        for offset in range(9):
            for limit in (1, 2, 3, 7, 8, 100):
                # when some are read from anywhere
                read = await log.read(SCORES, 3, offset, limit)

                # then they are those from there on, up to the limit
                assert list(read) == as_stored(given)[offset : offset + limit]

    async def test_reading_past_the_end_gives_nothing_until_there_is_something(self, log: Log) -> None:
        # given a reader that has read everything
        await log.append(SCORES, 3, records("a", "b"))
        assert list(await log.read(SCORES, 3, 2, 10)) == []

        # when another record comes
        await log.append(SCORES, 3, records("c"))

        # then it is what the reader gets
        assert list(await log.read(SCORES, 3, 2, 10)) == as_stored(records("c"), start=2)

    async def test_partitions_are_independent(self, log: Log) -> None:
        # given records in two partitions of a topic, in turn
        for name in "abc":
            await log.append(SCORES, 3, records(name))
            await log.append(SCORES, 11, records(f"{name}1", f"{name}2"))

        # when each is read
        # then it has its own records and its own offsets
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b", "c"))
        assert list(await log.read(SCORES, 11, 0, 100)) == as_stored(records("a1", "a2", "b1", "b2", "c1", "c2"))
        assert [await log.end(SCORES, partition) for partition in (3, 4, 11)] == [3, 0, 6]

    async def test_several_partitions_are_read_at_once_each_from_its_own_place(self, log: Journal) -> None:
        # given three partitions, of which one has more than the others
        given = {3: records(*"abc"), 7: records(*map(str, range(3_000))), 11: records("x", "y")}
        for partition, some in given.items():
            await log.append(SCORES, partition, some)

        # when some of each are read, from here and there, and others after them
        for spans in (
            {3: range(1, 3), 7: range(3_000)},
            {3: range(3), 11: range(1, 2)},
            {11: range(2), 7: range(17, 2_500), 3: range(2, 3)},
            {7: range(2_500, 2_501)},
        ):
            read = await log.read_each(SCORES, spans)

            # then they are those
            assert {partition: list(some) for partition, some in read.items()} == {
                partition: as_stored(given[partition])[span.start : span.stop] for partition, span in spans.items()
            }

        # and what comes after the end is read when it is there
        await log.append(SCORES, 3, records("d"))
        assert list((await log.read_each(SCORES, {3: range(3, 4)}))[3]) == as_stored(records("d"), start=3)

    async def test_topics_are_independent(self, log: Log) -> None:
        # given records in the same partition of two topics
        await log.append(SCORES, 3, records("a", "b"))
        await log.append(TRACKS, 3, records("c"))

        # when each is read
        # then it has its own records and its own offsets
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b"))
        assert list(await log.read(TRACKS, 3, 0, 100)) == as_stored(records("c"))
        assert await log.end(CASES, 3) == 0

    async def test_the_same_record_twice_is_two_records(self, log: Log) -> None:
        # given a record
        (record,) = records("a")

        # when it is appended twice
        await log.append(SCORES, 3, [record])
        await log.append(SCORES, 3, [record])

        # then it stands there twice
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored([record, record])

    async def test_many_records_are_appended_and_read_at_once(self, log: Log) -> None:
        # given more records than one batch has
        given = [Record(f"{number % 70}", f"{number} ".encode() * 100) for number in range(3_000)]

        # when they are appended at once
        await log.append(SCORES, 3, given)

        # then they are read at once, and in parts
        assert list(await log.read(SCORES, 3, 0, 10_000)) == as_stored(given)
        assert list(await log.read(SCORES, 3, 1_900, 1_000)) == as_stored(given)[1_900:2_900]

    async def test_reading_after_every_append_gives_everything_from_anywhere(self, log: Log) -> None:
        # given records that come in several appends
        given = records(*"abcdefghij")
        for start, end in ((0, 3), (3, 4), (4, 9), (9, 10)):
            await log.append(SCORES, 3, given[start:end])
            for offset in range(end + 1):
                for limit in (1, 2, 4, 100):
                    # when some are read from anywhere, those that came last or those before
                    read = await log.read(SCORES, 3, offset, limit)

                    # then they are those from there on, up to the limit
                    assert list(read) == as_stored(given[:end])[offset : offset + limit]

    async def test_an_event_that_is_handed_on_is_the_one_that_came_with_the_record(self, log: Log) -> None:
        # given a record with the event that its bytes say at hand, and one without
        event = an_event()
        await log.append(SCORES, 3, [Record("a", encode(event), event), Record("a", encode(event))])

        # when they are read
        with_it, without_it = await log.read(SCORES, 3, 0, 100)

        # then the event is handed on or not, and no other one is
        assert with_it.event in (None, event)
        assert without_it.event is None
        assert with_it.value == without_it.value == encode(event)

    async def test_reading_changes_nothing(self, log: Log) -> None:
        # given some records
        await log.append(SCORES, 3, records("a", "b"))

        # when they are read twice
        # then they are the same
        assert list(await log.read(SCORES, 3, 0, 100)) == list(await log.read(SCORES, 3, 0, 100))

    async def test_what_was_appended_is_durable(self, log: Log, connected: Callable[[], Awaitable[Log]]) -> None:
        # given records that were appended
        await log.append(SCORES, 3, records("a", "b"))

        # when somebody else reads them
        other = await connected()

        # then they are there, and what comes later too
        assert list(await other.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b"))
        await log.append(SCORES, 3, records("c"))
        assert list(await other.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b", "c"))

    async def test_two_connections_append_to_one_order(self, log: Log, connected: Callable[[], Awaitable[Log]]) -> None:
        # given two connections
        other = await connected()

        # when both append, in turn
        given = records("a", "b", "c", "d", "e")
        for who, start, end in ((log, 0, 1), (other, 1, 3), (log, 3, 4), (other, 4, 5)):
            await who.append(SCORES, 3, given[start:end])

            # then both see one order, from anywhere to its end
            for reader in (log, other):
                assert await reader.end(SCORES, 3) == end
                for offset in range(end + 1):
                    assert list(await reader.read(SCORES, 3, offset, 100)) == as_stored(given[:end])[offset:]


class LogAwaySuite:
    """What a log does while what is behind it is away: behaviour that no adapter may change."""

    @pytest.fixture
    def log(self) -> Journal:
        """An empty log."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TakenAway:
        """Takes away what is behind the log for a while."""
        raise NotImplementedError

    async def test_a_log_that_is_away_says_so_at_every_call(self, log: Journal, away: TakenAway) -> None:
        # given a log with a record that was just appended and one that was not
        await log.append(SCORES, 3, records("a"))
        await log.append(SCORES, 3, records("b"))

        # when it is away for a while, and everything is tried
        # then each call says so, and can be made again when it is back
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: log.append(SCORES, 3, records("c")),
            lambda: log.read(SCORES, 3, 0, 100),
            lambda: log.read(SCORES, 3, 1, 100),
            lambda: log.end(SCORES, 3),
            lambda: log.read_each(SCORES, {3: range(1, 2)}),
        ]
        assert await is_told_at_every_call(away, LogUnavailable, calls)
        assert list(await log.read(SCORES, 3, 0, 100)) == as_stored(records("a", "b", "c"))
