"""Definitions found by the reference that events name them by."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from contracts.codec import canonical
from contracts.definitions.definition import Definition
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.definitions.wording import Wording

KINDS: Final[Mapping[str, type[Definition]]] = MappingProxyType(
    {"instrument": Instrument, "protocol": Protocol, "policy": Policy, "guidance": Guidance, "wording": Wording}
)
_ADAPTERS: Final = {kind: TypeAdapter(model) for kind, model in KINDS.items()}
DefinitionT = TypeVar("DefinitionT", bound=Definition)


class DefinitionMissing(Exception):
    """A definition that an event names is not in the catalogue (yet)."""

    def __init__(self, ref: str) -> None:
        """Name the reference that was looked for."""
        super().__init__(f"the definition {ref} is not known here")
        self.ref = ref


@dataclass(frozen=True, slots=True)
class Entry:
    """One definition: its full reference, its plain content, and the content as a model."""

    ref: str
    body: Mapping[str, Any]
    model: Definition


def entry_of(body: Mapping[str, Any]) -> Entry:
    """Read a definition's plain content, with all its references pinned; raises pydantic's ValidationError."""
    model = _ADAPTERS[body["kind"]].validate_python(body)
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return Entry(f"{model.id}@{model.version}#{digest}", body, model)


class Catalogue:
    """The definitions that are known, by reference. Grows; what is in it never changes."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Start with some definitions."""
        self._entries: dict[str, Entry] = {}
        self._newest: dict[tuple[type[Definition], str], Entry] = {}
        for entry in entries:
            self.add(entry)

    def __iter__(self) -> Iterator[Entry]:
        """Give every definition, in the order in which they came."""
        return iter(self._entries.values())

    def __contains__(self, ref: str) -> bool:
        """Tell whether a definition is known."""
        return ref in self._entries

    def add(self, entry: Entry) -> None:
        """Make a definition known."""
        if entry.ref in self._entries:
            return
        self._entries[entry.ref] = entry
        model = entry.model
        kinds: tuple[type[Definition], ...] = (type(model), Definition)
        for place in product(kinds, (model.id, f"{model.id}@{model.version}", entry.ref)):
            known = self._newest.get(place)
            if known is None or known.model.version < model.version:
                self._newest[place] = entry

    def get(self, kind: type[DefinitionT], ref: str) -> DefinitionT:
        """Find a definition by its full reference; raises DefinitionMissing."""
        entry = self._entries.get(ref)
        if entry is None or not isinstance(entry.model, kind):
            raise DefinitionMissing(ref)
        return entry.model

    def instrument(self, ref: str) -> Instrument:
        """Find an instrument by its full reference; raises DefinitionMissing."""
        return self.get(Instrument, ref)

    def policy(self, ref: str) -> Policy:
        """Find a policy by its full reference; raises DefinitionMissing."""
        return self.get(Policy, ref)

    def protocol(self, ref: str) -> Protocol:
        """Find a protocol by its full reference; raises DefinitionMissing."""
        return self.get(Protocol, ref)

    def guidance(self, ref: str) -> Guidance:
        """Find a guidance by its full reference; raises DefinitionMissing."""
        return self.get(Guidance, ref)

    def named(self, kind: type[DefinitionT], name: str) -> Entry | None:
        """Find a definition by id, `id@version` or full reference; of several versions the newest.

        kind: of definition, or `Definition` for any
        """
        return self._newest.get((kind, name))

    def of_kind(self, kind: type[DefinitionT]) -> list[tuple[str, DefinitionT]]:
        """Give every definition of a kind with its reference, by id and version."""
        found = [(entry.ref, entry.model) for entry in self._entries.values() if isinstance(entry.model, kind)]
        return sorted(found, key=lambda pair: (pair[1].id, pair[1].version))
