"""What a command that wrote facts says of the services that are to process them."""

from pathlib import Path
from typing import Final

from tests.support.command import succeeded
from tests.support.region import Region

NOTHING_IS_LOST: Final = "Nothing is lost: start them with ontrack serve, and they go on."


def test_an_import_says_which_services_nobody_runs(region: Region, tmp_path: Path) -> None:
    # given a region in which no service runs
    file = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "1", "--seed", "5", "--output", file)
    region.provision()

    # when facts are imported
    ran = region.succeeded("import", file, "--enrol")

    # then the one that would read them is named
    assert f"wait for services that nobody runs: scoring. {NOTHING_IS_LOST}" in ran.told

    # and when that runs, the one that reads what it writes
    region.serve("scoring")[0].wait_until_ready()
    ran = region.succeeded("import", file)
    assert f"wait for services that nobody runs: not-detector. {NOTHING_IS_LOST}" in ran.told

    # and nobody if all of them run
    for service in region.serve("not-detector", "notifier"):
        service.wait_until_ready()
    assert "for services that" not in region.succeeded("import", file).told
