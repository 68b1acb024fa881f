"""The file of a backup: a ZIP archive with its parts and a manifest, vouched for by the master key to the last byte."""

import hmac
import zlib
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from struct import Struct
from typing import IO, Annotated, Final, NamedTuple, Self
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.events.fields import Instant
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.refusals import BackupUnusable

FORMAT: Final = 1
VERSION: Final = version("ontrack")
_MANIFEST: Final = "manifest.json"
MAGIC: Final = b"PK"
_DIGEST: Final = 64
"""Letters of a SHA-256 in hexadecimal."""

_BEFORE_NAME: Final = 30
"""Bytes of an archive before the name of what comes first in it."""

_FIRST: Final = b"rom."

_SEAL: Final = 2 * _DIGEST
"""The last bytes of the file, its comment as an archive: by what the master key vouches for all bytes before, and the
SHA-256 of all bytes before that SHA-256."""

_FRAME: Final = Struct(">II")
"""Before each item: how many bytes its key and its value have."""

_FASTEST: Final = 1
"""What is sealed is random: pressing harder takes longer and gains a fiftieth."""

AT_ONCE: Final = 2_000
"""Items that are read, written and told of together."""

_CHUNK: Final = 1 << 20
_UNREADABLE: Final = (BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError)
"""What an archive raises that is none of ours."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Progress = Callable[[int], None]


class Item(NamedTuple):
    """One thing that is kept, under its key."""

    key: str
    value: bytes


class Part(BaseModel):
    """A part of a backup. items: how many it holds; bytes, sha256: of its content, as it is before it is pressed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    items: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Manifest(BaseModel):
    """What a backup says of itself.

    ontrack: the version that made it; log: the identity of the log
    began, ended: what was recorded before it began is in it, and some of what was recorded before it ended
    master: by what the master key is recognised
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    format: int
    ontrack: str
    log: str
    began: Instant
    ended: Instant
    master: Sha256
    parts: tuple[Part, ...]

    @property
    def by_name(self) -> Mapping[str, Part]:
        """The parts by their names."""
        return {part.name: part for part in self.parts}


class Writer:
    """Writes a backup, part by part. Memory does not grow with it."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to an empty file."""
        self._stream = stream
        self._hashed = _Hashed(stream)
        self._archive = ZipFile(self._hashed, "w", ZIP_DEFLATED, compresslevel=_FASTEST)
        self._parts: list[Part] = []

    async def add(self, name: str, chunks: AsyncIterable[Iterable[Item]]) -> None:
        """Write a part."""
        digest, items, size = sha256(), 0, 0
        with self._archive.open(name, "w", force_zip64=True) as part:
            async for chunk in chunks:
                framed = list(map(_framed, chunk))
                content = b"".join(framed)
                digest.update(content)
                part.write(content)
                items += len(framed)
                size += len(content)
        self._parts.append(Part(name=name, items=items, bytes=size, sha256=digest.hexdigest()))

    def finish(self, log: str, began: datetime, ended: datetime, master: MasterKey) -> Manifest:
        """Write what the backup says of itself, and let the master key vouch for it."""
        manifest = Manifest(
            format=FORMAT,
            ontrack=VERSION,
            log=log,
            began=began,
            ended=ended,
            master=master.fingerprint.hex(),
            parts=tuple(self._parts),
        )
        self._archive.writestr(_MANIFEST, manifest.model_dump_json(indent=2))
        # The length of the comment stands before it, so there has to be one already.
        self._archive.comment = bytes(_SEAL)
        self._archive.close()
        digest = self._hashed.digest
        seal = master.vouch_for(digest.digest()).hex().encode()
        digest.update(seal)
        self._stream.seek(-_SEAL, 2)
        self._stream.write(seal + digest.hexdigest().encode())
        return manifest


