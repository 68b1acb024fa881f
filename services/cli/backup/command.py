"""`ontrack backup`: what cannot be rebuilt, in one file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from contracts.events.fields import instant
from services.cli.backup.file import destroyed_in, master_key_of, sized, tokens_file, tokens_of, told, whole
from services.cli.copies import noted_if_made
from services.cli.home import FINDING, Failure, run
from services.cli.output import Format, counted, emit, format_option, progress, say
from services.cli.place import Place, opened, optional_data_option, required
from services.cli.private import new_file, require_absent
from services.cli.token import FILE as TOKENS_FILE
from services.home import Home
from services.ingest.access import TokensDamaged
from services.runtime.backup.archive import Item, Writer
from services.runtime.backup.copies import sealed_copies
from services.runtime.backup.making import KEYS, begin, write
from services.runtime.copies.port import CopiesUnavailable
from services.runtime.keyring.master import MasterKey

_EXAMPLES: Final = 10
_OF_PARTS: Final = ("part", "items", "bytes", "sha256")
_OF_KEYS: Final = ("case", "key")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@optional_data_option
@click.option("--check", is_flag=True, help="Make nothing, but see whether FILE is whole, and list what it holds.")
@click.option("--list-keys", is_flag=True, help="Make nothing, but list the cases whose keys FILE holds.")
@format_option
def backup(file: Path, place: Place | None, check: bool, list_keys: bool, form: Format) -> None:
    """Keep in FILE what cannot be rebuilt: facts, definitions, keys of cases, directory, roster and tokens.

    It can be made while everything runs, and holds whatever was answered before it began. All of it stays sealed, and
    the master key is not in it. ontrack restore makes a home of it again, a directory or a region. For people there is
    ontrack export: that writes what can be read, and whoever has it reads it.

    Example: ontrack backup clinic.backup --data ./clinic
    """
    if check and list_keys:
        raise Failure("either --check or --list-keys was expected")
    if (check or list_keys) and not file.exists():
        raise Failure(f"{file}: the file of a backup was expected")
    if check:
        run(_check(file, place, form))
    elif list_keys:
        run(_list_keys(file, form))
    else:
        run(_make(file, required(place)))


async def _make(file: Path, place: Place) -> None:
    require_absent(file)
    tokens, lacks = _tokens(place)
    async with await opened(place) as home:
        master = MasterKey.read(master_key_of(place))
        # By that moment it is known again, wherever it is moved.
        began = home.clock()
        async with noted_if_made(home.copies, "backup", file, began):
            with new_file(file) as stream:
                writer, beginning = Writer(stream), await begin(home, began)
                with progress("Backing up", beginning.records) as advance:
                    written = await write(home, beginning, tokens, writer, advance, await _copies(home, master))
                manifest = writer.finish(home.log_id, beginning.at, home.clock(), master)
    say(f"{file} ({sized(file.stat().st_size)}) holds {told(manifest, len(written.destroyed))}.")
    say(f"Everything that was answered before {instant(manifest.began)} is in it.")
    if tokens_file(place) is None:
        say(f"If clients have tokens, set {TOKENS_FILE}, so that the next backup holds them.")
    say(f"The master key is not in it. Keep a copy of {master_key_of(place)} elsewhere: without it this opens nothing.")
    lacks += [_told_keyless(written.keyless)] if written.keyless else []
    if lacks:
        raise Failure("\n".join(lacks), FINDING)


def _tokens(place: Place) -> tuple[bytes | None, list[str]]:
    """Give the file of tokens, and what is wrong if nobody can read it: all the rest is kept. Raises Failure."""
    try:
        return tokens_of(place), []
    except TokensDamaged as damaged:
        return None, [f"{damaged}. The backup was made all the same, without them; an earlier one may hold them"]


async def _copies(home: Home, master: MasterKey) -> Sequence[Item] | None:
    """Give which copies a home knows, as a backup holds it; say so if that cannot be told."""
    try:
        return sealed_copies(await home.copies.all(), master)
    except CopiesUnavailable as away:
        say(f"Which copies were made is not in it ({away}): whoever erases a case after a restore has to name them.")
        return None


def _told_keyless(cases: Sequence[str]) -> str:
    some = ", ".join(cases[:_EXAMPLES])
    return (
        f"{counted(len(cases), 'case')} with facts and no key, so nobody can read these facts any more: {some}. "
        "The backup was made all the same; an earlier one may hold their keys"
    )


async def _check(file: Path, place: Place | None, form: Format) -> None:
    master = None if place is None else MasterKey.read(master_key_of(place))
    with whole(file, master) as found:
        manifest, destroyed = found.manifest, destroyed_in(found)
    values = ((part.name, part.items, part.bytes, part.sha256) for part in manifest.parts)
    emit([dict(zip(_OF_PARTS, each, strict=True)) for each in values], _OF_PARTS, form)
    say(f"{file} is whole: {told(manifest, destroyed)}, of the log {manifest.log}, kept by OnTrack {manifest.ontrack}.")
    say(f"Everything that was answered before {instant(manifest.began)} is in it.")
    if master is None:
        say("To see whether it belongs to your master key, name the place where that is: --data DIR.")
    else:
        say("It belongs to the master key that is here.")


async def _list_keys(file: Path, form: Format) -> None:
    with whole(file) as found:
        rows = [{"case": item.key, "key": "held" if item.value else "destroyed"} for item in found.items(KEYS)]
    emit(rows, _OF_KEYS, form)
