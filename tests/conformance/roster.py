"""What every `Roster` promises. An adapter's tests inherit `RosterSuite` and give it an empty roster."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from services.runtime.roster.port import Clinic, Group, Roster, RosterUnavailable, Therapist
from tests.conformance.away import TakenAway, is_told_at_every_call

NORTH = Clinic(clinic="north", id="north", zone="Europe/Copenhagen", language="da")
MONDAYS = Group(
    clinic="north",
    id="mondays",
    sessions={"1": datetime(2026, 1, 5, 9, tzinfo=UTC), "individual-1": datetime(2025, 12, 1, 9, tzinfo=UTC)},
    therapists=("anna", "bo"),
)
ANNA = Therapist(clinic="north", id="anna", address="anna@north.example", language="en")


class RosterSuite:
    """Behaviour that no adapter may change."""

    @pytest.fixture
    def roster(self) -> Roster:
        """An empty roster."""
        raise NotImplementedError

    @pytest.fixture
    def connected(self) -> Callable[[], Awaitable[Roster]]:
        """Another connection to the same roster."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TakenAway:
        """Takes away what is behind the roster for a while."""
        raise NotImplementedError

    async def test_nothing_is_on_an_empty_roster(self, roster: Roster) -> None:
        assert await roster.find(Group, "north", "mondays") is None
        assert list(await roster.all(Group)) == []
        assert not await roster.remove(Group, "north", "mondays")

    async def test_entries_are_given_as_they_were_put_also_to_others(
        self, roster: Roster, connected: Callable[[], Awaitable[Roster]]
    ) -> None:
        # given an entry of each kind
        for entry in (NORTH, MONDAYS, ANNA):
            await roster.put(entry)

        # when they are looked up here and by somebody else
        # then they are there, each as what it is
        for each in (roster, await connected()):
            assert await each.find(Clinic, "north", "north") == NORTH
            assert await each.find(Group, "north", "mondays") == MONDAYS
            assert await each.find(Therapist, "north", "anna") == ANNA
            assert await each.find(Group, "north", "anna") is None

    async def test_what_is_put_last_holds(self, roster: Roster) -> None:
        await roster.put(MONDAYS)
        changed = MONDAYS.model_copy(update={"therapists": ("bo",)})
        await roster.put(changed)
        assert list(await roster.all(Group)) == [changed]

    async def test_clinics_may_use_the_same_names(self, roster: Roster) -> None:
        # given a group of the same name in two clinics, and another one
        of_south = MONDAYS.model_copy(update={"clinic": "south", "therapists": ()})
        tuesdays = MONDAYS.model_copy(update={"id": "tuesdays"})
        for entry in (tuesdays, of_south, MONDAYS):
            await roster.put(entry)

        # when those of one clinic are asked for, and all
        # then they come by clinic and name
        assert list(await roster.all(Group, "north")) == [MONDAYS, tuesdays]
        assert list(await roster.all(Group)) == [MONDAYS, tuesdays, of_south]
        assert await roster.find(Group, "south", "mondays") == of_south

    async def test_what_is_removed_is_gone_and_nothing_else(self, roster: Roster) -> None:
        await roster.put(MONDAYS)
        await roster.put(ANNA)
        assert await roster.remove(Group, "north", "mondays")
        assert not await roster.remove(Group, "north", "mondays")
        assert list(await roster.all(Group)) == []
        assert list(await roster.all(Therapist)) == [ANNA]

    async def test_a_roster_that_is_away_says_so_at_every_call(self, roster: Roster, away: TakenAway) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: roster.put(MONDAYS),
            lambda: roster.find(Group, "north", "mondays"),
            lambda: roster.all(Group),
            lambda: roster.remove(Group, "north", "mondays"),
        ]
        assert await is_told_at_every_call(away, RosterUnavailable, calls)
