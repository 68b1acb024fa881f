"""Reading definitions from files: the library that ships, and a clinic's own directory."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from pydantic import ValidationError

from contracts.definitions.catalogue import KINDS, Catalogue, Entry, entry_of
from contracts.definitions.guidance import Guidance
from contracts.definitions.instrument import COLUMNS, Instrument
from contracts.definitions.plain import in_plain_words
from contracts.definitions.policy import Deterioration, Policy
from contracts.definitions.protocol import Protocol
from contracts.definitions.wording import Wording

LIBRARY: Final = Path(__file__).parent.parent / "library"
_MARK: Final = "\ufeff"
"""The byte-order mark, with which some editors begin a file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a definition file: where, and what was expected."""

    file: str
    path: str
    expected: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.file}: {self.path or 'the file'}: {self.expected}"


class DefinitionFaults(Exception):
    """Definition files that cannot be used; `faults` lists everything that is wrong in them."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Collect the faults."""
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    body: dict[str, Any]


@cache
def library() -> tuple[Entry, ...]:
    """Give the definitions that ship with OnTrack."""
    return tuple(load(sorted(LIBRARY.rglob("*.json"))))


def load_directory(directory: Path, known: Iterable[Entry] | None = None) -> list[Entry]:
    """Read a clinic's own definitions: every `.json` file below a directory. Raises DefinitionFaults.

    known: what they may refer to; None for the library
    """
    if not directory.is_dir():
        raise DefinitionFaults([Fault(str(directory), "", "a directory with .json files was expected")])
    files = sorted(directory.rglob("*.json"))
    if not files:
        raise DefinitionFaults([Fault(str(directory), "", "at least one .json file was expected")])
    return load(files, known=library() if known is None else known)


def load(files: Iterable[Path], known: Iterable[Entry] = ()) -> list[Entry]:
    """Read definition files and pin their references, to each other and to `known` ones. Raises DefinitionFaults.

    Every fault of every file is found before any is reported.
    """
    faults: list[Fault] = []
    catalogue = Catalogue(known)
    homes = {(entry.model.id, entry.model.version): ("what is known already", entry.ref) for entry in catalogue}
    loaded: list[Entry] = []
    for file in _in_order_of_reference(_read(files, faults)):
        body, unknown = _pinned(file, catalogue)
        faults.extend(unknown)
        try:
            entry = entry_of(body)
        except ValidationError as invalid:
            told = {fault.path for fault in unknown}
            wrong = in_plain_words(invalid, body)
            faults.extend(Fault(file.name, path, wrong[path]) for path in wrong if path not in told)
            if "" not in wrong:
                # What parts say of each other is looked at only once each of them is right.
                faults.extend(Fault(file.name, path, expected) for path, expected in _names_what_is_not_there(body))
            continue
        except TypeError:
            faults.append(Fault(file.name, "", "whole numbers of at most 64 bits were expected"))
            continue
        if unknown:
            continue
        identity = (entry.model.id, entry.model.version)
        home, ref = homes.setdefault(identity, (file.name, entry.ref))
        if ref != entry.ref:
            taken = f"another version was expected: {identity[0]}@{identity[1]} has other content in {home}"
            faults.append(Fault(file.name, "version", taken))
            continue
        faults.extend(Fault(file.name, path, expected) for path, expected in _cross_checks(entry, catalogue))
        catalogue.add(entry)
        loaded.append(entry)
    if faults:
        raise DefinitionFaults(faults)
    return loaded


