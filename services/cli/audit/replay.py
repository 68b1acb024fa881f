"""`ontrack audit replay`: what every stage knows, made anew from the log, compared, and put in place."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from contracts.topics import DEFINITIONS
from services.auditor.counted import unsaid
from services.auditor.domain.findings import Findings
from services.auditor.domain.narrowing import Part
from services.auditor.fold import Keys
from services.auditor.fresh import Overtaken, PlaceTaken, Purpose, end, leave, require_room
from services.auditor.rebuilding import Rebuilt, begin, finished, put_in_place, rebuilt
from services.auditor.replay import Contradicted, History
from services.auditor.states import Comparison, Derived, Standing
from services.auditor.verify import partitions_of
from services.cli.audit.narrowing import Wish, narrowing_options, part_of, told_of
from services.cli.audit.refusals import Beside, contradicted, cut_off, erased_of, lacking, unexplained, untold
from services.cli.audit.sharing import (
    Reading,
    compared_anew,
    made_anew,
    processes_option,
    records_of,
    states_in,
)
from services.cli.audit.verdict import shown
from services.cli.home import FINDING, Failure, run
from services.cli.output import Format, Row, counted, emit, format_option, progress, say
from services.cli.place import Place, opened
from services.cli.processes import Progress
from services.cli.scratch import scratch
from services.cli.shelf import shelf
from services.cli.source import Exported, Source, audited, history_of, source_options
from services.home import Home
from services.runtime.database import Database
from services.runtime.log.sqlite import SqliteLog
from services.runtime.stage import Stage
from services.runtime.store.port import FRESH, StatesLost, StatesReplaced, Store
from services.runtime.store.sqlite import SqliteStore

COLUMNS: Final = ("stage", "cases", "digest", "equal", "differ", "behind", "ahead", "now")
_AS_IT_WAS: Final = "as it was"
_GONE: Final = "gone"
_SHUT: Final = "being replaced"
"""By somebody else just now, or by one who was killed at that."""

_Make = Callable[[Progress], Coroutine[Any, Any, Rebuilt]]


@click.command("replay", short_help="Make all that the stages know anew, and compare it.")
@source_options
@click.option(
    "--into",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what is made anew in this file: a replay that was killed goes on there, one that has ended does not.",
)
@narrowing_options
@click.option("--swap", is_flag=True, help="Put it in the place of what the stages know now.")
@processes_option
@format_option
def replay(source: Source, wish: Wish, file: Path | None, swap: bool, processes: int, form: Format) -> None:
    """Make all that the stages know anew from the log, in a fresh place, and compare it with what they know now.

    With --swap it takes its place, which mends a database that was lost or damaged; whatever follows from the facts and
    is not on the log is put there, once nothing is in the way. In a region services may run meanwhile, and facts may
    come; in a directory end ontrack up before, which writes it alone. A replay with --swap that was killed goes on
    where it was, by the same command; of two at once the later one does. Where conclusions stand on the log that are
    not, to the byte, what follows from its facts, it is the log that was damaged, and nothing is put in place; nor is
    it where the stages know what the log does not tell, as where its end was cut off or the key of a case was taken
    away.

    Without --swap nothing is changed, and the exit code is 1 if something differs, or follows and does not stand there.
    What the stages know is always compared to the byte; conclusions on the log without --swap or --into by their place
    and type alone, which is faster. Of a part of the history, states of other cases are not looked at; with --until no
    state is compared, since what the stages know is that of now. What is told is the same for any number of processes.

    Example: ontrack audit replay --data DIR
    """
    if swap and (file is not None or isinstance(source, Exported)):
        raise Failure(
            "--swap: means nothing for a bundle, nor with --into; name the data directory or the region alone"
        )
    if not wish.is_whole and (swap or file is not None):
        raise Failure("--case, --group, --until: with --swap or --into, all that the stages know is made anew")
    if processes > 1 and (file is not None or (swap and isinstance(source, Path))):
        raise Failure("--processes: a file has one writer, so leave it out with --into, and with --swap of a directory")
    if swap and not isinstance(source, Exported):
        emit(run(_swapped(source, processes)), COLUMNS, form)
        return
    rows, why_not = run(_compared(source, wish, file, processes))
    emit(rows, COLUMNS, form)
    if why_not is not None:
        say(why_not)
        raise SystemExit(FINDING)
    differ = sum(number for row in rows if isinstance(number := row["differ"], int))
    if differ:
        say(f"{counted(differ, 'state')} not as the log tells: ontrack audit verify says which, and --swap mends it.")
        raise SystemExit(FINDING)


async def _compared(source: Source, wish: Wish, file: Path | None, processes: int) -> tuple[list[Row], str | None]:
    """Make it anew in a place of its own, and compare; give why it may not be put in place, too."""
    async with await audited(source, knows_cases=wish.names_cases) as home:
        part = await part_of(home, wish)
        history = await history_of(source, home, part)
        reading = Reading.of(source, home, history, part)
        made = _in_file(home, history, reading, file)
        if processes > 1:
            made = _in_files(home, history, reading, processes)
        async with made as (told, fresh):
            if file is None:
                say("Of conclusions on the log only place and type were compared: ontrack audit verify compares bytes.")
            if part.until is not None and history.store is not None:
                history = replace(history, store=None)
                say("Nothing is compared: what the stages know is that of now.")
            for line in told_of(part):
                say(line)
            beside = [await _beside(history, fresh, told, stage, part.cases) for stage in history.stages]
        why_not = None
        if told.contradictions:
            why_not = contradicted(told.contradictions)
        elif told.missing:
            why_not = lacking(told.missing)
        elif found := await cut_off(history, partitions_of(part.cases)) + await unexplained(home, beside):
            why_not = untold(found)
        return [each.row for each in beside], why_not


@asynccontextmanager
async def _in_file(
    home: Home, history: History, reading: Reading, file: Path | None
) -> AsyncIterator[tuple[Rebuilt, Derived]]:
    """Make it anew in a file; that of --into is not gone on with when all was told."""
    async with _fresh(file) as fresh:
        if file is not None:
            await _require_room(history, fresh, file)
        purpose: Purpose = "compare" if file is None else "keep"
        making = partial(_alone, history, fresh, reading, purpose)
        yield await _rebuilt(home, history, reading, making), fresh
        if file is not None:
            await end(history, fresh)


@asynccontextmanager
async def _in_files(
    home: Home, history: History, reading: Reading, processes: int
) -> AsyncIterator[tuple[Rebuilt, Derived]]:
    """Let several processes make it anew, in a file each."""
    with scratch("ontrack-audit-") as folder:
        told = await _rebuilt(home, history, reading, partial(compared_anew, reading, folder, processes))
        with states_in(folder) as fresh:
            yield told, fresh


async def _require_room(history: History, kept: Store, file: Path) -> None:
    """Make sure that a file is one of its own, and free. Raises Failure."""
    async for _ in kept.cases(history.stages[0].name):
        raise Failure(f"--into: {file} has what the stages of a home know, though no log: name a file of its own")
    try:
        await require_room(history, kept)
    except PlaceTaken as taken:
        raise Failure(f"--into: {file} has {taken}: name a file that is not there yet") from None


async def _swapped(place: Place, processes: int) -> list[Row]:
    """Make it anew in the store, compare, and put it in place."""
    async with await opened(place, write=True, takes_up=False) as home:
        history = await history_of(place, home)
        reading = Reading.of(place, home, history, Part())
        with_others = partial(_with_others, history, home.store, reading, processes)
        making = partial(_alone, history, home.store, reading) if processes == 1 else with_others
        # Before anything else: behind a log of which the end was cut off, what follows would be in the way.
        if cut := await cut_off(history):
            raise Failure(untold(cut), FINDING)
        try:
            told = await _rebuilt(home, history, reading, partial(making, "prepare"))
            beside = [await _beside(history, home.store, told, stage) for stage in history.stages]
            if found := told.contradictions or await unexplained(home, beside):
                await leave(history, home.store)
                raise Failure(contradicted(found) if told.contradictions else untold(found), FINDING)
            if told.missing:
                say(f"Put on the log what follows from its facts and was not there: {counted(told.missing, 'event')}.")
                told = await _rebuilt(home, history, reading, partial(making, "replace"), tells=False)
                beside = [await _beside(history, home.store, told, stage) for stage in history.stages]
            is_in_place = await put_in_place(history, home.store)
        except (StatesLost, Overtaken):
            is_in_place = False
        except Contradicted as contradiction:
            await leave(history, home.store)
            raise Failure(contradicted(contradiction.counts), FINDING) from None
        if not is_in_place:
            raise Failure(
                "another replay goes on with what this one was making as well, or has put it in place. When that has "
                "ended, ontrack audit verify says whether all is right, and the same command mends what is not.",
                FINDING,
            )
        return [{**each.row, "now": "replaced"} for each in beside]


async def _alone(history: History, fresh: Store, reading: Reading, purpose: Purpose, advance: Progress) -> Rebuilt:
    async with shelf() as empty:
        every = partitions_of(reading.part.cases)
        return await rebuilt(history, fresh, empty, advance, purpose=purpose, partitions=every)


async def _with_others(
    history: History, fresh: Store, reading: Reading, processes: int, purpose: Purpose, advance: Progress
) -> Rebuilt:
    """Take all of it, and let several processes make it anew."""
    begun = await begin(history, fresh, purpose)
    return await finished(history, fresh, begun, await made_anew(reading, begun, processes, advance))


async def _rebuilt(home: Home, history: History, reading: Reading, make: _Make, *, tells: bool = True) -> Rebuilt:
    """Have it made anew, and tell how much was read for that, and how fast."""
    began = time.monotonic()
    with progress("Replaying", await records_of(history, reading.part.cases)) as advance:
        told = await make(advance)
    took = time.monotonic() - began
    unsaid(told.counted, await erased_of(home, {case_id for of in told.counted.values() for case_id in of.erased}))
    if not tells:
        return told
    if told.there:
        say(f"{counted(told.there, 'partition')} had been made anew by an earlier try.")
    for topic, of in told.counted.items():
        say(f"{topic}: {counted(of.events, 'event')}{shown(of)}")
    events = sum(of.events for of in told.counted.values())
    say(f"{events:,} events in {took:,.1f} s, {events / max(took, 0.001):,.0f} a second.")
    return told


@asynccontextmanager
async def _fresh(file: Path | None) -> AsyncIterator[Store]:
    """Give the place for what is made anew: a file that is kept, or one that is not. Raises Failure."""
    if file is None:
        async with shelf() as store:
            yield store
        return
    database = Database.create(file)
    try:
        if await SqliteLog(database.connection).end(DEFINITIONS, 0):
            raise Failure(f"--into: {file} holds a log, so it is the database of a home: name a file of its own")
        yield SqliteStore(database.connection)
    finally:
        database.close()


async def _beside(
    history: History, fresh: Derived, told: Rebuilt, stage: Stage[Any], cases: Collection[str] | None = None
) -> Beside:
    """Compare what was made anew of a stage with what it knows. cases: only of these, if any are named."""
    findings, keys = Findings(), Keys(history.keyring, are_all_here=history.has_all_keys)
    kept_as, now = FRESH + stage.name, _AS_IT_WAS
    standing = None if history.store is None else Standing(history.store, history.log, history.log_id, told.ends)
    try:
        found = await Comparison(stage, fresh, kept_as, standing, keys, findings, cases).made()
    except (StatesLost, StatesReplaced) as away:
        found = await Comparison(stage, fresh, kept_as, None, keys, findings, cases).made()
        now = _GONE if isinstance(away, StatesLost) else _SHUT
    differ = findings.counts.total() if now == _AS_IT_WAS else found.cases
    row: Row = {
        "stage": found.stage,
        "cases": found.cases,
        "digest": found.digest,
        "equal": None if standing is None else found.equal,
        "differ": None if standing is None else differ,
        "behind": None if standing is None else found.behind,
        "ahead": None if standing is None else found.moved,
        "now": None if standing is None else now,
    }
    return Beside(row, found.ahead, found.underivable)
