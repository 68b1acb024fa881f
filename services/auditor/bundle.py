"""A history in one file, to be audited elsewhere, without any server.

It is a zip archive of two parts, which need nothing but unzip to be looked at:

`canonical/`: what the history says. For each topic the events of its cases, each once, in the order of cases: the same
history gives the same bytes, wherever it stood. Of several records the first one counts, as it does for the stages: of
conclusions with one number, and of facts that say the same under one id, whenever they were recorded. A fact that says
something else under an id is one of its own, since it was set aside. `canonical/manifest.json` counts the events, and
names the version that wrote them.

`raw/`: what stands on the log, for each partition of each topic in order, with repetitions, seals and whatever else is
there: against this checkpoints are compared. `raw/manifest.json` counts it.

Events of cases are sealed in both, as they are on the log. The keys of the cases are in another file, or nowhere.
"""

import sqlite3
import zlib
from binascii import a2b_base64, b2a_base64
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b, sha256
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated, Final, Literal, Self, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.codec import glance, subject_of
from contracts.topics import ACCESS, CASES, DEAD_LETTERS, DEFINITIONS, NOTICES, SCORES, SEALS, TOPICS, TRACKS, Topic
from services.auditor.domain.findings import Finding, Place
from services.runtime.export import is_sealed
from services.runtime.founding import log_id_of
from services.runtime.log.port import Log, StoredRecord, after, next_offset

FORMAT: Final = "ontrack-bundle/1"
CANONICAL: Final = (DEFINITIONS, CASES, SCORES, TRACKS, NOTICES)
_BACKWARDS: Final = (SEALS, ACCESS, DEAD_LETTERS, NOTICES, TRACKS, SCORES, CASES, DEFINITIONS)

_AT_ONCE: Final = 2_000
_LINE_AT_MOST: Final = 16 << 20
"""Bytes of a line: more than a log takes as one record."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_MANIFEST: Final = "manifest.json"
_UNREADABLE: Final = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError)
"""What an archive raises that is cut, changed or encrypted."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
ModelT = TypeVar("ModelT", bound=BaseModel)


class BundleUnusable(Exception):
    """A file is no bundle, or not as it was made. Says which."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Said(_Part):
    """What the canonical part has of a topic. sha256: of the lines."""

    events: Count
    sha256: Digest


class Canonical(_Part):
    """What the history says, in sum. version: of OnTrack; log: the identity of the log; cases: how many there are."""

    format: Literal["ontrack-bundle/1"] = FORMAT
    version: str
    log: str
    cases: Count
    topics: Mapping[str, Said]

    @property
    def digest(self) -> str:
        """The digest of the history: of what it says, and not of the version that wrote it down."""
        said = {name: part.model_dump() for name, part in self.topics.items()}
        return sha256(orjson.dumps([self.log, self.cases, said], option=orjson.OPT_SORT_KEYS)).hexdigest()


class Stood(_Part):
    """What the raw part has of a partition. end: the offset that the next record would have had."""

    records: Count
    end: Count
    sha256: Digest


class Raw(_Part):
    """What stood on the log, in sum: topic -> its partitions, in order."""

    format: Literal["ontrack-bundle/1"] = FORMAT
    log: str
    topics: Mapping[str, tuple[Stood, ...]]

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(each.records for partitions in self.topics.values() for each in partitions)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a bundle says of itself."""

    canonical: Canonical
    raw: Raw


class _Lines:
    """Lines that are counted, and written to a file of an archive if there are any, and an archive.

    However they end, the file is closed: an archive with an open one cannot be, and would say so in the place of why.
    """

    def __init__(self, archive: ZipFile | None, name: str) -> None:
        self._archive = archive
        self._name = name
        self._stream: IO[bytes] | None = None
        self._digest = sha256()
        self.count = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def add(self, line: bytes) -> None:
        line += b"\n"
        if self._archive is not None and self._stream is None:
            self._stream = self._archive.open(_member(self._name), "w", force_zip64=True)
        if self._stream is not None:
            self._stream.write(line)
        self._digest.update(line)
        self.count += 1

    @property
    def digest(self) -> str:
        """The digest of the lines."""
        return self._digest.hexdigest()


