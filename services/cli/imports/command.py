"""`ontrack import`: a file of responses, or an exported log."""

import sys
from contextlib import nullcontext
from datetime import datetime, time
from pathlib import Path
from typing import IO, Final
from zoneinfo import ZoneInfo

import click
from click.core import ParameterSource

from contracts.events.fields import is_name
from services.cli.home import FINDING, Failure, run
from services.cli.imports.bundle import import_bundle, import_bundle_into
from services.cli.imports.left_out import file_for
from services.cli.imports.log import Imported, import_log, import_log_into
from services.cli.imports.responses import Options, import_responses
from services.cli.naming_cases import told_unsaid
from services.cli.output import progress, say
from services.cli.place import Place, Region, data_option
from services.cli.zone import USUAL, VARIABLE, zone_named
from services.home import CLINIC
from services.ingest.dates import NOON, day
from services.ingest.table import SESSION, Wide

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
@click.option("--timezone", envvar=VARIABLE, default=USUAL, show_default=True, help="Of times that do not say theirs.")
@click.option("--wide", "values", metavar="PATTERN", help="One row a case, in columns such as bdi_s{session}.")
@click.option("--instrument", help="The instrument of a wide file.")
@click.option("--dates", metavar="PATTERN", help="The columns with the dates of a wide file, such as date_s{session}.")
@click.option("--weekly-from", metavar="DATE", help="The date of session 0 of a wide file without dates.")
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
    instrument, one for each item, and comment; or a directory that ontrack export wrote, or a file of ontrack audit
    export. Every row is checked before the first is taken, and what is wrong is listed by line. The same file twice
    changes nothing.

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
    for option, name in (("--clinic", clinic), ("--group", group)):
        if name is not None and not is_name(name):
            raise Failure(f"{option}: a short name of letters a to z, digits and . _ : - was expected, without blanks")
    zone = zone_named(timezone)
    wide = None if values is None else _wide(values, instrument, dates, weekly_from, zone)
    if keys is not None:
        raise Failure("--keys means nothing for a file of responses; it opens an exported log that is sealed")
    with nullcontext(sys.stdin.buffer) if source == "-" else _readable(source) as stream:
        options = Options(
            clinic=clinic,
            zone=zone,
            group=group,
            protocol=protocol if enrol else None,
            policy=policy,
            own=own,
            wide=wide,
            lines=file_for(source, skipped_file) if skip_invalid else None,
            dry_run=dry_run,
        )
        run(import_responses(stream, place, options))


def _wide(values: str, instrument: str | None, dates: str | None, weekly_from: str | None, zone: ZoneInfo) -> Wide:
    """Say how a wide file is read. Raises Failure."""
    _require_session("--wide", values)
    if instrument is None:
        raise Failure("--wide needs --instrument, the id of the instrument that the columns belong to")
    if dates is not None:
        _require_session("--dates", dates)
    elif weekly_from is None:
        raise Failure("--wide needs --dates (columns with the dates) or --weekly-from (the date of session 0)")
    return Wide(instrument, values, dates, _noon(weekly_from, zone))


def _require_session(option: str, pattern: str) -> None:
    if pattern.count(SESSION) != 1:
        raise Failure(f"{option} {pattern}: a pattern with {SESSION} once was expected, such as bdi_s{SESSION}")


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
