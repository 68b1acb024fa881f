"""Rows with faults, of a patient who must not be told of, and what must hold when they are refused."""

import gzip
from collections.abc import Sequence
from typing import Final

from tests.support.command import Ran
from tests.support.contents import counts
from tests.support.desk import Desk, row, weekly

CASE: Final = "QX7731"
COMMENT: Final = "Amalie ringede"
ANSWER: Final = 37
WORDS: Final = (CASE, "NY4412", "Amalie", "ringede", "4711", "siebzehn")
SECRETS: Final = (*WORDS, str(ANSWER))
GOOD: Final = row(CASE, 1, ANSWER, comment=COMMENT)


def fields(**changed: str) -> str:
    """A row that is right but for some fields."""
    right = {
        "case": CASE,
        "session": "2",
        "answered_at": weekly(2),
        "instrument": "bdi-ii",
        "total": str(ANSWER),
        "comment": COMMENT,
    }
    return ",".join((right | changed).values())


def cut_short(content: bytes) -> bytes:
    """A gzipped file that lacks its end."""
    return gzip.compress(content)[:-10]


SEVERAL: Final = [
    (GOOD, None),
    (fields(total="4711"), "total"),
    (fields(instrument="madrs"), "instrument"),
    (row(CASE, 3, ANSWER), None),
    (fields(session="many", answered_at="soon", total="siebzehn"), "session answered_at total"),
    (fields() + ",more", "the row"),
    (row(CASE, 1, 38), "total, comment"),
    (fields(comment=COMMENT * 200), "comment"),
]


def refused(ran: Ran, desk: Desk, before: dict[str, int], secrets: Sequence[str] = SECRETS) -> bool:
    """Tell whether a file was refused as it should: nothing taken, nothing told of what stood there."""
    assert ran.exit_code in (1, 2), ran.told
    assert ran.out == b""
    assert ran.gives_away(secrets) == []
    assert counts(desk.home) == before
    return True
