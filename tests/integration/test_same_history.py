"""The same history gives the same events, states and reports in a directory and in a region."""

import shutil
from pathlib import Path

from services.embedded import MASTER_KEY
from tests.support.command import succeeded
from tests.support.contents import contents, same
from tests.support.region import Region


def in_a_directory(region: Region, directory: Path, *arguments: str | Path) -> Path:
    """Import into a directory that names its cases as the region does."""
    directory.mkdir()
    shutil.copy(region.master_key, directory / MASTER_KEY)
    succeeded("import", *arguments, "--data", directory)
    return directory


def test_a_clinic_is_told_of_alike_in_both_homes(region: Region, tmp_path: Path) -> None:
    # given a region with its services, and a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "3", "--seed", "5", "--output", cohort)
    region.provision()
    for process in region.serve():
        process.wait_until_ready()

    # when its responses are imported there, and into a directory
    there = region.succeeded("import", cohort, "--enrol")
    directory = in_a_directory(region, tmp_path / "home", cohort, "--enrol")

    # then both hold the same
    assert same(region.contents(), contents(directory))

    # and every command says the same
    assert "wait for the services" not in there.told
    for command in (["tracks", "--format", "csv"], ["reports", "--format", "json"], ["case", "P0001"]):
        assert region.succeeded(*command).out == succeeded(*command, "--data", directory).out
