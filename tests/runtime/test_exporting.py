"""What an export leaves out: just what the first stage puts aside."""

from pathlib import Path

import pytest

from contracts.codec import encode, prepared
from contracts.topics import CASES
from services.runtime.export import Exported, exported
from services.runtime.log.port import Record
from tests.runtime.damages import INSIDE, OF_FACTS, OUTSIDE
from tests.runtime.stories import ANNA, BO, scoring
from tests.support.histories import History
from tests.support.workbench import PARTITION, Workbench, key_of


@pytest.mark.parametrize("reveal", [False, True], ids=["sealed", "opened"])
@pytest.mark.parametrize("damage", OUTSIDE | INSIDE | OF_FACTS)
async def test_a_fact_that_is_put_aside_is_left_out_of_an_export_and_named(
    file: Path, damage: str, reveal: bool
) -> None:
    # given a fact, and one that cannot be read and has a dead letter
    whole, spoilt = (encode(prepared(event, key_of(ANNA))) for event in History(ANNA).enrolled().absent(7).events)
    with Workbench.on(file) as bench:
        await bench.know(ANNA, BO)
        records = [Record(ANNA, whole), Record(ANNA, (OUTSIDE | INSIDE | OF_FACTS)[damage](spoilt))]
        await bench.log.append(CASES, PARTITION, records)
        await bench.run(scoring())
        (letter,) = (await bench.outcome(scoring())).letters

        # when the facts are exported
        told = Exported()
        lines = [line async for line in exported(bench.log, bench.keyring, CASES, told, reveal=reveal)]

    # then the one is there, and the place of the other is named
    assert len(lines) == told.count == 1
    assert reveal or lines == [whole]
    assert told.unreadable == [f"{CASES.name}, partition {PARTITION}, offset {letter.offset}"]
