"""A case whose key was destroyed: nothing is said of it any more, and nobody else notices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from contracts.events.event import Data, Event
from contracts.topics import CASES
from services.runtime.log.port import Record
from services.runtime.stage import Stage
from services.scoring.domain.assessments import Assessments
from services.scoring.domain.stage import Scoring
from tests.runtime.stories import ANNA, BO, CARL, SCENARIOS, Tally, copied, prepared, scoring, three_on_cases
from tests.support.faults import Crash, CrashAt, OvertakenStore, TroubledStore
from tests.support.workbench import PARTITION, Workbench

ALL: Final = 33
"""The records of three cases."""


@pytest.mark.parametrize("read_before", [0, 12, ALL])
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

    # then nothing more is said of it, and it is not halted; where more comes of it, what was known is forgotten
    assert found.of(BO) == before.of(BO)
    assert found.states.get(BO) == (before.states.get(BO) if read_before == ALL else None)
    assert not found.halted

    # and the others are as they would have been
    for case_id in (ANNA, CARL):
        assert found.of(case_id) == spared.of(case_id)
        assert found.states[case_id] == spared.states[case_id]
    assert found.position == spared.position


async def _erased(bench: Workbench, stage: Stage[Any]) -> None:
    """Erase a case as whoever does that: first its key, then what is kept."""
    await bench.keyring.destroy(BO)
    await bench.store.remove(stage.name, [BO])


@pytest.mark.parametrize("call", ["store.save", "store.set_position"])
async def test_a_stage_that_has_the_key_in_hand_does_not_bring_an_erased_case_back(file: Path, call: str) -> None:
    # given facts of three cases
    with Workbench.on(file) as bench:
        await three_on_cases(bench)

        # when one is erased while a stage works on the first batch of them
        store = OvertakenStore(bench.store, lambda: _erased(bench, scoring()), call)
        runner = bench.runner(scoring(), store=store)
        await runner.open(PARTITION)
        while await runner.advance(PARTITION):
            pass

        # then nothing of it is kept, and the others are
        outcome = await bench.outcome(scoring())
        assert set(outcome.states) == {ANNA, CARL}


class Stumbling(Scoring):
    """Scoring that cannot go on with one case, from its first fact on."""

    def step(self, state: Assessments, event: Event[Data]) -> tuple[Assessments, Sequence[Event[Data]]]:
        if event.subject == BO:
            raise ValueError("it fails")
        return super().step(state, event)


async def test_a_case_that_is_erased_while_a_stage_halts_it_is_not_halted(file: Path) -> None:
    # given facts of three cases, and a stage that cannot go on with one of them
    with Workbench.on(file) as bench:
        await three_on_cases(bench)
        stage = Stumbling(Catalogue(library()))

        # when that one is erased right before it is recorded that it is halted
        runner = bench.runner(stage, store=OvertakenStore(bench.store, lambda: _erased(bench, stage)))
        await runner.open(PARTITION)
        await runner.advance(PARTITION)

        # then nothing of it is kept, and nobody is told that it waits for something
        outcome = await bench.outcome(stage)
        assert set(outcome.states) == {ANNA, CARL}
        assert not outcome.halted


async def test_a_stage_that_died_when_it_had_brought_an_erased_case_back_forgets_it(file: Path) -> None:
    # given a case that was erased right before a stage wrote what it knows of it, and that died then
    with Workbench.on(file) as bench:
        await three_on_cases(bench)
        dying = TroubledStore(bench.store, CrashAt(call="store.save", when="after"))
        runner = bench.runner(scoring(), store=OvertakenStore(dying, lambda: _erased(bench, scoring())))
        await runner.open(PARTITION)
        with pytest.raises(Crash):
            await runner.advance(PARTITION)
        assert BO in (await bench.outcome(scoring())).states

    # when it runs again
    with Workbench.on(file) as bench:
        await bench.run(scoring())

        # then nothing of the case is kept
        assert set((await bench.outcome(scoring())).states) == {ANNA, CARL}


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
