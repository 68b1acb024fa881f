"""Where the rows of a file wait, checked, until all of it is known to be good: on disk, in nobody's sight."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import orjson

from contracts.events.fields import instant, session_of
from services.ingest.table import Raw, ResponseRow, RowFault
from services.runtime.unavailable import Unavailable

_CACHE_KIB = 32_768


class SpoolUnavailable(Unavailable):
    """Rows cannot be kept, or read again. Says why, and what to do."""


@contextmanager
def _telling_why() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as refused:
        raise SpoolUnavailable(
            f"the rows of the file cannot be kept in the directory for temporary files ({refused}): make room there, "
            "or name another one in the variable TMPDIR"
        ) from None


class Said(NamedTuple):
    """What was said of an occasion, wherever."""

    answered_at: str
    answers: Mapping[str, int]
    comment: str | None

    def differs_from(self, other: "Said") -> list[str]:
        """Name the fields in which they differ."""
        fields = ["answered_at"] if self.answered_at != other.answered_at else []
        items = dict.fromkeys([*self.answers, *other.answers])
        fields += [item for item in items if self.answers.get(item) != other.answers.get(item)]
        return [*fields, "comment"] if self.comment != other.comment else fields


class SpooledRow(NamedTuple):
    """A row that waits: where it came from, and its content as it was spooled.

    columns: how the file calls a field, where it has another name there
    """

    line: int
    session: int | str
    instrument: str
    answered_at: datetime
    content: bytes
    columns: Mapping[str, str]

    def column(self, field: str) -> str:
        """Say how the file calls a field."""
        return self.columns.get(field, field)

    def read(self) -> tuple[dict[str, int], str | None]:
        """Give the answers and the comment."""
        answers, comment = orjson.loads(self.content)
        return answers, comment


class Spool:
    """A private temporary database, so that memory does not grow with the file.

    SQLite unlinks its file as it opens it: nothing is left of it, not even by a killed process. Every call can raise
    SpoolUnavailable.
    """

    def __init__(self, *, keeping_raw: bool = False) -> None:
        """Begin empty. keeping_raw: the text of each line is kept too, for lines that will be left out."""
        self._keeping_raw = keeping_raw
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._connection.execute(
            "CREATE TABLE rows (number TEXT, session TEXT, instrument TEXT, line INTEGER, answered_at TEXT,"
            " content BLOB, PRIMARY KEY (number, session, instrument)) WITHOUT ROWID"
        )
        self._connection.execute(
            "CREATE TABLE again (number TEXT, session TEXT, instrument TEXT, line INTEGER, contradicts INTEGER)"
        )
        self._connection.execute(
            "CREATE TABLE raw (line INTEGER PRIMARY KEY, fields BLOB, is_left_out INTEGER NOT NULL DEFAULT 0)"
        )
        self._connection.execute("BEGIN")
        self.count = 0
        self._columns: dict[str, Mapping[str, str]] = {}

    @_telling_why()
    def keep(self, raw: Raw) -> None:
        """Keep the text of a line, if that may be needed."""
        if self._keeping_raw:
            self._connection.execute(
                "INSERT INTO raw (line, fields) VALUES (?, ?)", (raw.line, orjson.dumps(raw.fields))
            )

    @_telling_why()
    def leave_out(self, line: int) -> None:
        """Drop every row that came from a line; its text stays, if it was kept."""
        dropped = self._connection.execute("DELETE FROM rows WHERE line = ?", (line,))
        self.count -= dropped.rowcount
        self._connection.execute("UPDATE raw SET is_left_out = 1 WHERE line = ?", (line,))

    def left_out(self) -> Iterator[Raw]:
        """Give the text of the lines that were left out, in their order."""
        with _telling_why():
            lines = self._connection.execute("SELECT line, fields FROM raw WHERE is_left_out ORDER BY line")
            for line, fields in lines:
                yield Raw(line, orjson.loads(fields))

    @_telling_why()
    def count_left_out(self) -> int:
        """Count the lines that were left out, and of which the text is there."""
        (count,) = self._connection.execute("SELECT count(*) FROM raw WHERE is_left_out").fetchone()
        return int(count)

    @_telling_why()
    def add(self, row: ResponseRow) -> RowFault | None:
        """Keep a row; a repeated one is kept once. One that contradicts an earlier row of its occasion is a fault."""
        occasion = (row.case, str(row.session), row.instrument)
        if row.columns:
            self._columns.setdefault(occasion[1], row.columns)
        answered_at = instant(row.answered_at)
        content = orjson.dumps([row.answers, row.comment], option=orjson.OPT_SORT_KEYS)
        added = self._connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*occasion, row.line, answered_at, content),
        )
        if added.rowcount == 1:
            self.count += 1
            return None
        line, *before = self._connection.execute(
            "SELECT line, answered_at, content FROM rows WHERE number = ? AND session = ? AND instrument = ?", occasion
        ).fetchone()
        contradicts = before != [answered_at, content]
        self._connection.execute("INSERT INTO again VALUES (?, ?, ?, ?, ?)", (*occasion, row.line, contradicts))
        if not contradicts:
            return None
        said = Said(answered_at, row.answers, row.comment)
        columns = [
            row.columns.get(field, field) for field in said.differs_from(Said(before[0], *orjson.loads(before[1])))
        ]
        return RowFault(
            row.line, ", ".join(columns), f"other content than in line {line} was given for the same occasion"
        )

    @_telling_why()
    def contradictory(self) -> list[int]:
        """Give every line with an occasion of which another line says something else: nobody knows which is right."""
        lines = self._connection.execute(
            "WITH contradicted AS (SELECT DISTINCT number, session, instrument FROM again WHERE contradicts)"
            " SELECT line FROM contradicted CROSS JOIN rows USING (number, session, instrument)"
            " UNION SELECT line FROM contradicted CROSS JOIN again USING (number, session, instrument)"
            " ORDER BY line"
        )
        return [line for (line,) in lines]

    @_telling_why()
    def instruments(self) -> set[str]:
        """Give the id of every instrument of which something is left."""
        return {instrument for (instrument,) in self._connection.execute("SELECT DISTINCT instrument FROM rows")}

    @_telling_why()
    def sessions(self) -> set[int | str]:
        """Give every session of which something is left."""
        return {session_of(text) for (text,) in self._connection.execute("SELECT DISTINCT session FROM rows")}

    @_telling_why()
    def cases(self) -> dict[str, int]:
        """Give the external number of every case, and how many rows it has."""
        return dict(self._connection.execute("SELECT number, count(*) FROM rows GROUP BY number ORDER BY number"))

    @_telling_why()
    def of_case(self, number: str) -> list[SpooledRow]:
        """Give the rows of a case, in the order in which they were answered."""
        # Those of the same moment stand by session and instrument, wherever they stood in the file.
        rows = self._connection.execute(
            "SELECT line, session, instrument, answered_at, content FROM rows WHERE number = ?"
            " ORDER BY answered_at, CAST(session AS INTEGER), session, instrument",
            (number,),
        )
        return [self._spooled(*row) for row in rows]

    def _spooled(self, line: int, session: str, instrument: str, answered_at: str, content: bytes) -> SpooledRow:
        at, columns = datetime.fromisoformat(answered_at), self._columns.get(session, {})
        return SpooledRow(line, session_of(session), instrument, at, content, columns)

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()
