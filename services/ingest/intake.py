"""The intake library: the only code that writes facts. Validates all, then records all."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from contracts.codec import CaseKey, decode, encode, prepared
from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Data, Event
from contracts.events.fields import to_milliseconds
from contracts.topics import CASES, partition_of
from services.ingest.cases import Cases
from services.ingest.domain.admission import Refusal, is_known, is_reused, of_another, refusals, reuse_of
from services.ingest.domain.register import Foreseen, Registered
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Journal, LogUnavailable, Record
from services.runtime.reading import chunks

Group = Sequence[Event[Data] | Record]
"""Facts of one case that are recorded together or not at all."""

_REASONS_AT_MOST: Final = 100
"""Reasons that are looked for why a fact is refused: answers can have a fault in each of a great many names."""


@dataclass(frozen=True, slots=True)
class Considered:
    """What would become of some facts.

    new: those that are not on the log yet; known: how many are there already, with the same content
    refused: the place of each refused fact among those that came, and why
    """

    new: tuple[Event[Data], ...]
    known: int
    refused: tuple[tuple[int, Refusal], ...]


def _nothing_else(_: int) -> Iterable[Event[Data]]:
    return ()


@dataclass(frozen=True, slots=True)
class Request:
    """Facts of which nothing is recorded if one is refused.

    Those of one case are recorded together or not at all. Those of several cases can stand in several partitions of the
    log, and one of these can be away: then the same request records the rest when it comes again.

    clinic: for whom no other cases exist; None: all of them do
    came: when the request came, if that is the time of each fact of which nobody has said when it happened. These
        happen when they are recorded, so that the same request can come again at another moment
    meant_before: gives what the fact at a place may have said when the request came first: a definition that is not
        named in full can have been another one then
    keyed: gives, case by case, the ids that a key gives to the facts about it, in their order, and to one more
    """

    facts: Sequence[Event[Data]]
    clinic: str | None = None
    came: datetime | None = None
    meant_before: Callable[[int], Iterable[Event[Data]]] = _nothing_else
    keyed: Callable[[], Mapping[str, Sequence[str]]] = dict


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the facts of one request: all of them are on the log now, or none is new.

    new: how many were not there before
    refused: the place of each refused fact among those that came, and why; then nothing of the request was recorded
    """

    new: int
    refused: tuple[tuple[int, Refusal], ...] = ()


class Intake:
    """Takes facts onto the log."""

    def __init__(
        self, log: Journal, cases: Cases, keyring: Keyring, definitions: Catalogue, clock: Callable[[], datetime]
    ) -> None:
        """Write to `log`; judge by what is known of `cases`; take only what `definitions` has."""
        self._log = log
        self._cases = cases
        self._keyring = keyring
        self._definitions = definitions
        self._clock = clock

    async def registered(self, case_ids: Sequence[str]) -> Mapping[str, Registered]:
        """Give what is known of some cases; one of which nothing is known is absent. Raises KeyMissing."""
        return await self._cases.registered(case_ids)

    async def take(self, requests: Sequence[Request]) -> Sequence[Taken | LogUnavailable]:
        """Record the facts of several requests, each judged in the light of those before it; tell what became of each.

        Of a request with a fact that is refused nothing is recorded. Where the log was away for a moment, it is not
        known whether the facts of a request are there, nor whether those are that it was judged by: the same request
        can come again. Raises KeyMissing, or Unavailable, and then nothing was recorded.
        """
        registered = await self._cases.registered({fact.subject for request in requests for fact in request.facts})
        recorded = to_milliseconds(self._clock())
        foreseen = _foreseen(registered)
        judged: list[tuple[Considered, Collection[str]]] = []
        changed: set[str] = set()
        for request in requests:
            considered = self._judged(request, foreseen, recorded)
            spoken_of = {fact.subject for fact in request.facts}
            stated = {fact.subject for fact in considered.new}
            judged.append((considered, spoken_of & changed | stated))
            if not considered.refused:
                foreseen.add(considered.new)
                changed |= stated
        groups: list[Group] = []
        for considered, _ in judged:
            if not considered.refused:
                groups += _by_case(considered.new)
        away = await self._append(groups, None) if groups else {}
        return [_taken(considered, stands_by, away) for considered, stands_by in judged]

    async def consider(self, facts: Sequence[Event[Data]]) -> Considered:
        """Say what would become of facts, each in the light of those before it. Records nothing."""
        return self.judged(facts, await self.registered([fact.subject for fact in facts]))

    def judged(
        self,
        facts: Sequence[Event[Data]],
        registered: Mapping[str, Registered],
        meant_before: Callable[[int], Iterable[Event[Data]]] = _nothing_else,
    ) -> Considered:
        """Say what would become of facts, in the light of what is registered and of the facts before each.

        meant_before: as of a request
        """
        request = Request(facts, meant_before=meant_before)
        return self._judged(request, _foreseen(registered), self._clock())

    def _judged(self, request: Request, before: Foreseen, recorded: datetime) -> Considered:
        """Say what would become of the facts of a request. before: what will be known of cases before it."""
        foreseen = Foreseen(before.of)
        reused = _reused(request, before)
        new: list[Event[Data]] = []
        refused: list[tuple[int, Refusal]] = []
        known = 0
        for place, fact in enumerate(request.facts):
            case = foreseen.of(fact.subject)
            if request.clinic is not None and (strange := of_another(case, request.clinic)):
                refused.append((place, strange))
                continue
            if fact.id in reused:
                refused.append((place, reuse_of(case, fact)))
                continue
            stands = _standing(fact, request.came, recorded)
            if fact.id in case.facts:
                meant = chain([fact], request.meant_before(place))
                if any(is_known(case, _standing(each, request.came, recorded)) for each in meant):
                    known += 1
                    continue
            against = list(islice(refusals(case, fact, self._definitions), _REASONS_AT_MOST))
            if against:
                refused.extend((place, refusal) for refusal in against)
                continue
            foreseen.add([stands])
            new.append(stands)
        return Considered(tuple(new), known, tuple(refused))

    async def recorded(self, facts: Sequence[Event[Data]]) -> Mapping[str, Event[Data]]:
        """Give what stands on the log under the ids of some facts, as far as it can be read."""
        wanted = {fact.id for fact in facts}
        keys = await self._keyring.keys({fact.subject for fact in facts})
        found: dict[str, Event[Data]] = {}
        for partition in sorted({partition_of(case_id) for case_id in keys}):
            async for records in chunks(self._log, CASES, partition):
                for record in records:
                    if isinstance(key := keys.get(record.key), CaseKey):
                        event = decode(record.value, CASES, key)
                        if isinstance(event, Event) and event.id in wanted:
                            found.setdefault(event.id, event)
        return found

    async def record(self, facts: Sequence[Event[Data]]) -> None:
        """Record facts that were considered; they are durable when this returns. Raises LogUnavailable."""
        _require_log(await self._append([[fact] for fact in facts], self._clock()))

    async def take_over(self, facts: Sequence[Event[Data] | Record]) -> None:
        """Record facts as another log recorded them; they are durable when this returns. Raises LogUnavailable.

        Those of an erased case come as records: nobody can open them.
        """
        _require_log(await self._append([[fact] for fact in facts], None))

    async def _append(self, groups: Sequence[Group], recorded: datetime | None) -> Mapping[int, LogUnavailable]:
        """Append facts, each group whole or not at all; give the partitions where the log was away."""
        keys = await self._keys({fact.subject for group in groups for fact in group if isinstance(fact, Event)})
        by_partition: dict[int, list[list[Record]]] = defaultdict(list)
        for group in groups:
            sealed = [
                fact if isinstance(fact, Record) else _sealed(fact, keys[fact.subject], recorded) for fact in group
            ]
            if records := [record for record in sealed if record is not None]:
                by_partition[partition_of(records[0].key)].append(records)
        appended = await self._log.append_each(CASES, by_partition)
        away: dict[int, LogUnavailable] = {}
        for partition, start in appended.items():
            if isinstance(start, LogUnavailable):
                away[partition] = start
            else:
                self._cases.recorded(partition, start, list(chain.from_iterable(by_partition[partition])))
        return away

    async def _keys(self, case_ids: AbstractSet[str]) -> Mapping[str, CaseKey | Destroyed]:
        """Give the keys of cases; one that never had a key gets one now."""
        at_hand = self._cases.keys_at_hand(case_ids)
        others = case_ids - at_hand.keys()
        return {**at_hand, **await self._keyring.create(others)} if others else at_hand