def _member(name: str) -> ZipInfo:
    """Describe a file so that the same lines give the same bytes, whenever and wherever they are written."""
    info = ZipInfo(name, _EPOCH)
    info.compress_type, info.create_system, info.external_attr = ZIP_DEFLATED, _UNIX, 0o600 << 16
    return info


Ends = Mapping[str, Sequence[int]]
Progress = Callable[[int], None]


async def ends_of(log: Log) -> Ends:
    """Give where each partition of each topic ends now, so that nothing lacks what it follows from."""
    # From the end of the chain to its beginning: what follows was there before it is asked for its cause.
    return {topic.name: [await log.end(topic, number) for number in range(topic.partitions)] for topic in _BACKWARDS}


async def write(log: Log, log_id: str, ends: Ends, stream: IO[bytes], progress: Progress) -> Manifests:
    """Write what stands on a log up to some ends. Raises Unavailable. progress: is told how many records were read."""
    with ZipFile(stream, "w") as archive:
        canonical = await canonical_of(log, log_id, ends, progress, archive)
        _write_manifest(archive, "canonical", canonical)
        raw = await _raw_of(log, log_id, ends, progress, archive)
        _write_manifest(archive, "raw", raw)
    return Manifests(canonical, raw)


async def canonical_of(
    log: Log, log_id: str, ends: Ends, progress: Progress = lambda _: None, archive: ZipFile | None = None
) -> Canonical:
    """Tell in sum what a log says, up to some ends. Raises Unavailable.

    archive: takes all of it, if there is one
    """
    said: dict[str, Said] = {}
    cases: set[str] = set()
    for topic in CANONICAL:
        with _Lines(archive, f"canonical/{topic.name}.ndjson") as lines:
            for number, end in enumerate(ends[topic.name]):
                async for case_id, line in _by_case(log, topic, number, end, progress):
                    lines.add(line)
                    if topic is CASES:
                        cases.add(case_id)
        said[topic.name] = Said(events=lines.count, sha256=lines.digest)
    return Canonical(version=version("ontrack"), log=log_id, cases=len(cases), topics=said)


async def _by_case(
    log: Log, topic: Topic, number: int, end: int, progress: Progress
) -> AsyncIterator[tuple[str, bytes]]:
    """Give the events of a partition by case, each once, those of a case in their order; with their cases."""
    with closing(sqlite3.connect("")) as kept:
        kept.execute("CREATE TABLE events (case_id TEXT, place INTEGER, said BLOB, line BLOB, UNIQUE (case_id, said))")
        async for records in _some(log, topic, number, end):
            progress(len(records))
            placed = [(each, place) for each in records if (place := _place(topic, each)) is not None]
            rows = [(each.key, place, _said(topic, each, place), each.value) for each, place in placed]
            kept.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)", rows)
        for case_id, line in kept.execute("SELECT case_id, line FROM events ORDER BY case_id, place, rowid"):
            yield case_id, line


def _place(topic: Topic, record: StoredRecord) -> int | None:
    """Tell where an event stands among those of its case; None for a record that is none."""
    if not topic.of_cases:
        return record.offset
    if not is_sealed(record, topic):
        return None
    if topic is CASES:
        return record.offset
    seen = glance(record.value)
    return None if seen is None else seen.sequence


def _said(topic: Topic, record: StoredRecord, place: int) -> bytes:
    """Give what tells an event of a case from its others: what the stages know it by when it comes once more.

    Of a fact that is what goes into its `content_digest`, under the seal, which is the same for the same data.
    """
    if topic.of_cases and topic is not CASES:
        return str(place).encode()
    said = record.value
    if topic is CASES:
        wire = orjson.loads(record.value)
        time = None if wire["time"] == wire["recordedtime"] else wire["time"]
        said = orjson.dumps([wire["id"], wire["type"], time, wire.get("data_base64"), wire.get("data")])
    return blake2b(said, digest_size=16).digest()


