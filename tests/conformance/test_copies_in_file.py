"""What every `Copies` promises, of the file beside an embedded home."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.runtime.copies.file import COPIES, CopiesInFile
from services.runtime.copies.port import Copies, CopiesUnavailable
from tests.conformance.away import TakenAway
from tests.conformance.copies import BACKUP, CopiesSuite


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
