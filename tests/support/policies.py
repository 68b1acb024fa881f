"""Policy files of a clinic's own, made of one that ships."""

import json
from pathlib import Path
from typing import Any

from contracts.definitions.files import LIBRARY


def own_policy(directory: Path, base: str = "gryesten-2023", **changes: Any) -> Path:
    """Write a policy of the library with something changed in it, under the name `ours`."""
    body = json.loads((LIBRARY / "policies" / f"{base}.json").read_text("utf-8"))
    file = directory / "ours.json"
    file.write_text(json.dumps({**body, "id": "ours", **changes}, ensure_ascii=False), "utf-8")
    return file


def bdi_policy_of(directory: Path, at_least: str, version: int = 1) -> Path:
    """Write a policy that judges by the total of the BDI-II."""
    rules = [
        {"kind": "deterioration/1", "at_least": at_least, "compared_with": "baseline"},
        {"kind": "no_change/1", "less_than": "4", "sessions": 3, "compared_with": "previous"},
    ]
    return own_policy(directory, version=version, primary={"instrument": "bdi-ii@1", "scale": "total"}, rules=rules)
