"""The store in one SQLite file."""

import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from itertools import islice
from typing import Any, Final

from contracts.events.fields import instant
from services.runtime.database import rows_of, told_as, transaction
from services.runtime.store.port import (
    Appointment,
    Halted,
    Held,
    Outcome,
    Position,
    StoredState,
    StoreUnavailable,
    Write,
)
from services.runtime.store.values import due_of, moment_of, position_of

_PLACE = "file"

_STATE: Final = """case_id, "offset", read, written, schema, CAST(body AS BLOB), due"""
"""A state, its body as bytes all the same: an editor of databases leaves text."""

_NO_NUMBER: Final = -1
"""Stands for what is no number: no state and no schema has it, so it is told as any other that is wrong."""


class SqliteStore:
    """A `Store` in the tables `states`, `positions` and `halted`.

    One process writes a file at a time, so who has a partition is known here alone.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open database."""
        self._connection = connection
        self._owners: dict[tuple[str, int], str] = {}

    async def begin(self, stage: str) -> str:  # noqa: ARG002 - all stages have one place
        """Make the place for the states of a stage: here it came with the file."""
        return _PLACE

    async def place(self, stage: str) -> str | None:  # noqa: ARG002 - all stages have one place
        """Name the place for the states of a stage."""
        return _PLACE

    async def clear(self, stage: str) -> None:
        """Forget everything of a stage: states, positions and halted cases."""
        with told_as(StoreUnavailable), transaction(self._connection):
            for table in ("states", "positions", "halted"):
                self._connection.execute(f"DELETE FROM {table} WHERE stage = ?", (stage,))  # noqa: S608 - names of ours

    async def load(
        self,
        stage: str,
        case_ids: Collection[str],
        states: str | None = None,  # noqa: ARG002 - the place is lost with the file only
    ) -> Mapping[str, StoredState]:
        """Give the states of some cases; a case without one is absent."""
        statement = f"SELECT {_STATE} FROM states"  # noqa: S608 - names of ours
        return {row[0]: _state(row) for row in self._of_each(statement, stage, case_ids)}

    async def save(self, stage: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Write states, each on its condition; the outcomes are in the order of the writes."""
        with told_as(StoreUnavailable), transaction(self._connection):
            return [self._save(stage, write) for write in writes]

    def _save(self, stage: str, write: Write) -> Outcome:
        state = write.state
        due = None if state.due is None else instant(state.due)
        values = (state.offset, state.read, state.written, state.schema, state.body, due)
        if write.expected is None:
            statement = "INSERT INTO states VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            done = self._connection.execute(statement, (stage, write.case_id, *values))
        else:
            done = self._connection.execute(
                'UPDATE states SET "offset" = ?, read = ?, written = ?, schema = ?, body = ?, due = ?'
                ' WHERE stage = ? AND case_id = ? AND "offset" = ?',
                (*values, stage, write.case_id, write.expected),
            )
        if done.rowcount == 1:
            return Outcome.APPLIED
        held = self._connection.execute(
            'SELECT "offset" FROM states WHERE stage = ? AND case_id = ?', (stage, write.case_id)
        ).fetchone()
        return Outcome.ALREADY_APPLIED if held is not None and held[0] == state.offset else Outcome.LOST

    async def cases(self, stage: str) -> AsyncIterator[str]:
        """Give the cases that a stage has a state of, in order."""
        for (case_id,) in self._rows(
            "SELECT CAST(case_id AS TEXT) FROM states WHERE stage = ? ORDER BY case_id", (stage,)
        ):
            yield case_id

    async def appointments(
        self, stage: str, until: datetime, limit: int, after: Appointment | None = None
    ) -> Sequence[Appointment]:
        """Give the cases that are to be looked at by then, the earliest first, at most so many."""
        beyond = ("", "") if after is None else (instant(after.due), after.case_id)
        with told_as(StoreUnavailable):
            rows = self._connection.execute(
                'SELECT due, case_id, "offset" FROM states WHERE stage = ? AND due <= ? AND (due, case_id) > (?, ?)'
                " ORDER BY due, case_id",
                (stage, instant(until), *beyond),
            )
            with closing(rows):
                read = (Appointment(moment, *state) for due, *state in rows if (moment := moment_of(due)) is not None)
                return list(islice(read, limit))

    async def postpone(self, stage: str, appointment: Appointment, due: datetime | None) -> None:
        """Let a case be looked at later, or no more, unless its state was written since."""
        with told_as(StoreUnavailable):
            self._connection.execute(
                'UPDATE states SET due = ? WHERE stage = ? AND case_id = ? AND due = ? AND "offset" = ?',
                (
                    None if due is None else instant(due),
                    stage,
                    appointment.case_id,
                    instant(appointment.due),
                    appointment.offset,
                ),
            )

    async def hold(self, stage: str, partition: int, owner: str) -> Held:
        """Take a partition, and give how the stage stands there."""
        position = await self.position(stage, partition)
        self._owners[stage, partition] = owner
        return Held(position, _PLACE)

    async def position(self, stage: str, partition: int) -> Position | None:
        """Give how far a stage has come."""
        return (await self.positions(stage, [partition])).get(partition)

    async def positions(self, stage: str, partitions: Iterable[int]) -> Mapping[int, Position]:
        """Give how far a stage has come in some partitions."""
        rows = self._rows('SELECT partition, log, "offset" FROM positions WHERE stage = ?', (stage,))
        found = {number: position_of(log, offset) for number, log, offset in rows}
        return {number: position for number in partitions if (position := found.get(number)) is not None}

    async def set_position(self, stage: str, partition: int, position: Position, owner: str | None = None) -> Outcome:
        """Say how far a stage has come, unless somebody else has taken the partition."""
        if owner not in (None, self._owners.get((stage, partition))):
            return Outcome.LOST
        self._write(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", [(stage, partition, position.log, position.offset)]
        )
        return Outcome.APPLIED

    async def halt(self, stage: str, halted: Sequence[Halted]) -> None:
        """Record where cases halt and why; what was recorded of an earlier halt is replaced."""
        self._write(
            "INSERT OR REPLACE INTO halted VALUES (?, ?, ?, ?, ?)",
            [(stage, each.case_id, each.partition, each.offset, each.reason) for each in halted],
        )

    async def retry(self, stage: str, case_id: str) -> bool:
        """Ask for a halted case to be tried again; tell whether it is halted. Here every run tries all of them."""
        return bool(self._rows("SELECT 1 FROM halted WHERE stage = ? AND case_id = ?", (stage, case_id)))

    async def resume(self, stage: str, halted: Sequence[Halted]) -> None:
        """Forget that cases were halted, as they were listed."""
        self._write(
            'DELETE FROM halted WHERE stage = ? AND case_id = ? AND "offset" = ?',
            [(stage, each.case_id, each.offset) for each in halted],
        )

    async def halted(self, stage: str, partition: int | None = None) -> Sequence[Halted]:
        """Give the cases that are halted, by case."""
        rows = self._rows(
            'SELECT case_id, partition, "offset", reason FROM halted'
            " WHERE stage = ? AND (? IS NULL OR partition = ?) ORDER BY case_id",
            (stage, partition, partition),
        )
        return [Halted(*row) for row in rows]

    async def halted_among(self, stage: str, case_ids: Collection[str]) -> Mapping[str, Halted]:
        """Give those of some cases that are halted."""
        statement = 'SELECT case_id, partition, "offset", reason FROM halted'
        return {row[0]: Halted(*row) for row in self._of_each(statement, stage, case_ids)}

    async def remove(self, stage: str, case_ids: Collection[str]) -> None:
        """Remove the states of some cases, and that they are halted."""
        with told_as(StoreUnavailable), transaction(self._connection):
            for table in ("states", "halted"):
                statement = f"DELETE FROM {table} WHERE stage = ? AND case_id = ?"  # noqa: S608 - names of ours
                self._connection.executemany(statement, [(stage, case_id) for case_id in case_ids])

    async def take_place(self, stage: str, fresh: str, positions: Mapping[int, Position]) -> None:
        """Put what was kept under another name in the place of all that is known of a stage, and forget that name."""
        with told_as(StoreUnavailable), transaction(self._connection):
            for table in ("states", "halted"):
                self._connection.execute(f"DELETE FROM {table} WHERE stage = ?", (stage,))  # noqa: S608 - names of ours
                renamed = f"UPDATE {table} SET stage = ? WHERE stage = ?"  # noqa: S608 - names of ours
                self._connection.execute(renamed, (stage, fresh))
            self._connection.execute("DELETE FROM positions WHERE stage IN (?, ?)", (stage, fresh))
            self._connection.executemany(
                "INSERT INTO positions VALUES (?, ?, ?, ?)",
                [(stage, number, position.log, position.offset) for number, position in positions.items()],
            )

    def _of_each(self, statement: str, stage: str, case_ids: Collection[str]) -> list[tuple[Any, ...]]:
        """Give what a stage has of some cases, by a statement about all of them."""
        with told_as(StoreUnavailable):
            return rows_of(self._connection, f"{statement} WHERE stage = ? AND case_id IN", case_ids, stage)

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with told_as(StoreUnavailable):
            return self._connection.execute(statement, values).fetchall()

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with told_as(StoreUnavailable), transaction(self._connection):
            self._connection.executemany(statement, rows)


def _state(row: tuple[Any, ...]) -> StoredState:
    _, *numbers, body, due = row
    offset, read, written, schema = (each if isinstance(each, int) else _NO_NUMBER for each in numbers)
    return StoredState(offset, read, written, schema, body, due_of(due))
