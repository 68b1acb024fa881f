"""What is known of cases: everything on the log, whoever wrote it and however far the register has come."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import CASES
from services.ingest.cases import Cases, KeyMissing, RegisterBehind
from services.ingest.domain.register import Register, Registered
from services.runtime.log.port import Record
from services.runtime.reading import event_of
from services.runtime.store.port import StatesReplaced
from services.runtime.unavailable import Unavailable
from tests.support.faults import ReplacedStore
from tests.support.registering import (
    NAMES,
    Story,
    a_bench,
)
from tests.support.workbench import PARTITION, Workbench, key_of

_SOME = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("here"), _SOME),
        st.tuples(st.just("elsewhere"), _SOME),
        st.tuples(st.just("register"), st.just(())),
        st.tuples(st.just("ask"), _SOME),
    ),
    max_size=25,
)


@given(_STEPS, st.integers(0, 3), st.integers(0, 6))
def test_whoever_records_and_however_far_the_register_is_everything_is_known(
    steps: list[tuple[str, Sequence[str]]], cases_at_hand: int, facts_kept: int
) -> None:
    async def told(bench: Workbench) -> None:
        story = Story(bench, cases_at_hand=cases_at_hand, facts_kept=facts_kept)
        for what, case_ids in steps:
            match what:
                case "here" | "elsewhere":
                    await story.record(what, case_ids)
                case "register":
                    await story.run_register()
                case _:
                    await story.ask(case_ids)
        await story.ask(NAMES)

    with a_bench() as bench:
        asyncio.run(told(bench))


async def test_a_case_that_was_let_go_of_is_known_from_the_register_and_what_came_since() -> None:
    with a_bench() as bench:
        # given cases of which only one is kept at hand
        story = Story(bench, cases_at_hand=1)
        await story.record("here", NAMES)
        await story.ask(NAMES)

        # when the register has read, and more is recorded
        await story.run_register()
        await story.record("here", NAMES)

        # then all of it is known
        await story.ask(NAMES)


async def test_what_was_recorded_here_need_not_be_opened_again_and_says_what_stands_there() -> None:
    with a_bench() as bench:
        # given facts of each case, of which the last were recorded here
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.ask(NAMES)
        await story.record("here", NAMES)

        # when they are read, then what each of these says is known, and it is what its bytes say
        read = await story.read()
        recalled = story.cases.recalled(PARTITION, read)
        assert [record._replace(event=None) for record in recalled] == read
        said = [record.event for record in recalled]
        opened = [event_of(record, CASES, key_of(record.key)) for record in read]
        assert said[len(NAMES) :] == opened[len(NAMES) :]
        assert all(event in (None, opened[place]) for place, event in enumerate(said))

        # and of other bytes in their places nothing is known
        others = [record._replace(value=read[0].value) for record in read[len(NAMES) :]]
        assert story.cases.recalled(PARTITION, others) == others


async def test_a_register_that_has_not_read_for_too_long_is_told() -> None:
    with a_bench() as bench:
        # given more facts than may be kept, and a register that does not run
        story = Story(bench, facts_kept=2, behind_at_most=5)
        for _ in range(3):
            await story.record("elsewhere", NAMES)

        # when a case is asked for
        # then that is told, again and again
        for _ in range(2):
            with pytest.raises(RegisterBehind, match="the register is more than 5 facts behind"):
                await story.cases.registered(NAMES)

        # and when it has read, the cases are known
        await story.run_register()
        await story.ask(NAMES)


async def test_a_process_that_was_asked_for_nothing_for_long_goes_on_from_the_register() -> None:
    with a_bench() as bench:
        # given cases that were at hand once
        story = Story(bench, facts_kept=2, behind_at_most=5)
        await story.record("here", NAMES)
        await story.ask(NAMES)

        # when others record more than may be kept, and the register reads it
        for _ in range(4):
            await story.record("elsewhere", NAMES)
        await story.run_register()

        # then the cases are known, as the register has them
        await story.ask(NAMES)


async def test_of_a_case_whose_key_was_destroyed_only_that_is_known() -> None:
    with a_bench() as bench:
        story = Story(bench)
        await story.record("here", NAMES)
        await bench.keyring.destroy(NAMES[0])
        known = await story.cases.registered(NAMES[:1])
        assert dict(known) == {NAMES[0]: Registered(erased=True)}


async def test_a_case_that_the_register_has_without_a_key_is_told() -> None:
    with a_bench() as bench, a_bench() as without_keys:
        # given registered cases, and a keyring that does not have their keys
        story = Story(bench)
        await story.record("here", NAMES)
        await story.run_register()
        cases = Cases(bench.log, bench.store, without_keys.keyring)

        # when one is asked for
        # then that is told
        with pytest.raises(KeyMissing, match=NAMES[0]):
            await cases.registered(NAMES[:1])


async def test_an_unreadable_record_is_passed_over() -> None:
    with a_bench() as bench:
        # given a record of a case that nobody can read, between two facts
        story = Story(bench)
        await story.record("here", NAMES)
        await bench.log.append(CASES, PARTITION, [Record(NAMES[0], b"not a fact")])
        await story.record("elsewhere", NAMES)

        # when the case is asked for
        # then the facts around it are known
        await story.ask(NAMES)


async def test_every_case_is_known_from_the_register_and_what_came_since() -> None:
    with a_bench() as bench:
        story = Story(bench)
        await story.record("here", NAMES[:2])
        await story.run_register()
        await story.record("elsewhere", NAMES[2:])
        await story.ask_for_all()


@pytest.mark.parametrize("asked_before", [True, False])
async def test_a_register_whose_states_are_being_replaced_or_are_gone_is_not_taken_for_an_empty_one(
    asked_before: bool,
) -> None:
    with a_bench() as bench:
        # given cases that the register knows
        store = ReplacedStore(bench.store)
        story = Story(bench, store)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        if asked_before:
            await story.ask_for_all()

        # when its states are being replaced, or are gone, then nobody is told that these are all cases
        store.shut.add(Register.name)
        with pytest.raises(StatesReplaced):
            await story.ask_for_all()
        store.shut.clear()
        store.gone.add(Register.name)
        with pytest.raises(Unavailable, match="what the register knows is gone"):
            await story.ask_for_all()

        # and when they are there, all are known
        store.gone.clear()
        await story.ask_for_all()


async def test_what_was_let_go_of_because_the_register_had_it_is_read_again_when_others_take_its_place() -> None:
    with a_bench() as bench:
        # given cases of which nothing is kept here, since the register knows them
        store = ReplacedStore(bench.store)
        story = Story(bench, store, cases_at_hand=0, facts_kept=0)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        await story.ask_for_all()

        # when its states are replaced by others that lack them
        await bench.store.clear(Register.name)
        store.named = "others"

        # then all are known nevertheless
        await story.ask_for_all()


async def test_who_is_given_cases_while_they_are_replaced_is_told_at_the_end() -> None:
    with a_bench() as bench:
        # given somebody who is being given all cases
        store = ReplacedStore(bench.store)
        story = Story(bench, store)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        given = story.cases.all()
        await anext(given)

        # when others take their place meanwhile, then it is told that these may not be all
        store.named = "others"
        with pytest.raises(Unavailable, match="was replaced meanwhile"):
            await anext(given)
