"""The runner: whatever happens to a process between two steps, the outcome is one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.topics import CASES, SCORES, TRACKS
from services.ingest.domain.register import Register
from services.not_detector.domain.stage import NotDetector
from services.notifier.domain.stage import Notifier
from services.runtime.faults import PartitionLost
from services.runtime.log.port import LogUnavailable, Record, next_offset
from services.runtime.runner import AT_A_TIME, BATCH
from services.runtime.stage import Stage
from services.runtime.store.port import Position, StoreUnavailable
from services.scoring.domain.stage import Scoring
from tests.runtime.stories import (
    ANNA,
    BO,
    CARL,
    COMMENT,
    SCENARIOS,
    Scenario,
    Tally,
    attendance,
    copied,
    course,
    each_scenario,
    prepared,
    scoring,
    three_on_cases,
    three_on_scores,
)
from tests.support.faults import Away, Crash, CrashAt, OvertakenStore, Trouble, When
from tests.support.histories import History, in_turn, numbered
from tests.support.workbench import LOG_ID, PARTITION, Workbench, cases_of, go_on, numbers, once

# The order of the steps


async def test_the_steps_of_a_batch_have_one_order(file: Path) -> None:
    # given a stage that has taken up its partition
    trouble = Trouble()
    with Workbench.on(file, trouble) as bench:
        await three_on_scores(bench)
        stage = Tally(steps=trouble.calls)
        runner = bench.runner(stage)
        await runner.open(PARTITION)
        trouble.calls.clear()

        # when it works on a batch
        await runner.process(PARTITION, await bench.log.read(SCORES, PARTITION, 0, 100))

    # then it loads, steps, publishes, saves, moves on, each once for the whole batch
    kept = ("store.load", "step", "log.append", "store.save", "store.set_position")
    order = [call for call in trouble.calls if call in kept]
    assert list(dict.fromkeys(order)) == list(kept)
    assert [call for call in order if call != "step"] == [
        "store.load",
        "log.append",
        "store.save",
        "store.set_position",
    ]


async def test_others_have_their_turn_while_a_batch_is_stepped_through(file: Path) -> None:
    # given a batch, and somebody else who counts the turns that they have
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        records = await bench.log.read(SCORES, PARTITION, 0, 1)
        repeated = [records[0]._replace(offset=offset) for offset in range(10 * AT_A_TIME)]
        runner = bench.runner(Tally())
        await runner.open(PARTITION)
        counting = asyncio.create_task(count_turns())

        # when it is worked on
        await runner.process(PARTITION, repeated)
        counting.cancel()

    # then they have had one for every so many records
    assert turns >= 10


@pytest.mark.parametrize(
    ("stage", "prepare", "before"),
    # Two facts of each course are said twice.
    [(scoring(), three_on_cases, 6), (Tally(), three_on_scores, 0)],
    ids=["facts", "conclusions"],
)
async def test_what_stands_there_once_more_is_counted(
    file: Path, stage: Stage[Any], prepare: Callable[[Workbench], Awaitable[None]], before: int
) -> None:
    # given records that stand there twice, as a crash leaves them
    with Workbench.on(file) as bench:
        await prepare(bench)
        records = await bench.log.read(stage.reads, PARTITION, 0, 100)
        await bench.log.append(stage.reads, PARTITION, [Record(each.key, each.value) for each in records])
        again = await bench.log.read(stage.reads, PARTITION, next_offset(records), 100)
        runner = bench.runner(stage)
        await runner.open(PARTITION)

        # when they are worked on, then each is counted when it comes once more
        assert (await runner.process(PARTITION, records)).repeated == before
        assert (await runner.process(PARTITION, again)).repeated == len(again) == len(records)


async def test_others_wait_for_no_more_than_a_few_records_of_all_partitions_together(file: Path) -> None:
    # given a batch in each of some partitions, and somebody else who sees how many records were stepped through
    steps: list[str] = []
    between: list[int] = []
    partitions, number = (0, 1, 2), 4 * AT_A_TIME

    async def see() -> None:
        while True:
            before = len(steps)
            await asyncio.sleep(0)
            between.append(len(steps) - before)

    with Workbench.on(file) as bench:
        runner = bench.runner(Tally(steps=steps))
        for partition in partitions:
            [case_id] = cases_of(partition, 1)
            story = History(case_id)
            for session in range(number):
                story.attended(session)
            await bench.know(case_id)
            await bench.put(SCORES, numbered(story.events), partition=partition)
            await runner.open(partition)
        seeing = asyncio.create_task(see())

        # when all are worked on at once
        await asyncio.gather(*(runner.advance(partition) for partition in partitions))
        seeing.cancel()

    # then these are never more than a few
    assert len(steps) == number * len(partitions)
    assert max(between) == AT_A_TIME


async def test_keys_are_there_before_the_first_step(file: Path) -> None:
    # given a stage that works on a batch
    trouble = Trouble()
    with Workbench.on(file, trouble) as bench:
        await three_on_scores(bench)
        await bench.run(Tally(steps=trouble.calls))

    # then the keys were asked for before, and again only when the states were kept
    [first, again] = [place for place, call in enumerate(trouble.calls) if call == "keyring.keys"]
    assert first < trouble.calls.index("step")
    assert again > trouble.calls.index("store.save")


@each_scenario
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_moment_changes_nothing(scenario: Scenario, when: When, tmp_path: Path) -> None:
    # given a run that was left alone
    source = await prepared(scenario, tmp_path / "source.db")
    alone = copied(source, tmp_path / "alone.db")
    with Workbench.on(alone) as bench:
        await scenario.run(bench, at_once=13)
        expected, calls = await bench.outcome(scenario.stage()), len(bench.trouble.calls)
    assert calls > 20

    for nth in range(1, calls + 1):
        # when another one ends before, or right after, some call of a port
        file = copied(source, tmp_path / "crashed.db")
        with Workbench.on(file, CrashAt(nth=nth, when=when)) as bench, pytest.raises(Crash):
            await scenario.run(bench, at_once=13)

        # and a new process goes on, with batches of another size
        with Workbench.on(file) as bench:
            await scenario.run(bench, at_once=7)

            # then what came of it is the same, to the byte
            assert await bench.outcome(scenario.stage()) == expected, f"{when} call {nth}"


@each_scenario
@pytest.mark.parametrize("at_once", [1, 2, 3, 8, BATCH])
async def test_the_size_of_a_batch_changes_nothing(scenario: Scenario, at_once: int, tmp_path: Path) -> None:
    # given a run in batches of some size
    source = await prepared(scenario, tmp_path / "source.db")
    file = copied(source, tmp_path / "other.db")
    with Workbench.on(source) as bench:
        await scenario.run(bench, at_once=13)
        expected = await bench.outcome(scenario.stage())

    # when it is run in batches of another size
    with Workbench.on(file) as bench:
        await scenario.run(bench, at_once=at_once)

        # then what came of it is the same, to the byte, but for the order between cases that had halted
        found = await bench.outcome(scenario.stage())
    assert replace(found, output=[]) == replace(expected, output=[])
    assert found.by_case() == expected.by_case()


@each_scenario
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["log.append", "log.read", "store.load", "store.save", "store.set_position"])
async def test_a_port_that_is_away_for_a_while_changes_nothing(
    scenario: Scenario, call: str, when: When, tmp_path: Path
) -> None:
    # given a run that was left alone
    source = await prepared(scenario, tmp_path / "source.db")
    file = copied(source, tmp_path / "other.db")
    with Workbench.on(source) as bench:
        await scenario.run(bench, at_once=13)
        expected = await bench.outcome(scenario.stage())

    # when in another one a port cannot be reached, or its answer is lost, three times
    trouble = Away()
    with Workbench.on(file, trouble) as bench:
        runner = bench.runner(scenario.stage())
        await runner.open(PARTITION)
        trouble.call, trouble.times, trouble.when = call, 3, when
        for _ in range(3):
            with pytest.raises((LogUnavailable, StoreUnavailable)):
                await go_on(runner, at_once=13)

        # and the same runner tries again
        await go_on(runner, at_once=13)

        # then what came of it is the same, to the byte
        assert await bench.outcome(scenario.stage()) == expected


async def test_two_stages_in_a_row_say_the_same_whatever_the_first_repeats(tmp_path: Path) -> None:
    # given two stages in a row that were left alone
    source = await prepared(SCENARIOS["scoring"], tmp_path / "source.db")
    alone = copied(source, tmp_path / "alone.db")
    with Workbench.on(alone) as bench:
        await bench.run(scoring(), at_once=13)
        await bench.run(Tally(), at_once=13)
        expected = await bench.outcome(Tally())

    # when the first is ended again and again between publishing and saving, and the second reads along
    file = copied(source, tmp_path / "crashed.db")
    for nth in (1, 1, 2, 3, 1):
        with Workbench.on(file, CrashAt(nth=nth, call="store.save")) as bench, pytest.raises(Crash):
            await bench.run(scoring(), at_once=9)
        with Workbench.on(file) as bench:
            await bench.run(Tally(), at_once=4)
    with Workbench.on(file) as bench:
        await bench.run(scoring())
        await bench.run(Tally())
        found, repeated = await bench.outcome(Tally()), await bench.records(SCORES)

    # then the first has said much twice
    assert len(repeated) > len(once(repeated))

    # and the second has said the same, and knows the same, to the byte
    assert found.output == expected.output
    assert {case_id: replace(state, offset=0) for case_id, state in found.states.items()} == {
        case_id: replace(state, offset=0) for case_id, state in expected.states.items()
    }


ACTIONS: Final[Sequence[Callable[[History], History]]] = (
    lambda story: story.enrolled(),
    lambda story: story.answered(1, 4, 4, 4, 4, 4, comment=COMMENT),
    lambda story: story.answered(1, 3, 3, 3, 3, 3),
    lambda story: story.answered(2),
    lambda story: story.corrected(1, 0, 0, 0, 0, 0),
    lambda story: story.withdrawn(1),
    lambda story: story.asked(2),
    lambda story: story.no_longer_asked(2),
    lambda story: story.attended(2),
    lambda story: story.named_a_problem("sleep"),
    lambda story: story.again(0),
    lambda story: story.closed(),
)


@settings(deadline=None, max_examples=25)
@given(
    told=st.lists(st.tuples(st.sampled_from([ANNA, BO]), st.sampled_from(ACTIONS)), min_size=1, max_size=25),
    crashes=st.lists(
        st.tuples(st.integers(1, 12), st.sampled_from(["before", "after"]), st.integers(1, 6)), max_size=4
    ),
)
async def test_whatever_happens_to_a_case_and_to_the_process_the_outcome_is_one(
    told: list[tuple[str, Callable[[History], History]]], crashes: list[tuple[int, When, int]]
) -> None:
    # given any history of two cases
    stories = {case_id: History(case_id).enrolled() for case_id in (ANNA, BO)}
    for case_id, action in told:
        action(stories[case_id])
    with TemporaryDirectory() as directory:
        alone, crashed = Path(directory, "alone.db"), Path(directory, "crashed.db")
        for file in (alone, crashed):
            with Workbench.on(file) as bench:
                await bench.know(ANNA, BO)
                await bench.put(CASES, in_turn(*stories.values()))

        # when one process runs it through, and several others run into any crashes
        with Workbench.on(alone) as bench:
            await bench.run(scoring())
            expected = await bench.outcome(scoring())
        for nth, when, at_once in crashes:
            with Workbench.on(crashed, CrashAt(nth=nth, when=when)) as bench:
                try:
                    await bench.run(scoring(), at_once=at_once)
                except Crash:
                    continue
        with Workbench.on(crashed) as bench:
            await bench.run(scoring())

            # then what came of it is the same, to the byte
            assert await bench.outcome(scoring()) == expected


STORIES: Final = {ANNA: course(ANNA).events, BO: course(BO).events, CARL: attendance(CARL).events}
TURNS: Final = [case_id for case_id, events in STORIES.items() for _ in events]


def a_chain() -> list[Stage[Any]]:
    catalogue = Catalogue(library())
    return [Register(), Scoring(catalogue), NotDetector(catalogue), Notifier(catalogue)]


@settings(deadline=None, max_examples=15)
@given(turns=st.permutations(TURNS), at_once=st.sampled_from([3, 11, BATCH]))
async def test_the_order_between_cases_does_not_matter(turns: list[str], at_once: int) -> None:
    # given the same histories of several cases, once case by case, once with their facts between each other
    apart = [event for events in STORIES.values() for event in events]
    untold = {case_id: iter(events) for case_id, events in STORIES.items()}
    mixed = [next(untold[case_id]) for case_id in turns]
    assert len(mixed) == len(apart)
    outcomes = []
    with TemporaryDirectory() as directory:
        for name, facts in (("apart.db", apart), ("mixed.db", mixed)):
            with Workbench.on(Path(directory, name)) as bench:
                await bench.know(*STORIES)
                await bench.put(CASES, facts)

                # when every stage has read everything
                for stage in a_chain():
                    await bench.run(stage, at_once=at_once)
                outcomes.append([await bench.outcome(stage) for stage in a_chain()])

    # then each stage has said the same of each case, and knows the same, to the byte
    for one, other in zip(*outcomes, strict=True):
        assert one.by_case() == other.by_case()
        assert {case_id: replace(state, offset=0) for case_id, state in one.states.items()} == {
            case_id: replace(state, offset=0) for case_id, state in other.states.items()
        }
    assert outcomes[0][-1].output


# Others at work


async def test_a_runner_that_was_overtaken_gives_the_partition_up(tmp_path: Path) -> None:
    # given two runners of one stage on the same partition, of which one is slow
    source = await prepared(SCENARIOS["a toy"], tmp_path / "source.db")
    file = copied(source, tmp_path / "other.db")
    with Workbench.on(source) as bench:
        await bench.run(Tally())
        expected = await bench.outcome(Tally())
    with Workbench.on(file) as bench:

        async def the_other_reads_everything() -> None:
            await bench.run(Tally())

        store = OvertakenStore(bench.store, the_other_reads_everything)
        slow = bench.runner(Tally(), store=store)
        await slow.open(PARTITION)

        # when the other has read everything before the slow one saves its batch
        with pytest.raises(PartitionLost, match="another process runs tally on partition 0"):
            await slow.advance(PARTITION, 10)

        # then states and position are those of the other, and what was published twice is the same
        assert await bench.outcome(Tally()) == expected

        # and the slow one can take the partition up again
        await slow.open(PARTITION)
        await go_on(slow)
        assert await bench.outcome(Tally()) == expected


async def test_a_runner_that_comes_to_the_same_result_as_another_leaves_the_partition_to_it(file: Path) -> None:
    # given two runners of one stage that read the same batch
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        other = bench.runner(Tally())

        async def the_other_reads_the_same() -> None:
            await other.open(PARTITION)
            await other.advance(PARTITION, 10)

        runner = bench.runner(Tally(), store=OvertakenStore(bench.store, the_other_reads_the_same))
        await runner.open(PARTITION)

        # when both have published and saved it
        with pytest.raises(PartitionLost):
            await go_on(runner, at_once=10)

        # then the one that took the partition last goes on, and what was published twice is the same
        assert await bench.store.position("tally", PARTITION) == Position(LOG_ID, 10)
        await go_on(other, at_once=10)
        outcome = await bench.outcome(Tally())
    assert numbers(outcome.output, ANNA) == list(range(1, 13))
    assert outcome.position == Position(LOG_ID, 33)


async def test_a_runner_that_lost_its_partition_while_it_passed_over_a_halted_case_says_nothing_of_it(
    file: Path,
) -> None:
    # given a case that is halted, and further records of it
    events = list(numbered(in_turn(attendance(ANNA).attended(6).attended(7))))
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.put(SCORES, events[:-2])
        await bench.run(Tally(trips_over=ANNA))
        await bench.put(SCORES, events[-2:])

        # when a runner passes these over, and another one takes the partition and lets the case go on before it says so
        async def the_other_takes_up() -> None:
            other = bench.runner(Tally())
            await other.open(PARTITION)
            await other.resume_halted(PARTITION)

        late = OvertakenStore(bench.store, the_other_takes_up, "store.set_position")
        runner = bench.runner(Tally(), store=late)
        await runner.open(PARTITION)
        with pytest.raises(PartitionLost):
            await runner.advance(PARTITION)

        # then nothing of the case has been passed over
        await bench.run(Tally())
        found = await bench.outcome(Tally())
    with Workbench.on(file.with_name("undisturbed")) as calm:
        await calm.know(ANNA)
        await calm.put(SCORES, events)
        await calm.run(Tally())
        expected = await calm.outcome(Tally())
    assert found.by_case() == expected.by_case()
    assert found.states == expected.states
    assert list(found.halted) == []


async def test_a_partition_is_left_where_it_was_and_taken_up_there(file: Path) -> None:
    # given a stage that has read a part of a partition
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        runner = bench.runner(Tally())
        await runner.open(PARTITION)

        # when it is asked to read some, more, and the rest
        read = [await runner.advance(PARTITION, limit) for limit in (4, 10, 100, 100)]

        # then it says how many there were, and knows how far it has come
        assert read == [4, 10, 19, 0]
        assert await bench.store.position("tally", PARTITION) == Position(LOG_ID, 33)


async def test_a_runner_that_has_lost_a_partition_does_nothing_there_until_it_has_opened_it_again(file: Path) -> None:
    # given a runner that was overtaken
    with Workbench.on(file) as bench:
        await three_on_scores(bench)

        async def the_other_reads_some() -> None:
            other = bench.runner(Tally())
            await other.open(PARTITION)
            await other.advance(PARTITION, 20)

        slow = bench.runner(Tally(), store=OvertakenStore(bench.store, the_other_reads_some))
        await slow.open(PARTITION)
        with pytest.raises(PartitionLost):
            await slow.advance(PARTITION, 30)
        before, records = await bench.outcome(Tally()), await bench.records(TRACKS)

        # when it is asked to go on, in any way
        given = await bench.log.read(SCORES, PARTITION, 20, 10)
        for attempt in (slow.advance(PARTITION), slow.process(PARTITION, given), slow.process(PARTITION, given)):
            with pytest.raises(PartitionLost, match="tally has to take up partition 0 first"):
                await attempt

        # then it refuses, and nothing was written
        assert await bench.outcome(Tally()) == before
        assert await bench.records(TRACKS) == records

        # and when it has opened the partition again, it goes on where the other has left it
        await slow.open(PARTITION)
        assert await slow.advance(PARTITION) == 13


async def test_a_runner_does_nothing_in_a_partition_that_it_has_never_opened(file: Path) -> None:
    # given a runner that has opened no partition
    with Workbench.on(file) as bench:
        await three_on_scores(bench)
        runner = bench.runner(Tally())

        # when it is asked to read one
        # then it refuses
        with pytest.raises(PartitionLost, match="tally has to take up partition 0 first"):
            await runner.advance(PARTITION)
        assert await bench.log.end(TRACKS, PARTITION) == 0


async def test_partitions_do_not_wait_for_each_other(file: Path) -> None:
    # given the histories of two cases in two partitions
    other = 5
    (dora,) = cases_of(other, 1)
    with Workbench.on(file) as bench:
        await bench.know(ANNA, dora)
        await bench.put(SCORES, numbered(attendance(ANNA).events))
        await bench.put(SCORES, numbered(attendance(dora).events), partition=other)

        # when one is read
        await bench.run(Tally(), partition=other)

        # then the output is in the partition of the input, and nothing is in the other
        assert {each.key for each in await bench.records(TRACKS, other)} == {dora}
        assert await bench.log.end(TRACKS, PARTITION) == 0
        assert await bench.store.position("tally", PARTITION) is None
