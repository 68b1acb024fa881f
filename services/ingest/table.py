"""Responses as a file: long or wide CSV, as OnTrack and spreadsheet programs write it."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress
from typing import IO, Final, NamedTuple, NoReturn
from unicodedata import normalize

from contracts.definitions.instrument import COLUMNS, Instrument
from contracts.events.fields import INDIVIDUAL, LAST_SESSION, WORDS_AT_MOST
from services.ingest.dates import Calendar, NoMoment, moment

LINE_LIMIT: Final = 1_000_000
"""Characters in one line; far above any row of answers, far below what would fill the memory."""

CASE_LIMIT: Final = 64
SESSION: Final = "{session}"
"""In a pattern of column names: where the session stands."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WHOLE: Final = re.compile(r"^([+-]?\d{1,9})(?:[.,]0+)?$")
_DIGITS: Final = 10
_INDIVIDUAL: Final = re.compile(f"^{INDIVIDUAL}$")


@dataclass(frozen=True, slots=True)
class RowFault:
    """Something wrong in a file: the line, the field, and what was expected. Never what stood there."""

    line: int
    field: str
    expected: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"line {self.line}: {self.field}: {self.expected}"


class ResponseRow(NamedTuple):
    """One questionnaire of one occasion, as a file gives it.

    columns: how the file calls a field, where it has another name there
    """

    line: int
    case: str
    session: int | str
    answered_at: datetime
    instrument: str
    answers: Mapping[str, int]
    comment: str | None
    columns: Mapping[str, str]


class UnreadableFile(Exception):
    """The file ends here as far as it can be read; everything from this line on is unknown."""

    def __init__(self, fault: RowFault) -> None:
        """Say where it ends."""
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Wide:
    """How a wide file is read: one row a case, and for each session the columns that the patterns name.

    values: such as `bdi_s{session}`, or `odsis_{item}_s{session}` for an instrument of several items
    dates: such as `date_s{session}`; None: session n was n weeks after `weekly_from`
    """

    instrument: str
    values: str
    dates: str | None
    weekly_from: datetime | None


class Raw(NamedTuple):
    """A row before it is understood: its first line, and the text of its fields."""

    line: int
    fields: list[str]


class Table:
    """A CSV file: its header, and its rows. Faults of the whole file are raised as UnreadableFile."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Read the header. `stream` may be gzipped, begin with a byte-order mark, and use `,` `;` or tabs."""
        self._lines = _Lines(_unzipped(stream))
        first = next(self._lines, None)
        if first is None or not first.strip():
            raise UnreadableFile(RowFault(1, "the file", "a header and rows were expected, and it is empty"))
        self.delimiter = max(",;\t", key=first.count)
        try:
            self.header = [name.strip() for name in next(csv.reader([first], delimiter=self.delimiter, strict=True))]
        except csv.Error:
            expected = "a header in one line was expected, and lines that end with LF or CRLF"
            raise UnreadableFile(RowFault(1, "the header", expected)) from None

    def rows(self) -> Iterator[Raw]:
        """Give the rows; empty lines are passed over. Raises UnreadableFile."""
        reader = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        line = 1
        while True:
            self._lines.begin_row()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                expected = f"quotes that close within {csv.field_size_limit():,} characters were expected"
                raise UnreadableFile(RowFault(line + 1, "the row", expected)) from None
            if any(fields):
                yield Raw(line + 1, fields)
            line = 1 + reader.line_num


def _unzipped(stream: IO[bytes]) -> IO[bytes]:
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    return gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == b"\x1f\x8b" else buffered  # type: ignore[return-value]