async def _raw_of(log: Log, log_id: str, ends: Ends, progress: Progress, archive: ZipFile) -> Raw:
    topics: dict[str, tuple[Stood, ...]] = {}
    for topic in TOPICS.values():
        stood: list[Stood] = []
        for number, end in enumerate(ends[topic.name]):
            with _Lines(archive, _raw_name(topic, number)) as lines:
                async for records in _some(log, topic, number, end):
                    progress(len(records))
                    for record in records:
                        lines.add(_line(record))
            stood.append(Stood(records=lines.count, end=end, sha256=lines.digest))
        topics[topic.name] = tuple(stood)
    return Raw(log=log_id, topics=topics)


def _raw_name(topic: Topic, number: int) -> str:
    return f"raw/{topic.name}/{number:02}.ndjson"


async def _some(log: Log, topic: Topic, number: int, end: int) -> AsyncIterator[Sequence[StoredRecord]]:
    """Give the records of a partition up to an end, some at a time."""
    offset = 0
    while offset < end:
        records = [each for each in await log.read(topic, number, offset, _AT_ONCE) if each.offset < end]
        if not records:
            return
        offset = next_offset(records)
        yield records


def _line(record: StoredRecord) -> bytes:
    """Write down a record: what is no text is in base64."""
    said: dict[str, object] = {"offset": record.offset, "key": record.key}
    try:
        said["value"] = record.value.decode()
    except UnicodeDecodeError:
        said["base64"] = b2a_base64(record.value, newline=False).decode()
    return orjson.dumps(said)


