"""Homes to read: made by the real import of files that are written here, and by facts recorded after it."""

import asyncio
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from contracts.definitions.files import LIBRARY
from contracts.events.event import Data, fact_id, new_fact
from services.embedded import EmbeddedHome
from tests.support.command import succeeded

ODSIS: Final = ("frequency", "intensity", "engagement", "work_school_home", "social_life")
WHO_5: Final = ("mood", "calm", "energy", "rest", "interest")
HIGHEST: Final = {"odsis": 4, "who-5": 5}
FIRST_DAY: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
SEEN: Final = FIRST_DAY + timedelta(weeks=1, hours=3)
SECRET: Final = "Nobody at home knows about the letter"
PROBLEM: Final = "The stairs to the second floor"
Course = Mapping[int, int]
"""Session -> the sum of the answers; a session that is not here was not answered."""

CASES: Final[Mapping[str, Course]] = {
    "P2": {0: 12, 1: 12, 2: 11, 4: 9, 5: 8},
    "P10": {0: 10, 1: 13, 2: 6},
    "P1": {0: 14, 1: 12, 2: 10, 3: 9, 4: 9, 5: 8},
    "one": {0: 12, 1: 13},
    "waiting": {0: 12},
    "no-baseline": {1: 10, 2: 10, 3: 13},
    "worst": {0: 19, 1: 20},
    "forty": {0: 14} | {session: 14 - session // 4 + session * 7 % 3 for session in range(1, 41) if session != 22},
}
WELL_BEING: Final[Mapping[str, Course]] = {"W1": {0: 10, 1: 12, 2: 13, 4: 8, 5: 15, 6: 18}}
POLICY: Final[Mapping[str, Any]] = {
    "kind": "policy",
    "id": "well-being",
    "version": 1,
    "title": {"en": "WHO-5 by 10 points", "da": "WHO-5 med 10 point"},
    "summary": {"en": "Not on track if 10 points worse.", "da": "Ikke på rette spor, hvis 10 point dårligere."},
    "sources": ["The clinic's own choice"],
    "primary": {"instrument": "who-5@1", "scale": "total", "healthy": "screen-positive"},
    "rules": [
        {"kind": "deterioration/1", "at_least": "10", "compared_with": "baseline"},
        {"kind": "no_change/1", "less_than": "4.5", "sessions": 4, "compared_with": "window", "missing": "break"},
    ],
    "persistent_after": 6,
    "silent_after": 5,
}


@dataclass(frozen=True, slots=True)
class Step:
    """A fact about a case, to be recorded after the import."""

    case: str
    data: Data
    at: datetime


def day_of(session: int) -> datetime:
    """Give the day of a session: one a week."""
    return FIRST_DAY + timedelta(weeks=session)


def written(file: Path, courses: Mapping[str, Course], instrument: str) -> Path:
    """Write courses as a file; the answers of session 1 come with a comment."""
    items = ODSIS if instrument == "odsis" else WHO_5
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["case", "session", "answered_at", "instrument", *items, "comment"])
        for case, course in courses.items():
            for session, total in course.items():
                answers = spread(total, HIGHEST[instrument])
                comment = SECRET if session == 1 else ""
                rows.writerow([case, session, day_of(session).isoformat(), instrument, *answers, comment])
    return file


def spread(total: int, highest: int) -> list[int]:
    """Give five answers that add up to a total."""
    full, rest = divmod(total, highest)
    return ([highest] * full + [rest] + [0] * 5)[:5]


def policy_file(directory: Path, **changes: object) -> Path:
    """Write the clinic's own policy, with something changed in it."""
    directory.mkdir(exist_ok=True)
    file = directory / "well-being.json"
    file.write_text(json.dumps({**POLICY, **changes}, ensure_ascii=False), encoding="utf-8")
    return file


def imported(home: Path, file: Path, *options: str | Path) -> Path:
    """Import a file into a new home."""
    succeeded("import", file, "--enrol", "--data", home, "--timezone", "UTC", *options)
    return home


def lived(home: Path, steps: Sequence[Step]) -> None:
    """Record facts, each after what the ones before it led to."""
    asyncio.run(_lived(home, steps))


async def _lived(directory: Path, steps: Sequence[Step]) -> None:
    async with await EmbeddedHome.open(directory, write=True) as home:
        for number, step in enumerate(steps):
            (case_id,) = await home.cases_named(step.case)
            key = f"{number}/{step.data.type()}"
            fact = new_fact(
                step.data,
                case_id=case_id,
                fact_id=fact_id("clinic", "test", key),
                source="urn:ontrack:clinic:test",
                happened=step.at,
            )
            considered = await home.intake.consider([fact])
            assert not considered.refused
            await home.intake.record(considered.new)
            await home.catch_up()


def events_of(home: Path, case: str, *options: str) -> list[dict[str, Any]]:
    """Give the events of a case as the command gives them."""
    ran = succeeded("case", case, "--data", home, "--format", "ndjson", *options)
    return [json.loads(line) for line in ran.out.splitlines()]


def reports_of(home: Path, *options: str) -> list[dict[str, Any]]:
    """Give the reports as the command gives them."""
    listed: list[dict[str, Any]] = json.loads(succeeded("reports", "--data", home, "--format", "json", *options).out)
    return listed


def of_two_versions(folder: Path) -> Path:
    """Make a home in which the course of N goes on with a newer version of its instrument, which can be compared."""
    newer = folder / "newer"
    newer.mkdir()
    said = json.loads((LIBRARY / "instruments" / "odsis.json").read_text("utf-8"))
    (newer / "odsis.json").write_text(json.dumps({**said, "version": 2, "comparable_from": 1}), "utf-8")
    home = imported(folder / "home", written(folder / "1.csv", {"N": {0: 12, 1: 12}}, "odsis"))
    more = written(folder / "2.csv", {"N": {2: 12, 3: 16}}, "odsis")
    succeeded("import", more, "--data", home, "--timezone", "UTC", "--definitions", newer)
    return home
