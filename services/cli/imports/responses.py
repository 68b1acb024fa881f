"""`ontrack import` of a file of responses: read, checked whole against a home, and only then recorded."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from zoneinfo import ZoneInfo

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.definitions.definition import Definition, id_of
from contracts.definitions.files import DefinitionFaults, load_directory
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from services.cli.home import FINDING, Failure, named_or_file
from services.cli.imports.left_out import write_left_out
from services.cli.interruption import heed
from services.cli.output import counted, progress, say
from services.cli.place import Place, Region, opened, settled
from services.cli.private import require_open
from services.cli.zone import clinic_zone
from services.embedded import EmbeddedHome, holds_database, require_none_lost
from services.home import Home
from services.ingest.dates import Calendar
from services.ingest.importer import FAULTS_LISTED, Chunk, Enrolment, Importer, Tally, fits
from services.ingest.reading import Reading, read_responses
from services.ingest.table import RowFault, Wide


@dataclass(frozen=True, slots=True)
class Options:
    """How responses are taken.

    clinic: whose the case numbers are; zone: of times that do not say theirs
    group, protocol, policy: of cases that are not known yet; protocol: None if such are refused
    own: a directory with the clinic's own definitions; wide: how a file is read that has one row a case
    lines: where rows that are left out go; None if they are refused; dry_run: only check
    """

    clinic: str
    zone: ZoneInfo
    group: str | None
    protocol: str | None
    policy: str
    own: Path | None
    wide: Wide | None
    lines: Path | None
    dry_run: bool


async def import_responses(stream: IO[bytes], place: Place, options: Options) -> None:
    """Take the responses of a file, all of them or none. Raises Failure, and SystemExit if some were left out."""
    new = place if isinstance(place, Path) and not holds_database(place) else None
    if new is not None:
        require_none_lost(new)
    if options.lines is not None and not options.dry_run:
        require_open(options.lines)
    with ExitStack() as temporary:
        # What is refused, or only tried, founds no home.
        check = place if new is None else Path(temporary.enter_context(TemporaryDirectory(prefix="ontrack-check-")))
        async with await _founded(check) as home:
            with progress("Catching up", None) as advance:
                await home.catch_up(advance)
            checked = await _checked(home, stream, options)
            if options.dry_run:
                _tell(checked.tally, checked.faults, checked, "would be ")
            elif new is None:
                await _record(home, checked, options)
    if new is not None and not options.dry_run:
        async with await _founded(new) as home:
            await home.catch_up()
            await _record(home, checked, options)


async def _founded(place: Place) -> Home:
    """Open a home for writing; a directory that holds none gets one, a region was provisioned."""
    return (
        await opened(place, write=True)
        if isinstance(place, Region)
        else await EmbeddedHome.found(place, zone=clinic_zone())
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file of which everything that is left can be recorded, by these definitions.

    lines: where those go that are left out; tally: what would come of it; faults: of the lines that were left out
    """

    reading: Reading
    lines: Path | None
    definitions: Catalogue
    instruments: Mapping[str, Sequence[str]]
    enrolment: Enrolment | None
    tally: Tally
    faults: list[RowFault]


async def _checked(home: Home, stream: IO[bytes], options: Options) -> _Checked:
    """Read a file and check all of it, against the home too. Raises Failure."""
    enrolment, unknown = _enrolment(home, options)
    instruments = defaultdict[str, list[str]](list)
    for ref, model in home.definitions.of_kind(Instrument):
        instruments[model.id].append(ref)
    models = {identity: home.definitions.instrument(refs[-1]) for identity, refs in instruments.items()}
    with progress("Reading", None) as advance:
        calendar = Calendar(options.zone, home.clock())
        leaves_out = options.lines is not None
        reading = read_responses(stream, models, calendar, wide=options.wide, leaves_out=leaves_out, progress=advance)
    if unknown:
        _list(reading.faults)
        raise Failure("\n".join(unknown))
    if reading.cut:
        _refuse(reading.faults, "Mend the file and import it again.")
    if reading.spool.count == 0 and not reading.faults:
        _refuse([RowFault(2, "the file", "rows were expected below the header")], "Mend the file and import it again.")
    importer = Importer(home.intake, home.people, instruments, clinic=options.clinic, enrolment=enrolment)
    with progress("Checking", reading.spool.count) as advance:
        tally = await importer.check(reading.spool, advance)
    faults = sorted([*reading.faults, *tally.faults], key=lambda fault: fault.line)
    if faults and options.lines is None:
        _refuse(faults, "Mend the file, or leave such rows out with --skip-invalid.")
    for fault in tally.faults:
        reading.spool.leave_out(fault.line)
    if tally.faults and options.dry_run:
        # What is told would come of what is left.
        tally = await importer.check(reading.spool)
    if enrolment is not None and tally.enrolled:
        _require_primary(home, enrolment.policy, reading.spool.instruments())
    return _Checked(reading, options.lines, home.definitions, instruments, enrolment, tally, faults)


