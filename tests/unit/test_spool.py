"""The rows of a case come out of the spool in one order, wherever they stood in the file: facts are recorded so.

Where there is no room for them, that is told.
"""

import resource
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.spool import Spool, SpoolUnavailable
from services.ingest.table import Raw, ResponseRow

NOON: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
IN_ORDER: Final[Sequence[tuple[datetime, int | str, str]]] = [
    (NOON.replace(hour=8), 9, "odsis"),
    (NOON, 0, "odsis"),
    (NOON, "individual-1", "odsis"),
    (NOON, "individual-2", "odsis"),
    (NOON, 2, "gq-12"),
    (NOON, 2, "odsis"),
    (NOON, 10, "odsis"),
    (NOON.replace(hour=13), 1, "odsis"),
]


@given(places=st.permutations(range(len(IN_ORDER))))
def test_rows_come_by_their_moment_and_those_of_one_moment_by_session_and_instrument(places: list[int]) -> None:
    # given the rows of a case, anyhow
    spool = Spool()
    for line, place in enumerate(places, 2):
        at, session, instrument = IN_ORDER[place]
        spool.add(ResponseRow(line, "P1", session, at, instrument, {"total": 1}, None, {}))

    # when they are taken out, then individual sessions come before session 1, and 2 before 10
    assert [(row.answered_at, row.session, row.instrument) for row in spool.of_case("P1")] == IN_ORDER
    spool.close()


def test_rows_for_which_there_is_no_room_are_told_in_words_that_hold_nothing_of_them() -> None:
    # given a disk that takes nothing any more
    spool = Spool(keeping_raw=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        # when more comes than memory keeps, then it is said what is full, and what to do
        with pytest.raises(SpoolUnavailable, match=r"directory for temporary files.*TMPDIR") as told:
            _ = [spool.keep(Raw(line, ["secret" * 200_000])) for line in range(50)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "secret" not in str(told.value)
    spool.close()
