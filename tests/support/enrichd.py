"""Real patients of a trial, who are beside the checkout and not in it."""

from pathlib import Path
from typing import Final

import pytest

_FILE: Final = Path(__file__).parents[2].parent / "shared/data/enrichd-100.csv"


def enrichd() -> Path:
    """Give the file of a hundred patients with a total at every visit; skip the test where it is absent."""
    if not _FILE.exists():
        pytest.skip(f"data that is not part of the project: {_FILE.name} is not beside the checkout, in shared/data")
    return _FILE
