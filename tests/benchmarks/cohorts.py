"""Files of simulated responses of a given size, for the benchmarks."""

import csv
from collections import Counter
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path

from contracts.definitions.catalogue import Catalogue
from contracts.definitions.files import library
from services.cli.simulate import instruments_of
from services.simulation.cohort import draw
from services.simulation.table import columns, rows


def write_cohort(file: Path, *, cases: int, responses: int, sessions: int, seed: int = 1) -> None:
    """Write a cohort of exactly so many cases and responses: courses that are not over, cut at their last forms."""
    models = {name: model for name, (_, model) in instruments_of(Catalogue(library())).items()}
    # Early enough that even the last of many groups has answered by now.
    cohort = draw(models, seed=seed, groups=cases // 8, sessions=sessions)
    answered: Counter[str] = Counter()
    drawn: list[tuple[int, int, Mapping[str, object]]] = []
    for row in rows(cohort):
        answered[row["case"]] += 1
        drawn.append((answered[row["case"]], len(drawn), row))
    kept = sorted(sorted(drawn, key=itemgetter(0, 1))[:responses], key=itemgetter(1))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns(models), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, _, row in kept)
