"""`ontrack import`: a file of responses, or an exported log."""

import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from contracts.definitions.catalogue import Catalogue, Entry
from contracts.definitions.definition import Definition, id_of
from contracts.definitions.files import DefinitionFaults, load_directory
from contracts.definitions.instrument import Instrument
from contracts.definitions.policy import Policy
from contracts.definitions.protocol import Protocol
from contracts.events.fields import is_name
from services.cli.copies import noted
from services.cli.home import FINDING, Failure, named_or_file, run
from services.cli.imports.bundle import import_bundle, import_bundle_into
from services.cli.imports.left_out import file_for, left_out
from services.cli.imports.log import Imported, import_log, import_log_into
from services.cli.interruption import heed
from services.cli.naming_cases import told_unsaid
from services.cli.output import counted, progress, say
from services.cli.place import Place, Region, data_option, opened, settled
from services.cli.zone import USUAL, VARIABLE, clinic_zone, zone_named
from services.embedded import EmbeddedHome, holds_database, require_none_lost
from services.home import CLINIC, Home
from services.ingest.dates import NOON, Calendar, day
from services.ingest.importer import FAULTS_LISTED, Chunk, Enrolment, Importer, Tally, fits
from services.ingest.reading import Skipped, leave_out, read_responses
from services.ingest.spool import Spool
from services.ingest.table import SESSION, RowFault, Wide

_OF_A_LOG: Final = ("source", "place", "keys", "dry_run")
_ARCHIVE: Final = b"PK\x03\x04"


@click.command("import")
@click.argument("source", type=click.Path(path_type=str))
@data_option
@click.option("--enrol", is_flag=True, help="Enrol the cases that are not known yet.")
@click.option("--clinic", default=CLINIC, show_default=True, help="The clinic that the case numbers belong to.")
@click.option("--group", default=None, help="The group of the cases that are enrolled.")
@click.option("--protocol", default="open-ended", show_default=True, help="Protocol of new cases: an id or a file.")
@click.option("--policy", default="gryesten-2023", show_default=True, help="Policy of new cases: an id or a file.")
@click.option(
    "--definitions", "own", type=click.Path(path_type=Path), help="A directory with the clinic's own definitions."
)
@click.option("--wide", "values", metavar="PATTERN", help="One row a case, in columns such as bdi_s{session}.")
@click.option("--instrument", help="The instrument of a wide file.")
@click.option("--dates", metavar="PATTERN", help="The columns with the dates of a wide file, such as date_s{session}.")
@click.option("--weekly-from", metavar="DATE", help="The date of session 0 of a wide file without dates.")
@click.option("--timezone", envvar=VARIABLE, default=USUAL, show_default=True, help="Of times that do not say theirs.")
@click.option("--dry-run", is_flag=True, help="Check everything, take nothing.")
@click.option("--skip-invalid", is_flag=True, help="Leave out rows with faults; they are written to a file.")
@click.option("--skipped", "skipped_file", type=click.Path(path_type=Path), help="Where rows that are left out go.")
@click.option("--keys", type=click.Path(path_type=Path), help="The case keys of an exported log that is sealed.")
def import_(
    source: str,
    place: Place,
    enrol: bool,
    clinic: str,
    group: str | None,
    protocol: str,
    policy: str,
    own: Path | None,
    values: str | None,
    instrument: str | None,
    dates: str | None,
    weekly_from: str | None,
    timezone: str,
    dry_run: bool,
    skip_invalid: bool,
    skipped_file: Path | None,
    keys: Path | None,
) -> None:
    """Take responses from a file, or an exported log.

    SOURCE is a CSV file (gzipped or not; - is standard input) with the columns case, session, answered_at,
    instrument, one for each item, and comment; or a directory that ontrack export wrote, or a file
    of ontrack audit export. Every row is checked before
    the first is taken, and what is wrong is listed by line. The same file twice changes nothing.

    Example: ontrack import answers.csv --enrol --data ./clinic
    """
    if source != "-" and Path(source).is_dir():
        _require_options_of_a_log()
        run(_import_log(Path(source), place, keys, dry_run=dry_run))
        return
    if source != "-" and _is_archive(Path(source)):
        _require_options_of_a_log()
        run(_import_bundle(Path(source), place, keys, dry_run=dry_run))
        return
    if keys is not None:
        raise Failure("--keys means nothing for a file of responses; it opens an exported log that is sealed")
    wide = None
    zone = zone_named(timezone)
    if values is not None:
        if instrument is None:
            raise Failure("--wide needs --instrument, the id of the instrument that the columns belong to")
        for option, pattern in (("--wide", values), ("--dates", dates)):
            if pattern is not None and pattern.count(SESSION) != 1:
                raise Failure(f"{option} {pattern}: a pattern with {SESSION} once was expected, such as bdi_s{SESSION}")
        wide = Wide(instrument, values, dates, _noon(weekly_from, zone))
        if dates is None and weekly_from is None:
            raise Failure("--wide needs --dates (columns with the dates) or --weekly-from (the date of session 0)")
    for option, name in (("--clinic", clinic), ("--group", group)):
        if name is not None and not is_name(name):
            raise Failure(f"{option}: a short name of letters a to z, digits and . _ : - was expected, without blanks")
    options = _Options(clinic, group, protocol if enrol else None, policy, own, dry_run=dry_run)
    with ExitStack() as open_files:
        stream = sys.stdin.buffer if source == "-" else open_files.enter_context(_readable(source))
        lines = file_for(source, skipped_file) if skip_invalid else None
        run(_import_responses(stream, place, options, zone, wide, lines))


