"""`ontrack audit verify`: whether a history is whole and right."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from contracts.codec import canonical
from contracts.events.fields import instant
from contracts.topics import CASES, DEFINITIONS, partition_of
from services.auditor.bundling import unlike
from services.auditor.checkpoint import compare
from services.auditor.definitions import of_definitions, where_nothing_is_said
from services.auditor.domain.findings import Difference, Finding, Place, What
from services.auditor.domain.narrowing import Part
from services.auditor.replay import History
from services.auditor.seals import Held, of_seals
from services.auditor.verify import Verified, compared, partitions_of
from services.cli.audit.findings import COLUMNS, row_of, rows_of, show
from services.cli.audit.narrowing import Wish, narrowing_options, part_of
from services.cli.audit.seal import public_option, verifier_of
from services.cli.audit.sharing import Reading, processes_option, records_of, told_by
from services.cli.audit.verdict import Kept, Seen, Verdict, judged, told
from services.cli.home import FINDING, Failure, run
from services.cli.naming_cases import told_unfinished
from services.cli.output import Format, Row, counted, emit, emit_whole, format_option, progress, say
from services.cli.source import Source, Unpacked, audited, history_of, source_options
from services.home import Home
from services.runtime.erasures import erasures
from services.runtime.refusals import DefinitionUnfit, LogEmpty

_OTHER_KEY: Final = "the key that was given for this case is not its key; it stays sealed"
_UNSAID: Final = (
    "that the case was erased was expected on the log, since its key is destroyed: what is sealed under that was not "
    "verified. If it was erased, ontrack erase says so there; if not, restore the last backup that has its key"
)


@click.command("verify", short_help="Find what is missing, repeated or altered in a history.")
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
        reading, records = Reading.of(source, home, history, part), await records_of(history, part.cases)
        began = time.monotonic()
        with progress("Verifying", records) as advance:
            async with told_by(history, reading, processes, advance) as (again, derived):
                found = await compared(history, again, derived, part.cases, compares_states=part.until is None)
        seen = await _seen(home, history, part, found, sealed, began)
        rows = [row async for row in rows_of(found.findings.kept, home.keyring, reveal=reveal)]
    verdict = judged(seen)
    _print(rows, verdict, form)
    for line in told(seen, verdict):
        say(line)
    return verdict


async def _seen(home: Home, history: History, part: Part, found: Verified, sealed: Kept | None, began: float) -> Seen:
    """Look at what is beside the events that were told again: definitions, checkpoints, and what was erased."""
    add, is_bundle = found.findings.add_all, isinstance(home, Unpacked)
    add([each async for each in of_definitions(home.log)])
    add([each async for each in where_nothing_is_said(home.log)])
    if isinstance(home, Unpacked):
        add(await unlike(home.manifests, home.log))
        add(_of_cases("other-key", filter(part.has_case, home.misnamed), lambda _: _OTHER_KEY))
    lacking = [] if sealed is None else await compare(home.log, history.log_id, sealed.checkpoint)
    held, places = await _held(home, history, sealed), {each.place for each in lacking}
    add(lacking)
    add(each for each in held.findings if each.place not in places)
    took = time.monotonic() - began
    # Asked after the keys, and of the whole log: a case is said to be erased before its key goes.
    erased = await erasures(home.log, home.keyring, partitions_of(part.cases))
    unsaid, unfinished = found.unsaid(erased), await home.unfinished(erased)
    add(_of_cases("erasure-unfinished", filter(part.has_case, unfinished), told_unfinished))
    # Of a bundle somebody else may have the key, as of one that is there without any.
    add(() if is_bundle else _of_cases("key-destroyed", unsaid, lambda _: _UNSAID))
    return Seen(
        log_id=history.log_id,
        part=part,
        found=found,
        took=took,
        sealed=sealed,
        checkpoint_holds=not lacking,
        erased={each: how for each, how in erased.items() if each not in unfinished and part.has_case(each)},
        excused=held.erased,
        unsaid=unsaid,
        is_bundle=is_bundle,
        has_states=history.store is not None,
    )


async def _held(home: Home, history: History, sealed: Kept | None) -> Held:
    """See what the checkpoints on the log say of it."""
    behind = set() if history.store is None else {each.partition for each in await home.waiting(history.stages)}
    verifier = None if sealed is None else sealed.verifier
    return await of_seals(home.log, home.keyring, history.log_id, behind, verifier)


def _definitions(unfit: DefinitionUnfit, form: Format) -> Verdict:
    """Tell of a definition that is not what it says, or that cannot be read."""
    place = Place(DEFINITIONS.name, 0, unfit.offset, unfit.event)
    why = "without that definition nothing can be told again"
    if unfit.found is None:
        return _only(row_of(Finding("unreadable", place, str(unfit))), why, form)
    expected = None if unfit.expected is None else canonical(unfit.expected)
    differing = [Difference("data.ref", expected, canonical(unfit.found))]
    return _only(row_of(Finding("definition-altered", place, str(unfit)), differing), why, form)


def _of_cases(what: What, cases: Iterable[str], says: Callable[[str], str]) -> Iterator[Finding]:
    """Tell of cases, each as a whole. says: what is told of one."""
    for case_id in sorted(cases):
        yield Finding(what, Place(CASES.name, partition_of(case_id), case=case_id), says(case_id))


def _emptied(sealed: Kept, empty: LogEmpty, form: Format) -> Verdict:
    """Tell of a log on which nothing is left of what was sealed."""
    of = sealed.checkpoint
    stood = f"{counted(of.records, 'record')} of the log {of.log} stood there when it was sealed at {instant(of.at)}"
    row = row_of(Finding("checkpoint", Place(DEFINITIONS.name, 0), f"{stood}, now there is none"))
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


def _print(rows: list[Row], verdict: Verdict, form: Format) -> None:
    match form:
        case "table":
            show(rows)
        case "json":
            emit_whole({**verdict._asdict(), "findings": rows})
        case "ndjson":
            emit([*rows, verdict._asdict()], COLUMNS, form)
        case "csv":
            emit(rows, COLUMNS, form)
