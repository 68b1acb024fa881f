"""Shows that the failure tests can fail: each guard is taken out of a copy of the code, and its test goes red there.

    python -m tests.failures.weaken

A test that needs luck to meet the moment is run a few times. Ends with 1 if a guard can be taken out unnoticed, or if
what the test finds is something else than that guard keeps away.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TRIES: Final = 4
COPIED: Final = ("contracts", "deploy", "services", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Weakening:
    """A guard that is taken out, the test that guards it, and what it must find then: a pattern of what it says."""

    name: str
    file: str
    guard: str
    instead: str
    test: str
    found: str


WEAKENINGS: Final = (
    Weakening(
        "the conditional write",
        "services/runtime/documents.py",
        'return {"_id": replacement.id, "number": replacement.expected}, {"$set": fields}, False',
        'return {"_id": replacement.id}, {"$set": fields}, False',
        "tests/failures/test_processes.py::test_of_two_owners_of_a_partition_only_one_writes[1]",
        "has other bytes|case [0-9a-f]+ differs",
    ),
    Weakening(
        "the owner of a position",
        "services/runtime/store/mongo.py",
        '{"_id": identity, "owner": owner}, fields)',
        '{"_id": identity}, fields)',
        "tests/conformance/test_mongodb.py::TestStore::test_only_the_last_who_took_a_partition_says_how_far_the_stage_is",
        "Position",
    ),
    Weakening(
        "the sequence check",
        "services/runtime/batch.py",
        "        batch.repeated += 1\n        return False\n",
        "        batch.repeated += 1\n        return True\n",
        "tests/failures/test_store.py::test_the_store_can_refuse_writes_for_a_minute[1]",
        "has a gap|case [0-9a-f]+ differs",
    ),
    Weakening(
        "the wait for acknowledgements",
        "services/runtime/log/kafka.py",
        "                    acknowledged = await self._acknowledged(producer, sent)\n"
        "                    starts.append(acknowledged.offset)\n",
        "                    starts.append(-1)\n"
        "                    if not topic.of_cases:\n"
        "                        await sent\n",
        "tests/conformance/test_kafka.py::TestLogAway::test_a_record_whose_acknowledgement_is_late_stands_there_once",
        "DID NOT RAISE|Regex pattern did not match",
    ),
    Weakening(
        "the answer after the record",
        "services/ingest/door.py",
        "            taken = await self._intake.take([caller.request for caller in callers])\n",
        "            for caller in callers:\n"
        "                caller.told(Taken(len(caller.request.facts)))\n"
        "            taken = await self._intake.take([caller.request for caller in callers])\n",
        "tests/failures/test_answered.py::test_what_a_region_has_answered_is_on_the_log_whatever_is_killed[1]",
        "facts were answered and are not on the log",
    ),
)


def main() -> int:
    """Take each guard out in turn; 0 if that was noticed each time."""
    unnoticed = [weakening.name for weakening in WEAKENINGS if not _is_noticed(weakening)]
    print(f"taken out unnoticed: {', '.join(unnoticed)}" if unnoticed else "every guard is guarded")
    return 1 if unnoticed else 0


def _is_noticed(weakening: Weakening) -> bool:
    with tempfile.TemporaryDirectory(prefix="ontrack-weakened-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        _take_out(copy / weakening.file, weakening)
        for number in range(1, TRIES + 1):
            print(f"without {weakening.name}, try {number}: {weakening.test}", flush=True)
            ran = _run(copy, weakening.test)
            if ran.returncode not in (0, 1):
                raise SystemExit(f"the test could not be run:\n{ran.stdout}")
            reasons = _reasons(ran.stdout) if ran.returncode else []
            found = [reason for reason in reasons if re.search(weakening.found, reason)]
            print(f"  red: {(found or reasons)[0]}" if reasons else "  green", flush=True)
            if found:
                return True
    return False


def _take_out(file: Path, weakening: Weakening) -> None:
    text = file.read_text("utf-8")
    if text.count(weakening.guard) != 1:
        raise SystemExit(f"{weakening.file} has changed: what guards {weakening.name} stands there no more")
    file.write_text(text.replace(weakening.guard, weakening.instead), "utf-8")


def _run(copy: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run a test on the copy: its code goes before the installed one, in the services that it starts too."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", ""), "PYTHONPATH": str(copy)}
    environment["ONTRACK_LOCAL"] = os.environ.get("ONTRACK_LOCAL", str(ROOT / ".local"))
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


def _reasons(said: str) -> list[str]:
    """Give what a red test said of itself, line by line: an error that led to another one comes first."""
    lines = [line.removeprefix("E").strip()[:240] for line in said.splitlines() if line.startswith("E  ")]
    return lines or [said.splitlines()[-1]]


if __name__ == "__main__":
    sys.exit(main())
