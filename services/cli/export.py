"""`ontrack export`: the log as NDJSON."""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, Final

import click
import orjson

from contracts.topics import CASES, DEAD_LETTERS, DEFINITIONS, NOTICES, SCORES, TOPICS, TRACKS, Topic
from services.cli.case_keys import require_no_other, write_keys
from services.cli.copies import noted_directory
from services.cli.home import FINDING, Failure, run
from services.cli.naming_cases import any_case_named
from services.cli.output import counted, progress, say
from services.cli.place import Place, data_option, opened
from services.cli.private import private_directory, private_file
from services.home import Home
from services.runtime.export import Exported, exported

DIRECTORY: Final = "directory.ndjson"
_OF_THE_HISTORY: Final = (DEFINITIONS, CASES, SCORES, TRACKS, NOTICES, DEAD_LETTERS)


@click.command()
@data_option
@click.option("--topic", "names", multiple=True, type=click.Choice(list(TOPICS)), help="Which topic; more than once.")
@click.option("--case", "case", help="Only the events of this case (its number or id).")
@click.option("--reveal", is_flag=True, help="Open the data: answers and comments can then be read.")
@click.option("--output", type=click.Path(path_type=Path), help="A directory, with a file for each topic.")
@click.option("--keys", type=click.Path(path_type=Path), help="Write the keys of the cases to this file too.")
def export(
    place: Place, names: tuple[str, ...], case: str | None, reveal: bool, output: Path | None, keys: Path | None
) -> None:
    """Write the log as NDJSON, one event a line.

    One topic goes to standard output; several, or all if none is named, go to files in a directory. The data stays
    sealed unless --reveal is given. What is exported can be imported into an empty home: a sealed one with its keys.
    Of an erased case the file of the keys says that there is none.

    Example: ontrack export --data ./clinic --output ./exported --keys ./case-keys
    """
    topics = [TOPICS[name] for name in names] or list(_OF_THE_HISTORY)
    if output is None and len(topics) > 1:
        raise Failure("several topics need --output DIR, a directory with a file for each; or name one with --topic")
    if keys is not None:
        require_no_other(keys)
    run(_export(place, topics, case, output, keys, reveal=reveal))


async def _export(
    place: Place, topics: list[Topic], case: str | None, output: Path | None, keys: Path | None, *, reveal: bool
) -> None:
    async with await opened(place) as home:
        case_id = None if case is None else await any_case_named(home, case)
        told = Exported()
        if output is not None and reveal:
            await noted_directory(home.copies, "opened", output, home.clock(), case_id)
        elif output is not None:
            private_directory(output)
        with progress("Exporting", None) as advance:
            for topic in topics:
                lines = exported(
                    home.log,
                    home.keyring,
                    topic,
                    told,
                    case_id=case_id if topic.of_cases else None,
                    reveal=reveal,
                )
                with _stream(topic, output) as stream:
                    async for line in lines:
                        stream.write(line + b"\n")
                        advance(1)
                    stream.flush()
        if output is not None and reveal:
            await _write_directory(home, output / DIRECTORY, case_id)
        if keys is not None:
            await write_keys(home, keys, case_id)
    if output is not None:
        say(f"{told.count:,} events of {len(topics)} topics are in {output}.")
    if told.erased:
        events, cases = counted(told.erased.total(), "event"), counted(len(told.erased), "erased case")
        say(f"{events} of {cases} cannot be read by anybody any more and were left out.")
    if told.unreadable:
        for where in told.unreadable:
            say(f"{where}: left out, because it cannot be read")
        raise SystemExit(FINDING)


def _stream(topic: Topic, output: Path | None) -> AbstractContextManager[IO[bytes]]:
    """Give where a topic is written."""
    return nullcontext(sys.stdout.buffer) if output is None else private_file(output / f"{topic.name}.ndjson")


async def _write_directory(home: Home, file: Path, case_id: str | None) -> None:
    """Write who the cases are, so that a home that imports the log knows them again."""
    with private_file(file) as stream:
        for case, person in sorted((await home.people.persons()).items()):
            if case_id in (None, case):
                stream.write(orjson.dumps({"case": case, **asdict(person)}) + b"\n")