class _Hashed:
    """Hands on what is written, and knows the SHA-256 of all but the seal, which is written last.

    An archive that was given up still writes its end when it is let go of; where the file is closed, that goes nowhere.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last = b""
        self.digest = sha256()

    def write(self, content: bytes) -> int:
        if not self._stream.closed:
            self._stream.write(content)
            seen = self._last + content
            self.digest.update(seen[:-_SEAL])
            self._last = seen[-_SEAL:]
        return len(content)

    def flush(self) -> None:
        if not self._stream.closed:
            self._stream.flush()

    def close(self) -> None:
        """Leave the file open: the seal is still missing."""


class Backup:
    """A backup that is as it was made, to the last byte."""

    def __init__(self, file: Path, archive: ZipFile, manifest: Manifest, vouched: tuple[bytes, str]) -> None:
        """Read an open archive."""
        self._file = file
        self._archive = archive
        self._vouched = vouched
        self.manifest = manifest

    @classmethod
    @contextmanager
    def opened(cls, file: Path, progress: Progress = lambda _: None) -> Iterator[Self]:
        """Open a backup. Raises BackupUnusable. progress: is told how many bytes were read."""
        with file.open("rb") as stream:
            vouched = _whole(file, stream, progress)
            try:
                archive = ZipFile(stream)
                manifest = _manifest(file, archive.read(_MANIFEST))
            except _UNREADABLE:
                raise BackupUnusable(f"{file} is no backup of OnTrack") from None
            with archive:
                yield cls(file, archive, manifest, vouched)

    def require_master(self, master: MasterKey) -> None:
        """Make sure that it was made under a master key, and by somebody who has that.

        Raises MasterKeyUnusable, BackupUnusable.
        """
        if self.manifest.master != master.fingerprint.hex():
            raise MasterKeyUnusable(f"the master key is not the one of {self._file}: put the right one there")
        digest, seal = self._vouched
        if not hmac.compare_digest(master.vouch_for(digest).hex(), seal):
            raise BackupUnusable(f"{self._file} was changed by somebody who does not have its master key")

    def items(self, name: str) -> Iterator[Item]:
        """Give what a part holds, nothing if it is not there. Raises BackupUnusable, at its end at the latest."""
        part = self.manifest.by_name.get(name)
        if part is None:
            return
        try:
            with self._archive.open(name) as stream:
                yield from _items(stream, part)
        except (*_UNREADABLE, ValueError):
            raise BackupUnusable(f"{self._file}: {name} is not what its manifest says") from None

    def check(self, progress: Progress) -> None:
        """Read all that it holds. Raises BackupUnusable. progress: is told how many items were read."""
        for part in self.manifest.parts:
            for chunk in chunked(self.items(part.name), AT_ONCE):
                progress(len(chunk))


def begins_like_backup(content: bytes) -> bool:
    """Tell whether a file that begins so is a backup, though it may have been cut: its first part is of a topic."""
    return content.startswith(MAGIC) and content[_BEFORE_NAME:].startswith(_FIRST)


def chunked(items: Iterable[Item], at_once: int) -> Iterator[Sequence[Item]]:
    """Give items some at a time."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == at_once:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _framed(item: Item) -> bytes:
    key = item.key.encode()
    return _FRAME.pack(len(key), len(item.value)) + key + item.value


def _items(stream: IO[bytes], part: Part) -> Iterator[Item]:
    """Take a part to pieces. Raises ValueError."""
    digest, items, size, rest = sha256(), 0, 0, b""
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        rest, start = rest + chunk, 0
        while (found := _item_at(rest, start)) is not None:
            item, start = found
            items += 1
            yield item
        rest = rest[start:]
    if rest or (items, size, digest.hexdigest()) != (part.items, part.bytes, part.sha256):
        raise ValueError(part.name)


def _item_at(content: bytes, start: int) -> tuple[Item, int] | None:
    """Give the item that begins at a place, and where the next one does; None if not all of it is there yet."""
    begin = start + _FRAME.size
    if len(content) < begin:
        return None
    key_length, value_length = _FRAME.unpack_from(content, start)
    middle = begin + key_length
    end = middle + value_length
    return (Item(content[begin:middle].decode(), content[middle:end]), end) if len(content) >= end else None


def _whole(file: Path, stream: IO[bytes], progress: Progress) -> tuple[bytes, str]:
    """Make sure that a file is as it was made; give the digest that is vouched for, and by what.

    Raises BackupUnusable.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(len(MAGIC)) != MAGIC or size < _SEAL:
        raise BackupUnusable(f"{file} is no backup of OnTrack")
    stream.seek(0)
    digest = sha256()
    for length in _lengths(size - _SEAL):
        digest.update(stream.read(length))
        progress(length)
    vouched, seal = digest.digest(), stream.read(_DIGEST)
    digest.update(seal)
    if stream.read() != digest.hexdigest().encode():
        raise BackupUnusable(f"{file} was cut or changed since it was made, or is no backup of OnTrack")
    return vouched, seal.decode()


def _lengths(size: int) -> Iterator[int]:
    """Divide a number of bytes into chunks."""
    return chain((_CHUNK for _ in range(size // _CHUNK)), (size % _CHUNK,))


def _manifest(file: Path, content: bytes) -> Manifest:
    try:
        made = orjson.loads(content)
        if made["format"] != FORMAT:
            raise BackupUnusable(
                f"{file} has the format {made['format']}, and this version reads {FORMAT}: "
                f"restore it by OnTrack {made['ontrack']}, which made it, or a later version"
            )
        return Manifest.model_validate_json(content)
    except (ValueError, TypeError, KeyError, ValidationError):
        raise BackupUnusable(f"{file}: its manifest cannot be read") from None
