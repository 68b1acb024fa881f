"""What the tests of erasing are given."""

import asyncio

import pytest

from tests.support.desk import Desk, row, table
from tests.support.erasing import (
    ANNA,
    COMMENT,
    GONE,
    SESSIONS,
    let_mail_wait,
)


@pytest.fixture
def clinic(desk: Desk) -> Desk:
    """A clinic with two cases, both of which get worse, and a mail of each that waits."""
    rows = [row(case, session, 20 + 6 * session, comment=COMMENT) for case in (ANNA, GONE) for session in SESSIONS]
    desk.takes(table(rows))
    (desk.place / "answers.csv").unlink()
    asyncio.run(let_mail_wait(desk.home))
    return desk
