"""Whether a history verifies, by what was seen of it, and how that is told."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from contracts.events.fields import instant
from services.auditor.checkpoint import Checkpoint
from services.auditor.counted import Counted
from services.auditor.domain.narrowing import Part
from services.auditor.note import Verifier
from services.auditor.verify import Verified
from services.cli.audit.findings import kinds_of
from services.cli.audit.narrowing import told_of
from services.cli.audit.seal import checkpoint_in
from services.cli.naming_cases import told_erased, told_unsaid
from services.cli.output import counted
from services.runtime.erasures import Erasure

_ERASED_AT_MOST: Final = 10


class Kept(NamedTuple):
    """A checkpoint that somebody has kept, and the key that has signed it."""

    checkpoint: Checkpoint
    verifier: Verifier

    @classmethod
    def of(cls, file: Path, verifier: Verifier) -> "Kept":
        """Read one. Raises Failure."""
        return cls(checkpoint_in(file, verifier), verifier)

    def told(self, *, holds: bool) -> str:
        """Tell whether the log is what was sealed."""
        of, by = self.checkpoint, f"The checkpoint of {instant(self.checkpoint.at)}, signed by {self.verifier.name},"
        spoken = f"{counted(of.records, 'record')} of the log {of.log}"
        if holds:
            return f"{by} holds: it speaks of {spoken}, and these stand there as they stood then."
        return f"{by} does not hold: it speaks of {spoken}."


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a history.

    log_id: of its log; part: that of it which was looked at; took: seconds
    sealed: the checkpoint that was given; checkpoint_holds: whether what it speaks of stands there still
    erased: how each case was erased; excused: how many conclusions nobody misses because of that
    unsaid: the cases whose key is destroyed, and the log does not say that they were erased
    is_bundle: whether it was handed on: somebody else can have the keys; has_states: whether its states are there
    """

    log_id: str
    part: Part
    found: Verified
    took: float
    sealed: Kept | None
    checkpoint_holds: bool
    erased: Mapping[str, Erasure]
    excused: int
    unsaid: Counter[str]
    is_bundle: bool
    has_states: bool

    @property
    def events(self) -> int:
        """How many events were read."""
        return sum(of.events for of in self.found.counted.values())

    @property
    def under_checkpoint(self) -> int:
        """Of how many records of this log the checkpoint speaks."""
        return self.sealed.checkpoint.records if self.sealed and self.sealed.checkpoint.log == self.log_id else 0


class Verdict(NamedTuple):
    """Whether a history verifies, and in words. verifies: None if that cannot be said; events: how many were read.

    whole: whether all of the history was looked at
    under_checkpoint, checkpoint_holds: of how many records one speaks, and whether they stand there still; 0 and None
        if none is given
    unexplained: the cases whose key is destroyed, and the log does not say that they were erased
    """

    verifies: bool | None
    says: str
    events: int
    whole: bool
    under_checkpoint: int
    checkpoint_holds: bool | None
    unexplained: Sequence[str] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be seen to: nothing was found, in something."""
        return self.verifies is not False and self.events + self.under_checkpoint > 0


def judged(seen: Seen) -> Verdict:
    """Judge a history by what was seen of it."""
    found, events = seen.found, seen.events
    sealed = sum(of.sealed for of in found.counted.values())
    verifies: bool | None
    if total := found.findings.counts.total():
        verifies, says = False, f"{counted(total, 'finding')}: {kinds_of(found.findings.counts)}."
    elif not events and seen.under_checkpoint:
        verifies, says = None, "What was sealed stands there. Beside that there was nothing to verify."
    elif not events:
        verifies, says = None, "There was nothing to verify: no event of a case was there, so nothing is claimed."
    elif sealed:
        why = "the keys of some are destroyed, though nothing says that they were erased"
        stayed = (
            f"{counted(sealed, 'event')} stayed sealed: {why if seen.unsaid else 'their keys are not here (--keys)'}."
        )
        verifies, says = None, f"What can be seen without keys is right; {stayed}"
    else:
        what = "The history verifies" if seen.part.is_whole else "What was looked at verifies"
        verifies, says = True, f"{what}: all that follows from its facts is what stands there."
    checkpoint_holds = None if seen.sealed is None else seen.checkpoint_holds
    return Verdict(
        verifies, says, events, seen.part.is_whole, seen.under_checkpoint, checkpoint_holds, sorted(seen.unsaid)
    )


def told(seen: Seen, verdict: Verdict) -> Iterator[str]:
    """Tell what was seen, and what that says of the history."""
    if seen.has_states and seen.part.until is not None:
        yield "States were not compared: they are those of now."
    yield from _read(seen)
    if seen.sealed is not None:
        yield seen.sealed.told(holds=seen.checkpoint_holds)
    yield verdict.says
    yield from _erased(seen.erased)
    if seen.excused:
        yield (
            f"Sealed, and not there, where a case was erased: {counted(seen.excused, 'conclusion')}. Where a backup is "
            "restored, nothing of such a case is concluded anew."
        )
    yield from map(told_unsaid, sorted(seen.unsaid)[:_ERASED_AT_MOST] if seen.is_bundle else ())
    yield from told_of(seen.part)


def _read(seen: Seen) -> Iterator[str]:
    """Tell how much was read, and how it was."""
    for topic, of in seen.found.counted.items():
        yield f"{topic}: {counted(of.events, 'event')}{shown(of)}"
    for states in seen.found.states:
        others = {
            "that have not read everything yet": states.behind,
            "that have read more since": states.moved,
        }
        more = "".join(f", {number:,} {what}" for what, number in others.items() if number)
        yield f"{states.stage}: {counted(states.equal, 'state')} as derived{more}; digest {states.digest}"
    yield f"{seen.events:,} events in {seen.took:,.1f} s, {seen.events / max(seen.took, 0.001):,.0f} a second."


def shown(of: Counted) -> str:
    """Tell what was read beside the usual."""
    others = {
        "once more": of.repeated,
        "of erased cases": of.erased.total(),
        "that stay sealed": of.sealed,
        "that cannot be read": of.unreadable,
        "yet to come": of.to_come,
    }
    return "".join(f", {number:,} {what}" for what, number in others.items() if number)


def _erased(found: Mapping[str, Erasure]) -> Iterator[str]:
    """Tell which cases were erased, the latest first."""
    latest = sorted(found.items(), key=lambda entry: entry[1].at, reverse=True)
    yield from (told_erased(case_id, erasure) for case_id, erasure in latest[:_ERASED_AT_MOST])
    if len(latest) > _ERASED_AT_MOST:
        yield f"{counted(len(latest) - _ERASED_AT_MOST, 'case')} more were erased before."
