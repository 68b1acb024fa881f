"""A frozen history, put together again, and what is found in it."""

from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

import orjson

from tests.support.command import ontrack

KEYS: Final = "keys.ndjson"
EXPECTED: Final = "expected.json"


def packed(folder: Path, work: Path) -> Path:
    """Make a bundle of its files again."""
    file = work / "bundle.zip"
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for member in sorted(folder.glob("*/**/*.*")):
            archive.write(member, member.relative_to(folder))
    return file


def found_in(bundle: Path, keys: Path) -> dict[str, Any]:
    """Give what is found in a bundle: where and what, and how much was read; or why it is refused."""
    ran = ontrack("audit", "verify", "--bundle", bundle, "--keys", keys, "--format", "json")
    counts = [line for line in ran.told.splitlines() if line.startswith("rom.")]
    findings = orjson.loads(ran.out)["findings"] if ran.out else None
    refused = None if findings is not None else ran.told.strip().replace(str(bundle), "FILE")
    return {"exit": ran.exit_code, "counts": counts, "findings": findings, "refused": refused}
