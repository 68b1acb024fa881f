"""Reading a file of responses into a spool: every row is understood, every fault is found, before anything is taken."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

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

    header, delimiter: as they stand in the file; cut: it could not be read to its end
    """

    spool: Spool
    faults: list[RowFault] = field(default_factory=list)
    header: Sequence[str] = ()
    delimiter: str = ","
    cut: bool = False


def read_responses(
    stream: IO[bytes],
    instruments: Mapping[str, Instrument],
    calendar: Calendar,
    *,
    wide: Wide | None = None,
    leaves_out: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Reading:
    """Read a file of responses, long or wide.

    leaves_out: whether lines with faults are left out, rather than faults of the whole file
    progress: is told how many rows were read
    """
    reading = Reading(Spool(keeping_raw=leaves_out))
    try:
        table = Table(stream)
        reader = _reader(table, instruments, calendar, wide)
        reading.header, reading.delimiter = table.header, table.delimiter
        for raw in table.rows():
            reading.spool.keep(raw)
            understood = list(reader.read(raw))
            faults = [part for part in understood if isinstance(part, RowFault)]
            if faults:
                reading.spool.leave_out(raw.line)
            else:
                faults = _spooled(understood, reading.spool)
            reading.faults.extend(faults)
            progress(1)
        for line in reading.spool.contradictory() if leaves_out else ():
            reading.spool.leave_out(line)
    except UnreadableFile as unreadable:
        reading.faults.append(unreadable.fault)
        reading.cut = True
    return reading


def _reader(table: Table, instruments: Mapping[str, Instrument], calendar: Calendar, wide: Wide | None) -> RowReader:
    if wide is None:
        return LongReader(table.header, instruments, calendar)
    return WideReader(table.header, wide, instruments, calendar)


def _spooled(understood: Iterable[ResponseRow | RowFault], spool: Spool) -> list[RowFault]:
    """Spool the responses of a line; give what contradicts an earlier line."""
    contradictions = [spool.add(part) for part in understood if isinstance(part, ResponseRow)]
    return [fault for fault in contradictions if fault is not None]
