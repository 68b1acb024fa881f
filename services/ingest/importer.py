"""From a checked file to facts: every row is checked against the log before the first is taken."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.event import Data, Event, fact_id, new_fact
from contracts.events.facts import CaseEnrolled, ResponseSubmitted
from contracts.events.fields import instant
from contracts.topics import partition_of
from services.ingest.domain.register import Registered
from services.ingest.intake import Intake
from services.ingest.spool import Said, Spool, SpooledRow
from services.ingest.table import RowFault
from services.runtime.directory.port import Directory, Person

CLIENT = "import"
SESSION_EXPECTED = "a session of the case's protocol was expected"
FAULTS_LISTED = 100
"""More than anybody reads at once."""
AT_ONCE = 600
"""Facts that are checked, recorded and worked on at a time: what memory holds, whatever the length of the file."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """How cases that are not known are enrolled."""

    protocol: Entry
    policy: Entry
    group: str | None = None


@dataclass(frozen=True, slots=True)
class FileCase:
    """One case of a file: its id, its external number, and how many responses of it wait in the spool."""

    case_id: str
    number: str
    responses: int
    spool: Spool

    def rows(self) -> Sequence[SpooledRow]:
        """Give its rows, in the order in which they were answered."""
        return self.spool.of_case(self.number)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some cases of a file, whole, and the clinic whose they are."""

    cases: Sequence[FileCase]
    clinic: str

    @property
    def persons(self) -> dict[str, Person]:
        """Give who each case is, by its id."""
        return {case.case_id: Person(self.clinic, case.number) for case in self.cases}

    @property
    def responses(self) -> int:
        """Give how many responses it holds."""
        return sum(case.responses for case in self.cases)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row that says something else than the log: its fact, and the place of its fault among those of the tally."""

    row: SpooledRow
    fact: Event[Data]
    place: int


@dataclass(slots=True)
class Tally:
    """What an import did, or would do. contradictions: those that stand first in the file."""

    cases: int = 0
    enrolled: int = 0
    recorded: int = 0
    known: int = 0
    faults: list[RowFault] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)


class Importer:
    """Makes facts of spooled rows, checks them against the register, and records them."""

    def __init__(
        self,
        intake: Intake,
        directory: Directory,
        instruments: Mapping[str, Sequence[str]],
        *,
        clinic: str,
        enrolment: Enrolment | None,
    ) -> None:
        """Import for `clinic`; without an enrolment unknown cases are faults.

        instruments: the versions of each, by its id; rows are answers to the last one
        """
        self._intake = intake
        self._directory = directory
        self._instruments = instruments
        self._clinic = clinic
        self._enrolment = enrolment

    async def check(self, spool: Spool, progress: Callable[[int], None] = lambda _: None) -> Tally:
        """Find everything that speaks against the rows, in the light of the log. Records nothing.

        progress: is told how many rows were checked
        """
        tally, outside = Tally(), self._outside(spool)
        async for chunk in self._chunks(spool):
            registered = await self._intake.registered([case.case_id for case in chunk.cases])
            if registered or self._enrolment is None:
                self._considered(chunk, registered, tally)
            else:
                self._checked_as_new(chunk, outside, tally)
            progress(chunk.responses)
        await self._name_what_differs(tally)
        return tally

    async def record(self, spool: Spool, recorded: Callable[[Chunk], Awaitable[None]]) -> Tally:
        """Record rows that were checked, chunk by chunk; `recorded` is awaited after each, before the next.

        Who the cases are is noted first: a case on the log without its number could not be found again.
        """
        tally, outside = Tally(), self._outside(spool)
        async for chunk in self._chunks(spool):
            registered = await self._intake.registered([case.case_id for case in chunk.cases])
            if registered or self._enrolment is None:
                new = self._considered(chunk, registered, tally)
            else:
                self._checked_as_new(chunk, outside, tally)
                new = [fact for fact, _ in self._stated(chunk, registered)]
            await self._directory.enter(chunk.persons)
            if new:
                await self._intake.record(new)
            await recorded(chunk)
        return tally

    def _outside(self, spool: Spool) -> set[int | str]:
        """Give the sessions of a file that are not in the protocol of cases that are enrolled with it."""
        if self._enrolment is None:
            return set()
        protocol = self._enrolment.protocol.model
        assert isinstance(protocol, Protocol)  # noqa: S101 - the command has looked it up as one
        return {session for session in spool.sessions() if not protocol.has_session(session)}

    async def _chunks(self, spool: Spool) -> AsyncIterator[Chunk]:
        """Give the cases in portions; those of one partition come together, so that the stages get large batches."""
        counts = spool.cases()
        ids = await self._directory.case_ids(self._clinic, list(counts))
        cases: list[FileCase] = []
        responses = 0
        for number in sorted(counts, key=lambda number: (partition_of(ids[number]), number)):
            cases.append(FileCase(ids[number], number, counts[number], spool))
            responses += counts[number]
            if responses >= AT_ONCE:
                yield Chunk(cases, self._clinic)
                cases, responses = [], 0
        if cases:
            yield Chunk(cases, self._clinic)

    def _checked_as_new(self, chunk: Chunk, outside: set[int | str], tally: Tally) -> None:
        """Check cases that nobody knows yet: nothing on the log can speak against them, only their protocol.

        outside: the sessions of the file that their protocol does not have
        """
        tally.cases += len(chunk.cases)
        tally.enrolled += len(chunk.cases)
        tally.recorded += chunk.responses
        if not outside:
            return
        for case in chunk.cases:
            for row in case.rows():
                if row.session in outside:
                    tally.faults.append(RowFault(row.line, row.column("session"), SESSION_EXPECTED))

    def _considered(self, chunk: Chunk, registered: Mapping[str, Registered], tally: Tally) -> Sequence[Event[Data]]:
        """Say what is new in a chunk, in the light of the log; what is refused goes into the tally."""
        stated = list(self._stated(chunk, registered))

        def meant_before(place: int) -> Iterator[Event[Data]]:
            fact, row = stated[place]
            for ref in self._instruments[row.instrument] if isinstance(fact.data, ResponseSubmitted) else ():
                yield fact._replace(data=fact.data.model_copy(update={"instrument": ref}))

        considered = self._intake.judged([fact for fact, _ in stated], registered, meant_before)
        enrolled = sum(1 for fact in considered.new if isinstance(fact.data, CaseEnrolled))
        tally.cases += len(chunk.cases)
        tally.known += considered.known
        tally.enrolled += enrolled
        tally.recorded += len(considered.new) - enrolled
        for place, refusal in considered.refused:
            fact, row = stated[place]
            if refusal.code == "id_reused":
                tally.contradictions.append(Contradiction(row, fact, len(tally.faults)))
            expected = _expected(refusal.code, refusal.expected)
            tally.faults.append(RowFault(row.line, row.column(refusal.field), expected))
        # Only those that will be listed are looked up; the others would fill the memory.
        tally.contradictions.sort(key=lambda contradiction: contradiction.row.line)
        del tally.contradictions[FAULTS_LISTED:]
        return considered.new

    async def _name_what_differs(self, tally: Tally) -> None:
        """Let the faults of rows that contradict the log name the columns in which they do."""
        recorded = await self._intake.recorded([contradiction.fact for contradiction in tally.contradictions])
        for contradiction in tally.contradictions:
            before, now = recorded.get(contradiction.fact.id), contradiction.fact
            if before is not None and (columns := _differing(now, before, contradiction.row)):
                fault = tally.faults[contradiction.place]
                tally.faults[contradiction.place] = RowFault(fault.line, columns, fault.expected)

    def _stated(self, chunk: Chunk, registered: Mapping[str, Registered]) -> Iterator[tuple[Event[Data], SpooledRow]]:
        """State the facts of a chunk, each with its row; the enrolment of a case that is not known comes first."""
        for case in chunk.cases:
            known = registered.get(case.case_id)
            is_known = known is not None and (known.enrolled or known.erased)
            rows = case.rows()
            if self._enrolment is not None and not is_known:
                yield self._enrolled(case.case_id, self._enrolment, rows[0].answered_at), rows[0]
            for row in rows:
                yield self._response(case.case_id, row), row

    def _response(self, case_id: str, row: SpooledRow) -> Event[Data]:
        """State a response; the same occasion of the same case is the same fact, however often it is imported.

        Its id is made from the case id: ids are readable, and one made from a number would give the number away.
        """
        answers, comment = row.read()
        data = ResponseSubmitted.model_construct(
            session=row.session,
            instrument=self._instruments[row.instrument][-1],
            answers=answers,
            comment=comment,
            answered_at=row.answered_at,
            entered_by="import",
        )
        return new_fact(
            data,
            case_id=case_id,
            fact_id=fact_id(self._clinic, CLIENT, f"{case_id}\x1f{row.session}\x1f{row.instrument}"),
            source=f"urn:ontrack:{self._clinic}:{CLIENT}",
            happened=row.answered_at,
        )

    def _enrolled(self, case_id: str, enrolment: Enrolment, first_answer: datetime) -> Event[Data]:
        """State that a case was enrolled, at the time of its first answer."""
        data = CaseEnrolled(
            clinic=self._clinic, group=enrolment.group, protocol=enrolment.protocol.ref, policy=enrolment.policy.ref
        )
        return new_fact(
            data,
            case_id=case_id,
            fact_id=fact_id(self._clinic, CLIENT, f"enrol\x1f{case_id}"),
            source=f"urn:ontrack:{self._clinic}:{CLIENT}",
            happened=first_answer,
        )


def fits(policy: Policy, instruments: Collection[str], definitions: Catalogue) -> bool:
    """Tell whether a policy judges scores of some instruments, as the newest version of each gives them."""
    primary = definitions.instrument(policy.primary.instrument)
    newest = (definitions.named(Instrument, name) for name in instruments)
    return any(each is not None and primary.comparable_with(definitions.instrument(each.ref)) for each in newest)


def _differing(fact: Event[Data], other: Event[Data], row: SpooledRow) -> str:
    """Name the columns in which two responses differ."""
    now, before = fact.data, other.data
    if not isinstance(now, ResponseSubmitted) or not isinstance(before, ResponseSubmitted):
        return ""
    return ", ".join(row.column(field) for field in _said(now).differs_from(_said(before)))


def _said(response: ResponseSubmitted) -> Said:
    return Said(instant(response.answered_at), response.answers, response.comment)


def _expected(code: str, expected: str) -> str:
    if code == "unknown_case":
        return "a case that is enrolled was expected; --enrol enrols those that are not known"
    if code == "case_unclear":
        return "a case that is neither halted nor lost was expected; ontrack doctor tells more"
    if code == "case_erased":
        return "a case that was not erased was expected; nothing more is taken of this one"
    if code == "session_outside_protocol":
        return SESSION_EXPECTED
    return f"{expected} was expected" if code == "case_closed" else expected
