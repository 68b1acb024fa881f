"""Every stage run again over a history from its beginning, each over what stands on its topic.

What a stage concludes is laid beside what stands on the topic that it writes. So a record that is not what follows is
found where it stands, once, and not again in everything that follows from it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from sys import maxsize
from typing import Any, Final

from contracts.codec import CaseKey, id_of, is_canonical, subject_of
from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Event
from contracts.topics import CASES, DEAD_LETTERS, Topic, partition_of
from services.auditor.beside import Beside
from services.auditor.counted import Counted
from services.auditor.domain.facts import not_canonical, unfounded
from services.auditor.domain.findings import Finding, Findings, Place, What
from services.auditor.fold import Fold, Keys
from services.auditor.letters import Letters
from services.auditor.outside import Outsides
from services.auditor.repeated import RepeatedFacts
from services.runtime.erasures import erasures_in
from services.runtime.export import is_sealed
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, Record, StoredRecord, after, next_offset
from services.runtime.reading import event_of
from services.runtime.stage import Stage
from services.runtime.store.port import StatesLost, StatesReplaced, Store

BATCH: Final = 2_000


@dataclass(frozen=True, slots=True)
class History:
    """What is audited.

    stages: in the order in which they read one another, the first of which knows the facts of each case
    store: where they keep their states; None if these are not there to be looked at
    has_all_keys: whether a case without a key is a fault; else its key is kept by somebody else
    definitions: those on the log, which facts may name; None: whether they are there is not looked at
    is_whole: whether no records are left out on purpose; else facts stand at the offsets that they have, with holes
    """

    log: Log
    keyring: Keyring
    log_id: str
    stages: Sequence[Stage[Any]]
    store: Store | None = None
    has_all_keys: bool = True
    definitions: Catalogue | None = None
    is_whole: bool = True

    def readers(self, topic: Topic) -> Sequence[Stage[Any]]:
        """Give the stages that read a topic."""
        return [stage for stage in self.stages if stage.reads is topic]

    @property
    def derived(self) -> Sequence[tuple[Topic, Stage[Any]]]:
        """Give the topics that stages write, each with its stage, in the order in which they are read."""
        return [(stage.writes, stage) for stage in self.stages if stage.writes is not None]

    @property
    def topics(self) -> Sequence[Topic]:
        """Give the topics that are told again, in the order in which they are read."""
        return [CASES, *(topic for topic, _ in self.derived)]


class Contradicted(Exception):
    """Conclusions stand on a log that do not follow from its facts: it is the log that was damaged."""

    def __init__(self, counts: Counter[What]) -> None:
        """Say how many, of each kind of finding."""
        super().__init__(counts)
        self.counts = counts

    def __str__(self) -> str:
        return f"{self.counts.total()} conclusions do not follow"


@dataclass(slots=True)
class _Pass:
    """One partition while it is told again: where each topic ends, and how far it was read.

    letters: those that facts lead to which cannot be read; no_events: what is no fact, of cases whose key is not here
    """

    number: int
    ends: dict[str, int]
    besides: Mapping[str, Beside] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    letters: list[Record] = field(default_factory=list)
    no_events: list[StoredRecord] = field(default_factory=list)


@dataclass(slots=True)
class Replay:
    """A history that is told again.

    shelf: takes what each stage knows of the cases that are not kept open; empty, and nobody else's
    makes_bytes: whether what follows is compared to the byte; else only where it stands and of what type it is
    cases: only these, if any are named
    publishes: whether what is missing is put on the log, as whoever takes up what is rebuilt will not say it again;
        then its bytes are made
    ends: partition -> where each topic ended when it was told again
    """

    history: History
    shelf: Store
    makes_bytes: bool
    cases: Collection[str] | None = None
    publishes: bool = False
    findings: Findings = field(default_factory=Findings)
    progress: Callable[[int], None] = lambda _: None
    ends: dict[int, Mapping[str, int]] = field(default_factory=dict, init=False)
    counted: dict[str, Counted] = field(init=False)
    folds: dict[str, Fold[Any]] = field(init=False)
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        of = self.history
        self.keys = Keys(of.keyring, are_all_here=of.has_all_keys)
        self.folds = {
            stage.name: Fold(stage, of.log_id, self.keys, self.shelf, makes_bytes=self.makes_bytes)
            for stage in of.stages
        }
        self.counted = {topic.name: Counted() for topic in of.topics}

    async def partition(self, number: int) -> None:
        """Tell what stands in a partition again. Raises Unavailable, and Contradicted where things are published."""
        of, log = self.history, self.history.log
        # From the end of the chain to its beginning: what follows was there before it was asked for its cause.
        ends = {topic.name: await log.end(topic, number) for topic in reversed(of.topics)}
        self.ends[number] = dict(ends)
        besides = {topic.name: Beside(topic, number, self.findings, self.makes_bytes) for topic, _ in of.derived}
        pass_ = _Pass(number, ends, besides)
        repeated = RepeatedFacts(number, self.findings)
        expected = 0
        while records := await self._next(pass_, CASES, BATCH):
            expected = self._see_holes(CASES, number, expected, records)
            facts = await self._facts(pass_, self._in_their_place(number, records))
            await self._give(pass_, CASES, facts)
            self._see_what_they_name(number, facts)
            repeated.meet(facts, self._facts_known)
            for topic, _ in of.derived:
                await self._follow(pass_, topic, to_the_end=False)
        for topic, stage in of.derived:
            await self._follow(pass_, topic, to_the_end=True)
            if self.publishes:
                await self._publish(pass_, topic)
            await self._end(pass_, topic, stage)
        self._require_agreement()
        letters = Letters(number, self.findings, pass_.letters, pass_.no_events)
        lacking = await letters.compare(log, ends[CASES.name])
        if self.publishes and lacking:
            await log.append(DEAD_LETTERS, number, lacking)
        if repeated.cases and self.makes_bytes and not self.publishes:
            await self._compare_repeated(number, ends, repeated)
        if any(counted.erased or counted.sealed for counted in self.counted.values()):
            await self._see_outsides(number, ends)

    async def _compare_repeated(self, number: int, ends: Mapping[str, int], repeated: RepeatedFacts) -> None:
        """Read the facts of a partition once more, to compare those that stand there again with the first of each."""
        pass_ = _Pass(number, dict(ends))
        while records := await self._next(pass_, CASES, BATCH):
            of_cases = [each for each in records if each.key in repeated.cases and partition_of(each.key) == number]
            keys = await self.keys.of(dict.fromkeys(record.key for record in of_cases))
            repeated.compare([_with_event(record, keys.get(record.key)) for record in of_cases])

    def _facts_known(self, case_id: str) -> int:
        """Tell how many different facts of a case there are so far; beyond all bounds where nobody can tell."""
        known = self.folds[self.history.stages[0].name].state(case_id)
        return maxsize if known is None else len(known.facts)

    async def _see_outsides(self, number: int, ends: Mapping[str, int]) -> None:
        """See what can be seen of the events that stay sealed."""
        pass_ = _Pass(number, dict(ends))
        seen = Outsides(number, self.findings)
        is_any = False
        while records := await self._next(pass_, CASES, BATCH):
            sealed = await self._sealed(records)
            is_any = is_any or bool(sealed)
            seen.facts(CASES, sealed)
        for topic, _ in self.history.derived:
            seen.begin()
            expected = 0
            while records := await self._next(pass_, topic, BATCH):
                seen.look(topic, await self._sealed(records))
                # What is missing of other cases is told by what follows, and can be added.
                if is_any:
                    expected = self._see_holes(topic, number, expected, records)

    async def _sealed(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give the records of cases whose keys are not here."""
        keys = await self.keys.of(dict.fromkeys(record.key for record in records))
        return [record for record in records if isinstance(keys.get(record.key), Destroyed)]

    async def _next(self, pass_: _Pass, topic: Topic, limit: int) -> Sequence[StoredRecord]:
        """Read on on a topic; nothing, at its end. Records of cases that are not wanted are passed over."""
        at, end = pass_.at[topic.name], pass_.ends[topic.name]
        while at < end:
            found = await self.history.log.read(topic, pass_.number, at, min(limit, end - at))
            # Where only a part is read, the next record of it can have come since the end was asked for.
            records = [record for record in found if record.offset < end]
            before, at = at, next_offset(records) if records else end
            pass_.at[topic.name] = at
            self.progress(at - before)
            if wanted := self._wanted(records):
                return wanted
        return ()

    def _wanted(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        return records if self.cases is None else [record for record in records if record.key in self.cases]

    def _see_holes(self, topic: Topic, number: int, expected: int, records: Sequence[StoredRecord]) -> int:
        """See that none are missing before or among some records; give the offset of those that come next.

        expected: the offset of the first of them
        """
        is_whole = self.history.is_whole and self.cases is None
        for record in records if is_whole and next_offset(records) - expected > len(records) else ():
            if record.offset > expected:
                place = Place(topic.name, number, record.offset, id_of(record.value), record.key)
                says = f"offset {expected} was expected before offset {record.offset}"
                self.findings.add(Finding("gap", place, says))
            expected = after(record.offset)
        return next_offset(records)

    def _in_their_place(self, number: int, facts: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give the facts of a partition that are of no case of another one, whose history is told there."""
        strange = [each for each in facts if partition_of(each.key) != number and subject_of(each.value) == each.key]
        for fact in strange:
            place = Place(CASES.name, number, fact.offset, id_of(fact.value), fact.key)
            says = f"a fact of this case was expected in partition {partition_of(fact.key)}"
            self.findings.add(Finding("misplaced", place, says))
        return [each for each in facts if each not in strange] if strange else facts

    async def _facts(self, pass_: _Pass, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """Give facts with what they say, as far as that can be read."""
        keys = await self.keys.of(dict.fromkeys(record.key for record in records))
        counted = self.counted[CASES.name]
        counted.events += len(records)
        found: list[StoredRecord] = []
        for record in records:
            key = keys.get(record.key)
            fact = _with_event(record, key)
            if isinstance(key, Destroyed) and (is_sealed(record, CASES) or erasures_in([record], {})):
                counted.leave(record.key, 1, is_elsewhere=record.key in self.keys.elsewhere)
            elif isinstance(key, Destroyed):
                pass_.no_events.append(record)
                counted.unreadable += 1
            counted.unreadable += isinstance(key, CaseKey) and fact.event is None
            found.append(fact)
        return found

    async def _give(self, pass_: _Pass, topic: Topic, records: Sequence[StoredRecord]) -> None:
        """Give records to the stages that read a topic, and what these conclude to those that read that."""
        for stage in self.history.readers(topic) if records else ():
            batch = await self.folds[stage.name].take(pass_.number, records)
            if stage.writes is not None:
                pass_.letters += batch.dead
                await self._give(pass_, stage.writes, pass_.besides[stage.writes.name].derive(batch.out))

    def _see_what_they_name(self, number: int, facts: Sequence[StoredRecord]) -> None:
        """See that what facts follow from is among the facts of their case, and that the definitions are on the log."""
        register = self.folds[self.history.stages[0].name]
        for record in facts:
            event = record.event
            if event is not None:
                state = None if event.causationid is None else register.state(record.key)
                place = Place(CASES.name, number, record.offset, event.id, record.key)
                known = None if state is None else state.facts
                self.findings.add_all(unfounded(event, place, known, self.history.definitions))
                if self.makes_bytes and not is_canonical(record.value):
                    self.findings.add(not_canonical(place))

    async def _follow(self, pass_: _Pass, topic: Topic, *, to_the_end: bool) -> None:
        """Read on on a derived topic: as far as something was derived, or to the end."""
        beside = pass_.besides[topic.name]
        while limit := BATCH if to_the_end else min(BATCH, beside.expected):
            records = await self._next(pass_, topic, limit)
            if not records:
                return
            keys = await self.keys.of(dict.fromkeys(record.key for record in records))
            await self._give(pass_, topic, beside.meet(records, keys))

    async def _end(self, pass_: _Pass, topic: Topic, stage: Stage[Any]) -> None:
        """Find what is missing on a topic, and what is there and does not follow; compare what stands there twice."""
        store, counted, beside = self.history.store, self.counted[topic.name], pass_.besides[topic.name]
        beside.unclear |= self.folds[stage.name].halted.keys()
        published = None
        if store is not None:
            published = await self._published(store, stage, beside.cases_expected)
            if published:
                # What a stage says it has given stands there by now: it can have come since the end was asked for.
                await self._read_on(pass_, topic)
        # What others have put there meanwhile can follow from facts that came meanwhile.
        began = self.ends[pass_.number][topic.name]
        missing, to_come = beside.end(began, pass_.ends[topic.name], published)
        await self._give(pass_, topic, missing)
        counted.to_come += to_come
        counted.events += beside.events
        counted.repeated += beside.repeated
        for case_id, number in beside.unread.items():
            counted.leave(case_id, number, is_elsewhere=case_id in self.keys.elsewhere)
        if beside.has_repetitions:
            pass_.at[topic.name] = 0
            while records := await self._next(pass_, topic, BATCH):
                beside.compare_repetitions(records)

    async def _published(self, store: Store, stage: Stage[Any], case_ids: Collection[str]) -> dict[str, int]:
        """Give the last number that a stage says it has given of each case; nothing where that is lost."""
        try:
            states = await store.load(stage.name, case_ids)
        except (StatesLost, StatesReplaced):
            return {}
        return {case_id: state.written for case_id, state in states.items()}

    async def _publish(self, pass_: _Pass, topic: Topic) -> None:
        """Put on the log what follows from the facts and is not there, and read on to it: so it is met where it stands.

        Others may write there meanwhile, the same or more. What they do not follow from yet is for whoever goes on from
        where the topic ended before.
        """
        self._require_agreement()
        missing = pass_.besides[topic.name].behind()
        for start in range(0, len(missing), BATCH):
            await self.history.log.append(topic, pass_.number, missing[start : start + BATCH])
        await self._read_on(pass_, topic)

    async def _read_on(self, pass_: _Pass, topic: Topic) -> None:
        """Read on to where a topic ends by now."""
        pass_.ends[topic.name] = await self.history.log.end(topic, pass_.number)
        await self._follow(pass_, topic, to_the_end=True)

    def _require_agreement(self) -> None:
        """Make sure that nothing is published behind what does not follow. Raises Contradicted."""
        if self.publishes and (found := self.findings.contradictions):
            raise Contradicted(found)


def _with_event(record: StoredRecord, key: CaseKey | Destroyed | None) -> StoredRecord:
    """Give a fact with what it says, if that can be read."""
    event = event_of(record, CASES, key) if isinstance(key, CaseKey) else None
    return StoredRecord(*record[:3], event) if isinstance(event, Event) else record