def _read(files: Iterable[Path], faults: list[Fault]) -> Iterator[_File]:
    for file in files:
        try:
            text = file.read_text(encoding="utf-8").removeprefix(_MARK)
            body = json.loads(text, parse_float=_refuse_float, object_pairs_hook=_once_each)
        except OSError as error:
            faults.append(Fault(str(file), "", f"a readable file was expected ({error.strerror})"))
        except UnicodeDecodeError:
            faults.append(Fault(str(file), "", "UTF-8 text was expected"))
        except json.JSONDecodeError as error:
            faults.append(Fault(str(file), f"line {error.lineno}, column {error.colno}", f"JSON: {error.msg}"))
        except ValueError:
            faults.append(Fault(str(file), "", "whole numbers of at most 64 bits were expected"))
        except _FloatFound as found:
            expected = f'a whole number or a decimal in quotes was expected ("{found}"), because floats are not exact'
            faults.append(Fault(str(file), f"the number {found}", expected))
        except _RepeatedKey as repeated:
            faults.append(Fault(str(file), str(repeated), "each name once in an object was expected"))
        except RecursionError:
            faults.append(Fault(str(file), "", "less nesting was expected"))
        else:
            if isinstance(body, dict) and isinstance(body.get("kind"), str) and body["kind"] in KINDS:
                yield _File(str(file), body)
            else:
                faults.append(Fault(str(file), "kind", f"one of {', '.join(KINDS)} was expected"))


class _FloatFound(Exception):
    pass


class _RepeatedKey(Exception):
    pass


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; a name that stands twice would hide a value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKey(next(name for name in names if names.count(name) > 1))
    return found


def _refuse_float(text: str) -> NoReturn:
    raise _FloatFound(text)


def _in_order_of_reference(files: Iterable[_File]) -> list[_File]:
    """Sort what is referred to before what refers."""
    order = ("instrument", "guidance", "policy", "protocol", "wording")
    return sorted(files, key=lambda file: order.index(file.body["kind"]))


def _references(body: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, type[Instrument | Guidance]]]:
    """Find every place of a definition that names another: its path, its container, its key, the kind it names."""
    match body:
        case {"kind": "policy", "primary": dict(primary)}:
            yield "primary.instrument", primary, "instrument", Instrument
        case {"kind": "protocol"}:
            yield "guidance", body, "guidance", Guidance
            asks = body.get("asks", [])
            for number, ask in enumerate(asks if isinstance(asks, list) else []):
                yield f"asks.{number}.instrument", ask, "instrument", Instrument
        case {"kind": "wording"}:
            yield "instrument", body, "instrument", Instrument


def _pinned(file: _File, catalogue: Catalogue) -> tuple[dict[str, Any], list[Fault]]:
    """Give the content with every reference completed by the hash of what it names, and those that name nothing."""
    body: dict[str, Any] = json.loads(json.dumps(file.body))
    faults = []
    for path, container, key, kind in _references(body):
        name = container.get(key) if isinstance(container, dict) else None
        entry = catalogue.named(kind, name) if isinstance(name, str) else None
        if entry is None:
            known = ", ".join(f"{model.id}@{model.version}" for _, model in catalogue.of_kind(kind))
            faults.append(Fault(file.name, path, f"a known {kind.__name__.lower()} was expected: {known}"))
        else:
            container[key] = entry.ref
    return body, faults


def named_by(body: Mapping[str, Any]) -> Iterator[str]:
    """Give what a definition names: the references of others that it cannot be read without."""
    for _, container, key, _ in _references(body):
        yield container[key]


