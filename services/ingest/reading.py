"""Reading a file of responses into a spool: every row is understood, every fault is found, before anything is taken."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Protocol, TextIO

from contracts.definitions.instrument import Instrument
from services.ingest.dates import Calendar
from services.ingest.spool import Spool
from services.ingest.table import LongReader, Raw, ResponseRow, RowFault, Table, UnreadableFile, Wide, WideReader


class RowReader(Protocol):
    """Understands rows."""

    def read(self, raw: Raw) -> Iterable[ResponseRow | RowFault]:
        """Give the responses in a row, and everything that is wrong with it."""


@dataclass(slots=True)
class Reading:
    """What a file holds: its good rows, spooled, and its faults.

    cut: it could not be read to its end
    """

    spool: Spool
    faults: list[RowFault] = field(default_factory=list)
    cut: bool = False


class Skipped:
    """Where lines with faults are written, as they came, to be mended and imported again."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._writer: _Writer | None = None
        self.count = 0

    def begin(self, table: Table) -> None:
        """Write the header of the file that the lines come from."""
        self._writer = csv.writer(self._stream, delimiter=table.delimiter, lineterminator="\n")
        self._writer.writerow(table.header)

    def add(self, raw: Raw) -> None:
        """Write a line."""
        if self._writer is not None:
            self._writer.writerow(raw.fields)
            self.count += 1


class _Writer(Protocol):
    def writerow(self, row: Iterable[str], /) -> object: ...


def read_responses(
    stream: IO[bytes],
    instruments: Mapping[str, Instrument],
    calendar: Calendar,
    *,
    wide: Wide | None = None,
    skipped: Skipped | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Reading:
    """Read a file of responses, long or wide.

    skipped: where lines with faults go; they are then left out rather than faults of the whole file
    progress: is told how many rows were read
    """
    reading = Reading(Spool(keeping_raw=skipped is not None))
    try:
        table = Table(stream)
        reader = _reader(table, instruments, calendar, wide)
        if skipped is not None:
            skipped.begin(table)
        for raw in table.rows():
            reading.spool.keep(raw)
            understood = list(reader.read(raw))
            faults = [part for part in understood if isinstance(part, RowFault)]
            if faults:
                leave_out(reading.spool, raw.line, skipped)
            else:
                faults = _spooled(understood, reading.spool)
            reading.faults.extend(faults)
            progress(1)
        for line in reading.spool.contradictory() if skipped is not None else ():
            leave_out(reading.spool, line, skipped)
    except UnreadableFile as unreadable:
        reading.faults.append(unreadable.fault)
        reading.cut = True
    return reading


def leave_out(spool: Spool, line: int, skipped: Skipped | None) -> None:
    """Take nothing from a line, and write it where such lines go."""
    raw = spool.leave_out(line)
    if raw is not None and skipped is not None:
        skipped.add(raw)


def _reader(table: Table, instruments: Mapping[str, Instrument], calendar: Calendar, wide: Wide | None) -> RowReader:
    if wide is None:
        return LongReader(table.header, instruments, calendar)
    return WideReader(table.header, wide, instruments, calendar)


def _spooled(understood: Iterable[ResponseRow | RowFault], spool: Spool) -> list[RowFault]:
    """Spool the responses of a line; give what contradicts an earlier line."""
    contradictions = [spool.add(part) for part in understood if isinstance(part, ResponseRow)]
    return [fault for fault in contradictions if fault is not None]
