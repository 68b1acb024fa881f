"""What every `Outbox` promises. An adapter's tests inherit `OutboxSuite` and give it an empty outbox."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from services.mailer.domain.delivery import Delivery, begun, settled, tried
from services.mailer.outbox.port import Outbox, OutboxDamaged, OutboxUnavailable
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
    def damage(self) -> Callable[[Delivery], Awaitable[None]]:
        """Damages what is kept of a delivery."""
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

        # when one begins a try, and then the other, who does not know of it
        first, second = tried(seen, NOW), tried(seen_by_other, NOW + timedelta(microseconds=1))
        done = [await outbox.change(seen, first), await other.change(seen_by_other, second)]

        # then the first one did. Of two at the very same moment MongoDB lets one: FerretDB can let both
        assert done == [True, False]
        assert list(await other.of(["notice-1"])) == [first, BO]

    async def test_what_has_no_outcome_waits(self, outbox: Outbox) -> None:
        await outbox.begin([ANNA, BO, NOBODY])
        assert await outbox.waiting() == 2
        assert await outbox.change(ANNA, settled(ANNA, "sent", NOW))
        assert await outbox.waiting() == 1

    async def test_what_is_old_is_forgotten(self, outbox: Outbox) -> None:
        old = [replace(ANNA, notice=f"old-{number}", begun=NOW - timedelta(seconds=1)) for number in range(3)]
        await outbox.begin([*old, ANNA, BO])
        assert await outbox.forget(NOW - timedelta(seconds=2)) == 0
        assert await outbox.forget(NOW - timedelta(seconds=1)) == len(old)
        assert await outbox.waiting() == 2

    async def test_the_deliveries_of_a_case_are_forgotten_alone(self, outbox: Outbox) -> None:
        other = replace(ANNA, notice="notice-3", case_id="case-3")
        await outbox.begin([ANNA, BO, NOBODY, other])
        await outbox.forget_case("case-1")
        assert list(await outbox.of(["notice-1", "notice-2", "notice-3"])) == [other]

    async def test_what_cannot_be_read_is_forgotten_alone(
        self, outbox: Outbox, damage: Callable[[Delivery], Awaitable[None]]
    ) -> None:
        # given one of several deliveries that was damaged
        await outbox.begin([ANNA, BO, NOBODY])
        await damage(ANNA)
        with pytest.raises(OutboxDamaged):
            await outbox.of(["notice-1"])

        # when what cannot be read is forgotten of another notice, and of its own, then the others stay
        await outbox.forget_damaged(["notice-2"])
        with pytest.raises(OutboxDamaged):
            await outbox.of(["notice-1", "notice-2"])
        await outbox.forget_damaged(["notice-1"])
        assert list(await outbox.of(["notice-1", "notice-2"])) == [BO, NOBODY]

        # and it can be begun anew
        await outbox.begin([ANNA])
        assert list(await outbox.of(["notice-1"])) == [ANNA, BO]

    async def test_what_is_written_by_another_version_can_be_changed(self, outbox: Outbox) -> None:
        # given a delivery whose body says the same in other words
        await outbox.begin([ANNA])
        assert await outbox.change(replace(ANNA, reason="said otherwise"), tried(ANNA, NOW))
        assert list(await outbox.of(["notice-1"])) == [tried(ANNA, NOW)]

    async def test_an_outbox_that_is_away_says_so_at_every_call(self, outbox: Outbox, away: TakenAway) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: outbox.begin([ANNA]),
            lambda: outbox.of(["notice-1"]),
            lambda: outbox.change(ANNA, tried(ANNA, NOW)),
            outbox.waiting,
            lambda: outbox.forget(NOW),
            lambda: outbox.forget_case("case-1"),
            lambda: outbox.forget_damaged(["notice-1"]),
        ]
        assert await is_told_at_every_call(away, OutboxUnavailable, calls)
