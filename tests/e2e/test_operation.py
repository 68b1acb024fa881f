"""Every command of the page for whoever is called at night does what it says."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.command import ONTRACK, ran_apart
from tests.support.kept import kept_of
from tests.support.pages import OPERATION, blocks_of, typed
from tests.support.region import Region, region_of_its_own
from tests.support.simulated import simulated


def with_ontrack(environment: Mapping[str, str]) -> dict[str, str]:
    """Let a shell find the command that is tested."""
    return {**environment, "PATH": f"{ONTRACK.parent}{os.pathsep}{environment['PATH']}"}


def test_a_clinic_is_backed_up_as_the_page_says(tmp_path: Path) -> None:
    # given a clinic
    ran_apart("import", simulated(tmp_path / "facts"), "--data", tmp_path / "clinic")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONTRACK_")}
    (backing_up,) = blocks_of(OPERATION, "Backing up")

    # when somebody types what stands there
    ran = typed(backing_up, tmp_path, with_ontrack(environment))

    # then each command succeeds, and the backup is whole
    assert ran.returncode == 0, ran.stderr
    assert "clinic.backup is whole" in ran.stderr


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_of_its_own(tmp_path) as region:
        yield region.provision()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Region]:
    """Topics and a database that nobody else has."""
    folder = tmp_path / "other"
    folder.mkdir()
    with region_of_its_own(folder) as other:
        yield other


def test_a_region_is_restored_as_the_page_says(region: Region, other: Region, tmp_path: Path) -> None:
    # given a region with a backup, and in place of the names of the page some that nobody else has
    cohort = tmp_path / "cohort.csv"
    ran_apart("simulate", "--groups", "1", "--output", cohort)
    region.succeeded("import", cohort, "--enrol")
    region.succeeded("backup", tmp_path / "region.backup")
    (a_region,) = blocks_of(OPERATION, "Restoring")
    text = a_region.replace("PREFIX=again.", f"PREFIX={other.brokers.prefix}")
    text = text.replace("DATABASE=again", f"DATABASE={other.server.database}")

    # when somebody types what stands there
    ran = typed(text, tmp_path, with_ontrack(region.environment))

    # then the region is there again, and its services have everything to read
    assert ran.returncode == 0, ran.stderr
    shutil.copy(region.master_key, other.master_key)
    assert other.asked(kept_of) == region.asked(kept_of)
