"""What `ontrack audit verify` finds in a home."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.support.command import ontrack


def findings(home: Path, *options: str) -> list[dict[str, Any]]:
    """What the audit finds."""
    ran = ontrack("audit", "verify", "--data", home, "--format", "json", *options)
    told = orjson.loads(ran.out)
    found: list[dict[str, Any]] = told["findings"]
    assert ran.exit_code == bool(found), ran.told
    assert told["verifies"] is not bool(found)
    assert ("The history verifies" in ran.told) is not bool(found)
    return found


def kinds(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(each["finding"] for each in found)
