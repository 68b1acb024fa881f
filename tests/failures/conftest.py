"""A clinic that is imported in every storm, and a region for each; each storm by one seed, or by many."""

import csv
import os
import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.local.places import locked
from services.embedded import MASTER_KEY
from tests.failures.seeds import ALWAYS, Bound, how_to_repeat, seeds_of_torture
from tests.failures.storm import Clinic, Storm, storm
from tests.support.command import succeeded
from tests.support.contents import contents
from tests.support.region import region_of_its_own
from tests.support.servers import RUN

SEED: Final = "seed"
BOUND: Final = pytest.StashKey[Bound]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what depends on a seed by the one that is always taken, and by those of a torture."""
    if SEED in metafunc.fixturenames:
        of_torture = [pytest.param(seed, marks=pytest.mark.torture) for seed in seeds_of_torture(os.environ)]
        metafunc.parametrize(SEED, [ALWAYS, *of_torture])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a whole round before the next one begins: so that every test has had as many when the time is over."""
    items.sort(key=lambda item: seed_of(item) or ALWAYS)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no round when the time is over, but of what all rounds together have to do so many times."""
    seed = seed_of(item)
    if seed in (None, ALWAYS) or item.get_closest_marker("in_all_rounds") is not None:
        return
    if item.config.stash.setdefault(BOUND, Bound()).is_over(time.monotonic()):
        pytest.skip(f"the time is over; this was to be run by seed {seed}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure how it is repeated."""
    report = yield
    seed = seed_of(item)
    if report.failed and seed is not None:
        report.sections.append(("to repeat it", how_to_repeat(item.nodeid, seed)))
    return report


def seed_of(item: pytest.Item) -> int | None:
    """Give the seed that a storm is run by, if a test is one."""
    is_here = item.path.is_relative_to(Path(__file__).parent)
    seed: int | None = item.callspec.params.get(SEED) if is_here and hasattr(item, "callspec") else None
    return seed


@pytest.fixture(scope="session")
def clinic() -> Clinic:
    return a_clinic("clinic", groups=4, weeks=3)


@pytest.fixture(scope="session")
def small_clinic() -> Clinic:
    return a_clinic("small-clinic", groups=1, weeks=20)


def a_clinic(name: str, *, groups: int, weeks: int) -> Clinic:
    """A clinic whose responses come in files of so many weeks; one process of a run makes it for all."""
    folder = Path(os.environ[RUN]) / name
    file, directory, key = folder / "cohort.csv", folder / "home", folder / MASTER_KEY
    with locked(folder.with_suffix(".lock")):
        if not key.exists():
            folder.mkdir()
            succeeded("simulate", "--groups", str(groups), "--seed", "7", "--output", file)
            for part in parted(file, weeks):
                succeeded("import", part, "--enrol", "--data", directory)
            shutil.copy(directory / MASTER_KEY, key)
    return Clinic(sorted(folder.glob("weeks-*.csv")), key, contents(directory))


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
def weather(tmp_path: Path, clinic: Clinic, seed: int) -> Iterator[Storm]:
    """A region on the servers that tests share."""
    with region_of_its_own(tmp_path) as region, storm(region, clinic, seed) as weather:
        yield weather
