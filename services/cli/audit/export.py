"""`ontrack audit export`: a history in one file, for an auditor who has no server."""

from pathlib import Path

import click

from services.auditor.bundle import Manifests
from services.auditor.bundling import ends_of, write
from services.cli.case_keys import write_keys
from services.cli.home import Failure, run
from services.cli.output import counted, progress, say
from services.cli.place import Place, data_option, opened
from services.cli.private import new_file, require_absent


@click.command("export", short_help="Write the whole history to one file, a bundle.")
@data_option
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write, such as a.zip."
)
@click.option(
    "--keys", type=click.Path(path_type=Path, dir_okay=False), help="Write the keys of the cases to this file too."
)
def export(place: Place, output: Path, keys: Path | None) -> None:
    """Write the whole history to one file, which can be audited without any server.

    It is a zip archive: in canonical/ what the history says, the same bytes wherever it stood; in raw/ what stands on
    the log, record by record. All that patients have said stays sealed. The keys that open it are in the file of
    --keys, which is handed on by another way, or not at all.

    It is always the whole history of a home: checkpoints speak of all that stands on a log, and a part of it could not
    be compared with them. One case is told by ontrack audit history, and its events are given by ontrack export.

    Example: ontrack audit export --data DIR --output history.zip --keys history.keys
    """
    if keys is not None and keys == output:
        raise Failure("--keys: another file than --output was expected")
    for file in filter(None, (output, keys)):
        require_absent(file)
    manifests = run(_export(place, output, keys))
    canonical = manifests.canonical
    events = sum(said.events for said in canonical.topics.values())
    say(f"{output}: {counted(canonical.cases, 'case')}, {counted(events, 'event')}, digest {canonical.digest}")


async def _export(place: Place, output: Path, keys: Path | None) -> Manifests:
    async with await opened(place) as home:
        ends = await ends_of(home.log)
        # All of it is read twice: for what it says, and for what stands there.
        with progress("Exporting", 2 * sum(map(sum, ends.values()))) as advance, new_file(output) as stream:
            manifests = await write(home.log, home.log_id, ends, stream, advance)
        if keys is not None:
            await write_keys(home, keys, None)
    return manifests
