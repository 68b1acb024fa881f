"""What the end-to-end tests are given."""

from pathlib import Path

import pytest

from tests.support.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A clinic's desk, with nothing on it yet."""
    return Desk(tmp_path)
