"""What the tests of the shared machinery share."""

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file of a home can be."""
    return tmp_path / "ontrack.db"
