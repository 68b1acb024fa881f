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

import zlib
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.codec import subject_of
from contracts.topics import CASES, DEFINITIONS, NOTICES, SCORES, TOPICS, TRACKS, Topic
from services.runtime.founding import log_id_of
from services.runtime.log.port import StoredRecord, after

FORMAT: Final = "ontrack-bundle/1"
CANONICAL: Final = (DEFINITIONS, CASES, SCORES, TRACKS, NOTICES)

_LINE_AT_MOST: Final = 16 << 20
"""Bytes of a line: more than a log takes as one record."""

MANIFEST: Final = "manifest.json"
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


def raw_name(topic: Topic, number: int) -> str:
    """Name the file of a partition."""
    return f"raw/{topic.name}/{number:02}.ndjson"


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
        yield from (f"{part}/{MANIFEST}" for part in ("canonical", "raw"))
        yield from (f"canonical/{name}.ndjson" for name, said in self.manifests.canonical.topics.items() if said.events)
        for name, partitions in self.manifests.raw.topics.items():
            if name in TOPICS:
                yield from (raw_name(TOPICS[name], number) for number, said in enumerate(partitions) if said.records)

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
            with self._archive.open(f"{part}/{MANIFEST}") as stream:
                return model.model_validate_json(stream.read(_LINE_AT_MOST))
        except (KeyError, ValidationError):
            raise BundleUnusable(f"a bundle of the form {FORMAT} was expected: {part}/{MANIFEST}") from None

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
        name, said = raw_name(topic, number), self.manifests.raw.topics[topic.name][number]
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


def line_of(record: StoredRecord) -> bytes:
    """Write down a record: what is no text is in base64."""
    said: dict[str, object] = {"offset": record.offset, "key": record.key}
    try:
        said["value"] = record.value.decode()
    except UnicodeDecodeError:
        said["base64"] = b2a_base64(record.value, newline=False).decode()
    return orjson.dumps(said)


def _read(line: bytes) -> StoredRecord | None:
    """Read a record as it was written down; None if it is none."""
    try:
        said = orjson.loads(line)
        offset, key = said["offset"], said["key"]
        value = said["value"].encode() if "value" in said else a2b_base64(said["base64"], strict_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return StoredRecord(offset, key, value) if type(offset) is int and isinstance(key, str) else None
