"""From a checked file to facts: every row is checked against the log before the first is taken."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.definitions.catalogue import Entry
from contracts.definitions.definition import split_reference
from contracts.definitions.policy import Policy
from contracts.events.event import Data, Event, fact_id
from contracts.events.facts import CaseEnrolled, ResponseSubmitted
from services.ingest.domain.register import Registered
from services.ingest.intake import Considered, Intake, new_fact
from services.ingest.spool import Spool, SpooledRow
from services.ingest.table import RowFault
from services.runtime.keyring.port import Keyring

CLIENT = "import"
AT_ONCE = 5_000
"""Facts that are checked, recorded and worked on at a time: what memory holds, whatever the length of the file."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """How cases that are not known are enrolled."""

    protocol: Entry
    policy: Entry
    group: str | None = None


@dataclass(slots=True)
class Chunk:
    """Some cases of a file, whole: their facts, the line each came from, and their external numbers."""

    facts: list[Event[Data]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)

    def add(self, fact: Event[Data], line: int) -> None:
        """Take a fact up."""
        self.facts.append(fact)
        self.lines.append(line)


@dataclass(slots=True)
class Tally:
    """What an import did, or would do."""

    cases: int = 0
    enrolled: int = 0
    recorded: int = 0
    known: int = 0
    faults: list[RowFault] = field(default_factory=list)


class Importer:
    """Makes facts of spooled rows, checks them against the register, and records them."""

    def __init__(
        self,
        intake: Intake,
        keyring: Keyring,
        instruments: Mapping[str, Entry],
        *,
        clinic: str,
        enrolment: Enrolment | None,
    ) -> None:
        """Import for `clinic`; `instruments` by id; without an enrolment unknown cases are faults."""
        self._intake = intake
        self._keyring = keyring
        self._instruments = instruments
        self._clinic = clinic
        self._enrolment = enrolment

    async def check(self, spool: Spool) -> Tally:
        """Find everything that speaks against the rows, in the light of the log. Records nothing."""
        tally = Tally()
        for chunk in self._chunks(spool):
            await self._considered(chunk, tally, checked=False)
        return tally

    async def record(self, spool: Spool, recorded: Callable[[Chunk], Awaitable[None]]) -> Tally:
        """Record the rows, chunk by chunk; `recorded` is awaited after each, before the next is considered."""
        tally = Tally()
        for chunk in self._chunks(spool):
            new = await self._considered(chunk, tally, checked=True)
            if new:
                await self._intake.record(new)
            await recorded(chunk)
        return tally

    async def _considered(self, chunk: Chunk, tally: Tally, *, checked: bool) -> Sequence[Event[Data]]:
        """Say what is new in a chunk; what is refused goes into the tally.

        checked: this was done before, and nothing has been written since: cases that were unknown then are all new
        """
        registered = await self._intake.registered(list(chunk.numbers))
        self._enrol(chunk, registered)
        if checked and not registered:
            considered = Considered(tuple(chunk.facts), 0, ())
        else:
            considered = self._intake.judged(chunk.facts, registered)
        tally.cases += len(chunk.numbers)
        tally.known += considered.known
        enrolled = sum(1 for fact in considered.new if isinstance(fact.data, CaseEnrolled))
        tally.enrolled += enrolled
        tally.recorded += len(considered.new) - enrolled
        tally.faults.extend(
            RowFault(chunk.lines[place], refusal.field, _expected(refusal.code, refusal.expected))
            for place, refusal in considered.refused
        )
        return considered.new

    def _chunks(self, spool: Spool) -> Iterator[Chunk]:
        chunk = Chunk()
        for number, rows in spool.cases():
            case_id = self._keyring.case_id(self._clinic, number)
            chunk.numbers[case_id] = number
            for row in rows:
                chunk.add(self._response(case_id, number, row), row.line)
            if len(chunk.facts) >= AT_ONCE:
                yield chunk
                chunk = Chunk()
        if chunk.facts:
            yield chunk

    def _response(self, case_id: str, number: str, row: SpooledRow) -> Event[Data]:
        """State a response; the same occasion of the same case is the same fact, however often it is imported."""
        data = ResponseSubmitted.model_construct(
            session=row.session,
            instrument=self._instruments[row.instrument].ref,
            answers=dict(row.answers),
            comment=row.comment,
            answered_at=row.answered_at,
            entered_by="import",
        )
        return new_fact(
            data,
            case_id=case_id,
            fact_id=fact_id(self._clinic, CLIENT, f"{number}\x1f{row.session}\x1f{row.instrument}"),
            source=f"urn:ontrack:{self._clinic}:{CLIENT}",
            happened=row.answered_at,
        )

    def _enrol(self, chunk: Chunk, registered: Mapping[str, Registered]) -> None:
        """Put an enrolment before the first fact of each case that is not known yet."""
        if self._enrolment is None:
            return
        facts, lines = chunk.facts, chunk.lines
        chunk.facts, chunk.lines = [], []
        begun = {case_id for case_id, case in registered.items() if case.enrolled}
        for fact, line in zip(facts, lines, strict=True):
            if fact.subject not in begun:
                begun.add(fact.subject)
                chunk.add(self._enrolled(fact, chunk.numbers[fact.subject], self._enrolment), line)
            chunk.add(fact, line)

    def _enrolled(self, first: Event[Data], number: str, enrolment: Enrolment) -> Event[Data]:
        return new_fact(
            CaseEnrolled(
                clinic=self._clinic, group=enrolment.group, protocol=enrolment.protocol.ref, policy=enrolment.policy.ref
            ),
            case_id=first.subject,
            fact_id=fact_id(self._clinic, CLIENT, f"enrol\x1f{number}"),
            source=f"urn:ontrack:{self._clinic}:{CLIENT}",
            happened=first.time,
        )


def policies_that_fit(instruments: set[str], policies: list[tuple[str, Policy]]) -> list[str]:
    """Name the policies whose primary instrument is among some."""
    return [policy.id for _, policy in policies if split_reference(policy.primary.instrument)[0] in instruments]


def _expected(code: str, expected: str) -> str:
    if code == "unknown_case":
        return "a case that is enrolled was expected; --enrol enrols those that are not known"
    return f"{expected} was expected" if code in ("case_closed", "session_outside_protocol") else expected
