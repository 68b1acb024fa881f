"""The same history gives the same events, states, reports and digest in a directory and in a region."""

import asyncio
import csv
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from contracts.topics import CASES
from services.distributed import DistributedHome
from tests.support.command import Ran, succeeded
from tests.support.contents import begun_under, contents, same
from tests.support.desk import bdi_policy
from tests.support.digests import alike, digests, digests_of
from tests.support.enrichd import enrichd
from tests.support.region import Region, wait_until

WITH_ALL: Final = 100


@pytest.fixture
def at_work(region: Region) -> Region:
    """A region whose services are ready."""
    region.provision()
    for process in region.serve():
        process.wait_until_ready()
    return region


def in_a_directory(region: Region, directory: Path, *arguments: str | Path) -> Path:
    """Import into a directory that names its cases as the region does."""
    succeeded("import", *arguments, "--data", begun_under(directory, region.master_key.read_bytes()))
    return directory


def test_a_clinic_is_told_of_alike_in_both_homes(at_work: Region, tmp_path: Path) -> None:
    # given a region with its services, and a clinic
    cohort = tmp_path / "cohort.csv"
    succeeded("simulate", "--groups", "3", "--seed", "5", "--output", cohort)

    # when its responses are imported there, and into a directory
    there = at_work.succeeded("import", cohort, "--enrol")
    directory = in_a_directory(at_work, tmp_path / "home", cohort, "--enrol")

    # then both hold the same
    assert same(at_work.contents(), contents(directory))

    # and every command says the same
    assert "for services that" not in there.told
    for command in (["tracks", "--format", "csv"], ["reports", "--format", "json"], ["case", "P0001"]):
        assert at_work.succeeded(*command).out == succeeded(*command, "--data", directory).out


@pytest.mark.parametrize("number", [600, pytest.param(2_000, marks=pytest.mark.torture)])
def test_many_cases_have_the_same_digest_in_both_homes(region: Region, tmp_path: Path, number: int) -> None:
    # given many cases, a hundred of them with every form, the others with the one that they are judged by
    cohort, shorter = tmp_path / "cohort.csv", tmp_path / "shorter.csv"
    succeeded("simulate", "--groups", str(number // 8), "--sessions", "4", "--seed", "5", "--output", cohort)
    responses = copied(cohort, shorter, lambda row: row["instrument"] == "odsis" or int(row["case"][1:]) <= WITH_ALL)

    # when they are imported into a region, whose services start when all is recorded, and into a directory
    region.provision()
    with ThreadPoolExecutor() as beside:
        importing = beside.submit(region.succeeded, "import", shorter, "--enrol")
        wait_until_recorded(region, number + responses, importing)
        region.serve()
        importing.result()
    region.wait_until_settled()
    there = region.asked(digests_of)
    here = digests(in_a_directory(region, tmp_path / "home", shorter, "--enrol"))

    # then both hold the same
    assert alike(there, here)

    # and it is much: every case, and NOT episodes with one report each
    print(f"{there.reported} of {len(there.cases)} cases have been not on track")
    assert there.states == dict.fromkeys(there.states, number)
    assert there.events[CASES.name] == number + responses
    assert there.reported > number / 10


def copied(file: Path, copy: Path, wanted: Callable[[Mapping[str, str]], bool]) -> int:
    """Copy some rows of a file of responses; give how many."""
    with file.open(encoding="utf-8", newline="") as source, copy.open("w", encoding="utf-8", newline="") as target:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(target, list(reader.fieldnames or ()))
        writer.writeheader()
        rows = [row for row in reader if wanted(row)]
        writer.writerows(rows)
    return len(rows)


def wait_until_recorded(region: Region, facts: int, importing: Future[Ran]) -> None:
    """Wait until an import has recorded so many facts, or has ended otherwise."""

    async def recorded(home: DistributedHome) -> int:
        return sum([await home.log.end(CASES, partition) for partition in range(CASES.partitions)])

    with asyncio.Runner() as runner, closing_in(runner, runner.run(DistributedHome.open(region.settings()))) as home:
        wait_until(lambda: importing.done() or runner.run(recorded(home)) == facts, f"{facts} facts recorded")


@contextmanager
def closing_in(runner: asyncio.Runner, home: DistributedHome) -> Iterator[DistributedHome]:
    yield home
    runner.run(home.close())


def test_real_patients_have_the_same_digest_in_both_homes(at_work: Region, tmp_path: Path) -> None:
    # given real patients, and the policy of a clinic that asks what they were asked
    file, policy = enrichd(), bdi_policy(tmp_path / "policy.json", "our-bdi")

    # when they are imported into a region and into a directory
    assert "for services that" not in at_work.succeeded("import", file, "--enrol", "--policy", policy).told
    there = at_work.asked(digests_of)
    here = digests(in_a_directory(at_work, tmp_path / "home", file, "--enrol", "--policy", policy))

    # then both hold the same, and it is much
    assert alike(there, here)
    assert there.states == dict.fromkeys(there.states, 100)
    assert there.reported > 20