async def _record(home: Home, checked: _Checked, options: Options) -> None:
    """Record a file that was checked, but for the lines that are left out: these are written to their file first."""
    if checked.lines is not None:
        await write_left_out(home, checked.lines, checked.reading)
    await home.publish(checked.definitions)
    importer = Importer(
        home.intake, home.people, checked.instruments, clinic=options.clinic, enrolment=checked.enrolment
    )
    with progress("Importing", checked.reading.spool.count) as advance:
        done = await importer.record(checked.reading.spool, _after_each(home, advance))
    await settled(home)
    for case_id, reason in {halted.case_id: halted.reason for halted in await home.halted()}.items():
        say(f"The case {case_id} waits: {reason}. It goes on when the cause is gone.")
    _tell(done, [*checked.faults, *done.faults], checked, "")


def _enrolment(home: Home, options: Options) -> tuple[Enrolment | None, list[str]]:
    """Find the protocol and the policy of new cases; or tell what is wrong with their names, beside faults of the file.

    What is not on the log yet is known here, and published later.
    """
    for entry in [] if options.own is None else load_directory(options.own, known=home.definitions):
        home.definitions.add(entry)
    if options.protocol is None:
        return None, []
    wrong: list[str] = []
    protocol = _known(Protocol, options.protocol, home, wrong)
    policy = _known(Policy, options.policy, home, wrong)
    if protocol is None or policy is None:
        return None, wrong
    return Enrolment(protocol, policy, options.group), []


def _known(kind: type[Definition], name: str, home: Home, wrong: list[str]) -> Entry | None:
    try:
        entry = named_or_file(kind, name, home.definitions)
    except Failure as failure:
        wrong.append(failure.message)
    except DefinitionFaults as faulty:
        wrong.extend(str(fault) for fault in faulty.faults)
    else:
        home.definitions.add(entry)
        return entry
    return None


def _after_each(home: Home, advance: Callable[[int], None]) -> Callable[[Chunk], Awaitable[None]]:
    async def recorded(chunk: Chunk) -> None:
        await home.catch_up(lambda _: heed())
        advance(chunk.responses)

    return recorded


def _require_primary(home: Home, policy: Entry, instruments: set[str]) -> None:
    """Refuse a policy that could never judge anything that is taken."""
    model = policy.model
    if not isinstance(model, Policy) or not instruments:
        return
    known = home.definitions
    if fits(model, instruments, known):
        return
    primary, _, _ = model.primary.instrument.partition("#")
    name, newest = id_of(primary), known.named(Instrument, id_of(primary))
    if name in instruments and newest is not None:
        name, found = primary, f"{newest.ref.partition('#')[0]}, whose scores are not comparable"
    else:
        found = ", ".join(sorted(instruments))
    fitting = [policy.id for _, policy in known.of_kind(Policy) if fits(policy, instruments, known)]
    which = (
        f"policies that fit: {', '.join(fitting)}" if fitting else "no known policy fits; write one and name its file"
    )
    raise Failure(f"--policy {model.id} judges {name}, and the file has only {found}; {which}")


def _refuse(faults: list[RowFault], way_out: str) -> None:
    """List what is wrong and what can be done, and take nothing."""
    _list(faults)
    more = f" (the first {FAULTS_LISTED} are listed)" if len(faults) > FAULTS_LISTED else ""
    count = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults"
    raise Failure(f"{count}{more}; nothing was taken. {way_out}", FINDING)


def _list(faults: list[RowFault]) -> None:
    for fault in faults[:FAULTS_LISTED]:
        say(str(fault))


def _tell(tally: Tally, faults: list[RowFault], checked: _Checked, would: str) -> None:
    lines = counted(checked.reading.spool.count_left_out(), "line")
    left_out = f", {lines} {would}left out" if checked.lines is not None else ""
    say(
        f"{counted(tally.recorded, 'response')} {would}recorded, {tally.known:,} were known already, "
        f"{tally.enrolled:,} of {tally.cases:,} cases {would}enrolled{left_out}."
    )
    _list(faults)
    if faults:
        raise SystemExit(FINDING)
