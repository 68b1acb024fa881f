"""What came out of one check: what was seen, and what to do if that is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

Verdict = Literal["ok", "finding", "unknown"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One check. verdict: `unknown` if it could not be checked; says: what was seen; do: how a finding is mended."""

    what: str
    verdict: Verdict
    says: str
    do: str = ""


def well(what: str, says: str) -> Checked:
    """Say that nothing is wrong."""
    return Checked(what, "ok", says)


def ill(what: str, says: str, do: str) -> Checked:
    """Say what is wrong, and what to do."""
    return Checked(what, "finding", says, do)


def unknown(what: str, says: str) -> Checked:
    """Say why something could not be checked."""
    return Checked(what, "unknown", says)


DISK_SHARE: Final = 0.05
DISK_BYTES: Final = 1_000_000_000
"""A disk with less left, or with a smaller share of it, is about to be full."""

EXPIRES_WITHIN: Final = timedelta(days=30)
"""From then on a certificate is to be replaced."""

SKEW: Final = timedelta(seconds=5)
"""By more than this two clocks do not go alike: leases, sessions and the order of what happened are then doubtful."""


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
