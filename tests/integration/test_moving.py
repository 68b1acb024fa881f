"""An exported log goes into a region, which then holds what the home held that it came from."""

from pathlib import Path
from typing import Final

import pytest

from services.cli.log_import import founding_of
from services.distributed import DistributedHome
from services.runtime.founding import log_id_of
from tests.support.command import succeeded
from tests.support.contents import contents, same
from tests.support.region import Region
from tests.support.simulated import assert_all_equal, simulated

WAYS: Final = {"sealed, with the keys": (("--keys", "{keys}"), ("--keys", "{keys}")), "opened": (("--reveal",), ())}


@pytest.mark.parametrize(("exporting", "importing"), WAYS.values(), ids=WAYS)
def test_a_region_goes_on_with_the_log_of_a_home(
    region: Region, tmp_path: Path, exporting: tuple[str, ...], importing: tuple[str, ...]
) -> None:
    # given a home with everything that can stand on a log, exported, and a region that is provisioned for it
    home, exported, keys = tmp_path / "home", tmp_path / "exported", tmp_path / "keys.ndjson"
    with_keys = [option.format(keys=keys) for option in importing]
    succeeded("import", simulated(tmp_path / "facts"), "--data", home)
    succeeded("export", "--data", home, "--output", exported, *(option.format(keys=keys) for option in exporting))
    region.succeeded("provision", "--single-broker", "--log", exported)
    for process in region.serve():
        process.wait_until_ready()

    # when the log is imported there
    ran = region.succeeded("import", exported, *with_keys)

    # then everything that was exported was derived again, and the region holds what the home holds, each event once
    assert_all_equal(ran)
    assert "wait for the services" not in ran.told
    found = region.contents()
    assert same(found, contents(home))
    assert found.repeats == 0
    assert region.asked(identity) == log_id_of(founding_of(exported))

    # and doing all of it again changes nothing
    assert region.succeeded("provision", "--single-broker", "--log", exported).told.strip() == "Everything is there."
    again = region.ontrack("import", exported, *with_keys)
    assert again.exit_code != 0
    assert "the region holds facts already; an exported log goes into an empty one" in again.told
    assert region.contents() == found


async def identity(home: DistributedHome) -> str:
    return home.log_id


def test_an_exported_log_does_not_go_into_a_region_that_goes_on_under_another_identity(
    region: Region, tmp_path: Path
) -> None:
    # given a region with a log of its own
    facts = simulated(tmp_path / "facts")
    region.provision()

    # when an exported log is imported there
    refused = region.ontrack("import", facts)

    # then it is refused, with the way out, and nothing was taken
    assert refused.exit_code != 0
    assert "the region goes on under another log's identity" in refused.told
    assert f"ontrack provision --log {facts}" in refused.told
    assert region.contents().histories["rom.cases.v1"] == {}
