"""The home that is audited: courses over which reports were written, corrected and closed."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.embedded import EmbeddedHome
from services.runtime.copies.file import COPIES
from tests.auditor.handed import Handed
from tests.auditor.tampering import Tampering
from tests.cli.homes import CASES, imported, written
from tests.support.command import succeeded
from tests.support.mailing import mailing_clinic


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of which everything is as it should be."""
    folder = tmp_path_factory.mktemp("audited")
    return imported(folder / "home", written(folder / "answers.csv", CASES, "odsis"))


@pytest.fixture(scope="session")
def interleaved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with several cases in a partition, of each of which more comes after something of the others."""
    folder = tmp_path_factory.mktemp("interleaved")
    for last in range(1, 4):
        courses = {f"C{number}": dict.fromkeys(range(last + 1), 12) for number in range(30)}
        file, enrols = written(folder / "answers.csv", courses, "odsis"), ["--enrol"] if last == 1 else []
        succeeded("import", file, *enrols, "--data", folder / "home")
    return folder / "home"


@pytest.fixture(scope="session")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has sent mail."""
    folder = tmp_path_factory.mktemp("mailing")

    async def make() -> None:
        async with mailing_clinic(folder, datetime(2026, 1, 5, 9, tzinfo=UTC)) as clinic:
            await clinic.deteriorates()
            await clinic.round()
            await clinic.deteriorates("case-2")
            await clinic.round(after=timedelta(days=1))

    asyncio.run(make())
    return folder / "home"


@pytest.fixture
def tampering(sound: Path, tmp_path: Path) -> Tampering:
    """A copy of the sound home, to be changed. What other tests have made of the sound one is not of this one."""
    of_its_own = shutil.ignore_patterns(COPIES)
    return Tampering(Path(shutil.copytree(sound, tmp_path / "home", ignore=of_its_own)))


@pytest.fixture(scope="session")
def p1(sound: Path) -> str:
    """The id of a case with six sessions."""

    async def ask() -> str:
        async with await EmbeddedHome.open(sound) as home:
            (case_id,) = await home.cases_named("P1")
            return case_id

    return asyncio.run(ask())


@pytest.fixture
def handed(sound: Path, tmp_path: Path) -> Handed:
    """The sound home, exported."""
    return Handed(tmp_path, sound)
