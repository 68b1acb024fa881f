"""A clinic's desk: files of BDI-II totals, the policy that judges them, and the command that takes them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.definitions.files import LIBRARY
from contracts.topics import CASES
from tests.support.command import Ran, ontrack
from tests.support.contents import counts

HEADER: Final = ("case", "session", "answered_at", "instrument", "total", "comment")
COLUMNS: Final = ",".join(HEADER)


def row(case: str, session: int | str, total: int | str, at: str | None = None, comment: str = "") -> str:
    """Give a row: a BDI-II total of a case at a session; without a time it was a week after the session before."""
    return f"{case},{session},{at or weekly(int(session))},bdi-ii,{total},{comment}"


def weekly(session: int) -> str:
    """Give the morning of a session, a week after the one before."""
    week, day = divmod(4 + 7 * session, 28)
    return f"2026-{week + 1:02d}-{day + 1:02d}T08:30:00+01:00"


def table(rows: Iterable[str], header: str = COLUMNS) -> bytes:
    """Give a file."""
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


def bdi_policy(file: Path, name: str = "clinic-bdi") -> Path:
    """Write the policy of a clinic: that of the study, for BDI-II totals, with the clinic's own thresholds."""
    body: dict[str, Any] = json.loads((LIBRARY / "policies" / "gryesten-2023.json").read_text(encoding="utf-8"))
    body |= {"id": name, "primary": {"instrument": "bdi-ii@1", "scale": "total", "healthy": "remission-study"}}
    deterioration, no_change = body["rules"]
    body["rules"] = [deterioration | {"at_least": "5"}, no_change | {"less_than": "3"}]
    file.write_text(json.dumps(body), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a clinic's files lie, and its data directory."""

    place: Path

    @property
    def home(self) -> Path:
        """The data directory."""
        return self.place / "home"

    @property
    def policy(self) -> Path:
        """The clinic's own policy."""
        file = self.place / "clinic-bdi.json"
        return file if file.exists() else bdi_policy(file)

    def file(self, content: bytes, name: str = "answers.csv") -> Path:
        """Put a file on the desk."""
        file = self.place / name
        file.write_bytes(content)
        return file

    def imports(self, content: bytes | Path, *options: str | Path) -> Ran:
        """Import a file, and enrol whom it names."""
        file = content if isinstance(content, Path) else self.file(content)
        return ontrack("import", file, "--enrol", "--policy", self.policy, *options, "--data", self.home)

    def takes(self, content: bytes | Path, *options: str | Path) -> Ran:
        """Import a file that has to be taken."""
        ran = self.imports(content, *options)
        assert ran.exit_code == 0, ran.told
        return ran

    @property
    def facts(self) -> int:
        """How many facts are on the log."""
        return counts(self.home)[CASES.name]

    def tracks(self) -> list[dict[str, Any]]:
        """Give the status of every session of every case."""
        listed = ontrack("tracks", "--data", self.home, "--format", "ndjson").out
        return [json.loads(line) for line in listed.splitlines()]
