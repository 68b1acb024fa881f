"""What is known of cases: everything on the log, whoever wrote it and however far the register has come."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import services.ingest.cases
from contracts.codec import encode, prepared
from contracts.events.event import Data, Event, new_fact
from contracts.events.facts import CaseEnrolled, SessionScheduled
from contracts.topics import CASES, Topic
from services.ingest.cases import Cases, KeyMissing, RegisterBehind
from services.ingest.domain.register import Register, Registered, Unclear
from services.runtime.log.port import Record, StoredRecord
from services.runtime.reading import event_of
from services.runtime.runner import Runner
from services.runtime.store.port import AgendaStore, StatesReplaced
from services.runtime.unavailable import Unavailable
from tests.support.clinic import policy_like, protocol_like
from tests.support.faults import OvertakenStore, ReplacedStore, Trouble, TroubledLog
from tests.support.workbench import LOG_ID, PARTITION, Workbench, cases_of, key_of

MOMENT: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
NAMES: Final = tuple(cases_of(PARTITION, 3))
ENROLLED: Final = CaseEnrolled(clinic="c1", protocol=protocol_like(), policy=policy_like())
FACT: Final = "00000000-0000-4000-8000-000000000000"
Who = Literal["here", "elsewhere"]


def a_fact(case_id: str, number: int) -> Event[Data]:
    """A fact of a case: the first one enrols it, each later one schedules another session."""
    data: Data = SessionScheduled(session=number % 900, scheduled=MOMENT + timedelta(days=number))
    if number == 0:
        data = ENROLLED
    fact_id = f"00000000-0000-4000-8000-{NAMES.index(case_id):04}{number:08}"
    return new_fact(data, case_id=case_id, fact_id=fact_id, source="urn:test", happened=MOMENT)


class Story:
    """A log with a register, facts that are recorded here and elsewhere, and what must be known of each case."""

    def __init__(self, bench: Workbench, store: AgendaStore | None = None, **limits: int) -> None:
        self.bench = bench
        self.cases = Cases(bench.log, store or bench.store, bench.keyring, **limits)
        self.expected: dict[str, Registered] = {}
        self._register = Register()
        self._counts = dict.fromkeys(NAMES, 0)

    async def record(self, who: Who, case_ids: Sequence[str]) -> None:
        """Record a fact of each case; if that is done here, it is told to those who know the cases."""
        await self.bench.know(*NAMES)
        records = []
        for case_id in case_ids:
            fact = a_fact(case_id, self._counts[case_id])
            self._counts[case_id] += 1
            self.expected[case_id], _ = self._register.step(self.expected.get(case_id, Registered()), fact)
            ready = prepared(fact, key_of(case_id))
            records.append(Record(case_id, encode(ready), ready))
        start = (await self.bench.log.append_each(CASES, {PARTITION: [records]}))[PARTITION]
        if who == "here":
            assert isinstance(start, int)
            self.cases.recorded(PARTITION, start, records)

    async def run_register(self) -> None:
        """Let the register read everything."""
        await self.bench.run(self._register)

    async def ask(self, case_ids: Sequence[str]) -> None:
        """Ask what is known, and compare."""
        known = await self.cases.registered(case_ids)
        wanted = {case_id: self.expected[case_id] for case_id in case_ids if case_id in self.expected}
        assert dict(known) == wanted

    async def ask_for_all(self) -> None:
        """Ask for every case there is, and compare."""
        known = {case_id: state async for some in self.cases.all() for case_id, state in some.items()}
        assert known == self.expected

    async def read(self) -> list[StoredRecord]:
        """Give every fact as a broker does: as bytes."""
        records = await self.bench.log.read(CASES, PARTITION, 0, 1_000)
        return [record._replace(event=None) for record in records]


def enrolment_of(case_id: str) -> Record:
    """The record of an enrolment that nobody has told of."""
    fact = new_fact(ENROLLED, case_id=case_id, fact_id=FACT, source="urn:test", happened=MOMENT)
    return Record(case_id, encode(prepared(fact, key_of(case_id))))


class FailingRegister(Register):
    """One that cannot go on with the first of the cases when one of its sessions is scheduled."""

    def step(self, state: Registered, event: Event[Data]) -> tuple[Registered, Sequence[Event[Data]]]:
        if event.subject == NAMES[0] and isinstance(event.data, SessionScheduled):
            raise ValueError("it fails")
        return super().step(state, event)


class PoliteLog(TroubledLog):
    """A log that lets others have their turn before it reads, as brokers do."""

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        await asyncio.sleep(0)
        return await super().read(topic, partition, offset, limit)


@contextmanager
def a_bench() -> Iterator[Workbench]:
    with TemporaryDirectory() as folder, Workbench.on(Path(folder) / "bench.db") as bench:
        yield bench


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


async def unclear(cases: Cases, case_ids: Sequence[str] = NAMES) -> set[str]:
    """Which of some cases are not known for certain: that is told of them, and of no others."""
    found = {case_id for case_id, case in (await cases.registered(case_ids)).items() if isinstance(case, Unclear)}
    known, why = await cases.readable(case_ids)
    assert why.keys() == found
    assert not known.keys() & found
    return found


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


async def every(cases: Cases) -> dict[str, Registered]:
    """Every case there is."""
    return {case_id: case async for some in cases.all() for case_id, case in some.items()}


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


async def test_what_was_read_for_one_case_is_not_read_again_since_another_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services.ingest.cases, "_AT_ONCE", 1)
    with a_bench() as bench:
        # given two cases with keys and no facts, one of which was looked for up to the end
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        one, other = cases_of(PARTITION, len(NAMES) + 2)[-2:]
        await bench.know(one, other)
        trouble = Trouble()
        cases = Cases(TroubledLog(bench.log, trouble), bench.store, bench.keyring, cases_at_hand=0, facts_kept=0)
        assert not await cases.registered([one])
        assert trouble.calls.count("log.read") == len(NAMES)

        # when both are looked for, and not for long enough, when there is more on the log
        await story.record("elsewhere", NAMES)
        await story.run_register()
        cases.looks_back_for = 0
        assert await unclear(cases, [one, other]) == {one, other}
        with pytest.raises(Unavailable):
            await cases.seek([one, other], within=-1)

        # then for the one only what is new is read
        cases.looks_back_for = 100
        trouble.calls.clear()
        assert not await cases.registered([one])
        assert trouble.calls.count("log.read") == len(NAMES)


async def test_of_many_that_seek_cases_at_once_one_reads_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.ingest.cases, "_AT_ONCE", 1)
    with a_bench() as bench:
        # given many cases with keys and no facts, none of which a process knows to be new
        story = Story(bench)
        await story.record("elsewhere", NAMES)
        await story.run_register()
        many = cases_of(PARTITION, len(NAMES) + 20)[len(NAMES) :]
        await bench.know(*many)
        trouble = Trouble()
        cases = Cases(PoliteLog(bench.log, trouble), bench.store, bench.keyring)
        cases.looks_back_for = 0
        assert await unclear(cases, many) == set(many)

        # when all are sought at once
        await asyncio.gather(*(cases.seek([case_id], within=60) for case_id in many))

        # then what the register has read was read once, and all are known
        assert trouble.calls.count("log.read") == len(NAMES)
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
        store = OvertakenStore(bench.store, lambda: cases.seek([name], within=60), "store.halted")
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
