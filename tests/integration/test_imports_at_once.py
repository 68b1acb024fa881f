"""Several who write facts of the same cases at the same time: what is concluded is as if there had been one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.command import succeeded
from tests.support.contents import begun_under
from tests.support.region import Region


def test_a_file_that_is_imported_by_several_at_once_is_taken_in_once(region: Region, tmp_path: Path) -> None:
    # given a region at work, and a clinic
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    file = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "3", "--seed", "5", "--output", file)

    # when three import its responses at the same time
    with ThreadPoolExecutor() as beside:
        importing = [beside.submit(region.ontrack, "import", file, "--enrol") for _ in range(3)]
    ran = [each.result() for each in importing]

    # then each has either succeeded, or says what to do
    for each in ran:
        assert each.exit_code == 0 or "start again" in each.told, each.told

    # and when one of them is started again, every command says what it says of a directory
    region.succeeded("import", file, "--enrol")
    region.wait_until_settled()
    directory = begun_under(tmp_path / "home", region.master_key.read_bytes())
    succeeded("import", file, "--enrol", "--data", directory)
    for command in (["tracks", "--format", "csv"], ["reports", "--format", "json"], ["case", "P0001"]):
        assert region.succeeded(*command).out == succeeded(*command, "--data", directory).out

    # and all of it can be derived again from the facts, those that stand twice too
    region.succeeded("export", "--output", tmp_path / "exported", "--reveal")
    succeeded("import", tmp_path / "exported", "--data", tmp_path / "again")
