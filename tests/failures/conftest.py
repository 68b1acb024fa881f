"""A clinic that is imported in every storm, and a region for each."""

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
    return a_clinic(tmp_path_factory.mktemp("clinic"), groups=8)


@pytest.fixture(scope="session")
def small_clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    return a_clinic(tmp_path_factory.mktemp("small-clinic"), groups=1)


def a_clinic(folder: Path, *, groups: int) -> Clinic:
    file, directory = folder / "cohort.csv", folder / "home"
    succeeded("simulate", "--groups", str(groups), "--seed", "7", "--output", file)
    succeeded("import", file, "--enrol", "--data", directory)
    shutil.copy(directory / MASTER_KEY, folder / MASTER_KEY)
    return Clinic(file, folder / MASTER_KEY, contents(directory))


@pytest.fixture
def weather(tmp_path: Path, clinic: Clinic) -> Iterator[Storm]:
    """A region on the servers that tests share."""
    with region_of_its_own(tmp_path) as region, storm(region, clinic) as weather:
        yield weather
