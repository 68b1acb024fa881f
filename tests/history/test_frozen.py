"""Every history that was ever frozen verifies to what was written down beside it, and says the same to the byte."""

from pathlib import Path
from typing import Final

import orjson
import pytest

from services.auditor.bundle import Canonical
from tests.history.frozen import EXPECTED, KEYS, found_in, packed
from tests.support.command import succeeded

HERE: Final = Path(__file__).parent
FROZEN: Final = sorted(HERE.glob("v*/*"))
WHOLE: Final = [folder for folder in FROZEN if orjson.loads((folder / EXPECTED).read_bytes())["findings"] == []]


def named(folder: Path) -> str:
    return str(folder.relative_to(HERE))


@pytest.mark.parametrize("folder", FROZEN, ids=named)
def test_what_is_found_is_what_was_written_down(folder: Path, tmp_path: Path) -> None:
    assert found_in(packed(folder, tmp_path), folder / KEYS) == orjson.loads((folder / EXPECTED).read_bytes())


@pytest.mark.parametrize("folder", WHOLE, ids=named)
def test_a_whole_one_becomes_a_home_that_says_the_same(folder: Path, tmp_path: Path) -> None:
    # given a home that is made of it, whose stages conclude everything anew
    succeeded("import", packed(folder, tmp_path), "--keys", folder / KEYS, "--data", tmp_path / "home")

    # when it is exported again
    told = succeeded("audit", "export", "--data", tmp_path / "home", "--output", tmp_path / "again.zip").told

    # then its digest is that of what was frozen
    was = Canonical.model_validate_json((folder / "canonical" / "manifest.json").read_bytes())
    assert f"digest {was.digest}" in told


def test_there_are_histories_of_every_kind() -> None:
    assert len(WHOLE) >= 4
    assert len(FROZEN) - len(WHOLE) >= 5
