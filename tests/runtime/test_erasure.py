"""A case whose key was destroyed: nothing is said of it any more, and nobody else notices."""

from pathlib import Path

import pytest

from contracts.topics import CASES
from services.runtime.log.port import Record
from tests.runtime.stories import ANNA, BO, CARL, SCENARIOS, Tally, copied, prepared, scoring, three_on_cases
from tests.support.workbench import PARTITION, Workbench


@pytest.mark.parametrize("read_before", [0, 12, 33])
async def test_the_records_of_an_erased_case_are_passed_over_and_the_others_go_on(
    file: Path, tmp_path: Path, read_before: int
) -> None:
    # given the histories of three cases, of which some was read
    source = await prepared(SCENARIOS["a toy"], tmp_path / "source.db")
    copied(source, file)
    with Workbench.on(source) as bench:
        await bench.run(Tally())
        spared = await bench.outcome(Tally())
    with Workbench.on(file) as bench:
        runner = bench.runner(Tally())
        await runner.open(PARTITION)
        if read_before:
            await runner.advance(PARTITION, read_before)
        before = await bench.outcome(Tally())

        # when the key of one of them is destroyed
        await bench.keyring.destroy(BO)
        await bench.run(Tally(), at_once=5)
        found = await bench.outcome(Tally())

    # then nothing more is said of it, and it is not halted
    assert found.of(BO) == before.of(BO)
    assert found.states.get(BO) == before.states.get(BO)
    assert not found.halted

    # and the others are as they would have been
    for case_id in (ANNA, CARL):
        assert found.of(case_id) == spared.of(case_id)
        assert found.states[case_id] == spared.states[case_id]
    assert found.position == spared.position


async def test_facts_of_an_erased_case_are_no_dead_letters(file: Path) -> None:
    # given facts of a case that was erased, and some bytes under its name
    with Workbench.on(file) as bench:
        await three_on_cases(bench)
        await bench.log.append(CASES, PARTITION, [Record(BO, b"no fact")])
        await bench.keyring.destroy(BO)

        # when they are read
        await bench.run(scoring())
        outcome = await bench.outcome(scoring())

    # then there is no letter, and nothing is said
    assert outcome.letters == []
    assert outcome.of(BO) == []
    assert outcome.of(ANNA) != []
