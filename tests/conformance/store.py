"""What every `Store` promises. An adapter's tests inherit `StoreSuite` and give it an empty store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from services.runtime.store.port import (
    Agenda,
    Appointment,
    Halted,
    Outcome,
    Position,
    Store,
    StoredState,
    StoreUnavailable,
    Write,
)
from tests.conformance.away import TakenAway, is_told_at_every_call

AT_ONCE = 500
"""More than this needs a second command in some stores."""

APPLIED, ALREADY_APPLIED, LOST = Outcome.APPLIED, Outcome.ALREADY_APPLIED, Outcome.LOST


MOMENT = datetime(2026, 1, 5, 8, tzinfo=UTC)
A_DAY, A_MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)


def state(
    offset: int,
    body: bytes = b"state",
    *,
    read: int = 5,
    written: int = 7,
    schema: int = 1,
    due: datetime | None = None,
) -> StoredState:
    return StoredState(offset, read, written, schema, body, due)


async def cases(store: Store, stage: str) -> list[str]:
    return [case_id async for case_id in store.cases(stage)]


async def saved(store: Store, states: Iterable[tuple[str, int | None, int]], stage: str = "scoring") -> list[Outcome]:
    """Save states, each as its case, the offset that it expects, and the offset that it brings."""
    return list(
        await store.save(stage, [Write(case_id, expected, state(offset)) for case_id, expected, offset in states])
    )


async def listed(store: Store, case_id: str, stage: str = "scoring") -> Halted:
    """A halted case, as it is listed."""
    return next(halted for halted in await store.halted(stage) if halted.case_id == case_id)


STAGES = ("register", "scoring", "notifier")


async def begun(store: Store) -> Store:
    """A store in which every stage has begun."""
    for stage in STAGES:
        await store.begin(stage)
    return store


class StoreSuite:
    """Behaviour that no adapter may change."""

    @pytest.fixture
    def store(self) -> Store:
        """A store in which every stage of STAGES has begun, and nothing more."""
        raise NotImplementedError

    @pytest.fixture
    def connected(self) -> Callable[[], Awaitable[Store]]:
        """Another connection to the same store."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> TakenAway:
        """Takes away what is behind the store for a while."""
        raise NotImplementedError

    @pytest.fixture
    def agenda(self, store: Store) -> Agenda:
        """The same store, as an agenda."""
        assert isinstance(store, Agenda)
        return store

    # States

    async def test_a_case_without_a_state_is_absent(self, store: Store) -> None:
        # given one case with a state
        await saved(store, [("a", None, 0)])

        # when it is loaded with others
        loaded = await store.load("scoring", ["a", "b", "c"])

        # then it alone is there
        assert dict(loaded) == {"a": state(0)}
        assert dict(await store.load("scoring", [])) == {}

    async def test_a_state_is_loaded_as_it_was_saved(self, store: Store) -> None:
        # given a state with large numbers and every byte in its body
        given = StoredState(2**40, 2**30, 2**31, 17, bytes(range(256)) * 400)

        # when it is saved
        assert list(await store.save("scoring", [Write("a", None, given)])) == [APPLIED]

        # then it is loaded the same
        assert dict(await store.load("scoring", {"a"})) == {"a": given}

    async def test_a_state_replaces_the_one_it_expects(self, store: Store) -> None:
        # given a state of offset 3
        await saved(store, [("a", None, 3)])

        # when one of offset 8 is written that expects it
        new = state(8, b"new", read=6, written=9, schema=2)
        outcomes = await store.save("scoring", [Write("a", 3, new)])

        # then the new one is there, whole
        assert list(outcomes) == [APPLIED]
        assert dict(await store.load("scoring", ["a"])) == {"a": new}

    @pytest.mark.parametrize(
        ("held", "expected", "brings", "outcome"),
        [
            (None, None, 0, APPLIED),
            (None, None, 5, APPLIED),
            (3, 3, 5, APPLIED),
            (0, 0, 1, APPLIED),
            (5, None, 5, ALREADY_APPLIED),
            (5, 3, 5, ALREADY_APPLIED),
            (0, None, 0, ALREADY_APPLIED),
            (3, None, 5, LOST),
            (8, None, 5, LOST),
            (8, 3, 5, LOST),
            (2, 3, 5, LOST),
            (None, 3, 5, LOST),
            (0, None, 5, LOST),
        ],
    )
    async def test_a_write_has_one_of_three_outcomes(
        self, store: Store, held: int | None, expected: int | None, brings: int, outcome: Outcome
    ) -> None:
        # given a case with a state of some offset, or without one
        before = None if held is None else state(held, b"held")
        if before is not None:
            await store.save("scoring", [Write("a", None, before)])

        # when a state is written on some condition
        outcomes = await store.save("scoring", [Write("a", expected, state(brings, b"brought"))])

        # then the outcome says whether the condition held, and only then is it there
        assert list(outcomes) == [outcome]
        after = state(brings, b"brought") if outcome is APPLIED else before
        assert (await store.load("scoring", ["a"])).get("a") == after

    async def test_outcomes_are_in_the_order_of_the_writes(self, store: Store) -> None:
        # given four cases, three of them with a state
        await saved(store, [("applied", None, 3), ("already", None, 5), ("lost", None, 4)])

        # when all are written at once, in any order
        outcomes = await saved(store, [("lost", 3, 5), ("new", None, 5), ("already", 3, 5), ("applied", 3, 5)])

        # then each outcome stands where its write stood, and one that is lost does not hold up the others
        assert outcomes == [LOST, APPLIED, ALREADY_APPLIED, APPLIED]
        loaded = await store.load("scoring", ["lost", "new", "already", "applied"])
        assert {case_id: each.offset for case_id, each in loaded.items()} == {
            "lost": 4,
            "new": 5,
            "already": 5,
            "applied": 5,
        }

    async def test_writing_nothing_has_no_outcome(self, store: Store) -> None:
        # given an empty store
        # when nothing is saved
        # then nothing comes of it
        assert list(await store.save("scoring", [])) == []
        assert await cases(store, "scoring") == []

    async def test_a_try_that_is_repeated_is_already_applied(self, store: Store) -> None:
        # given writes whose answer got lost
        writes = [("a", None, 3), ("b", None, 4)]
        await saved(store, writes)

        # when they are tried again
        # then they were applied already
        assert await saved(store, writes) == [ALREADY_APPLIED, ALREADY_APPLIED]

    async def test_the_states_of_other_stages_are_untouched(self, store: Store) -> None:
        # given a state of the same case in two stages
        await store.save("scoring", [Write("a", None, state(3, b"scoring"))])
        await store.save("notifier", [Write("a", None, state(4, b"notifier"))])

        # when one is replaced
        await store.save("scoring", [Write("a", 3, state(9, b"replaced"))])

        # then the other is as it was
        assert dict(await store.load("notifier", ["a"])) == {"a": state(4, b"notifier")}
        assert dict(await store.load("scoring", ["a"])) == {"a": state(9, b"replaced")}
        assert dict(await store.load("register", ["a"])) == {}

    async def test_cases_come_in_order(self, store: Store) -> None:
        # given cases that were saved in any order, some in another stage
        names = ["c", "B", "a1", "a", "10", "9", "ab"]
        await saved(store, [(name, None, 0) for name in names])
        await saved(store, [("elsewhere", None, 0)], stage="notifier")

        # when they are listed
        # then they are those of the stage, in the order of their ids, each once
        await saved(store, [("a", 0, 1)])
        assert await cases(store, "scoring") == sorted(names)
        assert await cases(store, "register") == []

    async def test_many_states_are_saved_and_loaded_at_once(self, store: Store) -> None:
        # given many cases
        names = [f"{number:032x}" for number in range(1_500)]

        # when they are saved, loaded and replaced at once
        first = await saved(store, [(name, None, number) for number, name in enumerate(names)])
        loaded = await store.load("scoring", names)
        second = await saved(store, [(name, number, number + 1) for number, name in enumerate(names)])

        # then none is missing
        assert set(first) == set(second) == {APPLIED}
        assert dict(loaded) == {name: state(number) for number, name in enumerate(names)}
        assert dict(await store.load("scoring", set(names))) == {
            name: state(number + 1) for number, name in enumerate(names)
        }
        assert await cases(store, "scoring") == names

    # Appointments

    async def test_cases_are_to_be_looked_at_when_their_states_say_so_the_earliest_first(
        self, store: Store, agenda: Agenda
    ) -> None:
        # given states, some of which are due
        due = {"a": MOMENT + A_DAY, "b": None, "c": MOMENT, "d": MOMENT + 2 * A_DAY, "e": MOMENT}
        await store.save("register", [Write(case_id, None, state(0, due=at)) for case_id, at in due.items()])
        await store.save("scoring", [Write("other", None, state(0, due=MOMENT))])

        # when those are asked for that are due by a moment
        # then they come, of this stage only, those of one moment by case
        wanted = [Appointment(MOMENT, "c", 0), Appointment(MOMENT, "e", 0), Appointment(MOMENT + A_DAY, "a", 0)]
        assert list(await agenda.appointments("register", MOMENT + A_DAY, 10)) == wanted
        assert list(await agenda.appointments("register", MOMENT + A_DAY, 2)) == wanted[:2]
        assert list(await agenda.appointments("register", MOMENT - A_MILLISECOND, 10)) == []

        # and page by page, each from where the last one ended
        for place, last in enumerate(wanted):
            following = await agenda.appointments("register", MOMENT + A_DAY, 1, last)
            assert list(following) == wanted[place + 1 : place + 2]

    async def test_a_state_that_is_written_says_anew_when_its_case_is_due(self, store: Store, agenda: Agenda) -> None:
        # given a case that is due
        await store.save("register", [Write("a", None, state(0, due=MOMENT))])

        # when its state is written with another moment, and with none
        await store.save("register", [Write("a", 0, state(1, due=MOMENT + A_DAY))])
        later = await agenda.appointments("register", MOMENT + A_DAY, 10)
        await store.save("register", [Write("a", 1, state(2))])

        # then that holds
        assert list(later) == [Appointment(MOMENT + A_DAY, "a", 1)]
        assert list(await agenda.appointments("register", MOMENT + A_DAY, 10)) == []
        assert dict(await store.load("register", ["a"])) == {"a": state(2)}

    async def test_a_case_that_was_looked_at_is_due_later_or_no_more(self, store: Store, agenda: Agenda) -> None:
        # given two cases that are due
        await store.save("register", [Write(case_id, None, state(0, due=MOMENT)) for case_id in "ab"])
        first, second = await agenda.appointments("register", MOMENT, 10)

        # when one is postponed, and the other taken off
        await agenda.postpone("register", first, MOMENT + A_DAY)
        await agenda.postpone("register", second, None)

        # then that holds, and their states are as they were
        assert list(await agenda.appointments("register", MOMENT + A_DAY, 10)) == [Appointment(MOMENT + A_DAY, "a", 0)]
        assert dict(await store.load("register", ["a", "b"])) == {"a": state(0, due=MOMENT + A_DAY), "b": state(0)}

    async def test_a_case_is_not_postponed_if_its_state_has_been_written_since(
        self, store: Store, agenda: Agenda
    ) -> None:
        # given a case that was found due, and whose state was written since: it says another moment, or the same
        for case_id, moment in {"a": MOMENT + A_DAY, "b": MOMENT}.items():
            await store.save("register", [Write(case_id, None, state(0, due=MOMENT))])
            (found,) = await agenda.appointments("register", MOMENT, 10)
            await store.save("register", [Write(case_id, 0, state(1, due=moment))])

            # when it is postponed as it was found
            # then what its state says stands
            await agenda.postpone("register", found, None)
            assert Appointment(moment, case_id, 1) in await agenda.appointments("register", MOMENT + A_DAY, 10)

    async def test_a_state_that_is_written_while_its_case_is_postponed_stands(
        self, store: Store, agenda: Agenda
    ) -> None:
        # given a case that is due
        await store.save("register", [Write("a", None, state(0, due=MOMENT))])
        for before, offset in pairwise(range(100)):
            # when its state is written at the moment at which it is postponed
            written, _ = await asyncio.gather(
                store.save("register", [Write("a", before, state(offset, due=MOMENT))]),
                agenda.postpone("register", Appointment(MOMENT, "a", before), MOMENT + A_DAY),
            )

            # then whatever was first, it is the state that was written, and says when the case is due
            assert written == [Outcome.APPLIED]
            assert dict(await store.load("register", ["a"])) == {"a": state(offset, due=MOMENT)}

    # Positions

    async def test_a_stage_that_never_ran_has_no_position(self, store: Store) -> None:
        # given an empty store
        # when the position of a stage is asked for
        # then there is none
        assert await store.position("scoring", 0) is None

    async def test_a_position_is_kept_with_the_log_it_belongs_to(self, store: Store) -> None:
        # given positions that were said, one of them again, and on another log
        await store.set_position("scoring", 0, Position("log-1", 0))
        await store.set_position("scoring", 1, Position("log-1", 7))
        await store.set_position("scoring", 0, Position("log-2", 2**40))

        # when they are asked for
        # then the last word of each partition holds
        assert await store.position("scoring", 0) == Position("log-2", 2**40)
        assert await store.position("scoring", 1) == Position("log-1", 7)

    async def test_all_positions_of_a_stage_are_given_at_once(self, store: Store) -> None:
        # given positions of a stage in some partitions, one partition that was only taken, and another stage
        await store.set_position("scoring", 0, Position("log-1", 0))
        await store.set_position("scoring", 2, Position("log-1", 7))
        await store.hold("scoring", 1, "anna")
        await store.set_position("notifier", 3, Position("log-1", 8))

        # when they are asked for, then those that there are are given
        found = await store.positions("scoring", range(4))
        assert found == {0: Position("log-1", 0), 2: Position("log-1", 7)}
        assert await store.positions("scoring", [2]) == {2: Position("log-1", 7)}
        assert await store.positions("mailer", range(4)) == {}

    async def test_positions_belong_to_a_stage_and_a_partition(self, store: Store) -> None:
        # given a position
        await store.set_position("scoring", 1, Position("log-1", 7))

        # when others are asked for
        # then they are not there
        assert await store.position("scoring", 2) is None
        assert await store.position("notifier", 1) is None

    async def test_who_takes_a_partition_is_told_how_the_stage_stands_there(self, store: Store) -> None:
        # given a position
        await store.set_position("scoring", 1, Position("log-1", 7))

        # when that partition is taken, and another
        held = await store.hold("scoring", 1, "somebody")
        new = await store.hold("scoring", 2, "somebody")

        # then the position is told, and where the states are
        assert held.position == Position("log-1", 7)
        assert new.position is None
        assert held.states == new.states == await store.begin("scoring")

    async def test_only_the_last_who_took_a_partition_says_how_far_the_stage_is(self, store: Store) -> None:
        # given a partition that somebody took, and then somebody else
        await store.hold("scoring", 1, "first")
        assert await store.set_position("scoring", 1, Position("log-1", 7), "first") is APPLIED
        await store.hold("scoring", 1, "second")

        # when the first one wakes and says how far it is, then the second one
        late = await store.set_position("scoring", 1, Position("log-1", 9), "first")
        assert await store.position("scoring", 1) == Position("log-1", 7)
        said = await store.set_position("scoring", 1, Position("log-1", 8), "second")

        # then only the second is heard, and again if it says the same again
        assert (late, said) == (LOST, APPLIED)
        assert await store.set_position("scoring", 1, Position("log-1", 8), "second") is APPLIED
        assert await store.position("scoring", 1) == Position("log-1", 8)

        # and other partitions and stages are nobody's business
        assert await store.position("scoring", 2) is None
        assert await store.position("notifier", 1) is None

    # Halted cases

    async def test_halted_cases_are_listed_by_case(self, store: Store) -> None:
        # given cases that halt in two partitions, and one in another stage
        given = [Halted("c", 1, 4, "key-missing"), Halted("a", 2, 9, "step-failed"), Halted("b", 1, 0, "step-failed")]
        await store.halt("scoring", given)
        await store.halt("notifier", [Halted("d", 1, 4, "key-missing")])

        # when they are listed
        # then they are those of the stage, or of its partition, in the order of their ids
        assert list(await store.halted("scoring")) == sorted(given, key=lambda halted: halted.case_id)
        assert list(await store.halted("scoring", 1)) == [given[2], given[0]]
        assert list(await store.halted("scoring", 0)) == []
        assert list(await store.halted("register")) == []
        # and of some cases those that are halted in the stage are told
        assert await store.halted_among("scoring", ["a", "b", "d", "e"]) == {"a": given[1], "b": given[2]}
        assert await store.halted_among("scoring", []) == {}

    async def test_a_case_that_halts_again_stands_at_the_new_place_for_the_new_reason(self, store: Store) -> None:
        # given a halted case
        await store.halt("scoring", [Halted("a", 1, 4, "definition-missing")])

        # when it halts again further on, for another reason
        await store.halt("scoring", [Halted("a", 1, 9, "step-failed")])

        # then it stands there, and says that reason
        assert list(await store.halted("scoring")) == [Halted("a", 1, 9, "step-failed")]

    async def test_what_was_kept_under_another_name_takes_the_place_of_a_stage(self, store: Store) -> None:
        # given a stage with states, a position and a halted case, that somebody runs
        await saved(store, [("a", None, 3), ("b", None, 4), ("gone", None, 5)])
        await store.halt("scoring", [Halted("b", 1, 4, "step-failed")])
        held = await store.hold("scoring", 1, "who runs it")
        await store.set_position("scoring", 1, Position("log", 9), "who runs it")
        # and what was made anew beside it
        await store.begin("fresh.scoring")
        await saved(store, [("a", None, 7), ("c", None, 8)], stage="fresh.scoring")
        await store.halt("fresh.scoring", [Halted("c", 1, 8, "step-failed")])
        await store.set_position("fresh.scoring", 1, Position("log", 8))

        # when that takes its place
        await store.take_place("scoring", "fresh.scoring", {1: Position("log", 8)})

        # then the stage knows that and nothing else, and nothing is left of the other name
        assert await cases(store, "scoring") == ["a", "c"]
        assert (await store.load("scoring", ["a", "b"]))["a"].offset == 7
        assert [halted.case_id for halted in await store.halted("scoring")] == ["c"]
        assert await store.position("scoring", 1) == Position("log", 8)
        assert await store.position("fresh.scoring", 1) is None
        assert list(await store.halted("fresh.scoring")) == []

        # and who ran it has to take it up anew
        assert (await store.hold("scoring", 1, "who takes it up")).position == Position("log", 8)
        assert await store.set_position("scoring", 1, Position("log", 99), "who runs it") is LOST
        assert held.position is None

    async def test_what_takes_a_place_can_be_gone_on_with(self, store: Store) -> None:
        await store.begin("fresh.scoring")
        await saved(store, [("a", None, 7)], stage="fresh.scoring")
        await store.take_place("scoring", "fresh.scoring", {1: Position("log", 8)})
        states = (await store.hold("scoring", 1, "me")).states
        assert list(await store.load("scoring", ["a"], states)) == ["a"]
        assert await saved(store, [("a", 7, 9), ("b", None, 10)]) == [APPLIED, APPLIED]
        assert await store.set_position("scoring", 1, Position("log", 11), "me") is APPLIED

    async def test_a_case_that_goes_on_is_no_longer_halted(self, store: Store) -> None:
        # given two halted cases, one of them in two stages
        await store.halt("scoring", [Halted("a", 1, 4, "key-missing")])
        await store.halt("scoring", [Halted("b", 1, 5, "key-missing")])
        await store.halt("notifier", [Halted("a", 1, 6, "key-missing")])

        # when one goes on in one stage
        await store.resume("scoring", [await listed(store, "a")])

        # then the others still wait
        assert list(await store.halted("scoring")) == [Halted("b", 1, 5, "key-missing")]
        assert list(await store.halted("notifier")) == [Halted("a", 1, 6, "key-missing")]

    async def test_any_number_of_cases_halt_and_go_on_at_once(self, store: Store) -> None:
        # given more cases that halt than are written in one command
        halted = [Halted(f"case-{number:04}", 1, number, "key-missing") for number in range(2 * AT_ONCE + 3)]
        await store.halt("scoring", halted)
        assert list(await store.halted("scoring")) == halted

        # when all of them but one go on
        await store.resume("scoring", [each for each in await store.halted("scoring") if each != halted[AT_ONCE]])

        # then that one still waits
        assert list(await store.halted("scoring")) == [halted[AT_ONCE]]

    async def test_a_case_that_went_on_can_halt_at_another_place(self, store: Store) -> None:
        # given a case that was halted and went on
        await store.halt("scoring", [Halted("a", 1, 4, "key-missing")])
        await store.resume("scoring", [await listed(store, "a")])

        # when it halts again
        await store.halt("scoring", [Halted("a", 1, 9, "step-failed")])

        # then it stands at the new place
        assert list(await store.halted("scoring")) == [Halted("a", 1, 9, "step-failed")]

    async def test_a_case_that_has_halted_further_on_meanwhile_stays_halted(self, store: Store) -> None:
        # given a halted case, as somebody listed it who tries it again
        await store.halt("scoring", [Halted("a", 1, 4, "key-missing")])
        as_listed = await listed(store, "a")

        # when it halts further on before they say that it went on
        await store.halt("scoring", [Halted("a", 1, 9, "key-missing")])
        await store.resume("scoring", [as_listed])

        # then it is halted
        assert list(await store.halted("scoring")) == [Halted("a", 1, 9, "key-missing")]

    async def test_going_on_without_having_halted_changes_nothing(self, store: Store) -> None:
        # given a case that never halted
        # when it goes on
        await store.resume("scoring", [Halted("a", 1, 4, "key-missing")])

        # then there is nothing to see
        assert list(await store.halted("scoring")) == []

    async def test_halting_touches_neither_state_nor_position(self, store: Store) -> None:
        # given a case with a state, and a position
        await saved(store, [("a", None, 3)])
        await store.set_position("scoring", 1, Position("log-1", 7))

        # when the case halts and goes on
        await store.halt("scoring", [Halted("a", 1, 4, "key-missing")])
        await store.resume("scoring", [await listed(store, "a")])

        # then both are as they were
        assert dict(await store.load("scoring", ["a"])) == {"a": state(3)}
        assert await store.position("scoring", 1) == Position("log-1", 7)

    # Removing

    async def test_what_is_removed_of_a_case_is_gone_and_all_else_stays(self, store: Store) -> None:
        # given cases with states, and halted ones, in two stages
        for stage in ("scoring", "notifier"):
            await saved(store, [(case_id, None, 3) for case_id in "abc"], stage=stage)
            await store.halt(stage, [Halted(case_id, 1, 4, "key-missing") for case_id in "ab"])
            await store.set_position(stage, 1, Position("log-1", 7))

        # when some are removed from one, some of which it does not know
        await store.remove("scoring", ["a", "c", "z"])
        await store.remove("scoring", [])

        # then only they are gone from there
        assert dict(await store.load("scoring", ["a", "b", "c"])) == {"b": state(3)}
        assert await cases(store, "scoring") == ["b"]
        assert list(await store.halted("scoring")) == [Halted("b", 1, 4, "key-missing")]
        assert await store.position("scoring", 1) == Position("log-1", 7)
        assert await cases(store, "notifier") == ["a", "b", "c"]
        assert len(await store.halted("notifier")) == 2

    async def test_who_still_holds_a_state_that_was_removed_does_not_bring_it_back(self, store: Store) -> None:
        # given a state that somebody has loaded, and that is removed then
        await saved(store, [("a", None, 3)])
        await store.remove("scoring", ["a"])

        # when they write what follows, then it is refused
        assert await saved(store, [("a", 3, 5)]) == [LOST]
        assert await cases(store, "scoring") == []

    # Beginning, and beginning again

    async def test_beginning_again_changes_nothing(self, store: Store) -> None:
        # given a state
        await saved(store, [("a", None, 3)])

        # when its stage begins again
        await store.begin("scoring")

        # then it is there, and alone
        assert await cases(store, "scoring") == ["a"]
        assert dict(await store.load("scoring", ["a"])) == {"a": state(3)}

    async def test_any_number_begin_at_once_and_find_one_place(
        self, store: Store, connected: Callable[[], Awaitable[Store]]
    ) -> None:
        # given a stage that never began, and somebody else who runs it too
        await store.clear("scoring")
        stores = [store, await connected()] * 12

        # when all of its partitions are begun at one moment
        places = await asyncio.gather(*(each.begin("scoring") for each in stores))

        # then all of them have the same states
        assert len(set(places)) == 1

    async def test_a_stage_that_is_cleared_can_begin_again(self, store: Store) -> None:
        # given a state, a position and a halted case in two stages
        for stage in ("scoring", "notifier"):
            await saved(store, [("a", None, 3)], stage=stage)
            await store.set_position(stage, 1, Position("log-1", 7))
            await store.halt(stage, [Halted("b", 1, 4, "key-missing")])

        # when one is cleared and begins again
        await store.clear("scoring")
        await store.begin("scoring")

        # then nothing of it is left, and everything of the other
        assert dict(await store.load("scoring", ["a"])) == {}
        assert await cases(store, "scoring") == []
        assert await store.position("scoring", 1) is None
        assert list(await store.halted("scoring")) == []
        assert dict(await store.load("notifier", ["a"])) == {"a": state(3)}
        assert await store.position("notifier", 1) == Position("log-1", 7)
        assert list(await store.halted("notifier")) == [Halted("b", 1, 4, "key-missing")]

        # and it can be written anew
        assert await saved(store, [("a", None, 3)]) == [APPLIED]

    # What lasts

    async def test_everything_that_was_written_is_durable(
        self, store: Store, connected: Callable[[], Awaitable[Store]]
    ) -> None:
        # given a state, a position and a halted case
        await saved(store, [("a", None, 3)])
        await store.set_position("scoring", 1, Position("log-1", 7))
        await store.halt("scoring", [Halted("b", 1, 4, "key-missing")])

        # when somebody else looks
        other = await connected()

        # then they are there
        assert dict(await other.load("scoring", ["a"])) == {"a": state(3)}
        assert await other.position("scoring", 1) == Position("log-1", 7)
        assert list(await other.halted("scoring")) == [Halted("b", 1, 4, "key-missing")]
        assert await cases(other, "scoring") == ["a"]

    async def test_of_two_who_expect_the_same_state_one_wins(
        self, store: Store, connected: Callable[[], Awaitable[Store]]
    ) -> None:
        # given a state that two have loaded
        other = await connected()
        await saved(store, [("a", None, 3)])
        assert dict(await other.load("scoring", ["a"])) == {"a": state(3)}

        # when both write what follows for them
        first, second = await saved(other, [("a", 3, 9)]), await saved(store, [("a", 3, 6)])

        # then the first has written, and the other knows that it was too late
        assert (first, second) == ([APPLIED], [LOST])
        assert dict(await store.load("scoring", ["a"])) == {"a": state(9)}

    async def test_a_store_that_is_away_says_so_at_every_call(self, store: Store, away: TakenAway) -> None:
        # given a store with a state
        await saved(store, [("a", None, 3)])

        # when it is away for a while, and everything is tried
        # then each call says so, and can be made again when it is back
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: store.load("scoring", ["a"]),
            lambda: saved(store, [("a", 3, 5)]),
            lambda: cases(store, "scoring"),
            lambda: store.position("scoring", 1),
            lambda: store.positions("scoring", [1]),
            lambda: store.set_position("scoring", 1, Position("log-1", 7)),
            lambda: store.halt("scoring", [Halted("a", 1, 4, "key-missing")]),
            lambda: store.resume("scoring", [Halted("b", 1, 4, "key-missing")]),
            lambda: store.hold("scoring", 1, "somebody"),
            lambda: store.halted("scoring"),
            lambda: store.remove("scoring", ["b"]),
        ]
        assert await is_told_at_every_call(away, StoreUnavailable, calls)
        assert dict(await store.load("scoring", ["a"])) == {"a": state(5)}
