"""The database of a home, changed behind its back: as a disk does, or somebody with an editor of databases."""

import sqlite3
from contextlib import closing
from pathlib import Path

from services.embedded import DATABASE
from services.home import Home


def edit(home: Home, statement: str, *values: object) -> None:
    """Change something in the database of an open home; at least one row is changed."""
    with closing(sqlite3.connect(Path(home.name) / DATABASE)) as database, database:
        assert database.execute(statement, values).rowcount > 0
