"""A case of which the register does not have all, or of which that is not known yet, is told of, and no other is."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import pytest

from contracts.topics import CASES
from services.ingest.cases import Cases, KeyMissing
from services.ingest.domain.register import Register, Unclear
from services.ingest.search import ABSENT_AT_MOST
from services.runtime.log.port import Record
from services.runtime.runner import Runner
from services.runtime.store.port import Write
from services.runtime.unavailable import Unavailable
from tests.support.faults import OvertakenStore, Trouble, TroubledLog
from tests.support.registering import (
    NAMES,
    OF_ANOTHER,
    CountedLog,
    FailingRegister,
    Story,
    a_bench,
    enrolment_of,
    every,
    unclear,
)
from tests.support.workbench import LOG_ID, PARTITION, cases_of

A_BATCH: Final = 2_000
"""Facts that are read at a time."""


def strangers(number: int) -> list[str]:
    """So many cases of which nothing stands on the log."""
    known = {*NAMES, OF_ANOTHER.key}
    return [case_id for case_id in cases_of(PARTITION, len(known) + number) if case_id not in known]


async def test_of_a_case_that_the_register_has_halted_it_is_told_that_not_all_is_known() -> None:
    with a_bench() as bench:
        # given a case whose state was lost, so that the register halts it at its next fact and reads on
        story = Story(bench)
        await story.record("here", NAMES)
        await story.run_register()
        await bench.store.remove(Register.name, NAMES[:1])
        await story.record("elsewhere", NAMES)
        await story.run_register()

        # when the cases are asked for by a process that has none of them at hand
        # then what is left of that case is not taken for all of it
        story.cases = Cases(bench.log, bench.store, bench.keyring)
        assert await unclear(story.cases) == set(NAMES[:1])
        await story.ask(NAMES[1:])


async def test_a_case_that_the_register_has_lost_is_not_taken_for_a_new_one() -> None:
    with a_bench() as bench:
        # given cases that the register has read, of which some states are gone
        story = Story(bench)
        await story.record("here", NAMES)
        await story.run_register()
        await bench.store.remove(Register.name, NAMES[:2])

        # when they are asked for by a process that has none of them at hand, again and again
        # then that is told, and their partition is read for that once
        trouble = Trouble()
        story.cases = Cases(TroubledLog(bench.log, trouble), bench.store, bench.keyring)
        for _ in range(2):
            assert await unclear(story.cases) == set(NAMES[:2])
        assert trouble.calls.count("log.read") == 1

        # and also when more is on the log since, and the register has not read that
        await story.record("elsewhere", NAMES)
        story.cases = Cases(bench.log, bench.store, bench.keyring)
        assert await unclear(story.cases) == set(NAMES[:2])
        await story.ask(NAMES[2:])

        # and no more when it is there again
        await bench.store.clear(Register.name)
        await story.run_register()
        await story.ask(NAMES)


async def test_a_case_that_was_halted_since_it_has_no_key_is_not_taken_for_a_new_one() -> None:
    with a_bench() as bench, a_bench() as without_keys:
        # given a register that met the facts of cases whose keys are not there
        story = Story(bench)
        await story.record("here", NAMES)
        runner = Runner(Register(), bench.log, bench.store, without_keys.keyring, LOG_ID)
        await runner.open(PARTITION)
        while await runner.advance(PARTITION):
            pass

        # when one is asked for, then that is told
        with pytest.raises(KeyMissing, match=NAMES[0]):
            await Cases(bench.log, bench.store, without_keys.keyring).registered(NAMES[:1])


async def test_a_case_that_was_enrolled_elsewhere_and_lost_since_is_not_taken_for_a_new_one() -> None:
    with a_bench() as bench:
        # given a process that was asked for a case before it was there
        story = Story(bench, facts_kept=1)
        assert not await story.cases.registered(NAMES[:1])

        # when others enrol it, the register reads that and more than is kept, and its state is lost
        for _ in range(4):
            await story.record("elsewhere", NAMES)
        await story.run_register()
        await bench.store.remove(Register.name, NAMES[:1])

        # then that is told
        assert await unclear(story.cases) == set(NAMES[:1])


async def test_of_a_case_without_facts_what_was_read_once_is_not_read_again() -> None:
    with a_bench() as bench:
        # given a case that has a key and no fact, as when its enrolment was broken off, and something unreadable of it
        story = Story(bench)
        await story.record("here", NAMES)
        *_, name = cases_of(PARTITION, len(NAMES) + 1)
        await bench.know(name)
        await bench.log.append(CASES, PARTITION, [Record(name, b"not a fact")])
        await story.run_register()

        # when a process asks for it again and again, and does not keep it at hand
        trouble = Trouble()
        cases = Cases(TroubledLog(bench.log, trouble), bench.store, bench.keyring, cases_at_hand=0)
        for _ in range(3):
            assert not await cases.registered([name])

        # then what is before was read once
        assert trouble.calls.count("log.read") == 1


async def test_for_a_case_that_just_begins_nothing_is_read_again() -> None:
    with a_bench() as bench:
        # given a partition of which the register has read something
        story = Story(bench)
        await story.record("here", NAMES)
        await story.run_register()
        trouble = Trouble()
        cases = Cases(TroubledLog(bench.log, trouble), bench.store, bench.keyring, cases_at_hand=0)

        # when a case is asked for that has no key, gets one, and is asked for again by whoever enrols it
        *_, name = cases_of(PARTITION, len(NAMES) + 1)
        assert not await cases.registered([name])
        await bench.know(name)
        assert not await cases.registered([name])

        # and its enrolment is recorded elsewhere
        await bench.log.append(CASES, PARTITION, [enrolment_of(name)])

        # then it is known, and nothing was read from the beginning
        assert (await cases.registered([name]))[name].enrolled
        assert "log.read" not in trouble.calls


async def test_a_case_that_halts_is_known_for_as_long_as_all_that_its_state_lacks_is_at_hand() -> None:
    with a_bench() as bench:
        # given cases that were asked for before the register met a fact that it could not go on with
        story = Story(bench, cases_at_hand=0, facts_kept=10)
        await story.record("here", NAMES)
        await story.run_register()
        await story.ask(NAMES)
        await story.record("elsewhere", NAMES)
        await bench.run(FailingRegister())

        # when it is asked for again, then it is known, from its state and what came since
        await story.ask(NAMES)

        # and by a process that begins behind that fact it is not
        assert await unclear(Cases(bench.log, bench.store, bench.keyring)) == set(NAMES[:1])

        # nor by this one, when it has let go of that fact: the register has read it
        for _ in range(5):
            await story.record("here", NAMES[1:])
            await bench.run(FailingRegister())
            await story.ask(NAMES[1:])
        assert await unclear(story.cases) == set(NAMES[:1])

        # until the register has gone on with it
        await story.run_register()
        await story.ask(NAMES)


async def test_a_fact_that_cannot_be_taken_keeps_its_case_from_being_known_and_no_other() -> None:
    with a_bench() as bench:
        # given a process that knows cases, and a fact of one of them that no register of this version can take
        story = Story(bench, facts_kept=4)
        story.cases._register = FailingRegister()  # noqa: SLF001 - a fault of the program
        await story.record("here", NAMES)
        await story.run_register()
        await story.ask(NAMES)
        await story.record("elsewhere", NAMES)

        # when they are asked for, before and after the register has halted it, and when more came since than is kept
        # then it is told of that one that not all is known, and the others are known
        for _ in range(3):
            assert await unclear(story.cases) == set(NAMES[:1])
            await story.ask(NAMES[1:])
            assert {case_id for case_id, case in (await every(story.cases)).items() if isinstance(case, Unclear)} == {
                NAMES[0]
            }
            await bench.run(FailingRegister())
            await story.record("elsewhere", NAMES[1:])


async def test_a_fact_that_cannot_be_taken_is_not_passed_over_by_those_after_it() -> None:
    with a_bench() as bench:
        # given a case at hand, a fact of it that cannot be taken, and others that shorten what is kept behind it
        story = Story(bench, facts_kept=2)
        story.cases._register = FailingRegister()  # noqa: SLF001 - a fault of the program
        await story.record("here", NAMES)
        await story.run_register()
        await story.ask(NAMES)
        await story.record("elsewhere", NAMES[:2])
        await story.ask(NAMES[1:])
        await bench.run(FailingRegister())
        await story.record("elsewhere", NAMES[1:])
        await story.ask(NAMES[1:])

        # when more comes of it, then it is not taken for known
        await bench.log.append(CASES, PARTITION, [enrolment_of(NAMES[0])])
        assert await unclear(story.cases) == set(NAMES[:1])


async def test_a_case_that_is_halted_is_among_all_though_it_has_no_state_and_nothing_came_of_it_since() -> None:
    with a_bench() as bench:
        # given a case whose state was lost, which the register halts at its next fact
        story = Story(bench, facts_kept=0)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        await bench.store.remove(Register.name, NAMES[:1])
        await story.record("elsewhere", NAMES)
        await story.run_register()

        # when every case is asked for, then it is among them
        found = await every(story.cases)
        assert found.keys() == set(NAMES)
        assert isinstance(found[NAMES[0]], Unclear)


@pytest.mark.parametrize("other", [{"body": b"something else"}, {"schema": Register.schema - 1}], ids=str)
async def test_a_case_of_which_the_state_is_another_keeps_no_other_from_being_known(other: dict[str, Any]) -> None:
    with a_bench() as bench:
        # given cases, and a state of one of them that is not what the register writes, or has another shape
        story = Story(bench)
        await story.record("here", NAMES)
        await story.run_register()
        stored = (await bench.store.load(Register.name, NAMES[:1]))[NAMES[0]]
        await bench.store.remove(Register.name, NAMES[:1])
        await bench.store.save(Register.name, [Write(NAMES[0], None, replace(stored, **other))])

        # when they are asked for, and when all are, then of that one is told that not all is known, and the others are
        cases = Cases(bench.log, bench.store, bench.keyring)
        assert await unclear(cases) == set(NAMES[:1])
        known, why = await cases.readable(NAMES)
        assert known.keys() == set(NAMES[1:])
        assert "cannot be read: ontrack rebuild register" in why[NAMES[0]]
        found = await every(cases)
        assert {case_id for case_id, case in found.items() if isinstance(case, Unclear)} == {NAMES[0]}


async def test_a_case_that_has_lost_its_key_keeps_no_other_from_being_read() -> None:
    with a_bench() as bench, a_bench() as with_some_keys:
        # given cases, and a keyring that lacks the keys of two
        story = Story(bench)
        await story.record("here", NAMES)
        await story.run_register()
        await with_some_keys.know(NAMES[1])
        cases = Cases(bench.log, bench.store, with_some_keys.keyring)

        # when all are asked for, then the third is known, and of the others that they have no key
        known, why = await cases.readable(NAMES)
        assert dict(known) == {NAMES[1]: story.expected[NAMES[1]]}
        assert {case_id: case_id in reason for case_id, reason in why.items()} == {NAMES[0]: True, NAMES[2]: True}
        found = await every(cases)
        assert {case_id: isinstance(case, Unclear) for case_id, case in found.items()} == {
            NAMES[0]: True,
            NAMES[1]: False,
            NAMES[2]: True,
        }


@pytest.mark.parametrize("is_lost", [False, True])
async def test_while_a_case_is_looked_for_on_the_log_others_are_known(is_lost: bool) -> None:
    with a_bench() as bench:
        # given a partition of which the register has read something, and a process that does not read that again
        # while others wait
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        story.cases.looks_back_for = 0

        # when a case is asked for that has a key and no state: it was never enrolled, or its state is lost
        *_, name = cases_of(PARTITION, len(NAMES) + 1)
        if is_lost:
            name = NAMES[0]
            await bench.store.remove(Register.name, [name])
        await bench.know(name)
        others = [each for each in NAMES if each != name]

        # then it is told that it is not known yet, and the others are
        assert await unclear(story.cases, [name, *others]) == {name}
        await story.ask(others)

        # and when somebody has sought it, then it is known which of the two it is
        await story.cases.seek([name], within=60)
        assert await unclear(story.cases, [name]) == ({name} if is_lost else set())


async def test_who_seeks_a_case_for_too_long_is_told_to_come_again_and_goes_on_then() -> None:
    with a_bench() as bench:
        # given a case with a key and no fact, which a process does not know to be new
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        story.cases.looks_back_for = 0
        *_, name = cases_of(PARTITION, len(NAMES) + 1)
        await bench.know(name)
        assert await unclear(story.cases, [name]) == {name}

        # when it is sought for no longer than it takes to read something
        with pytest.raises(Unavailable, match="cases are being looked for"):
            await story.cases.seek([name], within=-1)

        # then what was read is not read again: here that was all
        assert not await story.cases.registered([name])


async def test_what_was_read_for_one_case_is_not_read_again_since_another_is_looked_for() -> None:
    with a_bench() as bench:
        # given two cases with keys and no facts, one of which was looked for up to the end
        story = Story(bench)
        await story.record_others(2 * A_BATCH)
        one, other = strangers(2)
        await bench.know(one, other)
        log = CountedLog(bench.log)
        cases = Cases(log, bench.store, bench.keyring, cases_at_hand=0, facts_kept=0)
        assert not await cases.registered([one])
        assert log.given == 2 * A_BATCH

        # when both are looked for, and not for long enough, when there is more on the log
        await story.record_others(10)
        cases.looks_back_for = 0
        assert await unclear(cases, [one, other]) == {one, other}
        with pytest.raises(Unavailable):
            await cases.seek([one, other], within=-1)

        # then for the one only what is new is read
        cases.looks_back_for = 100
        log.given = 0
        assert not await cases.registered([one])
        assert log.given == 10


async def test_more_cases_can_be_looked_for_than_are_remembered_to_be_on_no_record() -> None:
    with a_bench() as bench:
        # given cases with keys and no facts
        story = Story(bench)
        await story.record_others(3 * A_BATCH)
        many = strangers(ABSENT_AT_MOST + 1)
        await bench.know(*many)

        # when they are asked for, then what the register has read is read once, and none is there
        log = CountedLog(bench.log)
        cases = Cases(log, bench.store, bench.keyring)
        async with asyncio.timeout(60):
            assert not await cases.registered(many)
        assert log.given == 3 * A_BATCH

        # and when they are sought, each time for no longer than it takes to read something, that comes to its end too
        log.given = 0
        cases = Cases(log, bench.store, bench.keyring)
        cases.looks_back_for = 0
        assert await unclear(cases, many) == set(many)
        for _ in range(3):
            with suppress(Unavailable):
                await cases.seek(many, within=-1)
        assert log.given == 3 * A_BATCH
        assert await unclear(cases, many[-1:]) == set()


async def test_what_has_nothing_of_the_cases_that_are_left_is_not_read_again() -> None:
    with a_bench() as bench:
        # given a process that has looked for a case without a fact up to the end
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        await story.record_others(3 * A_BATCH)
        (name,) = strangers(1)
        await bench.know(name)
        log = CountedLog(bench.log)
        cases = Cases(log, bench.store, bench.keyring, cases_at_hand=0, facts_kept=0)
        assert not await cases.registered([name])
        await story.record_others(10)

        # when it is asked for together with one that was lost, and stands first on the log
        await bench.store.remove(Register.name, NAMES[:1])
        log.given = 0
        assert await unclear(cases, [name, NAMES[0]]) == {NAMES[0]}

        # then only that was read which leads to the one, and what has come since
        assert log.given == A_BATCH + 10


async def test_of_many_that_seek_cases_at_once_one_reads_for_all() -> None:
    with a_bench() as bench:
        # given many cases with keys and no facts, none of which a process knows to be new
        story = Story(bench)
        await story.record_others(3 * A_BATCH)
        many = strangers(20)
        await bench.know(*many)
        log = CountedLog(bench.log)
        cases = Cases(log, bench.store, bench.keyring)
        cases.looks_back_for = 0
        assert await unclear(cases, many) == set(many)

        # when all are sought at once
        await asyncio.gather(*(cases.seek([case_id], within=60) for case_id in many))

        # then what the register has read was read once, and all are known
        assert log.given == 3 * A_BATCH
        assert await unclear(cases, many) == set()


async def test_a_case_is_sought_also_while_somebody_else_asks_for_it() -> None:
    with a_bench() as bench:
        # given a case with a key and no fact, which a process does not know to be new
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        *_, name = cases_of(PARTITION, len(NAMES) + 1)
        await bench.know(name)
        cases = story.cases
        cases.looks_back_for = 0
        assert await unclear(cases, [name]) == {name}

        # when it is sought while another one asks for it, then that one knows it
        store = OvertakenStore(bench.store, lambda: cases.seek([name], within=60), "store.halted_among")
        cases._store = store  # noqa: SLF001 - from now on
        assert await unclear(cases, [name]) == set()


async def test_a_case_that_nobody_has_sought_is_known_when_the_register_has_its_enrolment() -> None:
    with a_bench() as bench:
        # given a case with a key and no fact, which a process does not know to be new
        story = Story(bench, facts_kept=0)
        await story.record("elsewhere", NAMES[1:])
        await story.run_register()
        story.cases.looks_back_for = 0
        assert await unclear(story.cases, NAMES[:1]) == set(NAMES[:1])

        # when it is enrolled elsewhere, and the register reads that
        await story.record("elsewhere", NAMES)
        await story.run_register()

        # then it is known
        await story.ask(NAMES)
