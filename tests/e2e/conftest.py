"""What the end-to-end tests are given."""

from pathlib import Path

import pytest

from tests.support.command import succeeded
from tests.support.desk import Desk, row, table
from tests.support.faulty import CASE
from tests.support.simulated import simulated


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A clinic's desk, with nothing on it yet."""
    return Desk(tmp_path)


@pytest.fixture
def known(desk: Desk) -> Desk:
    """A desk with a home in which the case is known, with its first session."""
    desk.takes(table([row(CASE, 0, 36, comment="Amalie")]))
    return desk


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with sessions, attendance, problems, comments, reports."""
    place = tmp_path_factory.mktemp("simulated")
    succeeded("import", simulated(place / "facts"), "--data", place / "home")
    return place / "home"


@pytest.fixture(scope="session")
def revealed(home: Path) -> Path:
    """The whole history, opened."""
    directory = home.parent / "revealed"
    succeeded("export", "--data", home, "--reveal", "--output", directory)
    return directory


@pytest.fixture(scope="session")
def sealed(home: Path) -> Path:
    """The whole history as it stands, and the keys of its cases in `keys` beside it."""
    directory = home.parent / "sealed"
    succeeded("export", "--data", home, "--output", directory, "--keys", home.parent / "keys")
    return directory


@pytest.fixture(scope="session")
def keys(sealed: Path) -> Path:
    return sealed.parent / "keys"