def _write_manifest(archive: ZipFile, part: str, manifest: BaseModel) -> None:
    text = orjson.dumps(manifest.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    archive.writestr(_member(f"{part}/{_MANIFEST}"), text + b"\n")


class Bundle:
    """A bundle, open to be read."""

    def __init__(self, archive: ZipFile) -> None:
        """Read what it says of itself. Raises BundleUnusable."""
        if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in archive.infolist()):
            raise BundleUnusable("its files were expected stored or deflated, as everybody can read them")
        self._archive = archive
        canonical = self._manifest("canonical", Canonical)
        raw = self._manifest("raw", Raw)
        lacking = [name for name, topic in TOPICS.items() if len(raw.topics.get(name, ())) != topic.partitions]
        if lacking or raw.log != canonical.log or canonical.topics.keys() != {topic.name for topic in CANONICAL}:
            raise BundleUnusable("its manifests do not speak of one whole log")
        self.manifests = Manifests(canonical, raw)
        empty = (info.filename for info in archive.infolist() if not info.compress_size)
        folders = {name for name in empty if name.endswith("/")}
        if sorted(name for name in archive.namelist() if name not in folders) != sorted(self._members()):
            raise BundleUnusable("it holds other files than its manifests speak of")

    def _members(self) -> Iterator[str]:
        """Name every file that belongs in it."""
        yield from (f"{part}/{_MANIFEST}" for part in ("canonical", "raw"))
        yield from (f"canonical/{name}.ndjson" for name, said in self.manifests.canonical.topics.items() if said.events)
        for name, partitions in self.manifests.raw.topics.items():
            if name in TOPICS:
                yield from (_raw_name(TOPICS[name], number) for number, said in enumerate(partitions) if said.records)

    @classmethod
    @contextmanager
    def opened(cls, file: Path) -> Iterator[Self]:
        """Open a file. Raises BundleUnusable, also of what turns out while it is read."""
        try:
            with ZipFile(file) as archive:
                yield cls(archive)
        except BundleUnusable as unusable:
            raise BundleUnusable(f"{file}: {unusable}") from None
        except OSError as error:
            raise BundleUnusable(f"{file}: a file that can be read was expected ({error.strerror})") from None
        except _UNREADABLE:
            raise BundleUnusable(f"{file}: a bundle was expected, whole and not changed") from None

    def _manifest(self, part: str, model: type[ModelT]) -> ModelT:
        try:
            with self._archive.open(f"{part}/{_MANIFEST}") as stream:
                return model.model_validate_json(stream.read(_LINE_AT_MOST))
        except (KeyError, ValidationError):
            raise BundleUnusable(f"a bundle of the form {FORMAT} was expected: {part}/{_MANIFEST}") from None

    def extract_canonical(self, directory: Path, topics: Sequence[Topic]) -> None:
        """Write topics of the canonical part to a directory as an exported log. Raises BundleUnusable."""
        for topic in topics:
            with (directory / f"{topic.name}.ndjson").open("wb") as stream:
                for line in self.canonical(topic):
                    stream.write(line)

    def require_canonical(self) -> None:
        """Make sure that the canonical part is as it was written, and its manifest too. Raises BundleUnusable.

        Of the version that wrote it nothing else in it speaks.
        """
        said = self.manifests.canonical
        log = log_id_of(list(self.canonical(DEFINITIONS)))
        cases = set(map(subject_of, self.canonical(CASES)))
        for topic in (SCORES, TRACKS, NOTICES):
            for _ in self.canonical(topic):
                pass
        if log not in ("", said.log):
            raise BundleUnusable("its manifests name another log than its events are of")
        if len(cases) != said.cases:
            raise BundleUnusable("canonical/manifest.json speaks of another number of cases than its events are of")

    def canonical(self, topic: Topic) -> Iterator[bytes]:
        """Give what the history says on a topic. Raises BundleUnusable, in the end if that is not what was written."""
        name, said = f"canonical/{topic.name}.ndjson", self.manifests.canonical.topics[topic.name]
        digest, count = sha256(), 0
        for line in self._lines(name) if said.events else ():
            digest.update(line)
            count += 1
            yield line
        if (count, digest.hexdigest()) != (said.events, said.sha256):
            raise BundleUnusable(f"{name} is not as it was written: its manifest speaks of other events")

    def records(self, topic: Topic, number: int) -> Iterator[StoredRecord]:
        """Give what stood in a partition. Raises BundleUnusable, in the end if that is not what was written."""
        name, said = _raw_name(topic, number), self.manifests.raw.topics[topic.name][number]
        digest, count, offset = sha256(), 0, 0
        for line in self._lines(name) if said.records else ():
            digest.update(line)
            count += 1
            record = _read(line)
            if record is None or not offset <= record.offset < said.end:
                raise BundleUnusable(f"{name}: line {count}: the next record of the partition was expected")
            offset = after(record.offset)
            yield record
        if (count, digest.hexdigest()) != (said.records, said.sha256):
            raise BundleUnusable(f"{name} is not as it was written: its manifest speaks of other records")

    def _lines(self, name: str) -> Iterator[bytes]:
        try:
            stream = self._archive.open(name)
        except KeyError:
            raise BundleUnusable(f"{name} was expected in it") from None
        with stream:
            while line := stream.readline(_LINE_AT_MOST):
                yield line


def _read(line: bytes) -> StoredRecord | None:
    """Read a record as it was written down; None if it is none."""
    try:
        said = orjson.loads(line)
        offset, key = said["offset"], said["key"]
        value = said["value"].encode() if "value" in said else a2b_base64(said["base64"], strict_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return StoredRecord(offset, key, value) if type(offset) is int and isinstance(key, str) else None


async def unlike(manifests: Manifests, log: Log) -> Sequence[Finding]:
    """Find on which topics the two parts of a bundle do not say the same. log: holds what the raw one has."""
    said, log_id = manifests.canonical.topics, manifests.raw.log
    stands = (await canonical_of(log, log_id, await ends_of(log))).topics
    says = "the canonical part of the bundle was expected to say what stands in the raw one"
    return [Finding("parts-differ", Place(name), says) for name in said if said[name] != stands[name]]
