"""What every `Outbox` promises. An adapter's tests inherit `OutboxSuite` and give it an empty outbox."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from services.mailer.domain.delivery import begun, settled, tried
from services.mailer.outbox.port import Outbox, OutboxUnavailable
from tests.conformance.away import TakenAway, is_told_at_every_call

NOW: Final = datetime(2026, 1, 5, 9, 0, 0, 123_456, tzinfo=UTC)
ANNA, BO = begun("case-1", "notice-1", ["bo", "anna"], NOW)
NOBODY: Final = settled(replace(ANNA, notice="notice-2", recipient=None, recipients=()), "failed", NOW, "nobody")


class OutboxSuite:
    """Behaviour that no adapter may change."""

    @pytest.fixture
    def outbox(self) -> Outbox:
        """An empty outbox."""
        raise NotImplementedError

    @pytest.fixture
    def connected(self) -> Callable[[], Awaitable[Outbox]]:
        """Another connection to the same outbox."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TakenAway:
        """Takes away what is behind the outbox for a while."""
        raise NotImplementedError

    async def test_deliveries_are_given_as_they_were_begun_also_to_others(
        self, outbox: Outbox, connected: Callable[[], Awaitable[Outbox]]
    ) -> None:
        await outbox.begin([BO, ANNA, NOBODY])
        for each in (outbox, await connected()):
            assert list(await each.of(["notice-1"])) == [ANNA, BO]
            assert list(await each.of(["notice-2", "notice-1", "notice-3"])) == [ANNA, BO, NOBODY]
            assert list(await each.of([])) == []

    async def test_one_that_is_there_is_not_begun_again(self, outbox: Outbox) -> None:
        await outbox.begin([ANNA])
        await outbox.begin([replace(ANNA, recipients=("carl",)), BO])
        assert list(await outbox.of(["notice-1"])) == [ANNA, BO]

    async def test_one_is_changed_only_as_it_was_known(
        self, outbox: Outbox, connected: Callable[[], Awaitable[Outbox]]
    ) -> None:
        # given a delivery that two look at
        await outbox.begin([ANNA, BO])
        (seen, _), other = await outbox.of(["notice-1"]), await connected()
        (seen_by_other, _) = await other.of(["notice-1"])

        # when both begin a try at the same moment
        first, second = tried(seen, NOW), tried(seen_by_other, NOW + timedelta(microseconds=1))
        done = await asyncio.gather(outbox.change(seen, first), other.change(seen_by_other, second))

        # then one of them did
        assert sorted(done) == [False, True]
        assert list(await other.of(["notice-1"])) == [first if done[0] else second, BO]

    async def test_what_has_no_outcome_waits(self, outbox: Outbox) -> None:
        await outbox.begin([ANNA, BO, NOBODY])
        assert list(await outbox.waiting()) == [ANNA, BO]
        assert await outbox.change(ANNA, settled(ANNA, "sent", NOW))
        assert list(await outbox.waiting()) == [BO]

    async def test_what_is_old_is_forgotten(self, outbox: Outbox) -> None:
        old = [replace(ANNA, notice=f"old-{number}", begun=NOW - timedelta(seconds=1)) for number in range(3)]
        await outbox.begin([*old, ANNA, BO])
        assert await outbox.forget(NOW - timedelta(seconds=2)) == 0
        assert await outbox.forget(NOW - timedelta(seconds=1)) == len(old)
        assert list(await outbox.waiting()) == [ANNA, BO]

    async def test_an_outbox_that_is_away_says_so_at_every_call(self, outbox: Outbox, away: TakenAway) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: outbox.begin([ANNA]),
            lambda: outbox.of(["notice-1"]),
            lambda: outbox.change(ANNA, tried(ANNA, NOW)),
            outbox.waiting,
            lambda: outbox.forget(NOW),
        ]
        assert await is_told_at_every_call(away, OutboxUnavailable, calls)
