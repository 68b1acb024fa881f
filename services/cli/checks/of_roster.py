"""What is checked of the roster: that it can be read, and that it is there where cases came by it."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import orjson
from pydantic import ValidationError

from contracts.events.facts import CaseEnrolled
from contracts.topics import CASES
from services.cli.checks.checked import Checked, ill, well
from services.cli.history import chunks
from services.cli.output import counted
from services.home import Home
from services.ingest.importer import CLIENT as IMPORTED
from services.runtime.roster.port import KINDS, Entry, kind_of
from services.runtime.store.sealed import StateUnreadable
from services.simulation.facts import CLIENT as SIMULATED

_WITHOUT_ROSTER: Final = (IMPORTED, SIMULATED)
"""Who enrols cases whose group stood in a file, or was drawn, and never was on the roster."""

_ENTER: Final = "enter clinics, groups and therapists again over the API (docs/api.md)"


async def roster_is_there(home: Home) -> Checked:
    """Check that all of the roster can be read, and that no clinic has lost its part of it."""
    entries: list[Entry] = []
    unreadable = []
    for kind in KINDS:
        try:
            entries += await home.roster.all(kind)
        except ValidationError:
            unreadable.append(f"{kind_of(kind)}s")
    if unreadable:
        return ill(
            "roster",
            f"something of its {' and '.join(unreadable)} cannot be read",
            f"{_ENTER}; what nobody has entered was written by something else: tell who maintains it",
        )
    lost = await _lost(home, {entry.clinic for entry in entries})
    if lost:
        told = ", ".join(f"{clinic} ({counted(number, 'case')})" for clinic, number in lost.items())
        return ill(
            "roster",
            f"nothing is on it of a clinic that has cases in groups: {told}. Nobody has sessions, and no mail goes out",
            _ENTER,
        )
    return well("roster", f"all of it can be read: {len(entries):,} clinics, groups and therapists")


async def _lost(home: Home, known: set[str]) -> Mapping[str, int]:
    """Count the cases in groups of the clinics that the roster does not have, and had: clinic -> cases.

    Whoever enrols over the API can name no group that is not on it.
    """
    cases: dict[str, set[str]] = defaultdict(set)
    try:
        async for case_id, case in home.states(home.register):
            # A clinic may well remove the groups whose courses are over.
            goes_on = case.closed_at is None and not case.erased
            if goes_on and case.group is not None and case.clinic is not None and case.clinic not in known:
                cases[case.clinic].add(case_id)
    except StateUnreadable:
        # That is a finding of its own.
        return {}
    suspects = {case_id: clinic for clinic, some in cases.items() for case_id in some}
    found: dict[str, int] = defaultdict(int)
    for partition in sorted(set(map(home.partition, suspects))):
        async for chunk in chunks(home, CASES, partition):
            for record in chunk:
                if record.key in suspects and _is_enrolled_by_the_roster(record.value, suspects[record.key]):
                    found[suspects.pop(record.key)] += 1
    return found


def _is_enrolled_by_the_roster(fact: bytes, clinic: str) -> bool:
    """Tell whether a record says that a case was enrolled, and by whom. Its outside says it."""
    try:
        said = orjson.loads(fact)
        without = {f"urn:ontrack:{clinic}:{client}" for client in _WITHOUT_ROSTER}
        return bool(said["type"] == CaseEnrolled.type() and said["source"] not in without)
    except (ValueError, TypeError, KeyError):
        return False
