"""A simulated log with sessions, attendance, problems, comments and reports, and how its exports are looked at."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from services.cli.home import library_catalogue
from services.cli.simulate import instruments_of
from services.simulation.cohort import SimulatedCase, draw
from tests.support.command import Ran, succeeded
from tests.support.opened import DERIVED

SEED: Final = 7
GROUPS: Final = 1
Wire = dict[str, Any]


@cache
def cohort() -> list[SimulatedCase]:
    models = {name: model for name, (_, model) in instruments_of(library_catalogue()).items()}
    return list(draw(models, seed=SEED, groups=GROUPS))


def simulated(directory: Path, seed: int = SEED) -> Path:
    succeeded("simulate", "--seed", str(seed), "--groups", str(GROUPS), "--as", "facts", "--output", directory)
    return directory


def events(lines: bytes) -> list[Wire]:
    return [json.loads(line) for line in lines.splitlines()]


def texts() -> set[str]:
    """Everything that the simulated patients wrote."""
    comments = {response.comment for case in cohort() for response in case.responses if response.comment}
    return comments | {problem.text for case in cohort() for problem in case.problems}


def assert_all_equal(ran: Ran) -> None:
    assert ran.exit_code == 0
    assert [line.split(":")[0] for line in ran.told.splitlines() if line.endswith(", all equal")] == [
        topic.name for topic in DERIVED
    ]