class _Lines(Iterator[str]):
    """The lines of a file, as text; stops with an error at the first that cannot be read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._number = 0
        self._row = 1
        self._room = LINE_LIMIT

    def begin_row(self) -> None:
        """Begin a row: its lines together may be as long as one line."""
        self._row = self._number + 1
        self._room = LINE_LIMIT

    def __next__(self) -> str:
        self._number += 1
        try:
            line = self._stream.readline(LINE_LIMIT)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self._stop("the file", "more gzip data was expected; it is cut or damaged")
        if not line:
            raise StopIteration
        self._room -= len(line)
        if self._room <= 0:
            self._number = self._row
            self._stop("the row", f"less than {LINE_LIMIT:,} characters were expected")
        try:
            return line.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError:
            self._stop("the file", "UTF-8 text was expected; save the file as `CSV UTF-8`")

    def _stop(self, field: str, expected: str) -> NoReturn:
        raise UnreadableFile(RowFault(self._number, field, expected)) from None


def _require(header: Sequence[str], *names: str) -> None:
    """Require columns. What else the first line holds is not told: without a header it is answers."""
    for name in names:
        if name not in header:
            raise UnreadableFile(RowFault(1, name, "this column was expected in the first line"))
    for name in header:
        if header.count(name) > 1:
            raise UnreadableFile(RowFault(1, _column(name), "each column once was expected"))


def _column(name: str) -> str:
    return name or "a column without a name"


class LongReader:
    """Understands rows of long form: one row for one questionnaire of one occasion."""

    def __init__(self, header: Sequence[str], instruments: Mapping[str, Instrument], calendar: Calendar) -> None:
        """Check the header against the instruments that are known (by id). Raises UnreadableFile."""
        _require(header, "case", "session", "answered_at", "instrument")
        known = {item.id for instrument in instruments.values() for item in instrument.items}
        unknown = [name for name in header if name not in known and name not in COLUMNS]
        if unknown:
            expected = "items of known instruments were expected; `ontrack definitions show ID` lists those of one"
            raise UnreadableFile(RowFault(1, ", ".join(map(_column, unknown)), expected))
        self._header = header
        self._instruments = instruments
        self._calendar = calendar

    def read(self, raw: Raw) -> Iterator[ResponseRow | RowFault]:
        """Understand a row: the response in it, or everything that is wrong with it."""
        if len(raw.fields) != len(self._header):
            expected = f"{len(self._header)} columns were expected, here are {len(raw.fields)}"
            yield RowFault(raw.line, "the row", expected)
            return
        given = compress(zip(self._header, raw.fields, strict=True), raw.fields)
        values = {name: text for name, cell in given if (text := cell.strip())}
        case, session, at, name, comment = (values.pop(column, "") for column in COLUMNS)
        instrument = self._instruments.get(name)
        if instrument is None:
            yield RowFault(raw.line, "instrument", f"one of {', '.join(sorted(self._instruments))} was expected")
        cells = Cells(raw.line, case, session, at, comment, values, _AS_THEY_ARE)
        yield from understood(cells, instrument, self._calendar)


class WideReader:
    """Understands rows of wide form: one row for one case."""

    def __init__(
        self, header: Sequence[str], wide: Wide, instruments: Mapping[str, Instrument], calendar: Calendar
    ) -> None:
        """Find the columns that the patterns name. Raises UnreadableFile."""
        instrument = instruments.get(wide.instrument)
        if instrument is None:
            expected = f"one of {', '.join(sorted(instruments))} was expected"
            raise UnreadableFile(RowFault(1, "--instrument", expected))
        _require(header, "case")
        self._case = header.index("case")
        self._columns = _columns(header, wide.values, instrument)
        if not self._columns:
            raise UnreadableFile(RowFault(1, "--wide", f"no column of the header fits the pattern {wide.values}"))
        self._dates = {s: header.index(name) for s, name in _named(header, wide.dates).items()} if wide.dates else {}
        if wide.dates and not self._dates:
            raise UnreadableFile(RowFault(1, "--dates", f"no column of the header fits the pattern {wide.dates}"))
        self._wide = wide
        self._width = len(header)
        self._instrument = instrument
        self._names = {session: _column_names(wide, instrument, session) for session in self._columns}
        self._calendar = calendar

    def read(self, raw: Raw) -> Iterator[ResponseRow | RowFault]:
        """Understand a row: the responses in it, and everything that is wrong with it."""
        if len(raw.fields) != self._width:
            yield RowFault(raw.line, "the row", f"{self._width} columns were expected, here are {len(raw.fields)}")
            return
        for session, columns in self._columns.items():
            values = {item: text for item, place in columns.items() if (text := raw.fields[place].strip())}
            if values:
                case, at = raw.fields[self._case].strip(), self._answered_at(raw, session)
                cells = Cells(raw.line, case, session, at, "", values, self._names[session])
                yield from understood(cells, self._instrument, self._calendar)

    def _answered_at(self, raw: Raw, session: str) -> str:
        if session in self._dates:
            return raw.fields[self._dates[session]].strip()
        if self._wide.weekly_from is None or not session.isdecimal():
            return ""
        return (self._wide.weekly_from + timedelta(weeks=int(session))).isoformat()


_AS_THEY_ARE: Final[Mapping[str, str]] = {}


class Cells(NamedTuple):
    """The text of one response, field by field; `columns` says how the file calls a field that it calls otherwise."""

    line: int
    case: str
    session: str
    answered_at: str
    comment: str
    values: Mapping[str, str]
    columns: Mapping[str, str]


def understood(cells: Cells, instrument: Instrument | None, calendar: Calendar) -> Iterator[ResponseRow | RowFault]:
    """Understand the text of one response: give the row, or each fault in it.

    instrument: None if it is not known; the answers cannot be understood then, and everything else can
    """
    line = cells.line
    faults = []
    if not 1 <= len(cells.case) <= CASE_LIMIT:
        faults.append(RowFault(line, "case", f"a number or name of 1 to {CASE_LIMIT} characters was expected"))
    elif not cells.case.isprintable():
        faults.append(RowFault(line, "case", "a number or name without invisible characters was expected"))
    number = _session(cells.session)
    if number is None:
        expected = f"a whole number from 0 to {LAST_SESSION}, or individual-1 to -9, was expected"
        faults.append(RowFault(line, "session", expected))
    at = None
    try:
        at = moment(cells.answered_at, calendar)
    except NoMoment as expected_one:
        faults.append(RowFault(line, "answered_at", str(expected_one)))
    answers, unclear = _answers(cells.values)
    if instrument is not None and (unclear or not instrument.accepts(answers)):
        faults.extend(RowFault(line, fault.field, fault.expected) for fault in instrument.faults_in(answers | unclear))
    if _CONTROL.search(cells.comment):
        faults.append(RowFault(line, "comment", "text without control characters was expected"))
    if len(cells.comment) > WORDS_AT_MOST:
        faults.append(RowFault(line, "comment", f"at most {WORDS_AT_MOST} characters were expected"))
    if faults or number is None or at is None or instrument is None:
        for fault in faults:
            yield RowFault(line, cells.columns.get(fault.field, fault.field), fault.expected)
        return
    case = normalize("NFC", cells.case)
    yield ResponseRow(line, case, number, at, instrument.id, answers, cells.comment or None, cells.columns)


def _answers(values: Mapping[str, str]) -> tuple[dict[str, int], dict[str, object]]:
    """Read the values of items as whole numbers; give those too that are none."""
    answers: dict[str, int] = {}
    unclear: dict[str, object] = {}
    for item, text in values.items():
        value = _whole(text)
        if value is None:
            unclear[item] = text
        else:
            answers[item] = value
    return answers, unclear


def _whole(text: str) -> int | None:
    if text.isdecimal() and text.isascii() and len(text) < _DIGITS:
        return int(text)
    found = _WHOLE.match(text)
    return None if found is None else int(found.group(1))


def _session(text: str) -> int | str | None:
    number = _whole(text)
    if number is None:
        return text if _INDIVIDUAL.match(text) else None
    return number if 0 <= number <= LAST_SESSION else None


def _named(header: Sequence[str], pattern: str) -> dict[str, str]:
    """Find the columns that fit a pattern: session -> column."""
    expression = re.compile(re.escape(pattern).replace(r"\{session\}", rf"(?P<session>{INDIVIDUAL}|\d{{1,3}})"))
    return {found["session"]: name for name in header if (found := expression.fullmatch(name))}


def _columns(header: Sequence[str], pattern: str, instrument: Instrument) -> dict[str, dict[str, int]]:
    """Find the columns of each session: session -> item -> place."""
    columns: dict[str, dict[str, int]] = {}
    for item in instrument.items:
        if "{item}" not in pattern and len(instrument.items) > 1:
            expected = f"{{item}} was expected in the pattern, because {instrument.id} has several items"
            raise UnreadableFile(RowFault(1, "--wide", expected))
        for session, name in _named(header, pattern.replace("{item}", item.id)).items():
            columns.setdefault(session, {})[item.id] = header.index(name)
    return columns


def _column_names(wide: Wide, instrument: Instrument, session: str) -> dict[str, str]:
    """Say how a wide file calls the fields of a session."""
    values = wide.values.replace(SESSION, session)
    items = {item.id: values.replace("{item}", item.id) for item in instrument.items}
    dates = "--weekly-from" if wide.dates is None else wide.dates.replace(SESSION, session)
    return {"session": values, "answered_at": dates, **items}
