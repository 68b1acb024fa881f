"""What an auditor is given, and what somebody may have done to it, or to the log that it is of."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from contracts.topics import NOTICES, SCORES, TRACKS
from tests.auditor.tampering import Tampering, renamed
from tests.support.command import Ran, ontrack, succeeded


class Handed:
    """What an auditor is given: a bundle, and by another way the keys of its cases."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.file, self.keys = folder / "history.zip", folder / "history.keys"
        self.told = succeeded("audit", "export", "--data", home, "--output", self.file, "--keys", self.keys).told

    def verify(self, *options: str | Path, keys: bool = True) -> Ran:
        return ontrack("audit", "verify", "--bundle", self.file, *(("--keys", self.keys) if keys else ()), *options)

    def findings(self, *, keys: bool = True) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = orjson.loads(self.verify("--format", "json", keys=keys).out)["findings"]
        return found

    def rewritten(self, change: Callable[[str, bytes], bytes | None], pressed: int = zipfile.ZIP_STORED) -> None:
        """Write other bytes in the place of its members; None leaves one out."""
        with zipfile.ZipFile(self.file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(self.file, "w", pressed) as archive:
            for name, content in members.items():
                if (changed := change(name, content)) is not None:
                    archive.writestr(name, changed)


def parts(file: Path, part: str) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith(part)}


def changed(tampering: Tampering, case_id: str) -> None:
    value = tampering.record(TRACKS, case_id, 2)
    tampering.put(TRACKS, case_id, 2, renamed(value, source="urn:ontrack:other"))


def torn_out(tampering: Tampering, case_id: str) -> None:
    tampering.cut(SCORES, case_id, 3)


def torn_off(tampering: Tampering, case_id: str) -> None:
    tampering.cut(NOTICES, case_id, -1)


def emptied(tampering: Tampering, case_id: str) -> None:
    tampering.put(TRACKS, case_id, 1, b"nothing")


def otherwise(tampering: Tampering, case_id: str) -> None:
    tampering.append(SCORES, case_id, renamed(tampering.record(SCORES, case_id, 0), time="2026-01-01T00:00:00.000Z"))


def with_another_record(name: str, content: bytes) -> bytes:
    return content.replace(b"urn:ontrack", b"urn:offtrack") if name.startswith("raw/rom.tracks.v1") else content
