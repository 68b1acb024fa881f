"""What somebody does to a home: with an editor of databases, and with the keys of its cases or without them."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from contracts.codec import CaseKey, decode, encode, id_of, seal
from contracts.events.event import Data, Event
from contracts.topics import CASES, NOTICES, SCORES, TRACKS, Topic, partition_of
from services.embedded import DATABASE, EmbeddedHome
from services.runtime.database import table_of

Change = Callable[[Event[Any]], Event[Any]]

NOBODYS: Final = "00000000-0000-4000-8000-000000000000"


class Tampering:
    """A home that is changed behind its back. Records are named by their case and their place among its records."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.keys: dict[str, CaseKey] = asyncio.run(_keys(home))

    def offsets(self, topic: Topic, case_id: str) -> list[int]:
        """Where the records of a case stand."""
        rows = self._do(f'SELECT "offset" FROM {_table(topic, case_id)} WHERE key = ? ORDER BY "offset"', case_id)  # noqa: S608 - ours
        return [offset for (offset,) in rows]

    def record(self, topic: Topic, case_id: str, place: int) -> bytes:
        """The bytes of a record."""
        ((value,),) = self._do(
            f'SELECT value FROM {_table(topic, case_id)} WHERE "offset" = ?',  # noqa: S608 - ours
            self.offsets(topic, case_id)[place],
        )
        return bytes(value)

    def event(self, topic: Topic, case_id: str, place: int) -> Event[Data]:
        """What a record says."""
        event = decode(self.record(topic, case_id, place), topic, self.keys[case_id])
        assert isinstance(event, Event)
        return event

    def place_of(self, topic: Topic, case_id: str, kind: type[Data]) -> int:
        """The place of the first event of a type."""
        events = (self.event(topic, case_id, place) for place in range(len(self.offsets(topic, case_id))))
        return next(place for place, event in enumerate(events) if isinstance(event.data, kind))

    def put(self, topic: Topic, case_id: str, place: int, value: bytes) -> None:
        """Write other bytes in the place of a record."""
        offset = self.offsets(topic, case_id)[place]
        self._do(f'UPDATE {_table(topic, case_id)} SET value = ? WHERE "offset" = ?', value, offset)  # noqa: S608 - ours

    def append(self, topic: Topic, case_id: str, value: bytes) -> None:
        """Add a record at the end."""
        table = _table(topic, case_id)
        self._do(f"INSERT INTO {table} SELECT count(*), ?, ? FROM {table}", case_id, value)  # noqa: S608 - ours

    def cut(self, topic: Topic, case_id: str, place: int) -> None:
        """Take a record out, and move those behind it up."""
        table, offset = _table(topic, case_id), self.offsets(topic, case_id)[place]
        self._do(f'DELETE FROM {table} WHERE "offset" = ?', offset)  # noqa: S608 - ours
        self._do(f'UPDATE {table} SET "offset" = -"offset" WHERE "offset" > ?', offset)  # noqa: S608 - ours
        self._do(f'UPDATE {table} SET "offset" = -"offset" - 1 WHERE "offset" < 0')  # noqa: S608 - ours

    def cut_off(self, case_id: str) -> None:
        """Cut the last fact of the partition of a case off, with all that was concluded from it."""
        ((fact,),) = self._do(f'SELECT value FROM {_table(CASES, case_id)} ORDER BY "offset" DESC LIMIT 1')  # noqa: S608 - ours
        said = f'%"correlationid":"{id_of(fact)}"%'
        for topic in (CASES, SCORES, TRACKS, NOTICES):
            self._do(f"DELETE FROM {_table(topic, case_id)} WHERE CAST(value AS TEXT) LIKE ?", said)  # noqa: S608 - ours

    def swap(self, topic: Topic, case_id: str, one: int, other: int) -> None:
        """Let two records change places."""
        first, second = (self.record(topic, case_id, place) for place in (one, other))
        self.put(topic, case_id, one, second)
        self.put(topic, case_id, other, first)

    def resealed(self, topic: Topic, case_id: str, place: int, **data: object) -> bytes:
        """A record that says something else, sealed as it should be."""
        event = self.event(topic, case_id, place)
        said = event._replace(data=event.data.model_copy(update=data), sealed=None)
        return encode(said._replace(sealed=seal(said, self.keys[case_id])))

    def do(self, statement: str, *values: object) -> list[Any]:
        """Change or ask anything else."""
        return self._do(statement, *values)

    def _do(self, statement: str, *values: object) -> list[Any]:
        connection = sqlite3.connect(self.home / DATABASE)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()


def renamed(value: bytes, **changes: str) -> bytes:
    """A record whose outside says something else."""
    return orjson.dumps({**orjson.loads(value), **changes}, option=orjson.OPT_SORT_KEYS)


def _table(topic: Topic, case_id: str) -> str:
    return table_of(topic, partition_of(case_id))


async def _keys(home: Path) -> dict[str, CaseKey]:
    async with await EmbeddedHome.open(home) as opened:
        cases = [case_id async for case_id in opened.store.cases(opened.register.name)]
        return {case_id: key for case_id, key in (await opened.keyring.keys(cases)).items() if isinstance(key, CaseKey)}


def _of_a_fact(tampering: Tampering, case_id: str, **changes: str) -> None:
    tampering.put(CASES, case_id, 2, renamed(tampering.record(CASES, case_id, 2), **changes))


def cause_of_a_fact(tampering: Tampering, case_id: str) -> None:
    """Let a fact follow from what is not there."""
    _of_a_fact(tampering, case_id, causationid=NOBODYS)


def correlation_of_a_fact(tampering: Tampering, case_id: str) -> None:
    """Let a fact say that another one is the first of all that follows from it."""
    _of_a_fact(tampering, case_id, correlationid=NOBODYS)


def fact_spoilt(tampering: Tampering, case_id: str) -> None:
    """Alter a fact: it cannot be read, and nothing else on the log is another one."""
    tampering.put(CASES, case_id, 2, b"x" + tampering.record(CASES, case_id, 2)[1:])


def conclusion_put_in(tampering: Tampering, case_id: str) -> None:
    """Add a conclusion, with the number that comes next."""
    last = tampering.record(TRACKS, case_id, -1)
    sequence = int(orjson.loads(last)["sequence"])
    tampering.append(TRACKS, case_id, renamed(last, sequence=str(sequence + 1)))


def key_gone(tampering: Tampering, case_id: str) -> None:
    """Let a case be without its key: it halts at its first fact."""
    tampering.do("DELETE FROM keys WHERE case_id = ?", case_id)
