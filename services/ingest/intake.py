"""The intake library: the only code that writes facts. Validates all, then records all."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from contracts.codec import CaseKey, decode, encode, prepared
from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Data, Event
from contracts.topics import CASES, partition_of
from services.ingest.domain.admission import Refusal, is_known, refusals
from services.ingest.domain.register import Register, Registered
from services.runtime.keyring.port import Destroyed, Keyring
from services.runtime.log.port import Log, Record, next_offset
from services.runtime.store.port import Store
from services.runtime.store.sealed import open_state

_STATES = TypeAdapter(Registered)
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Considered:
    """What would become of some facts.

    new: those that are not on the log yet; known: how many are there already, with the same content
    refused: the place of each refused fact among those that came, and why
    """

    new: tuple[Event[Data], ...]
    known: int
    refused: tuple[tuple[int, Refusal], ...]


class KeyMissing(Exception):
    """A case is on the log and its key is not in the keyring: nothing of it can be read, and nothing added. Says so."""


class Intake:
    """Takes facts onto the log. The register must have caught up with the log before facts are considered."""

    def __init__(
        self, log: Log, store: Store, keyring: Keyring, definitions: Catalogue, clock: Callable[[], datetime]
    ) -> None:
        """Write to `log`; ask the register in `store`; take only what `definitions` has."""
        self._log = log
        self._store = store
        self._keyring = keyring
        self._definitions = definitions
        self._clock = clock
        self._register = Register()

    async def registered(self, case_ids: Sequence[str]) -> Mapping[str, Registered]:
        """Give what the register knows of some cases; one that it does not know is absent.

        Of a case whose key was destroyed only that is known. Raises KeyMissing.
        """
        wanted = set(case_ids)
        states = await self._store.load(self._register.name, wanted)
        found: dict[str, Registered] = {}
        keys = await self._keyring.keys(wanted)
        for case_id in sorted(states.keys() - keys.keys()):
            raise KeyMissing(f"the key of case {case_id} is missing; put the last good copy of the data in its place")
        for case_id, key in keys.items():
            if isinstance(key, Destroyed):
                found[case_id] = Registered(erased=True)
            elif case_id in states:
                found[case_id] = open_state(_STATES, self._register.name, case_id, key, states[case_id])
        return found

    async def consider(self, facts: Sequence[Event[Data]]) -> Considered:
        """Say what would become of facts, each in the light of those before it. Records nothing."""
        return self.judged(facts, await self.registered([fact.subject for fact in facts]))

    def judged(self, facts: Sequence[Event[Data]], registered: Mapping[str, Registered]) -> Considered:
        """Say what would become of facts, in the light of what is registered and of the facts before each."""
        cases = dict(registered)
        new: list[Event[Data]] = []
        refused: list[tuple[int, Refusal]] = []
        known = 0
        for place, fact in enumerate(facts):
            case = cases.get(fact.subject) or self._register.initial(fact.subject)
            if is_known(case, fact):
                known += 1
                continue
            against = list(refusals(case, fact, self._definitions))
            if against:
                refused.extend((place, refusal) for refusal in against)
                continue
            cases[fact.subject], _ = self._register.step(case, fact)
            new.append(fact)
        return Considered(tuple(new), known, tuple(refused))

    async def recorded(self, facts: Sequence[Event[Data]]) -> Mapping[str, Event[Data]]:
        """Give what stands on the log under the ids of some facts, as far as it can be read."""
        wanted = {fact.id for fact in facts}
        keys = await self._keyring.keys({fact.subject for fact in facts})
        found: dict[str, Event[Data]] = {}
        for partition in sorted({partition_of(case_id) for case_id in keys}):
            offset = 0
            while records := await self._log.read(CASES, partition, offset, _AT_ONCE):
                offset = next_offset(records)
                for record in records:
                    if isinstance(key := keys.get(record.key), CaseKey):
                        event = decode(record.value, CASES, key)
                        if isinstance(event, Event) and event.id in wanted:
                            found.setdefault(event.id, event)
        return found

    async def record(self, facts: Sequence[Event[Data]]) -> None:
        """Record facts that were considered; they are durable when this returns."""
        await self._append(facts, self._clock())

    async def take_over(self, facts: Sequence[Event[Data] | Record]) -> None:
        """Record facts as another log recorded them; they are durable when this returns.

        Those of an erased case come as records: nobody can open them.
        """
        await self._append(facts, None)

    async def _append(self, facts: Sequence[Event[Data] | Record], recorded: datetime | None) -> None:
        keys = await self._keyring.create({fact.subject for fact in facts if isinstance(fact, Event)})
        by_partition: dict[int, list[Record]] = defaultdict(list)
        for fact in facts:
            record = fact if isinstance(fact, Record) else _sealed(fact, keys[fact.subject], recorded)
            if record is not None:
                by_partition[partition_of(record.key)].append(record)
        for partition in sorted(by_partition):
            await self._log.append(CASES, partition, by_partition[partition])


def _sealed(fact: Event[Data], key: CaseKey | Destroyed, recorded: datetime | None) -> Record | None:
    """Make a record of a fact; None if the key of its case was destroyed."""
    if isinstance(key, Destroyed):
        return None
    ready = prepared(fact, key, recorded=recorded)
    return Record(fact.subject, encode(ready), ready)
