"""Facts that cannot be read: each gets a letter that says where it is, and the others go on."""

from pathlib import Path

import pytest

from contracts.codec import encode, prepared
from contracts.events.publications import FactUnreadable
from contracts.topics import CASES, DEAD_LETTERS
from services.ingest.domain.register import Register
from services.runtime.faults import StageStopped
from services.runtime.log.port import LogUnavailable, Record
from services.runtime.runner import BATCH, DEAD_LETTERS_AT_MOST
from services.runtime.store.port import Position
from tests.runtime.damages import INSIDE, OF_FACTS, OUTSIDE
from tests.runtime.stories import ANNA, BO, COMMENT, course, mishaps_on_cases, scoring
from tests.support.faults import Away
from tests.support.histories import History, in_turn
from tests.support.workbench import LOG_ID, PARTITION, Workbench, go_on, key_of, letters


@pytest.mark.parametrize("damage", OUTSIDE | INSIDE | OF_FACTS)
async def test_an_unreadable_fact_becomes_a_dead_letter_and_the_others_go_on(tmp_path: Path, damage: str) -> None:
    # given facts that are scored, and the same facts with one among them that cannot be read
    facts = in_turn(course(ANNA), course(BO))
    with Workbench.on(tmp_path / "alone.db") as bench:
        await bench.know(ANNA, BO)
        await bench.put(CASES, facts)
        await bench.run(scoring())
        expected = await bench.outcome(scoring())
    record = (OUTSIDE | INSIDE | OF_FACTS)[damage](encode(prepared(History(ANNA).absent(7).events[0], key_of(ANNA))))
    with Workbench.on(tmp_path / "damaged.db") as bench:
        await bench.know(ANNA, BO)
        await bench.put(CASES, facts[:5])
        await bench.log.append(CASES, PARTITION, [Record(ANNA, record)])
        await bench.put(CASES, facts[5:])

        # when they are read
        await bench.run(scoring(), at_once=4)
        found, dead = await bench.outcome(scoring()), await bench.records(DEAD_LETTERS)

    # then there is one letter, which says where and why, and nothing of what the fact holds
    (letter,) = found.letters
    assert (letter.partition, letter.offset) == (PARTITION, 5)
    assert letter.reason in {"not-an-event", "unknown-type", "not-sealed", "seal-broken", "other-key"}
    for word in (COMMENT, "Karen", "session", "data_base64"):
        assert word.encode() not in dead[0].value

    # and everything else is as if it had never been there
    assert found.output == expected.output
    assert not found.halted


async def test_a_fact_is_reported_once_though_two_stages_read_it(file: Path) -> None:
    # given a fact that cannot be read
    with Workbench.on(file) as bench:
        await mishaps_on_cases(bench)

        # when the register and the scoring read it
        await bench.run(Register())
        await bench.run(scoring())

        # then each unreadable fact has one letter
        dead = await bench.records(DEAD_LETTERS)
    assert len(dead) == len(letters(dead)) > 1


async def test_as_many_unreadable_facts_as_the_limit_allows_do_not_stop_a_stage(file: Path) -> None:
    # given just as many unreadable facts, and one that can be read
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * DEAD_LETTERS_AT_MOST)
        await bench.put(CASES, History(ANNA).enrolled().events)

        # when they are read
        await bench.run(scoring(), at_once=30)

        # then there is a letter for each, and the other one was taken
        outcome = await bench.outcome(scoring())
    assert outcome.letters == [
        FactUnreadable(partition=PARTITION, offset=offset, reason="not-an-event")
        for offset in range(DEAD_LETTERS_AT_MOST)
    ]
    assert len(outcome.output) == 1


@pytest.mark.parametrize("at_once", [BATCH, DEAD_LETTERS_AT_MOST])
async def test_one_unreadable_fact_more_than_the_limit_stops_a_stage(file: Path, at_once: int) -> None:
    # given one unreadable fact too many, in one batch or in two
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * (DEAD_LETTERS_AT_MOST + 1))
        runner = bench.runner(scoring())
        await runner.open(PARTITION)

        # when they are read
        with pytest.raises(StageStopped) as stop:
            await go_on(runner, at_once=at_once)

        # then the stage stops, says what to do, and has written nothing of that batch
        whole_batches = DEAD_LETTERS_AT_MOST if at_once == DEAD_LETTERS_AT_MOST else 0
        assert await bench.log.end(DEAD_LETTERS, PARTITION) == whole_batches
        assert await bench.store.position("scoring", PARTITION) == Position(LOG_ID, whole_batches)
    words = str(stop.value)
    assert f"{DEAD_LETTERS_AT_MOST + 1} records of rom.cases.v1" in words
    assert "To mend it: find out who writes them, then start again with a higher limit." in words


async def test_a_fact_that_is_read_again_after_a_failure_counts_once(file: Path) -> None:
    # given more than half as many unreadable facts as the limit allows, and a log that cannot be written for a while
    trouble = Away()
    with Workbench.on(file, trouble) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * (DEAD_LETTERS_AT_MOST // 2 + 1))
        runner = bench.runner(scoring())
        await runner.open(PARTITION)
        trouble.call, trouble.times = "log.append", 3
        for _ in range(3):
            with pytest.raises(LogUnavailable):
                await go_on(runner)

        # when the log is back and the same facts are read again
        await go_on(runner)

        # then each has its letter, and the stage goes on
        assert len((await bench.outcome(scoring())).letters) == DEAD_LETTERS_AT_MOST // 2 + 1


async def test_taking_up_a_partition_again_does_not_raise_the_limit(file: Path) -> None:
    # given many more unreadable facts than the limit allows
    with Workbench.on(file) as bench:
        await bench.know(ANNA)
        await bench.log.append(CASES, PARTITION, [Record(ANNA, b"no fact")] * (3 * DEAD_LETTERS_AT_MOST))
        runner = bench.runner(scoring())

        # when a service reads them in small batches, and takes the partition up again each time that it stops
        for _ in range(4):
            await runner.open(PARTITION)
            with pytest.raises(StageStopped):
                await go_on(runner, at_once=60)

        # then it stays where it stopped first
        assert await bench.log.end(DEAD_LETTERS, PARTITION) == 60
        assert await bench.store.position("scoring", PARTITION) == Position(LOG_ID, 60)
