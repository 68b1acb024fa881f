"""Writing what stands on a log to a bundle; and what its canonical part says of any log, in sum."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b, sha256
from importlib.metadata import version
from types import TracebackType
from typing import IO, Final, Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson
from pydantic import BaseModel

from contracts.codec import glance
from contracts.topics import ACCESS, CASES, DEAD_LETTERS, DEFINITIONS, NOTICES, SCORES, SEALS, TOPICS, TRACKS, Topic
from services.auditor.bundle import CANONICAL, MANIFEST, Canonical, Manifests, Raw, Said, Stood, line_of, raw_name
from services.auditor.domain.findings import Finding, Place
from services.runtime.export import is_sealed
from services.runtime.log.port import Log, StoredRecord, next_offset

_BACKWARDS: Final = (SEALS, ACCESS, DEAD_LETTERS, NOTICES, TRACKS, SCORES, CASES, DEFINITIONS)
_AT_ONCE: Final = 2_000
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3


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
            with _Lines(archive, raw_name(topic, number)) as lines:
                async for records in _some(log, topic, number, end):
                    progress(len(records))
                    for record in records:
                        lines.add(line_of(record))
            stood.append(Stood(records=lines.count, end=end, sha256=lines.digest))
        topics[topic.name] = tuple(stood)
    return Raw(log=log_id, topics=topics)


async def _some(log: Log, topic: Topic, number: int, end: int) -> AsyncIterator[Sequence[StoredRecord]]:
    """Give the records of a partition up to an end, some at a time."""
    offset = 0
    while offset < end:
        records = [each for each in await log.read(topic, number, offset, _AT_ONCE) if each.offset < end]
        if not records:
            return
        offset = next_offset(records)
        yield records


def _write_manifest(archive: ZipFile, part: str, manifest: BaseModel) -> None:
    text = orjson.dumps(manifest.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    archive.writestr(_member(f"{part}/{MANIFEST}"), text + b"\n")


async def unlike(manifests: Manifests, log: Log) -> Sequence[Finding]:
    """Find on which topics the two parts of a bundle do not say the same. log: holds what the raw one has."""
    said, log_id = manifests.canonical.topics, manifests.raw.log
    stands = (await canonical_of(log, log_id, await ends_of(log))).topics
    says = "the canonical part of the bundle was expected to say what stands in the raw one"
    return [Finding("parts-differ", Place(name), says) for name in said if said[name] != stands[name]]
