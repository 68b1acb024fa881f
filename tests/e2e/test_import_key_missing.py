"""A case whose key is not there: nothing is added to it until the key is back."""

import sqlite3
from contextlib import closing

from services.embedded import DATABASE
from tests.support.contents import contents
from tests.support.desk import Desk, row, table


def test_a_case_without_its_key_is_refused_and_goes_on_when_the_key_is_back(desk: Desk) -> None:
    # given a home in which the key of a case is missing
    desk.takes(table([row("A1", session, 30) for session in range(3)]))
    before = contents(desk.home)
    with closing(sqlite3.connect(desk.home / DATABASE, isolation_level=None)) as database:
        [(case_id, wrapped)] = database.execute("SELECT case_id, wrapped FROM keys")
        database.execute("DELETE FROM keys")

    # when more of the case comes
    more = table([row("A1", session, 30) for session in range(4)])
    ran = desk.imports(more)

    # then it is told which key is missing, and nothing is taken
    assert ran.exit_code == 2
    assert f"the key of case {case_id} is missing" in ran.told

    # and with the key in its place the home is what it was, and takes it
    with closing(sqlite3.connect(desk.home / DATABASE, isolation_level=None)) as database:
        database.execute("INSERT OR REPLACE INTO keys VALUES (?, ?)", (case_id, wrapped))
    assert contents(desk.home) == before
    desk.takes(more)