def _is_archive(file: Path) -> bool:
    """Tell whether a file begins as a zip archive does, also one that was cut."""
    if not file.is_file():
        return False
    with _readable(str(file)) as stream:
        return stream.read(len(_ARCHIVE)) == _ARCHIVE


def _require_options_of_a_log() -> None:
    """Refuse options that were given and mean nothing for an exported log."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name not in (None, *_OF_A_LOG)
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise Failure(f"{', '.join(given)}: an exported log is imported with --data, --keys and --dry-run only")


class _Options:
    def __init__(
        self, clinic: str, group: str | None, protocol: str | None, policy: str, own: Path | None, *, dry_run: bool
    ) -> None:
        self.clinic = clinic
        self.group = group
        self.protocol = protocol
        self.policy = policy
        self.own = own
        self.dry_run = dry_run


def _readable(source: str) -> IO[bytes]:
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise Failure(f"{source}: a readable file was expected ({error.strerror})") from None


def _noon(text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.combine(day(text), time(NOON), zone)
    except ValueError:
        raise Failure("--weekly-from: a date such as 2026-01-05 was expected") from None


async def _import_responses(
    stream: IO[bytes], place: Place, options: _Options, zone: ZoneInfo, wide: Wide | None, lines: Path | None
) -> None:
    new = place if isinstance(place, Path) and not holds_database(place) else None
    if new is not None:
        require_none_lost(new)
    with ExitStack() as temporary:
        # What is refused, or only tried, founds no home.
        check = place if new is None else Path(temporary.enter_context(TemporaryDirectory(prefix="ontrack-check-")))
        async with await _founded(check) as home:
            with progress("Catching up", None) as advance:
                await home.catch_up(advance)
            async with left_out(home, lines) as skipped:
                checked = await _checked(home, stream, options, zone, wide, skipped)
            if options.dry_run:
                _tell(checked.tally, checked.faults, skipped, "would be ")
            elif new is None:
                await _record(home, checked, options, skipped)
    if new is not None and not options.dry_run:
        async with await _founded(new) as home:
            if lines is not None and skipped is not None and skipped.count:
                # What was noted above has gone with where it was checked.
                await noted(home.copies, "lines", lines, home.clock())
            await home.catch_up()
            await _record(home, checked, options, skipped)


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

    tally: what would come of it; faults: of the lines that were left out
    """

    spool: Spool
    definitions: Catalogue
    instruments: Mapping[str, Sequence[str]]
    enrolment: Enrolment | None
    tally: Tally
    faults: list[RowFault]


