"""Files of simulated responses of a given size, for the benchmarks."""

import csv
import random
from pathlib import Path

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from services.cli.simulate import instruments_of
from services.simulation.cohort import draw
from services.simulation.table import columns, rows


def write_cohort(file: Path, *, cases: int, responses: int, sessions: int, seed: int = 1) -> None:
    """Write a cohort of exactly so many cases and responses; forms are left out at random to come to the number."""
    models = {name: model for name, (_, model) in instruments_of(Catalogue(library())).items()}
    # Early enough that even the last of many groups has answered by now.
    cohort = draw(models, seed=seed, groups=cases // 8, sessions=sessions)
    drawn = [(number, row) for number, row in enumerate(rows(cohort))]
    kept = set(random.Random(seed).sample(range(len(drawn)), responses))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns(models), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for number, row in drawn if number in kept)
