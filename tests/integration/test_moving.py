"""An exported log goes into a region, which then holds what the home held that it came from."""

from base64 import b64decode
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import orjson
import pytest

from contracts.codec import CaseKey
from contracts.topics import CASES
from services.cli.imports.log import founding_of
from services.distributed import DistributedHome
from services.runtime.founding import log_id_of
from services.runtime.log.port import Record
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
    assert "for services that" not in ran.told
    found = region.contents()
    assert same(found, contents(home))
    assert found.repeats == 0
    assert region.asked(identity) == log_id_of(founding_of(exported))

    # and doing all of it again changes nothing
    assert region.succeeded("provision", "--single-broker", "--log", exported).told.strip() == "Everything is there."
    again = region.succeeded("import", exported, *with_keys)
    facts = sum(map(len, found.histories[CASES.name].values()))
    assert f"{facts:,} of them were there already." in again.told
    assert region.contents() == found


def test_an_import_of_a_log_that_was_broken_off_goes_on_where_it_was(region: Region, tmp_path: Path) -> None:
    # given a region in which an import of an exported log has recorded the first third of the facts, and was broken off
    home, exported, keys = tmp_path / "home", tmp_path / "exported", tmp_path / "keys.ndjson"
    succeeded("import", simulated(tmp_path / "facts"), "--data", home)
    succeeded("export", "--data", home, "--output", exported, "--keys", keys)
    region.succeeded("provision", "--single-broker", "--log", exported)
    region.serve()
    lines = (exported / f"{CASES.name}.ndjson").read_bytes().splitlines()
    records = [Record(orjson.loads(line)["subject"], line) for line in lines]

    async def begin(there: DistributedHome) -> None:
        entries = [orjson.loads(line) for line in keys.read_bytes().splitlines()]
        await there.keyring.adopt({entry["case"]: CaseKey(b64decode(entry["key"])) for entry in entries})
        for record in records[: len(records) // 3]:
            await there.log.append(CASES, there.partition(record.key), [record])

    region.asked(begin)

    # when it is given again
    ran = region.succeeded("import", exported, "--keys", keys)

    # then the rest is taken, and the region holds what the home holds, each event once
    assert f"{len(records) // 3:,} of them were there already." in ran.told
    found = region.contents()
    assert same(found, contents(home))
    assert found.repeats == 0


def test_an_exported_log_does_not_go_into_a_region_that_holds_other_facts(region: Region, tmp_path: Path) -> None:
    # given a region that goes on with an exported log, and has a fact of its own
    facts, cohort = simulated(tmp_path / "facts"), tmp_path / "cohort.csv"
    region.succeeded("provision", "--single-broker", "--log", facts)
    region.serve()
    succeeded("simulate", "--groups", "1", "--seed", "9", "--output", cohort)
    region.succeeded("import", cohort, "--enrol")
    before = region.contents()

    # when the log is imported
    refused = region.ontrack("import", facts)

    # then that is refused, and changes nothing
    assert refused.exit_code == 2
    assert "the region holds other facts already" in refused.told
    assert region.contents() == before


def test_a_region_is_made_of_a_bundle_that_verifies_and_of_no_other(region: Region, tmp_path: Path) -> None:
    # given the bundle of a home, and one of which the two parts do not say the same
    home, bundle, keys = tmp_path / "home", tmp_path / "history.zip", tmp_path / "history.keys"
    succeeded("import", simulated(tmp_path / "facts"), "--data", home)
    told = succeeded("audit", "export", "--data", home, "--output", bundle, "--keys", keys).told
    other = with_other_parts(bundle, tmp_path)

    # and a region that is provisioned for them
    region.succeeded("provision", "--single-broker", "--log", bundle)
    for process in region.serve():
        process.wait_until_ready()

    # when that other one is imported, then nothing is taken of it
    refused = region.ontrack("import", other, "--keys", keys)
    assert (refused.exit_code, "the history does not verify, nothing was taken" in refused.told) == (1, True)
    assert region.contents().histories[CASES.name] == {}

    # when the bundle is
    region.succeeded("import", bundle, "--keys", keys)
    region.wait_until_settled()

    # then the region verifies, and its own bundle says the same
    assert "The history verifies" in region.succeeded("audit", "verify").told
    again = region.succeeded("audit", "export", "--output", tmp_path / "again.zip").told
    assert again.partition("digest ")[2].split()[0] == told.partition("digest ")[2].split()[0]


def with_other_parts(bundle: Path, folder: Path) -> Path:
    """Write a bundle with the raw part of one and the canonical part of a home that has said more."""
    home, other, mixed = folder / "more", folder / "more.zip", folder / "mixed.zip"
    succeeded("import", bundle, "--keys", bundle.with_suffix(".keys"), "--data", home)
    answers = folder / "answers.csv"
    answers.write_text(
        "case,session,answered_at,instrument,frequency,intensity,engagement,work_school_home,social_life\n"
        "new,0,2026-01-05,odsis,1,1,1,1,1\n"
    )
    succeeded("import", answers, "--enrol", "--data", home)
    succeeded("audit", "export", "--data", home, "--output", other)
    with ZipFile(bundle) as one, ZipFile(other) as another, ZipFile(mixed, "w") as both:
        for name in one.namelist():
            if name.startswith("raw/"):
                both.writestr(name, one.read(name))
        for name in another.namelist():
            if name.startswith("canonical/"):
                both.writestr(name, another.read(name))
    return mixed


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