def _foreseen(registered: Mapping[str, Registered]) -> Foreseen:
    return Foreseen(lambda case_id: registered.get(case_id) or Registered())


def _reused(request: Request, before: Foreseen) -> AbstractSet[str]:
    """Give the ids of facts whose key has stated something else before.

    What a key states about a case is recorded from its first fact on, and together. So only where a fact is known is
    there anything to look for.
    """
    if not any(fact.id in before.of(fact.subject).facts for fact in request.facts):
        return frozenset()
    keyed = request.keyed()
    return {fact_id for case_id, ids in keyed.items() if is_reused(before.of(case_id), ids) for fact_id in ids}


def _standing(fact: Event[Data], came: datetime | None, recorded: datetime) -> Event[Data]:
    """Give a fact as it will stand on the log: what happens as it is recorded is that of which nobody said when."""
    if fact.time == came:
        return fact._replace(time=recorded, recordedtime=recorded)
    if to_milliseconds(fact.time) == to_milliseconds(recorded):
        recorded -= timedelta(milliseconds=1)
    return fact._replace(recordedtime=recorded)


def _taken(
    considered: Considered, stands_by: Collection[str], away: Mapping[int, LogUnavailable]
) -> Taken | LogUnavailable:
    """Tell what became of a request. stands_by: the cases whose facts have to be there for that to be so."""
    unavailable = [away[at] for at in map(partition_of, stands_by) if at in away]
    if unavailable:
        return unavailable[0]
    return Taken(0, considered.refused) if considered.refused else Taken(len(considered.new))


def _by_case(facts: Sequence[Event[Data]]) -> Collection[Group]:
    """Group the facts of a request by their cases: what is half done of a case could not be told from another request.

    Those of a case keep their order, and that of different cases says nothing.
    """
    groups: dict[str, list[Event[Data]]] = defaultdict(list)
    for fact in facts:
        groups[fact.subject].append(fact)
    return groups.values()


def _require_log(away: Mapping[int, LogUnavailable]) -> None:
    for unavailable in away.values():
        raise unavailable


def _sealed(fact: Event[Data], key: CaseKey | Destroyed, recorded: datetime | None) -> Record | None:
    """Make a record of a fact; None if the key of its case was destroyed."""
    if isinstance(key, Destroyed):
        return None
    ready = prepared(fact, key, recorded=recorded)
    return Record(fact.subject, encode(ready), ready)
