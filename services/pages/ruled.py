"""What each rule of a policy said of a session, with its numbers: also of those that did not fire."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from contracts.events.tracks import Evidence
from services.pages.measure import moved
from services.pages.words import Words

Silence = Literal["no_score", "no_baseline", "too_few", "healthy", "broken", "nothing"]
"""Why a rule has no numbers at a session."""

Reading = Literal["baseline", "previous", "window", "earlier_session"]


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a rule said.

    kind: its kind and version; says: the sentence that it stands for
    reading, limit: what it compares with, and the policy's limit; None where it has none
    evidence: its numbers; fired: whether it did; silent: why it has no numbers
    sessions: those whose scores it looked at, with the one before them where it compares with that
    measured, needed: how many measured sessions there were, of those that it looks back on
    """

    kind: str
    says: str
    reading: Reading
    limit: Decimal | None
    evidence: Evidence | None = None
    fired: bool = False
    silent: Silence | None = None
    sessions: tuple[int, ...] = ()
    measured: int = 0
    needed: int = 0


def once_not(evidence: Evidence, words: Words) -> str:
    """Say by what a session stays not on track whatever the rules say of it, and since when."""
    return words("why.once_not", sessions=words.sessions(evidence.sessions))


def why_silent(rule: Ruled, words: Words) -> str:
    """Say why a rule has no numbers; nothing where it has some."""
    if rule.silent is None:
        return ""
    gaps = {"measured": rule.measured, "needed": rule.needed} if rule.silent == "too_few" else {}
    return words(f"silence.{rule.silent}", **gaps)


def compared(rule: Ruled, words: Words) -> str:
    """Say what a rule compares with, and its limit."""
    reading = words(f"reading.{rule.reading}")
    if rule.limit is None:
        return words("ruled.compared", reading=reading)
    return words("ruled.compared.limit", reading=reading, limit=rule.limit)


def rows(rule: Ruled, words: Words) -> Iterator[tuple[str, str, str]]:
    """Give the numbers of a rule: session, score, and by how much it moved; none where it looks at no score."""
    evidence = rule.evidence
    if evidence is None or not evidence.values:
        return
    for session, value, change in zip(evidence.sessions, evidence.values, evidence.changes, strict=True):
        yield words.session(session), words.number(value), moved(change, words)
