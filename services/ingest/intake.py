"""The intake library: the only code that writes facts. Validates all, then records all."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from contracts.codec import CaseKey, encode, prepared
from contracts.definitions.catalogue import Catalogue
from contracts.events.event import Data, Event
from contracts.topics import CASES, partition_of
from services.ingest.domain.admission import Refusal, is_known, refusals
from services.ingest.domain.register import Register, Registered
from services.runtime.keyring.port import Keyring
from services.runtime.log.port import Log, Record
from services.runtime.store.port import Store
from services.runtime.store.sealed import open_state

_STATES = TypeAdapter(Registered)


@dataclass(frozen=True, slots=True)
class Considered:
    """What would become of some facts.

    new: those that are not on the log yet; known: how many are there already, with the same content
    refused: the place of each refused fact among those that came, and why
    """

    new: tuple[Event[Data], ...]
    known: int
    refused: tuple[tuple[int, Refusal], ...]


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
        """Give what the register knows of some cases; one that it does not know is absent."""
        states = await self._store.load(self._register.name, set(case_ids))
        keys = await self._keyring.keys(states)
        return {
            case_id: open_state(_STATES, self._register.name, case_id, key, states[case_id])
            for case_id, key in keys.items()
            if isinstance(key, CaseKey)
        }

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

    async def record(self, facts: Sequence[Event[Data]]) -> None:
        """Record facts that were considered; they are durable when this returns."""
        await self._append(facts, self._clock())

    async def take_over(self, facts: Sequence[Event[Data]]) -> None:
        """Record facts as another log recorded them; they are durable when this returns."""
        await self._append(facts, None)

    async def _append(self, facts: Sequence[Event[Data]], recorded: datetime | None) -> None:
        keys = await self._keyring.create({fact.subject for fact in facts})
        by_partition: dict[int, list[Record]] = defaultdict(list)
        for fact in facts:
            key = keys[fact.subject]
            if isinstance(key, CaseKey):
                ready = prepared(fact, key, recorded=recorded)
                by_partition[partition_of(fact.subject)].append(Record(fact.subject, encode(ready), ready))
        for partition in sorted(by_partition):
            await self._log.append(CASES, partition, by_partition[partition])
