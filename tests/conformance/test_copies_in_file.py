"""What every `Copies` promises, of the file beside an embedded home."""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from services.runtime.copies.file import COPIES, CopiesInFile
from services.runtime.copies.port import Copies, CopiesUnavailable, Copy, made_here
from tests.conformance.away import TakenAway
from tests.conformance.copies import AT, BACKUP, CopiesSuite


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


class TestCopies(CopiesSuite):
    @pytest.fixture
    def copies(self, place: Path) -> Copies:
        return CopiesInFile(place)

    @pytest.fixture
    def connected(self, place: Path) -> Callable[[], Awaitable[Copies]]:
        async def connect() -> Copies:
            return CopiesInFile(place)

        return connect

    @pytest.fixture
    def away(self, place: Path) -> TakenAway:
        """Takes the directory away."""

        @contextmanager
        def taken_away() -> Iterator[None]:
            place.rename(place.with_name("gone"))
            yield
            place.with_name("gone").rename(place)

        return taken_away

    async def test_only_its_owner_reads_it_and_what_is_damaged_is_told(self, copies: Copies, place: Path) -> None:
        await copies.note(BACKUP)
        file = place / COPIES
        assert file.stat().st_mode & 0o077 == 0
        file.write_bytes(b'{"kind":"letter"}\n')
        with pytest.raises(CopiesUnavailable, match="cannot be read"):
            await copies.all()

    async def test_what_root_notes_stays_with_whom_the_directory_is(self, copies: Copies, place: Path) -> None:
        # given a directory of somebody else's, as far as whoever runs this can give it away
        somebody = 65_534 if os.geteuid() == 0 else os.geteuid()
        os.chown(place, somebody, -1)

        # when copies are noted, then the file is theirs, also when it is written again
        for copy in (BACKUP, BACKUP.model_copy(update={"path": "/kept/other.backup"})):
            await copies.note(copy)
            assert (place / COPIES).stat().st_uid == somebody

    @pytest.mark.parametrize("how", [Path.rename, partial(shutil.copytree, symlinks=True)])
    async def test_what_lies_in_the_directory_goes_with_it_and_all_else_stays_that_of_the_home_that_made_it(
        self, place: Path, tmp_path: Path, how: Callable[[Path, Path], object]
    ) -> None:
        # given copies that a home has made in its directory and beside it, one of them through a link
        (place / "linked").symlink_to(tmp_path)
        for path in ("home/reports", "home/linked", "home/../kept", "kept/monday.backup"):
            await _noted(CopiesInFile(place), tmp_path / path)

        # when the directory is moved or copied
        how(place, tmp_path / "other")

        # then what lies in it is of the home that is there now, and the rest of the one that was there
        assert {copy.path: copy.home for copy in await CopiesInFile(tmp_path / "other").all()} == {
            f"{tmp_path}/other/reports": f"{tmp_path}/other",
            f"{tmp_path}/home/linked": f"{tmp_path}/home",
            f"{tmp_path}/home/../kept": f"{tmp_path}/home",
            f"{tmp_path}/kept/monday.backup": f"{tmp_path}/home",
        }

    async def test_what_has_become_a_link_is_not_taken_for_what_lies_in_the_directory(
        self, place: Path, tmp_path: Path
    ) -> None:
        await _noted(CopiesInFile(place), place / "reports")
        _moved_with_a_link(place, tmp_path / "other")
        assert [copy.home for copy in await CopiesInFile(tmp_path / "other").all()] == [str(place)]


def _moved_with_a_link(place: Path, goes: Path) -> None:
    place.rename(goes)
    (goes / "reports").symlink_to(goes.parent)


async def _noted(copies: Copies, path: Path) -> Copy:
    copy = made_here("reports", path, AT, copies.home)
    await copies.note(copy)
    return copy
