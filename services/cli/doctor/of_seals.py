"""What is checked of checkpoints: that they can be signed and kept, and that they are."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contracts.topics import CASES, SEALS
from services.auditor.checkpoint import RESTORED_OR_CHANGED, Checkpoint, last_said, last_signed
from services.auditor.note import NoteInvalid, Verifier
from services.auditor.sealing import FETCH_AGAIN, CheckpointUnusable, Kept, KeyUnusable, kept_in, newest_in, signer_in
from services.auditor.seals import short_of, strange_lately
from services.cli.doctor.checked import Checked, ill, recorded, unknown, well
from services.cli.home import Failure
from services.cli.output import counted
from services.cli.screen import exactly
from services.cli.sealing import DIRECTORY, KEY, TOGETHER, Sealing, missing
from services.home import Home

_ROUNDS: Final = 3
"""Where a fact stands for so many intervals under no checkpoint, nobody signs any more."""

_EXAMPLES: Final = 3

_STRANGE: Final = "ask who has written that, or changed it: ontrack audit verify names each such record"
_SIGN: Final = (
    "see whether ontrack up runs with --seal-key and --checkpoints, in a region ontrack serve auditor, and what it "
    "says at /ready"
)


def of_sealing(sealing: Sealing) -> Iterator[Checked]:
    """Look at the key that signs and at the directory of checkpoints, where they are named."""
    if sealing.is_half:
        what, other = ("seal key", KEY) if sealing.key is None else ("checkpoints", DIRECTORY)
        yield ill(what, TOGETHER, f"set {other} too: what signs does not start with one of them")
    if sealing.key is not None:
        yield _key(sealing.key)
    if sealing.kept is not None:
        yield _directory(sealing.kept)


def _key(file: Path) -> Checked:
    try:
        signer = signer_in(file)
    except KeyUnusable as unusable:
        do = "mend that, or put its copy there: nothing is signed without it, and what signs does not start"
        return ill("seal key", str(unusable), do)
    return well("seal key", f"it signs as {signer.name}, and only its owner may read it")


def _directory(kept: Path) -> Checked:
    if not kept.is_dir():
        return ill("checkpoints", *missing(kept))
    if not os.access(kept, os.R_OK | os.W_OK | os.X_OK):
        do = "let whoever runs ontrack up write there; for a unit of systemd, name it in ReadWritePaths too"
        return ill("checkpoints", f"this user may not write {kept}", do)
    return well("checkpoints", f"{counted(len(list(kept.glob('*.txt'))), 'file')} in {kept}")


async def seals_are_signed(home: Home, sealing: Sealing) -> Checked:
    """Check that what is recorded comes under a checkpoint, and that those that are kept are of this log."""
    try:
        every = sealing.every()
    except Failure as wrong:
        return ill("seals", str(wrong), "mend this setting: what signs does not start with it")
    verifier = _verifier(sealing)
    if strange := await strange_lately(home.log):
        says = f"{strange} of the last records of {SEALS.name} cannot be read as a checkpoint"
        return ill("seals", says, _STRANGE)
    # Before the log is asked: a checkpoint is there first.
    newest = None if sealing.kept is None else newest_in(sealing.kept)
    try:
        kept = None if newest is None else kept_in(newest, verifier)
    except CheckpointUnusable as unusable:
        return ill("seals", str(unusable), FETCH_AGAIN)
    try:
        last = await _last(home, verifier)
    except NoteInvalid as wrong:
        return ill("seals", str(wrong), RESTORED_OR_CHANGED)
    if newest is not None and kept is not None and (other := await _other_log(home, newest, kept, verifier, last)):
        return ill("seals", other, RESTORED_OR_CHANGED)
    if last is not None and (lacks := await _lacking(home, last, f"the last checkpoint on {SEALS.name}", verifier)):
        return ill("seals", lacks, RESTORED_OR_CHANGED)
    says = "no checkpoint was signed yet" if last is None else f"the last was signed at {exactly(last.at)}"
    sizes = {} if last is None else {line[:2]: line.size for line in last.lines}
    since = await _unsealed_since(home, sizes)
    is_late = since is not None and (datetime.now(UTC) - since) / _ROUNDS > every
    if is_late and since is not None and sealing.is_meant:
        return ill("seals", f"{says}, and what was recorded from {exactly(since)} on is under none", _SIGN)
    if last is None and not sealing.is_meant:
        return well("seals", "nobody signs checkpoints of this log; docs/auditor.md says what they are for")
    if is_late:
        return unknown("seals", f"{says}; whether that is long ago is known where {KEY} or {DIRECTORY} is set")
    return well("seals", f"{says}, and nothing waits for long to come under one")


def _verifier(sealing: Sealing) -> Verifier | None:
    """Give by what our checkpoints are known; None if there is no key that can be read."""
    try:
        return None if sealing.key is None else signer_in(sealing.key).verifier
    except KeyUnusable:
        return None


async def _last(home: Home, verifier: Verifier | None) -> Checkpoint | None:
    """Give the last checkpoint on the log. Raises NoteInvalid."""
    if verifier is not None:
        signed = await last_signed(home.log, verifier)
        return None if signed is None else signed.checkpoint
    said = await last_said(home.log)
    return None if said is None else Checkpoint.said_in(said.note)


async def _other_log(
    home: Home, file: Path, kept: Kept, verifier: Verifier | None, last: Checkpoint | None
) -> str | None:
    """Tell why the newest checkpoint that is kept is not one of this log, if it is not.

    kept: what it says, and whether it is of the key that signs here; last: the last on the log
    """
    said = kept.checkpoint
    if not kept.is_of_key:
        return f"{file}: a signature with the very key that signs here was expected"
    if said.log != home.log_id:
        return f"{file} is of the log {said.log}, and this is {home.log_id}"
    if lacks := await _lacking(home, said, str(file), verifier):
        return lacks
    if last is None or last.at < said.at:
        has = "there is none" if last is None else f"the last there was signed at {exactly(last.at)}"
        return f"{file} was signed on this log, and does not stand on it: {has}"
    return None


async def _lacking(home: Home, said: Checkpoint, where: str, verifier: Verifier | None) -> str | None:
    """Tell what the log lacks of what a checkpoint speaks of, if it lacks something.

    where: it stands; verifier: of the key that signs here: it signs nothing over a log that lacks anything, be it only
    conclusions about erased cases
    """
    sizes = {line[:2]: line.size for line in said.lines}
    behind = {place.partition for place in await home.waiting(home.stages)}
    short = await short_of(home.log, home.keyring, sizes, behind)
    lacking = short.lacking if verifier is None else {**short.lacking, **short.erased}
    told = [
        f"{topic} has {end:,} of {sizes[topic, each]:,} records in partition {each}"
        for (topic, each), end in sorted(lacking.items())
    ]
    more = f", and {len(told) - _EXAMPLES:,} more" if len(told) > _EXAMPLES else ""
    lacks = f"the log lacks what was sealed at {exactly(said.at)} ({where})"
    return f"{lacks}: {'; '.join(told[:_EXAMPLES])}{more}" if told else None


async def _unsealed_since(home: Home, sizes: Mapping[tuple[str, int], int]) -> datetime | None:
    """Tell since when a fact stands under no checkpoint: whatever else does follows from facts."""
    ends = await home.log.ends(CASES, range(CASES.partitions))
    sealed = {number: sizes.get((CASES.name, number), 0) for number in ends}
    firsts = [await recorded(home.log, number, sealed[number]) for number, end in ends.items() if end > sealed[number]]
    return min((each for each in firsts if each is not None), default=None)