async def _checked(
    home: Home, stream: IO[bytes], options: _Options, zone: ZoneInfo, wide: Wide | None, skipped: Skipped | None
) -> _Checked:
    """Read a file and check all of it, against the home too. Raises Failure."""
    enrolment, unknown = _enrolment(home, options)
    instruments = defaultdict[str, list[str]](list)
    for ref, model in home.definitions.of_kind(Instrument):
        instruments[model.id].append(ref)
    models = {identity: home.definitions.instrument(refs[-1]) for identity, refs in instruments.items()}
    with progress("Reading", None) as advance:
        calendar = Calendar(zone, home.clock())
        reading = read_responses(stream, models, calendar, wide=wide, skipped=skipped, progress=advance)
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
    if faults and skipped is None:
        _refuse(faults, "Mend the file, or leave such rows out with --skip-invalid.")
    for fault in tally.faults:
        leave_out(reading.spool, fault.line, skipped)
    if tally.faults and options.dry_run:
        # What is told would come of what is left.
        tally = await importer.check(reading.spool)
    if enrolment is not None and tally.enrolled:
        _require_primary(home, enrolment.policy, reading.spool.instruments())
    return _Checked(reading.spool, home.definitions, instruments, enrolment, tally, faults)


async def _record(home: Home, checked: _Checked, options: _Options, skipped: Skipped | None) -> None:
    """Record a file that was checked."""
    await home.publish(checked.definitions)
    importer = Importer(
        home.intake, home.people, checked.instruments, clinic=options.clinic, enrolment=checked.enrolment
    )
    with progress("Importing", checked.spool.count) as advance:
        done = await importer.record(checked.spool, _after_each(home, advance))
    await settled(home)
    for case_id, reason in {halted.case_id: halted.reason for halted in await home.halted()}.items():
        say(f"The case {case_id} waits: {reason}. It goes on when the cause is gone.")
    _tell(done, [*checked.faults, *done.faults], skipped, "")


def _enrolment(home: Home, options: _Options) -> tuple[Enrolment | None, list[str]]:
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


def _tell(tally: Tally, faults: list[RowFault], skipped: Skipped | None, would: str) -> None:
    left_out = f", {counted(skipped.count, 'line')} {would}left out" if skipped is not None else ""
    say(
        f"{counted(tally.recorded, 'response')} {would}recorded, {tally.known:,} were known already, "
        f"{tally.enrolled:,} of {tally.cases:,} cases {would}enrolled{left_out}."
    )
    _list(faults)
    if faults:
        raise SystemExit(FINDING)


async def _import_log(source: Path, place: Place, keys: Path | None, *, dry_run: bool) -> None:
    with progress("Importing", None) as advance:
        if isinstance(place, Region):
            imported = await import_log_into(place, source, keys, advance, dry_run=dry_run)
        else:
            imported = await import_log(source, place, keys, advance, dry_run=dry_run)
    _tell_imported(imported)


async def _import_bundle(file: Path, place: Place, keys: Path | None, *, dry_run: bool) -> None:
    if isinstance(place, Region):
        taken, imported = await import_bundle_into(place, file, keys, dry_run=dry_run)
        _tell_imported(imported)
    else:
        taken = await import_bundle(file, place, keys, dry_run=dry_run)
        what = "what can be read verifies" if taken.unsaid else "the history verifies"
        say(f"{taken.says} {'would be' if dry_run else 'were'} taken; {what}.")
    for case_id in taken.unsaid:
        say(told_unsaid(case_id))


def _tell_imported(imported: Imported) -> None:
    for line in imported.told():
        say(line)
    if imported.differs:
        raise Failure("nothing was taken: what was derived again is not what stands in the export", FINDING)
