"""A log with a register, facts that are recorded here and elsewhere, and what must be known of each case."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from contracts.codec import encode, prepared
from contracts.events.event import Data, Event, new_fact
from contracts.events.facts import CaseEnrolled, SessionScheduled
from contracts.topics import CASES, Topic
from services.ingest.cases import Cases
from services.ingest.domain.register import Register, Registered, Unclear
from services.runtime.log.port import Journal, Record, StoredRecord
from services.runtime.store.port import AgendaStore, Outcome, Position
from tests.support.clinic import policy_like, protocol_like
from tests.support.faults import Trouble, TroubledLog
from tests.support.workbench import LOG_ID, PARTITION, Workbench, cases_of, key_of

MOMENT: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
NAMES: Final = tuple(cases_of(PARTITION, 3))
ENROLLED: Final = CaseEnrolled(clinic="c1", protocol=protocol_like(), policy=policy_like())
FACT: Final = "00000000-0000-4000-8000-000000000000"
Who = Literal["here", "elsewhere"]


def a_fact(case_id: str, number: int) -> Event[Data]:
    """A fact of a case: the first one enrols it, each later one schedules another session."""
    data: Data = SessionScheduled(session=number % 900, scheduled=MOMENT + timedelta(days=number))
    if number == 0:
        data = ENROLLED
    fact_id = f"00000000-0000-4000-8000-{NAMES.index(case_id):04}{number:08}"
    return new_fact(data, case_id=case_id, fact_id=fact_id, source="urn:test", happened=MOMENT)


class Story:
    """A log with a register, facts that are recorded here and elsewhere, and what must be known of each case."""

    def __init__(self, bench: Workbench, store: AgendaStore | None = None, **limits: int) -> None:
        self.bench = bench
        self.cases = Cases(bench.log, store or bench.store, bench.keyring, **limits)
        self.expected: dict[str, Registered] = {}
        self._register = Register()
        self._counts = dict.fromkeys(NAMES, 0)

    async def record(self, who: Who, case_ids: Sequence[str]) -> None:
        """Record a fact of each case; if that is done here, it is told to those who know the cases."""
        await self.bench.know(*NAMES)
        records = []
        for case_id in case_ids:
            fact = a_fact(case_id, self._counts[case_id])
            self._counts[case_id] += 1
            self.expected[case_id], _ = self._register.step(self.expected.get(case_id, Registered()), fact)
            ready = prepared(fact, key_of(case_id))
            records.append(Record(case_id, encode(ready), ready))
        start = (await self.bench.log.append_each(CASES, {PARTITION: [records]}))[PARTITION]
        if who == "here":
            assert isinstance(start, int)
            self.cases.recorded(PARTITION, start, records)

    async def record_others(self, number: int) -> None:
        """Record so many facts of another case, which the register has read."""
        log, store = self.bench.log, self.bench.store
        await log.append(CASES, PARTITION, [OF_ANOTHER] * number)
        position = Position(LOG_ID, await log.end(CASES, PARTITION))
        assert await store.set_position(self._register.name, PARTITION, position) is Outcome.APPLIED

    async def run_register(self) -> None:
        """Let the register read everything."""
        await self.bench.run(self._register)

    async def ask(self, case_ids: Sequence[str]) -> None:
        """Ask what is known, and compare."""
        known = await self.cases.registered(case_ids)
        wanted = {case_id: self.expected[case_id] for case_id in case_ids if case_id in self.expected}
        assert dict(known) == wanted

    async def ask_for_all(self) -> None:
        """Ask for every case there is, and compare."""
        known = {case_id: state async for some in self.cases.all() for case_id, state in some.items()}
        assert known == self.expected

    async def read(self) -> list[StoredRecord]:
        """Give every fact as a broker does: as bytes."""
        records = await self.bench.log.read(CASES, PARTITION, 0, 1_000)
        return [record._replace(event=None) for record in records]


def enrolment_of(case_id: str) -> Record:
    """The record of an enrolment that nobody has told of."""
    fact = new_fact(ENROLLED, case_id=case_id, fact_id=FACT, source="urn:test", happened=MOMENT)
    return Record(case_id, encode(prepared(fact, key_of(case_id))))


OF_ANOTHER: Final = enrolment_of(cases_of(PARTITION, 4)[-1])


class FailingRegister(Register):
    """One that cannot go on with the first of the cases when one of its sessions is scheduled."""

    def step(self, state: Registered, event: Event[Data]) -> tuple[Registered, Sequence[Event[Data]]]:
        if event.subject == NAMES[0] and isinstance(event.data, SessionScheduled):
            raise ValueError("it fails")
        return super().step(state, event)


class CountedLog(TroubledLog):
    """A log that lets others have their turn before it reads, as brokers do. given: how many records it has given."""

    def __init__(self, log: Journal) -> None:
        super().__init__(log, Trouble())
        self.given = 0

    async def read(self, topic: Topic, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        await asyncio.sleep(0)
        records = await super().read(topic, partition, offset, limit)
        self.given += len(records)
        return records


@contextmanager
def a_bench() -> Iterator[Workbench]:
    with TemporaryDirectory() as folder, Workbench.on(Path(folder) / "bench.db") as bench:
        yield bench


async def unclear(cases: Cases, case_ids: Sequence[str] = NAMES) -> set[str]:
    """Which of some cases are not known for certain: that is told of them, and of no others."""
    found = {case_id for case_id, case in (await cases.registered(case_ids)).items() if isinstance(case, Unclear)}
    known, why = await cases.readable(case_ids)
    assert why.keys() == found
    assert not known.keys() & found
    return found


async def every(cases: Cases) -> dict[str, Registered]:
    """Every case there is."""
    return {case_id: case async for some in cases.all() for case_id, case in some.items()}
