"""What a stage knows of a case is compared with what follows from the history."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.events.fields import instant
from services.auditor.domain.findings import Findings
from services.auditor.fold import Keys
from services.auditor.states import Comparison, Standing
from services.ingest.domain.register import Register
from services.runtime.database import Database
from services.runtime.keyring.master import MasterKey
from services.runtime.keyring.sqlite import SqliteKeyring
from services.runtime.log.sqlite import SqliteLog
from services.runtime.store.port import StoredState, Write
from services.runtime.store.sqlite import SqliteStore

NOW = datetime.now(UTC)
TO_COME = NOW + timedelta(days=7)
GONE = NOW - timedelta(days=7)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Database]:
    database = Database.create(tmp_path / "home.db")
    yield database
    database.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Database]:
    database = Database.create(tmp_path / "shelf.db")
    yield database
    database.close()


@pytest.mark.parametrize(
    ("derived", "standing", "differing"),
    [
        (TO_COME, "due", []),
        (TO_COME, f"'{instant(TO_COME + timedelta(hours=25))}'", []),
        (TO_COME, "'2999-01-01T00:00:00.000Z'", ["due"]),
        (GONE, "'2999-01-01T00:00:00.000Z'", []),
        (TO_COME, "'2020-01-01T00:00:00.000Z'", []),
        (GONE, "NULL", []),
        (NOW + timedelta(hours=1), "NULL", []),
        (None, "'2999-01-01T00:00:00.000Z'", []),
        (TO_COME, "NULL", ["due"]),
        (TO_COME, "'x'", ["due"]),
        (GONE, "'1999-bad'", ["due"]),
        (GONE, "5", ["due"]),
        (None, "'x'", ["due"]),
    ],
    ids=[
        "as derived",
        "by another clock",
        "put off for ever",
        "put off to what comes next",
        "put to an earlier moment",
        "taken off, as nothing is to come",
        "taken off by another clock",
        "of another clock",
        "lost",
        "damaged",
        "damaged, of one that is gone",
        "a number",
        "damaged, where there was none",
    ],
)
async def test_a_case_that_nobody_will_look_at_any_more_is_found(
    home: Database, shelf: Database, derived: datetime | None, standing: str, differing: list[str]
) -> None:
    # given a state that says when its case is to be looked at, and stands in a home with another moment
    state = StoredState(0, 1, 1, 1, b"sealed", derived)
    for database in (home, shelf):
        await SqliteStore(database.connection).save(Register.name, [Write("a", None, state)])
    home.connection.execute(f"UPDATE states SET due = {standing}")  # noqa: S608 - ours

    # when it is compared with what follows from the history
    findings = Findings()
    log = SqliteLog(home.connection)
    where = Standing(SqliteStore(home.connection), log, "log", {})
    keys = Keys(SqliteKeyring(home.connection, MasterKey(bytes(32))))
    comparison = Comparison(Register(), SqliteStore(shelf.connection), Register.name, where, keys, findings)
    told = await comparison.made()

    # then it is right, unless the case has lost its moment
    assert told.equal == (not differing)
    assert [each.path for finding in findings.kept for each in finding.differences] == differing
