"""How an event stands on the wire: one line of canonical CloudEvents JSON, its data sealed under the case's key."""

import hashlib
import re
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple, NotRequired

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict

from contracts.events.event import Data, Event, Sealed
from contracts.events.fields import EventId, Instant, instant, to_milliseconds
from contracts.topics import Topic

UnreadableReason = Literal[
    "not-an-event", "unknown-type", "wrong-schema", "not-sealed", "seal-broken", "other-key", "invalid-data"
]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is not an event of its topic. Says why, and nothing of what it holds."""

    reason: UnreadableReason


class CaseKey:
    """The key of one case. Sealing is deterministic (AES-SIV, RFC 5297), so a replay gives the same bytes."""

    LENGTH = 64

    def __init__(self, secret: bytes) -> None:
        """Use `secret`, 64 random bytes."""
        self.secret = secret
        self.keyid = hashlib.sha256(b"ontrack key id" + secret).hexdigest()[:16]
        self._siv = AESSIV(secret)

    def seal(self, data: bytes, *context: bytes) -> bytes:
        """Encrypt `data` and bind it to its context."""
        return self._siv.encrypt(data, list(context))

    def unseal(self, sealed: bytes, *context: bytes) -> bytes:
        """Decrypt; raises InvalidTag if the bytes, the context or the key are not those of the sealing."""
        return self._siv.decrypt(sealed, list(context))


def canonical(value: object) -> bytes:
    """Encode plain values as canonical JSON: sorted keys, no insignificant space, UTF-8.

    Raises TypeError for what has no such form, like whole numbers of more than 64 bits.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _with_canonical_form(data: dict[str, Any]) -> dict[str, Any]:
    try:
        canonical(data)
    except TypeError:
        raise ValueError("data that can be written again") from None
    return data


@with_config(ConfigDict(strict=True, extra="forbid"))
class Envelope(TypedDict):
    """How an event stands on the wire: CloudEvents 1.0, structured JSON, with the extensions that OnTrack uses.

    No others: what stands beside the sealed data is passed on as it came, and could be read by anybody.
    """

    causationid: NotRequired[EventId]
    correlationid: EventId
    data: NotRequired[Annotated[dict[str, Any], AfterValidator(_with_canonical_form)]]
    data_base64: NotRequired[str]
    dataschema: str
    id: EventId
    keyid: NotRequired[str]
    recordedtime: Instant
    sequence: NotRequired[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]]
    sequencetype: NotRequired[Literal["Integer"]]
    source: str
    specversion: Literal["1.0"]
    subject: Annotated[str, Field(min_length=1, max_length=160)]
    time: Instant
    type: str


_WIRE = TypeAdapter(Envelope)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_PLACE: Final = re.compile(r"[1-9][0-9]{0,8}")
_TEXT: Final = rb'[^"\\]*'
_TAIL: Final = re.compile(
    rb'(?<=Z",)((?:"sequence":"([1-9][0-9]{0,8})","sequencetype":"Integer",)?)"source":"%b",'
    rb'"specversion":"1\.0","subject":"([!#-\[\]-~]*)","time":"%b","type":"([!#-\[\]-~]*)"\}' % (_TEXT, _TEXT)
)


def plain_data(data: Data) -> bytes:
    """Encode what an event says, before it is sealed."""
    return canonical(data.model_dump(mode="json"))


def content_digest(event: Event[Data]) -> str:
    """Give a digest of what an event says, and of when it happened; the same whatever key it is sealed under.

    What happened at the very moment at which it was recorded bears a time that nobody has said. It is no part of it,
    since it is another one whenever the same is said again.
    """
    return _digest(event, is_dated=instant(event.time) != instant(event.recordedtime))


def content_digests(event: Event[Data]) -> tuple[str, str]:
    """Give both digests that an event can have: with the time at which it happened, and without it."""
    return _digest(event, is_dated=True), _digest(event, is_dated=False)


def _digest(event: Event[Data], *, is_dated: bool) -> str:
    time = instant(event.time) if is_dated else ""
    plain = event.sealed.plain if event.sealed is not None else plain_data(event.data)
    return hashlib.blake2b(b"\x1f".join((event.type.encode(), time.encode(), plain)), digest_size=12).hexdigest()


