"""A history under other policies: the same stages over the same facts and scores, case by case."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from contracts.codec import CaseKey
from contracts.definitions.instrument import Scale
from contracts.events.event import Data, Event
from contracts.topics import SCORES, Topic
from services.auditor.domain.trial import (
    Changed,
    Clock,
    Concluded,
    InWeek,
    Summary,
    deterioration,
    gathered,
    under,
    weeks_in_treatment,
)
from services.auditor.fold import Keys
from services.runtime.log.port import Log, StoredRecord, next_offset
from services.runtime.reading import event_of
from services.runtime.stage import Stage

LeftOut = Literal["erased", "sealed", "damaged", "halted"]
_AT_ONCE: Final = 2_000
_CACHE_KIB: Final = 32_768


@dataclass(frozen=True, slots=True)
class Question:
    """What is tried on a history.

    stages: what judges, and what tells of it, in the order in which they read one another
    policies: by a name of their own; None: those that each case had. All are compared with the first; by the second is
        looked which cases deteriorated
    scale, points: worse than the baseline by so many points of it is a deterioration; None: nobody knows how many
    """

    stages: Sequence[Stage[Any]]
    policies: Mapping[str, str | None]
    scale: Scale
    points: Decimal | None
    clock: Clock


@dataclass(slots=True)
class Answer:
    """What came of it.

    weeks: with treatment; until: when the latest event that it stands on was recorded; left_out: cases, and why
    """

    summaries: Mapping[str, Summary]
    weeks: set[InWeek] = field(default_factory=set)
    until: datetime | None = None
    left_out: Counter[LeftOut] = field(default_factory=Counter)


Take = Callable[[str, Mapping[str, Sequence[Changed]]], None]


async def tried(log: Log, keys: Keys, question: Question, progress: Callable[[int], None], take: Take) -> Answer:
    """Ask a question of a whole history. Raises Unavailable.

    progress: is told how many records were read; take: is given each case with the sessions that each policy changes
    """
    first, *others = question.policies
    answer = Answer({name: Summary(is_compared=name != first) for name in (first, *others)})
    for number in range(SCORES.partitions):
        async for case_id, records in by_case(log, SCORES, number, progress):
            events = await _opened(case_id, records, keys, answer.left_out)
            if not events:
                continue
            try:
                found = {name: _judged(question, policy, case_id, events) for name, policy in question.policies.items()}
            except Exception:  # noqa: BLE001 - whatever a step raises halts its case, and no other
                answer.left_out["halted"] += 1
                continue
            take(case_id, _added(answer, question, found))
            answer.weeks |= weeks_in_treatment(events, question.clock)
            latest = max(event.recordedtime for event in events)
            answer.until = latest if answer.until is None else max(answer.until, latest)
    return answer


def _judged(question: Question, policy: str | None, case_id: str, events: Sequence[Event[Data]]) -> Concluded:
    asked = events if policy is None else under(policy, events)
    return gathered(concluded(question.stages, case_id, asked), question.clock)


def _added(answer: Answer, question: Question, found: Mapping[str, Concluded]) -> Mapping[str, Sequence[Changed]]:
    first, second = (found[name] for name in list(found)[:2])
    deteriorated = None if question.points is None else deterioration(second, question.scale, question.points)
    return {name: answer.summaries[name].add(each, first, deteriorated) for name, each in found.items()}


async def _opened(
    case_id: str, records: Sequence[StoredRecord], keys: Keys, left_out: Counter[LeftOut]
) -> Sequence[Event[Data]]:
    """Give the events of a case, each once; nothing, if one is missing or cannot be read."""
    key = (await keys.of([case_id])).get(case_id)
    if not isinstance(key, CaseKey):
        left_out["sealed" if key is None or case_id in keys.elsewhere else "erased"] += 1
        return ()
    read = [event_of(record, SCORES, key) for record in records]
    found: dict[int, Event[Data]] = {}
    for event in read:
        if isinstance(event, Event):
            found.setdefault(event.sequence or 0, event)
    is_whole = all(isinstance(event, Event) for event in read) and sorted(found) == list(range(1, len(found) + 1))
    if not is_whole:
        left_out["damaged"] += 1
        return ()
    return [found[sequence] for sequence in sorted(found)]


def concluded(stages: Sequence[Stage[Any]], case_id: str, events: Iterable[Event[Data]]) -> Iterator[Event[Data]]:
    """Give what stages say of the events of a case, each over what the one before it says. Raises what these raise."""
    for stage in stages:
        events = list(_through(stage, case_id, events))
        yield from events


def _through(stage: Stage[Any], case_id: str, events: Iterable[Event[Data]]) -> Iterator[Event[Data]]:
    """Run a stage; what it does not act on is passed on, if its topic carries it."""
    state, carried = stage.initial(case_id), frozenset(stage.writes.events if stage.writes is not None else ())
    for event in events:
        kind = type(event.data)
        if kind in stage.acts_on:
            state, following = stage.step(state, event)
            yield from following
        elif kind in carried:
            yield event


async def by_case(
    log: Log, topic: Topic, number: int, progress: Callable[[int], None]
) -> AsyncIterator[tuple[str, Sequence[StoredRecord]]]:
    """Give the records of a partition case by case, each in their order. Raises Unavailable.

    Those of other cases wait meanwhile, sealed as they stand on the log, in a private temporary database, whose file
    SQLite unlinks as it opens it. So no more than one case is held, however large the partition.

    progress: is told how many records were read
    """
    with closing(sqlite3.connect("", isolation_level=None)) as waiting:
        waiting.execute("PRAGMA journal_mode = OFF")
        waiting.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        waiting.execute(
            "CREATE TABLE records (name TEXT, place INTEGER, value BLOB, PRIMARY KEY (name, place)) WITHOUT ROWID"
        )
        waiting.execute("BEGIN")
        at, end = 0, await log.end(topic, number)
        while at < end:
            records = await log.read(topic, number, at, min(_AT_ONCE, end - at))
            at = next_offset(records)
            rows = ((record.key, record.offset, record.value) for record in records)
            waiting.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
            progress(len(records))
        for (name,) in waiting.execute("SELECT DISTINCT name FROM records ORDER BY name").fetchall():
            stored = waiting.execute("SELECT place, value FROM records WHERE name = ? ORDER BY place", (name,))
            yield name, [StoredRecord(place, name, value) for place, value in stored]
