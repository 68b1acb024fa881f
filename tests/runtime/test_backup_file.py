"""The file of a backup: whatever is done to it is noticed before anything of it is used."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from zipfile import ZIP_STORED, ZipFile

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.backup.archive import AT_ONCE, Backup, Item, Manifest, Writer, chunked
from services.runtime.backup.restoring import require_known
from services.runtime.keyring.master import MasterKey, MasterKeyUnusable
from services.runtime.refusals import BackupUnusable

MASTER: Final = MasterKey(bytes(range(32)))
STRANGER: Final = MasterKey(bytes(range(32, 64)))
BEGAN: Final = datetime(2026, 10, 5, 1, 12, tzinfo=UTC)
LOG: Final = "00000000-0000-4000-8000-000000000001"
PARTS: Final[Mapping[str, Sequence[Item]]] = {
    "rom.cases.v1/3": [Item("a", b"first"), Item("b", b"\x00\xff\n"), Item("", b"")],
    "rom.definitions.v1/0": [Item("log", b'{"some":"definition"}')],
    "keys": [Item("a", bytes(72)), Item("b", b"")],
    "directory": [],
}

READ_AT_ONCE: Final = 1 << 20
"""Bytes of a part that are read at a time, or a multiple of them."""
ABOUT: Final = st.integers(0, 200)
"""By so many bytes an item is shorter than that, so that it ends, or one of those behind it is divided, there."""


async def _chunks(items: Iterable[Item]) -> AsyncIterator[Sequence[Item]]:
    for chunk in chunked(items, AT_ONCE):
        yield chunk


def written(file: Path, parts: Mapping[str, Sequence[Item]] = PARTS, master: MasterKey = MASTER) -> Manifest:
    """Write a backup with some parts."""

    async def write() -> Manifest:
        with file.open("wb") as stream:
            writer = Writer(stream)
            for name, items in parts.items():
                await writer.add(name, _chunks(items))
            return writer.finish(LOG, BEGAN, BEGAN + timedelta(seconds=3), master)

    return asyncio.run(write())


def read(file: Path) -> tuple[Manifest, dict[str, list[Item]]]:
    """Read all of a backup."""
    with Backup.opened(file) as backup:
        backup.require_master(MASTER)
        return backup.manifest, {part.name: list(backup.items(part.name)) for part in backup.manifest.parts}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written(tmp_path / "clinic.backup")
    return tmp_path / "clinic.backup"


def refused(file: Path, content: bytes) -> str:
    """Why a file with this content is not used."""
    file.write_bytes(content)
    with pytest.raises(BackupUnusable) as why:
        read(file)
    assert str(file) in str(why.value)
    return str(why.value)


def test_what_was_written_is_read(file: Path) -> None:
    # given a backup
    # when it is read
    manifest, parts = read(file)

    # then all of it is there, and the manifest tells how much, when and of what
    assert parts == PARTS
    assert {part.name: part.items for part in manifest.parts} == {name: len(items) for name, items in PARTS.items()}
    assert (manifest.log, manifest.began, manifest.ended) == (LOG, BEGAN, BEGAN + timedelta(seconds=3))
    assert manifest.master == MASTER.fingerprint.hex()
    with Backup.opened(file) as backup:
        assert list(backup.items("roster")) == []


@given(st.lists(st.builds(Item, st.text(max_size=9), st.binary(max_size=99)), max_size=9), st.integers(1, 2), ABOUT)
def test_anything_can_be_kept_however_it_falls_on_what_is_read_at_once(
    items: list[Item], times: int, less: int
) -> None:
    size = times * READ_AT_ONCE - less
    with TemporaryDirectory() as place:
        written(Path(place, "it"), {"keys": [Item("long", bytes(size)), *items]})
        long, *others = read(Path(place, "it"))[1]["keys"]
    assert (long.key, len(long.value), any(long.value), others) == ("long", size, False, items)


def test_other_programs_can_look_into_it(file: Path) -> None:
    with ZipFile(file) as found:
        assert found.testzip() is None
        assert found.namelist() == [*PARTS, "manifest.json"]
        assert orjson.loads(found.read("manifest.json"))["log"] == LOG


def test_a_byte_that_was_changed_is_noticed_wherever_it_is(file: Path) -> None:
    content = file.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        assert "was cut or changed" in (why := refused(file, bytes(changed))) or (place < 2 and "is no backup" in why)


def test_a_file_that_was_cut_is_noticed_wherever_it_was(file: Path) -> None:
    content = file.read_bytes()
    for length in range(len(content)):
        assert refused(file, content[:length])


@pytest.mark.parametrize("more", [b"\0", b"PK", bytes(128)])
def test_a_file_to_which_something_was_added_is_noticed(file: Path, more: bytes) -> None:
    assert "was cut or changed" in refused(file, file.read_bytes() + more)


def _archive(**parts: bytes) -> bytes:
    content = BytesIO()
    with ZipFile(content, "w", ZIP_STORED) as made:
        for name, part in parts.items():
            made.writestr(name, part)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"P", b"PK", b"A letter to somebody, and not a backup. " * 9, bytes(1_000), _archive(letter=bytes(1_000))],
    ids=["nothing", "a letter", "two letters", "text", "zeros", "another archive"],
)
def test_a_file_that_is_something_else_is_told_as_such(file: Path, content: bytes) -> None:
    assert "no backup of OnTrack" in refused(file, content)


def sealed(content: bytes, master: MasterKey) -> bytes:
    """What somebody makes of an archive who knows how backups are made, and has a master key."""
    before = content[:-2] + (128).to_bytes(2, "little")
    seal = master.vouch_for(sha256(before).digest()).hex().encode()
    return before + seal + sha256(before + seal).hexdigest().encode()


def forged(file: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None], master: MasterKey) -> bytes:
    """A backup with something changed in it, sealed again."""
    with ZipFile(file) as found:
        parts = {name: found.read(name) for name in found.namelist()}
    manifest = orjson.loads(parts.pop("manifest.json"))
    change(manifest, parts)
    return sealed(_archive(**parts, **{"manifest.json": orjson.dumps(manifest)}), master)


def test_a_backup_that_was_sealed_again_is_one(file: Path) -> None:
    file.write_bytes(forged(file, lambda *_: None, MASTER))
    assert read(file)[1] == PARTS


def test_what_was_changed_by_somebody_without_the_master_key_is_noticed(file: Path) -> None:
    # given a backup that somebody has given a token of theirs, as well as one can without the master key
    def changed(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
        manifest["began"] = "2027-01-01T00:00:00.000Z"

    # when it is read, then that is noticed
    assert "by somebody who does not have its master key" in refused(file, forged(file, changed, STRANGER))


def test_a_backup_of_another_master_key_is_told_as_such(file: Path) -> None:
    written(file, master=STRANGER)
    with pytest.raises(MasterKeyUnusable, match=r"the master key is not the one of .*clinic\.backup"):
        read(file)


def _of_the_future(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    manifest |= {"format": 2, "ontrack": "7.0", "colour": "blue"}


def _without_a_part(_: dict[str, Any], parts: dict[str, bytes]) -> None:
    del parts["keys"]


def _with_other_content(_: dict[str, Any], parts: dict[str, bytes]) -> None:
    parts["keys"] = bytes(len(parts["keys"]))


def _with_less_content(_: dict[str, Any], parts: dict[str, bytes]) -> None:
    parts["keys"] = parts["keys"][:-1]


def _with_another_count(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    manifest["parts"][0]["items"] += 1


def _with_more_in_the_manifest(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    manifest["colour"] = "blue"


def _with_less_in_the_manifest(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
    del manifest["parts"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_of_the_future, "has the format 2, and this version reads 1: restore it by OnTrack 7.0"),
        (_without_a_part, "keys is not what its manifest says"),
        (_with_other_content, "keys is not what its manifest says"),
        (_with_less_content, "keys is not what its manifest says"),
        (_with_another_count, "rom.cases.v1/3 is not what its manifest says"),
        (_with_more_in_the_manifest, "its manifest cannot be read"),
        (_with_less_in_the_manifest, "its manifest cannot be read"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_backup_that_contradicts_itself_is_told_by_what_does(
    file: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None], told: str
) -> None:
    assert told in refused(file, forged(file, change, MASTER))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"rom.cases.v2/0": [Item("a", b"fact")]}, "the backup holds rom.cases.v2/0, which this version does not know"),
        ({"rom.cases.v1/12": []}, "the backup holds rom.cases.v1/12, which this version does not know"),
        ({"roster": [Item("room", b"{}")]}, "the roster of the backup holds what this version does not know"),
        ({"roster": [Item("clinic", b'{"clinic":"c"}')]}, "the roster of the backup holds what this version"),
    ],
)
def test_what_this_version_does_not_know_is_told(file: Path, parts: Mapping[str, Sequence[Item]], told: str) -> None:
    written(file, parts)
    with Backup.opened(file) as backup, pytest.raises(BackupUnusable) as why:
        require_known(backup)
    assert told in str(why.value)


def test_it_is_told_how_far_reading_has_come(file: Path) -> None:
    # given a backup that is larger than what is read at once
    items = [Item(str(number), random.Random(number).randbytes(1_000)) for number in range(3_000)]
    written(file, {"keys": items})

    # when it is opened and checked
    steps: list[int] = []
    checked: list[int] = []
    with Backup.opened(file, steps.append) as backup:
        backup.check(checked.append)

    # then it is told step by step, up to all of it
    assert len(steps) > 2
    assert file.stat().st_size - sum(steps) == 128
    assert checked == [2_000, 1_000]
    assert all(one >= other for one, other in pairwise(steps))