def seal(event: Event[Data], key: CaseKey) -> Sealed:
    """Seal the data of an event; bound to the event's id and type."""
    plain = plain_data(event.data)
    text = key.seal(plain, event.id.encode(), event.type.encode())
    return Sealed(key.keyid, b2a_base64(text, newline=False).decode(), plain)


def prepared(
    event: Event[Data], key: CaseKey, sequence: int | None = None, recorded: datetime | None = None
) -> Event[Data]:
    """Give an event as it will stand on a log, and as it would be read there.

    Sealed under `key`, unless it was read and has the bytes that it came with; with its place in its case's history,
    and with the moment at which it is recorded, if that is now.
    """
    event_id, source, subject, time, recordedtime, correlation, causation, data, _, sealed = event
    if recorded is not None:
        recordedtime = recorded
    if sealed is None:
        time, recordedtime, sealed = to_milliseconds(time), to_milliseconds(recordedtime), seal(event, key)
    return Event(event_id, source, subject, time, recordedtime, correlation, causation, data, sequence, sealed)


def encode(event: Event[Data]) -> bytes:
    """Encode an event as a record: sealed, if it was prepared or read so; else with its data open.

    Open are the events of the log itself, and those of an export that may be read. What stands open beside its seal
    is both.
    """
    event_id, source, subject, time, recordedtime, correlation, causation, data, sequence, sealed = event
    kind = data.wire_name
    wire: dict[str, Any] = {
        "correlationid": correlation,
        "dataschema": schema_name(kind),
        "id": event_id,
        "recordedtime": instant(recordedtime),
        "source": source,
        "specversion": "1.0",
        "subject": subject,
        "time": instant(time),
        "type": kind,
    }
    if causation is not None:
        wire["causationid"] = causation
    if sequence is not None:
        wire["sequence"] = str(sequence)
        wire["sequencetype"] = "Integer"
    if sealed is None or data.stands_open:
        wire["data"] = data.model_dump(mode="json")
    if sealed is not None:
        wire["data_base64"] = sealed.text
        wire["keyid"] = sealed.keyid
    return canonical(wire)


@lru_cache(maxsize=256)
def schema_name(kind: str) -> str:
    """Name the schema of an event type's data."""
    return f"urn:ontrack:schema:{kind.removeprefix('ontrack.')}"


@dataclass(frozen=True, slots=True)
class Glance:
    """The outside of a record: enough to list it without opening it."""

    id: str
    type: str
    subject: str
    time: str
    sequence: int


def glance(record: bytes) -> Glance | None:
    """Look at the outside of a numbered record; None if it is not one. Never raises, and opens nothing."""
    try:
        wire = orjson.loads(record)
        texts = [wire[name] for name in ("id", "type", "subject", "time", "sequence")]
    except (ValueError, TypeError, KeyError):
        return None
    if any(type(text) is not str for text in texts) or not _PLACE.fullmatch(texts[4]):
        return None
    return Glance(texts[0], texts[1], texts[2], texts[3], int(texts[4]))


def subject_of(record: bytes) -> str | None:
    """Tell whom a record says that it is about; None if it says nobody. Never raises, and opens nothing."""
    return _said(record, "subject")


def id_of(record: bytes) -> str | None:
    """Tell the id of a record; None if it says none. Never raises, and opens nothing."""
    return _said(record, "id")


def is_canonical(record: bytes) -> bool:
    """Tell whether an event is written as it is here, but for what is sealed. record: an event, as `decode` reads them.

    Else it could say another thing to whoever reads its outside by its text, or hold what nobody reads.
    """
    wire = orjson.loads(record)
    moments = (wire["time"], wire["recordedtime"])
    return canonical(wire) == record and all(_MOMENT.fullmatch(each) for each in moments)


def _said(record: bytes, name: str) -> str | None:
    try:
        said = orjson.loads(record)[name]
    except (ValueError, TypeError, KeyError):
        return None
    return said if isinstance(said, str) else None


