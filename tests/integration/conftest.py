"""A region of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.region import Region, region_of_its_own


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_of_its_own(tmp_path) as region:
        yield region
