"""What is checked of the roster: that it can be read, and that it is there where cases came by it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import orjson

from contracts.events.facts import CaseEnrolled
from contracts.topics import CASES
from services.cli.doctor.checked import Checked, ill, well
from services.cli.output import counted
from services.home import Home
from services.ingest.importer import CLIENT as IMPORTED
from services.runtime.reading import chunks
from services.runtime.roster.port import Clinic, Group, Therapist
from services.runtime.store.sealed import StateUnreadable
from services.simulation.facts import CLIENT as SIMULATED

_WITHOUT_ROSTER: Final = (IMPORTED, SIMULATED)
"""Who enrols cases whose group stood in a file, or was drawn, and never was on the roster."""

_NAMED: Final = 5
_ENTER: Final = "enter clinics, groups and therapists again over the API (docs/api.md)"


async def roster_is_whole(home: Home) -> Checked:
    """Check that all of the roster can be read, and that what it and cases name is on it."""
    clinics, of_clinics = await home.roster.readable(Clinic)
    groups, of_groups = await home.roster.readable(Group)
    therapists, of_therapists = await home.roster.readable(Therapist)
    unreadable = sorted(of_clinics | of_groups | of_therapists)
    if unreadable:
        return ill(
            "roster",
            f"something of {', '.join(unreadable)} cannot be read",
            f"{_ENTER}; what nobody has entered was written by something else: tell who maintains it",
        )
    gone = await _gone(home, {(each.clinic, each.id) for each in groups})
    if gone:
        told = _some([f"{group} of {clinic} ({counted(number, 'case')})" for (clinic, group), number in gone.items()])
        return ill(
            "roster", f"open cases are in groups that it does not have: {told}. Their reports reach nobody", _ENTER
        )
    known = {(each.clinic, each.id) for each in therapists}
    named = [
        *((group.clinic, who, f"group {group.id}") for group in groups for who in group.therapists),
        *((clinic.clinic, who, "its supervisors") for clinic in clinics for who in clinic.supervisors),
    ]
    nobody = [f"{who} of {clinic} ({where})" for clinic, who, where in named if (clinic, who) not in known]
    if nobody:
        return ill(
            "roster",
            f"therapists are named that it does not have: {_some(nobody)}. No mail reaches them",
            "enter each by that very id, or name another one in its place (docs/api.md); "
            "a mail that is on its way already goes to whom was named",
        )
    number = len(clinics) + len(groups) + len(therapists)
    return well("roster", f"all of it can be read: {number:,} clinics, groups and therapists")


def _some(names: Sequence[str]) -> str:
    """Name some of many."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


async def _gone(home: Home, known: AbstractSet[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    """Count the open cases in groups that the roster does not have, and had: clinic and group -> cases.

    Whoever enrols over the API can name no group that is not on it.
    """
    suspects: dict[str, tuple[str, str]] = {}
    try:
        async for case_id, case in home.states(home.register):
            # A clinic may well remove the groups whose courses are over.
            goes_on = case.closed_at is None and not case.erased
            if (
                goes_on
                and case.group is not None
                and case.clinic is not None
                and (case.clinic, case.group) not in known
            ):
                suspects[case_id] = case.clinic, case.group
    except StateUnreadable:
        # That is a finding of its own.
        return {}
    found: Counter[tuple[str, str]] = Counter()
    for partition in sorted(set(map(home.partition, suspects))):
        async for chunk in chunks(home.log, CASES, partition):
            for record in chunk:
                if record.key in suspects and _is_enrolled_by_the_roster(record.value, suspects[record.key][0]):
                    found[suspects.pop(record.key)] += 1
    return dict(sorted(found.items()))


def _is_enrolled_by_the_roster(fact: bytes, clinic: str) -> bool:
    """Tell whether a record says that a case was enrolled, and by whom. Its outside says it."""
    try:
        said = orjson.loads(fact)
        without = {f"urn:ontrack:{clinic}:{client}" for client in _WITHOUT_ROSTER}
        return bool(said["type"] == CaseEnrolled.type() and said["source"] not in without)
    except (ValueError, TypeError, KeyError):
        return False