def _names_what_is_not_there(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find where the parts of a faulty instrument name items that it does not have: the path, and what was expected."""
    if body["kind"] != "instrument":
        return
    items = body.get("items")
    known = [item.get("id") for _, item in _parts(body, "items")]
    if not isinstance(items, list) or len(known) < len(items) or not all(isinstance(item, str) for item in known):
        return
    for kind in ("scales", "flags"):
        for path, part in _parts(body, kind):
            named = part.get("items")
            unknown = [item for item in named if item not in known] if isinstance(named, list) else []
            if unknown and all(isinstance(item, str) for item in unknown):
                yield f"{path}.items", f"items of this instrument were expected, not: {', '.join(unknown)}"


def _parts(body: Mapping[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the parts of one kind, as far as they are such, each with its path."""
    parts = body.get(kind)
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        if isinstance(part, dict):
            yield f"{kind}.{number}", part


def _cross_checks(entry: Entry, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Find what a definition says of another one that is not so: the path, and what was expected there."""
    match entry.model:
        case Instrument() as instrument:
            yield from _faults_of_instrument(instrument)
        case Policy() as policy:
            yield from _faults_of_policy(policy, catalogue)
        case Protocol() as protocol:
            yield from _faults_of_protocol(protocol, catalogue)
        case Guidance() as guidance:
            yield from _faults_of_guidance(guidance, catalogue)
        case Wording(instrument=instrument, items=worded):
            known = catalogue.instrument(instrument).ranges
            for item_id in worded:
                if item_id not in known:
                    yield f"items.{item_id}", f"an item of the instrument was expected: {_listed(known)}"


_ILL: Final = MappingProxyType({"higher": ("at_least", "more_than"), "lower": ("at_most", "less_than")})
"""On which side of a cut-off the ill can be, by which direction is worse."""


def _faults_of_instrument(instrument: Instrument) -> Iterator[tuple[str, str]]:
    for number, item in enumerate(instrument.items):
        if item.id in COLUMNS:
            yield f"items.{number}.id", f"another id was expected: files of responses have a column {item.id}"
    for number, scale in enumerate(instrument.scales):
        ranges = {instrument.ranges[item_id] for item_id in scale.items}
        if scale.missing_at_most and scale.formula in {"sum/1", "mean/1"} and len(ranges) > 1:
            yield (
                f"scales.{number}.items",
                "items of one range were expected: the others stand for a missing one",
            )
        if scale.times > 1 and scale.formula != "sum/1":
            yield f"scales.{number}.times", "1 was expected: only a sum is multiplied"
        if scale.formula == "count/1" and not all(low <= 0 < high for low, high in ranges):
            yield f"scales.{number}.items", "items that can be 0 and above were expected: those above 0 are counted"
    for number, cut_off in enumerate(instrument.cut_offs):
        scale_of_it = instrument.scale(cut_off.scale)
        if scale_of_it is not None and cut_off.ill not in _ILL[scale_of_it.worse]:
            expected = " or ".join(_ILL[scale_of_it.worse])
            yield f"cut_offs.{number}.ill", f"{expected} was expected: {scale_of_it.worse} is worse on this scale"


def _faults_of_policy(policy: Policy, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    primary = policy.primary
    instrument = catalogue.instrument(primary.instrument)
    scales = {scale.id for scale in instrument.scales}
    cut_offs = {cut_off.id for cut_off in instrument.cut_offs if cut_off.scale == primary.scale}
    if primary.scale not in scales:
        yield "primary.scale", f"a scale of {instrument.id} was expected: {_listed(scales)}"
    elif primary.healthy is not None and primary.healthy not in cut_offs:
        yield "primary.healthy", f"a cut-off of that scale was expected: {_listed(cut_offs)}"
    scale = instrument.scale(primary.scale)
    lowest, highest = (Decimal(0), Decimal(0)) if scale is None else instrument.bounds(scale)
    for number, rule in enumerate(policy.rules if scale is not None else ()):
        name, points = ("at_least", rule.at_least) if isinstance(rule, Deterioration) else ("less_than", rule.less_than)
        if points > highest - lowest:
            yield f"rules.{number}.{name}", f"at most {highest - lowest}, the length of the scale, was expected"
        if rule in policy.rules[:number]:
            yield f"rules.{number}", "each rule once was expected"


def _faults_of_protocol(protocol: Protocol, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    actions = {action.id for action in catalogue.guidance(protocol.guidance).actions}
    for number, offer in enumerate(protocol.offers):
        if offer.action not in actions:
            yield f"offers.{number}.action", f"an action of the guidance was expected: {_listed(actions)}"
    for number, ask in enumerate(protocol.asks):
        if ask.sessions != "every" and not all(protocol.has_session(session) for session in ask.sessions):
            yield f"asks.{number}.sessions", "sessions of this protocol were expected"


def _faults_of_guidance(guidance: Guidance, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for number, need in enumerate(guidance.needs):
        for sign in need.signs:
            instrument_id, _, flag = sign.partition("/")
            known = catalogue.named(Instrument, instrument_id)
            flags = {f.id for f in known.model.flags} if known and isinstance(known.model, Instrument) else set()
            if flag not in flags:
                yield f"needs.{number}.signs", f"a flag of a known instrument was expected, not {sign}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "there is none"
