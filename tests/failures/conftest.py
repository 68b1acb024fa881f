"""A clinic that is imported in every storm, and a region for each."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded import MASTER_KEY
from tests.failures.storm import Clinic, Storm, storm
from tests.support.command import succeeded
from tests.support.contents import contents
from tests.support.region import region_of_its_own


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    return a_clinic(tmp_path_factory.mktemp("clinic"), groups=6, weeks=2)


@pytest.fixture(scope="session")
def small_clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    return a_clinic(tmp_path_factory.mktemp("small-clinic"), groups=1, weeks=20)


def a_clinic(folder: Path, *, groups: int, weeks: int) -> Clinic:
    """A clinic whose responses come in files of so many weeks."""
    file, directory = folder / "cohort.csv", folder / "home"
    succeeded("simulate", "--groups", str(groups), "--seed", "7", "--output", file)
    files = parted(file, weeks)
    for part in files:
        succeeded("import", part, "--enrol", "--data", directory)
    shutil.copy(directory / MASTER_KEY, folder / MASTER_KEY)
    return Clinic(files, folder / MASTER_KEY, contents(directory))


def parted(file: Path, weeks: int) -> list[Path]:
    """Divide a file of responses by their sessions."""
    with file.open(encoding="utf-8", newline="") as stream:
        heads, *rows = csv.reader(stream)
    place = heads.index("session")
    parts = []
    for start in range(0, 1 + max(int(row[place]) for row in rows), weeks):
        parts.append(file.with_name(f"weeks-from-{start:02d}.csv"))
        with parts[-1].open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([heads, *(row for row in rows if start <= int(row[place]) < start + weeks)])
    return parts


@pytest.fixture
def weather(tmp_path: Path, clinic: Clinic) -> Iterator[Storm]:
    """A region on the servers that tests share."""
    with region_of_its_own(tmp_path) as region, storm(region, clinic) as weather:
        yield weather