class Tail(NamedTuple):
    """The end of a record in canonical form: whom it is about, of what type it is, and its number.

    sequence: its place in its case's history; 0 if it has none
    start, stop: where that stands in the record, or would
    """

    type: str
    subject: str
    sequence: int
    start: int
    stop: int


def ending(kind: type[Data]) -> bytes:
    """Give what a record in canonical form ends with, if it is of this type."""
    return f'"type":"{kind.wire_name}"}}'.encode()


def tail(record: bytes) -> Tail | None:
    """Look at the end of a record, which costs a third of reading all of its outside; None if it is not canonical.

    What stands before the end is not read, as little as what is sealed: on the topics where records are passed on by
    their ends, only a stage writes.
    """
    start = record.rfind(b'"sequence":"')
    found = _TAIL.fullmatch(record, start if start >= 0 else record.rfind(b'"source":"'))
    if found is None:
        return None
    sequence, subject, kind = found.group(2, 3, 4)
    return Tail(kind.decode(), subject.decode(), int(sequence or 0), *found.span(1))


def renumbered(record: bytes, its: Tail, sequence: int) -> bytes:
    """Give a record another place in its case's history, and leave the rest as it came. its: the tail of the record."""
    return b'%b"sequence":"%d","sequencetype":"Integer",%b' % (record[: its.start], sequence, record[its.stop :])


def decode(record: bytes, topic: Topic, key: CaseKey | None) -> Event[Data] | Unreadable:
    """Read a record of `topic`. Total: never raises, and never tells content.

    key: of the record's case; None where the data stands open. Of what stands open beside its seal it is not known
        without a key whether the seal is good
    """
    try:
        wire = _WIRE.validate_json(record)
    except ValidationError:
        return Unreadable("not-an-event")
    kind = topic.type_named(wire["type"])
    if kind is None:
        return Unreadable("unknown-type")
    if wire["dataschema"] != schema_name(wire["type"]):
        return Unreadable("wrong-schema")
    opened = _opened(wire, kind, key)
    if isinstance(opened, Unreadable):
        return opened
    data, sealed = opened
    sequence = wire.get("sequence")
    return Event(
        id=wire["id"],
        source=wire["source"],
        subject=wire["subject"],
        time=wire["time"],
        recordedtime=wire["recordedtime"],
        correlationid=wire["correlationid"],
        causationid=wire.get("causationid"),
        data=data,
        sequence=int(sequence) if sequence else None,
        sealed=sealed,
    )


def _opened(wire: Envelope, kind: type[Data], key: CaseKey | None) -> tuple[Data, Sealed | None] | Unreadable:
    """Open the data of an event, sealed or not."""
    if key is None:
        return _read_open(wire, kind)
    if "data_base64" not in wire or "keyid" not in wire or ("data" in wire and not kind.stands_open):
        return Unreadable("not-sealed")
    if wire["keyid"] != key.keyid:
        return Unreadable("other-key")
    text = wire["data_base64"]
    try:
        plain = key.unseal(a2b_base64(text, strict_mode=True), wire["id"].encode(), wire["type"].encode())
    except (InvalidTag, ValueError):
        return Unreadable("seal-broken")
    if "data" in wire and canonical(wire["data"]) != plain:
        return Unreadable("seal-broken")
    return _read(kind, plain, Sealed(wire["keyid"], text, plain))


def _read_open(wire: Envelope, kind: type[Data]) -> tuple[Data, Sealed | None] | Unreadable:
    """Read the data of an event that stands open, alone or beside its seal."""
    if "data" not in wire:
        return Unreadable("not-sealed")
    plain = to_json(wire["data"])
    if kind.stands_open and "data_base64" in wire and "keyid" in wire:
        return _read(kind, plain, Sealed(wire["keyid"], wire["data_base64"], canonical(wire["data"])))
    return _read(kind, plain, None)


def _read(kind: type[Data], plain: bytes, sealed: Sealed | None) -> tuple[Data, Sealed | None] | Unreadable:
    try:
        return kind.model_validate_json(plain), sealed
    except ValidationError:
        return Unreadable("invalid-data")
