"""`ontrack audit verify`: whether a history is whole and right."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click

from contracts.codec import CaseKey, canonical
from contracts.events.fields import instant
from contracts.topics import CASES, DEFINITIONS, partition_of
from services.auditor.bundling import unlike
from services.auditor.checkpoint import Checkpoint, compare
from services.auditor.counted import Counted
from services.auditor.definitions import of_definitions, where_nothing_is_said
from services.auditor.domain.findings import Difference, Finding, Place, What
from services.auditor.domain.narrowing import Part
from services.auditor.fold import Keys
from services.auditor.note import Verifier
from services.auditor.replay import History
from services.auditor.seals import of_seals
from services.auditor.verify import Verified, compared, partitions_of
from services.cli.audit.narrowing import Wish, narrowing_options, part_of, told_of
from services.cli.audit.seal import checkpoint_in, public_option, verifier_of
from services.cli.audit.sharing import Reading, processes_option, told_by
from services.cli.home import FINDING, Failure, run
from services.cli.naming_cases import told_erased, told_unfinished, told_unsaid
from services.cli.output import Format, Row, counted, emit, emit_whole, format_option, progress, say
from services.cli.screen import harmless, painted, size, wrapped
from services.cli.source import Source, Unpacked, audited, history_of, source_options
from services.home import Home
from services.runtime.erasures import Erasure, erasures
from services.runtime.refusals import DefinitionUnfit, LogEmpty

FIELDS_SHOWN: Final = 12
"""Fields of a finding that are named where people read it: a state that lacks weeks differs in hundreds."""

_ERASED_AT_MOST: Final = 10
_OTHER_KEY: Final = "the key that was given for this case is not its key; it stays sealed"
_UNSAID: Final = (
    "that the case was erased was expected on the log, since its key is destroyed: what is sealed under that was not "
    "verified. If it was erased, ontrack erase says so there; if not, restore the last backup that has its key"
)
COLUMNS: Final = ("finding", "topic", "stage", "partition", "offset", "event", "case", "says", "fields")


@click.command("verify")
@source_options
@narrowing_options
@click.option(
    "--checkpoint",
    "checkpoint_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A checkpoint that somebody has kept: what it sealed has to be there still. Needs --public-key.",
)
@public_option
@processes_option
@click.option("--reveal", is_flag=True, help="Show the values that differ, answers among them, and not their hashes.")
@format_option
def verify(
    source: Source,
    wish: Wish,
    checkpoint_file: Path | None,
    public: str | None,
    processes: int,
    reveal: bool,
    form: Format,
) -> None:
    """Tell the whole history again, and compare all that follows from it with what stands there, to the byte.

    Looked at are the form of every event, the definitions that it names, numbers without gaps, repetitions, causes,
    every conclusion, every state and report, dead letters, and whether the log has what the checkpoints on it speak of.
    Each finding names where it is, and the fields that differ, by their hashes. It changes nothing. The exit code is 1
    if there is a finding, and if nothing was there to be verified.

    As JSON it tells whether the history verifies, null if that cannot be said, whether a checkpoint that was given
    holds, and the findings; as NDJSON a finding a line, and the rest in the last one.

    Of a part of the history nothing is said of the rest. With --until states are not compared, since they are those of
    now. Checkpoints are always compared with the whole log. What is told is the same for any number of processes.

    Example: ontrack audit verify --data DIR
    """
    if public is not None and checkpoint_file is None:
        raise Failure("--public-key: a checkpoint was expected, which is signed with it: --checkpoint FILE")
    sealed = None if checkpoint_file is None else Kept.of(checkpoint_file, verifier_of(public))
    verdict = run(_verify(source, wish, sealed, processes, form, reveal=reveal))
    if not verdict.is_well:
        raise SystemExit(FINDING)


class Kept(NamedTuple):
    """A checkpoint that somebody has kept, and the key that has signed it."""

    checkpoint: Checkpoint
    verifier: Verifier

    @classmethod
    def of(cls, file: Path, verifier: Verifier) -> "Kept":
        """Read one. Raises Failure."""
        return cls(checkpoint_in(file, verifier), verifier)

    def records_of(self, log_id: str) -> int:
        """Count the records of a log that it speaks of."""
        return self.checkpoint.records if self.checkpoint.log == log_id else 0

    def told(self, *, holds: bool) -> str:
        """Tell whether the log is what was sealed."""
        of, by = self.checkpoint, f"The checkpoint of {instant(self.checkpoint.at)}, signed by {self.verifier.name},"
        spoken = f"{counted(of.records, 'record')} of the log {of.log}"
        if holds:
            return f"{by} holds: it speaks of {spoken}, and these stand there as they stood then."
        return f"{by} does not hold: it speaks of {spoken}."


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


async def _verify(
    source: Source, wish: Wish, sealed: Kept | None, processes: int, form: Format, *, reveal: bool
) -> Verdict:
    try:
        home = await audited(source, knows_cases=wish.names_cases)
    except DefinitionUnfit as unfit:
        return _definitions(unfit, form)
    except LogEmpty as lost:
        if sealed is None:
            raise
        return _emptied(sealed, lost, form)
    async with home:
        part = await part_of(home, wish)
        history = await history_of(source, home, part)
        began = time.monotonic()
        reading, records = Reading.of(source, home, history, part), await records_of(history, part.cases)
        with progress("Verifying", records) as advance:
            async with told_by(history, reading, processes, advance) as (again, derived):
                found = await compared(history, again, derived, part.cases, compares_states=part.until is None)
        found.findings.add_all([each async for each in of_definitions(home.log)])
        found.findings.add_all([each async for each in where_nothing_is_said(home.log)])
        bundle = home if isinstance(home, Unpacked) else None
        if bundle is not None:
            found.findings.add_all(await unlike(bundle.manifests, bundle.log))
            found.findings.add_all(_of_cases("other-key", filter(part.has_case, bundle.misnamed), lambda _: _OTHER_KEY))
        others = [] if sealed is None else await compare(home.log, history.log_id, sealed.checkpoint)
        found.findings.add_all(others)
        told = {each.place for each in others}
        behind = set() if history.store is None else {each.partition for each in await home.waiting(history.stages)}
        verifier = None if sealed is None else sealed.verifier
        held = await of_seals(home.log, home.keyring, history.log_id, behind, verifier)
        found.findings.add_all(each for each in held.findings if each.place not in told)
        took = time.monotonic() - began
        # Asked after the keys, and of the whole log: a case is said to be erased before its key goes.
        erased = await erasures(home.log, home.keyring, partitions_of(part.cases))
        unsaid, unfinished = found.unsaid(erased), await home.unfinished(erased)
        found.findings.add_all(_of_cases("erasure-unfinished", filter(part.has_case, unfinished), told_unfinished))
        # Of a bundle somebody else may have the key, as of one that is there without any.
        found.findings.add_all(() if bundle is not None else _of_cases("key-destroyed", unsaid, lambda _: _UNSAID))
        rows = [row async for row in _rows(found, home, reveal=reveal)]
    spoken = None if sealed is None else sealed.records_of(history.log_id)
    verdict = _verdict(found, part, spoken, unsaid, holds=not others)
    _print(rows, verdict, form)
    if history.store is not None and part.until is not None:
        say("States were not compared: they are those of now.")
    done = [each for each in erased if each not in unfinished]
    of_part = {each: erased[each] for each in done if part.has_case(each)}
    of_checkpoint = [] if sealed is None else [sealed.told(holds=not others)]
    summary = (*_summary(found, took, verdict), *of_checkpoint, verdict.says)
    sealed_for_ever = () if bundle is None else sorted(unsaid)[:_ERASED_AT_MOST]
    for line in (
        *summary,
        *_erased(of_part),
        *_excused(held.erased),
        *map(told_unsaid, sealed_for_ever),
        *told_of(part),
    ):
        say(line)
    return verdict


def _definitions(unfit: DefinitionUnfit, form: Format) -> Verdict:
    """Tell of a definition that is not what it says, or that cannot be read."""
    place = Place(DEFINITIONS.name, 0, unfit.offset, unfit.event)
    why = "without that definition nothing can be told again"
    if unfit.found is None:
        return _only(_row(Finding("unreadable", place, str(unfit)), []), why, form)
    expected = None if unfit.expected is None else canonical(unfit.expected)
    differing = [Difference("data.ref", expected, canonical(unfit.found))]
    return _only(_row(Finding("definition-altered", place, str(unfit)), differing), why, form)


def _of_cases(what: What, cases: Iterable[str], says: Callable[[str], str]) -> Iterator[Finding]:
    """Tell of cases, each as a whole. says: what is told of one."""
    for case_id in sorted(cases):
        yield Finding(what, Place(CASES.name, partition_of(case_id), case=case_id), says(case_id))


def _emptied(sealed: Kept, empty: LogEmpty, form: Format) -> Verdict:
    """Tell of a log on which nothing is left of what was sealed."""
    of = sealed.checkpoint
    stood = f"{counted(of.records, 'record')} of the log {of.log} stood there when it was sealed at {instant(of.at)}"
    row = _row(Finding("checkpoint", Place(DEFINITIONS.name, 0), f"{stood}, now there is none"), [])
    say(sealed.told(holds=False))
    return _only(row, str(empty), form, checkpoint_holds=False)


def _only(row: Row, why: str, form: Format, *, checkpoint_holds: bool | None = None) -> Verdict:
    """Tell of a finding after which nothing can be told again."""
    says = f"1 finding: 1 {row['finding']}. Nothing else was verified: {why}."
    verdict = Verdict(
        verifies=False, says=says, events=0, whole=False, under_checkpoint=0, checkpoint_holds=checkpoint_holds
    )
    _print([row], verdict, form)
    say(says)
    return verdict


async def records_of(history: History, cases: Collection[str] | None = None) -> int:
    """Count the records that there are to be read. cases: only in their partitions, if any are named."""
    topics = [CASES, *(topic for topic, _ in history.derived)]
    return sum([await history.log.end(topic, number) for topic in topics for number in partitions_of(cases)])


def _print(rows: list[Row], verdict: Verdict, form: Format) -> None:
    match form:
        case "table":
            for first, *alike in _by_kind(rows):
                _show(first, len(alike))
        case "json":
            emit_whole({**verdict._asdict(), "findings": rows})
        case "ndjson":
            emit([*rows, verdict._asdict()], COLUMNS, form)
        case "csv":
            emit(rows, COLUMNS, form)


def _erased(found: Mapping[str, Erasure]) -> Iterator[str]:
    """Tell which cases were erased, the latest first."""
    latest = sorted(found.items(), key=lambda entry: entry[1].at, reverse=True)
    yield from (told_erased(case_id, erasure) for case_id, erasure in latest[:_ERASED_AT_MOST])
    if len(latest) > _ERASED_AT_MOST:
        yield f"{counted(len(latest) - _ERASED_AT_MOST, 'case')} more were erased before."


def _excused(number: int) -> Iterator[str]:
    """Tell how many conclusions nobody misses though they were sealed."""
    if number:
        yield (
            f"Sealed, and not there, where a case was erased: {counted(number, 'conclusion')}. Where a backup is "
            "restored, nothing of such a case is concluded anew."
        )


async def _rows(found: Verified, home: Home, *, reveal: bool) -> AsyncIterator[Row]:
    keys = Keys(home.keyring)
    for finding in found.findings.kept:
        case_id = finding.place.case
        key = None if case_id is None else (await keys.of([case_id])).get(case_id)
        shown = [
            each if reveal else each.hashed(key if isinstance(key, CaseKey) else None) for each in finding.differences
        ]
        yield _row(finding, shown)


def _row(finding: Finding, differing: list[Difference]) -> Row:
    place = finding.place
    return {
        "finding": finding.what,
        "topic": place.topic,
        "stage": place.stage,
        "partition": place.partition,
        "offset": place.offset,
        "event": place.event,
        "case": place.case,
        "says": finding.says,
        "fields": [
            {"field": each.path, "expected": _text(each.expected), "found": _text(each.found)} for each in differing
        ],
    }


def _by_kind(rows: list[Row]) -> Collection[list[Row]]:
    """Put together what was found alike of a case: where one event is another one, all behind it can be."""
    found: dict[object, list[Row]] = {}
    for number, row in enumerate(rows):
        kind = number if row["case"] is None else (row["finding"], row["topic"], row["stage"], row["case"])
        found.setdefault(kind, []).append(row)
    return found.values()


def _show(row: Row, alike: int) -> None:
    """Show a finding: what it is and where, the fields that differ, and how many are like it behind it."""
    names = ("topic", "stage", "partition", "offset", "event", "case")
    where = ", ".join(f"{name} {row[name]}" for name in names if row[name] is not None)
    width = size()[0]
    for line in wrapped(harmless(str(row["says"])), first=f"{row['finding']}: ", rest="  ", width=width):
        click.echo(painted(line, bold=True))
    for line in wrapped(harmless(where), first="  ", width=width):
        click.echo(line)
    fields = row["fields"] if isinstance(row["fields"], list) else []
    for each in fields[:FIELDS_SHOWN]:
        told = (
            f"{each['field']}: {each['expected'] or 'nothing'} was expected, {each['found'] or 'nothing'} stands there"
        )
        for line in wrapped(told, first="    ", rest="      ", width=width):
            click.echo(line)
    if len(fields) > FIELDS_SHOWN:
        click.echo(f"    and {len(fields) - FIELDS_SHOWN:,} more fields; --format json names all of them")
    if alike:
        click.echo(f"  and {alike:,} more {row['finding']} of this case behind it; --format json names them")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def kinds_of(found: Counter[What]) -> str:
    """Tell how many findings there are of each kind."""
    return ", ".join(f"{number:,} {what}" for what, number in sorted(found.items()))


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


def _summary(found: Verified, took: float, verdict: Verdict) -> Iterator[str]:
    """Tell how much was read, and how it was."""
    for topic, of in found.counted.items():
        yield f"{topic}: {counted(of.events, 'event')}{shown(of)}"
    for states in found.states:
        others = {
            "that have not read everything yet": states.behind,
            "that have read more since": states.moved,
        }
        more = "".join(f", {number:,} {what}" for what, number in others.items() if number)
        yield f"{states.stage}: {counted(states.equal, 'state')} as derived{more}; digest {states.digest}"
    yield f"{verdict.events:,} events in {took:,.1f} s, {verdict.events / max(took, 0.001):,.0f} a second."


def _verdict(found: Verified, part: Part, spoken: int | None, unsaid: Counter[str], *, holds: bool) -> Verdict:
    """Judge. spoken: of how many records of this log a checkpoint speaks that was given, and `holds`."""
    events = sum(of.events for of in found.counted.values())
    sealed = sum(of.sealed for of in found.counted.values())
    if total := found.findings.counts.total():
        verifies, says = False, f"{counted(total, 'finding')}: {kinds_of(found.findings.counts)}."
    elif not events and spoken:
        verifies, says = None, "What was sealed stands there. Beside that there was nothing to verify."
    elif not events:
        verifies, says = None, "There was nothing to verify: no event of a case was there, so nothing is claimed."
    elif sealed:
        why = "the keys of some are destroyed, though nothing says that they were erased"
        stayed = f"{counted(sealed, 'event')} stayed sealed: {why if unsaid else 'their keys are not here (--keys)'}."
        verifies, says = None, f"What can be seen without keys is right; {stayed}"
    else:
        what = "The history verifies" if part.is_whole else "What was looked at verifies"
        verifies, says = True, f"{what}: all that follows from its facts is what stands there."
    checkpoint_holds = None if spoken is None else holds
    return Verdict(verifies, says, events, part.is_whole, spoken or 0, checkpoint_holds, sorted(unsaid))
