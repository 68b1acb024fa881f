"""What can be seen of the events of a case whose key is not here: their outsides, and how they follow from one another.

Order, numbers and repetitions are seen where all records are laid side by side; here it is that every derived event is
an event at all, that what it says that it follows from stands before it on the log, and that it bears what it has from
there: all of it but its number where it was passed on, else the times, the fact and the key, and an id that follows.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from contracts.codec import canonical, id_of, is_canonical
from contracts.events.event import DERIVED_ID, name_based_id
from contracts.events.fields import LAST_SESSION, Instant, instant
from contracts.events.scores import FactSetAside
from contracts.topics import Topic
from services.auditor.domain.facts import (
    cause_missing,
    correlation_wrong,
    lasting,
    not_canonical,
    repeated_otherwise,
)
from services.auditor.domain.findings import Finding, Findings, Place, What
from services.runtime.export import is_sealed
from services.runtime.log.port import StoredRecord

_IS_THERE: Final = "was expected among the events of the case"
_MOMENT: Final = TypeAdapter[datetime](Instant)
_NUMBER: Final = ("sequence", "sequencetype")
_FROM_A_CAUSE: Final = ("time", "recordedtime", "correlationid", "keyid")

_Ids = dict[str, dict[str, tuple[bytes, ...]]]
"""Case -> the ids of its events on a topic -> digests of what stands under each: of all of it but its number, and of
what is the same of all that follows from it."""


class Outsides:
    """The sealed events of a partition, topic by topic, in the order in which these follow from one another."""

    def __init__(self, number: int, findings: Findings) -> None:
        """Look at a partition."""
        self._number = number
        self._findings = findings
        self._facts: _Ids = defaultdict(dict)
        self._before: _Ids = self._facts
        self._here: _Ids = {}
        self._ordinals = Counter[tuple[str, str, str]]()
        self._first: dict[tuple[str, str, str, bytes], tuple[int, bytes]] = {}

    def facts(self, topic: Topic, records: Sequence[StoredRecord]) -> None:
        """Learn which facts there are, and look at what they say that they follow from."""
        sealed = [record for record in records if is_sealed(record, topic)]
        for record in records:
            said = id_of(record.value)
            if said is not None:
                self._facts[record.key].setdefault(said, ())
        for record in sealed:
            wire = _said(record)
            _learn(self._facts[record.key], wire)
            place, cause, first = self._place(topic, record), wire.get("causationid"), wire["correlationid"]
            self._see_form(topic, record)
            if cause is not None and cause not in self._facts[record.key]:
                self._findings.add(cause_missing(place, cause))
            if first != wire["id"]:
                self._findings.add(correlation_wrong(place, wire["id"], first))
            self._see_repetition(place, record.offset, wire)

    def _see_repetition(self, place: Place, offset: int, wire: Mapping[str, Any]) -> None:
        """Compare a fact with the first one under its id that is sealed alike, and so says the same."""
        stated = wire["time"] if wire["time"] != wire["recordedtime"] else ""
        alike = wire["subject"], wire["id"], stated, _digest(f"{wire['keyid']}{wire['data_base64']}".encode())
        its = offset, _digest(canonical(lasting(wire)))
        first = self._first.setdefault(alike, its)
        if first[1] != its[1]:
            self._findings.add(repeated_otherwise(place, first[0]))

    def begin(self) -> None:
        """Begin with the next topic: what was looked at last is what its events follow from."""
        self._before, self._here = self._here or self._facts, defaultdict(dict)
        self._ordinals.clear()

    def look(self, topic: Topic, records: Sequence[StoredRecord]) -> None:
        """Look at sealed events of a derived topic."""
        for record in records:
            if not is_sealed(record, topic):
                self._find("unreadable", topic, record, f"a sealed event of {topic.name} was expected")
                continue
            self._see_form(topic, record)
            said = _said(record)
            before, cause, first = self._before[record.key], said.get("causationid"), said["correlationid"]
            # An event is passed on as it came, or says what it follows from.
            is_passed_on = said["id"] in before
            expected = before.get(said["id"] if is_passed_on else cause or "")
            if first not in self._facts[record.key]:
                self._find("cause-missing", topic, record, f"the fact that it speaks of, {first}, {_IS_THERE}")
            elif expected is None:
                self._find("cause-missing", topic, record, f"its cause, {cause}, {_IS_THERE}")
            elif is_passed_on and _passed_on(said) not in expected:
                self._find("altered", topic, record, "what was passed on was expected, with another number alone")
            elif not is_passed_on and said["source"] != _source(topic):
                says = f"it was expected on the topic before, to be passed on, or {_source(topic)} as its source"
                self._find("cause-missing", topic, record, says)
            elif not is_passed_on and _from_a_cause(said) not in expected:
                self._find("altered", topic, record, "the times, the fact and the key of its cause were expected")
            elif not is_passed_on and not self._is_named_by_its_cause(said):
                self._find("altered", topic, record, "the id that follows from its cause and its type was expected")
            else:
                expected = ()
            # What was expected here counts for what follows: what was done to a record is found once.
            _learn(self._here[record.key], said, expected or ())

    def _is_named_by_its_cause(self, said: Mapping[str, Any]) -> bool:
        """Tell whether an event has the id that its stage gives it; of what is set aside that is said under seal."""
        case_id, cause, kind = said["subject"], said["causationid"], said["type"]
        if kind == FactSetAside.type() or said["id"] in self._here[case_id]:
            return True
        for ordinal in range(self._ordinals[case_id, cause, kind], LAST_SESSION):
            if name_based_id(DERIVED_ID, case_id, cause, kind, str(ordinal), "") == said["id"]:
                self._ordinals[case_id, cause, kind] = ordinal + 1
                return True
        return False

    def _see_form(self, topic: Topic, record: StoredRecord) -> None:
        if not is_canonical(record.value):
            self._findings.add(not_canonical(self._place(topic, record)))

    def _find(self, what: What, topic: Topic, record: StoredRecord, says: str) -> None:
        self._findings.add(Finding(what, self._place(topic, record), says))

    def _place(self, topic: Topic, record: StoredRecord) -> Place:
        return Place(topic.name, self._number, record.offset, id_of(record.value), record.key)


def _learn(ids: dict[str, tuple[bytes, ...]], said: Mapping[str, Any], expected: Sequence[bytes] = ()) -> None:
    """Learn what stands under an id of a case: of a fact that came twice, more than one thing can."""
    digests = (*ids.get(said["id"], ()), _passed_on(said), _from_a_cause(said), *expected)
    ids[said["id"]] = tuple(dict.fromkeys(digests))


def _said(record: StoredRecord) -> Mapping[str, Any]:
    """Give the outside of an event, with its moments as they are written: that they are not is found by itself."""
    said = orjson.loads(record.value)
    return {**said, **{name: instant(_MOMENT.validate_python(said[name])) for name in ("time", "recordedtime")}}


def _passed_on(said: Mapping[str, Any]) -> bytes:
    """Give a digest of an event but for its number."""
    return _digest(canonical({name: value for name, value in said.items() if name not in _NUMBER}))


def _from_a_cause(said: Mapping[str, Any]) -> bytes:
    """Give a digest of what an event has from its cause."""
    return _digest("\x1f".join(said[name] for name in _FROM_A_CAUSE).encode())


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()


def _source(topic: Topic) -> str:
    """Give who says what is concluded on a topic."""
    (stage,) = topic.written_by
    return f"urn:ontrack:{stage}"
