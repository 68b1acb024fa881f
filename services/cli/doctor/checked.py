"""What came out of one check: what was seen, and what to do if that is wrong."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import orjson

from contracts.topics import CASES
from services.cli.output import counted
from services.runtime.faults import StageStopped, place_of
from services.runtime.log.port import Log
from services.runtime.store.sealed import StateUnreadable
from services.runtime.unavailable import Unavailable

Verdict = Literal["ok", "finding", "unknown"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One check. verdict: `unknown` if it could not be checked; says: what was seen; do: how a finding is mended."""

    what: str
    verdict: Verdict
    says: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is looked at: its name, and the look, which can fail in any way."""

    what: str
    look: Callable[[], Awaitable[Checked]]


async def looked(check: Check) -> Checked:
    """Look, and tell if that is not possible: what keeps one check from being made keeps no other one."""
    try:
        return await check.look()
    except (Unavailable, StageStopped, StateUnreadable) as wrong:
        return ill(check.what, f"it cannot be checked: {wrong}", "mend that, and check again")
    except Exception as error:  # noqa: BLE001 - its words could hold anything, so only its place is told
        return ill(check.what, f"it cannot be checked ({place_of(error)})", _TELL)


_TELL: Final = "something stands there that OnTrack did not write, or this is a fault of it: tell who maintains it"


def are(number: int, what: str) -> str:
    """Count things that are: `1 case is`, `2 cases are`."""
    return f"{counted(number, what)} {'is' if number == 1 else 'are'}"


def well(what: str, says: str) -> Checked:
    """Say that nothing is wrong."""
    return Checked(what, "ok", says)


def ill(what: str, says: str, do: str) -> Checked:
    """Say what is wrong, and what to do."""
    return Checked(what, "finding", says, do)


def unknown(what: str, says: str) -> Checked:
    """Say why something could not be checked."""
    return Checked(what, "unknown", says)


async def recorded(log: Log, partition: int, offset: int) -> datetime | None:
    """Tell when a fact was recorded, if one stands there that says so."""
    for record in await log.read(CASES, partition, offset, 1):
        try:
            return datetime.fromisoformat(orjson.loads(record.value)["recordedtime"])
        except (ValueError, TypeError, KeyError):
            return None
    return None


DISK_SHARE: Final = 0.05
DISK_BYTES: Final = 1_000_000_000
"""A disk with less left, or with a smaller share of it, is about to be full."""

EXPIRES_WITHIN: Final = timedelta(days=30)
"""From then on a certificate is to be replaced."""

SKEW: Final = timedelta(seconds=5)
"""By more than this two clocks do not go alike: leases, sessions and the order of what happened are then doubtful."""

LOOK_AGAIN: Final = 3.0
"""Seconds between two looks at what may only be under way."""


def disk(what: str, free: int, total: int, do: str) -> Checked:
    """Judge how much of a disk is left."""
    says = f"{free / 1e9:,.1f} GB of {total / 1e9:,.0f} GB are free"
    is_short = free < DISK_BYTES or free < DISK_SHARE * total
    return ill(what, f"only {says}", do) if is_short else well(what, says)


def certificate(what: str, expires: datetime, now: datetime, do: str) -> Checked:
    """Judge how long a certificate still holds."""
    days = (expires - now).days
    if expires <= now:
        return ill(what, f"its certificate expired on {expires:%Y-%m-%d}", do)
    says = f"its certificate expires in {days} {'day' if days == 1 else 'days'}, on {expires:%Y-%m-%d}"
    return ill(what, says, do) if expires - now < EXPIRES_WITHIN else well(what, says)


def clock(what: str, theirs: datetime, ours: datetime) -> Checked:
    """Judge whether another clock goes as this one does."""
    ahead = (theirs - ours).total_seconds()
    if abs(ahead) <= SKEW.total_seconds():
        return well(what, "it goes as the clock of this machine does")
    way = "ahead of" if ahead > 0 else "behind"
    return ill(what, f"it is {abs(ahead):,.0f} s {way} the clock of this machine", "set both by NTP")
